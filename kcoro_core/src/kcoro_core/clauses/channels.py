# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clauses of channels: an element comes, or an element goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..channel import Channel
from ..engine import CLOSED, OK, WOULD_BLOCK
from ..halves import Receiver, Sender
from ..hosts.port import Host, current_host, find_host
from ..semantics import WAITING

if TYPE_CHECKING:
    from ..claiming import RemoteEnd
    from ..link.remote import RemoteChannel
    from ..reference.waiter import SelectOperation, Waiter

__all__ = ["Recv", "Send", "check_loops"]

T = TypeVar("T")


def _channel_of(end: object, half: str) -> Any:
    """The channel behind a channel or a half of the right direction.

    :raises ValueError: it is something else, or the wrong half.
    """
    if isinstance(end, Channel):
        return end
    if isinstance(end, Sender if half == "Sender" else Receiver):
        return end.channel
    if getattr(end, "is_remote", False):
        return end
    raise ValueError(f"this clause needs a Channel or a {half}, not {end!r}")


class _ChannelClause:
    """What Recv and Send share: registering with the channel and leaving it.

    The end of a link stands in for a channel of this process; then ``poll`` tells only what is known here, and the
    select asks the home (``claiming.py``).
    """

    sending: bool

    def __init__(self, channel: Channel[Any]) -> None:
        self.channel = channel
        self.engine: str | None = channel._engine.name
        self.is_remote: bool = channel.is_remote

    def check_loop(self, host: Host | None) -> None:
        """Refuse a channel of another run."""
        self.channel._enter(host)

    def register(self, w: Waiter) -> None:
        """Queue behind those that wait already; the channel belongs to this run from now on."""
        self.channel._home = current_host()
        self.channel._core.enqueue(w)

    def withdraw(self, w: Waiter) -> None:
        """Leave the queue."""
        self.channel._core.withdraw(w)

    @property
    def end(self) -> RemoteEnd:
        """The end of a link, for a remote clause."""
        return cast("RemoteEnd", self.channel._core)


class Recv(_ChannelClause):
    """Ready when the channel has an element, a waiting sender, or is closed and drained; the value is the element."""

    sending = False
    value = None

    def __init__(self, channel: Channel[T] | Receiver[T] | RemoteChannel) -> None:
        super().__init__(_channel_of(channel, "Receiver"))

    def __repr__(self) -> str:
        return f"Recv({self.channel!r})"

    def poll(self, w: Waiter) -> bool:
        """Take the oldest element, if there is one."""
        if w.claim != WAITING:
            return False
        value = self.channel._core.recv_now()
        if value is WOULD_BLOCK:
            return False
        if value is CLOSED:
            return w.shut(self.channel._shut_error())
        w.win()
        w.finish(value)
        return True

    def poll_again(self, op: SelectOperation, index: int, w: Waiter) -> None:
        """As ``poll``, once registered: the select claims itself meanwhile, so that it cannot meet itself."""
        op.begin_claim(index)
        value = self.channel._core.recv_now()
        if value is WOULD_BLOCK:
            op.end_claim()
        elif value is CLOSED:
            op.end_claim()
            w.shut(self.channel._shut_error())
        else:
            op.win_claim()
            w.finish(value)


class Send(_ChannelClause):
    """Ready when a receiver waits, there is room, or the channel is closed; a clause that loses has not sent."""

    sending = True

    def __init__(self, channel: Channel[T] | Sender[T] | RemoteChannel, value: T) -> None:
        super().__init__(_channel_of(channel, "Sender"))
        self.value = value

    def __repr__(self) -> str:
        return f"Send({self.channel!r}, {self.value!r})"

    def poll(self, w: Waiter) -> bool:
        """Hand over or queue the value, if somebody or room is there."""
        if w.claim != WAITING:
            return False
        answer = self.channel._core.send_now(self.value)
        if answer is WOULD_BLOCK:
            return False
        if answer is OK:
            w.win()
            w.finish()
            return True
        return w.shut(self.channel._shut_error())

    def poll_again(self, op: SelectOperation, index: int, w: Waiter) -> None:
        """As ``poll``, once registered: the select claims itself meanwhile, so that it cannot meet itself."""
        op.begin_claim(index)
        answer = self.channel._core.send_now(self.value)
        if answer is OK:
            op.win_claim()
            w.finish()
            return
        op.end_claim()
        if answer is CLOSED:
            w.shut(self.channel._shut_error())


def check_loops(clauses: list[Any]) -> None:
    """Refuse channels, tokens and tasks of another run before any clause is polled.

    :raises WrongLoop: one of them belongs elsewhere.
    """
    host = find_host()
    for clause in clauses:
        check = getattr(clause, "check_loop", None)
        if check is not None:
            check(host)
