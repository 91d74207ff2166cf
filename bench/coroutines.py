# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Coroutines of libkcoro beside Boost.Context, its own switcher by ucontext, and goroutines: programs, compiled here.

Each sample is a process of its own; a figure is the processor time of the peer over ours. Boost is measured as its
headers and library are found (Debian: libboost-context-dev), and Go where there is a compiler.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen
from rounds import Figure, Missing, ratio, run_rounds

TITLE = "| processor time of a peer over libkcoro | ratio of times | must | goal | reached | peer, us | ours, us |"

Found = list[Figure | Missing]
HERE = Path(__file__).resolve().parent
CSRC = HERE.parent / "kcoro_native" / "csrc"
LIBRARY = [*sorted(CSRC.glob("*.[cS]")), CSRC / "port" / "pages_anonymous.c"]
OURS = [HERE / "coroutines.c", *LIBRARY]
FLAGS = [
    "-std=c11",
    "-O2",
    "-D_POSIX_C_SOURCE=200809L",
    "-DKC_HAVE_MAP_ANONYMOUS",
    f"-I{CSRC}",
    f"-I{CSRC / 'include'}",
]
NOTHING = (0.0, 0.0)
WHAT = {"resumer": "resumed"}
"""What a peer does where it is libkcoro itself, and does it in another way."""
PROGRAM = "PROGRAM"
"""Where the name of the program goes in a command that makes it."""
LINKED = ["-o", PROGRAM, "-lpthread", "-lm"]


@frozen
class Row:
    """What is done, how often (in full, and when it is only a look), and what to reach against each peer."""

    name: str
    what: str
    full: int
    bars: Mapping[str, tuple[float, float]]

    def count(self, quick: bool) -> int:
        """How often."""
        return self.full // 100 if quick else self.full


ROWS = [
    Row("switch there and back, alone", "bare", 5_000_000, {"Boost": (1, 1 / 0.75), "ucontext": NOTHING}),
    Row("the same, where one side has divided", "flags", 5_000_000, {"Boost": NOTHING}),
    Row("resume and yield", "resume", 5_000_000, {"Boost": NOTHING, "ucontext": NOTHING, "Go": NOTHING}),
    Row("the same, where Boost claims too", "claimed", 5_000_000, {"Boost": NOTHING}),
    Row("hand over to another coroutine", "transfer", 10_000_000, {"resumer": NOTHING, "Boost": NOTHING}),
    Row("create, run and destroy", "create", 1_000_000, {"Boost": (1, 2), "ucontext": NOTHING, "Go": NOTHING}),
]


def compiled(folder: Path, name: str, *command: str | Path) -> Path | None:
    """The program, or None where something for it is missing."""
    if shutil.which(str(command[0])) is None:
        return None
    program = folder / name
    at = [str(program) if part == PROGRAM else str(part) for part in command]
    done = subprocess.run(at, capture_output=True, check=False, env=os.environ | {"GOCACHE": str(folder / "cache")})
    return program if done.returncode == 0 else None


def programs(folder: Path) -> dict[str, Path | None]:
    """Ours and its peers."""
    by_ucontext = [*OURS, CSRC / "port" / "switch_ucontext.c", "-DKC_USE_UCONTEXT"]
    boost = ["-std=c++17", "-O2", HERE / "coroutines_boost.cpp", "-lboost_context"]
    ours = compiled(folder, "ours", "cc", *FLAGS, *OURS, *LINKED)
    return {
        "libkcoro": ours,
        "resumer": ours,
        "ucontext": compiled(folder, "ucontext", "cc", *FLAGS, *by_ucontext, *LINKED),
        "Boost": compiled(folder, "boost", "c++", *boost, *LINKED),
        "Go": compiled(folder, "go", "go", "build", "-o", PROGRAM, HERE / "coroutines.go"),
    }


def nanoseconds(program: Path, what: str, count: int) -> float:
    """What one took."""
    done = subprocess.run([program, what, str(count)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def compare(row: Row, at_hand: Mapping[str, Path | None], rounds: int, quick: bool) -> Found:
    """One figure for each peer of a row."""
    peers = [peer for peer in row.bars if at_hand[peer] is not None]
    absent = [Missing(f"{row.name}: {peer} is not installed") for peer in row.bars if peer not in peers]
    if at_hand["libkcoro"] is None:
        return [Missing(f"{row.name}: there is no C compiler")]
    all_sides = [(p, WHAT.get(name, row.what)) for name in ("libkcoro", *peers) if (p := at_hand[name]) is not None]
    ours, *theirs = run_rounds(all_sides, rounds, row.name, lambda side: nanoseconds(*side, row.count(quick)))
    found: Found = []
    for peer, times in zip(peers, theirs, strict=True):
        each = [statistics.median(side) / 1000 for side in (times, ours)]
        found.append(Figure(f"{row.name}: {peer}", ratio(times, ours), *row.bars[peer], *each))
    return [*found, *absent]


def figures(rounds: int, quick: bool) -> Found:
    """All rows."""
    with tempfile.TemporaryDirectory() as folder:
        at_hand = programs(Path(folder))
        return [figure for row in ROWS for figure in compare(row, at_hand, rounds, quick)]
