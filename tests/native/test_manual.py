# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The C programs of the manual are compiled, run, and print what the page says. Row: Q7."""

from __future__ import annotations

from pathlib import Path

from ..docs.blocks import DOCS, blocks
from .library import SANITIZED, build, run

PROGRAMS = [
    (block, answer)
    for page in [DOCS / "native.md", DOCS / "COROUTINE_DESIGN.md", DOCS / "SCHEDULER_DESIGN.md"]
    for block, answer in zip(blocks(page), blocks(page)[1:], strict=False)
    if block.language == "c" and answer.language == "text"
]


def test_the_programs_of_the_manual_print_what_it_says(sanitized: Path, tmp_path: Path) -> None:
    """And leak nothing. Row: Q7."""
    assert PROGRAMS
    for block, answer in PROGRAMS:
        source = tmp_path / "program.c"
        source.write_text(block.text)
        done = run(build(tmp_path / "program", [source, sanitized], *SANITIZED))
        assert (done.returncode, done.stdout, done.stderr) == (0, answer.text, ""), block.where
