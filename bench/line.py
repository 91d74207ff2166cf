# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A slow line between two real sockets: forwards what it reads, at no more than so many bytes per second.

``python line.py DIRECTORY RATE`` listens at ``DIRECTORY/line``, forwards to ``DIRECTORY/link``, says ``ready`` and ends
with its standard input. Without it Unix sockets are faster than any program behind them, and no link has to share.
"""

from __future__ import annotations

import sys
from functools import partial

import trio

PIECE_BYTES = 8192
LATE_SECONDS = 0.01
"""How much a late wake-up may make up for."""


async def forward(source: trio.SocketStream, target: trio.SocketStream, rate: float) -> None:
    """One direction, until it ends."""
    due = trio.current_time()
    while data := await source.receive_some(PIECE_BYTES):
        due = max(due + len(data) / rate, trio.current_time() - LATE_SECONDS)
        await trio.sleep_until(due)
        await target.send_all(data)
    await target.send_eof()


async def join(directory: str, rate: float, near: trio.SocketStream) -> None:
    """Both directions of one connection, until either is broken."""
    async with near, await trio.open_unix_socket(f"{directory}/link") as far:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(forward, near, far, rate)
                nursery.start_soon(forward, far, near, rate)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # whoever left has what was wanted


async def main(directory: str, rate: float) -> None:
    """Forward until standard input ends."""
    sock = trio.socket.socket(trio.socket.AF_UNIX)
    await sock.bind(f"{directory}/line")
    sock.listen(8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, partial(join, directory, rate), [trio.SocketListener(sock)]))
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], float(sys.argv[2]))
