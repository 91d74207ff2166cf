# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A line for datagrams between a client and a server, which loses what a test wants it to lose."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

__all__ = ["Line", "line_to", "losing", "nothing"]

Drop = Callable[[bool, int], bool]
"""Whether the next datagram is lost: whether it goes to the server, and its size in bytes."""


def nothing(to_server: bool, size: int) -> bool:
    return False


def losing(share: float, seed: int) -> Drop:
    """Lose that share of all datagrams, by a seed."""
    coin = random.Random(seed)
    return lambda to_server, size: coin.random() < share


class Line:
    """``port`` is where clients go instead; ``lost`` and ``passed`` count datagrams, ``to_server`` bytes."""

    def __init__(self, server: Any) -> None:
        self.drop: Drop = nothing
        self.lost = self.passed = self.to_server = 0
        self.port = 0
        self._server = server
        self._ways: dict[Any, trio.socket.SocketType] = {}

    def takes(self, data: bytes, to_server: bool) -> bool:
        if self.drop(to_server, len(data)):
            self.lost += 1
            return False
        self.passed += 1
        self.to_server += len(data) if to_server else 0
        return True

    async def run(self, nursery: trio.Nursery, front: trio.socket.SocketType) -> None:
        """Take what clients send; each has a socket of its own on the other side."""
        while True:
            data, client = await front.recvfrom(65536)
            if client not in self._ways:
                way = self._ways[client] = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
                await way.connect(self._server)
                nursery.start_soon(self._back, front, way, client)
            if self.takes(data, to_server=True):
                await self._ways[client].send(data)

    async def _back(self, front: trio.socket.SocketType, way: trio.socket.SocketType, client: Any) -> None:
        while True:
            data = await way.recv(65536)
            if self.takes(data, to_server=False):
                await front.sendto(data, client)


@asynccontextmanager
async def line_to(uri: str) -> AsyncIterator[Line]:
    """A line to the server at ``uri``, for the length of the block."""
    line = Line(("127.0.0.1", int(uri.rpartition(":")[2])))
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as front:
        await front.bind(("127.0.0.1", 0))
        line.port = front.getsockname()[1]
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.run, nursery, front)
                yield line
                nursery.cancel_scope.cancel()
        finally:
            for way in line._ways.values():
                way.close()
