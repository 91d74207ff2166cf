# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A connection from HELLO to BYE: requests, answers, cancelling, settling, closing, detaching. Rows: N1, N1b, N8."""

from collections.abc import Callable

import pytest
from attrs import evolve

from kcoro_core.errors import AccessDenied, ChannelClosed, LinkLost, MessageTooLong, NoBuffers
from kcoro_core.semantics import BUFFERED, SUSPEND
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.connection import ConnectionConfig, Side
from kcoro_core.wire.events import (
    CancelRequested,
    ChannelCloseHeard,
    CloseRequested,
    ConnectionEnded,
    Detached,
    ElementReceived,
    ElementsReturned,
    ElementTaken,
    Established,
    Event,
    InfoReceived,
    InfoRequested,
    Opened,
    OpenRequested,
    PeerBye,
    PongReceived,
    RecvRequested,
    ReplyReceived,
    RequestInDoubt,
    SendRequested,
)
from kcoro_core.wire.hello import Limits, charge
from kcoro_core.wire.messages import FOREVER_MS, ChannelInfo, Closing, OpenFlag, OpenRequest, Reason, Rights
from kcoro_core.wire.states import State

from .pair import BUFFERED_4, Pair, deliver, established, only, opened, written

Call = Callable[[], object]
INFO = ChannelInfo(BUFFERED, SUSPEND, False, 4, 1, 2, 0, 3, 5, 4, 0)


# --- the handshake ---------------------------------------------------------------------------------------------------


def test_both_sides_hear_of_each_other_and_agree() -> None:
    """After HELLO and CONFIRM in both directions, both know the peer and the limits. Row: W1."""
    pair = Pair(Limits(max_channels=3), Limits(max_channels=5))
    assert (pair.a.agreement, pair.a.peer, pair.a.frame_limit) == (None, None, 4096)
    assert pair.a.side is Side.CONNECTING
    events = pair.start()

    assert [type(event) for event in events] == [Established, Established]
    assert pair.a.state is pair.b.state is State.OPEN
    assert pair.a.agreement is not None
    assert pair.a.agreement.limits.max_channels == 3
    assert pair.a.frame_limit == Limits().max_frame
    assert pair.b.peer is not None
    assert pair.b.peer.node_id == b"node-a-16-bytes."


def test_no_channel_frame_passes_before_both_sides_agree() -> None:
    """Commands wait for Established, as misuse that changes nothing. Row: W1."""
    pair = Pair()
    for _ in range(2):
        with pytest.raises(ValueError, match="wait for Established"):
            pair.a.open(OpenRequest("jobs"))
        if pair.a.state is State.CONNECTING:
            pair.a.start(0)
    assert [frame.command for frame in written(pair.a)] == [Command.HELLO]


def test_two_versions_that_have_nothing_in_common_part_with_a_reason() -> None:
    """A major mismatch is refused by BYE(ENOTSUP), which names both ranges and the remedy. Row: W1."""
    pair = Pair()
    pair.a._hello = evolve(pair.a._hello, version_min=2, version_max=2)
    pair.a.handshake._mine = pair.a._hello
    events = pair.start()

    ended = [event.report.cause for event in events if isinstance(event, ConnectionEnded)]
    assert len(ended) == 2
    assert all("no common version" in str(cause) for cause in ended)
    assert pair.a.state is pair.b.state is State.DEAD


def test_a_goodbye_in_the_middle_of_the_handshake_ends_both_sides() -> None:
    """Whoever changes its mind says so behind its HELLO; nobody becomes established. Row: W1."""
    for first_hears in (False, True):
        pair = Pair()
        pair.a.start(0)
        pair.b.start(0)
        if first_hears:
            pair.b_to_a()
        pair.a.bye(0)
        events = pair.run()

        assert not any(isinstance(event, Established) for event in events if first_hears is False)
        assert sum(isinstance(event, ConnectionEnded) for event in events) == 2
        assert pair.a.state is pair.b.state is State.DEAD


def test_a_hello_that_was_changed_on_its_way_is_noticed() -> None:
    """A middle box that rewrites limits is found by the hash, on both sides. Row: W1."""
    pair = Pair()
    pair.a.start(0)
    pair.b.start(0)
    (hello,) = written(pair.a)
    changed = bytearray(hello.payload)
    changed[47] ^= 1  # the last byte of max_channels
    deliver(pair.b, [evolve(hello, parts=(bytes(changed),))])
    events = pair.b_to_a() + pair.a_to_b() + pair.b_to_a()

    assert all("changed on their way" in str(one.report.cause) for one in events if isinstance(one, ConnectionEnded))
    assert sum(isinstance(event, ConnectionEnded) for event in events) == 2


