# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a hostile or broken peer may try: each ends in a named refusal, and nothing else happens. Rows: W1, W2."""

import struct

import pytest
from attrs import evolve

from kcoro_core.errors import NotSupported, ProtocolError
from kcoro_core.transport import RawFrame
from kcoro_core.wire import messages as m
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import BUILT, IGNORABLE, Command, Flag
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.events import (
    ConnectionEnded,
    ElementTaken,
    Event,
    RecvRequested,
    ReplyReceived,
    SendRequested,
)
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import MAX_HELLO, Hello, Limits, charge, encode_hello
from kcoro_core.wire.messages import Closing, OpenRequest, Reason
from kcoro_core.wire.states import State

from .pair import NODES, NONCES, Pair, deliver, established, only, opened, raw, written

TRY = bytes(4)
OPEN = m.encode_open(OpenRequest("more"))
OK = bytes(4)
CLOSING = m.encode_closing(Closing(Reason.NONE))


def after(pair: Pair, to_home: bool, channel: int) -> int:
    """The seq of the next frame to the home, or to the opener."""
    handle = (pair.b if to_home else pair.a)._handles.find(channel)
    return 0 if handle is None else handle.order.expected


def ends(connection: Connection, events: list[Event], code: WireCode, names: str) -> None:
    """The connection ended for that reason, with a BYE of that number as its last frame, and is silent from then on."""
    ended = only(events, ConnectionEnded)
    assert not ended.report.orderly
    assert names in str(ended.report.cause)
    (bye,) = written(connection)
    assert bye.command == Command.BYE
    assert m.decode_bye(Fields(bye.payload, "BYE"))[0] == code
    assert connection.state is State.DEAD
    assert connection.receive_frame(Frame(Command.PING), 0) == []


# One recv (request 2) waits at the home, one element (request 3) is under way, when each of these arrives there.
TO_HOME: dict[str, tuple[Frame, str]] = {
    "answer from the wrong end": (Frame(Command.REPLY, request_id=2, parts=(OK,)), "wrong end"),
    "second open": (Frame(Command.OPEN, request_id=9, parts=(OPEN,)), "wrong end"),
    "request without id": (Frame(Command.RECV, parts=(TRY,)), "request id 0 is 0"),
    "request id in flight": (Frame(Command.RECV, request_id=2, parts=(TRY,)), "request id 2"),
    "request id of an element": (Frame(Command.RECV, request_id=3, parts=(TRY,)), "request id 3"),
    "send cut": (Frame(Command.SEND, request_id=9, parts=(b"abc",)), "SEND: fixed fields needs 4 bytes"),
    "recv long": (Frame(Command.RECV, request_id=9, parts=(TRY, b"x")), "RECV: 1 bytes too many"),
    "info long": (Frame(Command.INFO, request_id=9, parts=(b"x",)), "INFO: 1 bytes too many"),
    "cancel long": (Frame(Command.CANCEL, request_id=2, parts=(b"x",)), "CANCEL: 1 bytes too many"),
    "close cut": (Frame(Command.CLOSE, request_id=9, parts=(b"x",)), "CLOSE: fixed fields"),
    "close with a lie": (Frame(Command.CLOSE, request_id=9, parts=(bytes(4), CLOSING)), "was the last before it"),
    "detach with an id": (Frame(Command.DETACH, request_id=9), "DETACH on channel 1"),
    "detach long": (Frame(Command.DETACH, parts=(b"x",)), "DETACH: 1 bytes too many"),
    "taken with an id": (Frame(Command.TAKEN, request_id=3, parts=(b"\0\0\0\3",)), "not in the header"),
    "taken of nothing": (Frame(Command.TAKEN, parts=(b"\0\0\0\x63",)), "request 99"),
    "taken of a waiting one": (Frame(Command.TAKEN, parts=(b"\0\0\0\2",)), "request 2"),
    "taken twice": (Frame(Command.TAKEN, parts=(b"\0\0\0\3" * 2,)), "request 3"),
    "putback of nothing": (Frame(Command.PUTBACK, request_id=99), "request 99"),
    "putback long": (Frame(Command.PUTBACK, request_id=3, parts=(b"x",)), "PUTBACK: 1 bytes too many"),
    "flag taken of nothing": (Frame(Command.INFO, Flag.TAKEN, request_id=9, parts=(b"\0\0\0\x63",)), "request 99"),
    "flag taken cut": (Frame(Command.INFO, Flag.TAKEN, request_id=9), "INFO: fixed fields needs 4"),
    "flag on a command that takes none": (Frame(Command.TAKEN, Flag.TAKEN, parts=(b"\0\0\0\3",)), "flags 0x20"),
    "flag of flow mode": (Frame(Command.SEND, Flag.GRANT, request_id=9, parts=(TRY,)), "flags 0x1"),
    "flag of pieces": (Frame(Command.RECV, Flag.MORE, request_id=9, parts=(TRY,)), "flags 0x4"),
    "redelivered to the home": (Frame(Command.SEND, Flag.REDELIVERED, request_id=9, parts=(TRY,)), "flags 0x40"),
    "hello on a channel": (Frame(Command.HELLO), "wrong end"),
}  # fmt: skip


