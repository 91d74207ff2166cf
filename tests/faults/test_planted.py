# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws and the explorer are themselves tested: each fault that is planted into the engine must be found by them.

Every fault gets a copy of the package of its own, and child processes that import that copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from planted import FAULTS, Fault

import kcoro_core

LAWS = Path(__file__).parent.parent / "laws"
SCHEDULES = 4000

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def plant(fault: Fault, package: Path) -> None:
    """Make the one replacement; a text that is not there exactly once means that the fault is outdated."""
    path = package / fault.path
    source = path.read_text(encoding="utf-8")
    assert source.count(fault.right) == 1, (
        f"{fault.name}: its text is in {fault.path} {source.count(fault.right)} times"
    )
    path.write_text(source.replace(fault.right, fault.wrong), encoding="utf-8")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package under test."""
    source = Path(kcoro_core.__file__).parent
    return Path(shutil.copytree(source, tmp_path / "kcoro_core", ignore=shutil.ignore_patterns("__pycache__")))


def run(package: Path, *arguments: str) -> tuple[int, str]:
    """Run a module with the copy in front of the installed package; returns exit code and output."""
    environ = os.environ | {"PYTHONPATH": str(package.parent), "KCORO_ENGINE": "reference"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environ,
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=500,
    )
    return done.returncode, done.stdout + done.stderr


def laws_find(package: Path) -> tuple[bool, str]:
    """Whether a law is broken; pytest says 1 for that, and something else when it could not run them."""
    code, text = run(
        package, "pytest", "-q", "-x", "--timeout=20", "-p", "no:cacheprovider", "-k", "script-0 or trio-strict",
        "--rootdir", str(LAWS.parent.parent), "-c", str(LAWS.parent.parent / "pyproject.toml"), str(LAWS),
    )  # fmt: skip
    assert code in (0, 1), text
    return code == 1, text


def explorer_finds(package: Path) -> tuple[bool, str]:
    """Whether a schedule shows something wrong."""
    code, text = run(package, "kcoro_core", "explore", "--schedules", str(SCHEDULES), "--seconds", "60")
    assert code in (0, 1), text
    return code == 1, text


def test_the_engine_without_a_fault_breaks_nothing(package: Path) -> None:
    """Control: laws and explorer find nothing where nothing was planted."""
    found, text = laws_find(package)
    assert not found, text
    found, text = explorer_finds(package)
    assert not found, text


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Fault, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each planted fault breaks a law or shows up in a schedule."""
    plant(fault, package)
    by_laws, laws_text = laws_find(package)
    by_explorer, explorer_text = explorer_finds(package)
    with capsys.disabled():
        sys.stdout.write(f"\n{fault.name}: found by laws: {by_laws}, by the explorer: {by_explorer}\n")
    assert by_laws or by_explorer, f"{fault.breaks}\n{laws_text[-2000:]}\n{explorer_text[-2000:]}"