# --- requests and answers --------------------------------------------------------------------------------------------


def test_open_by_name_tells_the_home_what_is_wanted_and_the_opener_what_is_there() -> None:
    """Name, flags and wishes arrive; the true attributes come back, the message size lowered to the link's. Row: N8."""
    pair = established(Limits(max_message=1000))
    wanted = OpenRequest("jobs", OpenFlag.CREATE, BUFFERED, SUSPEND, 4, "raw")
    asked = pair.a.open(wanted)
    request = only(pair.a_to_b(), OpenRequested)

    assert request.wanted == wanted
    assert pair.b.is_waiting(request.request_id)
    assert pair.b.accept(request.request_id, BUFFERED_4)
    news = only(pair.b_to_a(), Opened)
    assert news.request_id == asked
    assert news.attributes == evolve(BUFFERED_4, max_message=1000)
    assert pair.a.attributes(news.channel_id) == pair.b.attributes(news.channel_id) == news.attributes
    assert not pair.a.in_flight(asked)


def test_a_name_that_nobody_exports_is_enoent_and_leaves_no_handle() -> None:
    """A refused OPEN ends with its number and text; its id is gone on both sides, and the link lives. Row: N8."""
    pair = established()
    asked = pair.a.open(OpenRequest("nothing"))
    request = only(pair.a_to_b(), OpenRequested)
    pair.b.refuse(request.request_id, WireCode.ENOENT, "no such channel")
    news = only(pair.b_to_a(), ReplyReceived)

    assert (news.request_id, news.command, news.code) == (asked, Command.OPEN, WireCode.ENOENT)
    assert news.text == "no such channel"
    assert pair.open() == news.channel_id + 2


def test_an_open_from_a_later_version_is_refused_and_the_link_lives() -> None:
    """An item that may not be ignored is ENOTSUP for this request; the owner is not asked. Row: W2."""
    pair = established()
    asked = pair.a.open(OpenRequest("jobs", items={7: b"prefetch"}))
    refused = only(pair.run(), ReplyReceived)

    assert (refused.request_id, refused.code) == (asked, WireCode.ENOTSUP)
    assert "7" in refused.text
    pair.open()


def test_a_send_is_over_when_the_home_says_so() -> None:
    """The element arrives with its time hint; done or a refusal comes back, exactly one of them. Row: N1."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"one", 1500)
    asked = only(pair.a_to_b(), SendRequested)
    assert (asked.channel_id, asked.timeout_ms, asked.element) == (channel, 1500, b"one")
    pair.b.done(asked.request_id)
    assert pair.run() == [ReplyReceived(sent, channel, Command.SEND)]
    assert pair.a.accepted(channel) == 1

    again = pair.a.send(channel, b"two", 0)
    pair.b.refuse(only(pair.a_to_b(), SendRequested).request_id, WireCode.EAGAIN)
    assert pair.run() == [ReplyReceived(again, channel, Command.SEND, WireCode.EAGAIN)]
    assert pair.a.accepted(channel) == 1


def test_a_receive_is_over_with_its_element_and_settled_by_the_acknowledgement() -> None:
    """The home keeps the slot until TAKEN, which rides on the next frame of that channel. Row: N1b."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    request = only(pair.a_to_b(), RecvRequested)
    assert request.timeout_ms == FOREVER_MS
    assert pair.b.push(request.request_id, b"job")
    assert pair.run() == [ElementReceived(asked, channel, b"job", redelivered=False)]
    assert pair.b.unsettled(channel) == 1

    pair.a.taken(asked)
    assert written(pair.a, flush=False) == []
    pair.a.info(channel)
    (frame,) = written(pair.a, flush=False)
    assert frame.flags == Flag.TAKEN
    taken, _info = deliver(pair.b, [frame])
    assert taken == ElementTaken(request.request_id, channel)
    assert pair.b.unsettled(channel) == 0


def test_an_acknowledgement_that_finds_no_frame_goes_alone() -> None:
    """With flush, what no frame carries is written as one TAKEN for all elements of the channel. Row: N1b."""
    pair, channel = opened()
    asked = [pair.a.recv(channel) for _ in range(3)]
    for request in pair.a_to_b():
        assert isinstance(request, RecvRequested)
        pair.b.push(request.request_id, b"job")
    pair.run()
    for request_id in asked:
        pair.a.taken(request_id)

    assert pair.a.has_frames()
    (frame,) = written(pair.a)
    assert frame.command == Command.TAKEN
    assert [type(event) for event in deliver(pair.b, [frame])] == [ElementTaken] * 3
    assert not pair.a.has_frames()


