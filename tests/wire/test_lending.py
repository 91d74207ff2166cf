# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Flow mode on the wire: slots are lent, used, recalled, returned; every total is checked, nothing promised twice."""

from __future__ import annotations

import struct

import pytest
from attrs import evolve

from kcoro_core.errors import CreditOverrun, LinkLost, ProtocolError
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.connection import ConnectionConfig
from kcoro_core.wire.credit import MAX_CREDITS, Grant, advance, decode_credit, encode_credit
from kcoro_core.wire.events import (
    ConnectionEnded,
    DataInDoubt,
    DataReceived,
    Event,
    InfoRequested,
    LostData,
    Opened,
    OpenRequested,
    SendRequested,
    SlotsReturned,
)
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import charge
from kcoro_core.wire.messages import ChannelInfo, Closing, OpenFlag, OpenRequest, Rights
from kcoro_core.wire.slots import LEAST, Budget, Slots, split_budget
from kcoro_core.wire.states import LendState, State

from .pair import BUFFERED_4, Pair, deliver, established, only, written

CONFLATED_1 = evolve(BUFFERED_4, kind=Kind.CONFLATED, capacity=1)


def lent(
    free: int = 4, pair: Pair | None = None, attributes: object = BUFFERED_4, name: str = "jobs", consumes: bool = False
) -> tuple[Pair, int]:
    """A pair, and a channel of which ``free`` slots are lent to ``a``."""
    if pair is None:
        pair = Pair()
        pair.start()
    pair.a.open(OpenRequest(name, OpenFlag.LEND))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, attributes)  # type: ignore[arg-type]
    assert pair.b.start_lending(asked.channel_id, 2 if attributes is CONFLATED_1 else 4, consumes)
    pair.b.lend(asked.channel_id, free)
    return pair, only(pair.run(), Opened).channel_id


def elements(events: list[Event]) -> list[bytes]:
    """What came as DATA, in order."""
    return [event.element for event in events if isinstance(event, DataReceived)]


# -- lending


def test_the_first_grant_rides_on_the_answer_to_open() -> None:
    """Whoever hears that its OPEN was accepted knows by then what it may send. Row: N4."""
    pair = Pair()
    pair.start()
    pair.a.open(OpenRequest("jobs", OpenFlag.LEND))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, BUFFERED_4)
    pair.b.start_lending(asked.channel_id, 4)
    assert pair.b.lend(asked.channel_id, 3) == 3
    (reply,) = written(pair.b)
    assert (reply.command, reply.flags) == (Command.REPLY, Flag.GRANT)
    deliver(pair.a, [reply])
    assert pair.a.slots(asked.channel_id) == 3


def test_data_is_done_when_it_is_queued_and_asks_nothing() -> None:
    """As many elements as slots go without an answer, in order; the next one finds none. Row: N4."""
    pair, channel = lent()
    assert [pair.a.send_data(channel, b"%d" % i).done for i in range(6)] == [True] * 4 + [False] * 2
    frames = written(pair.a)
    assert {(frame.command, frame.request_id) for frame in frames} == {(Command.DATA, 0)}
    assert elements(deliver(pair.b, frames)) == [b"0", b"1", b"2", b"3"]
    assert pair.a.slots(channel) == 0


def test_a_home_that_declines_leaves_request_mode() -> None:
    """Without a grant on the answer nothing may go as DATA, for ever. Row: N4."""
    pair = Pair()
    pair.start()
    pair.a.open(OpenRequest("jobs", OpenFlag.LEND))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, BUFFERED_4)
    channel = only(pair.run(), Opened).channel_id
    assert not pair.a.send_data(channel, b"x").done
    pair.a.send(channel, b"x")
    assert only(pair.run(), SendRequested).slot is False


def test_who_may_not_send_is_lent_nothing() -> None:
    """A handle without the right to send has no use for slots. Row: N4."""
    pair = Pair()
    pair.start()
    pair.a.open(OpenRequest("jobs", OpenFlag.LEND))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, evolve(BUFFERED_4, rights=Rights.RECV))
    assert not pair.b.start_lending(asked.channel_id, 4)