def halfway() -> tuple[Pair, int]:
    """A channel with a receive that waits at its home, and an element on its way to another."""
    pair, channel = opened()
    pair.a.recv(channel)
    pair.a.recv(channel)
    _waits, pushed = (event for event in pair.a_to_b() if isinstance(event, RecvRequested))
    pair.b.push(pushed.request_id, b"e")
    written(pair.b)
    return pair, channel


@pytest.mark.parametrize(("frame", "names"), TO_HOME.values(), ids=TO_HOME)
def test_what_an_opener_must_not_send_ends_the_connection(frame: Frame, names: str) -> None:
    """Each breach is named in the report and in the BYE; what was pushed and parked is accounted for. Row: W1."""
    pair, channel = halfway()
    events = pair.b.receive_frame(evolve(frame, channel_id=channel, seq=after(pair, True, channel)), 0)

    ends(pair.b, events, WireCode.EPROTO, names)
    report = only(events, ConnectionEnded).report
    assert isinstance(report.cause, ProtocolError)
    assert [parked.request_id for parked in report.parked] == [2]
    taken = [event.request_id for event in events if isinstance(event, ElementTaken)]
    assert [element.request_id for element in report.elements] + taken == [3]


# One send (request 2) is at the home, one recv (request 3) waits in the opener's queue, when each of these arrives.
TO_OPENER: dict[str, tuple[Frame, str]] = {
    "answer to nothing": (Frame(Command.REPLY, request_id=99, parts=(OK,)), "which nobody asked"),
    "answer without id": (Frame(Command.REPLY, parts=(OK,)), "which nobody asked"),
    "answer to what was not written": (Frame(Command.REPLY, request_id=3, parts=(OK,)), "which nobody asked"),
    "answer cut": (Frame(Command.REPLY, request_id=2, parts=(b"abc",)), "REPLY: fixed fields"),
    "answer positive": (Frame(Command.REPLY, request_id=2, parts=(b"\0\0\0\1",)), "rc is 1"),
    "answer with a body": (Frame(Command.REPLY, request_id=2, parts=(OK, b"x")), "1 bytes too many"),
    "answer marked": (Frame(Command.REPLY, Flag.REDELIVERED, request_id=2, parts=(OK,)), "only an element"),
    "request to the opener": (Frame(Command.SEND, request_id=9, parts=(TRY,)), "wrong end"),
    "close with an id": (Frame(Command.CLOSE, request_id=2, parts=(bytes(4), CLOSING)), "is not news"),
    "close with a lie": (Frame(Command.CLOSE, parts=(b"\0\0\0\x09", CLOSING)), "was the last before it"),
    "detach unasked": (Frame(Command.DETACH), "was not asked for"),
    "taken to the opener": (Frame(Command.TAKEN, parts=(b"\0\0\0\3",)), "wrong end"),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "names"), TO_OPENER.values(), ids=TO_OPENER)