def test_an_element_can_say_that_it_was_on_its_way_before() -> None:
    """The redelivered mark arrives with the element. Row: N1b."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, b"again", redelivered=True)
    assert only(pair.run(), ElementReceived).redelivered


def test_info_is_answered_from_the_home() -> None:
    """State and counters come from where the truth is. Row: N8."""
    pair, channel = opened()
    asked = pair.a.info(channel)
    request = only(pair.a_to_b(), InfoRequested)
    pair.b.inform(request.request_id, INFO)
    assert pair.run() == [InfoReceived(asked, channel, INFO)]


def test_both_sides_may_open_channels_at_each_other() -> None:
    """The two directions have ids and requests of their own, which never mix. Row: N1."""
    pair = established()
    pair.a.open(OpenRequest("yours"))
    pair.b.open(OpenRequest("mine"))
    at_b, at_a = only(pair.a_to_b(), OpenRequested), only(pair.b_to_a(), OpenRequested)
    pair.a.accept(at_a.request_id, BUFFERED_4)
    pair.b.accept(at_b.request_id, BUFFERED_4)
    assert sorted(event.channel_id for event in pair.run() if isinstance(event, Opened)) == [1, 2]

    pair.a.send(1, b"to b")
    pair.b.send(2, b"to a")
    assert [event.element for event in pair.run() if isinstance(event, SendRequested)] == [b"to b", b"to a"]


def test_an_answer_fits_its_request_and_is_given_once() -> None:
    """An answer of another kind, or a second one, is misuse that changes nothing. Row: N1."""
    pair, channel = opened()
    pair.a.send(channel, b"one")
    request = only(pair.a_to_b(), SendRequested).request_id

    wrongs: list[Call] = [
        lambda: pair.b.push(request, b""),
        lambda: pair.b.inform(request, INFO),
        lambda: pair.b.accept(request, BUFFERED_4),
        lambda: pair.b.done(request + 1),
        lambda: pair.b.refuse(request, WireCode.OK),
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"request|refusal"):
            wrong()
    assert pair.b.done(request)
    assert not pair.b.is_waiting(request)
    with pytest.raises(ValueError, match="waits for no answer"):
        pair.b.done(request)


# --- cancelling ------------------------------------------------------------------------------------------------------


def test_a_request_that_was_not_written_is_withdrawn_without_a_trace() -> None:
    """Cancelled in the queue, it is known not done at once; the home never hears of it. Row: N1."""
    pair, channel = opened()
    keepalive = pair.a.next_deadline()
    asks: list[Callable[[], int]] = [
        lambda: pair.a.send(channel, b"x"),
        lambda: pair.a.recv(channel),
        lambda: pair.a.open(OpenRequest("y")),
    ]
    for ask in asks:
        request = ask()
        assert pair.a.poll_transmit() is not None  # offered, and refused by a medium that is full
        assert pair.a.cancel(request, 0)
        assert not pair.a.in_flight(request)
    assert written(pair.a) == []
    assert pair.a.next_deadline() == keepalive  # no grace runs

    pair.a.send(channel, b"y")
    assert only(pair.a_to_b(), SendRequested).element == b"y"


def test_a_cancel_stays_behind_its_request_and_is_answered_by_the_one_answer() -> None:
    """The home hears the cancel after the request, withdraws it, and says so. Row: N1."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    (recv,) = written(pair.a)
    assert not pair.a.cancel(asked, 0)
    assert not pair.a.cancel(asked, 0)
    (cancel,) = written(pair.a)

    request, cancelled = deliver(pair.b, [recv, cancel])
    assert isinstance(request, RecvRequested)
    assert cancelled == CancelRequested(request.request_id, channel, Command.RECV)
    pair.b.refuse(request.request_id, WireCode.ECANCELED)
    assert pair.run() == [ReplyReceived(asked, channel, Command.RECV, WireCode.ECANCELED)]


def test_success_that_crosses_a_cancel_wins() -> None:
    """An element or an acceptance that is on its way counts; the cancel is ignored and counted. Row: N1."""
    pair, channel = opened()
    sent, asked = pair.a.send(channel, b"x"), pair.a.recv(channel)
    send, recv = pair.a_to_b()
    assert isinstance(send, SendRequested)
    assert isinstance(recv, RecvRequested)
    pair.b.done(send.request_id)
    pair.b.push(recv.request_id, b"e")
    pair.a.cancel(sent, 0)
    pair.a.cancel(asked, 0)

    assert pair.a_to_b() == []
    assert pair.b.stats().ignored_cancels == 2
    assert pair.b_to_a() == [
        ReplyReceived(sent, channel, Command.SEND),
        ElementReceived(asked, channel, b"e", redelivered=False),
    ]
    with pytest.raises(ValueError, match="settle it with taken or putback"):
        pair.a.cancel(asked, 0)
    pair.a.taken(asked)
    assert pair.a.next_deadline() is not None