# -- one count


def test_a_send_that_crosses_a_grant_uses_the_slot_that_was_meant_for_it() -> None:
    """DATA and SEND have one count: else the home would park an element beside a slot lent to its own link. Row: N4."""
    pair, channel = lent(free=1)
    pair.a.send_data(channel, b"1")
    pair.run()
    pair.a.send(channel, b"2")  # no slot: it asks ...
    crossing = written(pair.a)
    pair.b.lend(channel, 4)  # ... while the home lends
    pair.b_to_a()
    asked = only(deliver(pair.b, crossing), SendRequested)
    assert asked.slot
    pair.b.done(asked.request_id)
    pair.run()
    assert pair.a.slots(channel) == 3


def test_a_send_without_a_slot_takes_none_from_those_behind_it() -> None:
    """When it is answered, however, the limit rises by one. Row: N4."""
    for answer in ("done", "refused"):
        pair, channel = lent(free=4)
        for i in range(4):
            pair.a.send_data(channel, b"%d" % i)
        pair.a.send(channel, b"asks")
        asked = only(pair.a_to_b(), SendRequested)
        assert not asked.slot
        if answer == "done":
            pair.b.done(asked.request_id)
        else:
            pair.b.refuse(asked.request_id, WireCode.EAGAIN)
        assert pair.b.lend(channel, 4) == 4
        pair.run()
        assert pair.a.slots(channel) == 4


def test_nothing_is_lent_while_a_send_without_a_slot_is_unanswered() -> None:
    """It was read, and may not have reached the channel yet: the slot that is free is its own. Row: N4."""
    pair, channel = lent(free=4)
    for i in range(4):
        pair.a.send_data(channel, b"%d" % i)
    pair.a.send(channel, b"asks")
    asked = only(pair.a_to_b(), SendRequested)
    assert pair.b.lend(channel, 4) == 0
    pair.b.done(asked.request_id)
    assert pair.b.lend(channel, 3) == 3


def test_a_refused_send_leaves_its_slot_lent() -> None:
    """It has filled nothing, so the slot is still there for the next one. Row: N4."""
    pair, channel = lent(free=4)
    pair.a.send(channel, b"x")
    asked = only(pair.a_to_b(), SendRequested)
    assert asked.slot
    pair.b.refuse(asked.request_id, WireCode.EAGAIN)
    pair.run()
    assert pair.a.slots(channel) == 4


def test_a_send_in_the_queue_has_its_place_in_the_count_and_gives_it_back_when_withdrawn() -> None:
    """No DATA is queued that would exceed the limit once the SENDs in front of it are written. Row: N4."""
    pair, channel = lent(free=2)
    request = pair.a.send(channel, b"asks")
    assert pair.a.slots(channel) == 1
    assert pair.a.cancel(request, 0)
    assert pair.a.slots(channel) == 2


# -- what ends the connection


def breach(pair: Pair, frame: Frame) -> ConnectionEnded:
    """``b`` hears a frame that ``a`` should not have sent."""
    handle = pair.b._handles.find(frame.channel_id)
    seq = pair.b._order.expected if handle is None else handle.order.expected
    return only(pair.b.receive_frame(evolve(frame, seq=seq), 0), ConnectionEnded)


def data(channel: int, size: int = 1) -> Frame:
    """A DATA of that size."""
    return Frame(Command.DATA, 0, channel, 0, 0, (bytes(4), bytes(size)))


def test_data_beyond_what_was_lent_ends_the_connection() -> None:
    """One slot too many, or one byte, is EOVERFLOW; nothing of it is taken in. Rows: N4, X3."""
    pair, channel = lent(free=2)
    assert elements(pair.b.receive_frame(data(channel), 0)) == []  # out of order: the helper numbers it below
    for free, size in ((0, 1), (4, LEAST * 2)):
        pair = Pair(config=ConnectionConfig(lending_budget=LEAST))
        pair.start()
        pair, channel = lent(free, pair)
        ended = breach(pair, data(channel, size))
        assert isinstance(ended.report.cause, CreditOverrun)
        assert written(pair.b)[-1].payload[:4] == struct.pack(">i", -WireCode.EOVERFLOW)


