# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The transports of this project pass the shipped kit (rows T1, T4, T6)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from kcoro_core import plugins
from kcoro_core.testing.transport_kit import Case, KitAdvice, all_cases, applicable, run_all, run_case


def test_conformance(scheme: str, case: Case) -> None:
    """Rows: T4, X7. One transport, one case; the number is in the test's name."""
    run_case(case, scheme)


def test_the_kit_has_a_hundred_cases_that_apply_to_everybody(scheme: str) -> None:
    """A kit that skips everything would pass too. Rows: T4, X7."""
    assert len(all_cases()) >= 140
    assert len(applicable(scheme)) >= 120


def test_what_only_should_hold_is_advice_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X7."""
    mem = plugins.transport("mem")
    wasteful = attrs.evolve(mem, poll_handle=lambda endpoint: attrs.evolve(mem.poll_handle(endpoint)))
    monkeypatch.setattr(plugins, "transport", lambda uri: wasteful)
    states = {result.number: result.state for result in run_all("mem")}
    assert [number for number, state in states.items() if state == "advised"] == ["4.17"]
    assert "failed" not in states.values()
    with pytest.warns(KitAdvice, match=r"case 4\.17"):
        run_case(next(case for case in all_cases() if case.number == "4.17"), "mem")


def test_case_numbers_are_unique_and_titles_are_sentences() -> None:
    numbers = [case.number for case in all_cases()]
    assert len(set(numbers)) == len(numbers)
    assert all(case.title.endswith(".") for case in all_cases())


def test_the_kit_runs_from_the_command_line_of_pytest_alone(tmp_path: Path) -> None:
    """In an empty folder, as a plugin's author would try it; nothing registers itself with pytest. Rows: T4, X7."""
    scheme = "mem"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "kcoro_core.testing.plugin"]
    done = subprocess.run(
        [*command, f"--kcoro-transport={scheme}"], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(applicable(scheme))} passed" in done.stdout
    assert "skipped" not in done.stdout


def test_a_transport_that_is_not_there_is_a_usage_error_of_pytest(tmp_path: Path) -> None:
    """Row: T4."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "kcoro_core.testing.plugin", "--kcoro-transport=wooden"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no installed plugin serves 'wooden:'" in done.stderr


def test_a_named_address_is_used_for_every_case() -> None:
    """Each case leaves the address free for the next."""
    for case in all_cases():
        if case.number in ("1.1", "1.4", "2.1", "5.1"):
            run_case(case, "mem:one-address")
