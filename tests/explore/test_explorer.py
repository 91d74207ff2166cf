# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The loop of an exploration: when it stops, what it counts, and that it notices what it cannot repeat. Row: X19."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from kcoro_core.testing.explore import Finding, Result, Schedule, explore


def schedules(run: Callable[[int], Result]) -> Iterator[Schedule]:
    """Schedules without end: the n-th is repeated by the command ``again n``."""
    for n in itertools.count():
        yield Schedule(f"again {n}", lambda n=n: run(n))  # type: ignore[misc]


def test_it_stops_after_the_number_of_schedules_that_was_asked_for() -> None:
    """And counts equal traces once."""
    outcome = explore(schedules(lambda n: Result(str(n % 7))), limit=100, seconds=60)
    assert (outcome.schedules, outcome.distinct, outcome.replayed) == (100, 7, 5)
    assert (outcome.found, outcome.command) == ((), None)


def test_it_stops_when_its_time_is_over() -> None:
    """Time is asked for after each schedule."""
    clock = itertools.count(0.0, 10.0)
    outcome = explore(schedules(lambda n: Result(str(n))), limit=100, seconds=35, now=lambda: next(clock))
    assert (outcome.schedules, outcome.seconds) == (4, 40.0)


def test_it_stops_at_the_first_schedule_at_fault_and_says_how_to_repeat_it() -> None:
    """What was found belongs to one schedule, whose command is given."""

    def run(n: int) -> Result:
        return Result(str(n), (Finding("lost", "one"),) if n == 13 else (), about=f"program {n}")

    outcome = explore(schedules(run), limit=100, seconds=60)
    assert (outcome.schedules, outcome.command, outcome.about) == (14, "again 13", "program 13")
    assert outcome.found == (Finding("lost", "one"),)


def test_every_twentieth_schedule_has_to_run_the_same_way_twice() -> None:
    """A trace that changes is a finding: what such a program shows cannot be repeated."""
    runs = itertools.count()
    outcome = explore(schedules(lambda n: Result(str(next(runs)))), limit=100, seconds=60)
    assert (outcome.schedules, outcome.command) == (20, "again 19")
    assert [finding.kind for finding in outcome.found] == ["unrepeatable"]


def test_progress_is_told_after_each_schedule() -> None:
    """Whoever shows it decides how often."""
    seen: list[int] = []
    always = schedules(lambda n: Result("same"))
    explore(always, limit=5, seconds=60, progress=lambda so_far: seen.append(so_far.schedules))
    assert seen == [1, 2, 3, 4, 5]
