# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What pages of the manual promise line by line names the tests that prove it, and each of them exists. Rows: Q9, Q7.

A table or list between ``<!-- proved -->`` and ``<!-- end of proved -->`` names at least one test for each of its
lines: in its last column, or below it, behind "Proved, line by line, by", in their order and with semicolons between.
"""

from __future__ import annotations

import re

import pytest
from attrs import fields

from kcoro_core.config import Settings

from .blocks import DOCS, pages
from .collecting import check_collected

OTHERS = {"GAPS.md", "PITFALLS.md", "security.md"}
"""Each has a test of its own for the tests that it names."""

NODE = re.compile(r"`(tests/[\w/]+\.py::[^`\s]+)`")
LAW = re.compile(r"`(tests/laws -k [^`]+)`")
PROVED = re.compile(r"<!-- proved -->\n(.*?)<!-- end of proved -->", re.DOTALL)
TABLE = re.compile(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
BELOW = re.compile(r"\n\nProved, line by line, by\s(.+?)\.\n", re.DOTALL)
TEXTS = {page.name: page.read_text() for page in pages() if page.is_relative_to(DOCS) and page.name not in OTHERS}


def lines_of(block: str) -> list[str]:
    """The lines of the table in a block, or of its list."""
    table = TABLE.search(block)
    return table[1].splitlines() if table else re.findall(r"^- .*", block, re.MULTILINE)


def proofs_of(block: str) -> list[list[str]]:
    """What a block names for each of its lines."""
    below = BELOW.search(block)
    last = [line.strip("| ").rpartition(" | ")[2] for line in lines_of(block)]
    return [NODE.findall(one) for one in (below[1].split(";") if below else last)]


def unproved(text: str) -> list[str]:
    """What is wrong with the blocks of a page, and which of its lines nobody would prove."""
    wrong = []
    for block in PROVED.findall(text):
        lines, proofs = lines_of(block), proofs_of(block)
        if not lines or len(lines) != len(proofs):
            wrong.append(f"{len(lines)} lines, {len(proofs)} proofs: {block[:60]}")
        wrong += [line for line, named in zip(lines, proofs, strict=False) if not named]
    return wrong


@pytest.mark.parametrize(("page", "blocks"), [("LIMITS.md", 1), ("links.md", 7), ("select.md", 1)])
def test_every_line_that_promises_something_names_its_test(page: str, blocks: int) -> None:
    """Bounds of a link, outcomes over links, select over links. Rows: Q9, X3, N6, N5."""
    assert len(PROVED.findall(TEXTS[page])) >= blocks
    assert unproved(TEXTS[page]) == []


def test_every_table_about_links_is_proved() -> None:
    """Red? Name the test of each line of the new table in ``docs/links.md``. Rows: Q9, N6."""
    assert TABLE.findall(PROVED.sub("", TEXTS["links.md"])) == []


@pytest.mark.timeout(600)  # collects every test that is named
def test_every_test_that_a_page_names_exists_and_is_collected() -> None:
    """A test that is renamed is renamed on the page. Rows: Q9, X3."""
    named = {proof for text in TEXTS.values() for found in (NODE, LAW) for proof in found.findall(text)}
    assert len(named) > 80
    check_collected(named)


@pytest.mark.parametrize(
    "block",
    [
        "| a | test |\n|---|---|\n| all is well | of course |\n",
        "| a |\n|---|\n| one |\n| two |\n\nProved, line by line, by `tests/a.py::test_one`.\n",
        "| a |\n|---|\n| one |\n| two |\n\nProved, line by line, by `tests/a.py::test_one`; nobody.\n",
        "- one\n- two\n\nProved, line by line, by `tests/a.py::test_one`.\n",
        "nothing\n",
    ],
)
def test_a_line_without_a_test_is_found(block: str) -> None:
    """Row: Q9."""
    assert unproved(f"<!-- proved -->\n{block}<!-- end of proved -->\n")


UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def test_the_bounds_of_the_table_are_the_defaults() -> None:
    """Its first number is the setting's default, or half of it. Rows: X3, CF4."""
    found: set[str] = set()
    defaults = {field.name: field.default for field in fields(Settings)}
    for line in lines_of(PROVED.findall(TEXTS["LIMITS.md"])[0]):
        _, bound, setting, _ = (cell.strip() for cell in line.strip("|").split("|"))
        name = re.search(r"`(\w+)`", setting)
        number = re.search(r"(\d+)(?: (KiB|MiB))?", bound)
        if name and number:
            found.add(name[1])
            said = int(number[1]) * UNITS.get(number[2], 1) * (2 if "half" in setting else 1)
            assert said == defaults[name[1]], line
    assert found == {"max_frame", "receive_budget", "max_requests", "max_channels", "backlog"}
