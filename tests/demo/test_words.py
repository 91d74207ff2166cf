# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two implementations of one definition of a word: whatever the bytes, and wherever they are cut, they agree."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.demo import files, proof
from kcoro_core.demo.proof import Proof, compare
from kcoro_core.demo.words import WORD_LIMIT, WordCounter

# Runs, cuts and the odd ones: digits that are no decimals, case that changes length, combining marks, no characters.
TEXT = st.text(st.one_of(st.sampled_from("aZ_9 \n\r\t.²½Ⅷ٣ßİΣΐ\u0301\ufeff\U0001d7d8中-"), st.characters()))
BYTES = st.one_of(TEXT.map(lambda text: text.encode(errors="replace")), st.binary())


def by_worker(content: bytes, *cuts: int) -> dict[str, int]:
    counter = WordCounter()
    edges = [0, *sorted(cuts), len(content)]
    for start, end in itertools.pairwise(edges):
        counter.feed(content[start:end])
    return counter.finish()


def by_proof(path: Path, content: bytes) -> dict[str, int]:
    path.write_bytes(content)
    count = Proof()
    list(count.steps([files.Source(str(path), len(content))]))
    return dict(count.words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", {}),
        ("one two two", {"one": 1, "two": 2}),
        ("Tea TEA tea", {"tea": 3}),
        ("x1 1x 0x1F _x", {"x1": 1, "_x": 1}),
        ("don't", {"don": 1, "t": 1}),
        ("ΟΔΟΣ", {"οδος": 1}),
        ("naïve_2 中文", {"naïve_2": 1, "中文": 1}),
        ("a" * WORD_LIMIT + " " + "b" * (WORD_LIMIT + 1), {"a" * WORD_LIMIT: 1}),
    ],
)
def test_both_follow_the_definition(tmp_path: Path, text: str, words: dict[str, int]) -> None:
    assert by_worker(text.encode()) == words
    assert by_proof(tmp_path / "file", text.encode()) == words


def test_bytes_that_are_no_utf_8_separate_words(tmp_path: Path) -> None:
    assert by_worker(b"one\xfftwo") == {"one": 1, "two": 1} == by_proof(tmp_path / "file", b"one\xfftwo")


@given(content=BYTES.filter(lambda content: b"\0" not in content), data=st.data())
def test_both_agree_on_anything_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "STEP_CHARACTERS", data.draw(st.integers(1, 5)))
        assert by_worker(content, *cuts) == by_proof(tmp_path_factory.getbasetemp() / "any", content)


@pytest.mark.parametrize("block_bytes", [1, 7, WORD_LIMIT])
def test_a_run_longer_than_a_block_is_kept_short_and_is_no_word(block_bytes: int) -> None:
    counter = WordCounter()
    content = b"begin " + b"x" * 5000 + b" end"
    for start in range(0, len(content), block_bytes):
        counter.feed(content[start : start + block_bytes])
        assert len(counter._tail) <= WORD_LIMIT + 1
    assert counter.finish() == {"begin": 1, "end": 1}


def test_every_difference_is_told_and_equality_is_none() -> None:
    count = Proof(words=Counter(same=2, less=1, none=1), skipped={"a", "b"})
    difference = compare(Counter(same=2, less=3, more=1), {"b", "c"}, count)
    assert difference.words == (("less", 3, 1), ("more", 1, 0), ("none", 0, 1))
    assert difference.skipped == ("a", "c")
    assert not compare(Counter(count.words), {"a", "b"}, count)
