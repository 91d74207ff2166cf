# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native engine on its own host beside other libraries with ``async def``, gevent, and Go with GOMAXPROCS=1.

Each candidate is a process of its own, and each program runs there on a fresh loop. All do the same work, which is
checked. A figure is the *processor* time of the peer's process over that of the native one, since on a busy machine
the time by the clock of a process with one thread is mostly waiting.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from attrs import frozen
from candidates import Candidate, Taken, Unequal, opened
from rounds import Figure, Level, Missing, Ratio, ratio, run_rounds

TITLE = "| processor time of a peer over native | ratio of times | must | goal | reached | peer, us | native, us |"

Found = list[Figure | Level | Missing]
NOTHING = (0.0, 0.0)


@frozen
class Row:
    """A program, its number of elements and its width (in full, and when it is only a look), and what to reach."""

    name: str
    program: str
    full: tuple[int, int]
    look: tuple[int, int]
    bars: Mapping[str, tuple[float, float]]
    ours: str = "native"


def _select(width: int) -> list[Row]:
    sizes = ((4_000, width), (200, width))
    return [
        Row(f"select over {width}", "select", *sizes, {"aiochan": (5, 20), "go": NOTHING}),
        Row(
            f"select over {width}, Selector", "select", *sizes, {"aiochan": NOTHING, "go": NOTHING}, "native, Selector"
        ),
    ]


ROWS = [
    Row(
        "rendezvous round trip",
        "rendezvous",
        (20_000, 0),
        (500, 0),
        {
            "trio": (30, 60),
            "asyncio": (12, 25),
            "uvloop": (8, 12),
            "go": (0.5, 1),
            "gevent": NOTHING,
            "aiochan": NOTHING,
        },
    ),
    Row(
        "buffered 128",
        "buffered",
        (40_000, 0),
        (1_000, 0),
        {
            "trio": (25, 45),
            "asyncio": (3, 4),
            "gevent": (1, 2),
            "go": (1 / 5, 1 / 3),
            "uvloop": NOTHING,
            "aiochan": NOTHING,
        },
    ),
    *_select(2),
    *_select(8),
    *_select(64),
    Row(
        "spawn and join",
        "spawn",
        (20_000, 0),
        (500, 0),
        {"trio": (12, 20), "asyncio": (6, 12), "uvloop": NOTHING, "gevent": NOTHING, "go": NOTHING},
    ),
    Row(
        "spawn and join, nursery of the host",
        "spawn",
        (20_000, 0),
        (500, 0),
        dict.fromkeys(("trio", "asyncio"), NOTHING),
        "native, nursery",
    ),
    Row("sleepers", "sleepers", (100_000, 1_000), (1_000, 50), {"uvloop": (2.5, 5), "asyncio": NOTHING, "go": NOTHING}),
    *(
        Row(
            f"set and take back a timer beside {beside:,}",
            "timers",
            (100_000, beside),
            (1_000, 100),
            dict.fromkeys(("asyncio", "uvloop"), NOTHING),
        )
        for beside in (1_000, 100_000)
    ),
    Row(
        "rendezvous round trip, with timeouts",
        "deadlines",
        (10_000, 0),
        (500, 0),
        dict.fromkeys(("trio", "asyncio", "uvloop"), NOTHING),
    ),
    *(
        Row(
            name,
            program,
            (20_000, 0),
            (800, 0),
            dict.fromkeys(("trio", "asyncio", "uvloop", "aiochan", "gevent", "go"), NOTHING),
        )
        for name, program in (("fan-in of 8", "fan_in"), ("fan-out to 8", "fan_out"))
    ),
    Row(
        "daisy chain of 1,000, a hop",
        "chain",
        (20_000, 0),
        (1_000, 0),
        dict.fromkeys(("trio", "asyncio", "uvloop", "aiochan", "go"), NOTHING),
    ),
    Row(
        "cancel parked tasks",
        "cancel",
        (10_000, 0),
        (200, 0),
        dict.fromkeys(("trio", "asyncio", "uvloop"), NOTHING),
    ),
    Row("rendezvous inside trio", "rendezvous", (10_000, 0), (500, 0), {"trio": (1.5, 1.6)}, "native in trio"),
    Row("buffered 128 inside trio", "buffered", (20_000, 0), (1_000, 0), {"trio": (10, 17)}, "native in trio"),
]
"""Goals inside trio are what the first experiments reached at least."""

PARKED, FEW_PARKED = 20_000, 5_000
PARKED_PEERS = ("native, nursery", "asyncio", "trio", "go")
LATE_PEERS = ("trio", "asyncio", "uvloop")
LATE = {"must": 2.0, "goal": 1.0}


