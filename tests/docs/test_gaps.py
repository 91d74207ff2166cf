# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""GAPS.md, FEATURES.md and ROADMAP.md tell the truth about each other and about the tests. Rows: Q9, Q12, Q7."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from kcoro_core.testing.laws import LAWS

from .blocks import DOCS
from .collecting import check_collected
from .tools import load

tool = load("gaps")
digests = tool.digests
LINES: list[Any] = tool.gaps()
WHO: dict[str, list[Any]] = tool.citations()
ROADMAP = (DOCS / "ROADMAP.md").read_text()
FEW_WORDS = 4


def untrue(lines: list[Any]) -> list[str]:
    """What is wrong with the statuses and proofs of these lines, in one sentence each."""
    wrong = []
    for gap in lines:
        known = {citation.proof for citation in WHO.get(gap.id, [])}
        built = gap.status in ("P", "Pa")
        if gap.status not in tool.STATUSES:
            wrong.append(f"{gap.id}: {gap.status} is no status")
        if built and not gap.proofs:
            wrong.append(f"{gap.id} is {gap.status} and names no test")
        if not built and (known or gap.proofs):
            wrong.append(f"{gap.id} is {gap.status}, and yet it is cited: {sorted(known)[:3]}")
        if bool(gap.missing) != (gap.status == "Pa"):
            wrong.append(f"{gap.id} is {gap.status} and names as missing: {gap.missing or 'nothing'}")
        wrong += [f"{gap.id}: {proof} does not cite it" for proof in gap.proofs if proof not in known]
    return wrong


def test_every_row_of_the_features_has_a_status() -> None:
    """Row: Q9."""
    assert len(LINES) == 144
    assert [gap.id for gap in LINES] == tool.rows()


def test_every_feature_says_in_some_words_what_it_is() -> None:
    """Row: Q9."""
    said = dict(re.findall(r"^\| (\w+) \| (.+) \|$", (DOCS / "FEATURES.md").read_text(), re.MULTILINE))
    assert [row for row in tool.rows() if len(said[row].split()) < 2] == []


def test_every_status_is_borne_out_by_tests_that_cite_the_row() -> None:
    """Row: Q9."""
    assert untrue(LINES) == []


def test_every_row_that_a_test_cites_is_a_row_of_the_features() -> None:
    """Row: Q9."""
    assert set(WHO) - set(tool.rows()) == set()


@pytest.mark.timeout(600)  # collects every test that is named
def test_every_named_test_exists_and_is_collected() -> None:
    """Row: Q9."""
    check_collected(proof for gap in LINES for proof in gap.proofs)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "F"},
        {"status": "M"},
        {"status": "P"},
        {"status": "Done"},
        {"proofs": ()},
        {"missing": ""},
        {"proofs": ("tests/docs/test_gaps.py::test_no_such_test",)},
    ],
    ids=str,
)
def test_a_status_that_changes_without_its_tests_is_found(change: dict[str, Any]) -> None:
    """Row: Q9."""
    gap = next(gap for gap in LINES if gap.status == "Pa")
    assert untrue([gap]) == []
    assert untrue([evolve(gap, **change)])


def test_a_future_row_becomes_present_only_with_a_test() -> None:
    """Row: Q9."""
    gap = next(gap for gap in LINES if gap.status == "F")
    assert untrue([evolve(gap, status="P")])


def test_the_snapshot_is_dated_and_was_renewed_when_a_status_changed() -> None:
    """``python docs/_tools/gaps.py --write`` renews it. Row: Q12."""
    snapshot = tool.SNAPSHOT.search(tool.GAPS.read_text())
    assert snapshot is not None
    assert dt.date.fromisoformat(snapshot["date"]).year >= 2025
    assert snapshot[0] == tool.summary(LINES, snapshot["date"])
    other = [evolve(LINES[0], status="M"), *LINES[1:]]
    assert tool.digest(other) != snapshot["digest"]


# ---------------------------------------------------------------------------------------------------------------------
# A status and its tests change together
# ---------------------------------------------------------------------------------------------------------------------


def test_no_status_has_changed_without_a_test_and_no_test_without_a_look_at_the_status() -> None:
    """The last line has the command. Row: Q9."""
    assert tool.unlooked(LINES) == []


ROWS = {"CH1": digests.Judged("Pa", "a" * 12), "CH2": digests.Judged("P", "b" * 12)}


@pytest.mark.parametrize(
    ("status", "digest", "says"),
    [
        ("Pa", "a" * 12, None),
        ("P", "a" * 12, "its status was Pa and is P, and its tests are as before"),
        ("Pa", "c" * 12, "its tests have changed, and its status is still Pa"),
        ("P", "c" * 12, None),
    ],
)
def test_a_status_that_changes_alone_and_a_test_that_does_are_found(status: str, digest: str, says: str | None) -> None:
    """Only a look helps, which has to name the status: what was not looked at stays as it was. Row: Q9."""
    now = ROWS | {"CH1": digests.Judged(status, digest)}
    assert digests.unlooked(now, ROWS) == ({"CH1": says} if says else {})
    assert digests.renewed(now, ROWS, {}) == (ROWS if says else now)
    assert digests.renewed(now, ROWS, {"CH1": status}) == now
    with pytest.raises(ValueError, match="CH1 is P"):
        digests.renewed(now, ROWS, {"CH1": "M"})