def test_an_answer_that_came_first_takes_the_unwritten_cancel_away() -> None:
    """A cancel that still waits in the queue is not sent once the answer is there. Row: N1."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    pair.b.done(only(pair.a_to_b(), SendRequested).request_id)
    pair.a.cancel(sent, 0)
    pair.b_to_a()
    assert written(pair.a) == []


def test_after_the_grace_a_cancelled_send_is_in_doubt_and_its_late_answer_is_dropped_and_counted() -> None:
    """The owner is told once; the answer changes nothing any more; the link lives. Row: N1."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    request = only(pair.a_to_b(), SendRequested)
    pair.a.cancel(sent, 10.0)
    assert pair.a.next_deadline() == 11.0
    assert pair.a.handle_timeout(10.9) == []
    assert pair.a.handle_timeout(11.0) == [RequestInDoubt(sent, channel, Command.SEND, sends=True)]
    assert pair.a.handle_timeout(11.0) == []
    with pytest.raises(ValueError, match="not in flight"):
        pair.a.cancel(sent, 11.0)

    pair.b.done(request.request_id)
    assert pair.b_to_a() == []
    assert pair.a.stats().late_replies == 1
    assert not pair.a.in_flight(sent)
    assert pair.a.accepted(channel) == 1


def test_an_element_that_comes_after_the_grace_goes_back_by_itself() -> None:
    """Nobody is left to take it: PUTBACK, and the home puts it at the head with the mark. Row: N1b."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    request = only(pair.a_to_b(), RecvRequested).request_id
    pair.a.cancel(asked, 0)
    assert pair.a.handle_timeout(1.0) == [RequestInDoubt(asked, channel, Command.RECV)]
    pair.b.push(request, b"late")

    assert pair.b_to_a() == []
    assert pair.a_to_b() == [ElementsReturned(channel, (request,), redelivered=True)]
    assert pair.b.unsettled(channel) == 0
    assert pair.a.stats().requests_in_flight == 0


def test_an_element_that_its_owner_cannot_use_any_more_is_put_back() -> None:
    """The owner of the opener's side decides between taken and putback, once. Row: N1b."""
    pair, channel = opened()
    asked = [pair.a.recv(channel) for _ in range(2)]
    requests = [event.request_id for event in pair.a_to_b() if isinstance(event, RecvRequested)]
    for request in requests:
        pair.b.push(request, b"e")
    pair.b_to_a()
    pair.a.putback(asked[1])
    pair.a.taken(asked[0])

    for settle in (pair.a.taken, pair.a.putback):
        with pytest.raises(ValueError, match="not in flight"):
            settle(asked[0])
    assert pair.run() == [
        ElementTaken(requests[0], channel),
        ElementsReturned(channel, (requests[1],), redelivered=True),
    ]


