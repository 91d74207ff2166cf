# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The rows of coroutines in C, run once, quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_every_row_of_the_coroutines_runs() -> None:
    """Against Boost where it is installed, and against our own switcher by ucontext in any case."""
    command = [sys.executable, "bench/run.py", "coroutines", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["suites"]["coroutines"]
    measured = {row["name"]: row["ratio"]["low"] for row in rows if "ratio" in row}
    assert "hand over to another coroutine: resumer" in measured
    assert {name for name in measured if name.endswith("ucontext")} == {
        "switch there and back, alone: ucontext",
        "resume and yield: ucontext",
        "create, run and destroy: ucontext",
    }
    assert all(low > 0 for low in measured.values())
