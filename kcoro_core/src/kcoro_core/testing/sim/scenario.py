# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a simulation starts from, as data drawn from its seed: how bad the line is, which channels, how many tasks."""

from __future__ import annotations

import random
from typing import Final

from attrs import frozen

from ...transports.impairments import Impairments
from ..explore.programs import COMBINATIONS, ChannelSpec

__all__ = ["LEAP", "STEPS", "Scenario", "random_scenario"]

STEPS: Final = 400
"""How many steps of the host a simulation takes at least with faults, unless it is told otherwise."""

LEAP: Final = "clock_jump"
"""The word under which leaps of the clock are counted; the other faults are those of the line."""

# Each kind of fault is part of a scenario with this chance; then it is drawn up to the given strength.
_PART: Final = 0.3
_CHANCES: Final = {
    "loss": 0.2,
    "duplicate": 0.3,
    "reorder": 0.2,
    "partition": 0.02,
    "half_open": 0.01,
    "cut": 0.02,
    "short_reads": 0.9,
    "short_writes": 0.9,
}
_TIMES: Final = {"latency": 0.05, "jitter": 0.03}


@frozen
class Scenario:
    """One simulation: its line, the channels of the server and those of each dialler, tasks, and leaps of the clock.

    ``requeues`` names the channels to whose head goes back what a lost link leaves in doubt.
    """

    seed: int
    impairments: Impairments
    served: tuple[ChannelSpec, ...]
    dialled: tuple[ChannelSpec, ...]
    diallers: int
    tasks: int
    quantum: int
    leaps: tuple[tuple[int, float], ...]
    requeues: tuple[str, ...]

    def __str__(self) -> str:
        channels = ", ".join(map(str, self.served)), ", ".join(map(str, self.dialled))
        line = {name: value for name, value in _fields(self.impairments).items() if value}
        return (
            f"line: {line}\nserver: {channels[0]}\n{self.diallers} diallers, each: {channels[1]}\n"
            f"{self.tasks} tasks a side, quantum {self.quantum}, leaps {self.leaps}, requeued: {self.requeues}"
        )


def _fields(line: Impairments) -> dict[str, float]:
    return {name: getattr(line, name) for name in ("bandwidth", "buffer", "window", *_TIMES, *_CHANCES)}


def random_scenario(seed: int, steps: int = STEPS) -> Scenario:
    """The scenario of that number; equal numbers give equal scenarios, on every interpreter."""
    rng = random.Random(f"scenario {seed}")
    return Scenario(
        seed=seed,
        impairments=_line(rng, seed),
        served=tuple(_channel(rng, seed + i) for i in range(rng.randint(1, 3))),
        dialled=tuple(_channel(rng, seed + 7 * i) for i in range(rng.randint(1, 2))),
        diallers=rng.choice((1, 1, 2, 3)),
        tasks=rng.randint(1, 4),
        quantum=rng.choice((0, 1, 3, 64)),
        leaps=tuple(
            (rng.randrange(steps), rng.choice((0.01, 0.3, 5.0, 60.0))) for _ in range(rng.choice((0, 0, 1, 4)))
        ),
        requeues=tuple(name for name in ("s0", "s1", "s2", "d0", "d1") if rng.random() < 0.5),
    )


def _line(rng: random.Random, seed: int) -> Impairments:
    given: dict[str, float] = {}
    for name, most in (*_TIMES.items(), *_CHANCES.items()):
        if rng.random() < _PART:
            given[name] = round(rng.uniform(0.1, 1.0) * most, 4)
    if rng.random() < _PART:
        given["bandwidth"] = rng.choice((20_000, 200_000, 5_000_000))
    sizes = {
        "buffer": rng.choice((500, 65536)),
        "window": rng.choice((2000, 1 << 20)),
        "packet": rng.choice((100, 16384)),
    }
    return Impairments(seed=seed, partition_for=rng.choice((0.2, 5.0)), **sizes, **given)  # type: ignore[arg-type]


def _channel(rng: random.Random, number: int) -> ChannelSpec:
    kind, overflow = COMBINATIONS[number % len(COMBINATIONS)]
    return ChannelSpec(kind, overflow, rng.randint(1, 4) if kind.name == "BUFFERED" else None)
