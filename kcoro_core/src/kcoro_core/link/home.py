# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's end of a link: carries the peer's requests out on channels of this process.

What the peer may open is decided in ``opening.py``; what cannot be done at once waits in its channel (``parked.py``),
stands there for elements ahead (``kept.py``), or as a clause of a select (``hints.py``).

Rule 1: each request gets exactly one answer.
Rule 2: at most ``budget`` bytes travel to a peer unconfirmed; beyond, its receives keep their places, passed over.
Rule 3: nothing of a peer's outlives its link: what was parked is withdrawn, what travelled is put back or reported.
Rule 4: no method suspends, and none raises for what a peer has sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine import CLOSED, OK, WOULD_BLOCK
from ..hosts.port import Handle as Timer
from ..hosts.port import Host
from ..transport import Identity
from ..wire import events
from ..wire.codes import WireCode
from ..wire.connection import Connection
from ..wire.messages import ChannelInfo, OpenFlag
from ..wire.remote_select import Readiness
from .bound import Bound
from .closing import reason_of
from .exports import Exports
from .feed import Feed
from .hints import Hints
from .identity import Authorize
from .kept import Kept
from .made import Made
from .opening import Opening, room_of
from .parked import WOULD_WAIT, ParkedRequests

__all__ = ["Home"]