def test_a_receive_without_an_element_cannot_be_settled() -> None:
    """taken and putback belong to ElementReceived only. Row: N1b."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    for settle in (pair.a.taken, pair.a.putback):
        with pytest.raises(ValueError, match="no element to settle"):
            settle(asked)


def test_an_open_that_is_accepted_after_its_grace_is_detached_by_itself() -> None:
    """Nobody wants the handle any more, so it does not stay open at the home. Row: N8."""
    pair = established()
    asked = pair.a.open(OpenRequest("slow"))
    request = only(pair.a_to_b(), OpenRequested)
    pair.a.cancel(asked, 0)
    pair.a.handle_timeout(1.0)
    pair.b.accept(request.request_id, BUFFERED_4)

    assert only(pair.b_to_a() + pair.a_to_b(), Detached).channel_id == request.channel_id


def test_a_cancelled_open_may_cross_its_refusal() -> None:
    """A CANCEL for a channel that the home has forgotten is ignored and counted. Row: N8."""
    pair = established()
    asked = pair.a.open(OpenRequest("nothing"))
    request = only(pair.a_to_b(), OpenRequested)
    pair.a.cancel(asked, 0)
    pair.b.refuse(request.request_id, WireCode.ENOENT)
    refusal = written(pair.b)

    assert pair.a_to_b() == []
    assert pair.b.stats().ignored_cancels == 1
    assert only(deliver(pair.a, refusal), ReplyReceived).code == WireCode.ENOENT


# --- closing and detaching -------------------------------------------------------------------------------------------


def test_a_close_is_asked_for_answered_and_told() -> None:
    """The opener asks with a reason; the home does it, answers, and tells the news once. Row: CH10."""
    pair, channel = opened()
    closing = Closing(Reason.ERROR, "boom", cancel=True)
    asked = pair.a.close(channel, closing)
    request = only(pair.a_to_b(), CloseRequested)
    assert evolve(request.closing, last_seq=0) == closing

    assert pair.b.tell_closed(channel, Closing(Reason.TEXT, "over"))
    assert not pair.b.tell_closed(channel, Closing())
    pair.b.done(request.request_id)
    heard, reply = pair.b_to_a()
    assert isinstance(heard, ChannelCloseHeard)
    assert (heard.closing.reason, heard.closing.text) == (Reason.TEXT, "over")
    assert reply == ReplyReceived(asked, channel, Command.CLOSE)


def test_after_a_close_was_heard_sends_fail_at_once_and_receives_still_ask() -> None:
    """A closed channel takes nothing more, but what is queued at its home can be drained. Row: CH9."""
    pair, channel = opened()
    pair.b.tell_closed(channel, Closing(Reason.TEXT, "over"))
    pair.run()

    with pytest.raises(ChannelClosed, match="over") as caught:
        pair.a.send(channel, b"x")
    assert caught.value.reason == "over"
    pair.a.recv(channel)
    pair.b.refuse(only(pair.run(), RecvRequested).request_id, WireCode.EPIPE)
    assert only(pair.run(), ReplyReceived).code == WireCode.EPIPE


def test_what_a_handle_has_no_right_to_fails_before_anything_is_sent() -> None:
    """Each right is checked at the opener; nothing is queued. Row: N8."""
    pair = established()
    for right, ask in (
        (Rights.RECV, lambda channel: pair.a.send(channel, b"x")),
        (Rights.SEND, pair.a.recv),
        (Rights.SEND | Rights.RECV, lambda channel: pair.a.close(channel, Closing())),
    ):
        channel = pair.open(evolve(BUFFERED_4, rights=right))
        with pytest.raises(AccessDenied, match="no right to"):
            ask(channel)
    assert written(pair.a) == []


def test_detach_ends_receives_at_once_and_lets_the_home_answer_the_rest() -> None:
    """Receives end here as cancelled; a send keeps its true answer; then both ends forget the handle. Row: N8."""
    pair, channel = opened()
    sent, asked = pair.a.send(channel, b"x"), pair.a.recv(channel)
    pair.a_to_b()
    late = pair.a.recv(channel)
    assert pair.a.detach(channel) == (asked, late)
    assert pair.a.cancel(sent, 0) is False

    events = pair.a_to_b()
    assert [type(event) for event in events] == [CancelRequested, CancelRequested, Detached]
    for event in events:
        if isinstance(event, CancelRequested):
            accepted = event.command is Command.RECV  # which nobody hears any more
            assert pair.b.refuse(event.request_id, WireCode.ECANCELED) is not accepted
    assert pair.b_to_a() == [
        ReplyReceived(sent, channel, Command.SEND, WireCode.ECANCELED),
        Detached(channel),
    ]
    assert pair.a.stats().requests_in_flight == 0
    with pytest.raises(ValueError, match="not a handle"):
        pair.a.send(channel, b"y")


def test_answers_that_wait_go_in_front_of_the_homes_detach() -> None:
    """The home's DETACH is its last frame on a handle, however full its medium was. Row: N8."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    pair.b.done(only(pair.a_to_b(), SendRequested).request_id)  # queued, not written
    pair.a.detach(channel)
    pair.a_to_b()
    assert pair.b_to_a() == [ReplyReceived(sent, channel, Command.SEND), Detached(channel)]


def test_detach_gives_back_what_was_not_taken_and_confirms_what_was() -> None:
    """Acknowledgements go in front of DETACH; what is under way or unsettled returns to the head. Row: N1b."""
    pair, channel = opened()
    asked = [pair.a.recv(channel) for _ in range(5)]
    requests = [event.request_id for event in pair.a_to_b() if isinstance(event, RecvRequested)]
    for request in requests[:4]:
        pair.b.push(request, b"e")
    frames = written(pair.b)
    deliver(pair.a, frames[:3])
    pair.a.taken(asked[0])
    pair.a.taken(asked[1])
    assert pair.a.detach(channel) == tuple(asked[2:])
    pair.b.push(requests[4], b"e")  # queued, not written

    events = pair.a_to_b()
    assert events == [
        ElementTaken(requests[0], channel),
        ElementTaken(requests[1], channel),
        ElementsReturned(channel, tuple(requests[2:]), redelivered=True),
        Detached(channel),
    ]
    assert deliver(pair.a, frames[3:]) == []
    assert pair.run() == [Detached(channel)]


def test_an_element_for_a_receiver_that_detached_stays_with_the_home() -> None:
    """push says False, nothing is queued, and the handle can go. Row: N1b."""
    pair, channel = opened()
    pair.a.recv(channel)
    request = only(pair.a_to_b(), RecvRequested).request_id
    pair.a.detach(channel)
    pair.a_to_b()

    assert pair.b.push(request, b"e") is False
    assert pair.b.unsettled(channel) == 0
    assert only(pair.run(), Detached).channel_id == channel


