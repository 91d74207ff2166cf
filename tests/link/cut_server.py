# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A program that serves, in a process of its own, until its input ends; then prints its ledger as JSON.

Started by ``test_cuts.py`` with an address and the labels of the runs to come.
"""

from __future__ import annotations

import json
import sys

import trio

from kcoro_core import UNLIMITED, Channel, channel, serve


def main(uri: str, labels: list[str], elements: int) -> None:
    """Serve two channels for each run."""
    reported: dict[str, list[str]] = {label: [] for label in labels}
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
        async with serve(uri, export):
            tell("ready")
            await trio.to_thread.run_sync(sys.stdin.read)
        tell(json.dumps({label: ledger(*ways[label], reported[label]) for label in labels}))

    trio.run(run)


def tell(line: str) -> None:
    """One line for the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def ledger(into: Channel[bytes], out: Channel[bytes], reported: list[str]) -> dict[str, list[str]]:
    """What arrived, what is left, what was reported."""
    return {
        "arrived": [name(into.try_recv()) for _ in range(len(into))],
        "left": [name(out.try_recv()) for _ in range(len(out))],
        "reported": reported,
    }


def name(element: bytes) -> str:
    """An element without its padding."""
    return element.rstrip(b".").decode()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:], int(sys.argv[2]))
