# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Logging is decided at run time, and kcoro is quiet unless it is asked (row CF3)."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kcoro_core

PROGRAM = """
import trio, kcoro_core
from kcoro_core import *
from kcoro_core.testing.laws import LAWS, ScriptHarness, TrioHarness
ch = channel(BUFFERED, 1)
async def main():
    async with open_scope() as scope:
        scope.launch(ch.send, 1)
        await select(Recv(ch), After(1))
kcoro_core.run(main)
trio.run(main)
for harness in (TrioHarness(strict=True), TrioHarness(strict=False), ScriptHarness()):
    for law in LAWS:
        if not harness.missing(law):
            label = next(iter(law.cases))
            harness.check(law, law.cases[label])
"""


def python(program: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter, with these variables of kcoro and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KCORO_")}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, env=clean | environ, capture_output=True, text=True, timeout=50
    )


def test_a_program_that_uses_everything_prints_nothing(tmp_path: Path) -> None:
    """Every law, once on each host of core: not a byte on either stream at the default level. Row: CF3."""
    done = python(PROGRAM, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_setting_is_quiet_by_default_and_told_when_asked(tmp_path: Path) -> None:
    """KCORO_DEBUG decides at run time, without a change in the program. Rows: CF3, CF2."""
    program = "import kcoro_core; kcoro_core.settings()"
    assert python(program, tmp_path, KCORO_BACKLOG="many").stderr == ""
    told = python(program, tmp_path, KCORO_BACKLOG="many", KCORO_DEBUG="warning").stderr
    assert re.search(r"kcoro\.config WARNING KCORO_BACKLOG='many'", told)


def test_a_level_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """Row: CF2."""
    told = python("import kcoro_core; kcoro_core.settings()", tmp_path, KCORO_DEBUG="loud").stderr
    assert "KCORO_DEBUG='loud' is no log level; use debug, info or warning" in told


def test_the_file_can_ask_and_a_reload_can_take_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row: CF3."""
    from kcoro_core import config

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KCORO_DEBUG", raising=False)
    (tmp_path / "kcoro.toml").write_text('debug = "info"')
    config.reload()
    logging.getLogger("kcoro.test").info("heard")
    (tmp_path / "kcoro.toml").write_text("")
    config.reload()
    logging.getLogger("kcoro.test").info("not heard")
    err = capsys.readouterr().err
    assert "kcoro.test INFO heard" in err
    assert "not heard" not in err


def test_a_program_with_its_own_logging_gets_the_records_once(
    tmp_path: Path,
) -> None:
    """kcoro adds no handler of its own where the program has one for the kcoro loggers. Row: CF3."""
    program = (
        "import logging, sys\n"
        "handler = logging.StreamHandler(sys.stdout)\n"
        "logging.getLogger('kcoro').addHandler(handler)\n"
        "import kcoro_core; kcoro_core.settings()"
    )
    done = python(program, tmp_path, KCORO_BACKLOG="many", KCORO_DEBUG="warning")
    assert done.stdout.count("KCORO_BACKLOG") == 1
    assert done.stderr == ""


def test_no_module_prints_or_logs_to_the_root() -> None:
    """Everything goes to ``kcoro.*`` loggers; only the command line prints. Row: CF3."""
    root = Path(kcoro_core.__file__).parent
    wrong = []
    for path in root.rglob("*.py"):
        text = path.read_text()
        if "getLogger" in text and not re.search(r'getLogger\((f?"kcoro|__name__|name\))', text):
            wrong.append(path.name)
        if re.search(r"\blogging\.(debug|info|warning|error|exception|critical|basicConfig)\(", text):
            wrong.append(path.name)
        if "print(" in text and not {"cli", "demo", "testing"}.intersection(path.relative_to(root).parts):
            wrong.append(path.name)
    assert wrong == []
