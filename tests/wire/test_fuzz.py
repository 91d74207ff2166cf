# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whatever bytes a peer sends: events, or a named end of the connection; no crash, no unbounded queue. Row: W1."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kcoro_core.errors import ProtocolError
from kcoro_core.semantics import Kind
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import ALLOWED_FLAGS, BUILT, CALL_FLAGS, Command
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.credit import Grant
from kcoro_core.wire.events import (
    CallRequested,
    CancelRequested,
    ClaimRequested,
    CloseRequested,
    ConnectionEnded,
    DataReceived,
    ElementReceived,
    Event,
    InfoRequested,
    ListRequested,
    OpenRequested,
    RecvRequested,
    RegisterRequested,
    SendRequested,
)
from kcoro_core.wire.frame import Frame, FrameDecoder
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Closing, Listed, OpenFlag, OpenRequest, encode_open
from kcoro_core.wire.remote_select import Readiness
from kcoro_core.wire.states import LendState, State

from .pair import BUFFERED_4, EVERY_RIGHT, Pair, established, opened, raw, written

LIMITS = Limits(max_frame=4096, max_message=64, max_channels=3, max_inflight_requests=5, receive_budget=4096)
# Queued at most: an answer for each request in flight, a DETACH and a CLOSE per channel, PING, PONG, BYE.
FROM_HOME = (Command.CREDIT, Command.RECALL, Command.SELECT_NOTIFY)
MOST_FRAMES = 2 * LIMITS.max_inflight_requests + 2 * LIMITS.max_channels + 5

BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", bytes(4), bytes(8), b"\0\0\0\1", b"\0\0\0\2", encode_open(OpenRequest("x")), bytes(100)]),
    st.just(encode_open(OpenRequest("x", OpenFlag.LEND))),
    st.builds(lambda *totals: Grant(*totals).encode(), *[st.integers(0, 9)] * 3),
)
HOSTILE = st.builds(
    Frame,
    st.one_of(st.sampled_from([64, *(int(command) for command in BUILT)]), st.integers(0, 0xFFFF)),
    st.one_of(st.just(0), st.sampled_from(sorted({CALL_FLAGS, *ALLOWED_FLAGS.values()})), st.integers(0, 255)),
    st.integers(0, 6),
    st.integers(0, 8),
    st.just(-1),  # replaced by the number that is next, so that what stands behind the check is reached
    st.tuples(BODIES),
)


def numbered(connection: Connection, frame: Frame) -> Frame:
    """The frame with the seq that the connection expects."""
    handle = connection._handles.find(frame.channel_id)
    order = connection._order if not frame.channel_id else None if handle is None else handle.order
    seq = 0 if order is None else order.expected
    return Frame(frame.command, frame.flags, frame.channel_id, frame.request_id, seq, frame.parts)


def is_lent(connection: Connection, channel_id: int) -> bool:
    """Whether slots of this handle can still be recalled."""
    handle = connection._handles.find(channel_id)
    return handle is not None and handle.lent is not None and handle.lent.state is LendState.LENT


def respond(connection: Connection, events: list[Event], patience: int) -> None:
    """An owner that answers some requests at once and leaves others waiting."""
    for event in events:
        match event:
            case OpenRequested():
                connection.accept(event.request_id, BUFFERED_4)
                if event.wanted.flags & OpenFlag.LEND and connection.start_lending(event.channel_id, 4):
                    connection.lend(event.channel_id, 4)
            case DataReceived() if patience % 2 and is_lent(connection, event.channel_id):
                connection.recall(event.channel_id)
            case SendRequested() if patience % 2:
                connection.done(event.request_id)
            case RecvRequested() if patience % 3:
                connection.push(event.request_id, b"element")
            case CallRequested(request_id=request) if request and patience % 2:
                connection.answer(request, b"result")
            case RegisterRequested():
                connection.notify(event.request_id, Readiness(event.mask), 1)
            case ClaimRequested(element=None) if patience % 3:
                connection.push(event.request_id, b"element")
            case ClaimRequested() if patience % 2 and event.element is not None:
                connection.done(event.request_id)
            case ListRequested() if patience % 2:
                connection.names(event.request_id, [Listed("jobs", Kind.BUFFERED, EVERY_RIGHT)])
            case InfoRequested() | ListRequested() | CloseRequested():
                connection.refuse(event.request_id, WireCode.ENOTSUP)
            case CancelRequested() if connection.is_waiting(event.request_id):
                connection.refuse(event.request_id, WireCode.ECANCELED)
            case ElementReceived():
                connection.taken(event.request_id)


def check_bounds(connection: Connection, events: list[Event]) -> None:
    """What holds after every frame, whoever sent it."""
    assert connection.stats().queued_frames <= MOST_FRAMES
    ends = [event for event in events if isinstance(event, ConnectionEnded)]
    assert len(ends) <= 1
    for ended in ends:
        assert ended is events[-1]
        assert ended.report.orderly or isinstance(ended.report.cause, Exception)
    assert (connection.report is not None) == (connection.state in (State.CLOSING, State.DEAD))


@settings(max_examples=300)
@given(st.lists(HOSTILE, max_size=25), st.integers(0, 5), st.booleans())
def test_a_home_survives_any_frames(frames: list[Frame], patience: int, reads: bool) -> None:
    """Frames that pass the order check and mean anything at all: events or one named end, bounded queues. Row: W1."""
    pair = established(LIMITS, LIMITS)
    for frame in frames:
        events = pair.b.receive(raw(numbered(pair.b, frame)), 0)
        check_bounds(pair.b, events)
        respond(pair.b, events, patience)
        if reads:
            written(pair.b)
    pair.b.handle_timeout(1.0)


