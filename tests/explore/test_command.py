# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro explore`` as a user meets it: what it finds in programs, what it prints, and how a finding is repeated."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import Channel
from kcoro_core.cli import main
from kcoro_core.testing import explore

Explore = Callable[..., tuple[int, dict[str, Any]]]

HEAD = """
from kcoro_core import *

"""

TWO_LOCKS = """
async def philosopher(first, second):
    await first.recv()
    await second.recv()
    await second.send("fork")
    await first.send("fork")

async def main():
    left, right = channel(BUFFERED, 1, name="left"), channel(BUFFERED, 1, name="right")
    for fork in (left, right):
        fork.try_send("fork")
    async with open_scope() as scope:
        scope.launch(philosopher, left, right, name="plato")
        scope.launch(philosopher, right, left, name="hegel")
    left.try_recv(), right.try_recv()
"""

HEALTHY = """
async def produce(ch):
    for i in range(3):
        await ch.send(i)
    ch.close()

async def main():
    print("a line of output")
    ch = channel()
    async with open_scope() as scope:
        scope.launch(produce, ch)
        assert [v async for v in ch] == [0, 1, 2]
"""


@pytest.fixture
def exploring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explore:
    """Write a program, explore it with ``--json``, and give exit code and report."""

    def run(source: str, *arguments: str, target: str = "prog.py::main") -> tuple[int, dict[str, Any]]:
        (tmp_path / "prog.py").write_text(HEAD + source)
        code = main(["explore", f"{tmp_path}/{target}", "--schedules", "200", "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_deadlock_of_some_schedules_is_found_and_says_who_waits_on_what(exploring: Explore) -> None:
    """The report names tasks, channels and lines; the command that it prints repeats it. Row: X19."""
    code, report = exploring(TWO_LOCKS)
    assert (code, report["ok"], [finding["kind"] for finding in report["found"]]) == (1, False, ["deadlock"])
    text = report["found"][0]["text"]
    assert "'plato' waits in recv() of <Channel 'right' BUFFERED 0/1" in text
    assert "'hegel' waits in recv() of <Channel 'left' BUFFERED 0/1" in text
    assert "prog.py:7 in philosopher()" in text
    assert 1 < report["schedules"] < 200, "some schedules are healthy"


def test_the_command_of_a_finding_repeats_it(exploring: Explore, capsys: pytest.CaptureFixture[str]) -> None:
    """One schedule, the same finding, and now with the program's own output. Row: X19."""
    _, report = exploring(TWO_LOCKS.replace("left, right =", "print('hello'); left, right ="))
    setting, *words = shlex.split(report["command"])
    assert (setting, words[:2]) == (f"KCORO_ENGINE={report['engine']}", ["kcoro", "explore"])
    assert main(words[1:]) == 1
    output = capsys.readouterr().out
    assert output.startswith("hello\ndeadlock: ")
    assert "1 schedules, 1 distinct traces" in output
    assert f"limit: {explore.LIMIT}" in output


def test_a_healthy_program_is_run_to_the_end_in_silence(
    exploring: Explore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, every schedule counted, one in twenty replayed, and no output of the program. Row: X19."""
    code, report = exploring(HEALTHY)
    assert (code, report["found"], report["command"]) == (0, [], None)
    assert (report["schedules"], report["replayed"]) == (200, 10)
    assert 1 < report["distinct"] <= 200
    assert report["limit"] == explore.LIMIT
    assert main(["explore", f"{tmp_path}/prog.py", "--schedules", "40"]) == 0
    output = capsys.readouterr().out
    assert "a line of output" not in output
    assert output.endswith("nothing found\n")


LEFT_BEHIND = """
async def main():
    ch = channel(BUFFERED, 3)
    await ch.send(1)
    await ch.send(2)
"""

FAILING = """
async def main():
    raise LookupError("mine")
"""

FAILING_HOOK = """
async def main():
    ch = channel(CONFLATED, on_undelivered=lambda *_: 1 / 0)
    await ch.send(1)
    await ch.send(2)
    await ch.recv()
"""

ENDLESS = """
async def main():
    while True:
        await sleep(0)
"""

WITH_A_MEMORY = """
import builtins, itertools

builtins.kcoro_test_counter = getattr(builtins, "kcoro_test_counter", itertools.count())

async def main():
    for _ in range(next(builtins.kcoro_test_counter)):
        await sleep(1)
"""


@pytest.mark.parametrize(
    ("kind", "text", "source"),
    [
        ("lost", "2 elements were sent to the BUFFERED channel made at", LEFT_BEHIND),
        ("error", "LookupError: mine", FAILING),
        ("error", "ZeroDivisionError", FAILING_HOOK),
        ("limit", "did not end within", ENDLESS),
        ("unrepeatable", "two traces", WITH_A_MEMORY),
    ],
    ids=["lost", "error", "hook", "limit", "unrepeatable"],
)
def test_each_kind_of_finding(exploring: Explore, kind: str, text: str, source: str) -> None:
    """Lost elements, unhandled errors (of hooks too), runs without an end, and runs that do not repeat. Row: X19."""
    code, report = exploring(source)
    assert code == 1
    assert [finding["kind"] for finding in report["found"]] == [kind]
    assert text in report["found"][0]["text"]


def test_every_schedule_gets_the_program_anew(exploring: Explore) -> None:
    """Channels and variables of the module are made again, so that one schedule inherits nothing from another."""
    source = "ch = channel(BUFFERED, 1)\nseen = []\nasync def main():\n    assert not seen\n    seen.append(1)\n"
    code, report = exploring(source + "    await ch.send(1)\n    await ch.recv()\n")
    assert (code, report["found"]) == (0, [])


def test_time_is_virtual_and_passes_during_steps_only_in_a_hurry(exploring: Explore) -> None:
    """A timeout that cannot fire while its partner is runnable can do so with ``--hurry``. Rows: X10, X19."""
    source = (
        "async def main():\n    ch = channel()\n    async with open_scope() as scope:\n"
        "        scope.launch(ch.send, 1)\n        await sleep(0)\n        await ch.recv(timeout=50)\n"
        "        await sleep(3600)\n"
    )
    assert exploring(source)[0] == 0
    code, report = exploring(source, "--hurry", "0.5")
    assert (code, "DeadlineExceeded" in report["found"][0]["text"]) == (1, True)
    assert "--hurry 0.5" in report["command"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere.py"], "nowhere.py"),
        (["prog.py::absent"], "no function 'absent'"),
        (["broken.py"], "broken.py:1: "),
        (["raising.py"], "could not be loaded: LookupError: at import"),
        (["prog.py", "--schedules", "0"], "at least 1"),
        (["prog.py", "--seconds", "0"], "more than 0"),
        (["prog.py", "--seed", "-1"], "0 or more"),
        (["prog.py", "--hurry", "2"], "probability"),
        (["prog.py", "--inject", "close@1"], "exploration of the engine"),
        (["--inject", "open@1"], "close@7"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    """Exit code 2, nothing on stdout, one line on stderr. Row: E1."""
    monkeypatch.chdir(tmp_path)
    Path("prog.py").write_text(HEAD + HEALTHY)
    Path("broken.py").write_text("def main(:\n")
    Path("raising.py").write_text("raise LookupError('at import')\n")
    assert main(["explore", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("kcoro explore: ")
    assert complaint in err


def test_the_engine_is_explored_when_no_program_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints how many distinct traces it saw, and says when these are too few. Row: X19."""
    assert main(["explore", "--schedules", "300"]) == 0
    assert "300 schedules" in capsys.readouterr().out
    assert main(["explore", "--seconds", "0.05"]) == 1
    assert "20000 are needed" in capsys.readouterr().out


@pytest.mark.parametrize("target", [[], ["prog.py"]])
def test_an_interrupt_ends_an_exploration_and_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: list[str]
) -> None:
    """Ctrl-C in the middle of a task's step: exit code 130, nothing reported."""

    def interrupted(self: Channel[Any], *args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    Path("prog.py").write_text(HEAD + HEALTHY)
    monkeypatch.setattr(Channel, "send", interrupted)
    monkeypatch.setattr(Channel, "try_send", interrupted)
    assert main(["explore", *target]) == 130
    assert capsys.readouterr().out == ""


def test_one_disturbed_schedule_can_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """``--inject`` plays a program once, disturbed as a finding says. Row: X19."""
    assert main(["explore", "--seed", "5", "--inject", "token@3"]) == 0
    assert "1 schedules, 1 distinct traces" in capsys.readouterr().out
