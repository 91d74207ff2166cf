# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's end of a link: carries the peer's requests out on channels of this process.

A request that would wait parks an operation in the channel like any local one; its parker is not a host but the answer
that goes back. So a peer's send and a task's send stand in one queue, and the channel knows no difference.

Rule 1: each request gets exactly one answer, and each operation that is parked here has a request that waits for it.
Rule 2: at most ``budget`` bytes travel to a peer unconfirmed; beyond, its receives keep their places, passed over.
Rule 3: nothing of a peer's outlives its link: what was parked is withdrawn, what travelled is put back or reported.
Rule 4: no method suspends, and none raises for what a peer has sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

from attrs import define

from ..channel import Channel
from ..engine import CLOSED, OK, WOULD_BLOCK
from ..hosts.port import Handle as Timer
from ..hosts.port import Host
from ..reference.waiter import Operation
from ..semantics import CANCELLED, TIMED_OUT, limit_of
from ..transport import Identity
from ..wire import events
from ..wire.codes import WireCode
from ..wire.connection import Connection
from ..wire.messages import FOREVER_MS, Attributes, ChannelInfo, Listed, OpenFlag, OpenRequest, Rights
from ..wire.remote_select import Readiness
from .bound import Bound
from .closing import reason_of
from .exports import Export, Exports
from .hints import Hints
from .identity import Authorize, allowed
from .kept import Kept
from .lent import lend
from .made import Made

__all__ = ["Home"]

MOST_NAMES = 1000
"""More than fit into one page: what the rule need not be asked about for this answer."""

_WOULD_WAIT = {True: "no receiver waits and there is no room", False: "there is nothing to receive"}


