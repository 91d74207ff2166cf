# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The opener's end of a link: the handles of this side, what was asked of the other side, and who hears the answers.

The counterpart of ``home.py``. Whoever asks has queued the frame in the protocol already; here is noted who wants to
know what becomes of it: a task that waits (``pending.py``) or a select (``selecting.py``). Calls are told by
``calls.py``, since nobody need wait for them.

Rule 1: each request that is entered is told once how it ended, unless whoever asked has forgotten it before.
Rule 2: an element that nobody waits for any more goes back, or stays here for the next receive, where they come ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..claiming import RemoteSelect
from ..hosts.port import Handle
from ..semantics import Undelivered
from ..wire import events
from ..wire.codes import WireCode, error_of
from ..wire.commands import Command, is_call
from ..wire.states import State
from .bound import Redelivered
from .calls import Calling
from .ending import Ending
from .lossy import LossyChannel
from .pending import Pending
from .prefetch import Prefetch
from .remote import RemoteChannel
from .selecting import Followed

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Opener"]

FEW: Final = 4
"""With so many requests in flight each is written at once; with more, those of one turn are written together."""


class Opener:
    """What one side of a link has opened and asked; ``handlers`` hear what the other side says to it."""

    def __init__(self, link: Link, calling: Calling) -> None:
        self._link = link
        self._host = link.host
        self._wire = link.wire
        self._pump = link.pump
        self._flush = link.pump.flush
        self._calling = calling
        self._channels: dict[int, RemoteChannel] = {}
        self._requests: dict[int, Pending | Followed] = {}
        self._expectant: dict[RemoteSelect, None] = {}  # selects with turns that came with what is being heard
        self.handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.CallAnswered: calling.on_answer,
            events.Opened: self._on_opened,
            events.ReplyReceived: self._on_reply,
            events.ElementReceived: self._on_element,
            events.InfoReceived: self._on_info,
            events.NamesReceived: self._on_names,
            events.Notified: self._on_notified,
            events.RequestInDoubt: self._on_in_doubt,
            events.ChannelCloseHeard: self._on_close_heard,
            events.AheadRecalled: self._on_ahead_recalled,
            events.DataInDoubt: self._on_data_in_doubt,
            events.LossyReceived: self._on_lossy_received,
            events.LossyEnded: self._on_lossy_ended,
        }

    # -- for handles, calls and selects

    @property
    def open_channels(self) -> int:
        """How many handles of this side are open."""
        return len(self._channels)

    def handle_of(self, channel: int | RemoteChannel) -> RemoteChannel | None:
        """The handle of this link that a call names; None for 0, the link itself. Raises ValueError for any other."""
        handle = channel if isinstance(channel, RemoteChannel) else self._channels.get(channel)
        if handle is not None and handle._link is self._link:
            handle._check_attached()
            return handle
        if channel == 0:
            return None
        raise ValueError(f"{channel!r} is no open handle of {self._link!r}; 0 calls without a channel")

    def request(self, number: int, sending: bool, about: object, channel_id: int = 0) -> Pending:
        """A task is going to wait for the answer to this request, which was just queued."""
        op = self._requests[number] = Pending(self._link, self._host, number, sending, about, channel_id)
        self._flush(crowded=len(self._requests) > FEW)
        return op

    def reader(self) -> Handle | None:
        """What waits for frames, if the request that was just queued is the only one that waits for an answer."""
        return self._pump.reader if len(self._requests) == 1 else None

    def follow(self, number: int, op: Pending | Followed) -> None:
        """Tell ``op`` what becomes of this request, which was just queued."""
        self._requests[number] = op

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more; harmless when it has come."""
        self._requests.pop(number, None)

    def withdraw(self, number: int) -> bool:
        """Give a request up; True when it was not written, and is gone."""
        if not self._wire.in_flight(number):
            return False
        gone = self._wire.cancel(number, self._host.now())
        if gone:
            self.forget(number)  # decided: the end of the link, should it come before its task runs, is not its end
        else:
            self._flush()
            self._pump.set_timer()  # for the end of the grace
        return gone

    def detach(self, channel: RemoteChannel) -> None:
        """Give a handle up; receives end at once, the other requests with the home's answer."""
        if self._wire.state is not State.OPEN:
            return
        for number in self._wire.detach(channel._id):
            if (op := self._requests.pop(number, None)) is not None:
                op.refuse(channel.detached_error())
        channel._core.lost(channel.detached_error)
        self._flush()

    def expect(self, select: RemoteSelect) -> None:
        """Have a select look once all that has arrived was heard."""
        self._expectant[select] = None
        self._pump.on_heard = self._on_heard

    def _on_heard(self) -> None:
        """All that had arrived was heard: selects that have turns choose now."""
        self._pump.on_heard = None
        while self._expectant:
            select = next(iter(self._expectant))
            del self._expectant[select]
            select.look()

    # -- answers to requests

    def _on_opened(self, news: events.Opened) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is None:
            if self._wire.state is State.OPEN:  # else the farewell gives up all handles
                self._wire.detach(news.channel_id)
            return
        make = LossyChannel if news.lossy else RemoteChannel
        channel = make(self._link, str(op.about), news.channel_id, news.attributes)
        channel._on_undelivered = getattr(op.about, "on_undelivered", None)
        self._channels[news.channel_id] = channel
        op.succeed(channel)

    def _on_reply(self, news: events.ReplyReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is None:
            if is_call(news.command):
                channel = self._channels.get(news.channel_id)
                self._calling.on_reply(news, detached=channel is not None and channel._detached)
            elif news.command is Command.RECV and (ahead := self._ahead_of(news.channel_id)) is not None:
                ahead.refused(news)
            return
        if not news.code:
            op.succeed()
        elif news.code == WireCode.ECANCELED and op.asked_to_cancel:
            op.not_done()
        elif not self._answered_ahead(news, op):
            op.refuse(self._error_of(news))

    def _answered_ahead(self, news: events.ReplyReceived, op: Pending | Followed) -> bool:
        """Whether this is no answer to ``op``, which received where elements come ahead, and goes on or has one."""
        ahead = self._ahead_of(news.channel_id) if news.command is Command.RECV else None
        return ahead is not None and ahead.answered(news, op)

    def _error_of(self, news: events.ReplyReceived) -> Exception:
        channel = self._channels.get(news.channel_id)
        if channel is None:
            return error_of(news.code, news.text)
        if news.code == WireCode.EPIPE:
            return channel.closed_error(news.text)
        if news.code == WireCode.ECANCELED and channel._detached:
            return channel.detached_error()
        return error_of(news.code, f"{news.text or 'refused'}: {channel!r}")

    def _on_element(self, news: events.ElementReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        ahead = self._ahead_of(news.channel_id)
        element = Redelivered(news.element) if news.redelivered else news.element
        if op is None:
            if ahead is None or not ahead.arrived(news.request_id, element):
                self._wire.putback(news.request_id)
            return
        if ahead is not None:
            op.succeed(ahead.exchange(news.request_id, element))
            return
        self._wire.taken(news.request_id)
        op.succeed(element)

    def _on_info(self, news: events.InfoReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is not None:
            op.succeed(news.info)

    def _on_names(self, news: events.NamesReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is not None:
            op.succeed(news)

    def _on_notified(self, news: events.Notified) -> None:
        op = self._requests.get(news.request_id)
        if op is not None:
            op.notified(news.events, news.token)

    def _on_in_doubt(self, news: events.RequestInDoubt) -> None:
        channel = self._channels.get(news.channel_id)
        if channel is not None and news.sends:
            channel._doubtful += 1
        op = self._requests.pop(news.request_id, None)
        if op is not None:
            op.doubt()
        elif is_call(news.command):
            self._calling.on_in_doubt(news.request_id)

    def _ahead_of(self, channel_id: int) -> Prefetch | None:
        channel = self._channels.get(channel_id)
        return None if channel is None else channel._prefetch

    # -- news of handles

    def _on_ahead_recalled(self, news: events.AheadRecalled) -> None:
        if (ahead := self._ahead_of(news.channel_id)) is not None:
            ahead.recalled()

    def _on_close_heard(self, news: events.ChannelCloseHeard) -> None:
        channel = self._channels.get(news.channel_id)
        if channel is not None:
            channel._heard(news.closing)

    def _on_data_in_doubt(self, news: events.DataInDoubt) -> None:
        channel = self._channels[news.channel_id]
        for element in news.elements:
            channel.undelivered(element, Undelivered.IN_DOUBT)

    def _on_lossy_received(self, news: events.LossyReceived) -> None:
        channel = self._channels.get(news.channel_id)
        if isinstance(channel, LossyChannel):
            channel.came(news.element, news.gap)

    def _on_lossy_ended(self, news: events.LossyEnded) -> None:
        channel = self._channels.get(news.channel_id)
        if isinstance(channel, LossyChannel):
            channel.ended(news.code, news.text, news.gap)

    def detached(self, channel_id: int) -> None:
        """A handle is gone, at both sides."""
        self._channels.pop(channel_id, None)

    # -- the end

    def count(self, loss: events.LossReport) -> dict[int, tuple[str, int]]:
        """The link is over: by channel id the name of each handle, and how many of its sends nobody knows about.

        From now on nothing comes ahead.
        """
        for channel in self._channels.values():
            if channel._prefetch is not None:
                channel._prefetch.end()
        for lost in loss.data:
            self._channels[lost.channel_id]._doubtful += 1
        return {channel_id: (one.name, one._doubtful) for channel_id, one in self._channels.items()}

    def lost(self, ending: Ending) -> None:
        """The link is over: tell everybody who waits for an answer, each handle, and each element that may be lost."""
        requests = dict(self._requests)
        self._requests.clear()
        for number, op in requests.items():
            op.lose(ending.error(op.about, op.channel_id), ending.is_in_doubt(number))
        for channel in self._channels.values():
            channel.link_ended()
            channel._core.lost(partial(ending.error, channel, channel.id))
        self._calling.lost(ending)
        for lost in ending.loss.data:
            self._channels[lost.channel_id].undelivered(lost.element, Undelivered.IN_DOUBT)
