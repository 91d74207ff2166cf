# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the command runs over ``quic:``, between processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .certificates import environment


def test_the_main_job_runs_over_quic(tmp_path: Path) -> None:
    """Workers join over it, and the count is that of one process. Rows: T2, D2."""
    for i in range(6):
        tmp_path.joinpath(f"{i}.txt").write_text("soup of the day " * (100 + i))
    command = [sys.executable, "-m", "kcoro_core", "demo", "--transport", "quic", "--json", str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, **environment()}, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["transport"], report["files"], report["words"]) == ("quic", 6, 4 * (600 + 15))
    assert report["proof"]["equal"]


def test_every_hook_is_driven_by_the_harness() -> None:
    """By trio and by what poll_handle says alone. Row: T7."""
    command = [sys.executable, "-m", "kcoro_core", "harness", "quic:"]
    done = subprocess.run(command, env={**os.environ, **environment()}, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
