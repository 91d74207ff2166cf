# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Prints how many code blocks the manual has, and why some are not run."""

from __future__ import annotations

import pytest

from .blocks import blocks, pages


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for the whole manual, and one for each exception."""
    found = [block for page in pages() for block in blocks(page)]
    left_out = [block for block in found if block.reason]
    terminalreporter.section("manual")
    terminalreporter.line(f"{len(found)} code blocks, {len(left_out)} of them not run:")
    for block in left_out:
        terminalreporter.line(f"  {block.where}: {block.reason}")
