# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native rows of the benchmarks, run once, quickly; where the native engine is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(320)  # every candidate is a process of its own, on a machine that may be busy


def run(suite: str) -> list[dict[str, Any]]:
    """The rows of a suite."""
    command = [sys.executable, "bench/run.py", suite, "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["suites"][suite]
    return rows


def test_stackful_functions_switch_in_every_row() -> None:
    """Or greenlet is not installed, which is said."""
    rows = run("stackful")
    assert len(rows) == 4
    assert all(row["ratio"]["low"] > 0 if "ratio" in row else "is not installed" in row["name"] for row in rows)


def test_every_row_runs() -> None:
    """Every row whose libraries are installed is measured, and each figure is of some work."""
    rows = run("native")
    measured = [row for row in rows if "ratio" in row]
    assert {row["name"] for row in measured} >= {
        "rendezvous round trip: trio",
        "rendezvous round trip: asyncio",
        "buffered 128: trio",
        "spawn and join: asyncio",
        "sleepers: asyncio",
        "set and take back a timer beside 100,000: asyncio",
        "rendezvous round trip, with timeouts: trio",
        "95 % of timers are late by, ms: native",
        "cancel parked tasks: trio",
        "rendezvous inside trio: trio",
        "bytes for each parked task: native",
    }
    assert all(row["ratio"]["low"] > 0 for row in measured)
    assert all("is not installed" in row["name"] for row in rows if "ratio" not in row)
