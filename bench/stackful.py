# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Python functions on stacks of their own, of the native engine, beside greenlet: each sample in its own process."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path

from attrs import frozen
from rounds import Figure, Missing, ratio, run_rounds

TITLE = "| processor time of greenlet over kcoro | ratio of times | must | goal | reached | greenlet, us | ours, us |"

Found = list[Figure | Missing]
PROGRAM = Path(__file__).resolve().parent / "stackful_programs.py"
QUICK = 100


@frozen
class Row:
    """What is done, how often, and what to reach."""

    name: str
    what: str
    count: int
    must: float = 0
    goal: float = 0


ROWS = [
    Row("resume and yield", "switch", 1_000_000, must=4, goal=6),
    Row("the same, by Coroutine.yield_", "static", 1_000_000),
    Row("the same, below five callbacks of C", "deep", 500_000),
    Row("make, run and let go", "lives", 200_000),
]


def nanoseconds(who: str, row: Row, quick: bool) -> float:
    """What one took."""
    count = row.count // QUICK if quick else row.count
    command = [sys.executable, str(PROGRAM), who, row.what, str(count)]
    environ = os.environ | {"KCORO_ENGINE": "native"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    return float(done.stdout)


def figures(rounds: int, quick: bool) -> Found:
    """All rows, or why there are none."""
    for name in ("kcoro_native", "greenlet"):
        if importlib.util.find_spec(name) is None:
            return [Missing(f"{row.name}: {name} is not installed") for row in ROWS]
    found: Found = []
    for row in ROWS:
        ours, theirs = run_rounds(
            ["kcoro", "greenlet"], rounds, row.name, lambda who, row=row: nanoseconds(who, row, quick)
        )
        each = [statistics.median(side) / 1000 for side in (theirs, ours)]
        found.append(Figure(row.name, ratio(theirs, ours), row.must, row.goal, *each))
    return found
