# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What both ends count, and what the report of an end says of each single case. Rows: N1b, N6, W3."""

import pytest

from kcoro_core.errors import LinkLost, NoBuffers
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.events import (
    ConnectionEnded,
    ElementReceived,
    ElementTaken,
    Fate,
    LossReport,
    LostElement,
    LostRequest,
    ParkedRequest,
    RecvRequested,
    ReplyReceived,
    RequestInDoubt,
    SendRequested,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits, charge
from kcoro_core.wire.states import State

from .pair import Pair, deliver, established, only, opened, written


def report_of(connection: Connection) -> LossReport:
    """The medium ends."""
    return only(connection.lose(LinkLost("cut")), ConnectionEnded).report


def under_way(pair: Pair, channel: int, count: int) -> list[int]:
    """Receives of ``a`` whose elements have been pushed by ``b`` and not delivered; the frames are lost."""
    asked = [pair.a.recv(channel) for _ in range(count)]
    for event in pair.a_to_b():
        if isinstance(event, RecvRequested):
            pair.b.push(event.request_id, b"e")
    return asked


# --- the report of the opener ----------------------------------------------------------------------------------------


def test_a_request_is_not_done_until_it_is_written_and_in_doubt_until_it_is_answered() -> None:
    """Queued, written, cancelled: each has its fate; what is answered is not named. Row: N6."""
    pair, channel = opened()
    answered, written_, cancelled = (pair.a.send(channel, b"x") for _ in range(3))
    for event in pair.a_to_b():
        if isinstance(event, SendRequested) and event.request_id == answered:
            pair.b.done(event.request_id)
    pair.b_to_a()
    pair.a.cancel(cancelled, 0)
    queued = pair.a.recv(channel)

    report = report_of(pair.a)
    assert report.requests == (
        LostRequest(written_, channel, Command.SEND, Fate.IN_DOUBT, sends=True),
        LostRequest(cancelled, channel, Command.SEND, Fate.IN_DOUBT, sends=True),
        LostRequest(queued, channel, Command.RECV, Fate.NOT_DONE),
    )
    assert report.accepted == {channel: 1}
    assert not report.orderly


def test_a_receive_whose_element_is_here_is_done_whether_or_not_it_was_settled() -> None:
    """The element is in hand; its acknowledgement, if it was not written, is the home's doubt. Row: N6."""
    pair, channel = opened()
    asked = under_way(pair, channel, 2)
    pair.b_to_a()
    pair.a.taken(asked[0])

    report = report_of(pair.a)
    assert report.requests == (LostRequest(asked[1], channel, Command.RECV, Fate.DONE),)
    assert report.unacknowledged == (asked[0],)


def test_what_was_told_in_doubt_before_is_not_told_again() -> None:
    """Each request has one outcome. Row: N6."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    written(pair.a)
    pair.a.cancel(sent, 0)
    assert pair.a.handle_timeout(1) == [RequestInDoubt(sent, channel, Command.SEND, sends=True)]
    assert report_of(pair.a).requests == ()


# --- the report of the home ------------------------------------------------------------------------------------------


def test_an_element_is_not_done_until_it_is_written_and_in_doubt_until_it_is_confirmed() -> None:
    """Unwritten elements go back to the head unmarked; written ones are a matter of policy. Row: N6."""
    pair, channel = opened()
    first, second, third = under_way(pair, channel, 3)
    for _ in range(2):
        pair.b.poll_transmit()
        pair.b.mark_written()
    pair.b.receive_frame(Frame(Command.TAKEN, 0, channel, 0, 4, (first.to_bytes(4, "big"),)), 0)

    assert report_of(pair.b).elements == (
        LostElement(second, channel, Fate.IN_DOUBT),
        LostElement(third, channel, Fate.NOT_DONE),
    )


def test_an_element_that_came_back_and_waits_for_its_neighbours_is_known_not_received() -> None:
    """Its fate is settled; it carries the mark. Row: N6."""
    pair, channel = opened()
    first, second = under_way(pair, channel, 2)
    pair.b_to_a()
    pair.a.putback(second)
    pair.a_to_b()

    assert report_of(pair.b).elements == (
        LostElement(first, channel, Fate.IN_DOUBT),
        LostElement(second, channel, Fate.NOT_DONE, returned=True),
    )


def test_requests_that_wait_at_the_home_are_named_for_withdrawal() -> None:
    """What was answered is not among them, though its answer may never have arrived. Row: N6."""
    pair, channel = opened()
    waits, done = pair.a.recv(channel), pair.a.send(channel, b"x")
    pair.a_to_b()
    pair.b.done(done)
    assert report_of(pair.b).parked == (ParkedRequest(waits, channel, Command.RECV),)
    assert not pair.b.is_waiting(waits)


def test_an_element_that_was_not_written_cannot_be_confirmed() -> None:
    """A peer that confirms what it cannot have broke the protocol. Row: N1b."""
    pair, channel = opened()
    (asked,) = under_way(pair, channel, 1)
    forged = Frame(Command.TAKEN, 0, channel, 0, 2, (asked.to_bytes(4, "big"),))
    assert "under way" in str(only(pair.b.receive_frame(forged, 0), ConnectionEnded).report.cause)


# --- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settle", ["taken", "putback"])
def test_what_is_settled_counts_no_more(settle: str) -> None:
    """After any number of elements the room is as large as at first: no acknowledgement is forced out. Row: W3."""
    pair, channel = opened(Limits(max_inflight_requests=2))
    for step in [settle] * 6 + ["taken"]:
        (asked,) = under_way(pair, channel, 1)
        pair.b_to_a()
        getattr(pair.a, step)(asked)
        if step == "putback":
            pair.a_to_b()
    pair.a.recv(channel)
    frames = written(pair.a, flush=False)
    assert [(frame.command, frame.flags) for frame in frames] == [(Command.RECV, Flag.TAKEN)]


def test_budgets_are_free_again_when_their_sends_are_answered() -> None:
    """A thousand budgets full go through one budget, one after the other. Row: W3."""
    pair, channel = opened(None, Limits(max_message=4032, receive_budget=charge(4032)))
    for _ in range(50):
        pair.a.send(channel, bytes(4032))
        pair.b.done(only(pair.a_to_b(), SendRequested).request_id)
        assert only(pair.b_to_a(), ReplyReceived).code == WireCode.OK


@pytest.mark.parametrize("excess", [0, 1])
def test_the_budget_itself_fits_and_one_byte_more_does_not(excess: int) -> None:
    """The home counts to the byte. Row: W3."""
    pair, channel = opened(None, Limits(max_message=4032, receive_budget=charge(4032) + charge(100)))
    sizes = [4032, 100 + excess]
    frames = [Frame(Command.SEND, 0, channel, 9 + at, 1 + at, (bytes(4 + size),)) for at, size in enumerate(sizes)]
    deliver(pair.b, frames)
    assert pair.b.state is (State.CLOSING if excess else State.OPEN)


def test_detach_takes_unwritten_elements_out_of_the_queue() -> None:
    """What the opener would only drop is not sent. Row: N1b."""
    pair, channel = opened()
    under_way(pair, channel, 3)
    pair.a.detach(channel)
    pair.a_to_b()
    assert [frame.command for frame in written(pair.b)] == [Command.DETACH]


def test_a_cancel_names_a_request_of_its_own_channel() -> None:
    """On another channel it is ignored and counted: the request there is somebody else's. Row: N1."""
    pair = established()
    one, two = pair.open(), pair.open(name="other")
    asked = pair.a.recv(one)
    pair.a_to_b()
    assert pair.b.receive_frame(Frame(Command.CANCEL, 0, two, asked, 1), 0) == []
    assert pair.b.stats().ignored_cancels == 1
    assert pair.b.is_waiting(asked)


def test_an_element_on_its_way_back_counts_until_that_is_written() -> None:
    """Channels take turns, so PUTBACK may go out behind a request made later: it counts until then. Row: W3."""
    limits = Limits(max_inflight_requests=2)
    pair = established(limits, limits)
    one, two = pair.open(), pair.open(name="other")
    asked = under_way(pair, one, 1)[0]
    pair.b_to_a()
    pair.a.putback(asked)
    pair.a.recv(two)

    with pytest.raises(NoBuffers):
        pair.a.recv(two)
    assert not pair.a.in_flight(asked)
    pair.a_to_b()
    pair.a.recv(two)
    pair.run()
    assert pair.b.state is State.OPEN


# --- behind our BYE --------------------------------------------------------------------------------------------------


def test_nothing_is_written_behind_our_goodbye() -> None:
    """Neither acknowledgements nor PONGs nor cancels: BYE is the last frame of its side. Row: N6."""
    pair, channel = opened()
    asked, waits = under_way(pair, channel, 1)[0], pair.a.send(channel, b"x")
    pair.a_to_b()
    pair.b.ping(0)
    pair.a.bye(0)
    assert written(pair.a)[-1].command == Command.BYE

    for event in pair.b_to_a():
        if isinstance(event, ElementReceived):
            pair.a.taken(event.request_id)
    pair.a.cancel(waits, 0)
    assert written(pair.a) == []
    assert pair.a.handle_timeout(1.0) == [RequestInDoubt(waits, channel, Command.SEND, sends=True)]
    assert report_of(pair.a).unacknowledged == (asked,)


def test_every_frame_is_a_sign_of_life() -> None:
    """Traffic of any kind puts the next PING off. Row: N6."""
    pair, channel = opened()
    before = pair.b.next_deadline()
    pair.a.info(channel)
    pair.now = 5.0
    pair.a_to_b()
    assert before is not None
    assert pair.b.next_deadline() == before + 5.0


def test_an_acknowledgement_is_the_oldest_of_its_channel() -> None:
    """Flags confirm in the order of taking, one by one. Row: N1b."""
    pair, channel = opened()
    asked = under_way(pair, channel, 3)
    pair.b_to_a()
    for request_id in asked:
        pair.a.taken(request_id)
    for _ in range(3):
        pair.a.info(channel)
    confirmed = [event.request_id for event in pair.a_to_b(flush=False) if isinstance(event, ElementTaken)]
    assert confirmed == asked