def test_news_of_a_close_may_cross_a_detach() -> None:
    """A handle that was given up hears no more news, and breaks nothing. Row: N8."""
    pair, channel = opened()
    pair.b.tell_closed(channel, Closing())
    pair.a.detach(channel)
    assert [type(event) for event in pair.b_to_a()] == []
    assert not pair.b.tell_closed(channel, Closing())
    assert [type(event) for event in pair.run()] == [Detached, Detached]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_an_element_that_is_too_long_fails_before_anything_is_sent() -> None:
    """The size of a channel fits, one byte more is refused; the channel goes on. Row: W3."""
    pair = established()
    channel = pair.open(evolve(BUFFERED_4, max_message=100))
    with pytest.raises(MessageTooLong, match="101 bytes; this channel takes 100"):
        pair.a.send(channel, bytes(101))
    pair.a.send(channel, bytes(100))
    assert only(pair.run(), SendRequested).element == bytes(100)


def test_what_a_frame_carries_goes_in_one_with_every_extension() -> None:
    """With all fields and extensions in front of it, max_frame - 64 bytes are no frame too long. Row: W3."""
    pair = established(Limits(max_frame=4096, max_message=1 << 20))
    channel = pair.open()
    size = 4096 - 64 - 4
    pair.a.recv(channel)
    pair.b.push(only(pair.run(), RecvRequested).request_id, bytes(size))
    received = only(pair.run(), ElementReceived)
    pair.a.taken(received.request_id)
    pair.a.send(channel, bytes(size))
    (frame,) = written(pair.a, flush=False)

    assert frame.flags == Flag.TAKEN
    assert frame.length <= 4096
    assert only(deliver(pair.b, [frame]), SendRequested).element == bytes(size)
    with pytest.raises(ValueError, match="longer than this link carries"):
        pair.b.push(only(_ask(pair, channel), RecvRequested).request_id, bytes((1 << 20) + 1))


def _ask(pair: Pair, channel: int) -> list[Event]:
    pair.a.recv(channel)
    return pair.a_to_b()


def test_requests_beyond_the_agreed_number_fail_before_anything_is_sent() -> None:
    """At the limit every request is NoBuffers; when one is over there is room again. Row: W3."""
    pair, channel = opened(Limits(max_inflight_requests=2))
    pair.a.recv(channel)
    sent = pair.a.send(channel, b"x")
    asks: list[Call] = [
        lambda: pair.a.recv(channel),
        lambda: pair.a.send(channel, b""),
        lambda: pair.a.info(channel),
        lambda: pair.a.close(channel, Closing()),
        lambda: pair.a.open(OpenRequest("more")),
    ]
    for ask in asks:
        with pytest.raises(NoBuffers, match="2 requests are in flight"):
            ask()

    pair.b.done(only(pair.a_to_b(), SendRequested).request_id)
    assert only(pair.run(), ReplyReceived).request_id == sent
    pair.a.info(channel)


def test_one_request_at_a_time_is_enough_for_everything() -> None:
    """At a limit of 1 acknowledgements go first, so that the home never counts one too many. Row: W3."""
    pair = established(Limits(max_inflight_requests=1))
    one, two = pair.open(), pair.open(name="other")
    for gives_up in (False, False, True):
        asked = pair.a.recv(one)
        pair.b.push(only(pair.a_to_b(flush=False), RecvRequested).request_id, b"e")
        pair.b_to_a(flush=False)
        pair.a.taken(asked)
        pair.a.send(two, b"x")
        if gives_up:
            pair.a.detach(one)
        events = pair.a_to_b(flush=False)
        assert isinstance(events[0], ElementTaken)
        pair.b.done(only(events, SendRequested).request_id)
        pair.b_to_a(flush=False)

    assert pair.b.state is State.OPEN
    assert pair.a.accepted(two) == 3


def test_channels_beyond_the_agreed_number_fail_before_anything_is_sent() -> None:
    """At the limit open is NoBuffers; a detached handle makes room once the home has let it go. Row: W3."""
    pair, channel = opened(Limits(max_channels=1))
    with pytest.raises(NoBuffers, match="1 channels are open"):
        pair.a.open(OpenRequest("more"))
    pair.a.detach(channel)
    with pytest.raises(NoBuffers, match="1 channels are open"):
        pair.a.open(OpenRequest("more"))
    pair.run()
    pair.open()


