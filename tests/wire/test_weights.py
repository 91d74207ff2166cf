# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The weight of a channel travels in its OPEN and holds in both directions. Row: N3."""

from __future__ import annotations

from collections import Counter

import pytest

from kcoro_core.errors import ProtocolError
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.events import ConnectionEnded, Opened, OpenRequested, RecvRequested
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import MAX_WEIGHT, OpenRequest, decode_open, encode_open

from .pair import BUFFERED_4, Pair, deliver, established, only, written


def opened(pair: Pair, name: str, weight: int) -> int:
    """A channel of that weight; its id."""
    pair.a.open(OpenRequest(name, weight=weight))
    pair.b.accept(only(pair.run(), OpenRequested).request_id, BUFFERED_4)
    return only(pair.run(), Opened).channel_id


def first(connection: Connection, frames: int) -> Counter[int]:
    """How many of the first frames are of which channel."""
    return Counter(frame.channel_id for frame in written(connection)[:frames])


def test_both_sides_give_a_channel_the_weight_that_it_was_opened_with() -> None:
    """1:2:4 in frames of the same size, of what is sent and of what comes back. Row: N3."""
    pair = established()
    channels = [opened(pair, f"{weight}", weight) for weight in (1, 2, 4)]
    for channel in channels:
        pair.a.send(channel, bytes(1 << 20))
        pair.a.recv(channel)
    frames = written(pair.a)
    assert [Counter(frame.channel_id for frame in frames[:70])[channel] for channel in channels] == [10, 20, 40]

    for asked in deliver(pair.b, frames):
        if isinstance(asked, RecvRequested):
            pair.b.push(asked.request_id, bytes(1 << 20))
    back = first(pair.b, 70)
    assert [back[channel] for channel in channels] == [10, 20, 40]


def test_a_weight_of_one_is_not_told() -> None:
    """So an OPEN without a wish has the bytes that it always had. Row: W1."""
    assert encode_open(OpenRequest("jobs", weight=1)) == encode_open(OpenRequest("jobs"))
    assert decode_open(Fields(encode_open(OpenRequest("jobs", weight=7)), "OPEN")).weight == 7


@pytest.mark.parametrize("weight", [0, MAX_WEIGHT + 1, -1])
def test_a_weight_out_of_range_is_never_asked_for(weight: int) -> None:
    """It fails before anything is queued. Row: N3."""
    pair = established()
    with pytest.raises(ValueError, match="a weight is 1 to 16"):
        pair.a.open(OpenRequest("jobs", weight=weight))
    assert written(pair.a) == []


@pytest.mark.parametrize("value", [b"", b"\0", b"\x11", b"\0\1"])
def test_a_weight_that_is_none_ends_the_connection(value: bytes) -> None:
    """No byte, two, 0, or more than 16: a defect of the peer, named. Row: W1."""
    pair = established()
    payload = encode_open(OpenRequest("jobs")) + b"\x80\x01" + len(value).to_bytes(2, "big") + value
    cause = only(deliver(pair.b, [Frame(Command.OPEN, 0, 1, 1, 0, (payload,))]), ConnectionEnded).report.cause
    assert isinstance(cause, ProtocolError)
    assert "a weight is one byte" in str(cause)
