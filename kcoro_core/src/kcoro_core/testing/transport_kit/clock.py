# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clocks of a bench: the real one, and one that stands still until nothing else can happen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

__all__ = ["Clock", "JumpingClock", "RealClock"]

GLANCE_SECONDS: Final = 0.02
"""How long a jumping clock lets the medium show something, before it takes a deadline for what comes next."""


class Clock(Protocol):
    """What a bench asks of its clock; times are in seconds from anywhere."""

    def now(self) -> float:
        """The time that transports are told."""
        ...

    def pause(self, deadlines: Sequence[float], give_up: float, watches: bool) -> float:
        """How long to wait at most: until the next deadline, or ``give_up`` in real time.

        ``watches`` says whether there are descriptors to wait for.
        """
        ...

    def waited(self, deadlines: Sequence[float]) -> None:
        """The pause is over, and no descriptor has shown anything."""
        ...


class RealClock:
    """The monotonic clock of the machine."""

    def now(self) -> float:
        """Seconds of ``time.monotonic``."""
        return time.monotonic()

    def pause(self, deadlines: Sequence[float], give_up: float, watches: bool) -> float:
        """As long as it is until the first of all these times."""
        return max(0.0, min([give_up, *deadlines]) - time.monotonic())

    def waited(self, deadlines: Sequence[float]) -> None:
        """Time has passed by itself."""


class JumpingClock:
    """A clock that stands still, and jumps to the next deadline when no descriptor shows anything.

    What a transport does behind its deadlines then takes no time, and what it does without having announced one never
    happens.
    """

    def __init__(self, start: float) -> None:
        self.time = start

    def now(self) -> float:
        """Seconds, as many as were jumped over."""
        return self.time

    def pause(self, deadlines: Sequence[float], give_up: float, watches: bool) -> float:
        """A glance at the descriptors when there is a deadline to jump to, else as long as there is patience."""
        if deadlines:
            return GLANCE_SECONDS if watches else 0.0
        return max(0.0, give_up - time.monotonic())

    def waited(self, deadlines: Sequence[float]) -> None:
        """Jump to the first deadline; never back."""
        self.time = max([self.time, min(deadlines, default=self.time)])
