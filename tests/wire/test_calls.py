# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls between two connections, frame by frame: one answer each, equal books, every breach named. Row: N1."""

from __future__ import annotations

import random

import pytest
from attrs import evolve

from kcoro_core.errors import LinkLost, MessageTooLong, NoBuffers
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.events import (
    CallAnswered,
    CallRequested,
    CancelRequested,
    ConnectionEnded,
    Detached,
    Event,
    Fate,
    PeerBye,
    ReplyReceived,
    RequestInDoubt,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits, charge

from .pair import deliver, established, only, opened, raw, written

SMALL = Limits(max_frame=4096, max_message=1000, max_inflight_requests=3, receive_budget=4096)
NOREPLY = int(Flag.NOREPLY)


def breach(events: list[Event]) -> str:
    """Why the connection has ended."""
    return str(only(events, ConnectionEnded).report.cause)


@pytest.mark.parametrize("command", [64, 100, 127])
def test_a_call_brings_its_payload_there_and_its_result_back(command: int) -> None:
    """On channel 0 both sides call; each has ids of its own. Row: N1."""
    pair = established()
    for caller, home in ((pair.a, pair.b), (pair.b, pair.a)):
        number = caller.call(0, command, b"question")
        asked = only(pair.run(), CallRequested)
        assert (asked.channel_id, asked.command, asked.payload) == (0, command, b"question")
        assert home.answer(asked.request_id, b"answer")
        assert only(pair.run(), CallAnswered) == CallAnswered(number, 0, command, b"answer")
        assert caller.stats().requests_in_flight == 0
        assert home.answer_bytes == 0


def test_a_call_on_a_handle_names_it_and_only_its_opener_calls() -> None:
    """The home of a channel has no handle on it, and a call from there is a breach. Row: N1."""
    pair, channel = opened()
    pair.a.call(channel, 64, b"x")
    asked = only(pair.run(), CallRequested)
    assert asked.channel_id == channel
    pair.b.answer(asked.request_id, b"y")
    assert only(pair.run(), CallAnswered).channel_id == channel
    with pytest.raises(ValueError, match="not a handle"):
        pair.b.call(channel, 64, b"x")
    written(pair.b)
    forged = Frame(64, 0, channel, 9, pair.b._handles.of_frame(channel).order.outgoing, (b"x",))
    assert "wrong end" in breach(pair.a.receive(raw(forged), 0))


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_calls_in_flight_are_answered_in_any_order(seed: int) -> None:
    """Each result finds its call, whatever the order. Row: N1."""
    chance = random.Random(seed)
    pair = established()
    numbers = {pair.a.call(0, 64, b"%d" % i): b"%d" % i for i in range(1000)}
    asked = [event for event in pair.run() if isinstance(event, CallRequested)]
    assert len(asked) == 1000
    chance.shuffle(asked)
    for one in asked:
        pair.b.answer(one.request_id, b"=" + one.payload)
    answers = [event for event in pair.run() if isinstance(event, CallAnswered)]
    assert {one.request_id: one.result for one in answers} == {n: b"=" + payload for n, payload in numbers.items()}


def test_cancelling_a_call_asks_and_the_answer_decides() -> None:
    """Unwritten it is gone; written it is cancelled by its answer; a result that crosses the CANCEL wins. Row: N1."""
    pair = established()
    assert pair.a.cancel(pair.a.call(0, 64, b"unwritten"), 0)
    assert pair.run() == []

    number = pair.a.call(0, 64, b"cancelled")
    asked = only(pair.run(), CallRequested)
    assert not pair.a.cancel(number, 0)
    assert only(pair.run(), CancelRequested) == CancelRequested(asked.request_id, 0, 64)
    pair.b.refuse(asked.request_id, WireCode.ECANCELED)
    assert only(pair.run(), ReplyReceived).code == WireCode.ECANCELED

    number = pair.a.call(0, 64, b"crossed")
    asked = only(pair.run(), CallRequested)
    pair.b.answer(asked.request_id, b"result")
    pair.a.cancel(number, 0)
    assert only(pair.run(), CallAnswered).result == b"result"
    assert pair.b.stats().ignored_cancels == 1


def test_a_call_without_an_answer_in_the_grace_is_in_doubt_and_its_late_answer_counted() -> None:
    """The id stays taken until the answer came, so that a late one is known from a forged one. Row: N1."""
    pair = established()
    number = pair.a.call(0, 64, b"x")
    asked = only(pair.run(), CallRequested)
    pair.a.cancel(number, 0)
    assert pair.a.handle_timeout(1.0) == [RequestInDoubt(number, 0, 64)]
    pair.b.answer(asked.request_id, b"late")
    assert pair.b_to_a() == []
    assert pair.a.stats().late_replies == 1
    assert pair.a.stats().requests_in_flight == 0


def test_a_call_that_wants_no_answer_has_no_id_and_gets_none() -> None:
    """The flag NOREPLY: one frame, and nothing is in flight at either end. Row: N1."""
    pair, channel = opened()
    for target in (0, channel):
        pair.a.tell(target, 70, b"news")
        assert pair.a_to_b() == [CallRequested(0, target, 70, b"news")]
        assert written(pair.b) == []
        assert pair.a.stats().requests_in_flight == 0


def test_unwritten_calls_without_an_answer_are_bounded() -> None:
    """Beyond the bounds of the link the next one fails here, until some are written. Rows: N1, W3."""
    pair = established(SMALL, SMALL)
    for _ in range(3):
        pair.a.tell(0, 64, b"x")
    with pytest.raises(NoBuffers, match="wait to be written"):
        pair.a.tell(0, 64, b"x")
    pair.run()
    for _ in range(3):
        pair.a.tell(0, 64, bytes(1000))
    with pytest.raises(NoBuffers):
        pair.a.tell(0, 64, bytes(1000))


def test_what_the_other_side_would_refuse_fails_before_it_is_sent() -> None:
    """Number, size, bound of requests and of bytes: nothing is queued. Rows: N1, W3."""
    pair, channel = opened(SMALL, SMALL)
    for command in (63, 128, Command.SEND, 0x8000 | 64):
        with pytest.raises(ValueError, match="64 to 127"):
            pair.a.call(0, command, b"")
    for target in (0, channel):
        with pytest.raises(MessageTooLong):
            pair.a.call(target, 64, bytes(1001))
        with pytest.raises(MessageTooLong):
            pair.a.tell(target, 64, bytes(1001))
    numbers = [pair.a.call(0, 64, bytes(1000)) for _ in range(3)]
    with pytest.raises(NoBuffers, match="3 requests"):
        pair.a.call(0, 64, b"")
    for number in numbers:
        pair.a.cancel(number, 0)
    assert pair.run() == []
    roomy = Limits(max_frame=4096, max_message=1000, receive_budget=4096)
    pair = established(roomy, roomy)
    for _ in range(4096 // charge(1000)):
        pair.a.call(0, 64, bytes(1000))
    with pytest.raises(NoBuffers, match="bytes wait at the peer"):
        pair.a.call(0, 64, bytes(1000))


def test_a_peer_that_calls_beyond_the_bounds_ends_the_connection() -> None:
    """More requests, more bytes, a longer payload, an id that is in use, none at all: each is named. Rows: N1, W3."""

    def hostile(count: int, size: int, first_id: int = 1, step: int = 1, flags: int = 0) -> str:
        pair = established(SMALL, SMALL)
        written(pair.a)
        frames = [Frame(64, flags, 0, first_id + i * step, 2 + i, (bytes(size),)) for i in range(count)]
        return breach(deliver(pair.b, frames))

    assert "in flight" in hostile(4, 0)
    assert "in flight" in hostile(2, 0, step=0)
    assert "is 0, or in flight" in hostile(1, 0, first_id=0)
    assert "4096 were agreed" in hostile(2, 3000)
    assert "too long" in hostile(1, 1001, first_id=0, flags=NOREPLY)
    assert "has a request id" in hostile(1, 1, flags=NOREPLY)
    assert "flags 0x40" in hostile(1, 1, flags=int(Flag.REDELIVERED))


def test_a_payload_above_the_channels_size_is_refused_and_the_link_goes_on() -> None:
    """A peer that does not hold to the size it was told: EMSGSIZE, once. Row: N1."""
    pair, channel = opened(SMALL, SMALL)
    handle = pair.a._handles.mine(channel)
    handle.attributes = evolve(handle.attributes, max_message=2000)
    pair.a.call(channel, 64, bytes(1500))
    assert only(pair.run(), ReplyReceived).code == WireCode.EMSGSIZE


@pytest.mark.parametrize("command", [Command.REPLY, Command.CANCEL])
def test_answers_and_cancels_of_the_connection_are_checked_like_those_of_channels(command: Command) -> None:
    """A REPLY that nobody asked for ends the connection; a CANCEL of nothing is counted; flags are none. Row: N1."""
    pair = established()
    frame = Frame(command, 0, 0, 7, 2, (bytes(4) if command is Command.REPLY else b"",))
    events = pair.b.receive(raw(frame), 0)
    if command is Command.REPLY:
        assert "nobody asked" in breach(events)
    else:
        assert (events, pair.b.stats().ignored_cancels) == ([], 1)
    pair = established()
    assert "takes no flags" in breach(pair.b.receive(raw(Frame(command, 64, 0, 7, 2, (bytes(4),))), 0))


def test_detaching_cancels_the_calls_of_a_handle_and_waits_for_their_answers() -> None:
    """DETACH of the home follows the last answer, as for every other request. Row: N1."""
    pair, channel = opened()
    pair.a.call(channel, 64, b"x")
    asked = only(pair.run(), CallRequested)
    pair.a.detach(channel)
    events = pair.run()
    assert only(events, CancelRequested).request_id == asked.request_id
    assert only(events, Detached).channel_id == channel  # at the home
    pair.b.refuse(asked.request_id, WireCode.ECANCELED)
    events = pair.run()
    assert only(events, ReplyReceived).code == WireCode.ECANCELED
    assert only(events, Detached).channel_id == channel
    assert pair.a.stats().requests_in_flight == 0


def test_the_end_of_the_connection_says_of_each_call_what_is_known() -> None:
    """Unwritten is not done, unanswered is in doubt; at the other end the request is named, to be given up. Row: X4."""
    pair = established()
    sent = pair.a.call(0, 64, b"sent")
    asked = only(pair.run(), CallRequested)
    unsent = pair.a.call(0, 65, b"unsent")
    report = only(pair.a.lose(LinkLost("cut")), ConnectionEnded).report
    assert {one.request_id: one.fate for one in report.requests} == {sent: Fate.IN_DOUBT, unsent: Fate.NOT_DONE}
    parked = only(pair.b.lose(LinkLost("cut")), ConnectionEnded).report.parked
    assert [(one.request_id, one.command) for one in parked] == [(asked.request_id, 64)]
    assert not pair.b.answer(asked.request_id, b"nobody hears it")


def test_behind_our_goodbye_no_call_is_taken_up() -> None:
    """A call that crosses BYE is not heard, and the caller knows that it was not done. Rows: N1, N6."""
    pair = established()
    pair.b.bye(0)
    pair.a.call(0, 64, b"x")
    pair.a.tell(0, 64, b"x")
    assert not [event for event in pair.a_to_b() if isinstance(event, CallRequested)]
    assert only(pair.b_to_a(), PeerBye).code == 0


def test_results_that_are_not_written_are_counted() -> None:
    """So that whoever answers can stop in time when the caller does not read. Row: W3."""
    pair = established()
    for _ in range(3):
        pair.a.call(0, 64, b"")
    for asked in pair.a_to_b():
        assert isinstance(asked, CallRequested)
        pair.b.answer(asked.request_id, bytes(1000))
    assert pair.b.answer_bytes == 3 * charge(1000)
    pair.b_to_a()
    assert pair.b.answer_bytes == 0


def test_only_calls_are_answered_with_a_result() -> None:
    """Misuse by the owner is told, and changes nothing. Row: N1."""
    pair, channel = opened()
    pair.a.info(channel)
    (asked,) = pair.a_to_b()
    with pytest.raises(ValueError, match="is no call"):
        pair.b.answer(asked.request_id, b"")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="waits for no answer"):
        pair.b.answer(99, b"")
