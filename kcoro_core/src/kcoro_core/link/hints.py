# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Clauses of a peer's selects that stand in channels of this side: what each was told, and the answers to its claims.

A registration has one hint for each direction that it waits for. A hint's operation stands in the queue of the channel
with its claim word in CLAIMING, so that everybody passes it over; while a claim is held it is WAITING, and whoever
meets it grants the claim.

Rule 1: each claim gets one answer. A hint that was granted is over, and with it its registration.
Rule 2: a hint has at most one turn, with a token that no other turn of its registration has had.
Rule 3: whatever is granted travels like any element that was pushed, until the peer confirms it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..wire import events
from ..wire.codes import WireCode
from ..wire.remote_select import Readiness

if TYPE_CHECKING:
    from ..hosts.port import Handle
    from ..reference.waiter import Operation
    from .bound import Bound
    from .home import Home

__all__ = ["LAPSE", "MAX_STANDING", "Hint", "Hints", "Registration"]

LAPSE: Final = 1.0
"""Seconds after which a turn that was not used goes to the next."""

MAX_STANDING: Final = 1024
"""Clauses that may stand for one handle of a peer; more are refused with ENOBUFS."""


class Hint:
    """One direction of a registration; the parker of the operation that stands in the channel."""

    __slots__ = ("held", "keeps", "lapsed", "op", "passes", "registration", "sending", "ticket", "timer", "token")

    def __init__(self, registration: Registration, sending: bool) -> None:
        self.registration = registration
        self.ticket = registration.ticket
        self.sending = sending
        self.passes = 0
        self.token = 0  # of the turn it has; 0: none
        self.lapsed = False  # it was told, and its claim has not come
        self.keeps = False
        self.held: int | None = None  # its claim, while that is held
        self.timer: Handle | None = None
        self.op: Operation = registration.bound.channel._engine.select.operation(self, sending, None)
        self.op.begin_claim(0)

    def __repr__(self) -> str:
        return f"<Hint {'send' if self.sending else 'recv'} {self.ticket} token {self.token} held {self.held}>"

    @property
    def paused(self) -> bool:
        """Whether nothing more may travel to this peer for now."""
        return not self.sending and self.registration.home.holding

    @property
    def may_be_told(self) -> bool:
        """Whether a turn would be news."""
        return not self.token and not self.lapsed and self.held is None and not self.paused

    # -- turns

    def tell(self) -> None:
        """Give it the turn."""
        registration = self.registration
        self.token = registration.next_token()
        event = Readiness.SEND_READY if self.sending else Readiness.RECV_READY
        registration.home.notify(registration.number, event, self.token)
        self.timer = registration.home.call_later(LAPSE, self.expire)

    def end_turn(self) -> None:
        """Its claim has come, its time is over, or it leaves."""
        self.token = 0
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def expire(self) -> None:
        """The time for this turn is over."""
        self.timer = None
        self.registration.desk.lapse(self)

    # -- claims

    def hold(self, request_id: int, element: bytes | None) -> None:
        """Keep the claim until a partner decides: an ordinary waiter, in its old place."""
        self.held = request_id
        self.registration.held[request_id] = self
        self.op.value = element
        self.op.end_claim()

    def release(self) -> int | None:
        """Be passed over again; the claim that was held, which is still to be answered."""
        request_id, self.held = self.held, None
        if request_id is not None:
            del self.registration.held[request_id]
            self.op.value = None
            self.op.begin_claim(0)
        return request_id

    def unpark(self, op: Operation, /) -> None:
        """The held claim met a partner, or the channel closed; in the middle of a step of the channel."""
        request_id, self.held = self.held or 0, None
        self.registration.held.pop(request_id, None)
        if op.error is not None:
            self.closed(request_id)
        else:
            self.granted(request_id, op.value)

    def granted(self, request_id: int, value: Any) -> None:
        """Answer a claim: it has what it claimed."""
        registration = self.registration
        registration.over = True
        if self.sending:
            registration.home.wire.done(request_id)
        else:
            registration.home.push(registration.bound, request_id, value)
        registration.home.flush()

    def deny(self, request_id: int) -> None:
        """Answer a claim: somebody was faster, or only selects that have to come first could be the partner."""
        self.release()
        self.registration.home.wire.refuse(request_id, WireCode.EAGAIN, "nothing is there any more")
        self.registration.home.flush()

    def closed(self, request_id: int) -> None:
        """Answer a claim: the channel is closed."""
        self.registration.bound.refuse_closed(request_id)
        self.registration.home.flush()


