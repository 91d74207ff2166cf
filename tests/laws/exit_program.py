# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A program that ends with elements in its channels; it tells which of them it heard of. Run by test_destroy.py."""

import sys
from typing import Any

from kcoro_core import BUFFERED, CONFLATED, UNLIMITED, Undelivered, channel, run


def teller(name: str) -> Any:
    """A hook that prints what was reported; the interpreter is on its way out."""
    return lambda value, why, of: print(name, value, why.name, sep="|")  # noqa: T201 - it is what the test reads


def broken(value: object, why: Undelivered, of: object) -> None:
    """A hook that fails at the worst of times."""
    teller("failing")(value, why, of)
    raise ZeroDivisionError


kept = channel(BUFFERED, 3, on_undelivered=teller("kept"))
newest = channel(CONFLATED, on_undelivered=teller("newest"))
failing = channel(UNLIMITED, on_undelivered=broken)
cycle = channel(UNLIMITED, on_undelivered=teller("cycle"))
cycle.try_send(cycle)
silent = channel(UNLIMITED)


async def main() -> None:
    """Leave something behind in each."""
    for i in range(3):
        await kept.send(i)
        await newest.send(i)
    await kept.recv()
    await failing.send("one")
    await failing.send("two")
    await silent.send("unheard")


run(main)
if sys.argv[1:] == ["raise"]:
    raise SystemExit(3)
