# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A reader in a process of its own, which somebody stops for a while: ``python -m tests.link.honest_reader URI``.

It prints a line when it has received some elements, and "done" when it has received many.
"""

from __future__ import annotations

import sys

import trio

from kcoro_core import dial

SOME, MANY, TASKS = 200, 6000, 64


def say(line: str) -> None:
    """Tell whoever has started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(uri: str) -> None:
    """Receive with many tasks at once, so that much is under way when the process is stopped."""
    received = 0
    async with dial(uri) as link:
        elements = await link.open("elements")

        async def receive() -> None:
            nonlocal received
            while received < MANY:
                await elements.recv()
                received += 1
                if received == SOME:
                    say("under way")

        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(receive)
    say("done")


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
