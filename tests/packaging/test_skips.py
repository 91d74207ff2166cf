# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Laws of the test run itself: a skip is printed everywhere and red where it is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import ROOT

SKIPS = {
    "in_a_test": "import pytest\ndef test_it():\n    pytest.skip('no moon')\n",
    "by_a_mark": "import pytest\n@pytest.mark.skipif(True, reason='no moon')\ndef test_it():\n    pass\n",
    "of_a_file": "import pytest\npytest.skip('no moon', allow_module_level=True)\n",
}
EXPECTED = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_known():\n    assert False\n"


@pytest.mark.parametrize("folder", ["hosts", "laws"])
def test_what_needs_the_native_engine_is_no_part_of_a_run_without_it(folder: str) -> None:
    """Such a file has it in its name, and would be an error where the package is not installed."""
    files = [
        path for path in (ROOT / "tests" / folder).glob("test_*.py") if re.match("test_(native|stackful)", path.stem)
    ]
    listed = (ROOT / "tests" / "conftest.py").read_text().partition("elif ")[0]
    assert len(files) >= 2
    assert [path.name for path in files if f'"{folder}/{path.name}"' not in listed] == []


def run(folder: Path, source: str, refuse: str, *more: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_planted.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    command += more
    environment = {**os.environ, "KCORO_NO_SKIPS": refuse}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_is_a_failure_with_its_reason_where_skips_are_refused(kind: str, tmp_path: Path) -> None:
    done = run(tmp_path, SKIPS[kind], refuse="1")
    assert done.returncode not in (0, 5), done.stdout
    assert "KCORO_NO_SKIPS=1 refuses this skip" in done.stdout
    assert "no moon" in done.stdout


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_elsewhere_is_green_and_prints_its_reason(kind: str, tmp_path: Path) -> None:
    done = run(tmp_path, SKIPS[kind], refuse="0")
    assert done.returncode == (5 if kind == "of_a_file" else 0), done.stdout
    assert "no moon" in done.stdout


def test_a_skip_outside_the_test_folder_is_refused_too(tmp_path: Path) -> None:
    """The transport kit lies in an installed package."""
    kit = tmp_path / "kit"
    tests = tmp_path / "tests"
    kit.mkdir()
    tests.mkdir()
    (kit / "test_kit.py").write_text(SKIPS["in_a_test"])
    assert run(tests, "def test_it():\n    pass\n", "1", str(kit)).returncode == 1


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert run(tmp_path, EXPECTED, refuse="1").returncode == 0
