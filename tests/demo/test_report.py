# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is said at the end: everything that went wrong, nothing that a terminal would act upon."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.cli._progress import plain_line
from kcoro_core.demo.files import Skipped, Source
from kcoro_core.demo.jobs import Ledger
from kcoro_core.demo.program import Options, Outcome
from kcoro_core.demo.proof import Difference
from kcoro_core.demo.report import LISTED, as_json, closing_lines, digest, printable, top
from kcoro_core.demo.state import State
from kcoro_core.demo.tally import Tally


def outcome(difference: Difference, changed: tuple[str, ...] = (), skipped: int = 0) -> Outcome:
    tally = Tally(Ledger([(Source("file", 3),)]), Counter(tea=2), files=1, size=3, malformed=1)
    tally.skipped = [Skipped(f"file {number}", "binary") for number in range(skipped)]
    return Outcome(Options(), tally, None, 1.0, 0.5, difference, changed)


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_printed_holds_no_control_character(text: str) -> None:
    assert printable(text).isprintable()


def test_equally_frequent_words_come_in_the_order_of_the_alphabet() -> None:
    assert top(Counter(b=1, c=2, a=1), 2) == [("c", 2), ("a", 1)]


def test_the_fingerprint_depends_on_the_words_and_counts_and_not_on_their_order() -> None:
    assert digest(Counter(a=1, b=2)) == digest(Counter(b=2, a=1))
    assert len({digest(Counter(words)) for words in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 1})}) == 4


def test_a_difference_is_told_with_both_counts_and_the_files_that_changed_meanwhile() -> None:
    lines = list(closing_lines(outcome(Difference((("tea", 2, 3),), ("only",)), ("log",))))
    assert lines[0] == "malformed messages that were dropped: 1"
    assert lines[1].startswith("proof: NOT EQUAL")
    assert lines[2:4] == ["  tea: 2 by workers, 3 by proof", "  only: skipped by one of the two only"]
    assert lines[-1] == "  log"
    proof = as_json(outcome(Difference((("tea", 2, 3),), ("only",)), ("log",)), 1)["proof"]
    assert proof["words"] == [{"word": "tea", "workers": 2, "proof": 3}]
    assert (proof["equal"], proof["skipped"], proof["changed"]) == (False, ["only"], ["log"])


def test_a_long_list_is_cut_in_the_text_and_whole_in_the_json() -> None:
    many = outcome(Difference(), skipped=LISTED + 5)
    lines = list(closing_lines(many))
    assert lines[0] == f"skipped {LISTED + 5} files:"
    assert lines[LISTED + 1] == "  and 5 more"
    assert len(as_json(many, 1)["skipped"]) == LISTED + 5


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State("counting", 0, 4_000_000, "x"), "counting [------------------------]   0%  0.0/4.0 MB  x"),
        (State("counting", 1_000_000, 4_000_000, "x"), "counting [######------------------]  25%  1.0/4.0 MB  x"),
        (State("proving", 4_000_000, 4_000_000), "proving [########################] 100%  4.0/4.0 MB  "),
        (State("proving", 0, 0), "proving [########################] 100%  0.0/0.0 MB  "),
    ],
)
def test_the_plain_bar_shows_how_far_it_is(state: State, line: str) -> None:
    assert plain_line(state) == line
