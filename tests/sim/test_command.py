# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro sim``: its output, its exit codes, and the command that repeats a failure (row X12)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kcoro_core.cli import main
from kcoro_core.plugins import engine
from kcoro_core.wire.liveness import Liveness


def output(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    code = main(["sim", *args])
    return code, capsys.readouterr().out


def test_one_seed_gives_one_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """Row: X12."""
    reports = [json.loads(output(capsys, "--seed", seed, "--json")[1]) for seed in ("5", "5", "6")]
    traces = [report["trace"] for report in reports]
    assert traces[0] == traces[1] != traces[2]
    assert all(report["ok"] and report["simulations"] == 1 and report["counts"] for report in reports)


def test_it_says_what_has_happened(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = output(capsys, "--seed", "1", "--runs", "3", "--steps", "100")
    assert code == 0
    assert "3 simulations, median" in text
    assert "nothing found" in text
    assert any(line.split()[:2] == ["send", "done"] for line in text.splitlines())


def test_a_failure_prints_what_ran_and_the_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: X12."""
    monkeypatch.setattr(Liveness, "next_deadline", lambda self: float("inf"))
    code, text = output(capsys, "--runs", "200", "--steps", "300")
    assert code == 1
    assert "broken: not finished" in text
    [command] = [line for line in text.splitlines() if line.startswith("repeat it with: ")]
    words = command.removeprefix(f"repeat it with: KCORO_ENGINE={engine().name} kcoro sim ").split()
    assert words[2:] == ["--steps", "300"]
    again, repeated = output(capsys, *words)
    assert again == 1
    assert "broken: not finished" in repeated


@pytest.mark.parametrize(
    ("args", "message"),
    [(["--seed", "-1"], "0 or more"), (["--steps", "0"], "--steps must be more"), (["--runs", "-5"], "--runs must")],
)
def test_wrong_numbers_are_refused(args: list[str], message: str, capsys: Any) -> None:
    assert main(["sim", *args]) == 2
    assert message in capsys.readouterr().err
