# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The micro-benchmarks, run once, quickly: one command has every line and every column. Row: Q8."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALL, OURS, NATIVE = {"reference", "native", "trio"}, {"reference", "native"}, {"native"}
LINES = {
    "switch: resume and yield": OURS,
    "switch: turn of a task": ALL,
    "round trip of stackful functions, inline": NATIVE,
    "round trip of stackful functions, queue": NATIVE,
    "round trip of stackful functions beside 8 tasks, inline": NATIVE,
    "round trip of stackful functions beside 8 tasks, queue": NATIVE,
    "spawn and join": ALL,
    "rendezvous round trip": ALL,
    "buffered 128": ALL,
    "select over 8": OURS,
    "call over a link": OURS,
    "timer set and taken back": ALL,
    "rendezvous round trip, with deadlines": ALL,
}

HAS_NATIVE = bool(importlib.metadata.entry_points(group="kcoro", name="native"))

pytestmark = pytest.mark.timeout(320)  # every column is a process of its own, on a machine that may be busy


def run(*options: str) -> str:
    """What the command prints."""
    command = [sys.executable, "bench/run.py", "micro", "--quick", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(columns: set[str]) -> set[str]:
    """Those of them that can be measured here."""
    return columns if HAS_NATIVE else columns - NATIVE


def sound(percentiles: dict[str, Any]) -> bool:
    """Three rounds of five batches, in order."""
    return percentiles["count"] == 15 and 0 < percentiles["p50"] <= percentiles["p95"] <= percentiles["p99"]


def test_every_line_has_the_percentiles_of_its_columns() -> None:
    """And, where there is something to compare with, a ratio. Row: Q8."""
    lines: list[dict[str, Any]] = json.loads(run("--json"))["suites"]["micro"]
    assert [line["name"] for line in lines] == list(LINES)
    for line in lines:
        there = {column: cell for column, cell in line["cells"].items() if cell is not None}
        assert set(line["cells"]) == ALL
        assert there.keys() == installed(LINES[line["name"]]), line["name"]
        assert all(map(sound, there.values())), line
        assert all(0 < ratio["low"] <= ratio["median"] <= ratio["high"] for ratio in line["ratios"].values())


def test_the_table_puts_the_columns_side_by_side_and_says_the_size_of_a_batch() -> None:
    """Inline stands against the queue, and either engine beside trio's channel; ratios are over native. Row: Q8."""
    table = [line for line in run().splitlines() if line.startswith("|")]
    assert "of batches of 100" in table[0]
    assert all(line.count("|") == table[0].count("|") for line in table)
    last = {cells[1].strip(): cells[5] for line in table[2:] if (cells := line.split("|"))}
    assert last.keys() == LINES.keys()
    if not HAS_NATIVE:
        assert {cell.strip() for cell in last.values()} == {"native is not installed"}
        return
    assert "reference" in last["rendezvous round trip"]
    assert "trio" in last["rendezvous round trip"]
    assert "queue" in last["round trip of stackful functions, inline"]
    assert "inline" in last["round trip of stackful functions, queue"]
