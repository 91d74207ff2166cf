# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the campaigns of planted faults change is still there: a fault that is outdated is seen in every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import (
    test_acts_planted,
    test_coroutine_planted,
    test_extension_planted,
    test_scheduler_planted,
    test_shared_planted,
)
from .library import CSRC, NATIVE

CAMPAIGNS = {
    "acts": (test_acts_planted, CSRC),
    "coroutines": (test_coroutine_planted, CSRC),
    "extension": (test_extension_planted, NATIVE / "pysrc"),
    "scheduler": (test_scheduler_planted, CSRC),
    "shared": (test_shared_planted, CSRC),
}


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_what_a_planted_fault_changes_is_there(campaign: str) -> None:
    """Whoever changes a line that a fault is about has to say what the fault is now."""
    module, folder = CAMPAIGNS[campaign]
    faults: dict[str, Any] = module.FAULTS
    assert len(faults) > 10
    assert [name for name, fault in faults.items() if not stands(folder, *fault)] == []


def stands(folder: Path, *fault: str) -> bool:
    """Whether each text of a fault is in its file: in front of the file stands who finds it, if anybody is named."""
    at = next(i for i, word in enumerate(fault) if word.endswith((".c", ".h", ".S")) and " " not in word)
    text = (folder / fault[at]).read_text()
    return all(old in text for old in fault[at + 1 :: 2])
