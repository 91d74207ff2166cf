# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The timer heap on its own: order, cancelling, errors, and garbage. Row: SC5."""

import math
import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.reference.timer import Timer, TimerQueue


def test_ten_thousand_timers_fire_in_the_order_of_their_deadlines() -> None:
    """Timers fire by deadline, equal deadlines in the order in which they were asked for. Row: SC5."""
    queue, rng = TimerQueue(), random.Random(1)
    fired: list[tuple[float, int]] = []
    for serial in range(10_000):
        key = (float(rng.randrange(500)), serial)
        queue.at(key[0], partial(fired.append, key))

    while (due := queue.next_deadline()) is not None:
        queue.expire(due)

    assert len(fired) == 10_000
    assert fired == sorted(fired)


def test_nothing_fires_before_its_deadline() -> None:
    """``expire`` calls what is due and leaves the rest. Row: SC5."""
    queue = TimerQueue()
    fired: list[str] = []
    queue.at(1.0, lambda: fired.append("early"))
    queue.at(2.0, lambda: fired.append("late"))

    assert queue.expire(1.0) == 1
    assert (fired, len(queue), queue.next_deadline()) == (["early"], 1, 2.0)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), max_size=60))
def test_cancel_answers_true_exactly_when_the_timer_will_not_fire(plan: list[tuple[int, bool, bool]]) -> None:
    """Cancelling before, in the middle or after: True and silent, or False and fired once. Row: SC5."""
    queue = TimerQueue()
    fired = [0] * len(plan)
    taken: dict[int, bool] = {}

    def fire(index: int) -> None:
        fired[index] += 1

    timers = [queue.at(float(at), partial(fire, i)) for i, (at, _, _) in enumerate(plan)]
    for i, (_, before, _) in enumerate(plan):
        if before:
            taken[i] = timers[i].cancel()
    queue.expire(10.0)
    for i, (_, _, after) in enumerate(plan):
        if after and i not in taken:
            taken[i] = timers[i].cancel()
    queue.expire(20.0)

    assert fired == [0 if taken.get(i) else 1 for i in range(len(plan))]
    assert len(queue) == 0
    assert not any(timer.cancel() for timer in timers)


def test_a_callback_may_cancel_a_timer_that_is_due_at_the_same_time() -> None:
    """A timer that is cancelled while ``expire`` runs does not fire, although it was due. Row: SC5."""
    queue = TimerQueue()
    fired: list[str] = []
    timers: list[Timer] = []
    queue.at(1.0, lambda: fired.append(f"first {timers[0].cancel()}"))
    timers.append(queue.at(1.0, lambda: fired.append("second")))

    assert queue.expire(5.0) == 1
    assert fired == ["first True"]


def test_a_timer_that_a_callback_adds_waits_for_the_next_expire() -> None:
    """One ``expire`` always ends, whatever its callbacks add. Row: SC5."""
    queue = TimerQueue()
    fired: list[str] = []

    def again() -> None:
        fired.append("tick")
        queue.at(0.0, again)

    queue.at(1.0, again)
    assert (queue.expire(1.0), queue.next_deadline()) == (1, 0.0)
    assert (queue.expire(1.0), len(queue)) == (1, 1)
    assert fired == ["tick", "tick"]


def test_an_error_in_a_callback_stops_no_other_and_is_raised_at_the_end() -> None:
    """Every due callback runs; what they raised leaves together. Row: SC5."""
    queue = TimerQueue()
    fired: list[int] = []

    def fail() -> None:
        raise LookupError("mine")

    queue.at(1.0, fail)
    queue.at(1.0, lambda: fired.append(2))
    queue.at(1.0, fail)
    with pytest.RaisesGroup(LookupError, LookupError):
        queue.expire(1.0)
    assert (fired, len(queue)) == ([2], 0)


def test_an_interrupt_in_a_callback_leaves_the_other_timers_queued() -> None:
    """A KeyboardInterrupt leaves at once; what had not fired, and what was added, still will. Row: SC5."""
    queue = TimerQueue()
    fired: list[int] = []

    def interrupt() -> None:
        queue.at(1.0, lambda: fired.append(2))
        raise KeyboardInterrupt

    queue.at(1.0, interrupt)
    queue.at(1.0, lambda: fired.append(1))
    with pytest.raises(KeyboardInterrupt):
        queue.expire(1.0)
    assert queue.expire(1.0) == 2
    assert fired == [1, 2]


def test_an_interrupt_takes_earlier_errors_along() -> None:
    """What callbacks raised before an interrupt leaves together with it. Row: SC5."""
    queue = TimerQueue()

    def fail(error: BaseException) -> None:
        raise error

    queue.at(1.0, lambda: fail(LookupError()))
    queue.at(1.0, lambda: fail(KeyboardInterrupt()))
    with pytest.RaisesGroup(LookupError, KeyboardInterrupt):
        queue.expire(1.0)


def test_cancelled_timers_do_not_pile_up() -> None:
    """A hundred thousand timeouts that are cancelled leave a short heap behind, live timers untouched. Row: SC5."""
    queue = TimerQueue()
    fired: list[int] = []
    for _ in range(10):
        queue.at(5.0, lambda: fired.append(1))
    for _ in range(100_000):
        queue.at(9.0, lambda: fired.append(2)).cancel()
        assert len(queue._heap) <= 2 * len(queue) + 2
    queue.expire(10.0)
    assert fired == [1] * 10


def test_a_deadline_may_be_infinite_but_not_nan() -> None:
    """An infinite deadline never fires and wakes nobody; nan is refused and queues nothing. Row: SC5."""
    queue = TimerQueue()
    timer = queue.at(math.inf, lambda: None)
    assert queue.next_deadline() is None
    assert queue.expire(1e300) == 0
    with pytest.raises(ValueError, match="nan"):
        queue.at(math.nan, lambda: None)
    assert timer.cancel()
    assert len(queue) == 0


def test_expire_inside_a_callback_is_refused() -> None:
    """Only whoever drives the loop expires timers; a nested call says so and loses nothing. Row: SC5."""
    queue = TimerQueue()
    queue.at(1.0, lambda: queue.expire(1.0))
    with pytest.RaisesGroup(RuntimeError):
        queue.expire(1.0)


def test_a_timer_says_when_it_is_due_and_whether_it_is_done() -> None:
    """``repr`` shows the deadline and the state, for dumps. Row: C8."""
    timer = TimerQueue().at(2.5, lambda: None)
    assert repr(timer) == "<Timer at 2.5, waiting>"
    timer.cancel()
    assert repr(timer) == "<Timer at 2.5, done>"
