# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The tests of fair turns and of pieces are themselves tested: each planted fault must be found. Row: N3."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import Fault
from planted_turns import TURNS
from test_planted import package, plant, run

WIRE = Path(__file__).parent.parent / "wire"

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

__all__ = ["package"]


def wire_tests_fail(package: Path) -> tuple[bool, str]:
    """Whether a test fails; pytest says 1 for that, and something else when it could not run them."""
    code, text = run(
        package, "pytest", "-q", "-x", "--timeout=60", "-p", "no:cacheprovider",
        "--rootdir", str(WIRE.parent.parent), "-c", str(WIRE.parent.parent / "pyproject.toml"),
        str(WIRE / "test_outbox.py"), str(WIRE / "test_pieces.py"), str(WIRE / "test_weights.py"),
    )  # fmt: skip
    assert code in (0, 1), text
    return code == 1, text


def test_without_a_fault_nothing_fails(package: Path) -> None:
    """Control."""
    failed, text = wire_tests_fail(package)
    assert not failed, text


@pytest.mark.parametrize("fault", TURNS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Fault, package: Path) -> None:
    """Each breaks a test of the transmit queue or of the pieces."""
    plant(fault, package)
    failed, text = wire_tests_fail(package)
    assert failed, f"{fault.breaks}\n{text[-2000:]}"
