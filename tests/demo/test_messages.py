# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Messages come back as they were written, or are refused; nothing else, and never with another kind of error."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.demo.files import FILES_PER_BATCH
from kcoro_core.demo.messages import (
    MESSAGE_BYTES,
    Answer,
    Malformed,
    Message,
    Order,
    Part,
    Progress,
    Taken,
    decode,
    decode_as,
    encode,
    portions,
)
from kcoro_core.demo.words import WORD_LIMIT

NUMBERS = st.integers(0, 2**53 - 1)
WORDS = st.dictionaries(st.text(min_size=1, max_size=20), st.integers(1, 2**53 - 1), max_size=20)
PATHS = st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=5).map(tuple)
SKIPPED = st.lists(st.tuples(st.integers(0, FILES_PER_BATCH - 1), st.text(max_size=20)), max_size=5).map(tuple)
ANY = st.one_of(
    st.builds(Order, NUMBERS, NUMBERS, PATHS),
    st.builds(Taken, NUMBERS, NUMBERS, NUMBERS),
    st.builds(Part, NUMBERS, NUMBERS, NUMBERS, NUMBERS, WORDS),
    st.builds(
        Answer, NUMBERS, NUMBERS, NUMBERS, NUMBERS, WORDS, NUMBERS, NUMBERS, st.floats(0, 1e9), SKIPPED
    ),
    st.builds(Progress, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
)  # fmt: skip


@given(message=ANY)
def test_a_message_comes_back_as_it_was_written(message: Message) -> None:
    assert decode(encode(message)) == message


def test_a_path_that_is_no_utf_8_survives() -> None:
    order = Order(1, 2, (os.fsdecode(b"/tmp/\xff\xfe"),))
    assert decode(encode(order)) == order


@given(raw=st.one_of(st.binary(max_size=60), st.builds(json.dumps, st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["order", "answer", "part"])),
    lambda inner: st.lists(inner, max_size=9), max_leaves=12)).map(str.encode)))  # fmt: skip
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    try:
        assert decode(encode(decode(raw))) == decode(raw)
    except Malformed:
        pass


ANSWER: list[Any] = ["answer", 0, 1, 2, 0, {"tea": 1}, 1, 3, 0.5, [[0, "binary"]]]


def changed(position: int, value: Any) -> bytes:
    return json.dumps([*ANSWER[:position], value, *ANSWER[position + 1 :]]).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b"[[]]",
        b'["none"]',
        b'["taken",1,2]',
        b'["taken",1,2,3,4]',
        b'["taken",1,2,true]',
        b'["taken",1,2,3.0]',
        b'["taken",1,2,-1]',
        b'["taken",1,2,9007199254740992]',
        b'["taken",1,2,' + b"9" * 5000 + b"]",
        b'["order",0,0,[]]',
        b'["order",0,0,"path"]',
        b'["order",0,0,[7]]',
        json.dumps(["order", 0, 0, ["x"] * (FILES_PER_BATCH + 1)]).encode(),
        b"[" * 100_000,
        changed(5, ["tea"]),
        changed(5, {"tea": 0}),
        changed(5, {"tea": True}),
        changed(5, {"": 1}),
        changed(5, {"x" * (3 * WORD_LIMIT + 1): 1}),
        changed(8, float("nan")),
        changed(8, float("inf")),
        changed(8, -1),
        changed(9, 7),
        changed(9, [7]),
        changed(9, [[0]]),
        changed(9, [[FILES_PER_BATCH, "why"]]),
        changed(9, [[0, "x" * 1000]]),
        changed(9, [[0, "why"]] * (FILES_PER_BATCH + 1)),
    ],
)
def test_what_breaks_a_rule_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode(raw)


def test_the_answer_that_the_table_above_breaks_is_sound_itself() -> None:
    assert decode(json.dumps(ANSWER).encode()) == Answer(0, 1, 2, 0, {"tea": 1}, 1, 3, 0.5, ((0, "binary"),))


def test_length_is_checked_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("parsed"))
    with pytest.raises(Malformed, match="longer than"):
        decode(b"x" * (MESSAGE_BYTES + 1))


def test_a_message_that_is_too_long_is_not_written() -> None:
    with pytest.raises(Malformed, match="longer than"):
        encode(Order(0, 0, ("x" * MESSAGE_BYTES,)))


def test_a_message_of_another_kind_than_expected_is_malformed() -> None:
    with pytest.raises(Malformed, match="Order expected, not Taken"):
        decode_as(encode(Taken(1, 2, 3)), Order)


@pytest.mark.parametrize("letter", ["a", "中", "\U00020000"])
def test_portions_hold_everything_once_and_each_fits_into_an_answer(letter: str) -> None:
    words = {f"{letter * 250}{number}": 2**53 - 1 for number in range(6000)}
    made = list(portions(words))
    assert len(made) > 2
    assert {word: count for portion in made for word, count in portion.items()} == words
    assert sum(map(len, made)) == len(words)
    skipped = tuple((n, "中" * 200) for n in range(FILES_PER_BATCH))
    for portion in made:
        encode(Answer(2**53 - 1, 2**53 - 1, 2**53 - 1, 9, portion, 1, 1, 1.0, skipped))


def test_of_no_words_there_is_one_empty_portion() -> None:
    assert list(portions({})) == [{}]
