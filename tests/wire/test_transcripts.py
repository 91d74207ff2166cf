# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""However a stream of bytes is cut, a connection hears the same and says the same. Rows: W1, T6."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import reduce
from operator import or_

import pytest

from kcoro_core.errors import KcoroError
from kcoro_core.wire.commands import ALLOWED_FLAGS, BUILT, CALL_FLAGS, command_name, is_call
from kcoro_core.wire.connection import Side
from kcoro_core.wire.frame import HEADER_SIZE, FrameDecoder

from .transcripts import LIMITS, TRANSCRIPTS, Played, Read, Transcript

BOTH = [pytest.param(name, side, id=f"{name}-{side.value}") for name in TRANSCRIPTS for side in Side]


def same(one: Played, other: Played) -> bool:
    """Errors are compared by their text."""
    return repr(one.events) == repr(other.events) and one.wrote == other.wrote


def offsets(transcript: Transcript, side: Side) -> Iterator[int]:
    """Every offset; far inside of a long payload, where one is like the next, every 29th."""
    at = 0
    for frame in (step.frame for step in transcript.steps[side] if isinstance(step, Read)):
        size = HEADER_SIZE + frame.length
        yield from (at + step for step in range(size) if step < 200 or size - step < 20 or step % 29 == 0)
        at += size
    yield at


@pytest.mark.parametrize(("name", "side"), BOTH)
def test_a_stream_cut_at_any_offset_gives_the_same_events(name: str, side: Side) -> None:
    """Each transcript, cut once at every offset: the same events, the same frames written, in order. Row: W1."""
    transcript = TRANSCRIPTS[name]
    stream = transcript.stream(side)
    for at in offsets(transcript, side):
        played = transcript.play(side, [stream[:at], stream[at:]])
        assert same(played, transcript.played[side]), f"cut at {at}"


@pytest.mark.parametrize(("name", "side"), BOTH)
def test_a_stream_that_comes_byte_by_byte_gives_the_same_events(name: str, side: Side) -> None:
    """The smallest pieces that there are. Row: W1."""
    transcript = TRANSCRIPTS[name]
    played = transcript.play(side, [bytes([byte]) for byte in transcript.stream(side)])
    assert same(played, transcript.played[side])


def pairs(transcript: Transcript, side: Side) -> Iterator[tuple[int, int]]:
    """All pairs of offsets, the first before the second."""
    size = len(transcript.stream(side))
    return ((first, second) for first in range(size) for second in range(first + 1, size))


def play_pair(transcript: Transcript, side: Side, first: int, second: int) -> bool:
    stream = transcript.stream(side)
    played = transcript.play(side, [stream[:first], stream[first:second], stream[second:]])
    return same(played, transcript.played[side])


@pytest.mark.parametrize("side", list(Side))
def test_some_pairs_of_offsets_give_the_same_events(side: Side) -> None:
    """Three pieces of a short transcript; the offsets are drawn anew from one seed. Row: W1."""
    transcript = TRANSCRIPTS["short"]
    chance = random.Random(f"pairs {side}")
    for first, second in chance.sample(list(pairs(transcript, side)), 400):
        assert play_pair(transcript, side, first, second), (first, second)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("side", list(Side))
def test_every_pair_of_offsets_gives_the_same_events(side: Side) -> None:
    """All ways to cut a short transcript into three pieces. Row: W1."""
    transcript = TRANSCRIPTS["short"]
    assert all(play_pair(transcript, side, first, second) for first, second in pairs(transcript, side))


@pytest.mark.parametrize(("name", "side"), BOTH)
def test_a_decoder_gives_the_same_frames_from_any_three_pieces(name: str, side: Side) -> None:
    """The decoder alone, at every pair of offsets around the border of each frame. Row: W1."""
    stream = TRANSCRIPTS[name].stream(side)
    expected = cut(stream, [])
    borders, at = set[int](), 0
    for frame in expected:
        borders |= {at + step for step in (-1, 0, 1, 19, 20, 21) if 0 < at + step < len(stream)}
        at += len(frame)
    for first in sorted(borders):
        for second in sorted(border for border in borders if border > first):
            assert cut(stream, [first, second]) == expected


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """The frames of a stream that comes in pieces."""
    decoder, frames = FrameDecoder(), []
    for start, end in zip([0, *at], [*at, len(stream)], strict=True):
        decoder.feed(stream[start:end])
        while (frame := decoder.next_frame(LIMITS.max_frame)) is not None:
            frames.append(frame.encode())
    return frames


def test_a_cut_that_loses_a_byte_is_noticed() -> None:
    """The comparison can fail: a byte less, and something else is heard. Row: W1."""
    transcript = TRANSCRIPTS["requests"]
    stream = transcript.stream(Side.ACCEPTING)
    noticed = 0
    for at in range(0, len(stream), 7):
        try:
            played = transcript.play(Side.ACCEPTING, [stream[:at], stream[at + 1 :]])
        except (KcoroError, ValueError):
            noticed += 1
        else:
            noticed += not same(played, transcript.played[Side.ACCEPTING])
    assert noticed == len(range(0, len(stream), 7))


def test_every_command_and_flag_that_is_built_stands_in_a_transcript() -> None:
    """Whoever builds a command adds a conversation to ``transcripts.py``, so that all of this covers it. Row: W1."""
    frames = [frame for transcript in TRANSCRIPTS.values() for frame in transcript.frames()]
    said = {frame.command for frame in frames}
    assert [command_name(command) for command in sorted(BUILT - said)] == []
    assert any(is_call(command) for command in said)
    allowed = reduce(or_, ALLOWED_FLAGS.values()) | CALL_FLAGS
    assert reduce(or_, (frame.flags for frame in frames)) == allowed
