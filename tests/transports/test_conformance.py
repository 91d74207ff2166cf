# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The transports of this project pass the shipped kit (rows T1, T4, T6)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kcoro_core.testing.transport_kit import Case, all_cases, run_all, run_case


def test_conformance(scheme: str, case: Case) -> None:
    """Rows: T4, X7. One transport, one case; the number is in the test's name."""
    run_case(case, scheme)


def test_the_kit_has_about_twenty_cases_that_apply_to_everybody(scheme: str) -> None:
    """A kit that skips everything would pass too. Row: T4."""
    states = [result.state for result in run_all(scheme)]
    assert states.count("passed") >= 20
    assert states.count("does not apply") <= 3


def test_case_numbers_are_unique_and_titles_are_sentences() -> None:
    numbers = [case.number for case in all_cases()]
    assert len(set(numbers)) == len(numbers)
    assert all(case.title.endswith(".") for case in all_cases())


def test_the_kit_runs_from_the_command_line_of_pytest_alone(scheme: str, tmp_path: Path) -> None:
    """In an empty folder, as a plugin's author would try it; nothing registers itself with pytest. Rows: T4, X7."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "kcoro_core.testing.plugin"]
    done = subprocess.run(
        [*command, f"--kcoro-transport={scheme}"], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stdout
    assert f"{len([r for r in run_all(scheme) if r.state == 'passed'])} passed" in done.stdout
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