def test_data_where_nothing_is_lent_ends_the_connection() -> None:
    """Before a grant, after a return, and on a handle that never asked. Row: N4."""
    pair, channel = lent()
    pair.b.recall(channel)
    pair.run()
    assert isinstance(breach(pair, data(channel)).report.cause, ProtocolError)

    pair = Pair()
    pair.start()
    assert isinstance(breach(pair, data(pair.open())).report.cause, ProtocolError)


@pytest.mark.parametrize("flags", [0, int(Flag.KEEP)], ids=["plain", "keep"])
def test_a_return_that_nobody_asked_for_ends_the_connection(flags: int) -> None:
    """Slots are given back when they are recalled, and a question is answered once. Row: N4."""
    pair, channel = lent()
    assert "RETURN" in str(breach(pair, Frame(Command.RETURN, flags, channel)).report.cause)


@pytest.mark.parametrize(
    ("totals", "names"),
    [
        ((1, 4, 9000), "confirms 1"),
        ((0, 3, 9000), "msg_limit"),
        ((0, 4 + (1 << 31), 9000), "msg_limit"),
        ((0, 4 + (1 << 30) + 1, 9000), "more than"),
        ((0, 4, 1), "byte_limit"),
        ((0xFFFF_FFFF, 4, 9000), "accepted_total"),
    ],
)
def test_a_grant_that_no_honest_home_can_give_ends_the_connection(totals: tuple[int, int, int], names: str) -> None:
    """A total that goes back, jumps, or confirms what was not sent. Row: N4."""
    pair = Pair(config=ConnectionConfig(lending_budget=2 * 9000))
    pair.start()
    pair, channel = lent(4, pair)
    pair.b._handles.find(channel).lent.byte_limit = 9000  # type: ignore[union-attr]
    pair.a._handles.mine(channel).window.byte_limit = 9000  # type: ignore[union-attr]
    frame = Frame(Command.CREDIT, 0, 0, 0, pair.a._order.expected, (encode_credit([(channel, Grant(*totals))]),))
    ended = only(pair.a.receive_frame(frame, 0), ConnectionEnded)
    assert isinstance(ended.report.cause, ProtocolError)
    assert names in str(ended.report.cause)


def test_a_grant_for_whoever_did_not_ask_ends_the_connection() -> None:
    """On a handle without LEND, on none, and from the opener. Row: N4."""
    pair = Pair()
    pair.start()
    channel = pair.open()
    for one in (channel, 77):
        frame = Frame(Command.CREDIT, 0, 0, 0, pair.a._order.expected, (encode_credit([(one, Grant(0, 1, 1))]),))
        only(pair.a.receive_frame(frame, 0), ConnectionEnded)
        pair = Pair()
        pair.start()
        pair.open()
    frame = Frame(Command.CLOSE, Flag.GRANT, channel, 3, 0, (Grant(0, 1, 1).encode(), bytes(6)))
    assert "GRANT from the opener" in str(breach(pair, frame).report.cause)


def test_a_recall_where_nothing_is_lent_ends_the_connection() -> None:
    """A second one, or one to a handle that never asked. Row: N4."""
    pair, channel = lent()
    pair.b.recall(channel)
    pair.run()
    seq = pair.a._handles.mine(channel).order.expected
    only(pair.a.receive_frame(Frame(Command.RECALL, 0, channel, 0, seq), 0), ConnectionEnded)


