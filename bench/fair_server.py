# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The other process of ``fair.py``: readers that count what arrives, and stop when they are told to.

``python fair_server.py DIRECTORY CAPACITIES`` exports buffered channels, named in a JSON object, says ``ready`` and
ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import plain
import trio
from processes import resident

import kcoro_core
from kcoro_core import BUFFERED, Channel, channel
from kcoro_core.wire.hello import charge


class Readers:
    """One for each channel: takes everything, and counts it by its charge, unless it was stopped."""

    def __init__(self, channels: dict[str, Channel[bytes]]) -> None:
        self._channels = channels
        self._arrived: Counter[str] = Counter()
        self._going: dict[str, trio.Event] = {}
        for name in channels:
            self.answer(b"go " + name.encode())

    async def take(self, name: str) -> None:
        """Take for ever."""
        while True:
            await self._going[name].wait()
            self._arrived[name] += charge(len(await self._channels[name].recv()))

    def answer(self, question: bytes) -> bytes:
        """``stop NAME``, ``go NAME``, and in any case what is known: time, memory, arrivals."""
        what, _, name = question.decode().partition(" ")
        if what == "stop":
            self._going[name] = trio.Event()
        if what == "go":
            self._going.setdefault(name, trio.Event()).set()
        known = {"seconds": time.perf_counter(), "resident": resident()}
        return json.dumps(known | {"arrived": self._arrived}).encode()


async def ask(directory: str, question: str = "") -> dict[str, Any]:
    """Ask that process from another one."""
    async with await trio.open_unix_socket(f"{directory}/control") as stream:
        control = plain.Plain(stream)
        await control.send(question.encode())
        return json.loads((await control.receive())[0])  # type: ignore[no-any-return]


async def main(directory: str, capacities: dict[str, int]) -> None:
    """Serve until standard input ends."""
    channels = {name: channel(BUFFERED, capacity=capacity) for name, capacity in capacities.items()}
    readers = Readers(channels)
    async with trio.open_nursery() as nursery, kcoro_core.serve(f"uds:{directory}/link", channels):
        for name in channels:
            nursery.start_soon(readers.take, name)
        await nursery.start(plain.serve, f"{directory}/control", readers.answer)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    kcoro_core.run(main, sys.argv[1], json.loads(sys.argv[2]))
