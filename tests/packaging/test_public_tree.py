# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The tree is the same for everybody: it names no machine's folders, no package index, and nothing built lies in it."""

from __future__ import annotations

import re

import pytest

from .tree import ROOT, sources

PRIVATE = [
    re.compile(r"(?<![\w.$}/>])/(?:root|work|home/\w+|Users/\w+)/"),
    re.compile(r"(?i)\b(?:extra[-_])?index[-_]url\b|\bfind[-_]links\b|\btrusted[-_]host\b"),
    re.compile(r"(?i)://[\w.-]*(?:pypi|npmjs|debian|registry|mirror)[\w-]*\."),
]
UNMERGED = re.compile(r"(?m)^(?:<{7}|>{7}) ")
BUILT = {".pyc", ".so", ".o", ".whl", ".gz", ".lock", ".coverage"}


def private(text: str) -> list[str]:
    """What in a file belongs to one machine or names where packages come from."""
    return [match.group() for pattern in PRIVATE for match in pattern.finditer(text)]


def text_of(raw: bytes) -> str:
    return "" if b"\0" in raw else raw.decode("utf-8")


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = {str(path.relative_to(ROOT)): private(text_of(path.read_bytes())) for path in sources()}
    assert len(found) > 20
    assert {name: words for name, words in found.items() if words} == {}


def test_nothing_built_lies_among_the_sources() -> None:
    assert [str(path.relative_to(ROOT)) for path in sources() if path.suffix in BUILT] == []


def test_no_file_is_empty_but_the_marks_of_typed_packages() -> None:
    empty = {path.name for path in sources() if not path.stat().st_size}
    assert empty <= {"py.typed", "py.typed.in"}


def unmerged(text: str) -> bool:
    """Whether the marks of a merge that was not finished stand in a text."""
    return UNMERGED.search(text) is not None


def test_no_file_is_half_merged() -> None:
    assert [str(path.relative_to(ROOT)) for path in sources() if unmerged(text_of(path.read_bytes()))] == []
    assert unmerged("a row\n" + "<" * 7 + " ours\n")
    assert not unmerged("a heading\n" + "=" * 7 + "\n")


@pytest.mark.parametrize(
    "parts",
    [
        ("see /ro", "ot/notes"),
        ("cd /home/", "eve/src"),
        ("pip install --index", "-url x"),
        ("deb http://deb.debi", "an.org/x"),
        ("https://pyp", "i.org/simple"),
    ],
)
def test_the_lint_sees_a_planted_line(parts: tuple[str, str]) -> None:
    assert private("".join(parts))


@pytest.mark.parametrize("text", ["$HOME/root/x", "tests/home/a", "uds:/run/user/1/a.sock", "https://docs.python.org/"])
def test_the_lint_lets_ordinary_text_pass(text: str) -> None:
    assert private(text) == []
