# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The other process of ``links.py``: a link and plain streams side by side in one loop.

``python links_server.py DIRECTORY CHANNELS [SCHEME ...]`` says ``ready`` when it can be used and ends with its standard
input. For each further scheme the same is served there, at the address that ``DIRECTORY/SCHEME`` then has.
An empty message asks whoever received it to say so; it marks the end of a stream.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from contextlib import AsyncExitStack
from pathlib import Path

import plain
import trio

import kcoro_core
from kcoro_core import BUFFERED, CONFLATED, Channel, channel

SMALL, LARGE = 1024, 8
"""Capacities of the channels that take messages of 64 bytes and of 1 MiB."""


async def drain(source: Channel[bytes], done: Channel[bytes]) -> None:
    """Take everything, as a program at the other end does."""
    async for element in source:
        if not element:
            await done.send(b"")


def sink(message: bytes) -> bytes | None:
    """Swallow messages, and answer the empty one."""
    return None if message else b""


def control(question: bytes) -> bytes:
    """Facts about this process, as text."""
    if question == b"trace":
        tracemalloc.start()
    if question == b"memory":
        gc.collect()
        return b"%d" % tracemalloc.get_traced_memory()[0]
    return repr(time.process_time()).encode()


def tell(place: Path, uri: str) -> None:
    """Leave an address where the other process finds it."""
    place.write_text(uri)


async def main(directory: str, channels: int, schemes: list[str]) -> None:
    """Serve until standard input ends."""
    small, large = channel(BUFFERED, capacity=SMALL), channel(BUFFERED, capacity=LARGE)
    done: Channel[bytes] = channel(BUFFERED, capacity=1)
    export = {"small": small, "large": large, "done": done}
    export |= {f"many{i}": channel(CONFLATED) for i in range(channels)}  # keep one element each, and need no reader
    async with (
        trio.open_nursery() as nursery,
        AsyncExitStack() as stack,
        kcoro_core.serve(f"uds:{directory}/link", export),
    ):
        for scheme in schemes:
            more = kcoro_core.serve(f"{scheme}:", export, authorize=lambda *_: True)
            server = await stack.enter_async_context(more)
            tell(Path(directory, scheme), server.uri)
        nursery.start_soon(drain, small, done)
        nursery.start_soon(drain, large, done)
        await nursery.start(plain.serve, f"{directory}/echo", lambda _: b"")
        await nursery.start(plain.serve, f"{directory}/sink", sink)
        await nursery.start(plain.serve, f"{directory}/control", control)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    kcoro_core.run(main, sys.argv[1], int(sys.argv[2]), sys.argv[3:])