def test_a_row_of_the_page_that_changes_alone_is_named_with_the_command_that_accepts_it() -> None:
    """Row: Q9."""
    text = digests.as_text(tool.judged_now(LINES))
    assert tool.unlooked(LINES, text) == []
    gap = next(gap for gap in LINES if gap.status == "Pa")
    raised = [evolve(one, status="P") if one is gap else one for one in LINES]
    found = tool.unlooked(raised, text)
    assert found[0] == f"{gap.id}: its status was Pa and is P, and its tests are as before"
    assert found[1].endswith(f"python docs/_tools/gaps.py --accept {gap.id}=P")
    fewer = [evolve(one, proofs=one.proofs[:-1] or ("none",)) if one is gap else one for one in LINES]
    assert tool.unlooked(fewer, text)[0] == f"{gap.id}: its tests have changed, and its status is still Pa"


TEST = '''
@pytest.mark.parametrize("n", [1, 2])
def test_it(n: int) -> None:
    """It holds. Row: CH1."""
    # why
    assert half(n) == f"{n:>3}"
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("    # why\n", "", True),
        ("It holds.", "It has to hold.", True),
        ("half(n) ==", "(half( n )\n  ==", True),
        ("[1, 2]", "[\n1, 2,]", True),
        ("[1, 2]", "[1]", False),
        ("half(n)", "twice(n)", False),
        ("==", "!=", False),
        (":>3", ":>4", False),
        ("assert ", "", False),
        ("test_it", "test_other", False),
    ],
)
def test_the_digest_of_a_test_is_of_what_it_does(old: str, new: str, same: bool) -> None:
    """Layout and words do not count. Row: Q9."""
    changed = TEST.replace(old, new)
    changed += ")" * (changed.count("(") - changed.count(")"))
    assert changed != TEST
    assert (digests.essence(ast.parse(changed)) == digests.essence(ast.parse(TEST))) is same


def test_the_digest_is_one_text_for_all_versions_of_python() -> None:
    """Row: Q9."""
    told = repr(digests.essence(ast.parse(TEST))).encode()
    assert hashlib.blake2b(told, digest_size=6).hexdigest() == "a93c5a958563"


IN_CLASS = '''"""Rows: CH1."""

def test_alone(): assert 1

@pytest.mark.skipif(WINDOWS)
class TestTogether:
    """They share something. Row: CH2."""

    def helper(self): assert 2
    def test_one(self): assert 3
    def test_two(self):
        """It holds. Row: CH3."""
        assert 4
'''


def test_a_method_of_a_class_is_cited_as_pytest_names_it() -> None:
    """Without a citation of its own it has those of its class. Row: Q9."""
    told = {name: (rows, of_file) for name, rows, of_file in tool._tests_of("tests/test_x.py", ast.parse(IN_CLASS))}
    assert told == {
        "tests/test_x.py::test_alone": (["CH1"], True),
        "tests/test_x.py::TestTogether::test_one": (["CH2"], True),
        "tests/test_x.py::TestTogether::test_two": (["CH3"], False),
    }
    between = "tests/link/test_cuts.py::TestBetweenProcesses::test_cuts_at_random_bytes_leave_two_ledgers_that_agree"
    assert between in [citation.proof for citation in WHO["X4"]]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("assert 4", "assert 5", False),
        ("WINDOWS", "True", False),
        ("assert 3", "assert 5", True),
        ("share", "do", True),
    ],
)
def test_the_digest_of_a_method_is_of_it_and_of_what_its_class_is(
    old: str, new: str, same: bool, tmp_path: Path
) -> None:
    """Marks of the class count, its other methods and its words do not. Row: Q9."""
    told = []
    for name, text in (("before", IN_CLASS), ("after", IN_CLASS.replace(old, new))):
        (tmp_path / f"{name}.py").write_text(text)
        node = digests.source_of(f"{tmp_path}/{name}.py::TestTogether::test_two")
        assert node is not None
        told.append(digests.essence(node))
    assert (told[0] == told[1]) is same


def test_a_file_in_which_two_branches_have_met_is_read_with_its_markers() -> None:
    """What fits the tests of today is right, on whichever side it stands. Row: Q9."""
    one, two = (digests.as_text({"CH1": digests.Judged("Pa", letter * 12)}) for letter in "ac")
    for ours, theirs in ((one, two), (two, one)):
        text = f"<<<<<<< here\n{ours}=======\n{theirs}>>>>>>> there\nCH2 P {'b' * 12}\n"
        assert digests.kept(ROWS, text) == ROWS


# ---------------------------------------------------------------------------------------------------------------------
# The roadmap
# ---------------------------------------------------------------------------------------------------------------------


def planned(text: str = ROADMAP) -> list[tuple[str, str, str]]:
    """The lines of the roadmap: row, what comes, acceptance test."""
    return re.findall(r"^\| ([A-Z]{1,2}\d+b?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)


def test_every_future_row_stands_once_in_the_roadmap_and_nothing_present_does() -> None:
    """Rows: Q7, Q9."""
    status = {gap.id: gap.status for gap in LINES}
    ids = [row for row, _, _ in planned()]
    assert len(ids) == len(set(ids))
    assert {row for row in status if status[row] == "F"} <= set(ids)
    assert {status[row] for row in ids} <= {"F", "Pa"}


def test_every_line_of_the_roadmap_has_an_acceptance_test() -> None:
    """Row: Q7."""
    assert [row for row, _, accepted in planned() if len(accepted.split()) < FEW_WORDS] == []


def test_what_the_roadmap_names_as_an_existing_test_exists() -> None:
    """Row: Q7."""
    named = re.findall(r"`tests/laws -k ([^`]+)`", ROADMAP)
    assert named
    assert set(named) <= {law.id for law in LAWS}
