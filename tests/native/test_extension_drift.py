# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""No scenario lets the interpreter's counts drift: references, by a debug build of Python, and blocks of memory.

Debian has such a build as python3-dbg. Packages of pure Python come from the environment of the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .extension import PYSRC, build_module
from .library import CORE, CSRC, HERE, INCLUDE, NATIVE, PORT, PORT_FLAGS, ROOT

# None where there is no such build; continuous integration installs one.
DEBUG_BUILD = shutil.which("python3-dbg") or shutil.which("python3.11-dbg")
ABOUT = """
import json, sysconfig
print(json.dumps([sysconfig.get_paths()["include"], sysconfig.get_config_var("EXT_SUFFIX")]))
"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Grown = dict[str, list[list[int]]]


def package(folder: Path, python: str) -> Path:
    """The native engine as a package for that interpreter, with what plugins are found by."""
    there = folder / "kcoro_native"
    shutil.copytree(NATIVE / "src" / "kcoro_native", there)
    about = subprocess.run([python, "-c", ABOUT], capture_output=True, text=True, check=True).stdout
    flags = [*PORT_FLAGS, f"-I{INCLUDE}", f"-I{CSRC}", "-O1", "-g"]
    build_module(there, "_native", [*CORE, *PORT, *PYSRC], *flags, about=json.loads(about))
    metadata = folder / "kcoro_native-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kcoro-native\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("[kcoro]\nnative = kcoro_native.plugin\n")
    return folder


def grown(python: str, folder: Path, rounds: int, times: int) -> Grown:
    """By how much references and blocks grew, in each round of so many runs of each scenario."""
    packages = [package(folder, python), ROOT / "kcoro_core" / "src"]
    packages += [Path(entry) for entry in sys.path if "site-packages" in entry]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages)), "KCORO_ENGINE": "native"}
    command = [python, str(HERE / "scenarios.py"), str(rounds), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found: Grown = json.loads(done.stdout)
    return found


def drifting(found: Grown, which: int, times: int) -> dict[str, list[int]]:
    """The scenarios whose every round grew by one or more for each run."""
    rounds = {name: [each[which] for each in grown] for name, grown in found.items()}
    return {name: grown for name, grown in rounds.items() if min(grown) >= times}


if DEBUG_BUILD is not None:

    def test_references_do_not_drift(build_dir: Path, tmp_path: Path) -> None:
        """A debug build counts every reference that there is; no scenario leaves one."""
        assert DEBUG_BUILD is not None
        found = grown(DEBUG_BUILD, tmp_path, rounds=2, times=10)
        assert sum(abs(references) for rounds in found.values() for references, _ in rounds)  # they are counted
        assert drifting(found, 0, 10) == {}


def test_memory_does_not_drift(build_dir: Path, tmp_path: Path) -> None:
    """Blocks of memory, also those that are no objects; what the interpreter keeps to use again grows less and less."""
    assert drifting(grown(sys.executable, tmp_path, rounds=4, times=100), 1, 100) == {}
