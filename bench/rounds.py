# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Interleaved rounds: every candidate runs once in each round, so that a noisy minute hurts all of them alike.

A figure is the median over the rounds of a ratio taken *within* one round, with the smallest and largest as its
interval. Absolute times are printed beside it and mean nothing on another machine.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

__all__ = ["Bound", "Figure", "Level", "Missing", "Ratio", "Sample", "ratio", "run_rounds", "timed"]

C = TypeVar("C")
T = TypeVar("T")


@frozen
class Ratio:
    """A ratio over the rounds: median, and the interval from the smallest to the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """What these values say together."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f} .. {self.high:.2f}]"


@frozen
class Sample:
    """Seconds that one message took in one round: by the clock, and of the processor in this and the other process."""

    seconds: float
    here: float
    there: float


@frozen
class Figure:
    """One line of the report: what was compared, the ratio of times (peer over ours), and what was aimed at, or 0."""

    name: str
    ratio: Ratio
    must: float
    goal: float
    peer_microseconds: float
    our_microseconds: float
    peer_processor: tuple[float, float] | None = None
    our_processor: tuple[float, float] | None = None

    @classmethod
    def of_samples(cls, name: str, sides: Sequence[Sequence[Sample]], must: float, goal: float) -> Figure:
        """A figure of (peer, ours), with the processor time of both processes beside the time by the clock."""
        peer, ours = ([sample.seconds for sample in side] for side in sides)
        microseconds = [statistics.median(wall) * 1e6 for wall in (peer, ours)]
        return cls(name, ratio(peer, ours), must, goal, *microseconds, *map(_processor, sides))

    @property
    def verdict(self) -> str:
        """A figure misses its must only if its whole interval does."""
        if not self.goal:
            return ""
        if self.ratio.median >= self.goal:
            return "goal"
        if self.ratio.median >= self.must:
            return "must"
        return "must, within the interval" if self.ratio.high >= self.must else "MISSED"


@frozen
class Level:
    """A number of each round, and what was aimed at, or None: not to be above that, or with ``least`` not below."""

    name: str
    ratio: Ratio
    must: float | None = None
    goal: float | None = None
    least: bool = False

    @property
    def verdict(self) -> str:
        """It misses its must only if its whole interval does."""
        if self.must is None:
            return ""
        if self._reaches(self.ratio.median, self.goal):
            return "goal"
        if self._reaches(self.ratio.median, self.must):
            return "must"
        best = self.ratio.high if self.least else self.ratio.low
        return "must, within the interval" if self._reaches(best, self.must) else "MISSED"

    def _reaches(self, value: float, aim: float | None) -> bool:
        return aim is not None and (value >= aim if self.least else value <= aim)


@frozen
class Missing:
    """A line for what could not be measured, and why."""

    name: str
    verdict: str = "not measured"


@frozen
class Bound:
    """One number that must not be above ``most``; None is for information."""

    name: str
    value: float
    most: float | None

    @property
    def verdict(self) -> str:
        """Whether it is."""
        if self.most is None:
            return ""
        return "must" if self.value <= self.most else "MISSED"


def _processor(samples: Sequence[Sample]) -> tuple[float, float]:
    here, there = [s.here for s in samples], [s.there for s in samples]
    return statistics.median(here) * 1e6, statistics.median(there) * 1e6


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes; the collector runs before it and not during it."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def run_rounds(candidates: Sequence[C], rounds: int, label: str, measure: Callable[[C], T]) -> list[list[T]]:
    """What ``measure`` says of each candidate in each round, but for one thrown away; the order alternates."""
    found: list[list[T]] = [[] for _ in candidates]
    for number in range(rounds + 1):
        if sys.stderr.isatty():
            print(f"\r{label}: round {number} of {rounds} ", end="", file=sys.stderr, flush=True)
        order = range(len(candidates)) if number % 2 else reversed(range(len(candidates)))
        taken = {i: measure(candidates[i]) for i in order}
        if number:
            for i, sample in taken.items():
                found[i].append(sample)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return found


def ratio(peer: Sequence[float], ours: Sequence[float]) -> Ratio:
    """The peer's time over ours, round by round."""
    return Ratio.of([p / o for p, o in zip(peer, ours, strict=True)])
