# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Micro-benchmarks: what one operation takes, of the reference engine on trio, the native one, and trio itself.

Each column is a process of its own, in which each program runs on a fresh loop, with the cycle collector off. Times are
of the processor, for batches of a hundred, so that the slow ones among these are not those in which somebody else ran;
the first batches of a program warm up and are thrown away. All do the same work, which is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from attrs import frozen
from candidates import Candidate, Taken, opened
from native_programs import BATCH
from rounds import run_rounds
from spread import Percentiles, Spread, ratio_of_medians

from native import check_equal

COLUMNS = ("reference", "native", "trio")
TITLE = (
    f"| processor time of one operation, us: median / p95 / p99 of batches of {BATCH} "
    "| reference on trio | native | trio | median over that of native |"
)
WARM, BATCHES, FEW_BATCHES = 10, 50, 5
"""Batches that are thrown away, those of a round, and those of a look."""


@frozen
class Line:
    """A program, its width or 0, and the columns that have such a thing."""

    name: str
    program: str
    width: int = 0
    columns: Sequence[str] = COLUMNS


OURS = ("reference", "native")


def _stackful(where: str, others: int) -> list[Line]:
    return [
        Line(f"round trip of stackful functions{where}, {resume}", resume, others, ("native",))
        for resume in ("inline", "queue")
    ]


GROUPS = [
    [Line("switch: resume and yield", "switch", columns=OURS)],
    [Line("switch: turn of a task", "turns")],
    _stackful("", 0),
    _stackful(" beside 8 tasks", 8),
    [Line("spawn and join", "spawn")],
    [Line("rendezvous round trip", "rendezvous")],
    [Line("buffered 128", "buffered")],
    [Line("select over 8", "select", 8, OURS)],
    [Line("call over a link", "call", columns=OURS)],
    [Line("timer set and taken back", "timer")],
    [Line("rendezvous round trip, with deadlines", "deadlines")],
]
"""Lines that are measured in the same rounds, and compared with each other."""

Laps = list[list[float]]
"""Microseconds of one operation, for each batch of each round."""


def laps_of(samples: Sequence[Taken]) -> Laps:
    """What counts of a candidate's rounds."""
    return [[lap / BATCH * 1e6 for lap in sample.laps[WARM:]] for sample in samples]


def measure(group: Sequence[Line], at_hand: Mapping[str, Candidate], rounds: int, quick: bool) -> dict[str, Laps]:
    """Laps by ``line, column``. Unequal: somebody did less, or more, than another."""
    n = BATCH * (WARM + (FEW_BATCHES if quick else BATCHES))
    sides = [(line, column) for line in group for column in line.columns if column in at_hand]

    def one(side: tuple[Line, str]) -> Taken:
        line, column = side
        return at_hand[column].take(line.program, n, line.width)

    names = [f"{line.name}, {column}" for line, column in sides]
    taken = run_rounds(sides, rounds, group[0].name, one)
    check_equal([(name, sample) for name, samples in zip(names, taken, strict=True) for sample in samples])
    return {name: laps_of(samples) for name, samples in zip(names, taken, strict=True)}


def compare(group: Sequence[Line], at_hand: Mapping[str, Candidate], rounds: int, quick: bool) -> list[Spread]:
    """One line of the report for each line of a group."""
    laps = measure(group, at_hand, rounds, quick)
    absent = [column for column in COLUMNS if column not in at_hand]
    return [_spread(line, group, laps, absent) for line in group]


def _spread(line: Line, group: Sequence[Line], laps: Mapping[str, Laps], absent: Sequence[str]) -> Spread:
    sides = {column: laps.get(f"{line.name}, {column}") for column in COLUMNS}
    others = {column: side for column, side in sides.items() if column != "native"}
    others |= {other.program: laps.get(f"{other.name}, native") for other in group if other is not line}
    ours = sides["native"]
    return Spread(
        line.name,
        {column: side and Percentiles.of([lap for laps in side for lap in laps]) for column, side in sides.items()},
        {name: ratio_of_medians(side, ours) for name, side in others.items() if side and ours},
        " and ".join(f"{column} is not installed" for column in line.columns if column in absent),
    )


def figures(rounds: int, quick: bool) -> list[Spread]:
    """All lines, with whatever is installed."""
    with ExitStack() as stack:
        candidates = [stack.enter_context(opened(name, "micro_worker.py")) for name in COLUMNS]
        at_hand = {candidate.name: candidate for candidate in candidates if candidate.installed}
        return [spread for group in GROUPS for spread in compare(group, at_hand, rounds, quick)]
