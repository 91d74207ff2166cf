# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Campaigns: each target is fuzzed for a minute, guided by coverage, and planted defects are found from nothing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .planted import OUTDATED, PLANTS
from .targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
HUNT_SECONDS = 240
"""For how long a planted defect may be looked for: it is found in seconds, but for a seed that has no luck."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed"),
]


def campaign(*arguments: str, seconds: int = SECONDS) -> subprocess.CompletedProcess[str]:
    """One campaign; its seed, its figures and its findings are printed."""
    command = [sys.executable, "-m", "tests.fuzz.campaign", *arguments, "--seconds", f"{seconds}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    figures = [line for line in done.stderr.splitlines() if "DONE" in line or "replay: " in line]
    sys.stdout.write("\n".join([done.stdout.strip(), *figures, ""]))
    return done


@pytest.mark.parametrize("target", TARGETS)
def test_a_minute_of_fuzzing_finds_nothing(target: str) -> None:
    """The kept inputs are where it begins; the seed is new in each run, and printed. Row: W1."""
    done = campaign(target)
    assert done.returncode == 0, done.stderr[-4000:]
    runs = re.search(r"^#(\d+)\s+DONE", done.stderr, re.MULTILINE)
    assert runs is not None
    assert int(runs[1]) > 1000


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_found_without_the_kept_inputs(name: str) -> None:
    """Fuzzing from the first inputs only meets it within minutes, and says how to see it again. Row: W1."""
    done = campaign(PLANTS[name].target, "--empty", "--plant", name, seconds=HUNT_SECONDS)
    assert done.returncode != 0
    assert f"replay: python -m tests.fuzz.campaign {PLANTS[name].target} --replay " in done.stderr
    assert not any(f"{error}: " in done.stderr for error in OUTDATED)
