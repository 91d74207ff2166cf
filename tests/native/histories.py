# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whether calls that were made at once could have been made one after the other: linearizability.

The sequential model is the reference engine. Each call takes effect at one point between its beginning and its end:
there it is decided, or begins to wait; one that waits is decided by a later one. The search is Wing and Gong's (1993):
begin, in every way that the times allow, one call after the other, and give up where an outcome differs from what was
seen.
``histories.c`` makes histories.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen

from kcoro_core.engine import CLOSED, WOULD_BLOCK
from kcoro_core.reference.channel import Channel
from kcoro_core.reference.waiter import Arm, SelectOperation
from kcoro_core.semantics import CANCELLED, WAITING, ClosedRule, Kind, Overflow

CHANNELS = 2
TRY, SKIPS, TOKEN = 1, 2, 4  # how a call was made
Outcome = tuple[int, int]


@frozen
class Call:
    """One call: its times, what it asked for, what became of it.

    A close has no arms, and its value is the channel; nor has a trigger, whose value is at least CHANNELS.
    """

    began: int
    ended: int
    is_try: bool
    skips: bool
    token: int
    outcome: Outcome
    arms: tuple[tuple[int, bool, int], ...]


@frozen
class History:
    """What tasks did at once on channels of one kind."""

    kind: Kind
    capacity: int | None
    overflow: Overflow
    calls: list[Call]


def read(text: str) -> Iterator[History]:
    """What ``histories.c`` has printed."""
    history: History | None = None
    for line in text.splitlines():
        what, *words = line.split()
        numbers = [int(word) for word in words]
        if what == "H":
            if history is not None:
                yield history
            kind = list(Kind)[numbers[0]]
            history = History(kind, numbers[1] or None, list(Overflow)[numbers[2]], [])
        elif history is not None:
            arms = tuple((at, bool(way), value) for at, way, value in zip(*[iter(numbers[5:])] * 3, strict=True))
            outcome = numbers[3], numbers[4]
            how = bool(numbers[2] & TRY), bool(numbers[2] & SKIPS), numbers[2] // TOKEN
            history.calls.append(Call(numbers[0], numbers[1], *how, outcome, arms))
    if history is not None:
        yield history


@define
class World:
    """The channels, the tokens that are set, and who waits by which."""

    channels: list[Channel]
    is_set: set[int] = field(factory=set)
    waiting: dict[int, SelectOperation] = field(factory=dict)
    watching: dict[int, Arm] = field(factory=dict)

    def try_now(self, at: int, is_sending: bool, value: int) -> Any:
        """What a clause finds at this instant."""
        if at >= CHANNELS:
            return 0 if at - CHANNELS + 1 in self.is_set else WOULD_BLOCK
        return self.channels[at].send_now(value) if is_sending else self.channels[at].recv_now()

    def enqueue(self, at: int, arm: Arm) -> None:
        """Have a clause wait."""
        if at >= CHANNELS:
            self.watching[at - CHANNELS + 1] = arm
        else:
            self.channels[at].enqueue(arm)

    def trigger(self, token: int) -> int:
        """Set it, and end the call that waits by it, or has a clause about it; 1, or 0 when it is set already."""
        if token in self.is_set:
            return 0
        self.is_set.add(token)
        if token in self.waiting:
            self.waiting[token].revoke()
        if token in self.watching:
            self.watching[token].complete()
        return 1


def begin(call: Call, world: World) -> Outcome | SelectOperation:
    """Make one call on the model: its outcome, or the operation by which it waits."""
    channels = world.channels
    what = call.outcome[1]
    if not call.arms and what >= CHANNELS:
        return world.trigger(what - CHANNELS + 1), what
    if not call.arms:
        channels[what].close()
        return call.outcome
    if call.token in world.is_set:
        return -errno.ECANCELED, 0
    op = SelectOperation(ClosedRule.SKIP if call.skips else ClosedRule.RAISE, len(call.arms))
    arms = [Arm(op, index, is_sending, value) for index, (_, is_sending, value) in enumerate(call.arms)]
    for arm, (at, is_sending, value) in zip(arms, call.arms, strict=True):
        answer = world.try_now(at, is_sending, value)
        if answer is CLOSED:
            if arm.shut(channels[at].closed_error()):
                return -errno.EPIPE, 0
        elif answer is not WOULD_BLOCK:
            return arm.index, 0 if is_sending else answer
    if call.is_try:
        return -errno.EAGAIN, 0
    for arm, (at, _, _) in zip(arms, call.arms, strict=True):
        world.enqueue(at, arm)
    if call.token:
        world.waiting[call.token] = op
    return op


def outcome_of(begun: Outcome | SelectOperation) -> Outcome | None:
    """What has become of a call by now; None: it waits."""
    if isinstance(begun, tuple):
        return begun
    if begun.claim == WAITING:
        return None
    if begun.claim == CANCELLED:
        return -errno.ECANCELED, 0
    return (-errno.EPIPE, 0) if begun.error is not None else (begun.claim, begun.value or 0)


def replayed(history: History, order: list[int]) -> tuple[dict[int, Outcome], Any] | None:
    """The outcomes after some calls in an order, and the state; None: one is not what was seen."""
    world = World([Channel(history.kind, history.capacity, history.overflow) for _ in range(CHANNELS)])
    begun = {at: begin(history.calls[at], world) for at in order}
    outcomes = {at: outcome for at, call in begun.items() if (outcome := outcome_of(call)) is not None}
    if any(history.calls[at].outcome != outcome for at, outcome in outcomes.items()):
        return None
    waits = [at for at in order if at not in outcomes]
    return outcomes, (frozenset(order), tuple(tuple(ch.queue) for ch in world.channels), tuple(waits))


def order_of(history: History) -> list[int] | None:
    """An order in which the calls could have been made one after the other; None: there is none."""
    calls, seen = history.calls, set[Any]()
    first = sorted(range(len(calls)), key=lambda at: calls[at].began)

    def search(order: list[int], done: dict[int, Outcome]) -> list[int] | None:
        if len(done) == len(calls):
            return order
        earliest = min(calls[at].ended for at in first if at not in done)
        for at in first:
            if at in order or calls[at].began > earliest:
                continue
            after = replayed(history, [*order, at])
            if after is None or after[1] in seen:
                continue
            seen.add(after[1])
            if (found := search([*order, at], after[0])) is not None:
                return found
        return None

    return search([], {})
