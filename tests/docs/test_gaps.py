# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""GAPS.md, FEATURES.md and ROADMAP.md tell the truth about each other and about the tests. Rows: Q9, Q12, Q7."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from typing import Any

import pytest
from attrs import evolve

from kcoro_core.testing.laws import LAWS

from .blocks import DOCS, ROOT
from .tools import load

tool = load("gaps")
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


@pytest.mark.timeout(180)  # collects every test that is named
def test_every_named_test_exists_and_is_collected() -> None:
    """Row: Q9."""
    proofs = sorted({proof for gap in LINES for proof in gap.proofs})
    laws = {proof.removeprefix("tests/laws -k ") for proof in proofs if " -k " in proof}
    assert laws <= {law.id for law in LAWS if law.cases}
    nodes = [proof for proof in proofs if " -k " not in proof]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", *nodes],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


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