def test_totals_wrap_without_anybody_noticing() -> None:
    """Serial arithmetic: 3 lies behind 2^32 - 1, and is no step back. Row: N4."""
    assert advance(0xFFFF_FFFE, 3, "x") == (1 << 32) + 3
    assert advance(5, 5, "x") == 5
    for total, heard in ((5, 4), (0, 1 << 31), (0, 0xFFFF_FFFF), (1 << 32, 0xFFFF_FFFF)):
        with pytest.raises(ProtocolError, match="back, or"):
            advance(total, heard, "x")

    pair, channel = lent()
    start = (1 << 32) - 3
    window, slots = pair.a._handles.mine(channel).window, pair.b._handles.find(channel).lent  # type: ignore[union-attr]
    for end in (window, slots):
        end.msg_limit += start  # type: ignore[union-attr]
    window._written = window.confirmed = start  # type: ignore[union-attr]
    slots.heard = slots.done = start  # type: ignore[union-attr]
    for _ in range(3):
        for i in range(4):
            assert pair.a.send_data(channel, b"%d" % i).done
        assert len(elements(pair.a_to_b())) == 4
        pair.b.lend(channel, 4)
        pair.run()
    assert pair.a.accepted(channel) == 12


# -- recall and return


def test_a_return_stands_behind_all_data_of_its_channel() -> None:
    """What was sent before is in the channel before anybody else's element. Row: N4."""
    pair, channel = lent()
    pair.a.send_data(channel, b"1")
    pair.a.send(channel, b"2")
    pair.b.recall(channel)
    pair.b_to_a()
    frames = written(pair.a)
    assert [frame.command for frame in frames] == [Command.DATA, Command.SEND, Command.RETURN]
    assert only(deliver(pair.b, frames), SlotsReturned).keep is False


def test_behind_a_recall_no_slot_is_used_whatever_comes_late() -> None:
    """Neither a late grant nor a withdrawn SEND revives a slot that was given back. Row: N4."""
    pair, channel = lent(free=2)
    request = pair.a.send(channel, b"asks")
    pair.b.recall(channel)
    pair.b_to_a()
    assert pair.a.cancel(request, 0)
    assert not pair.a.send_data(channel, b"x").done
    pair.b.note_held(channel, 0)
    pair.run()
    assert not pair.a.send_data(channel, b"x").done


def test_recalled_once_for_all() -> None:
    """A second recall, or more lending, under the same OPEN is misuse. Row: N4."""
    pair, channel = lent()
    pair.b.recall(channel)
    with pytest.raises(ValueError, match="recall is not possible"):
        pair.b.recall(channel)
    assert pair.b.lend(channel, 4) == 0
    pair.run()
    assert pair.b.lend(channel, 4) == 0
    assert not pair.b.start_lending(channel, 4)


def test_a_close_of_the_home_recalls_and_what_was_under_way_is_taken_in() -> None:
    """The opener answers CLOSE with RETURN, behind its data; then it fails. Rows: N4, CH10."""
    pair, channel = lent()
    pair.a.send_data(channel, b"under way")
    pair.b.tell_closed(channel, Closing())
    events = pair.run()
    assert elements(events) == [b"under way"]
    assert isinstance(only(events, SlotsReturned), SlotsReturned)
    assert pair.a.accepted(channel) == 1


def test_a_question_is_answered_behind_the_data_and_gives_up_nothing() -> None:
    """RECALL with KEEP: what had been sent is here with the answer, and the slots are lent still. Row: N4."""
    pair, channel = lent()
    pair.a.send_data(channel, b"1")
    pair.b.ask(channel)
    events = pair.b_to_a() + pair.a_to_b()
    assert [type(event) for event in events] == [DataReceived, SlotsReturned]
    assert only(events, SlotsReturned).keep
    assert pair.a.slots(channel) == 3


def test_a_recall_that_crosses_a_detach_is_no_breach() -> None:
    """DETACH gives everything back, whatever was asked meanwhile. Row: N8."""
    pair, channel = lent()
    pair.a.send_data(channel, b"1")
    pair.a.detach(channel)
    pair.b.ask(channel)
    pair.b.recall(channel)
    with pytest.raises(ValueError, match="on their way back"):
        pair.b.ask(channel)
    events = pair.run()
    assert elements(events) == [b"1"]
    assert pair.b._lender.budget.promised == 0
    assert not [event for event in events if isinstance(event, (ConnectionEnded, DataInDoubt))]


# -- confirmation and loss


