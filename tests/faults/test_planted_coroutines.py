# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of coroutines, and the tests of the reference engine's, are themselves tested. Rows: C1, C5, C6."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import Fault
from planted_coroutines import COROUTINES
from test_planted import package, plant, run

TESTS = Path(__file__).parent.parent
FINDERS = ("hosts/test_meeting.py", "laws/test_laws.py", "model/test_coroutine_programs.py", "hosts/test_strands.py")

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

__all__ = ["package"]


def a_test_fails(package: Path) -> tuple[bool, str]:
    """Whether one does, or does not end; pytest says 1 for that, and something else when it could not run them."""
    code, text = run(
        package, "pytest", "-q", "-x", "--timeout=30", "-p", "no:cacheprovider",
        "-k", "(test_law and plain) or test_meeting or test_strands or reference",
        "--rootdir", str(TESTS.parent), "-c", str(TESTS.parent / "pyproject.toml"),
        *(str(TESTS / finder) for finder in FINDERS),
    )  # fmt: skip
    assert code in (0, 1), text
    return code == 1, text


def test_without_a_fault_nothing_fails(package: Path) -> None:
    """Control. Rows: C1, C5, C6."""
    failed, text = a_test_fails(package)
    assert not failed, text


@pytest.mark.parametrize("fault", COROUTINES, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Fault, package: Path) -> None:
    """Each breaks a law of coroutines, a program of the model, or a test of the threads. Rows: C1, C5, C6."""
    plant(fault, package)
    failed, text = a_test_fails(package)
    assert failed, f"{fault.breaks}\n{text[-2000:]}"
