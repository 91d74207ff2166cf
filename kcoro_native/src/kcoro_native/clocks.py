# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Clocks other than the real one: those of trio's kind, ``trio.testing.MockClock`` above all.

A clock with a finite ``autojump_threshold`` and ``jump(seconds)`` moves on by itself when nothing has happened for that
long, in real seconds.
"""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["Clock", "Waiting"]


class Clock(Protocol):
    """What is needed of a clock; ``trio.abc.Clock`` has it."""

    def start_clock(self) -> None:
        """A run begins."""
        ...

    def current_time(self) -> float:
        """Seconds; only differences mean anything."""
        ...

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How many real seconds may pass until ``deadline``."""
        ...


class Waiting:
    """Decides how long a loop in which everybody waits may sleep."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._threshold: float = getattr(clock, "autojump_threshold", math.inf)
        self._patient = False  # whether the threshold has been waited out

    def idle(self, deadline: float) -> float:
        """Real seconds to wait before the next timer, 0 after the clock has jumped to it."""
        left = self.clock.deadline_to_sleep_time(deadline)
        if self._threshold == math.inf or left <= 0:
            return max(left, 0.0)
        if self._threshold > 0 and not self._patient:
            self._patient = True
            return min(left, self._threshold)
        self._patient = False
        self.clock.jump(deadline - self.clock.current_time())  # type: ignore[attr-defined]
        return 0.0
