# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The campaign against an engine: random programs over all kinds and policies, disturbed at every step.

Each program is played once undisturbed; then, for each step that it took, once with every injection right before that
step. The engine under test is the one that KCORO_ENGINE names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Final

from ... import plugins
from .explorer import Finding, Result, Schedule
from .play import INJECTIONS, Injection, Play
from .programs import random_program

__all__ = ["ENOUGH", "SCHEDULES", "SECONDS", "engine_schedules", "replay"]

SCHEDULES: Final = 100_000
"""A campaign stops after so many schedules ..."""
SECONDS: Final = 120.0
"""... or so many seconds, whichever comes first ..."""
ENOUGH: Final = 20_000
"""... and has failed if it saw fewer distinct traces than this by then."""


def engine_schedules(first: int = 0) -> Iterator[Schedule]:
    """Every schedule of every program from number ``first`` on, without end."""
    for seed in itertools.count(first):
        undisturbed = play(seed, None)
        yield _schedule(seed, None)
        for step in range(undisturbed.host.steps):
            for what in INJECTIONS:
                yield _schedule(seed, Injection(what, step))


def replay(seed: int, injection: Injection | None) -> Schedule:
    """One schedule of a campaign, by its numbers."""
    return _schedule(seed, injection)


def play(seed: int, injection: Injection | None) -> Play:
    """Play one program to its end; look at ``found`` and ``host`` afterwards."""
    played = Play(random_program(seed), injection)
    played.run()
    return played


def _schedule(seed: int, injection: Injection | None) -> Schedule:
    words = f"KCORO_ENGINE={plugins.choice().name} kcoro explore --seed {seed}"
    command = f"{words} --schedules 1" if injection is None else f"{words} --inject {injection}"
    return Schedule(command, partial(_result, seed, injection))


def _result(seed: int, injection: Injection | None) -> Result:
    played = play(seed, injection)
    if not played.found:
        return Result(played.host.trace_hash())
    found = tuple(Finding("broken", text) for text in played.found)
    about = f"program {seed}, disturbed by {injection or 'nothing'}:\n{played.program}"
    return Result(played.host.trace_hash(), found, about)
