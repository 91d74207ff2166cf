# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Messages in several frames: how they are cut and joined, what stands between, what a liar gets. Rows: W1, W3."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import pairwise

import pytest
from attrs import evolve

from kcoro_core.errors import LinkLost, NoBuffers
from kcoro_core.transport import RawFrame
from kcoro_core.wire.acks import PATIENCE
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.events import (
    CallAnswered,
    CallRequested,
    CancelRequested,
    ConnectionEnded,
    Detached,
    ElementReceived,
    ElementsReturned,
    ElementTaken,
    Event,
    Fate,
    PeerBye,
    RecvRequested,
    ReplyReceived,
    SendRequested,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits, charge
from kcoro_core.wire.messages import Rights
from kcoro_core.wire.outbox import PIECE
from kcoro_core.wire.pieces import LEAST_PIECE, TOTAL, cut
from kcoro_core.wire.states import State

from .pair import BUFFERED_4, EVERY_RIGHT, Pair, deliver, established, only, opened, written

FIRST, MORE = Flag.FIRST, Flag.MORE
BOTH = FIRST | MORE
FOREVER = b"\xff\xff\xff\xff"
MOST = Limits().max_frame - 64


def element(size: int) -> bytes:
    """Bytes of which no two neighbours of a piece are alike."""
    return (b"0123456789abcdefghijk" * (size // 21 + 1))[:size]


def send(channel: int, seq: int, flags: int, payload: bytes, request: int = 9, total: int | None = None) -> Frame:
    """A hand-made piece of a SEND."""
    extension = () if total is None else (TOTAL.pack(total),)
    return Frame(Command.SEND, flags, channel, request, seq, (*extension, payload))


# --- cut and joined --------------------------------------------------------------------------------------------------

SIZES = [0, 1, PIECE, MOST - 5, MOST - 4, MOST - 3, 2 * MOST - 4, 2 * MOST - 3, 7 * MOST, 1 << 20]


@pytest.mark.parametrize("size", SIZES)
def test_an_element_of_any_size_arrives_in_both_directions(size: int) -> None:
    """One below, exactly, one above a frame, and seven; both ends agree on everything behind it. Rows: W1, N1."""
    pair, channel = opened()
    pair.a.send(channel, element(size))
    asked = only(pair.a_to_b(), SendRequested)
    assert asked.element == element(size)
    pair.b.done(asked.request_id)
    assert only(pair.b_to_a(), ReplyReceived).code == WireCode.OK

    pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, element(size))
    received = only(pair.b_to_a(), ElementReceived)
    assert received.element == element(size)
    pair.a.taken(received.request_id)
    assert only(pair.a_to_b(), ElementTaken).request_id == received.request_id
    assert pair.a.stats().requests_in_flight == 0


def test_pieces_have_the_numbers_of_their_frames_and_extensions_stand_on_the_first_only() -> None:
    """FIRST in front of TAKEN, each frame the next seq, MORE on all but the last. Rows: W1, N3b."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, b"v")
    taken = only(pair.b_to_a(), ElementReceived).request_id
    pair.a.taken(taken)
    pair.a.send(channel, element(3 * MOST))
    first, *middle, last = written(pair.a, flush=False)

    assert first.flags == BOTH | Flag.TAKEN
    assert first.payload[:12] == TOTAL.pack(4 + 3 * MOST) + taken.to_bytes(4, "big")
    assert [frame.flags for frame in middle] == [MORE, MORE]
    assert last.flags == 0
    assert all(after.seq == before.seq + 1 for before, after in pairwise([first, *middle, last]))
    events = deliver(pair.b, [first, *middle, last])
    assert [type(event) for event in events] == [ElementTaken, SendRequested]


def test_an_acknowledgement_counts_with_the_first_piece() -> None:
    """What the first piece carries does not wait for the last. Row: N1b."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, b"v")
    pair.a.taken(only(pair.b_to_a(), ElementReceived).request_id)
    pair.a.send(channel, element(3 * MOST))
    first = written(pair.a, flush=False)[0]

    assert [type(event) for event in deliver(pair.b, [first])] == [ElementTaken]
    assert pair.b.unsettled(channel) == 0


def test_a_redelivered_element_says_so_on_its_first_piece() -> None:
    """The mark of the first piece is that of the element. Row: N1b."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, element(2 * MOST), redelivered=True)
    frames = written(pair.b)

    assert [bool(frame.flags & Flag.REDELIVERED) for frame in frames] == [True, False, False]
    assert only(deliver(pair.a, frames), ElementReceived).redelivered


def test_pieces_of_different_channels_stand_between_each_other() -> None:
    """Three long messages and a short one on four channels: turn by turn, and each arrives whole. Row: N3."""
    pair = established()
    channels = [pair.open(name=f"{number}") for number in range(4)]
    elements = [element(100_000), element(50_000), element(70_000), b"short"]
    for channel, one in zip(channels, elements, strict=True):
        pair.a.send(channel, one)
    frames = written(pair.a)

    assert [frame.channel_id for frame in frames[:7]] == [*channels, *channels[:3]]
    arrived = [event for event in deliver(pair.b, frames) if isinstance(event, SendRequested)]
    assert [event.channel_id for event in arrived] == [channels[3], channels[1], channels[2], channels[0]]
    assert {event.channel_id: event.element for event in arrived} == dict(zip(channels, elements, strict=True))


def test_a_message_cut_at_any_place_is_the_same_message() -> None:
    """All splits of 3,500 bytes into two and into three pieces that may be. Row: W1."""
    total = 3500
    payload = FOREVER + element(total - 4)
    pair, channel = opened()
    seq, request = 1, 100
    splits = [(at,) for at in range(LEAST_PIECE, total)]
    splits += [(one, two) for one in range(LEAST_PIECE, total, 97) for two in range(one + LEAST_PIECE, total, 61)]
    for split in splits:
        borders = [0, *split, total]
        frames = []
        for start, end in pairwise(borders):
            flags = (FIRST if not start else 0) | (MORE if end < total else 0)
            frames.append(send(channel, seq, flags, payload[start:end], request, None if start else total))
            seq += 1
        event = only(deliver(pair.b, frames), SendRequested)
        assert event.element == payload[4:], split
        pair.b.done(event.request_id)
        written(pair.b)
        request += 1
    assert len(splits) > 2500


@pytest.mark.parametrize("start", range(7))
@pytest.mark.parametrize("size", range(1, 8))
def test_a_cut_is_a_slice_of_the_whole(start: int, size: int) -> None:
    """Wherever the borders of the parts are, empty parts included. Row: W1."""
    parts = (b"", b"ab", b"c", b"", b"defg")
    assert b"".join(cut(parts, start, size)) == b"abcdefg"[start : start + size]


def test_nothing_is_copied_to_be_cut() -> None:
    """A piece is a view of the element. Row: W1."""
    one = element(100_000)
    (piece,) = cut((b"1234", one), 10_000, 50_000)
    assert isinstance(piece, memoryview)
    assert piece.obj is one


# --- what may stand between ------------------------------------------------------------------------------------------


def test_signs_of_life_do_not_wait_for_the_end_of_a_message() -> None:
    """PING and PONG go out between the pieces of a message. Rows: N3, N6."""
    pair, channel = opened()
    pair.a.send(channel, element(5 * MOST))
    deliver(pair.b, [one_frame(pair)])
    pair.a.ping(0)
    pair.b.ping(0)
    pair.b_to_a()
    frames = written(pair.a)

    assert [frame.command for frame in frames[:2]] == [Command.PING, Command.PONG]
    assert only(deliver(pair.b, frames), SendRequested).element == element(5 * MOST)
    assert pair.b.state is State.OPEN


def test_an_acknowledgement_finds_its_way_past_a_long_message_of_its_own_channel() -> None:
    """It cannot ride on pieces, so it goes alone between them, after PATIENCE frames at the latest. Row: N1b."""
    limits = Limits(max_message=4 << 20)
    pair = established(limits, limits)
    channel = pair.open(evolve(BUFFERED_4, max_message=4 << 20))
    pair.a.recv(channel)
    asked = only(pair.a_to_b(), RecvRequested)
    pair.a.send(channel, element(4 << 20))
    deliver(pair.b, [one_frame(pair)])
    pair.b.push(asked.request_id, b"v")
    pair.a.taken(only(pair.b_to_a(), ElementReceived).request_id)
    frames = written(pair.a)
    place = [frame.command for frame in frames].index(Command.TAKEN)

    assert place == PATIENCE < len(frames) - 1
    assert frames[place].channel_id == channel
    events = deliver(pair.b, frames)
    assert [type(event) for event in events] == [ElementTaken, SendRequested]


def one_frame(pair: Pair) -> Frame:
    """The next frame of ``a``, written."""
    frame = pair.a.poll_transmit(flush=False)
    assert frame is not None
    pair.a.mark_written()
    return frame


def test_calls_go_in_pieces_too_on_channel_0_and_on_a_handle() -> None:
    """With a PONG between them, and their results as well; a long call without an answer arrives whole. Row: N1."""
    pair, channel = opened()
    for target in (0, channel):
        pair.a.call(target, 64, element(200_000))
        first = one_frame(pair)
        assert first.flags == BOTH
        deliver(pair.b, [first])
        pair.b.ping(0)
        pair.b_to_a()
        frames = written(pair.a)
        assert frames[0].command == Command.PONG
        asked = only(deliver(pair.b, frames), CallRequested)
        assert asked.payload == element(200_000)
        pair.b.answer(asked.request_id, element(300_000))
        assert only(pair.b_to_a(), CallAnswered).result == element(300_000)

        pair.a.tell(target, 65, element(200_000))
        told = only(pair.a_to_b(), CallRequested)
        assert (told.request_id, told.payload) == (0, element(200_000))
    assert pair.a.state is pair.b.state is State.OPEN


# --- what a channel does not take ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "rights", "code"),
    [(1000, EVERY_RIGHT, WireCode.EMSGSIZE), (1 << 20, Rights.RECV, WireCode.EACCES)],
)
def test_what_a_channel_does_not_take_is_discarded_and_refused(limit: int, rights: Rights, code: WireCode) -> None:
    """Judged by its total: not a byte of it is kept, the answer comes behind its last piece, others go on. Row: W3."""
    pair = established()
    pair.open(evolve(BUFFERED_4, max_message=limit, rights=rights))
    channel, size = 1, 1 << 20
    payload = FOREVER + bytes(size)
    frames = [send(channel, 1, BOTH, payload[:50_000], total=len(payload))]
    starts = range(50_000, len(payload), 50_000)
    for seq, start in enumerate(starts, 2):
        frames.append(send(channel, seq, MORE if start + 50_000 < len(payload) else 0, payload[start : start + 50_000]))
    raws = [frame.encode() for frame in frames]

    tracemalloc.start()
    most = 0
    for raw in raws:
        assert pair.b.receive(RawFrame(raw[:20], raw[20:]), 0) == []
        most = max(most, tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert most < 200_000
    (answer,) = written(pair.b)
    assert answer.payload[:4] == (-int(code)).to_bytes(4, "big", signed=True)
    assert pair.b.state is State.OPEN


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_what_has_begun_stays_within_the_budget_of_the_peer() -> None:
    """64 answers of 100,000 bytes at once, and a peer that holds 400,000: all arrive, it never holds more. Row: W3."""
    limits = Limits(max_message=100_000, receive_budget=400_000)
    pair = established(limits)
    channels = [pair.open(name=f"{number}") for number in range(64)]
    for channel in channels:
        pair.a.recv(channel)
    for asked in pair.a_to_b():
        assert isinstance(asked, RecvRequested)
        pair.b.push(asked.request_id, element(100_000))

    arrived, most = 0, 0
    for frame in written(pair.b):
        arrived += sum(isinstance(event, ElementReceived) for event in deliver(pair.a, [frame]))
        most = max(most, pair.a._pieces.charged)
    assert arrived == 64
    assert 3 * charge(100_000) == most
    assert pair.a.state is State.OPEN


def test_nothing_is_allocated_for_what_is_only_announced() -> None:
    """A first piece that announces 16 MiB costs what has come of it. Row: W3."""
    limits = Limits(max_message=1 << 24, receive_budget=1 << 26)
    pair, channel = opened(limits, limits)
    frame = send(channel, 1, BOTH, FOREVER + bytes(2000), total=1 << 24)
    tracemalloc.start()
    assert deliver(pair.b, [frame]) == []
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 20_000
    assert pair.b._pieces.charged == charge((1 << 24) - 4)


def test_many_tiny_pieces_cannot_cost_more_than_they_say() -> None:
    """A piece with MORE has a least size, so what is kept is at most a few per cent more than came. Row: W3."""
    pair, channel = opened()
    total = 4 + (1 << 20)
    tracemalloc.start()
    deliver(pair.b, [send(channel, 1, BOTH, FOREVER + bytes(LEAST_PIECE), total=total)])
    for seq in range(2, 900):
        deliver(pair.b, [send(channel, seq, MORE, bytes(LEAST_PIECE))])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert pair.b.state is State.OPEN
    assert held < 900 * LEAST_PIECE * 1.2


# --- cancels and cuts in the middle ----------------------------------------------------------------------------------


def test_a_send_that_has_begun_is_cancelled_behind_its_last_piece() -> None:
    """It cannot be withdrawn without a trace; CANCEL follows, and the answer decides. Row: N1."""
    pair, channel = opened()
    asked = pair.a.send(channel, element(3 * MOST))
    first = one_frame(pair)
    assert not pair.a.cancel(asked, 0)
    assert pair.a.next_deadline() == 1.0
    frames = written(pair.a)
    assert [frame.command for frame in frames] == [Command.SEND] * 3 + [Command.CANCEL]

    events = deliver(pair.b, [first, *frames])
    assert [type(event) for event in events] == [SendRequested, CancelRequested]
    pair.b.refuse(asked, WireCode.ECANCELED)
    assert only(pair.b_to_a(), ReplyReceived).code == WireCode.ECANCELED
    assert pair.a.stats().requests_in_flight == 0


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("frames", [1, 3, 4])
def test_a_message_that_did_not_go_out_whole_is_not_done(frames: int, cancelled: bool) -> None:
    """Cut behind all pieces it is in doubt, cut behind any earlier one it cannot have been accepted. Row: N6."""
    pair, channel = opened()
    asked = pair.a.send(channel, element(3 * MOST))
    sent = [one_frame(pair) for _ in range(frames)]
    if cancelled:
        pair.a.cancel(asked, 0)
    report = only(pair.a.lose(LinkLost("cut")), ConnectionEnded).report
    at_home = only([*deliver(pair.b, sent), *pair.b.lose(LinkLost("cut"))], ConnectionEnded).report

    (lost,) = report.requests
    assert lost.fate is (Fate.IN_DOUBT if frames == 4 else Fate.NOT_DONE)
    assert len(at_home.parked) == (frames == 4)


@pytest.mark.parametrize("frames", [1, 3, 4])
def test_an_element_that_did_not_go_out_whole_is_still_the_homes(frames: int) -> None:
    """The same for an answer that brings an element. Row: N6."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, element(3 * MOST))
    for _ in range(frames):
        assert pair.b.poll_transmit() is not None
        pair.b.mark_written()
    (lost,) = only(pair.b.lose(LinkLost("cut")), ConnectionEnded).report.elements

    assert lost.fate is (Fate.IN_DOUBT if frames == 4 else Fate.NOT_DONE)


def test_a_handle_that_is_given_up_in_the_middle_of_an_element_leaves_in_order() -> None:
    """The home puts it back, its rest is dropped at the opener, DETACH follows, and the number is free. Row: N1b."""
    pair, channel = opened()
    pair.a.recv(channel)
    pushed = only(pair.a_to_b(), RecvRequested).request_id
    pair.b.push(pushed, element(3 * MOST))
    frame = pair.b.poll_transmit()
    assert frame is not None
    pair.b.mark_written()
    deliver(pair.a, [frame])
    pair.a.detach(channel)
    events = pair.a_to_b()

    assert only(events, ElementsReturned).request_ids == (pushed,)
    assert pair.b.unsettled(channel) == 0
    assert [type(event) for event in pair.b_to_a()] == [Detached]
    assert pair.a.stats().requests_in_flight == 0
    assert pair.a.state is pair.b.state is State.OPEN


def test_a_close_waits_behind_the_rest_of_a_message_and_bye_behind_everything() -> None:
    """An orderly end cuts nothing: all pieces come, then BYE. Row: N6."""
    pair, channel = opened()
    pair.a.send(channel, element(3 * MOST))
    first = one_frame(pair)
    pair.a.bye(0)
    frames = written(pair.a)

    assert [frame.command for frame in frames] == [Command.SEND] * 3 + [Command.BYE]
    events = deliver(pair.b, [first, *frames])
    assert [type(event) for event in events][:2] == [SendRequested, PeerBye]


def test_a_breach_in_the_middle_of_a_message_still_says_goodbye() -> None:
    """What is left of it is dropped, and BYE stands between pieces. Row: W1."""
    pair, channel = opened()
    pair.a.send(channel, element(3 * MOST))
    first = one_frame(pair)
    pair.a.receive_frame(Frame(Command.PONG, 0, 0, 0, 2, (bytes(8),)), 0)
    frames = written(pair.a)

    assert [frame.command for frame in frames] == [Command.BYE]
    assert only(deliver(pair.b, [first, *frames]), PeerBye).code == WireCode.EPROTO


def test_requests_that_begin_behind_our_goodbye_are_skipped_whole() -> None:
    """Pieces of a request that nobody will take up are read to their end, and others count. Row: N6."""
    pair, channel = opened()
    pair.a.send(channel, element(3 * MOST))
    first = one_frame(pair)
    deliver(pair.b, [first])
    pair.b.bye(0)
    events = deliver(pair.b, written(pair.a))

    assert [event for event in events if isinstance(event, SendRequested)] == []
    assert pair.b.state is State.CLOSING
    assert pair.b.report is None


# --- liars -----------------------------------------------------------------------------------------------------------

LONG = FOREVER + bytes(3000)

HOSTILE: dict[str, tuple[list[Frame], str]] = {
    "more without first": ([send(0, 1, MORE, LONG)], "begins with FIRST and MORE, not with 0x4"),
    "first without more": ([send(0, 1, FIRST, LONG, total=len(LONG))], "begins with FIRST and MORE, not with 0x2"),
    "first twice": (
        [send(0, 1, BOTH, LONG, total=9000), send(0, 2, BOTH, LONG, total=9000)],
        "SEND request 9 with flags 0x6 stands between the pieces of SEND request 9",
    ),
    "another request": (
        [send(0, 1, BOTH, LONG, total=9000), send(0, 2, MORE, LONG, request=10)],
        "SEND request 10 with flags 0x4 stands between",
    ),
    "another command": (
        [send(0, 1, BOTH, LONG, total=9000), Frame(Command.RECV, 0, 0, 10, 2, (FOREVER,))],
        "RECV request 10 with flags 0x0 stands between",
    ),
    "its own cancel": (
        [send(0, 1, BOTH, LONG, total=9000), Frame(Command.CANCEL, 0, 0, 9, 2)],
        "CANCEL request 9 with flags 0x0 stands between",
    ),
    "a command nobody knows": (
        [send(0, 1, BOTH, LONG, total=9000), Frame(0x8123, 0, 0, 9, 2)],
        "stands between the pieces",
    ),
    "an acknowledgement on a later piece": (
        [send(0, 1, BOTH, LONG, total=9000), send(0, 2, Flag.TAKEN, bytes(8))],
        "with flags 0x20 stands between",
    ),
    "total too small": ([send(0, 1, BOTH, LONG, total=2000)], "3004 bytes came and more follow, 2000 were announced"),
    "total reached and more": (
        [send(0, 1, BOTH, LONG, total=len(LONG))],
        "3004 bytes came and more follow, 3004 were announced",
    ),
    "last piece too long": (
        [send(0, 1, BOTH, LONG, total=4000), send(0, 2, 0, LONG)],
        "6008 bytes came, 4000 were announced",
    ),
    "total too large": (
        [send(0, 1, BOTH, LONG, total=9000), send(0, 2, 0, LONG)],
        "6008 bytes came in all, 9000 were announced",
    ),
    "huge total": ([send(0, 1, BOTH, LONG, total=(1 << 64) - 1)], "announces 18446744073709551611 bytes, agreed are"),
    "one byte too many": ([send(0, 1, BOTH, LONG, total=(1 << 20) + 5)], "announces 1048577 bytes, agreed are"),
    "no total": ([send(0, 1, BOTH, LONG, total=0)], "announces -4 bytes"),
    "a total of fixed fields only": ([send(0, 1, BOTH, LONG, total=4)], "announces 0 bytes"),
    "extension cut": ([send(0, 1, BOTH, b"1234567")], "fixed fields needs 8 bytes"),
    "dribble": (
        [send(0, 1, BOTH, LONG, total=9000), send(0, 2, MORE, bytes(LEAST_PIECE - 1))],
        "a piece of 1023 bytes that is not the last",
    ),
    "an empty piece": ([send(0, 1, BOTH, LONG, total=9000), send(0, 2, MORE, b"")], "a piece of 0 bytes"),
    "pieces of what has none": ([Frame(Command.RECV, BOTH, 0, 9, 1, (TOTAL.pack(9000), LONG))], "flags 0x6"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_liar_is_told_what_was_wrong_and_the_connection_ends(case: str) -> None:
    """Each lie about pieces is a named error; nothing of it reaches the owner. Rows: W1, W3."""
    pair, channel = opened()
    frames, text = HOSTILE[case]
    events: list[Event] = []
    for frame in frames:
        events += deliver(pair.b, [evolve(frame, channel_id=channel)])

    assert [type(event) for event in events] == [ConnectionEnded]
    cause = only(events, ConnectionEnded).report.cause
    assert text in str(cause.args[0]), cause
    assert written(pair.b)[-1].command == Command.BYE


def test_more_that_has_begun_than_was_agreed_ends_the_connection() -> None:
    """A peer that does not count what is unfinished is a breach, before a byte of it is kept. Row: W3."""
    limits = Limits(max_message=100_000, receive_budget=250_000)
    pair = established(limits, limits)
    channels = [pair.open(name=f"{number}") for number in range(3)]
    frames = [send(channel, 1, BOTH, LONG, request=50 + channel, total=100_000) for channel in channels]
    deliver(pair.b, frames[:2])
    assert pair.b.state is State.OPEN

    cause = only(deliver(pair.b, frames[2:]), ConnectionEnded).report.cause
    assert "are unfinished, 250000 were agreed" in str(cause)


def test_an_answer_to_a_request_that_has_not_gone_out_is_forged() -> None:
    """A home that answers before the last piece was written has made the answer up. Row: N1."""
    pair, channel = opened()
    asked = pair.a.send(channel, element(3 * MOST))
    one_frame(pair)
    events = pair.a.receive_frame(Frame(Command.REPLY, 0, channel, asked, 1, (bytes(4),)), 0)

    assert "nobody asked" in str(only(events, ConnectionEnded).report.cause)


def test_bytes_at_the_peer_are_counted_from_the_first_piece_to_the_answer() -> None:
    """A long SEND takes its charge off the budget when it is queued, and gives it back with its answer. Row: W3."""
    limits = Limits(max_message=100_000, receive_budget=2 * charge(100_000))
    pair, channel = opened(None, limits)
    for _ in range(2):
        pair.a.send(channel, element(100_000))
    with pytest.raises(NoBuffers):
        pair.a.send(channel, b"")
    requests = [event.request_id for event in pair.a_to_b() if isinstance(event, SendRequested)]
    for request in requests:
        pair.b.done(request)
    assert Counter(type(event) for event in pair.b_to_a()) == {ReplyReceived: 2}
    pair.a.send(channel, element(100_000))
