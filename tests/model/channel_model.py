# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Channels and those who wait on them, as simple as it can be said: lists, and nothing of an engine.

A call that waits is a ``Wait``. A plain one stands in one line with one ``Place``, a select in several; the first place
that is served decides the whole call. Nothing here is fast, and nothing is told to anybody: machines look.
"""

from __future__ import annotations

from typing import Any

from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.semantics import CONFLATED, DROP_LATEST, RAISE, SKIP, ClosedRule, Undelivered
from kcoro_core.testing.laws.shapes import Shape

WAITS = "waits"


class Wait:
    """One call that waits: what came of it, and through which of its places."""

    def __init__(self, number: int, rule: ClosedRule = RAISE) -> None:
        self.number = number
        self.rule = rule
        self.places: list[Place] = []
        # A clause of another process is being asked for: partners pass over the call.
        self.claiming = False
        self.outcome: Any = WAITS
        self.winner: int | None = None

    def decide(self, outcome: Any, winner: int | None = None) -> None:
        """End the call, once."""
        assert self.outcome == WAITS
        self.outcome, self.winner = outcome, winner


class Place:
    """Where a call stands in one line: to send a value, or to receive one."""

    def __init__(self, wait: Wait, sending: bool, value: Any = None) -> None:
        self.wait = wait
        self.index = len(wait.places)
        self.sending = sending
        self.value = value
        # Under SKIP: its channel is closed, and it cannot win any more.
        self.dead = False
        wait.places.append(self)

    @property
    def free(self) -> bool:
        """Whether a partner may win it."""
        return self.wait.outcome == WAITS and not self.wait.claiming and not self.dead

    def shut(self) -> None:
        """The channel is closed: the end of the call, or under SKIP of this place only, until all have ended."""
        self.dead = self.wait.rule is SKIP
        if self.wait.outcome != WAITS or self.wait.claiming:
            return
        if not self.dead:
            self.wait.decide("closed", self.index)
        elif all(place.dead for place in self.wait.places):
            self.wait.decide("closed")


class ChannelModel:
    """Elements, and two lines of waiters, in plain lists."""

    def __init__(self, made: Shape) -> None:
        self.made = made
        self.elements: list[Any] = []
        self.line: list[Place] = []
        self.lost: list[tuple[Any, Undelivered]] = []
        self.accepted: list[Any] = []
        self.received: list[Any] = []
        self.handoffs = 0
        self.peak = 0
        self.closed = False

    def first(self, sending: bool) -> Place | None:
        """The oldest of a direction that can be won."""
        return next((w for w in self.line if w.sending is sending and w.free), None)

    def serve(self, w: Place, outcome: Any) -> None:
        """Decide a call for this place, which leaves the line; its other places stay until their owner looks."""
        w.wait.decide(outcome, w.index)
        self.line.remove(w)

    def put(self, value: Any) -> None:
        """Queue an element."""
        self.accepted.append(value)
        self.elements.append(value)
        self.peak = max(self.peak, len(self.elements))

    def send(self, value: Any) -> Any:
        """What ``send_now`` should answer."""
        if self.closed:
            return CLOSED
        receiver = self.first(sending=False)
        if receiver is not None:
            self.accepted.append(value)
            self.received.append(value)
            self.handoffs += 1
            self.serve(receiver, value)
            return OK
        if len(self.elements) < self.made.limit:
            self.put(value)
            return OK
        if not self.made.lossy:
            return WOULD_BLOCK
        why = Undelivered.CONFLATED if self.made.kind is CONFLATED else Undelivered.OVERFLOW
        self.accepted.append(value)
        if self.made.overflow is DROP_LATEST:
            self.lost.append((value, why))
        else:
            self.lost.append((self.elements.pop(0), why))
            self.elements.append(value)
        return OK

    def recv(self) -> Any:
        """What ``recv_now`` should answer."""
        if self.elements:
            value = self.elements.pop(0)
            self.received.append(value)
            self.refill()
            if self.closed and not self.elements:
                self.shut(sending=False)
            return value
        sender = self.first(sending=True)
        if sender is not None:
            self.accepted.append(sender.value)
            self.received.append(sender.value)
            self.handoffs += 1
            self.serve(sender, "sent")
            return sender.value
        return CLOSED if self.closed else WOULD_BLOCK

    def refill(self) -> None:
        """Senders move up into the room that there is."""
        while len(self.elements) < self.made.limit and (sender := self.first(sending=True)) is not None:
            self.put(sender.value)
            self.serve(sender, "sent")

    def close(self) -> None:
        """Those who wait are told, but for those who are being claimed elsewhere: they find out when they look."""
        if self.closed:
            return
        self.closed = True
        self.shut(sending=True)
        if not self.elements:
            self.shut(sending=False)

    def shut(self, sending: bool) -> None:
        """Send everybody of one direction away."""
        leaving = [w for w in self.line if w.sending is sending]
        self.line = [w for w in self.line if w.sending is not sending]
        for w in leaving:
            w.shut()

    def cancel(self) -> None:
        """Close, and lose what is queued."""
        lost, self.elements = self.elements, []
        self.close()
        self.shut(sending=False)
        self.lost += [(value, Undelivered.CANCELLED) for value in lost]
