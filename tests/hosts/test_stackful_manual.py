# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The programs of the manual about stackful functions print what it says. Row: Q7."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from ..docs.blocks import DOCS, Block, blocks

PAGE = blocks(DOCS / "stackful.md")
PROGRAMS = [(block, answer) for block, answer in pairwise(PAGE) if block.language == "python"]


def test_the_page_has_programs() -> None:
    assert len(PROGRAMS) == 3


@pytest.mark.parametrize(("block", "answer"), PROGRAMS, ids=lambda block: str(block.line))
def test_a_program_of_the_manual_prints_what_it_says(block: Block, answer: Block) -> None:
    """Row: Q7."""
    done = subprocess.run([sys.executable, "-c", block.text], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (answer.text, "")
