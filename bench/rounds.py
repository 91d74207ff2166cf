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

from attrs import frozen

__all__ = ["Figure", "Ratio", "run_rounds"]


@frozen
class Ratio:
    """A ratio over the rounds: median, and the interval from the smallest to the largest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f} .. {self.high:.2f}]"


@frozen
class Figure:
    """One line of the report: what was compared, the ratio of times (peer over ours), and what was aimed at."""

    name: str
    ratio: Ratio
    must: float
    goal: float
    peer_microseconds: float
    our_microseconds: float

    @property
    def verdict(self) -> str:
        """A figure misses its must only if its whole interval does."""
        if self.ratio.median >= self.goal:
            return "goal"
        if self.ratio.median >= self.must:
            return "must"
        return "must, within the interval" if self.ratio.high >= self.must else "MISSED"


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


def run_rounds(candidates: Sequence[Callable[[], object]], rounds: int, label: str) -> list[list[float]]:
    """Seconds of each candidate in each round, after one round that is thrown away; the order alternates."""
    times: list[list[float]] = [[] for _ in candidates]
    for number in range(rounds + 1):
        if sys.stderr.isatty():
            print(f"\r{label}: round {number} of {rounds} ", end="", file=sys.stderr, flush=True)
        order = range(len(candidates)) if number % 2 else reversed(range(len(candidates)))
        taken = {i: timed(candidates[i]) for i in order}
        if number:
            for i, seconds in taken.items():
                times[i].append(seconds)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return times


def ratio(peer: Sequence[float], ours: Sequence[float]) -> Ratio:
    """The peer's time over ours, round by round."""
    ratios = [p / o for p, o in zip(peer, ours, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))
