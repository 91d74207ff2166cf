# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where park and unpark meet without a lock: each order of their steps keeps the permit. Row: C5.

The marks are queues that let somebody else act at a chosen step, so that every place where another thread may come
between is tried, and none is left to chance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.reference.coroutine import Meeting

STEPS = 12


class Steps:
    """Counts the steps of one call, and has another act before the chosen one."""

    def __init__(self, chosen: int, act: Callable[[], object]) -> None:
        self.left = chosen
        self.act = act

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()


class Marks(deque[None]):
    """A queue of marks whose every use is a step."""

    steps: Steps | None = None

    def _step(self) -> None:
        if self.steps is not None:
            self.steps.step()

    def __bool__(self) -> bool:
        self._step()
        return len(self) > 0

    def append(self, mark: None) -> None:
        self._step()
        super().append(mark)

    def pop(self) -> None:  # type: ignore[override]
        self._step()
        super().pop()

    def clear(self) -> None:
        self._step()
        super().clear()


def meeting() -> Meeting:
    made = Meeting()
    made._permit, made._parking = Marks(), Marks()
    return made


def count(made: Meeting, steps: Steps | None) -> None:
    """Count the steps of that meeting from now on, or no more."""
    for marks in (made._permit, made._parking):
        assert isinstance(marks, Marks)
        marks.steps = steps


def interrupted(
    made: Meeting, call: Callable[[], bool], other: Callable[[], bool], at: int
) -> tuple[bool, bool | None]:
    """What ``call`` answers, and ``other``, which comes before step ``at`` of it; None when there is no such step."""
    answers: list[bool] = []

    def act() -> None:
        count(made, None)
        answers.append(other())

    count(made, Steps(at, act))
    answer = call()
    count(made, None)
    return answer, answers[0] if answers else None


@pytest.mark.parametrize("at", range(1, STEPS))
def test_an_unpark_in_the_middle_of_a_park_is_seen_by_one_side(at: int) -> None:
    """Either the park does not stop, or the unpark is told that it was parked; never neither, and never both."""
    made = meeting()
    stops, told = interrupted(made, made.park, made.unpark, at)
    if told is None:
        assert stops
    else:
        assert stops is told
        assert not made.waits
        assert made.park(), "the permit was spent"


@pytest.mark.parametrize("at", range(1, STEPS))
def test_a_park_in_the_middle_of_an_unpark_is_seen_by_one_side(at: int) -> None:
    """The same, when it is the unpark that another thread interrupts."""
    made = meeting()
    told, stops = interrupted(made, made.unpark, made.park, at)
    if stops is None:
        assert not told
        assert not made.park()
    else:
        assert stops is told
        assert not made.waits
        assert made.park(), "the permit was spent"


@pytest.mark.parametrize("at", range(1, STEPS))
def test_of_two_unparks_of_a_parked_one_exactly_one_is_told(at: int) -> None:
    """The other leaves a permit, or is one with the first."""
    made = meeting()
    assert made.park()
    told, other = interrupted(made, made.unpark, made.unpark, at)
    assert [told, other].count(True) == 1
    assert not made.waits


def test_every_step_is_tried() -> None:
    """So many steps as none of the calls has, or some place would be left out."""

    def longest(call: Callable[[Meeting], Any]) -> int:
        made = meeting()
        steps = Steps(10**6, lambda: None)
        count(made, steps)
        call(made)
        return 10**6 - steps.left

    assert max(longest(Meeting.park), longest(Meeting.unpark)) < STEPS - 2
