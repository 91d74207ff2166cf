# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A channel that always has more to send than its line takes, and what gets past it.

Turns can be judged on any machine when they are counted instead of timed: how many messages of that channel go between
the beginning of an act and its end. With fair turns it is what is in flight already, some tens up to two
hundred; without turns it ends when by chance nothing of that channel waits to be written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kcoro_core import BUFFERED, CancelToken, Channel, OperationCancelled, channel, open_scope, sleep

from .book import Book

__all__ = ["MOST", "Bulk"]

SIZE = 16384
SENDERS = 64
"""So many that a message always waits to be written: together they have a megabyte, more than ``mem:``, ``uds:`` and
a simulated line take. What a kernel takes of TCP may be more, and then nobody is in need of turns."""
MOST = 400
"""Messages that may go before one act ends."""


class Bulk:
    """The channel ``bulk``, which the home has to export under this name."""

    def __init__(self) -> None:
        self.channel: Channel[bytes] = channel(BUFFERED, SENDERS, name="bulk")
        self.passed = 0
        self.worst = 0
        self._since = 0
        self._stop = CancelToken()

    async def _feed(self, handle: Any) -> None:
        """Send until the acts are done, or one has waited too long: then it is let through."""
        try:
            while self.worst < MOST:
                await handle.send(b"x" * SIZE, cancel=self._stop)
                self.passed += 1
                self.worst = max(self.worst, self.passed - self._since)
        except OperationCancelled:
            return

    async def _take(self) -> None:
        try:
            while True:
                await self.channel.recv(cancel=self._stop)
        except OperationCancelled:
            return

    async def beside(self, handle: Any, act: Callable[[int], Awaitable[None]], number: int) -> None:
        """Act so many times, one after another, while this channel's ``handle`` is never without a message."""
        async with open_scope() as scope:
            scope.launch(self._take)
            for _ in range(SENDERS):
                scope.launch(self._feed, handle)
            while self.passed < SENDERS:
                await sleep(0.0005)
            for n in range(number):
                self._since = self.passed
                await act(n)
            self._stop.trigger()

    def judge(self, book: Book, what: str) -> None:
        """``what`` is the plural of the act."""
        book.figure(f"most messages of bulk before one of the {what}", self.worst)
        book.check(f"none of the {what} waited until bulk ended", self.worst < MOST, self.worst)
