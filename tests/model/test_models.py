# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The core surface of the engine against a model of lists, under any order of calls (rows CH1-CH6, CH11, SE1, M1).

The machines speak to the engine below the face: try, queue, withdraw, claim remotely, close, cancel. After each step
the engine must have woken exactly those whom the model has served, with the same values, and must count the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kcoro_core import plugins
from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.errors import ChannelClosed
from kcoro_core.semantics import SKIP, WAITING, ClosedRule, Undelivered
from kcoro_core.testing.laws.shapes import ALL, shape

from .channel_model import WAITS, ChannelModel, Place, Wait

SHAPES = [*ALL.values(), shape(ALL["BUFFERED"].kind, capacity=1)]
ROOM = 3  # channels of a machine, at most
Clauses = list[tuple[int, bool]]

clauses = st.lists(st.tuples(st.integers(0, ROOM - 1), st.booleans()), min_size=1, max_size=4)
which = st.integers(0, ROOM - 1)
who = st.integers(0, 30)


class Both:
    """One call that waits, in the engine and in the model."""

    def __init__(
        self, op: Any, arms: list[tuple[Any, Any]], wait: Wait, places: list[tuple[ChannelModel, Place]]
    ) -> None:
        self.op = op
        self.arms = arms
        self.wait = wait
        self.places = places
        # Its owner has looked at the result, and taken it out of every line.
        self.left = False