def test_bytes_beyond_the_peers_budget_fail_before_anything_is_sent() -> None:
    """Unanswered SENDs never exceed what the peer said it holds; an answer or a withdrawal makes room. Row: W3."""
    size = 4096 - 64
    limits = Limits(max_message=size, receive_budget=2 * charge(size))
    pair, channel = opened(None, limits)
    first, second = pair.a.send(channel, bytes(size)), pair.a.send(channel, bytes(size))
    with pytest.raises(NoBuffers, match="bytes wait at the peer"):
        pair.a.send(channel, b"")

    assert pair.a.cancel(second, 0)
    third = pair.a.send(channel, b"small")
    requests = [event.request_id for event in pair.a_to_b() if isinstance(event, SendRequested)]
    pair.b.done(requests[0])
    assert only(pair.run(), ReplyReceived).request_id == first
    pair.a.send(channel, bytes(size))
    assert pair.a.in_flight(third)


def test_the_home_checks_rights_sizes_and_numbers_by_itself() -> None:
    """A peer that does not check is refused by the home, request by request, and the link lives. Row: W3."""
    pair = established(Limits(max_channels=1))
    channel = pair.open(evolve(BUFFERED_4, rights=Rights(0), max_message=1))
    handle = pair.a._handles.mine(channel)
    handle.attributes = BUFFERED_4
    pair.a._handles.limit = 99
    pair.a.send(channel, b"x")
    pair.a.recv(channel)
    pair.a.close(channel, Closing())
    pair.a.open(OpenRequest("more"))
    assert [event.code for event in pair.run() if isinstance(event, ReplyReceived)] == [
        WireCode.EACCES, WireCode.EACCES, WireCode.EACCES, WireCode.ENOBUFS,
    ]  # fmt: skip

    wide = pair.b._handles.find(channel)
    assert wide is not None
    for rights, code in ((Rights.SEND, WireCode.EMSGSIZE), (Rights.RECV, WireCode.EACCES)):
        wide.attributes = evolve(BUFFERED_4, rights=rights, max_message=1)
        pair.a.send(channel, b"xx")
        assert only(pair.run(), ReplyReceived).code == code
    assert pair.a.state is pair.b.state is State.OPEN


# --- life and death of the connection --------------------------------------------------------------------------------


def test_a_ping_is_answered_in_front_of_everything_else() -> None:
    """PONG overtakes what waits, and tells the round trip; one PING is outstanding at most. Row: N1."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.b.push(only(pair.run(), RecvRequested).request_id, bytes(1000))
    assert pair.a.ping(5.0)
    assert not pair.a.ping(5.0)
    pair.a_to_b()

    frames = written(pair.b)
    assert [frame.command for frame in frames] == [Command.PONG, Command.REPLY]
    assert deliver(pair.a, frames, 5.25)[0] == PongReceived(0.25)
    assert pair.a.ping(6.0)


def test_a_silent_peer_is_asked_twice_and_then_given_up() -> None:
    """Keepalive, spread by the nonce, then death with everything accounted for. Row: N6."""
    pair, channel = opened(Limits(keepalive_ms=1000, idle_ms=60_000))
    pair.a.recv(channel)
    written(pair.a)
    for _ in range(2):
        deadline = pair.a.next_deadline()
        assert deadline is not None
        assert pair.a.handle_timeout(deadline) == []
        assert [frame.command for frame in written(pair.a)] == [Command.PING]
    deadline = pair.a.next_deadline()
    assert deadline is not None
    assert 2.4 <= deadline <= 3.6
    (ended,) = pair.a.handle_timeout(deadline)

    assert isinstance(ended, ConnectionEnded)
    assert isinstance(ended.report.cause, LinkLost)
    assert pair.a.state is State.DEAD
    assert pair.a.next_deadline() is None
    assert pair.a.handle_timeout(99) == []


def test_bytes_of_an_unfinished_frame_keep_a_peer_alive() -> None:
    """A slow frame is no silence, if the owner says that bytes came. Row: N6."""
    pair = established(Limits(keepalive_ms=1000))
    before = pair.a.next_deadline()
    pair.a.note_alive(0.5)
    after = pair.a.next_deadline()
    assert before is not None
    assert after == before + 0.5


def test_a_peer_that_does_not_shake_hands_in_time_is_given_up() -> None:
    """The handshake has five seconds, whatever arrives of it. Row: W1."""
    pair = Pair()
    pair.a.start(100.0)
    pair.b.start(100.0)
    written(pair.a)
    assert pair.a.next_deadline() == 105.0
    assert pair.a.handle_timeout(104.9) == []
    (ended,) = pair.a.handle_timeout(105.0)
    assert isinstance(ended, ConnectionEnded)
    assert "handshake" in str(ended.report.cause)


def test_an_orderly_end_lets_what_was_asked_before_be_answered() -> None:
    """BYE goes behind all that is queued; answers that cross it still count; then both report, orderly. Row: N6."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    request = only(pair.a_to_b(), SendRequested)
    pair.a.send(channel, b"y")
    pair.a.bye(0, text="good night")
    with pytest.raises(LinkLost, match="ending"):
        pair.a.send(channel, b"z")
    pair.b.done(request.request_id)
    frames = written(pair.a)
    assert [frame.command for frame in frames] == [Command.SEND, Command.BYE]
    assert pair.b_to_a() == [ReplyReceived(sent, channel, Command.SEND)]

    _send, bye, ended = deliver(pair.b, frames)
    assert bye == PeerBye(0, "good night")
    assert isinstance(ended, ConnectionEnded)
    assert ended.report.orderly
    assert [parked.command for parked in ended.report.parked] == [Command.SEND]
    assert isinstance(pair.b_to_a()[-1], ConnectionEnded)
    assert pair.a.state is pair.b.state is State.DEAD