def test_acked_is_what_the_home_has_taken_in() -> None:
    """The home tells within a turn, in one frame for all channels; then nothing is kept here. Rows: N4, X4."""
    pair, first = lent()
    pair, second = lent(pair=pair, name="more")
    for channel in (first, second, first):
        pair.a.send_data(channel, b"x")
    pair.a_to_b()
    (credit,) = written(pair.b)
    assert (credit.command, credit.channel_id) == (Command.CREDIT, 0)
    deliver(pair.a, [credit])
    assert [pair.a.accepted(one) for one in (first, second)] == [2, 1]
    assert pair.a.lose(LinkLost("cut"))[0].report.data == ()  # type: ignore[attr-defined]


def test_a_grant_does_not_wait_for_ever_for_a_frame_to_ride_on() -> None:
    """While other channels are busy it goes alone after some frames. Row: N4."""
    pair, channel = lent()
    other = pair.open(name="busy")
    pair.a.send_data(channel, b"x")
    pair.a_to_b()
    for _ in range(100):
        pair.a.recv(other)
    for asked in pair.a_to_b():
        pair.b.push(asked.request_id, b"element")  # type: ignore[attr-defined]
    commands = [frame.command for frame in written(pair.b, flush=False)]
    assert Command.CREDIT in commands[:40]


def test_the_first_grant_of_a_handle_waits_for_its_answer_however_busy_others_are() -> None:
    """To the opener its channel is not open before the answer: a CREDIT in front of it would be a breach. Row: N4."""
    pair, first = lent()
    other = pair.open(name="busy")
    pair.a.send_data(first, b"x")
    pair.a_to_b()
    for _ in range(200):
        pair.a.recv(other)
    for asked in pair.a_to_b():
        pair.b.push(asked.request_id, b"element")  # type: ignore[attr-defined]
    pair.a.open(OpenRequest("late", OpenFlag.LEND))
    asked = only(pair.a_to_b(), OpenRequested)
    pair.b.accept(asked.request_id, BUFFERED_4)
    pair.b.start_lending(asked.channel_id, 4)
    pair.b.lend(asked.channel_id, 4)
    frames = written(pair.b)
    alone = [decode_credit(Fields(frame.payload, "")) for frame in frames if frame.command == Command.CREDIT]
    assert [channel_id for grants in alone for channel_id, _ in grants] == [first]
    deliver(pair.a, frames)
    assert pair.a.slots(asked.channel_id) == 4


def test_no_empty_credit_goes_out_when_only_first_grants_are_owed() -> None:
    """Row: N4."""
    pair, _ = lent()
    other = pair.open(name="busy")
    for _ in range(200):
        pair.a.recv(other)
    for asked in pair.a_to_b():
        pair.b.push(asked.request_id, b"element")  # type: ignore[attr-defined]
    pair.a.open(OpenRequest("late", OpenFlag.LEND))
    asked = only(pair.a_to_b(), OpenRequested)
    pair.b.accept(asked.request_id, BUFFERED_4)
    pair.b.start_lending(asked.channel_id, 4)
    pair.b.lend(asked.channel_id, 4)
    assert Command.CREDIT not in [frame.command for frame in written(pair.b)]


def test_what_is_not_confirmed_when_the_link_is_lost_is_in_doubt_once() -> None:
    """Written or not: its send has completed, so the sending end reports it, oldest first. Rows: X4, N6."""
    pair, channel = lent()
    pair.a.send_data(channel, b"confirmed")
    pair.run()
    pair.a.send_data(channel, b"written")
    written(pair.a)
    pair.a.send_data(channel, b"queued")
    ended = only(pair.a.lose(LinkLost("cut")), ConnectionEnded)
    assert ended.report.data == (LostData(channel, b"written"), LostData(channel, b"queued"))
    assert ended.report.accepted == {channel: 1}
    assert pair.a.lose(LinkLost("again")) == []


