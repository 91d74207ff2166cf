# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The resolver ``file``: names in a TOML file. Row: X17."""

from __future__ import annotations

from pathlib import Path

import pytest

from kcoro_core.config import MAX_FILE_BYTES
from kcoro_core.errors import TransportError
from kcoro_core.resolvers.file import File
from kcoro_core.resolvers.protocol import Question

TEXT = """
"jobs.example" = ["10.0.0.7", "[2001:db8::8]", "10.0.0.9:7009"]
"jobs.example:7001" = ["10.0.0.1:7111"]
"Jobs.Example:kcoro" = ["10.0.0.2:7222", "[2001:db8::2]:7223"]
"""


def asked(tmp_path: Path, question: Question, text: str = TEXT) -> list[tuple[str, int]]:
    path = tmp_path / "names.toml"
    path.write_text(text)
    return list(File(str(path)).resolve(question))


@pytest.mark.parametrize(
    ("question", "places"),
    [
        (Question("jobs.example", 7000), [("10.0.0.7", 7000), ("2001:db8::8", 7000), ("10.0.0.9", 7009)]),
        (Question("JOBS.example.", 7001), [("10.0.0.1", 7111)]),
        (Question("jobs.example", 0, "kcoro"), [("10.0.0.2", 7222), ("2001:db8::2", 7223)]),
    ],
)
def test_a_name_has_its_addresses_in_order(tmp_path: Path, question: Question, places: list[tuple[str, int]]) -> None:
    """Row: X17."""
    assert asked(tmp_path, question) == places


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """Row: X17."""
    assert asked(tmp_path, Question("a", 1), 'a = ["10.0.0.1"]') == [("10.0.0.1", 1)]
    assert asked(tmp_path, Question("a", 1), 'a = ["10.0.0.2"]') == [("10.0.0.2", 1)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no 'a'"),
        ("a = 1", "has to be a list of addresses"),
        ("a = []", "has to be a list of addresses"),
        ('a = ["b.example"]', "is no numeric address, as 10.0.0.7:7000 is"),
        ('a = ["10.0.0.1:0"]', "is no numeric address"),
        ("a = [1]", "is no numeric address"),
        ("a = [", "is no TOML"),
        ("#" * (MAX_FILE_BYTES + 1), "is over"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_path(tmp_path: Path, text: str, says: str) -> None:
    """Row: X17."""
    with pytest.raises(Exception, match=says) as caught:
        asked(tmp_path, Question("a", 1), text)
    assert "names.toml" in str(caught.value)


def test_a_service_needs_ports(tmp_path: Path) -> None:
    """Row: X17."""
    with pytest.raises(ValueError, match="'kcoro' is no number, so the port has to stand there"):
        asked(tmp_path, Question("a", 0, "kcoro"), 'a = ["10.0.0.1"]')


def test_a_file_that_is_not_there_or_not_named_is_told(tmp_path: Path) -> None:
    """Row: X17."""
    with pytest.raises(TransportError, match=r"gone\.toml cannot be read"):
        File(str(tmp_path / "gone.toml")).resolve(Question("a", 1))
    with pytest.raises(Exception, match="set KCORO_NAMES"):
        File("").resolve(Question("a", 1))
