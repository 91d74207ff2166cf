# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Typed halves of a channel: counted, clonable, and closed on their own; what a function should be given.

Rule 1: the last sender out closes the channel; the last receiver out cancels it, so that no sender waits for nobody.
Rule 2: a half that is closed is misuse to call: ValueError, as for a closed file.

Both are channels in the sense of ``trio.abc``: ``receive`` ends with ``trio.EndOfChannel``, ``aclose`` closes the half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

import trio

from .channel import Channel, end_of_iteration
from .engine import ChannelSnapshot
from .errors import ChannelClosed
from .hosts.port import current_host, find_host

if TYPE_CHECKING:
    from .cancel import CancelToken

__all__ = ["Receiver", "Sender"]

T = TypeVar("T")


class _Half(Generic[T]):
    """What both halves share: the channel, whether this half is open, and the ways to close it."""

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel
        self._open = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{'' if self._open else ' closed'} of {self._channel!r}>"

    @property
    def channel(self) -> Channel[T]:
        """The channel behind this half, for clauses and for export.

        :raises ValueError: this half is closed.
        """
        if not self._open:
            raise ValueError(f"{self!r} was closed; clone it before closing if it is needed again")
        return self._channel

    @property
    def closed(self) -> bool:
        """Whether this half was closed; the channel may still be open through others."""
        return not self._open

    def snapshot(self) -> ChannelSnapshot:
        """State and counters of the channel."""
        return self._channel.snapshot()

    def close(self) -> None:
        """Give up this half; harmless the second time."""
        if self._open:
            self._channel._enter(find_host())  # before the count changes
            self._open = False
            self._leave()

    def _leave(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        """``close``, and a checkpoint, as trio expects of it."""
        self.close()
        await current_host().checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Sender(_Half[T], trio.abc.SendChannel[T]):
    """The sending half of a channel."""

    def __init__(self, channel: Channel[T]) -> None:
        super().__init__(channel)
        channel.open_senders += 1

    def clone(self) -> Sender[T]:
        """Another open sending half of the same channel."""
        return Sender(self.channel)

    async def send(self, value: T, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """As ``Channel.send``."""
        await self.channel.send(value, timeout, cancel)

    def try_send(self, value: T) -> None:
        """As ``Channel.try_send``."""
        self.channel.try_send(value)

    def _leave(self) -> None:
        self._channel.open_senders -= 1
        if not self._channel.open_senders:
            self._channel.close()


class Receiver(_Half[T], trio.abc.ReceiveChannel[T]):
    """The receiving half of a channel."""

    def __init__(self, channel: Channel[T]) -> None:
        super().__init__(channel)
        channel.open_receivers += 1

    def clone(self) -> Receiver[T]:
        """Another open receiving half of the same channel."""
        return Receiver(self.channel)

    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> T:
        """As ``Channel.recv``."""
        return await self.channel.recv(timeout, cancel)

    def try_recv(self) -> T:
        """As ``Channel.try_recv``."""
        return self.channel.try_recv()

    async def receive(self) -> T:
        """``recv`` under trio's name, with trio's exception at the end of an orderly closed channel.

        :raises trio.EndOfChannel: closed and drained, without an exception as reason.
        """
        try:
            return await self.recv()
        except ChannelClosed as closed:
            if isinstance(closed.reason, BaseException):
                raise
            raise trio.EndOfChannel from closed

    async def __anext__(self) -> T:
        try:
            return await self.recv()
        except ChannelClosed as closed:
            end = end_of_iteration(closed)
            raise end from end.__cause__

    def _leave(self) -> None:
        self._channel.open_receivers -= 1
        if not self._channel.open_receivers:
            self._channel.cancel("the last receiver was closed")
