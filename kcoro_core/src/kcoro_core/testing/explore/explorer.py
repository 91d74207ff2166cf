# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The loop of every exploration: run one schedule after the other, count distinct traces, stop at the first finding.

One schedule in twenty is run twice; a second run with another trace means that the schedule is not decided by its seed,
so that nothing found could be repeated. That is a finding too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from attrs import define, field, frozen

__all__ = ["REPLAY_EVERY", "Exploration", "Finding", "Result", "Schedule", "explore", "raise_interrupt"]

REPLAY_EVERY: Final = 20
"""One schedule in so many is run a second time, and has to leave the same trace."""


@frozen
class Finding:
    """One thing that went wrong, in a word (deadlock, lost, error, limit, broken, unrepeatable) and in a text."""

    kind: str
    text: str


@frozen
class Result:
    """What one run of a schedule showed: the hash of its trace, what was wrong, and what it was that ran."""

    trace: str
    found: tuple[Finding, ...] = ()
    about: str = ""


@frozen
class Schedule:
    """One schedule that can be run any number of times; ``command`` is what a person types to run it again."""

    command: str
    run: Callable[[], Result]


@define
class Exploration:
    """How far an exploration has come, and in the end what it found.

    ``command`` repeats the schedule at fault, ``about`` says what ran in it.
    """

    schedules: int = 0
    replayed: int = 0
    seconds: float = 0.0
    traces: set[str] = field(factory=set, repr=False)
    found: tuple[Finding, ...] = ()
    command: str | None = None
    about: str = ""

    @property
    def distinct(self) -> int:
        """How many different traces were seen."""
        return len(self.traces)


def explore(
    schedules: Iterable[Schedule],
    *,
    limit: int,
    seconds: float,
    least: int = 0,
    progress: Callable[[Exploration], object] = lambda so_far: None,
    now: Callable[[], float] = time.monotonic,
) -> Exploration:
    """Run schedules until ``limit`` of them or ``seconds`` are over, or one is at fault.

    It takes longer than ``seconds`` where less than ``least`` schedules have run by then. ``progress`` is called after
    each, with what is known so far.
    """
    so_far, start = Exploration(), now()
    for schedule in schedules:
        result = schedule.run()
        so_far.schedules += 1
        so_far.traces.add(result.trace)
        found = result.found
        if so_far.schedules % REPLAY_EVERY == 0 and not found:
            so_far.replayed += 1
            found = _compare(result, schedule.run())
        so_far.seconds = now() - start
        if found:
            so_far.found, so_far.command, so_far.about = found, schedule.command, result.about
            break
        progress(so_far)
        if so_far.schedules >= limit or (so_far.seconds >= seconds and so_far.schedules >= least):
            break
    return so_far


def raise_interrupt(error: BaseException) -> None:
    """Raise KeyboardInterrupt if that is what ended a run: the person at the keyboard did it, not the program."""
    interrupt = error
    if isinstance(error, BaseExceptionGroup):
        interrupt = error.subgroup(KeyboardInterrupt) or error
        while isinstance(interrupt, BaseExceptionGroup):
            interrupt = interrupt.exceptions[0]
    if isinstance(interrupt, KeyboardInterrupt):
        raise interrupt


def _compare(first: Result, second: Result) -> tuple[Finding, ...]:
    if second.trace == first.trace:
        return second.found
    text = (
        f"the same seed gave two traces, {first.trace} and {second.trace}: something in the program is decided by "
        "a clock, a thread, its own random numbers, the order of a set, or what an earlier run has left behind"
    )
    return (Finding("unrepeatable", text),)