class Home:
    """Requests of one peer on the channels that are exported to it."""

    def __init__(
        self,
        host: Host,
        wire: Connection,
        exports: Exports,
        authorize: Authorize,
        budget: int,
        flush: Callable[[], None],
        owe: Callable[[], None],
        made: Made | None = None,
        datagram_limit: Callable[[], int] = lambda: 0,
    ) -> None:
        self.now = host.now
        self._wire = wire
        self._budget = budget
        self._flush = flush
        self._opening = Opening(wire, exports, authorize, made, (owe, flush))
        self._bound: dict[int, Bound] = {}
        self._parked = ParkedRequests(self, host.now)
        self._travelling_bytes = 0
        self._holding = False
        self._hints = Hints(self)
        self._call_at = host.call_at
        self._datagram_limit = datagram_limit
        self.handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.OpenRequested: self._on_open,
            events.SendRequested: self._on_send,
            events.RecvRequested: self._on_recv,
            events.InfoRequested: self._on_info,
            events.ListRequested: self._opening.list,
            events.CloseRequested: self._on_close,
            events.ElementTaken: self._on_taken,
            events.ElementsReturned: self._on_returned,
            events.DataReceived: self._on_data,
            events.SlotsReturned: self._on_slots_returned,
            events.AheadReturned: self._on_ahead_returned,
            events.RegisterRequested: self._hints.on_register,
            events.ClaimRequested: self._hints.on_claim,
        }

    def agree(self, identity: Identity, max_message: int) -> None:
        """The handshake is over: who the peer is, and how large an element may be."""
        self._opening.agree(identity, max_message)

    @property
    def open_channels(self) -> int:
        """How many handles the peer has on channels of this side."""
        return len(self._bound)

    def name_of(self, channel_id: int) -> str | None:
        """The name under which the peer opened this handle; None for channel 0."""
        bound = self._bound.get(channel_id)
        return None if bound is None else bound.name

    @property
    def waiting(self) -> int:
        """How many requests of the peer wait in channels of this side, clauses of its selects included."""
        return len(self._parked) + len(self._hints)

    @property
    def travelling_bytes(self) -> int:
        """What the elements cost that are on their way to the peer, or there and not confirmed."""
        return self._travelling_bytes

    @property
    def travelling(self) -> int:
        """How many elements are on their way to the peer, or there and not confirmed."""
        return sum(len(bound.travelling) for bound in self._bound.values())

    # -- for clauses of the peer's selects

    @property
    def wire(self) -> Connection:
        """The connection that carries the answers."""
        return self._wire

    @property
    def peer_node(self) -> bytes:
        """The id of the peer's node."""
        return b"" if self._wire.peer is None else self._wire.peer.node_id

    @property
    def holding(self) -> bool:
        """Whether so much travels unconfirmed that nothing more may be sent to this peer."""
        return self._holding

    def bound(self, channel_id: int) -> Bound:
        """The handle of the peer of that id."""
        return self._bound[channel_id]

    def call_later(self, seconds: float, fn: Callable[[], object]) -> Timer:
        """Have ``fn`` called once, that many seconds from now, unless the result is cancelled before."""
        return self._call_at(self.now() + seconds, fn)

    def notify(self, registration: int, what: Readiness, token: int) -> None:
        """Tell a registration something."""
        self._wire.notify(registration, what, token)
        self._flush()

    def flush(self) -> None:
        """Write what is queued."""
        self._flush()

    # -- handles

    def _on_open(self, asked: events.OpenRequested) -> None:
        bound = self._opening.open(asked)
        if bound is None:
            return
        self._bound[asked.channel_id] = bound
        if asked.wanted.flags & OpenFlag.LOSSY and self._wire.start_lossy(bound.id):
            bound.feed = Feed(self, bound, self._datagram_limit)
            bound.feed.go_on()

    def detached(self, channel_id: int) -> None:
        """The peer gave a handle up; its requests were cancelled and its elements returned before."""
        bound = self._bound.pop(channel_id, None)
        if bound is not None:
            bound.release()

    # -- sending and receiving

    def _on_send(self, asked: events.SendRequested) -> None:
        bound = self._bound[asked.channel_id]
        lent = bound.lent
        answer = bound.channel._core.send_now(asked.element) if lent is None or lent.ended else lent.on_send(asked)
        if answer is OK:
            self._wire.done(asked.request_id)
            if lent is not None:
                lent.answered()
        elif answer is CLOSED:
            bound.refuse_closed(asked.request_id)
        else:
            self._parked.park(bound, asked, True, asked.element)

    def _on_data(self, news: events.DataReceived) -> None:
        if (lent := self._bound[news.channel_id].lent) is not None:
            lent.on_data(news)

    def _on_slots_returned(self, news: events.SlotsReturned) -> None:
        if (lent := self._bound[news.channel_id].lent) is not None:
            lent.on_returned(news)

    def _on_recv(self, asked: events.RecvRequested) -> None:
        bound = self._bound[asked.channel_id]
        if asked.ahead or (bound.kept is not None and not bound.kept.recalled):
            self._stand(bound, asked)
            return
        value = WOULD_BLOCK if self._holding else bound.channel._core.recv_now()
        if value is CLOSED:
            bound.refuse_closed(asked.request_id)
        elif value is not WOULD_BLOCK:
            self.push(bound, asked.request_id, value)
        else:
            self._parked.park(bound, asked, False, None)

    def _stand(self, bound: Bound, asked: events.RecvRequested) -> None:
        """A receive that nobody waits for, or one of the same peer behind such ones."""
        kept = bound.kept
        if kept is None:
            kept = Kept(bound, self.push, self._parked.park_ahead, lambda: self._holding, self._flush)
            if bound.declined or not bound.core.keep(kept):
                bound.declined = True  # for good: another one could overtake what is asked for instead of this one
                self._wire.refuse(asked.request_id, WireCode.ENOTSUP, "nothing is sent ahead here")
                return
            bound.kept = kept
        if kept.recalled:  # it has crossed the RECALL
            self._parked.park_ahead(bound, asked.request_id)
        elif kept.stand(asked.request_id) and asked.timeout_ms == 0 and not self._holding:
            kept.withdraw(asked.request_id)
            bound.refuse_try(asked.request_id, WOULD_WAIT[False])

    def _on_ahead_returned(self, news: events.AheadReturned) -> None:
        if (kept := self._bound[news.channel_id].kept) is not None:
            kept.end()

    def push(self, bound: Bound, request_id: int, value: object, ahead: bool = False) -> None:
        """Answer a receive, or a claim, with an element that was just taken out of the channel."""
        before = bound.travelling_bytes
        bound.push(request_id, value, ahead)
        self.carry(bound.travelling_bytes - before)

    def carry(self, cost: int) -> None:
        """So many bytes more, by ``charge``, are held for this peer; or fewer: then others may go on."""
        if cost < 0:
            self._settled(-cost)
            return
        self._travelling_bytes += cost
        if self._travelling_bytes >= self._budget and not self._holding:
            self._holding = True
            self._parked.hold()
            for feed in self._feeds():
                feed.hold()

    def _on_taken(self, news: events.ElementTaken) -> None:
        bound = self._bound[news.channel_id]
        before = bound.travelling_bytes
        bound.taken(news.request_id)
        self._settled(before - bound.travelling_bytes)

    def _on_returned(self, news: events.ElementsReturned) -> None:
        bound = self._bound[news.channel_id]
        before = bound.travelling_bytes
        bound.returned(news.request_ids, news.redelivered)
        self._settled(before - bound.travelling_bytes)

    # -- giving up

    def cancel(self, asked: events.CancelRequested) -> None:
        """The peer gives a request up that may wait in a channel."""
        kept = self._bound[asked.channel_id].kept if asked.channel_id in self._bound else None
        if self._withdraw(asked.request_id) or (kept is not None and kept.withdraw(asked.request_id)):
            self._wire.refuse(asked.request_id, WireCode.ECANCELED)

    def _withdraw(self, request_id: int) -> bool:
        return self._parked.withdraw(request_id) or self._hints.withdraw(request_id)

    # -- holding: too much travels unconfirmed

    def _settled(self, freed_bytes: int) -> None:
        self._travelling_bytes -= freed_bytes
        if self._holding and self._travelling_bytes < self._budget:
            self._holding = False
            self._parked.go_on()
            for bound in self._bound.values():
                if bound.kept is not None:
                    bound.kept.arrived()
            for feed in self._feeds():
                feed.go_on()
            self._hints.review()

    def _feeds(self) -> list[Feed]:
        return [bound.feed for bound in self._bound.values() if bound.feed is not None and not bound.feed.ended]

    # -- asking and closing

    def _on_info(self, asked: events.InfoRequested) -> None:
        channel = self._bound[asked.channel_id].channel
        now = channel.snapshot()
        self._wire.inform(
            asked.request_id,
            ChannelInfo(
                kind=now.kind,
                overflow=now.overflow,
                closed=now.closed,
                capacity=room_of(channel),
                length=now.length,
                peak_length=now.peak_length,
                waiting_senders=now.waiting_senders,
                waiting_receivers=now.waiting_receivers,
                sent=now.sent,
                received=now.received,
                dropped=now.dropped,
            ),
        )

    def _on_close(self, asked: events.CloseRequested) -> None:
        channel = self._bound[asked.channel_id].channel
        reason = reason_of(asked.closing)
        if asked.closing.cancel:
            channel.cancel(reason)
        else:
            channel.close(reason)
        self._wire.done(asked.request_id)

    # -- the end

    def refuse_receives(self, text: str) -> int:
        """Tell each receive and clause of the peer that waits that it will not be done; how many there were."""
        for feed in self._feeds():
            feed.end(WireCode.EPIPE, text)
        waiting = self._parked.receives
        for request_id in waiting:
            self._withdraw(request_id)
        waiting += self._hints.leave()
        for request_id in waiting:
            self._wire.refuse(request_id, WireCode.EPIPE, text)
        if waiting:
            self._flush()
        return len(waiting)

    def leave(self, text: str) -> None:
        """This side says goodbye: tell each request that waits that it will not be done."""
        for request_id in self._parked:
            self._withdraw(request_id)
            self._wire.refuse(request_id, WireCode.EPIPE, text)
        for kept in [bound.kept for bound in self._bound.values() if bound.kept is not None]:
            for request_id in list(kept.standing):
                kept.withdraw(request_id)
                self._wire.refuse(request_id, WireCode.EPIPE, text)
        for request_id in self._hints.leave():
            self._wire.refuse(request_id, WireCode.EPIPE, text)
        for feed in self._feeds():
            feed.end(WireCode.EPIPE, text)

    def lost(self, report: events.LossReport) -> int:
        """The connection is over: withdraw what waits, settle what travelled; how many in doubt were put back."""
        requeued = 0
        self._hints.lost()
        for asked in report.parked:
            self._withdraw(asked.request_id)
        bound, self._bound = self._bound, {}
        for one in bound.values():
            requeued += one.lost([element for element in report.elements if element.channel_id == one.id])
            one.release()
        self._opening.lost()
        self._travelling_bytes = 0
        return requeued
