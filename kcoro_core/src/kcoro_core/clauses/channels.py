# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clauses of channels: an element comes, or an element goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ..engine import CLOSED, OK, WOULD_BLOCK
from ..errors import NotSupported
from ..hosts.port import Host, current_host, find_host
from ..semantics import WAITING

if TYPE_CHECKING:
    from ..channel import Channel
    from ..halves import Receiver, Sender
    from ..reference.waiter import Waiter

__all__ = ["Recv", "Send", "check_loops"]

T = TypeVar("T")


def _channel_of(end: object, half: str) -> Any:
    """The channel behind a channel or a half of the right direction.

    :raises ValueError: it is something else, or the wrong half.
    """
    from ..channel import Channel
    from ..halves import Receiver, Sender

    if isinstance(end, Channel):
        return end
    if isinstance(end, Sender if half == "Sender" else Receiver):
        return end.channel
    if getattr(end, "is_remote", False):
        raise NotSupported(f"select over a remote channel is not built yet: {end!r}; use send and recv with a timeout")
    raise ValueError(f"this clause needs a Channel or a {half}, not {end!r}")


class _ChannelClause:
    """What Recv and Send share: registering with the channel and leaving it."""

    sending: bool

    def __init__(self, channel: Channel[Any]) -> None:
        self.channel = channel
        self.engine: str | None = channel._engine.name
        self._core = channel._core

    def check_loop(self, host: Host | None) -> None:
        """Refuse a channel of another run."""
        self.channel._enter(host)

    def register(self, w: Waiter) -> None:
        """Queue behind those that wait already; the channel belongs to this run from now on."""
        self.channel._home = current_host()
        self._core.enqueue(w)

    def withdraw(self, w: Waiter) -> None:
        """Leave the queue."""
        self._core.withdraw(w)


class Recv(_ChannelClause):
    """Ready when the channel has an element, a waiting sender, or is closed and drained; the value is the element."""

    sending = False
    value = None

    def __init__(self, channel: Channel[T] | Receiver[T]) -> None:
        super().__init__(_channel_of(channel, "Receiver"))

    def __repr__(self) -> str:
        return f"Recv({self.channel!r})"

    def poll(self, w: Waiter) -> bool:
        """Take the oldest element, if there is one."""
        if w.claim != WAITING:
            return False
        value = self._core.recv_now()
        if value is WOULD_BLOCK:
            return False
        if value is CLOSED:
            return w.shut(self.channel.closed_error())
        w.win()
        w.finish(value)
        return True


class Send(_ChannelClause):
    """Ready when a receiver waits, there is room, or the channel is closed; a clause that loses has not sent."""

    sending = True

    def __init__(self, channel: Channel[T] | Sender[T], value: T) -> None:
        super().__init__(_channel_of(channel, "Sender"))
        self.value = value

    def __repr__(self) -> str:
        return f"Send({self.channel!r}, {self.value!r})"

    def poll(self, w: Waiter) -> bool:
        """Hand over or queue the value, if somebody or room is there."""
        if w.claim != WAITING:
            return False
        answer = self._core.send_now(self.value)
        if answer is WOULD_BLOCK:
            return False
        if answer is OK:
            w.win()
            w.finish()
            return True
        return w.shut(self.channel.closed_error())


def check_loops(clauses: list[Any]) -> None:
    """Refuse channels, tokens and tasks of another run before any clause is polled.

    :raises WrongLoop: one of them belongs elsewhere.
    """
    host = find_host()
    for clause in clauses:
        check = getattr(clause, "check_loop", None)
        if check is not None:
            check(host)
