# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The pages of the manual exist, are reached from its first page, and no link between them is dead. Row: Q7."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .blocks import DOCS, ROOT, pages

REQUIRED = (
    "CHANNELS.md",
    "ZERO_COPY.md",
    "ERROR_SEMANTICS.md",
    "CONFIGURATION.md",
    "CODING_STYLE.md",
    "ROADMAP.md",
    "deployment.md",
    "security.md",
    "GAPS.md",
    "spec/wire.md",
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
TOCTREE = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"^```(?!\{).*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as repository viewers and Sphinx make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_of_a_page_is_dead(page: Path) -> None:
    """Row: Q7."""
    assert dead(page, page.read_text()) == []


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](CHANNELS.md#no-such-heading)", "[x](#nothing)"])
def test_a_dead_link_is_found(link: str) -> None:
    """Row: Q7."""
    assert dead(DOCS / "index.md", link)


@pytest.mark.parametrize("name", REQUIRED)
def test_the_documents_of_the_project_exist_and_are_linked_from_the_first_page(name: str) -> None:
    """Row: Q7."""
    first = (DOCS / "index.md").read_text()
    assert (DOCS / name).is_file()
    assert f"({name})" in first


def test_every_page_is_in_the_contents() -> None:
    """Row: Q7."""
    first = (DOCS / "index.md").read_text()
    contents = {entry for tree in TOCTREE.findall(first) for entry in tree.split() if not entry.startswith(":")}
    manual = {str(page.relative_to(DOCS).with_suffix("")) for page in pages() if page.is_relative_to(DOCS)}
    assert manual - {"index"} <= contents


def test_zero_copy_is_called_absent_as_long_as_nothing_of_it_exists() -> None:
    """Row: Q7."""
    import kcoro_core

    assert "Absent until built" in (DOCS / "ZERO_COPY.md").read_text()
    assert not any("desc" in name or "Region" in name for name in [*kcoro_core.__all__, *dir(kcoro_core.Channel)])
