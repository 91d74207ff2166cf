# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The scheduler of libkcoro beside Go's: tasks and goroutines that do the same, in programs that are compiled here.

Each sample is a process, which has done a tenth of its work before it is measured; how often, and what came of it, is
compared. With one worker a figure is the processor time of the peer over ours. With two it is the time by the clock,
and of the processor as well, since a worker that waits for work may sleep or spin.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen
from coroutines import FLAGS, HERE, LIBRARY, LINKED, NOTHING, PROGRAM, compiled
from rounds import Figure, Level, Missing, Ratio, ratio, run_rounds

from native import check_equal

TITLE = "| time of a peer over libkcoro | ratio of times | must | goal | reached | peer, us | ours, us |"

Found = list[Figure | Level | Missing]
Bars = Mapping[str, tuple[float, float]]
QUICK = 100
QUEUE = "queue"
"""A peer that is libkcoro itself, where whoever is woken waits for its turn."""
MANY = "100,000 timers"
"""A peer that is libkcoro itself, with so many at once."""
GO: Bars = {"Go": NOTHING}


@frozen
class Row:
    """A program, on how many workers, how often and how many at once, what to reach, and what else it is told."""

    name: str
    program: str
    workers: int
    count: int
    width: int = 1
    bars: Bars = GO
    options: Sequence[str] = ()
    late: float | None = None
    """How many milliseconds 95 of 100 sleepers may wake late at most; None is no figure of that."""

    def sizes(self, quick: bool) -> tuple[int, int]:
        """How often, and how many at once."""
        width = max(self.width // QUICK, min(self.width, 20)) if quick else self.width
        count = self.count // QUICK if quick else self.count
        return max(count // width, 1) * width, width


def _channels(workers: int, where: str) -> list[Row]:
    bars = GO | {QUEUE: NOTHING}
    return [
        Row(f"round trip over two channels, {where}", "rendezvous", workers, 500_000, bars=bars),
        Row(f"buffered 128, {where}", "buffered", workers, 2_000_000, bars=bars),
    ]


def _batches(workers: int, where: str) -> list[Row]:
    return [
        Row(f"spawn and join, 100 at once, {where}", "spawn", workers, 500_000, 100),
        Row(f"spawn and join, 10,000 at once, {where}", "spawn", workers, 100_000, 10_000),
        Row(f"the same, stacks kept, {where}", "spawn", workers, 100_000, 10_000, options=("keep",)),
    ]


ROWS = [
    Row("yield to another task", "yield", 1, 3_000_000),
    *_channels(1, "one worker"),
    *_channels(2, "two workers"),
    Row("round trip between threads", "apart", 2, 20_000),
    *_batches(1, "one worker"),
    *_batches(2, "two workers"),
    Row("jobs of a microsecond, 200 at once, two workers", "steal", 2, 200_000, 200),
    Row("until the first steal, two workers", "first", 2, 5_000),
    Row("round trip with a deadline", "deadline", 1, 300_000),
    Row("restart one of 1,000 timers", "rearm", 1, 1_000_000, 1_000, GO | {MANY: NOTHING}),
    Row("restart one of 100,000 timers", "rearm", 1, 1_000_000, 100_000),
    Row("20,000 sleepers", "sleepers", 1, 20_000, 20_000),
    Row("20,000 sleepers, stacks kept", "sleepers", 1, 20_000, 20_000, options=("keep",)),
    Row("1,000 sleepers", "sleepers", 1, 1_000, 1_000, late=2),
]


@frozen
class Taken:
    """What one process did, and what it took in seconds: by the clock, of the processor, and how late sleepers woke."""

    count: int
    total: int
    seconds: float
    processor: float
    late: float


@frozen
class Side:
    """A program and its last arguments."""

    name: str
    program: Path
    options: Sequence[str] = ()
    width: int | None = None

    def take(self, row: Row, quick: bool) -> Taken:
        """Have it do the work of a row."""
        count, width = row.sizes(quick)
        sizes = map(str, (row.workers, count, width if self.width is None or quick else self.width))
        command = [str(self.program), row.program, *sizes, *row.options, *self.options]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return Taken(**json.loads(done.stdout))


def sides(folder: Path) -> dict[str, Side]:
    """Whoever can be compiled here."""
    ours = compiled(folder, "ours", "cc", *FLAGS, HERE / "scheduler.c", *LIBRARY, *LINKED)
    peer = compiled(folder, "go", "go", "build", "-o", PROGRAM, HERE / "scheduler.go")
    found = {"Go": Side("Go", peer)} if peer is not None else {}
    if ours is not None:
        found |= {
            "libkcoro": Side("libkcoro", ours),
            QUEUE: Side(QUEUE, ours, [QUEUE]),
            MANY: Side(MANY, ours, width=100_000),
        }
    return found


def figure(name: str, peer: Sequence[float], ours: Sequence[float], count: int, bar: tuple[float, float]) -> Figure:
    """Of seconds that all of it took."""
    each = [statistics.median(side) / count * 1e6 for side in (peer, ours)]
    return Figure(name, ratio(peer, ours), *bar, *each)


def compare(row: Row, at_hand: Mapping[str, Side], rounds: int, quick: bool) -> Found:
    """Two figures for each peer of a row, by the clock and of the processor; of the latter only with one worker."""
    if "libkcoro" not in at_hand:
        return [Missing(f"{row.name}: there is no C compiler")]
    peers = [peer for peer in row.bars if peer in at_hand]
    absent = [Missing(f"{row.name}: {peer} is not installed") for peer in row.bars if peer not in peers]
    candidates = [at_hand[name] for name in ("libkcoro", *peers)]
    taken = run_rounds(candidates, rounds, row.name, lambda side: side.take(row, quick))
    check_equal([(side.name, one) for side, samples in zip(candidates, taken, strict=True) for one in samples])
    ours, *theirs = taken
    found: Found = []
    for peer, samples in zip(peers, theirs, strict=True):
        name, count, bar = f"{row.name}: {peer}", row.sizes(quick)[0], row.bars[peer]
        if row.workers > 1:
            found.append(figure(f"{name}", [t.seconds for t in samples], [t.seconds for t in ours], count, bar))
            name, bar = f"{name}, processor", NOTHING
        found.append(figure(name, [t.processor for t in samples], [t.processor for t in ours], count, bar))
    return [*found, *absent, *lateness(row, candidates, taken)]


def lateness(row: Row, candidates: Sequence[Side], taken: Sequence[Sequence[Taken]]) -> list[Level]:
    """How late sleepers woke; the must is for ours."""
    if row.late is None:
        return []
    return [
        Level(
            f"{row.name}, 95 % late by at most, ms: {side.name}",
            Ratio.of([sample.late * 1000 for sample in samples]),
            row.late if side.name == "libkcoro" else None,
        )
        for side, samples in zip(candidates, taken, strict=True)
    ]


def figures(rounds: int, quick: bool) -> Found:
    """All rows."""
    with tempfile.TemporaryDirectory() as folder:
        at_hand = sides(Path(folder))
        return [figure for row in ROWS for figure in compare(row, at_hand, rounds, quick)]