class Machine(RuleBasedStateMachine):
    """Channels of the engine and of the model, side by side."""

    channels = 1
    selects = False

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.woken: list[Any] = []
        self.reports: list[list[tuple[Any, Undelivered]]] = []
        self.calls: list[Both] = []
        self.real: list[Any] = []
        self.model: list[ChannelModel] = []

    @initialize(shapes=st.lists(st.sampled_from(SHAPES), min_size=ROOM, max_size=ROOM))
    def make(self, shapes: list[Any]) -> None:
        """Channels of any shapes."""
        engine = plugins.engine()
        self.factory = engine.select
        for made in shapes[: self.channels]:
            reports: list[tuple[Any, Undelivered]] = []
            self.reports.append(reports)
            self.model.append(ChannelModel(made))
            hook = lambda value, why, reports=reports: reports.append((value, why))  # noqa: E731
            self.real.append(engine.channel(made.kind, made.capacity, made.overflow, hook))

    def unpark(self, op: Any) -> None:
        """The machine is the parker of every call: it notes who was woken."""
        self.woken.append(op)

    def next(self) -> int:
        """A value that has not been used."""
        self.number += 1
        return self.number

    # -- without waiting

    def now(self, index: int, sending: bool, value: Any) -> Any:
        """Try in both, and see that they agree; returns the answer."""
        ch, model = self.real[index], self.model[index]
        must_wait = ch.send_must_wait() if sending else ch.recv_must_wait()
        answer = ch.send_now(value) if sending else ch.recv_now()
        expected = model.send(value) if sending else model.recv()
        assert answer is expected or (answer == expected and isinstance(answer, int))
        assert not must_wait or answer is WOULD_BLOCK
        return answer

    @rule(index=which)
    def try_send(self, index: int) -> None:
        """Try to send."""
        self.now(index % self.channels, True, self.next())

    @rule(index=which)
    def try_recv(self, index: int) -> None:
        """Try to receive."""
        self.now(index % self.channels, False, None)

    # -- waiting

    @rule(index=which, sending=st.booleans())
    def wait(self, index: int, sending: bool) -> None:
        """A plain call: at once if that can be, else in line."""
        index %= self.channels
        value = self.next() if sending else None
        if self.now(index, sending, value) is not WOULD_BLOCK:
            return
        op = self.factory.operation(self, sending, value)  # type: ignore[arg-type]
        wait = Wait(self.next())
        self.line_up(Both(op, [(self.real[index], op)], wait, [(self.model[index], Place(wait, sending, value))]))

    @rule(chosen=clauses, closed=st.sampled_from(ClosedRule))
    @precondition(lambda self: self.selects)
    def select(self, chosen: Clauses, closed: ClosedRule) -> None:
        """A select: clause by clause if one is ready, else in all their lines."""
        chosen = [(index % self.channels, sending) for index, sending in chosen]
        values = [self.next() if sending else None for _, sending in chosen]
        op = self.factory.select(closed, len(chosen))
        wait = Wait(self.next(), closed)
        arms, places = [], []
        for i, (index, sending) in enumerate(chosen):
            arms.append((self.real[index], self.factory.arm(op, i, sending, values[i])))
            places.append((self.model[index], Place(wait, sending, values[i])))
        both = Both(op, arms, wait, places)
        if not self.poll(both, chosen):
            op.parker = self  # type: ignore[assignment]
            self.line_up(both)

    def poll(self, both: Both, chosen: Clauses) -> bool:
        """Look at the clauses in turn, as the face does; True when the call is decided."""
        for (index, sending), (_, arm), (_, place) in zip(chosen, both.arms, both.places, strict=True):
            answer = self.now(index, sending, arm.value)
            if answer is WOULD_BLOCK:
                continue
            if answer is CLOSED:
                ended = arm.shut(ChannelClosed(reason="reason"))
                place.shut()
                assert ended == (both.wait.outcome != WAITS)
            else:
                assert arm.win()
                arm.finish(None if answer is OK else answer)
                both.wait.decide("sent" if answer is OK else answer, place.index)
                ended = True
            if ended:
                self.calls.append(both)
                self.woken += [] if both.op.parker is self else [both.op]
                both.left = True
                self.check(both)
                return True
        return False

    def line_up(self, both: Both) -> None:
        """Stand in every line."""
        self.calls.append(both)
        for ch, arm in both.arms:
            ch.enqueue(arm)
        for model, place in both.places:
            model.line.append(place)

    def call(self, number: int) -> Both | None:
        """One of the calls whose owner has not looked yet."""
        there = [both for both in self.calls if not both.left]
        return there[number % len(there)] if there else None

    @rule(number=who)
    def look(self, number: int) -> None:
        """The owner of a decided call wakes up, and leaves the lines in which it still stands."""
        both = self.call(number)
        if both is not None and both.wait.outcome != WAITS:
            self.leave_lines(both)

    def leave_lines(self, both: Both) -> None:
        both.left = True
        for (ch, arm), (model, place) in zip(both.arms, both.places, strict=True):
            assert ch.withdraw(arm) == (place in model.line)
            if place in model.line:
                model.line.remove(place)

    @rule(number=who, how=st.sampled_from(["revoke", "expire", "give_up"]))
    def end(self, number: int, how: str) -> None:
        """A token, a deadline or the host ends a wait, unless it is decided; remembered while it is CLAIMING."""
        both = self.call(number)
        if both is None:
            return
        decided = getattr(both.op, how)()
        assert decided == (both.wait.outcome == WAITS and not both.wait.claiming)
        if decided:
            both.wait.decide(how)
            self.woken += [both.op] if how == "give_up" else []
        elif both.wait.claiming:
            late = getattr(both.wait, "late", None)
            both.wait.late = "expire" if how == "expire" and late in (None, "expire") else "revoke"  # type: ignore[attr-defined]

    # -- a clause of another process

    @rule(number=who)
    def begin_claim(self, number: int) -> None:
        """It is being asked for: partners pass over the call from now on."""
        both = self.call(number)
        if both is not None:
            could = both.wait.outcome == WAITS and not both.wait.claiming
            assert both.op.begin_claim(len(both.arms)) == could
            both.wait.claiming = both.wait.claiming or could

    @rule(number=who, granted=st.booleans())
    def answer_claim(self, number: int, granted: bool) -> None:
        """It was granted, or denied; then whoever drives the call looks at its own clauses again."""
        both = self.call(number)
        if both is None or not both.wait.claiming:
            return
        both.wait.claiming = False
        if granted:
            assert both.op.win_claim() == len(both.arms)
            both.wait.decide("claimed", len(both.arms))
            self.woken.append(both.op)
            self.leave_lines(both)
            return
        late = getattr(both.wait, "late", None)
        assert both.op.end_claim() == (late is None)
        if late is not None:
            both.wait.decide(late)
            return
        self.leave_lines(both)
        self.calls.remove(both)
        both.left = False
        for _, place in both.places:
            place.dead = False if both.wait.rule is not SKIP else place.dead
        if not self.poll(
            both,
            [(self.real.index(ch), place.sending) for (ch, _), (_, place) in zip(both.arms, both.places, strict=True)],
        ):
            self.line_up(both)

    # -- the end

    @rule(index=which, cancel=st.booleans())
    @precondition(lambda self: sum(len(model.accepted) for model in self.model) > 5)
    def close(self, index: int, cancel: bool) -> None:
        """Close, or close and give up what is queued; also again."""
        index %= self.channels
        if cancel:
            self.real[index].cancel("reason")
            self.model[index].cancel()
        else:
            self.real[index].close("reason")
            self.model[index].close()

    # -- what must hold after each step

    def check(self, both: Both) -> None:
        """A call that ended has the result that the model says."""
        op, wait = both.op, both.wait
        if wait.winner is not None:
            assert op.claim == wait.winner
        if wait.outcome == "closed":
            assert isinstance(op.error, ChannelClosed)
            assert (op.claim >= 0) == (wait.winner is not None)
        elif isinstance(wait.outcome, int):
            assert (op.value, op.error) == (wait.outcome, None)

    @invariant()
    def the_same_calls_ended(self) -> None:
        """Exactly those whom the model has served were woken, once each, with the same result."""
        ended = [both for both in self.calls if both.wait.outcome != WAITS]
        assert Counter(map(id, self.woken)) == Counter(id(both.op) for both in ended)
        for both in ended:
            self.check(both)
        for both in self.calls:
            if both.wait.outcome == WAITS and not both.wait.claiming:
                assert both.op.claim == WAITING

    @invariant()
    def the_same_books(self) -> None:
        """The snapshot equals the model, and every value is accounted for once."""
        for ch, model, reports in zip(self.real, self.model, self.reports, strict=True):
            state = ch.snapshot()
            assert (state.length, state.peak_length, state.closed) == (len(model.elements), model.peak, model.closed)
            assert (state.sent, state.received) == (len(model.accepted), len(model.received))
            assert (state.dropped, state.handoffs) == (len(model.lost), model.handoffs)
            assert state.waiting_senders == sum(w.sending for w in model.line)
            assert state.waiting_receivers == sum(not w.sending for w in model.line)
            assert reports == model.lost
            lost = [value for value, _ in model.lost]
            assert Counter(model.received) + Counter(lost) + Counter(model.elements) == Counter(model.accepted)

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        """No receiver that can be won waits beside an element or another's send, and no sender beside room."""
        for model in self.model:
            receivers = [w for w in model.line if w.free and not w.sending]
            senders = [w for w in model.line if w.free and w.sending]
            assert not (receivers and model.elements)
            assert not senders or len(model.elements) >= model.made.limit
            assert all(r.wait is s.wait for r in receivers for s in senders), "two calls face each other, and wait"


class SelectMachine(Machine):
    """Three channels, and selects beside plain calls."""

    channels = 3
    selects = True


TestChannel = Machine.TestCase
TestChannel.settings = settings(max_examples=200, stateful_step_count=40)
TestSelect = SelectMachine.TestCase
TestSelect.settings = settings(max_examples=300, stateful_step_count=50)