def test_an_orderly_end_leaves_nothing_in_doubt() -> None:
    """Whoever leaves has its data confirmed before the farewell is answered. Row: X4."""
    pair, channel = lent()
    pair.a.send_data(channel, b"1")
    pair.a.bye(0)
    frames = written(pair.a)
    assert elements(deliver(pair.b, frames[:-1])) == [b"1"]
    deliver(pair.a, written(pair.b))
    deliver(pair.b, frames[-1:])
    ended = only(deliver(pair.a, written(pair.b)), ConnectionEnded)
    assert ended.report.data == ()


def test_behind_our_own_farewell_no_data_is_taken_in() -> None:
    """It is not confirmed either: its sender reports it. Row: X4."""
    pair, channel = lent()
    pair.a.send_data(channel, b"late")
    pair.b.bye(0)
    assert elements(pair.a_to_b()) == []
    ended = only(pair.b_to_a(), ConnectionEnded)
    assert ended.report.data == (LostData(channel, b"late"),)


# -- CONFLATED


def test_a_conflated_channel_keeps_the_newest_value_at_the_sending_end() -> None:
    """One is under way, one waits, older ones are handed back; DATA tells how many. Row: CH3."""
    pair, channel = lent(free=2, attributes=CONFLATED_1)
    replaced = [pair.a.send_data(channel, b"%d" % i) for i in range(5)]
    assert [one.done for one in replaced] == [True] * 5
    assert [one.replaced for one in replaced] == [None, None, b"1", b"2", b"3"]
    (first,) = [event for event in pair.a_to_b() if isinstance(event, DataReceived)]
    assert (first.element, first.skipped) == (b"0", 0)
    pair.b.lend(channel, 1)
    pair.b_to_a()
    (second,) = [event for event in pair.a_to_b() if isinstance(event, DataReceived)]
    assert (second.element, second.skipped) == (b"4", 3)


@pytest.mark.parametrize("end", ["recall", "question", "close", "detach", "send", "close here"])
def test_the_value_that_waits_goes_in_front_of_whatever_ends_its_wait(end: str) -> None:
    """Its send has completed, so nothing of its channel may overtake it. Rows: CH3, N4."""
    pair, channel = lent(free=2, attributes=CONFLATED_1)
    pair.a.send_data(channel, b"under way")
    pair.a.send_data(channel, b"waits")
    written(pair.a)
    act = {
        "recall": lambda: pair.b.recall(channel),
        "question": lambda: pair.b.ask(channel),
        "close": lambda: pair.b.tell_closed(channel, Closing()),
        "detach": lambda: pair.a.detach(channel),
        "send": lambda: pair.a.send(channel, b"x"),
        "close here": lambda: pair.a.close(channel, Closing()),
    }
    act[end]()
    pair.b_to_a()
    frames = written(pair.a)
    assert frames[0].command == Command.DATA
    assert frames[0].payload.endswith(b"waits")
    assert len(frames) == 2


# -- the budget


def test_the_promises_of_all_channels_stay_within_the_budget() -> None:
    """Whatever is lent, used and renewed: granted bytes never exceed it, and each channel has its least. Row: X3."""
    pair = Pair(config=ConnectionConfig(lending_budget=16 * LEAST))
    pair.start()
    budget = pair.b._lender.budget
    channels = []
    for i in range(10):
        pair, channel = lent(pair=pair, name=str(i))
        channels.append(channel)
    stopped, *going = channels
    before = pair.b._handles.find(stopped).lent.outstanding  # type: ignore[union-attr]
    for _ in range(50):
        for channel in going:
            while pair.a.send_data(channel, bytes(500)).done:
                pass
        pair.a_to_b()
        for channel in going:
            pair.b.lend(channel, 4)
        pair.run()
        granted = [pair.b._handles.find(one).lent.outstanding for one in channels]  # type: ignore[union-attr]
        assert sum(granted) <= budget.promised <= budget.total
        assert all(pair.a.slots(one) == 4 for one in channels)
    assert pair.b._handles.find(stopped).lent.outstanding == before  # type: ignore[union-attr]