class Registration:
    """A clause of a peer's select at the home of its channel; ``over`` once nothing can come of it any more."""

    def __init__(self, home: Home, bound: Bound, asked: events.RegisterRequested, held: dict[int, Hint]) -> None:
        """``held``: where claims are entered that are held, by their request."""
        from .desk import Desk

        self.home = home
        self.bound = bound
        self.number = asked.request_id
        self.ticket = (home.peer_node, asked.serial)
        self.mask = asked.mask
        self.over = False
        self.held = held
        self.receives = bool(asked.mask & Readiness.RECV_READY)
        self._tokens = 0
        directions = {Readiness.RECV_READY: False, Readiness.SEND_READY: True}
        self.hints = [Hint(self, sending) for bit, sending in directions.items() if asked.mask & bit]
        self.desk = Desk.of(bound.channel)

    def next_token(self) -> int:
        """A number that no other turn of this registration has had within the last 2^32."""
        self._tokens = self._tokens % 0xFFFF_FFFF + 1
        return self._tokens

    def hint_for(self, event: int) -> Hint:
        """The hint that a claim for this event is about."""
        return next(hint for hint in self.hints if hint.sending is (event == Readiness.SEND_READY))

    def tell_closed(self) -> None:
        """Nothing can come of it any more; its select hears of it if it asked for that."""
        self.over = True
        for hint in self.hints:
            if (request_id := hint.release()) is not None:
                hint.closed(request_id)
        if self.mask & Readiness.CLOSED:
            self.bound.tell_closed()
            self.home.notify(self.number, Readiness.CLOSED, 0)


class Hints:
    """All clauses of one peer that stand in channels of this side."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._registered: dict[int, Registration] = {}
        self._count: dict[int, int] = {}  # by handle
        self._held: dict[int, Hint] = {}

    def __len__(self) -> int:
        return len(self._registered)

    def on_register(self, asked: events.RegisterRequested) -> None:
        """A clause of a select is to stand here."""
        bound = self._home.bound(asked.channel_id)
        standing = self._count.get(asked.channel_id, 0)
        if standing >= MAX_STANDING:
            self._home.wire.refuse(asked.request_id, WireCode.ENOBUFS, f"{standing} clauses stand on this handle")
            return
        self._count[asked.channel_id] = standing + 1
        registration = self._registered[asked.request_id] = Registration(self._home, bound, asked, self._held)
        registration.desk.add(registration)

    def on_claim(self, asked: events.ClaimRequested) -> None:
        """A select claims."""
        registration = self._registered[asked.registration]
        hint = registration.hint_for(asked.event)
        if registration.over or hint.held is not None:
            self._home.wire.refuse(asked.request_id, WireCode.EAGAIN, "the registration is over, or claims already")
        else:
            registration.desk.claim(hint, asked.request_id, asked.element)

    def withdraw(self, request_id: int) -> bool:
        """A registration, or a claim that is held, is wanted no more; False when it is neither.

        The answer to it is the caller's.
        """
        registration = self._registered.pop(request_id, None)
        if registration is not None:
            self._left(registration)
            return True
        hint = self._held.get(request_id)
        if hint is not None:
            hint.registration.desk.let_go(hint)
        return hint is not None

    def _left(self, registration: Registration) -> None:
        channel_id = registration.bound.id
        self._count[channel_id] -= 1
        if not self._count[channel_id]:
            del self._count[channel_id]
        for hint in registration.hints:
            if (claim := hint.release()) is not None:
                self._home.wire.refuse(claim, WireCode.ECANCELED)
        registration.over = True
        registration.desk.remove(registration)

    def leave(self) -> list[int]:
        """This side says goodbye: take all out; the requests that are still to be answered."""
        requests = [*self._held, *self._registered]
        for hint in tuple(self._held.values()):
            hint.release()
        self.lost()
        return requests

    def lost(self) -> None:
        """The connection is over: take all out."""
        for request_id in tuple(self._registered):
            self.withdraw(request_id)

    def review(self) -> None:
        """More may travel to this peer again."""
        for desk in {registration.desk: None for registration in self._registered.values()}:
            desk.review()
