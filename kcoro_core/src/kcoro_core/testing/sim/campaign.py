# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A campaign of simulations: one seed after the other, some of them twice, until enough or the first finding.

Rule: a kind of fault, or anything that a move names as happening sometimes, that never happens in a campaign of at
least ENOUGH simulations is a finding as well: what was never tried has not been tested.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from ... import plugins
from ...transports.impairments import KINDS
from ..explore.explorer import Exploration, Finding, Result, Schedule, explore
from ..laws.links import using_setting
from .moves import MOVES
from .play import SETTINGS, Simulation
from .scenario import LEAP, STEPS

__all__ = ["ENOUGH", "LEAST_STEPS", "SECONDS", "SIMULATIONS", "SOMETIMES", "Campaign"]

SIMULATIONS: Final = 20_000
"""A campaign stops after so many simulations ..."""
SECONDS: Final = 180.0
"""... or so many seconds, whichever comes first, but with ENOUGH of them."""
ENOUGH: Final = 1000
"""From so many simulations on everything that can happen has to have happened."""
LEAST_STEPS: Final = 200
"""Half of all simulations take at least so many steps of the host."""

SOMETIMES: Final = (
    *KINDS,
    LEAP,
    *(f"{move.name} {outcome}" for move in MOVES.values() for outcome in move.sometimes),
    *(
        "send in doubt",
        "undelivered in doubt",
        "undelivered overflow",
        "undelivered conflated",
        "undelivered cancelled",
        "undelivered here in doubt",
        "undelivered here conflated",
        "requeued",
        "received again",
        "scope cancelled",
        "late replies",
        "dial LinkLost",
        "link ended: LinkLost",
        "link ended: TransportError",
        "ended",
    ),
)
"""What has to happen in a campaign: every kind of fault, every outcome of the table, and the rarer fates."""


class Campaign:
    """Runs simulations and remembers what has happened in all of them."""

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps
        self.counts: Counter[str] = Counter()
        self.lengths: list[int] = []
        self.last = ""

    def schedules(self, first: int = 0) -> Iterator[Schedule]:
        """Every simulation from that seed on, without end."""
        for seed in itertools.count(first):
            words = f"KCORO_ENGINE={plugins.choice().name} kcoro sim --seed {seed}"
            words += f" --steps {self.steps}" if self.steps != STEPS else ""
            yield Schedule(words, partial(self._result, seed))

    def run(
        self,
        first: int = 0,
        *,
        limit: int = SIMULATIONS,
        seconds: float = SECONDS,
        least: int = 0,
        progress: Callable[[Exploration], object] = lambda so_far: None,
        now: Callable[[], float] = time.monotonic,
    ) -> Exploration:
        """Run simulations until ``limit`` or ``seconds`` are over, or one is at fault; then look at all of them.

        With ``least``, at least so many, however long they take: less than ENOUGH are not judged as a whole.
        """
        with contextlib.ExitStack() as settings:
            for name, value in SETTINGS.items():
                settings.enter_context(using_setting(name, value))
            outcome = explore(
                self.schedules(first), limit=limit, seconds=seconds, least=least, progress=progress, now=now
            )
        if not outcome.found:
            outcome.found = tuple(Finding("few", text) for text in self.missing())
        return outcome

    @property
    def median_steps(self) -> float:
        """How many steps of the host the simulation in the middle took."""
        return statistics.median(self.lengths) if self.lengths else 0

    def missing(self) -> list[str]:
        """What a campaign of this size should have seen and has not."""
        if len(self.lengths) < ENOUGH:
            return []
        missing = [f"{what!r} has never happened" for what in SOMETIMES if not self.counts[what]]
        if self.median_steps < LEAST_STEPS:
            missing.append(f"half of the simulations took less than {LEAST_STEPS} steps")
        return missing

    def _result(self, seed: int) -> Result:
        simulation = Simulation(seed, self.steps).run()
        self.counts.update(simulation.counts)
        self.lengths.append(simulation.host.steps)
        self.last = simulation.trace_hash()
        found = tuple(Finding("broken", text) for text in simulation.found)
        return Result(self.last, found, f"simulation {seed}:\n{simulation.scenario}" if found else "")
