# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What goes out of one connection, handed to a medium frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kcoro_core.wire.events import ReplyReceived, SendRequested
from kcoro_core.wire.frame import HEADER_SIZE, decode_header
from kcoro_core.wire.handles import HandleTable
from kcoro_core.wire.order import Order
from kcoro_core.wire.outbox import Entry, Outbox
from kcoro_core.wire.writer import Writer

from .pair import opened


class Medium:
    """Takes so many frames."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.seqs: list[int] = []

    def give(self, _: Any, header: bytes, parts: Sequence[bytes], _channel_id: int) -> bool:
        if not self.room:
            return False
        self.room -= 1
        fields = decode_header(header, 1 << 20)
        assert fields.length == sum(map(len, parts))
        self.seqs.append(fields.seq)
        return True


def made(*parts: bytes) -> tuple[Outbox, Writer, list[Entry]]:
    """A writer with one message for each part on channel 0, as calls of the connection itself are."""
    outbox = Outbox()
    entries = [outbox.put(Entry(64, parts=(part,))) for part in parts]
    return outbox, Writer(outbox, HandleTable(True), Order(), ()), entries


@pytest.mark.parametrize("count", [1, 3])
def test_frames_are_handed_over_until_nothing_is_left(count: int) -> None:
    """How many bytes were taken is told, headers included, and each message is written once. Row: N3."""
    _, writer, entries = made(*[b"12345"] * count)
    medium = Medium()
    assert writer.write(medium.give, None, 1 << 17, flush=False) == (count * (HEADER_SIZE + 5), False)
    assert medium.seqs == list(range(count))
    assert all(entry.written for entry in entries)
    assert (writer.frames, writer.bytes) == (count, count * (HEADER_SIZE + 5))
    assert writer.write(medium.give, None, 1 << 17, flush=False) == (0, False)


@pytest.mark.parametrize("count", [1, 3])
def test_a_frame_that_was_refused_is_the_next(count: int) -> None:
    """Nothing of it is spent: neither its number nor its place. Row: N3."""
    _, writer, entries = made(*[b"12345"] * count)
    full = Medium(room=0)
    assert writer.write(full.give, None, 1 << 17, flush=False) == (0, True)
    assert not entries[0].written
    again = Medium()
    writer.write(again.give, None, 1 << 17, flush=False)
    assert again.seqs == list(range(count))


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_queued_because_a_frame_was_written_goes_out_behind_it(count: int) -> None:
    """Nobody else would write it in this turn. Row: N3."""
    outbox, writer, entries = made(*[b"first"] * count)
    entries[-1].on_written = lambda _: outbox.put(Entry(64, parts=(b"second",)))
    medium = Medium()
    writer.write(medium.give, None, 1 << 17, flush=False)
    assert medium.seqs == list(range(count + 1))


LAST = (1 << 32) - 1


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_behind_the_last_is_the_first(count: int) -> None:
    """Whether there was something to choose from or not. Row: N3b."""
    outbox, entries = Outbox(), [Entry(64, parts=(b"12345",)) for _ in range(count)]
    order = Order(outgoing=LAST)
    for entry in entries:
        outbox.put(entry)
    medium = Medium()
    Writer(outbox, HandleTable(True), order, ()).write(medium.give, None, 1 << 17, flush=False)
    assert medium.seqs == [LAST, 0, 1][:count]
    assert order.outgoing == count - 1


def test_no_more_is_handed_over_than_was_asked_for() -> None:
    """The frame that reaches the bound is the last one. Row: N3."""
    _, writer, _ = made(*[b"12345"] * 5)
    medium = Medium()
    assert writer.write(medium.give, None, 2 * (HEADER_SIZE + 5) - 1, flush=False)[0] == 2 * (HEADER_SIZE + 5)
    assert medium.seqs == [0, 1]
    assert writer.write(medium.give, None, 0, flush=False) == (0, False)


def test_two_ends_agree_across_the_wrap() -> None:
    """Frames of one channel that are heard as the last number, the first and the second. Row: N3b."""
    pair, channel = opened()
    for end in (pair.a, pair.b):
        order = end.order(channel)
        assert order is not None
        order.outgoing = order.expected = LAST
    for _ in range(3):
        pair.a.send(channel, b"element")
        [asked] = pair.a_to_b()
        assert isinstance(asked, SendRequested)
        pair.b.done(asked.request_id)
        [answer] = pair.b_to_a()
        assert isinstance(answer, ReplyReceived)
