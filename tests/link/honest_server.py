# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A server in a process of its own, for those who attack it: ``python -m tests.link.honest_server URI``.

It prints a line when it listens, and reads none of its news.
"""

from __future__ import annotations

import sys

import trio

from .test_memory import target


def say(line: str) -> None:
    """Tell whoever has started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(uri: str) -> None:
    """Serve until somebody kills this process."""
    async with target(uri, 20_000):
        say("listening")
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
