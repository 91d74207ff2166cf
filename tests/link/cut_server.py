# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A program that serves, in a process of its own, until its input ends; then prints its ledger as JSON.

Started by ``test_cuts.py`` with an address and the labels of the runs to come.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import trio
from attrs import asdict

from kcoro_core import UNLIMITED, Call, Channel, Redelivered, channel, serve

from .ledgers import COMMAND, Books


def main(uri: str, labels: list[str], elements: int) -> None:
    """Serve two channels for each run."""
    reported: dict[str, list[str]] = {label: [] for label in labels}
    called: list[str] = []
    ways: dict[str, tuple[Channel[bytes], Channel[bytes]]] = {}
    for label in labels:
        out = channel(UNLIMITED, on_undelivered=lambda value, why, of, into=reported[label]: into.append(name(value)))
        ways[label] = channel(UNLIMITED), out

    async def run() -> None:
        export: dict[str, object] = {}
        for label, (into, out) in ways.items():
            export |= {f"in {label}": into.sender(), f"out {label}": out.receiver()}
            for i in range(elements):
                out.try_send(f"{label} out {i}".encode() + b"." * (i * 37 % 101))
            out.close()
        async with serve(uri, export, handlers={COMMAND: keep(called)}):
            tell("ready")
            await trio.to_thread.run_sync(sys.stdin.read)
        tell(json.dumps({label: asdict(books(label, *ways[label], reported[label], called)) for label in labels}))

    trio.run(run)


def tell(line: str) -> None:
    """One line for the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def keep(called: list[str]) -> Callable[[Call], bytes]:
    """A handler that remembers what it was called with, and answers that."""

    def handle(call: Call) -> bytes:
        called.append(call.payload.decode())
        return call.payload

    return handle


def books(label: str, into: Channel[bytes], out: Channel[bytes], reported: list[str], called: list[str]) -> Books:
    """What arrived, what is left, what was reported, what was called."""
    left = [out.try_recv() for _ in range(len(out))]
    return Books(
        arrived=[name(into.try_recv()) for _ in range(len(into))],
        left=[name(one) for one in left],
        reported=reported,
        called=[one for one in called if one.startswith(f"{label} ")],
        marked=[name(one) for one in left if isinstance(one, Redelivered)],
    )


def name(element: bytes) -> str:
    """An element without its padding."""
    return element.rstrip(b".").decode()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:], int(sys.argv[2]))