def test_what_a_home_must_not_send_ends_the_connection(frame: Frame, names: str) -> None:
    """Each breach is named; the send is in doubt and the unwritten receive known not done. Row: W1."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    written(pair.a)
    asked = pair.a.recv(channel)
    events = pair.a.receive_frame(evolve(frame, channel_id=channel, seq=after(pair, False, channel)), 0)

    ends(pair.a, events, WireCode.EPROTO, names)
    fates = {lost.request_id: lost.fate.name for lost in only(events, ConnectionEnded).report.requests}
    assert fates == {sent: "IN_DOUBT", asked: "NOT_DONE"}


ON_ZERO: dict[str, tuple[Frame, WireCode, str]] = {
    "ping short": (Frame(Command.PING, parts=(b"x",)), WireCode.EPROTO, "PING has 1 bytes"),
    "ping with an id": (Frame(Command.PING, request_id=1, parts=(bytes(8),)), WireCode.EPROTO, "neither flags nor"),
    "ping with a flag": (Frame(Command.PING, Flag.MORE, parts=(bytes(8),)), WireCode.EPROTO, "neither flags nor"),
    "pong unasked": (Frame(Command.PONG, parts=(bytes(8),)), WireCode.EPROTO, "no PING of ours"),
    "second hello": (Frame(Command.HELLO), WireCode.EPROTO, "HELLO on channel 0"),
    "second confirm": (Frame(Command.CONFIRM), WireCode.EPROTO, "CONFIRM on channel 0"),
    "send": (Frame(Command.SEND, request_id=1, parts=(TRY,)), WireCode.EPROTO, "SEND on channel 0"),
    "reply": (Frame(Command.REPLY, request_id=1, parts=(OK,)), WireCode.EPROTO, "on channel 0, which nobody asked"),
    "cancel with a flag": (
        Frame(Command.CANCEL, Flag.TAKEN, 0, 1),
        WireCode.EPROTO,
        "CANCEL on channel 0 takes no flags",
    ),
    "bye cut": (Frame(Command.BYE, parts=(b"x",)), WireCode.EPROTO, "BYE: fixed fields"),
    "credit": (Frame(Command.CREDIT, parts=(bytes(12),)), WireCode.EPROTO, "CREDIT: 12 bytes are no list"),
    "unknown": (Frame(200), WireCode.ENOTSUP, "command 200 is not known here"),
    "gap": (Frame(Command.PING, seq=5, parts=(bytes(8),)), WireCode.EPROTO, "frames are missing"),
    "double": (Frame(Command.PING, seq=1, parts=(bytes(8),)), WireCode.EPROTO, "was there before"),
}


@pytest.mark.parametrize(("frame", "code", "names"), ON_ZERO.values(), ids=ON_ZERO)
def test_what_must_not_stand_on_the_connection_itself_ends_it(frame: Frame, code: WireCode, names: str) -> None:
    """Breaches on channel 0 are EPROTO, commands that cannot be answered ENOTSUP. Row: W1."""
    pair = established()
    frame = frame if frame.seq else evolve(frame, seq=2)
    ends(pair.b, pair.b.receive_frame(frame, 0), code, names)


UNBOUND: dict[str, tuple[Frame, str]] = {
    "open on an id of ours": (Frame(Command.OPEN, 0, 2, 9, 0, (OPEN,)), "not a new id"),
    "open on a used id": (Frame(Command.OPEN, 0, 1, 9, 0, (OPEN,)), "not a new id"),
    "open not first": (Frame(Command.OPEN, 0, 5, 9, 1, (OPEN,)), "frames are missing"),
    "open without id": (Frame(Command.OPEN, 0, 5, 0, 0, (OPEN,)), "request id 0"),
    "open cut": (Frame(Command.OPEN, 0, 5, 9, 0, (b"x",)), "OPEN: fixed fields"),
    "open with a flag": (Frame(Command.OPEN, Flag.TAKEN, 5, 9, 0, (OPEN,)), "flags 0x20"),
    "send without open": (Frame(Command.SEND, 0, 5, 9, 0, (TRY,)), "channel 5, which is not open"),
    "cancel of nothing": (Frame(Command.CANCEL, 0, 5, 9, 0), "channel 5, which is not open"),
    "unbuilt without open": (Frame(Command.NACK, 0, 5, 9, 0), "channel 5, which is not open"),
}


@pytest.mark.parametrize(("frame", "names"), UNBOUND.values(), ids=UNBOUND)
def test_a_frame_on_a_channel_that_is_not_open_ends_the_connection(frame: Frame, names: str) -> None:
    """Only OPEN with a new id of the peer may come first. Row: N8."""
    pair, channel = opened()
    pair.a.detach(channel)
    pair.run()
    ends(pair.b, pair.b.receive_frame(frame, 0), WireCode.EPROTO, names)


def test_requests_before_the_answer_to_open_or_behind_detach_end_the_connection() -> None:
    """A handle is used between the two, and nowhere else. Row: N8."""
    pair = established()
    deliver(pair.b, [Frame(Command.OPEN, 0, 1, 1, 0, (OPEN,))])
    ends(pair.b, pair.b.receive_frame(Frame(Command.RECV, 0, 1, 2, 1, (TRY,)), 0), WireCode.EPROTO, "which is asked")

    for frame in (Frame(Command.RECV, request_id=9, parts=(TRY,)), Frame(Command.NACK, request_id=9), Frame(15)):
        pair, channel = opened()
        pair.a.send(channel, b"x")
        pair.a.detach(channel)
        pair.a_to_b()
        late = evolve(frame, channel_id=channel, seq=after(pair, True, channel))
        ends(pair.b, pair.b.receive_frame(late, 0), WireCode.EPROTO, f"on channel {channel}")


def test_news_of_a_close_comes_once_and_after_the_answer() -> None:
    """A second CLOSE, or one before the handle is open, is a breach of the home. Row: CH10."""
    pair, channel = opened()
    pair.b.tell_closed(channel, Closing())
    pair.run()
    seq = after(pair, False, channel)
    again = Frame(Command.CLOSE, 0, channel, 0, seq, (struct.pack(">I", seq - 1), CLOSING))
    ends(pair.a, pair.a.receive_frame(again, 0), WireCode.EPROTO, "is not news")

    pair = established()
    pair.a.open(OpenRequest("jobs"))
    pair.a_to_b()
    early = Frame(Command.CLOSE, 0, 1, 0, 0, (b"\xff" * 4, CLOSING))
    ends(pair.a, pair.a.receive_frame(early, 0), WireCode.EPROTO, "is not news")


def test_a_home_that_detaches_before_it_has_answered_ends_the_connection() -> None:
    """DETACH of the home is its last frame: every request but receives was answered before. Row: N8."""
    pair, channel = opened()
    pair.a.send(channel, b"x")
    pair.a.detach(channel)
    pair.a_to_b()
    forged = Frame(Command.DETACH, 0, channel, 0, after(pair, False, channel))
    ends(pair.a, pair.a.receive_frame(forged, 0), WireCode.EPROTO, "not answered")


UNBUILT = [command for command in Command if command not in BUILT]


@pytest.mark.parametrize("command", UNBUILT)
def test_every_command_that_is_not_built_is_answered(command: Command) -> None:
    """A request of a later version gets ENOTSUP and its name, on its channel or on 0; the link lives. Row: W2."""
    pair, channel = opened()
    for channel_id, seq in ((channel, after(pair, True, channel)), (0, 2)):
        assert pair.b.receive_frame(Frame(command, 0, channel_id, 77, seq, (b"future",)), 0) == []
        (reply,) = written(pair.b)
        assert (reply.command, reply.channel_id, reply.request_id) == (Command.REPLY, channel_id, 77)
        code, text = m.decode_reply(Fields(reply.payload, "REPLY"))
        assert (code, command.name in text) == (WireCode.ENOTSUP, True)
    pair.a.send(channel, b"still alive")


def test_a_home_cannot_make_the_opener_answer() -> None:
    """What is not built and comes from the home has no answer: the connection ends with ENOTSUP. Row: W2."""
    pair, channel = opened()
    frame = Frame(Command.NACK, 0, channel, 5, after(pair, False, channel))
    events = pair.a.receive_frame(frame, 0)
    assert isinstance(only(events, ConnectionEnded).report.cause, NotSupported)
    ends(pair.a, events, WireCode.ENOTSUP, "NACK")


@pytest.mark.parametrize("channel_id", [0, 1, 77])
def test_a_command_that_may_be_ignored_is_ignored(channel_id: int) -> None:
    """The top bit lets a newer peer speak to an older one; the frame is counted and forgotten. Row: W1."""
    pair, channel = opened()
    seq = {0: 2, channel: after(pair, True, channel)}.get(channel_id, 0)
    assert pair.b.receive_frame(Frame(IGNORABLE | 5, 0, channel_id, 9, seq, (b"news",)), 0) == []
    assert written(pair.b) == []
    assert pair.b.state is State.OPEN


def test_a_flood_of_unknown_requests_is_bounded_by_the_agreed_number() -> None:
    """Answers that wait count as requests in flight; one too many ends the connection. Row: W3."""
    pair, channel = opened(Limits(max_inflight_requests=3))
    seq = after(pair, True, channel)
    for number in range(3):
        assert pair.b.receive_frame(Frame(200, 0, channel, 50 + number, seq + number), 0) == []
    assert pair.b.stats().queued_frames == 3
    late = Frame(200, 0, channel, 99, seq + 3)
    ends(pair.b, pair.b.receive_frame(late, 0), WireCode.EPROTO, "one too many")


def test_more_requests_than_agreed_end_the_connection() -> None:
    """A peer that does not count itself is a breach, not a queue. Row: W3."""
    pair, channel = opened(Limits(max_inflight_requests=2))
    seq = after(pair, True, channel)
    frames = [Frame(Command.RECV, 0, channel, 50 + number, seq + number, (TRY,)) for number in range(3)]
    deliver(pair.b, frames[:2])
    ends(pair.b, pair.b.receive_frame(frames[2], 0), WireCode.EPROTO, "more than 2 requests")


def test_more_bytes_than_agreed_end_the_connection() -> None:
    """SENDs beyond the budget are a breach before anything of them is kept. Row: W3."""
    size = 4096 - 64
    pair, channel = opened(None, Limits(max_message=size, receive_budget=charge(size)))
    seq = after(pair, True, channel)
    frames = [Frame(Command.SEND, 0, channel, 50 + number, seq + number, (TRY, bytes(size))) for number in range(2)]
    deliver(pair.b, frames[:1])
    ends(pair.b, pair.b.receive_frame(frames[1], 0), WireCode.EPROTO, "were agreed")


@pytest.mark.parametrize("excess", [1, 1 << 31])
def test_a_frame_above_the_agreed_size_ends_the_connection(excess: int) -> None:
    """The agreed size is taken, one byte more is a breach; before the handshake 4096 is the size. Row: W3."""
    pair = established(Limits(max_frame=5000))
    header = Frame(Command.PING).header
    ends(
        pair.b,
        pair.b.receive(RawFrame(struct.pack(">I", 5000 + excess) + header[4:], b""), 0),
        WireCode.EPROTO,
        "the limit is 5000",
    )
    fresh = Pair()
    fresh.a.start(0)
    written(fresh.a)
    events = fresh.a.receive(RawFrame(struct.pack(">I", MAX_HELLO + excess) + header[4:], b""), 0)
    ends(fresh.a, events, WireCode.EPROTO, "the limit is 4096")


HELLO = Frame(Command.HELLO, parts=(encode_hello(Hello(NODES[1], NONCES[1])),))
FIRST: dict[str, tuple[list[Frame], str]] = {
    "a request": ([Frame(Command.OPEN, 0, 1, 1, 0, (OPEN,))], "OPEN where HELLO must come"),
    "a ping": ([Frame(Command.PING, parts=(bytes(8),))], "PING where HELLO must come"),
    "a farewell": ([Frame(Command.BYE, parts=(OK,))], "BYE where HELLO must come"),
    "a request behind hello": ([HELLO, Frame(Command.OPEN, 0, 2, 1, 0, (OPEN,))], "where 1 is next"),
    "hello twice": ([HELLO, evolve(HELLO, seq=1)], "HELLO where CONFIRM must come"),
    "hello with a flag": ([evolve(HELLO, flags=1)], "HELLO where HELLO must come"),
    "another hash": ([HELLO, Frame(Command.CONFIRM, seq=1, parts=(bytes(32),))], "changed on their way"),
    "our own hello": ([Frame(Command.HELLO, parts=(encode_hello(Hello(NODES[0], NONCES[0])),))], "is our own"),
    "another protocol": ([Frame(Command.HELLO, parts=(b"GET / HTTP/1.1" * 9,))], "does not speak kcoro"),
}


@pytest.mark.parametrize(("frames", "names"), FIRST.values(), ids=FIRST)
def test_only_hello_and_confirm_may_come_first(frames: list[Frame], names: str) -> None:
    """Anything else in their place ends the connection before a channel was possible. Row: W1."""
    pair = Pair()
    pair.a.start(0)
    written(pair.a)
    for frame in frames[:-1]:
        assert pair.a.receive_frame(frame, 0) == []
        written(pair.a)
    ends(pair.a, pair.a.receive_frame(frames[-1], 0), WireCode.EPROTO, names)


def test_a_breach_that_the_transport_notices_ends_the_connection_the_same_way() -> None:
    """A medium that refuses a frame itself hands the error in; the BYE says why. Row: W1."""
    pair = established()
    ends(pair.b, pair.b.breach(ProtocolError("a frame of 5 GiB"), 0), WireCode.EPROTO, "5 GiB")


def test_a_breach_drops_what_was_queued_and_reports_it_as_not_done() -> None:
    """Behind the BYE that names a breach nothing more is written. Row: N6."""
    pair, channel = opened()
    for _ in range(3):
        pair.a.send(channel, b"x")
    events = pair.a.receive_frame(Frame(Command.PING, seq=9, parts=(bytes(8),)), 0)
    ends(pair.a, events, WireCode.EPROTO, "frames are missing")
    assert {lost.fate.name for lost in only(events, ConnectionEnded).report.requests} == {"NOT_DONE"}


def test_the_events_of_a_frame_that_breaks_off_are_not_lost() -> None:
    """An acknowledgement that stood in front of the breach was heard, and is told before the end. Row: N6."""
    pair, channel = halfway()
    frame = Frame(Command.INFO, Flag.TAKEN, channel, 9, after(pair, True, channel), (b"\0\0\0\3", b"x"))
    taken, ended = pair.b.receive(raw(frame), 0)
    assert taken == ElementTaken(3, channel)
    assert isinstance(ended, ConnectionEnded)
    assert ended.report.elements == ()


def test_an_error_number_from_the_future_ends_its_request_only() -> None:
    """The link and its other requests go on. Row: E2."""
    pair, channel = opened()
    sent = pair.a.send(channel, b"x")
    assert only(pair.a_to_b(), SendRequested).request_id == sent
    reply = Frame(Command.REPLY, 0, channel, sent, after(pair, False, channel), (struct.pack(">i", -4711), b"new"))
    assert pair.a.receive_frame(reply, 0) == [ReplyReceived(sent, channel, Command.SEND, 4711, "new")]
    pair.a.recv(channel)


def test_an_answer_on_another_channel_than_its_request_is_a_breach() -> None:
    """Though nothing but the channel is wrong: it would be counted for a handle that has sent nothing. Row: N1."""
    pair, channel = opened()
    other = pair.open(name="other")
    asked = pair.a.send(channel, b"element")
    written(pair.a)
    forged = Frame(Command.REPLY, channel_id=other, request_id=asked, seq=after(pair, False, other), parts=(OK,))
    ends(pair.a, deliver(pair.a, [forged]), WireCode.EPROTO, "which nobody asked")
    assert pair.a.report is not None
    assert pair.a.report.accepted == {channel: 0, other: 0}