@define(eq=False)
class _Parked:
    """One request of the peer that waits in a channel; the parker of its operation. ``deadline`` by our clock."""

    home: Home
    bound: Bound
    request_id: int
    deadline: float
    is_try: bool
    size: int = 0  # of the element that is offered

    def unpark(self, op: Operation) -> None:
        """The channel has decided; runs in the step of whoever decided it."""
        self.home.decided(self, op)


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
    ) -> None:
        self._now = host.now
        self._wire = wire
        self._exports = exports
        self._authorize = authorize
        self._budget = budget
        self._flush = flush
        self._owe = owe
        self._identity = Identity("none")
        self.made: Made | None = None
        self._max_message = 0
        self._bound: dict[int, Bound] = {}
        self._parked: dict[int, tuple[_Parked, Operation]] = {}
        self._travelling_bytes = 0
        self._holding = False
        self._hints = Hints(self)
        self._call_at = host.call_at
        self.handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.OpenRequested: self._on_open,
            events.SendRequested: self._on_send,
            events.RecvRequested: self._on_recv,
            events.InfoRequested: self._on_info,
            events.ListRequested: self._on_list,
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
        self._identity = identity
        self._max_message = max_message

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
        """Have ``fn`` called then."""
        return self._call_at(self._now() + seconds, fn)

    def notify(self, registration: int, what: Readiness, token: int) -> None:
        """Tell a registration something."""
        self._wire.notify(registration, what, token)
        self._flush()

    def flush(self) -> None:
        """Write what is queued."""
        self._flush()

    # -- opening

    def _on_open(self, asked: events.OpenRequested) -> None:
        export = self._exports.get(asked.wanted.name)
        if export is None and asked.wanted.flags & OpenFlag.CREATE and self.made is not None:
            made = self.made.make(self._identity, asked.wanted)
            if isinstance(made, Export):
                self._bind(asked, made, made.rights)
            else:
                self._wire.refuse(asked.request_id, *made)
        elif export is None:
            self._wire.refuse(asked.request_id, WireCode.ENOENT, f"nothing is exported as {asked.wanted.name!r}")
        else:
            self._open(asked, export)

    def _open(self, asked: events.OpenRequested, export: Export) -> None:
        rights = allowed(self._authorize, self._identity, export.name, export.rights)
        if not rights:
            self._wire.refuse(asked.request_id, WireCode.EACCES, f"you may not use {export.name!r}")
        elif (misfit := _misfit(asked.wanted, export.channel)) is not None:
            self._wire.refuse(asked.request_id, *misfit)
        else:
            self._bind(asked, export, rights)

    def _bind(self, asked: events.OpenRequested, export: Export, rights: Rights) -> None:
        channel, size = export.channel, min(self._max_message, export.max_message)
        attributes = Attributes(channel.kind, channel.overflow, _room(channel), rights, size)
        if self._wire.accept(asked.request_id, attributes):
            bound = Bound(asked.channel_id, export.name, channel, size, export.requeues, self._wire)
            self._bound[asked.channel_id] = bound
            if asked.wanted.flags & OpenFlag.LEND:
                bound.lent = lend(asked.channel_id, channel, self._wire, _room(channel), (self._owe, self._flush))
            bound.watch_close(self._flush)

    def _on_list(self, asked: events.ListRequested) -> None:
        after = asked.after.encode()
        behind = sorted(name.encode() for name in self._exports if name.encode() > after)
        exports = (self._exports[name.decode()] for name in behind)
        offered = ((one, allowed(self._authorize, self._identity, one.name, one.rights)) for one in exports)
        page = islice((Listed(one.name, one.channel.kind, rights) for one, rights in offered if rights), MOST_NAMES)
        self._wire.names(asked.request_id, list(page))

    def detached(self, channel_id: int) -> None:
        """The peer gave a handle up; its requests were cancelled and its elements returned before."""
        bound = self._bound.pop(channel_id, None)
        if bound is not None:
            bound.release()

    # -- sending and receiving

    def _on_send(self, asked: events.SendRequested) -> None:
        bound = self._bound[asked.channel_id]
        lent = bound.lent
        answer = bound.core.send_now(asked.element) if lent is None or lent.ended else lent.on_send(asked)
        if answer is OK:
            self._wire.done(asked.request_id)
            if lent is not None:
                lent.answered()
        elif answer is CLOSED:
            bound.refuse_closed(asked.request_id)
        else:
            self._park(bound, asked, True, asked.element)

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
        value = WOULD_BLOCK if self._holding else bound.core.recv_now()
        if value is CLOSED:
            bound.refuse_closed(asked.request_id)
        elif value is not WOULD_BLOCK:
            self.push(bound, asked.request_id, value)
        else:
            self._park(bound, asked, False, None)

    def _stand(self, bound: Bound, asked: events.RecvRequested) -> None:
        """A receive that nobody waits for, or one of the same peer behind such ones."""
        kept = bound.kept
        if kept is None:
            kept = Kept(bound, self.push, self._park_ahead, lambda: self._holding, self._flush)
            if bound.declined or not bound.core.keep(kept):
                bound.declined = True  # for good: another one could overtake what is asked for instead of this one
                self._wire.refuse(asked.request_id, WireCode.ENOTSUP, "nothing is sent ahead here")
                return
            bound.kept = kept
        if kept.recalled:  # it has crossed the RECALL
            self._park_ahead(bound, asked.request_id)
        elif kept.stand(asked.request_id) and asked.timeout_ms == 0 and not self._holding:
            kept.withdraw(asked.request_id)
            bound.refuse_try(asked.request_id, _WOULD_WAIT[False])

    def _park_ahead(self, bound: Bound, request_id: int) -> None:
        """Have a receive wait in the channel, where nobody is served before the peer has returned what it has."""
        parked = _Parked(self, bound, request_id, math.inf, is_try=False)
        op = bound.channel._engine.select.operation(parked, False, None)
        self._parked[request_id] = (parked, op)
        bound.core.enqueue(op)

    def _on_ahead_returned(self, news: events.AheadReturned) -> None:
        if (kept := self._bound[news.channel_id].kept) is not None:
            kept.end()

    def push(self, bound: Bound, request_id: int, value: object, ahead: bool = False) -> None:
        """Answer a receive, or a claim, with an element that was just taken out of the channel."""
        before = bound.travelling_bytes
        bound.push(request_id, value, ahead)
        self._travelling_bytes += bound.travelling_bytes - before
        if self._travelling_bytes >= self._budget:
            self._hold()

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

    # -- parking

    def _park(
        self, bound: Bound, asked: events.SendRequested | events.RecvRequested, sending: bool, value: object
    ) -> None:
        patience = math.inf if asked.timeout_ms == FOREVER_MS else (asked.timeout_ms - 1) / 1000
        parked = _Parked(self, bound, asked.request_id, self._now() + patience, asked.timeout_ms == 0)
        op = bound.channel._engine.select.operation(parked, sending, value)
        if sending:
            parked.size = len(op.value)
        if self._holding and not sending:
            op.begin_claim(0)
            bound.core.enqueue(op)
        elif not parked.is_try:
            bound.core.enqueue(op)
        elif not bound.ask(op):
            bound.refuse_try(asked.request_id, _WOULD_WAIT[sending])
            return
        self._parked[asked.request_id] = (parked, op)

    def decided(self, parked: _Parked, op: Operation) -> None:
        """A parked operation was matched, or its channel closed: answer."""
        del self._parked[parked.request_id]
        if op.error is not None:
            parked.bound.refuse_closed(parked.request_id)
        elif op.claim == TIMED_OUT:  # a try that had to wait for the end of another link
            parked.bound.refuse_try(parked.request_id, _WOULD_WAIT[op.sending])
        elif op.sending:
            if parked.bound.lent is not None:
                parked.bound.lent.note_cost(parked.size)
            self._wire.done(parked.request_id)
        else:
            self.push(parked.bound, parked.request_id, op.value)
        self._flush()

    def _withdraw(self, request_id: int) -> bool:
        """Take a parked request out of its channel; False when it is not parked."""
        parked, op = self._parked.pop(request_id, (None, None))
        if parked is None or op is None:
            return self._hints.withdraw(request_id)
        parked.bound.core.withdraw(op)
        # CANCEL does not say why; the time hint does, to the millisecond in which it was rounded up.
        parked.bound.core.count_failure(TIMED_OUT if self._now() >= parked.deadline else CANCELLED)
        return True

    def cancel(self, asked: events.CancelRequested) -> None:
        """The peer gives a request up that may wait in a channel."""
        kept = self._bound[asked.channel_id].kept if asked.channel_id in self._bound else None
        if self._withdraw(asked.request_id) or (kept is not None and kept.withdraw(asked.request_id)):
            self._wire.refuse(asked.request_id, WireCode.ECANCELED)

    # -- holding: too much travels unconfirmed

    def _hold(self) -> None:
        """Have channels pass this peer's receives over; they keep their places."""
        if not self._holding:
            self._holding = True
            for _, op in self._parked.values():
                if not op.sending:
                    op.begin_claim(0)

    def _settled(self, freed_bytes: int) -> None:
        self._travelling_bytes -= freed_bytes
        if self._holding and self._travelling_bytes < self._budget:
            self._holding = False
            held = [pair for pair in self._parked.values() if not pair[1].sending]
            for parked, op in held:
                if self._holding:  # enough again
                    break
                if op.end_claim():
                    self._serve(parked, op)
            for bound in self._bound.values():
                if bound.kept is not None:
                    bound.kept.arrived()
            self._hints.review()

    def _serve(self, parked: _Parked, op: Operation) -> None:
        """A receive may be served again: look whether something is there that it was passed over for."""
        bound = parked.bound
        value = bound.core.recv_now()
        if value is WOULD_BLOCK and not parked.is_try:
            return
        bound.core.withdraw(op)
        if value is WOULD_BLOCK and bound.ask(op):
            return
        del self._parked[parked.request_id]
        if value is WOULD_BLOCK:
            bound.refuse_try(parked.request_id, _WOULD_WAIT[False])
        elif value is CLOSED:
            bound.refuse_closed(parked.request_id)
        else:
            self.push(bound, parked.request_id, value)

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
                capacity=_room(channel),
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
        waiting = [request_id for request_id, (_, op) in self._parked.items() if not op.sending]
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
        for request_id in list(self._parked):
            self._withdraw(request_id)
            self._wire.refuse(request_id, WireCode.EPIPE, text)
        for kept in [bound.kept for bound in self._bound.values() if bound.kept is not None]:
            for request_id in list(kept.standing):
                kept.withdraw(request_id)
                self._wire.refuse(request_id, WireCode.EPIPE, text)
        for request_id in self._hints.leave():
            self._wire.refuse(request_id, WireCode.EPIPE, text)

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
        if self.made is not None:
            self.made.end()
        self._travelling_bytes = 0
        return requeued


def _room(channel: Channel[Any]) -> int | None:
    """How many elements the channel holds at most, as the wire tells it: None is no bound."""
    limit = limit_of(channel.kind, channel.capacity)
    return None if limit == math.inf else int(limit)


def _misfit(wanted: OpenRequest, channel: Channel[Any]) -> tuple[WireCode, str] | None:
    """Why what a peer wants is not what there is."""
    if wanted.flags & OpenFlag.CREATE and wanted.flags & OpenFlag.EXCL:
        return WireCode.EEXIST, f"{wanted.name!r} exists"
    if wanted.codec:
        return WireCode.ENOTSUP, f"elements are plain bytes here, not {wanted.codec!r}"
    there = {"kind": channel.kind, "overflow": channel.overflow, "capacity": _room(channel)}
    for name, is_there in there.items():
        asked = getattr(wanted, name)
        if asked is not None and asked != is_there:
            return WireCode.EINVAL, f"{wanted.name!r} has {name} {is_there}, not {asked}"
    return None