@settings(max_examples=300)
@given(st.lists(HOSTILE, max_size=25), st.booleans())
def test_an_opener_survives_any_frames(frames: list[Frame], reads: bool) -> None:
    """The same with requests of its own under way, half of them cancelled. Row: W1."""
    pair, channel = opened(LIMITS, LIMITS)
    pair.a.open(OpenRequest("lent", OpenFlag.LEND))
    respond(pair.b, pair.a_to_b(), 1)
    pair.b_to_a()
    requests = [pair.a.send(channel, b"x"), pair.a.recv(channel), pair.a.info(channel), pair.a.call(0, 64, b"x")]
    written(pair.a)
    pair.a.cancel(requests[1], 0)
    pair.a.close(channel, Closing())
    for frame in frames:
        events = pair.a.receive(raw(numbered(pair.a, frame)), 0)
        check_bounds(pair.a, events)
        respond(pair.a, events, 1)
        if reads:
            written(pair.a)
    pair.a.handle_timeout(1.0)


def conversation() -> list[bytes]:
    """Every frame that a short, correct conversation sends to its home, HELLO included."""
    pair = Pair(LIMITS, LIMITS)
    pair.a.start(0)
    pair.b.start(0)
    sent: list[Frame] = []

    def cross() -> None:
        sent.extend(frames := written(pair.a))
        for frame in frames:
            respond(pair.b, pair.b.receive(raw(frame), 0), 1)

    def turn() -> None:
        for _ in range(6):
            cross()
            respond(pair.a, [event for one in written(pair.b) for event in pair.a.receive(raw(one), 0)], 1)

    turn()
    pair.a.open(OpenRequest("jobs"))
    turn()
    pair.a.send(1, b"element")
    pair.a.recv(1)
    turn()
    standing = pair.a.register(1, 7, Readiness.RECV_READY | Readiness.SEND_READY)
    turn()
    pair.a.claim(standing, 1, Readiness.RECV_READY)
    pair.a.claim(standing, 1, Readiness.SEND_READY, b"element")
    turn()
    pair.a.unregister(standing)
    turn()
    asked = pair.a.recv(1)
    cross()
    pair.a.cancel(asked, 0)
    pair.a.info(1)
    pair.a.call(0, 64, b"payload")
    pair.a.tell(1, 65, b"payload")
    turn()
    pair.a.close(1, Closing())
    turn()
    pair.a.open(OpenRequest("lent", OpenFlag.LEND))
    turn()
    pair.a.send_data(3, b"element")
    turn()
    pair.a.ask_names()
    pair.a.drain()
    pair.a.detach(1)
    pair.a.bye(0)
    turn()
    return [frame.encode() for frame in sent]


CONVERSATION = conversation()


@settings(max_examples=300)
@given(st.data())
def test_a_conversation_with_bytes_changed_is_understood_or_ended(data: st.DataObject) -> None:
    """Any bytes of a correct stream flipped, cut out or doubled: events or one named end, at every cutting. Row: W1."""
    stream = bytearray(b"".join(CONVERSATION))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        end = min(len(stream), at + data.draw(st.integers(0, 30)))
        stream[at:end] = data.draw(st.sampled_from([b"", bytes(stream[at:end]) * 2, data.draw(st.binary(max_size=30))]))
        stream = stream or bytearray(b"\0")
    pair = Pair(LIMITS, LIMITS)
    pair.b.start(0)
    written(pair.b)
    decoder = FrameDecoder()
    decoder.feed(bytes(stream))
    while pair.b.report is None:
        try:
            one = decoder.next_raw(pair.b.frame_limit)
        except ProtocolError as error:
            check_bounds(pair.b, pair.b.breach(error, 0))
            break
        if one is None:
            break
        events = pair.b.receive(one, 0)
        check_bounds(pair.b, events)
        respond(pair.b, events, 1)


def test_the_conversation_itself_is_understood() -> None:
    """What the fuzz changes is a stream that runs to its orderly end when nothing is changed. Row: W1."""
    pair = Pair(LIMITS, LIMITS)
    pair.b.start(0)
    written(pair.b)
    decoder = FrameDecoder()
    decoder.feed(b"".join(CONVERSATION))
    while (one := decoder.next_raw(pair.b.frame_limit)) is not None:
        respond(pair.b, pair.b.receive(one, 0), 1)
        written(pair.b)

    assert pair.b.report is not None
    assert pair.b.report.orderly
    seen = {int.from_bytes(frame[4:6], "big") for frame in CONVERSATION}
    assert seen >= BUILT - {Command.REPLY, Command.PING, Command.PONG, Command.PUTBACK, *FROM_HOME}


@given(st.binary(max_size=300))
def test_a_stranger_that_never_shakes_hands_costs_nothing(noise: bytes) -> None:
    """Random bytes in place of a HELLO end the connection at once, or wait for the handshake limit. Row: W1."""
    pair = Pair()
    pair.b.start(0)
    decoder = FrameDecoder()
    decoder.feed(noise)
    try:
        one = decoder.next_raw(pair.b.frame_limit)
        events = [] if one is None else pair.b.receive(one, 0)
    except ProtocolError as error:
        events = pair.b.breach(error, 0)

    assert [isinstance(event, ConnectionEnded) for event in events] in ([], [True])
    assert pair.b.next_deadline() == 5.0