def test_acknowledgements_go_in_front_of_a_goodbye() -> None:
    """What was received is confirmed before the last frame. Row: N6."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, b"e")
    pair.b_to_a()
    pair.a.taken(asked)
    pair.a.bye(0)

    frames = written(pair.a, flush=False)
    assert [frame.command for frame in frames] == [Command.TAKEN, Command.BYE]
    assert isinstance(deliver(pair.b, frames)[0], ElementTaken)


def test_after_our_goodbye_the_peers_new_requests_are_not_heard_but_its_acknowledgements_are() -> None:
    """Nobody is left to work on a request; what settles an element still settles it. Row: N6."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    request = only(pair.a_to_b(), RecvRequested).request_id
    pair.b.push(request, b"e")
    pair.b_to_a()
    pair.a.taken(asked)
    pair.b.bye(0)
    written(pair.b)  # under way
    pair.a.send(channel, b"too late")
    pair.a.open(OpenRequest("too late"))

    assert pair.a_to_b() == [ElementTaken(request, channel)]
    assert pair.b.done(999) is False
    assert pair.b.push(999, b"") is False


def test_a_goodbye_that_is_not_answered_ends_by_itself() -> None:
    """After bye_limit the connection is dead, though the peer said nothing. Row: N6."""
    pair = Pair(config=ConnectionConfig(bye_limit=2.0))
    pair.start()
    pair.a.bye(10.0)
    written(pair.a)
    assert pair.a.next_deadline() == 12.0
    (ended,) = pair.a.handle_timeout(12.0)
    assert isinstance(ended, ConnectionEnded)
    assert pair.a.state is State.DEAD


def test_two_goodbyes_that_cross_end_both_sides() -> None:
    """Each side's BYE answers the other's. Row: N6."""
    pair = established()
    pair.a.bye(0)
    pair.b.bye(0)
    events = pair.run()
    assert [type(event) for event in events] == [PeerBye, ConnectionEnded, PeerBye, ConnectionEnded]
    assert pair.a.state is pair.b.state is State.DEAD


def test_a_medium_that_ends_is_told_once() -> None:
    """lose reports, then never again; all commands then say LinkLost, all answers False. Row: N6."""
    pair, channel = opened()
    (ended,) = pair.a.lose(LinkLost("cut"))
    assert isinstance(ended, ConnectionEnded)
    assert pair.a.report is ended.report
    assert pair.a.lose(LinkLost("again")) == []
    assert pair.a.poll_transmit() is None
    pair.b.ping(0)
    assert pair.b_to_a() == []
    with pytest.raises(LinkLost):
        pair.a.recv(channel)
    assert pair.a.refuse(1, WireCode.EAGAIN) is False


def test_writing_is_recorded_once_and_only_for_what_was_offered() -> None:
    """mark_written without an offer, or for one that was withdrawn, is misuse. Row: N1."""
    pair, channel = opened()
    with pytest.raises(ValueError, match="no frame is offered"):
        pair.a.mark_written()
    request = pair.a.recv(channel)
    frame = pair.a.poll_transmit()
    assert pair.a.poll_transmit() == frame
    pair.a.cancel(request, 0)
    with pytest.raises(ValueError, match="no frame is offered"):
        pair.a.mark_written()


def test_counters_tell_what_passed() -> None:
    """Frames and bytes are equal at both ends once all has crossed. Row: N1."""
    pair, channel = opened()
    pair.a.send(channel, b"12345")
    pair.run()
    a, b = pair.a.stats(), pair.b.stats()
    assert (a.frames_written, a.bytes_written) == (b.frames_read, b.bytes_read)
    assert (b.frames_written, b.bytes_written) == (a.frames_read, a.bytes_read)
    assert (a.requests_in_flight, a.queued_frames) == (1, 0)
