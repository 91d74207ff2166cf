# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""DRAIN between two connections: ids decide what is still worked on, and everything else is known not done. Row: N6."""

from __future__ import annotations

import pytest

from kcoro_core.errors import LinkLost
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.events import (
    CallAnswered,
    CallRequested,
    ConnectionEnded,
    DrainHeard,
    InfoRequested,
    OpenRequested,
    PeerBye,
    ReplyReceived,
    SendRequested,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import FOREVER_MS, OpenRequest

from .pair import deliver, established, only, opened, written


def test_what_was_heard_is_worked_on_and_what_comes_later_is_refused() -> None:
    """Each late request has one answer, EPIPE, and its home never hears of it. Row: N6."""
    pair, channel = opened()
    early = pair.a.send(channel, b"early")
    asked = only(pair.a_to_b(), SendRequested)
    pair.b.drain(1500)
    late = [
        pair.a.send(channel, b"late"),
        pair.a.recv(channel),
        pair.a.info(channel),
        pair.a.call(0, 64, b""),
        pair.a.call(channel, 64, b""),
        pair.a.open(OpenRequest("more")),
    ]
    assert pair.a_to_b() == []
    events = pair.b_to_a()
    assert only(events, DrainHeard) == DrainHeard(early, 1500)
    refused = [event for event in events if isinstance(event, ReplyReceived)]
    assert {event.request_id for event in refused} == set(late)
    assert {event.code for event in refused} == {WireCode.EPIPE}
    assert pair.b.refused_late == len(late)
    pair.b.done(asked.request_id)
    assert only(pair.b_to_a(), ReplyReceived).request_id == early


def test_ids_decide_not_the_order_of_arrival() -> None:
    """Channels take turns, so a request that DRAIN names may come behind one that it does not. Row: N6."""
    pair = established()
    pair.open()
    frames = {}
    for _ in range(3):
        number = pair.a.call(0, 64, b"x")
        frames[number] = written(pair.a)
    first, second, third = frames
    for place, number in enumerate((second, first, third)):  # as if each had come over a channel of its own
        (frame,) = frames[number]
        if place == 2:
            pair.b.drain()
        events = deliver(pair.b, [Frame(64, 0, 0, number, pair.b._order.expected, frame.parts)])
        assert bool(events) is (number != third)
    assert only(pair.b_to_a(), DrainHeard) == DrainHeard(second, FOREVER_MS)


def test_without_a_request_before_it_all_are_late() -> None:
    """The id 0 stands for none. Row: N6."""
    pair = established()
    pair.b.drain(0)
    pair.a.open(OpenRequest("jobs"))
    assert not [event for event in pair.a_to_b() if isinstance(event, OpenRequested)]
    events = pair.b_to_a()
    assert only(events, DrainHeard).last_id == 0
    assert only(events, ReplyReceived).code == WireCode.EPIPE


def test_both_sides_may_drain_and_each_still_answers_what_it_heard() -> None:
    """An announcement takes nothing back of what was accepted before. Row: N6."""
    pair = established()
    asked = {}
    for caller, home in ((pair.a, pair.b), (pair.b, pair.a)):
        caller.call(0, 64, b"x")
        asked[home] = only(pair.run(), CallRequested)
    pair.a.drain()
    pair.b.drain()
    pair.run()
    for home, one in asked.items():
        home.answer(one.request_id, b"y")
        assert only(pair.run(), CallAnswered).result == b"y"
    pair.b.bye(0)
    assert only(pair.b_to_a(), PeerBye).code == 0


def test_an_announcement_is_made_once_while_the_connection_lives() -> None:
    """Misuse by the owner is told. Row: N6."""
    pair = established()
    pair.a.drain()
    with pytest.raises(ValueError, match="already"):
        pair.a.drain()
    pair.a.bye(0)
    with pytest.raises(LinkLost):
        pair.a.drain()


@pytest.mark.parametrize(
    ("frames", "names"),
    [
        ([Frame(Command.DRAIN, parts=(bytes(8),)), Frame(Command.DRAIN, parts=(bytes(8),))], "told once"),
        ([Frame(Command.DRAIN, request_id=1, parts=(bytes(8),))], "without a request id"),
        ([Frame(Command.DRAIN, Flag.MORE, parts=(bytes(8),))], "without flags"),
        ([Frame(Command.DRAIN, parts=(bytes(7),))], "DRAIN: fixed fields"),
        ([Frame(Command.DRAIN, parts=(bytes(9),))], "1 bytes too many"),
    ],
)
def test_a_malformed_announcement_ends_the_connection(frames: list[Frame], names: str) -> None:
    """Each breach is named. Row: W1."""
    pair = established()
    numbered = [
        Frame(frame.command, frame.flags, 0, frame.request_id, 2 + i, frame.parts) for i, frame in enumerate(frames)
    ]
    events = deliver(pair.b, numbered)
    assert names in str(only(events, ConnectionEnded).report.cause)


def test_a_peer_that_goes_on_asking_is_refused_within_the_bounds() -> None:
    """Late requests count in flight until their answer is written, like any other. Row: W3."""
    pair, channel = opened()
    pair.b.drain()
    for _ in range(2000):
        pair.a.info(channel)
    assert not [event for event in pair.a_to_b() if isinstance(event, InfoRequested)]
    assert pair.b.stats().queued_frames == 2001
    pair.b_to_a()
    assert pair.a.stats().requests_in_flight == 0