def measure(row: Row, candidates: Sequence[Candidate], rounds: int, quick: bool) -> list[list[Taken]]:
    """What each candidate took in each round. Unequal: one of them did less, or more, than another."""
    n, width = row.look if quick else row.full

    def one(candidate: Candidate) -> Taken:
        return candidate.take(row.program, n, width)

    taken = run_rounds(candidates, rounds, row.name, one)
    check_equal([(c.name, sample) for c, samples in zip(candidates, taken, strict=True) for sample in samples])
    return taken


def check_equal(work: Sequence[tuple[str, Taken]]) -> None:
    """Whoever got other elements, or another number of them, has not done the work. Unequal: somebody has not."""
    said = {(sample.count, sample.total): name for name, sample in work}
    if len(said) > 1:
        answers = ", ".join(f"{name} got {count} that add up to {total}" for (count, total), name in said.items())
        raise Unequal(f"the candidates did not do the same work: {answers}")


def missing(name: str, peer: str, must: float) -> Missing:
    """A must without its peer counts as missed."""
    return Missing(f"{name}: {peer} is not installed", "MISSED" if must else "not measured")


def compare(row: Row, at_hand: Mapping[str, Candidate], rounds: int, quick: bool) -> Found:
    """One figure for each peer of a row."""
    if row.ours not in at_hand:
        return [missing(f"{row.name}, {peer}", "kcoro-native", must) for peer, (must, _) in row.bars.items()]
    peers = [peer for peer in row.bars if peer in at_hand]
    ours, *others = measure(row, [at_hand[name] for name in (row.ours, *peers)], rounds, quick)
    times = dict(zip(peers, ([t.processor for t in taken] for taken in others), strict=True))
    mine, n = [t.processor for t in ours], (row.look if quick else row.full)[0]
    found: Found = []
    for peer, bar in row.bars.items():
        if peer in times:
            each = [statistics.median(side) / n * 1e6 for side in (times[peer], mine)]
            found.append(Figure(f"{row.name}: {peer}", ratio(times[peer], mine), *bar, *each))
        else:
            found.append(missing(row.name, peer, bar[0]))
    return found


def memory(rounds: int, quick: bool) -> Found:
    """Bytes that the process has more for each parked task; every sample from a process that has done nothing else."""
    n = FEW_PARKED if quick else PARKED

    def one(name: str) -> Taken:
        with opened(name) as candidate:
            return candidate.take("parked", n, 0)

    with ExitStack() as stack:
        names = [name for name in ("native", *PARKED_PEERS) if stack.enter_context(opened(name)).installed]
    taken = run_rounds(names, rounds, "parked", one)
    check_equal([(name, sample) for name, samples in zip(names, taken, strict=True) for sample in samples])
    each = {name: Ratio.of([t.memory / n for t in samples]) for name, samples in zip(names, taken, strict=True)}
    most = 0.6 * each["asyncio"].median if "asyncio" in each else None
    found: Found = []
    for name in ("native", *PARKED_PEERS):
        if name not in each or (name == "native" and most is None):
            absent = "asyncio" if name in each else name
            found.append(missing("bytes for each parked task", absent, name == "native"))
        else:
            bars = {"must": most, "goal": 512.0} if name == "native" else {}
            found.append(Level(f"bytes for each parked task: {name}", each[name], **bars))
    return found


def lateness(at_hand: Mapping[str, Candidate], rounds: int, quick: bool) -> Found:
    """By how many milliseconds 95 in a hundred of 10,000 timers are late at most; on a busy machine all are later."""
    names = [name for name in ("native", *LATE_PEERS) if name in at_hand]
    row = Row("timers", "late", (10_000, 1_000), (200, 50), {})
    taken = measure(row, [at_hand[name] for name in names], rounds, quick)
    each = {name: Ratio.of([t.late * 1e3 for t in samples]) for name, samples in zip(names, taken, strict=True)}
    return [
        Level(f"95 % of timers are late by, ms: {name}", each[name], **(LATE if name == "native" else {}))
        if name in each
        else missing("lateness of timers", name, name == "native")
        for name in ("native", *LATE_PEERS)
    ]


def figures(rounds: int, quick: bool) -> Found:
    """All rows, with whatever peers are installed."""
    found: Found = []
    with ExitStack() as stack:
        names = dict.fromkeys(name for row in ROWS for name in (row.ours, *row.bars))
        candidates = [stack.enter_context(opened(name)) for name in names]
        at_hand = {candidate.name: candidate for candidate in candidates if candidate.installed}
        for row in ROWS:
            found += compare(row, at_hand, rounds, quick)
        found += lateness(at_hand, rounds, quick)
    return found + memory(rounds, quick)
