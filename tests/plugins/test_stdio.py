# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The transport of the tutorial: through the standard input and output of a command (rows T3, T8)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kcoro_core.scaffold import new_transport

from .conftest import THIRD_PARTY, build_and_install, environment

FOLDER = THIRD_PARTY / "kcoro_transport_stdio"
PACKAGE = FOLDER / "src" / "kcoro_transport_stdio"
PAGE = Path(__file__).parents[2] / "docs" / "writing-a-transport.md"
UNCHANGED = ("__init__.py", "link.py", "plugin.py")
NOTICE_LINES = 2

DATAGRAMS = ("kcoro_datagram_limit", "kcoro_send_datagram", "kcoro_recv_datagram")
"""What a pipe has nothing for."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the plugin is installed."""
    into = tmp_path_factory.mktemp("site")
    build_and_install([FOLDER], into, tmp_path_factory.mktemp("wheels"))
    return into


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a Python command line with the plugin installed."""

    def call(*args: str, limit: float = 50, **variables: str) -> subprocess.CompletedProcess[str]:
        env = environment(installed, **variables)
        command = [sys.executable, *args]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=limit)

    return call


def source(path: Path) -> str:
    """A file of the plugin, without the notice that files of this project have."""
    return "".join(path.read_text().splitlines(keepends=True)[NOTICE_LINES:])


def test_each_hook_works_on_a_loop(run: Run) -> None:
    """Rows: T3, T7."""
    done = run("-m", "kcoro_core", "harness", "stdio:", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    others = {result["hook"]: result["state"] for result in json.loads(done.stdout) if result["state"] != "passed"}
    assert others == dict.fromkeys(DATAGRAMS, "does not apply")


def test_the_demo_counts_over_it(run: Run, tmp_path: Path) -> None:
    """Worker processes, each with a command between it and the coordinator; the proof agrees. Row: T8."""
    (tmp_path / "poem.txt").write_text("the fog comes on little cat feet " * 100)
    done = run("-m", "kcoro_core", "demo", "--transport", "stdio", "--json", "poem.txt")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["transport"] == "stdio"
    assert report["proof"]["equal"]


FAR = """
import sys
from kcoro_core import BUFFERED, channel, dial, run, serve

async def main(ssh):
    jobs = channel(BUFFERED, capacity=4)
    async with serve("stdio:", export={"jobs": jobs}, authorize=lambda *_: True) as server:
        path = server.uri.split()[-1]
        command = f"{ssh} host python -m kcoro_transport_stdio.relay {path}"
        async with dial(f"stdio:{command}", authorize=lambda *_: True) as link:
            remote = await link.open("jobs")
            await remote.send(b"over the wire")
            print((await jobs.recv()).decode())

run(main, sys.argv[1])
"""


def test_a_command_on_another_host_is_a_transport(run: Run, tmp_path: Path) -> None:
    """``ssh host COMMAND`` is what is started: here by a script of that shape, which goes nowhere. Row: T8."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/host"\nshift 2\nexec "{sys.executable}" "$@"\n')
    ssh.chmod(0o700)
    done = run("-c", FAR, str(ssh))
    assert (done.stdout, done.returncode) == ("over the wire\n", 0), done.stderr
    assert (tmp_path / "host").read_text() == "host\n"


def test_a_command_that_cannot_be_started_is_told_as_such(run: Run) -> None:
    """And at once, whatever the patience: nobody will install it meanwhile. Row: T3."""
    program = (
        "from kcoro_core import dial, run\n"
        "async def main():\n"
        "    async with dial('stdio:no-such-program x', authorize=lambda *_: True, patience=3600): pass\n"
        "try: run(main)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = run("-c", program)
    assert "no-such-program cannot be started: No such file or directory" in done.stdout


def test_what_the_tutorial_leaves_alone_is_what_the_scaffold_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: X8."""
    new_transport("stdio", tmp_path)
    written = tmp_path / "kcoro-transport-stdio" / "src" / "kcoro_transport_stdio"
    for name in UNCHANGED:
        assert source(PACKAGE / name) == (written / name).read_text(), name


def test_what_the_tutorial_changes_stands_on_its_page() -> None:
    """The page and the plugin cannot drift apart. Row: X8."""
    page = PAGE.read_text()
    for path in sorted(PACKAGE.glob("*.py")):
        if path.name not in UNCHANGED:
            where = f"<!-- file: kcoro-transport-stdio/src/kcoro_transport_stdio/{path.name} -->"
            assert f"{where}\n```python\n{source(path)}```\n" in page, path.name


@pytest.mark.long
@pytest.mark.timeout(600)
def test_it_passes_the_kit(run: Run) -> None:
    """Every connection starts a process, and there are hundreds of them. Rows: T3, X7."""
    done = run("-m", "kcoro_core", "conformance", "stdio:", "--json", limit=500)
    results = json.loads(done.stdout)
    assert [result for result in results if result["state"] == "failed"] == []
    assert len([result for result in results if result["state"] == "passed"]) >= 125
    assert done.returncode == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_passes_the_tests_that_the_scaffold_gave_it(installed: Path, tmp_path: Path) -> None:
    """The laws over links, and two processes. Row: T3."""
    new_transport("stdio", tmp_path)
    tests = tmp_path / "kcoro-transport-stdio" / "tests"
    # Bytes are under way while nobody here works, as the page says; nothing else is changed.
    laws = (tests / "test_laws.py").read_text().replace("TrioLinkHarness", "CrossingLinkHarness")
    laws = laws.replace("laws.links import", "laws.crossing import")
    (tests / "test_laws.py").write_text(laws)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    files = [str(tests / f"test_{name}.py") for name in ("laws", "processes", "hooks")]
    env = {name: value for name, value in environment(installed).items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, *files],
        cwd=tests.parent,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert os.linesep.join(done.stdout.splitlines()[-1:]).count("passed") == 1