def test_an_open_beyond_the_budget_is_lent_nothing_until_another_leaves() -> None:
    """The channel works by request. Row: X3."""
    pair = Pair(config=ConnectionConfig(lending_budget=2 * LEAST))
    pair.start()
    pair, first = lent(pair=pair, name="1")
    lent(pair=pair, name="2")
    with pytest.raises(AssertionError):
        lent(pair=pair, name="3")
    pair.a.detach(first)
    pair.run()
    lent(pair=pair, name="4")


def test_an_unlimited_channel_gets_bytes_again_when_its_elements_are_taken() -> None:
    """What waits there and what may still come stay within one window. Rows: CH4, X3."""
    pair = Pair(config=ConnectionConfig(lending_budget=4 * LEAST))
    pair.start()
    pair, channel = lent(pair=pair, consumes=True)
    window = pair.b.lending_window
    held = 0
    for _ in range(20):
        while pair.a.send_data(channel, bytes(400)).done:
            held += charge(400)
        pair.a_to_b()
        pair.b.note_held(channel, held)
        pair.b.lend(channel, 4)
        pair.run()
    assert window - charge(400) < held <= window
    pair.b.note_held(channel, 0)
    pair.b.lend(channel, 4)
    pair.run()
    assert pair.a.send_data(channel, bytes(400)).done


def test_small_change_is_not_worth_a_grant() -> None:
    """Below half of the window nothing is told, unless the sender had to ask: then a quarter is enough. Row: N4."""
    budget = Budget(1 << 20)
    assert budget.join()
    slots = Slots(budget, 8)
    slots.begin()
    assert slots.state is LendState.LENT
    slots.lend(8)
    assert [slots.hear_send() for _ in range(8)] == [True] * 8
    assert [slots.more(free) for free in (0, 1, 3, 4, 8)] == [0, 0, 0, 4, 8]
    assert not slots.hear_send()
    assert [slots.more(free) for free in (0, 1, 2, 8)] == [0, 0, 2, 8]


def test_requests_have_their_share_of_the_budget_first() -> None:
    """One element of full size can always be asked for; grants get what is left. Row: X3."""
    assert split_budget(1 << 24, 1 << 20) == (1 << 23, 1 << 23)
    assert split_budget(1_200_000, 1 << 20) == (charge(1 << 20), 1_200_000 - charge(1 << 20))
    assert split_budget(5000, 10) == (LEAST, 5000 - LEAST)


# -- the frames


def test_a_credit_holds_as_many_grants_as_the_smallest_frame() -> None:
    """Encoded and decoded; none, half of one, or one too many is a breach. Row: W1."""
    grants = [(i, Grant(i, i + 1, i + 2)) for i in range(1, MAX_CREDITS + 1)]
    payload = encode_credit(grants)
    assert len(payload) <= 4096
    assert decode_credit(Fields(payload, "CREDIT")) == grants
    for wrong in (b"", payload[:-1], payload + payload[:16]):
        with pytest.raises(ProtocolError, match="no list of 1 to 250"):
            decode_credit(Fields(wrong, "CREDIT"))


def test_no_grant_goes_in_front_of_the_answer_that_opens_its_channel() -> None:
    """However many frames of other channels the answer waits for: a grant alone would name nothing yet. Row: N4."""
    pair = established()
    others = [pair.open(name=f"{number}") for number in range(100)]
    for other in others:
        pair.a.info(other)
    pair.a.open(OpenRequest("lent", OpenFlag.LEND))
    events = pair.a_to_b()
    info = ChannelInfo(Kind.BUFFERED, Overflow.SUSPEND, False, 4, 0, 0, 0, 0, 0, 0, 0)
    for asked in (event for event in events if isinstance(event, InfoRequested)):
        pair.b.inform(asked.request_id, info)
    asked_open = only(events, OpenRequested)
    pair.b.accept(asked_open.request_id, BUFFERED_4)
    assert pair.b.start_lending(asked_open.channel_id, 4)
    pair.b.lend(asked_open.channel_id, 4)

    frames = written(pair.b)
    assert [frame.command for frame in frames] == [Command.REPLY] * 101
    assert frames[-1].flags & Flag.GRANT
    deliver(pair.a, frames)
    assert pair.a.state is State.OPEN
