# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The rows of the scheduler in C: each program does the work that it is measured by."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What each program adds up, of 40 elements, where 20 are at once.
TOTALS = {
    "yield": 40,
    "rendezvous": sum(range(1, 41)),
    "apart": sum(range(1, 41)),
    "deadline": sum(range(1, 41)),
    "buffered": sum(range(40)),
    "spawn": sum(range(40)),
    "first": 40,
    "rearm": 40,
    "sleepers": sum(range(40)),
}


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite, as ``bench/run.py`` imports it."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("scheduler")


def test_every_program_does_its_work(scheduler: Any, tmp_path: Path) -> None:
    """In C, and in Go where there is a compiler, inline and by the queue, with stacks kept or not."""
    at_hand = scheduler.sides(tmp_path)
    assert {"libkcoro", "queue", "100,000 timers"} <= at_hand.keys()
    jobs = set()
    for side in [side for side in at_hand.values() if side.width is None]:
        for program in {row.program for row in scheduler.ROWS}:
            row = scheduler.Row("", program, 2, 40, 20, options=["keep"] if program == "spawn" else [])
            taken = side.take(row, quick=False)
            assert taken.count == 40, (side.name, program)
            assert min(taken.seconds, taken.processor, taken.late) >= 0
            assert (taken.late > 0) == (program == "sleepers")
            if program == "steal":
                jobs.add(taken.total)
            else:
                assert taken.total == TOTALS[program], (side.name, program)
    assert len(jobs) == 1


class FakeSide:
    """A candidate that says what it is told to."""

    def __init__(self, scheduler: Any, name: str, total: int, seconds: float = 1.0, processor: float = 1.0) -> None:
        self.name = name
        self._taken = scheduler.Taken(100, total, seconds, processor, 0.003)

    def take(self, *_row: object) -> Any:
        """The same every time."""
        return self._taken


def test_a_peer_that_does_other_work_is_an_error(scheduler: Any) -> None:
    """A time without the work says nothing, so that there is no figure."""
    at_hand = {"libkcoro": FakeSide(scheduler, "libkcoro", 7), "Go": FakeSide(scheduler, "Go", 8)}
    with pytest.raises(Exception, match="Go got 100 that add up to 8"):
        scheduler.compare(scheduler.Row("row", "spawn", 1, 100), at_hand, 3, quick=False)


def test_with_two_workers_there_is_a_figure_by_the_clock_and_one_of_the_processor(scheduler: Any) -> None:
    """With one the time by the clock says nothing more; who is not installed is named."""
    at_hand = {
        "libkcoro": FakeSide(scheduler, "libkcoro", 7),
        "Go": FakeSide(scheduler, "Go", 7, seconds=3, processor=2),
    }
    for workers, figures in ((1, {"row: Go": 2}), (2, {"row: Go": 3, "row: Go, processor": 2})):
        row = scheduler.Row("row", "spawn", workers, 100, bars={"Go": (0, 0), "queue": (0, 0)})
        *found, absent = scheduler.compare(row, at_hand, 3, quick=False)
        assert {figure.name: figure.ratio.median for figure in found} == figures
        assert absent.name == "row: queue is not installed"


def test_how_late_sleepers_wake_has_a_must_for_ours_alone(scheduler: Any) -> None:
    """Of Go it is said for comparison. Row: SC5."""
    at_hand = {name: FakeSide(scheduler, name, 7) for name in ("libkcoro", "Go")}
    found = scheduler.compare(scheduler.Row("row", "sleepers", 1, 100, late=2), at_hand, 3, quick=False)
    late = {figure.name: (figure.ratio.median, figure.verdict) for figure in found if "late" in figure.name}
    assert late == {
        "row, 95 % late by at most, ms: libkcoro": (3, "MISSED"),
        "row, 95 % late by at most, ms: Go": (3, ""),
    }


def test_the_number_of_timers_is_all_that_differs_where_many_are_compared_with_few(scheduler: Any) -> None:
    """The wheel itself with a hundred times as many, so that the figure is what their number costs. Row: SC5."""
    with_many = [row for row in scheduler.ROWS if scheduler.MANY in row.bars]
    assert [(row.program, row.width) for row in with_many] == [("rearm", 1_000)]


@pytest.mark.long
def test_every_row_of_the_scheduler_runs() -> None:
    """Beside Go where it is installed, and beside itself with a queue in any case."""
    command = [sys.executable, "bench/run.py", "scheduler", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["suites"]["scheduler"]
    measured = {row["name"]: row["ratio"]["low"] for row in rows if "ratio" in row}
    assert {name for name in measured if "queue" in name} == {
        f"{what}: {how}"
        for where, hows in (("one worker", ["queue"]), ("two workers", ["queue", "queue, processor"]))
        for what in (f"round trip over two channels, {where}", f"buffered 128, {where}")
        for how in hows
    }
    assert all(low > 0 for low in measured.values())
