# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who floods, for ``fair.py``: a process of its own, since memory that a process has had before would hide its growth.

``python fair_flood.py DIRECTORY SECONDS`` sends 64 KiB from 256 tasks to a channel whose reader has stopped, and little
to the others, and prints by how many bytes either process has grown at most.
"""

from __future__ import annotations

import contextlib
import json
import sys

import fair_server
import trio
from processes import resident

import kcoro_core
from kcoro_core import NoBuffers

FLOOD = 65536
TASKS = 256
LOOK_SECONDS = 0.02


async def flood(handle: kcoro_core.link.remote.RemoteChannel, size: int) -> None:
    """Send without end; where the budget refuses it, a little later."""
    while True:
        with contextlib.suppress(NoBuffers):
            await handle.send(b"x" * size)  # not zeros, which cost no memory until they are written
        await trio.sleep(LOOK_SECONDS)


async def main(directory: str, seconds: float) -> None:
    """Flood, look, print."""
    await fair_server.ask(directory, "stop c0")
    async with kcoro_core.dial(f"uds:{directory}/link") as link, trio.open_nursery() as nursery:
        handles = [await link.open(one.name, lend=True) for one in await link.list()]
        here, there = resident(), (await fair_server.ask(directory))["resident"]
        for handle in handles:
            for _ in range(TASKS if handle.name == "c0" else 1):
                nursery.start_soon(flood, handle, FLOOD if handle.name == "c0" else 64)
        peaks = [0, 0]
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            await trio.sleep(LOOK_SECONDS)
            now = resident() - here, (await fair_server.ask(directory))["resident"] - there
            peaks = [max(*pair) for pair in zip(peaks, now, strict=True)]
        nursery.cancel_scope.cancel()
    print(json.dumps({"sender": peaks[0], "receiver": peaks[1]}))


if __name__ == "__main__":
    kcoro_core.run(main, sys.argv[1], float(sys.argv[2]))
