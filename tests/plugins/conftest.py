# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Real distributions, built and installed as pip does it, and programs that run with them on their path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

THIRD_PARTY = Path(__file__).resolve().parents[1] / "thirdparty"

Program = Callable[..., Any]


def build_and_install(folders: list[Path], into: Path, wheels: Path) -> None:
    """Build a wheel of each folder and install all of them into one directory."""
    for folder in folders:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(into)]
    subprocess.run([*pip, *map(str, sorted(wheels.glob("*.whl")))], check=True)


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the bad plugins and the recording engine are installed, as one user's might be."""
    into = tmp_path_factory.mktemp("site")
    folders = [*sorted(THIRD_PARTY.glob("dist_*")), THIRD_PARTY / "kcoro_engine_recorder"]
    build_and_install(folders, into, tmp_path_factory.mktemp("wheels"))
    return into


@pytest.fixture
def python(third_party: Path, tmp_path: Path) -> Program:
    """Run a program with all of that installed; its last line of output is read as JSON."""

    def run(source: str, **variables: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source],
            env=environment(third_party, **variables),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def kcoro(third_party: Path, tmp_path: Path) -> Program:
    """Run the command ``kcoro`` with all of that installed; the finished process."""

    def run(*args: str, limit: float = 50, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "kcoro_core", *args],
            env=environment(third_party, **variables),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=limit,
        )

    return run


def environment(third_party: Path, **variables: str) -> dict[str, str]:
    """This process's environment without its settings of kcoro, but for ``variables``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KCORO_")}
    path = os.pathsep.join(filter(None, [str(third_party), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, **variables}
