# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The faults that longer tests plant are about the code as it is: their texts are looked for in every run."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import FAULTS, Fault
from planted_turns import TURNS

import kcoro_core

PACKAGE = Path(kcoro_core.__file__).parent


@pytest.mark.parametrize("fault", [*FAULTS, *TURNS], ids=lambda fault: fault.name)
def test_the_text_of_a_fault_is_there_once(fault: Fault) -> None:
    """Or it is outdated; and planting it changes something."""
    assert (PACKAGE / fault.path).read_text(encoding="utf-8").count(fault.right) == 1
    assert fault.right != fault.wrong
