# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""All but kcoro_native needs no compiler: it is built, installed and used where none is found, and nobody asks for one.

There the search path is an empty folder, and what ``CC`` and ``CXX`` name writes down that it was called, and fails.
The plugin for QUIC is built, and not installed: the library that it stands on is somebody else's, and of one machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .test_wheels import fresh, run
from .tree import PACKAGES, ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

OTHERS = [package for package in PACKAGES if package != "kcoro_native"]
NAMES = ["cc", "c++", "gcc", "g++", "clang", "clang++", "tcc", "cmake", "ninja", "make", "ld", "as"]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever is started has no compiler; the file in which somebody who asks for one is written down."""
    asked, failing, nothing = tmp_path / "asked", tmp_path / "failing-cc", tmp_path / "nothing"
    failing.write_text(f'#!/bin/sh\necho "$0 $*" >>{asked}\nexit 1\n')
    failing.chmod(0o755)
    nothing.mkdir()
    monkeypatch.setenv("PATH", str(nothing))
    for name in ("CC", "CXX"):
        monkeypatch.setenv(name, str(failing))
    return asked


def build(into: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Build wheels as somebody who has the sources does."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(into)]
    folders = [str(ROOT / package) for package in packages]
    return subprocess.run([*command, *folders], capture_output=True, text=True)


def test_all_but_the_native_engine_is_built_and_used_without_a_compiler(asked: Path, tmp_path: Path) -> None:
    """Nothing installed is of one machine, and worker processes count words over Unix sockets. Rows: T2, Q3."""
    dist = tmp_path / "dist"
    done = build(dist, *OTHERS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in dist.iterdir() if not path.name.endswith("-py3-none-any.whl")] == []
    assert len(list(dist.iterdir())) == len(OTHERS)
    python = fresh(tmp_path / "env", dist, "kcoro-core", "kcoro-transport-uds", "kcoro-transport-tcp")
    assert [path for path in (tmp_path / "env").rglob("*.so*") if not path.is_symlink()] == []
    assert "reference" in run(python, "-m", "kcoro_core", "doctor")
    assert "proof: equal" in run(python, "-m", "kcoro_core", "demo", str(ROOT / "docs"))
    assert not asked.exists()


def test_the_native_engine_cannot_be_built_there(asked: Path, tmp_path: Path) -> None:
    """Or the environment above has a compiler all the same. Row: Q3."""
    assert [name for name in NAMES if shutil.which(name)] == []
    assert os.access(os.environ["CC"], os.X_OK)
    done = build(tmp_path / "dist", "kcoro_native")
    assert done.returncode != 0
    assert "is not able to compile a simple test program" in done.stdout + done.stderr
    assert asked.exists()
