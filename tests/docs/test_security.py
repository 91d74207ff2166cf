# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``docs/security.md``: every statement names a test that exists. Rows: X18, Q7."""

from __future__ import annotations

import re

import pytest

from .blocks import DOCS
from .collecting import check_collected

PAGE = (DOCS / "security.md").read_text()
NODE = re.compile(r"`(tests/[\w/]+\.py::\w+(?:::\w+)?)`")


def statements(text: str = PAGE) -> list[list[str]]:
    """The cells of each statement."""
    tables = re.findall(r"<!-- statements -->\n(.*?)<!-- end of statements -->", text, re.DOTALL)
    lines = [line for one in tables for line in one.splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def without_a_test(text: str = PAGE) -> list[str]:
    """The statements that nobody would prove."""
    return [cells[0] for cells in statements(text) if not NODE.fullmatch(cells[-1])]


def test_every_statement_names_its_test() -> None:
    """Row: X18."""
    assert len(statements()) > 40
    assert without_a_test() == []


def test_a_statement_without_a_test_is_found() -> None:
    """Row: X18."""
    table = "<!-- statements -->\n| a | b |\n|---|---|\n| All is well. | of course |\n<!-- end of statements -->"
    assert without_a_test(table) == ["All is well."]


@pytest.mark.timeout(600)  # collects every test that is named
def test_every_test_that_is_named_exists_and_is_collected() -> None:
    """Row: Q9."""
    check_collected(cells[-1].strip("`") for cells in statements())
