# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The programs of both machines of ``netns.py``: ``home SCHEME ADDRESS`` serves, ``near URI SECONDS SEED`` measures.

One task sends 16 KiB at a steady pace over one channel; eight others send 64 bytes over a channel of their own each,
and take down how long it took until the home had accepted it. Printed as JSON: these times, and the rate of the bulk.
"""

from __future__ import annotations

import json
import random
import sys

import trio

import kcoro_core
from kcoro_core import BUFFERED, CONFLATED, channel

SMALL_CHANNELS = 8
BULK_BYTES = 16384
BULK_SECONDS = 1 / 30
"""Half a megabyte a second: well below what either carries on such a line, so that nothing but loss holds it up."""
PAUSE_SECONDS = (0.005, 0.015)


def tell(what: object) -> None:
    """One line for whoever started this."""
    print(json.dumps(what), flush=True)


async def home(scheme: str, address: str) -> None:
    """Serve until standard input ends."""
    bulk = channel(BUFFERED, capacity=64)
    export = {"bulk": bulk, **{f"small{i}": channel(CONFLATED) for i in range(SMALL_CHANNELS)}}

    async def drain() -> None:
        async for _ in bulk:
            pass

    serving = kcoro_core.serve(f"{scheme}:{address}:0", export, authorize=lambda *_: True)
    async with serving as server, trio.open_nursery() as nursery:
        tell(server.uri)
        nursery.start_soon(drain)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


async def near(uri: str, seconds: float, seed: str) -> None:
    """Measure for so long."""
    took: list[float] = []
    sent = 0

    async def load() -> None:
        nonlocal sent
        handle, due = await link.open("bulk", lend=True), trio.current_time()
        while True:
            await handle.send(bytes(BULK_BYTES))
            sent += BULK_BYTES
            due = max(due + BULK_SECONDS, trio.current_time() - BULK_SECONDS)
            await trio.sleep_until(due)

    async def ask(number: int) -> None:
        handle, chance = await link.open(f"small{number}"), random.Random(f"{seed} {number}")
        while True:
            began = trio.current_time()
            await handle.send(bytes(64))
            took.append(trio.current_time() - began)
            await trio.sleep(chance.uniform(*PAUSE_SECONDS))

    async with kcoro_core.dial(uri) as link, trio.open_nursery() as nursery:
        nursery.start_soon(load)
        for number in range(SMALL_CHANNELS):
            nursery.start_soon(ask, number)
        await trio.sleep(1)  # what is measured is a connection that has found its pace
        took.clear()
        sent = 0
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    tell({"seconds": took, "bytes per second": sent / seconds})


if __name__ == "__main__":
    if sys.argv[1] == "home":
        kcoro_core.run(home, *sys.argv[2:4])
    else:
        kcoro_core.run(near, sys.argv[2], float(sys.argv[3]), sys.argv[4])
