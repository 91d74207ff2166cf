# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements that may be lost, on the wire: numbers, the end, and whatever a datagram may hold (rows N3b, T8, W3)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from kcoro_core.errors import NotSupported, ProtocolError
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.transport import RawFrame
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.connection import ConnectionConfig
from kcoro_core.wire.datagram import DatagramReceiver, DatagramSender
from kcoro_core.wire.events import (
    ConnectionEnded,
    Event,
    LossyEnded,
    LossyReceived,
    Opened,
    OpenRequested,
    ReplyReceived,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Feature
from kcoro_core.wire.messages import Attributes, OpenFlag, OpenRequest, encode_number, encode_reply
from kcoro_core.wire.states import State

from .pair import BUFFERED_4, EVERY_RIGHT, Pair, deliver, only, raw, written

LATEST = Attributes(Kind.CONFLATED, Overflow.SUSPEND, 1, EVERY_RIGHT, 2000)
ROUND = 1 << 32
NOBODY: Callable[[], object] = lambda: None  # noqa: E731 - whom to tell that something was written


def able(datagrams: bool = True) -> Pair:
    pair = Pair(config=ConnectionConfig(datagrams=datagrams))
    pair.start()
    return pair


def lossy(attributes: Attributes = LATEST) -> tuple[Pair, int]:
    """``a`` has opened a lossy handle at ``b``."""
    pair = able()
    pair.a.open(OpenRequest("pose", OpenFlag.LOSSY))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, attributes)
    pair.b.start_lossy(asked.channel_id)
    return pair, only(pair.run(), Opened).channel_id


def datagrams(pair: Pair) -> list[Frame]:
    """Write the datagrams of ``b``."""
    frames = []
    while (frame := pair.b.lossy.poll()) is not None:
        pair.b.lossy.wrote()
        frames.append(frame)
    return frames


# -- what arrives


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_line_does_values_come_in_order_and_all_are_accounted_for(seed: int) -> None:
    """Frames are late, datagrams lost, doubled and mixed up; behind the end nothing is unknown. Rows: N3b, N7."""
    chance = random.Random(seed)
    pair, channel = lossy()
    frames: list[Frame] = []
    flying: list[Frame] = []
    heard: list[Event] = []
    sent = 0
    last = b""
    for _ in range(60):
        step = chance.random()
        if step < 0.5:
            last = b"%d" % sent
            sent += 1
            pair.b.send_lossy(channel, last, chance.random() < 0.2, NOBODY)
            frames += written(pair.b)
            flying += [one for one in datagrams(pair) for _ in range(chance.choice((0, 1, 1, 2)))]
        elif step < 0.6 and sent:
            pair.b.repeat_lossy(channel, last, NOBODY)
            frames += written(pair.b)
        elif step < 0.8 and flying:
            heard += pair.a.receive_datagram(raw(flying.pop(chance.randrange(len(flying)))), 0.0)
        elif frames:
            heard += deliver(pair.a, [frames.pop(0)])
    if sent:
        pair.b.repeat_lossy(channel, last, NOBODY)
    pair.b.end_lossy(channel, WireCode.EPIPE)
    heard += deliver(pair.a, frames + written(pair.b))
    for one in flying:
        assert pair.a.receive_datagram(raw(one), 0.0) == [], "behind the end nothing comes"
    got = [int(one.element) for one in heard if isinstance(one, LossyReceived)]
    gaps = sum(one.gap for one in heard if isinstance(one, (LossyReceived, LossyEnded)))
    assert got == sorted(set(got)), f"seed {seed}"
    assert got[-1:] == ([sent - 1] if sent else []), f"seed {seed}: the newest was repeated"
    assert len(got) + gaps == sent == len(got) + pair.a.stats().elements_missing, f"seed {seed}"
    assert only(heard, LossyEnded).code == WireCode.EPIPE
    assert pair.a.state is State.OPEN


@pytest.mark.parametrize("first", [0, 1000, ROUND - 1, ROUND - 5])
def test_the_end_counts_what_is_missing_behind_the_newest_also_around_the_wrap(first: int) -> None:
    """Row: N3b."""
    for sent, arrived in ((0, 0), (1, 0), (5, 3), (5, 5), (3000, 1)):
        sender, receiver = DatagramSender(7, first), DatagramReceiver(7, Kind.CONFLATED, first)
        frames = [sender.frame(b"") for _ in range(sent)]
        for frame in frames[:arrived]:
            receiver.receive(frame)
        assert receiver.end(sender.next) == sent - arrived
        assert receiver.counts().missing == sent - arrived
        assert receiver.end(sender.next) == 0, "it is said again, and nothing more is missing"
        if sent:
            with pytest.raises(ProtocolError, match="a later one has come"):
                receiver.end(first)


def test_of_each_handle_at_most_one_datagram_waits_and_none_outlives_it() -> None:
    """Rows: W3, X3."""
    pair, channel = lossy()
    told: list[int] = []
    pair.b.send_lossy(channel, b"one", False, lambda: told.append(1))
    with pytest.raises(ValueError, match="waits to be written"):
        pair.b.send_lossy(channel, b"two", False, NOBODY)
    assert (len(pair.b.lossy.waiting), told) == (1, [])
    pair.a.detach(channel)
    pair.run()
    assert pair.b.lossy.poll() is None
    assert told == [], "what was never written is told to nobody"


def test_a_lost_connection_leaves_no_datagram_behind() -> None:
    """Row: W3."""
    pair, channel = lossy()
    pair.b.send_lossy(channel, b"one", False, NOBODY)
    pair.b.lose(OSError("cut"))
    assert pair.b.lossy.poll() is None
    assert pair.b.send_lossy(channel, b"two", False, NOBODY) is False


def test_behind_a_detach_neither_datagrams_nor_frames_are_heard() -> None:
    """What crosses it is no breach. Rows: W3, N8."""
    pair, channel = lossy()
    pair.b.send_lossy(channel, b"one", False, NOBODY)
    pair.b.repeat_lossy(channel, b"one", NOBODY)
    pair.b.end_lossy(channel, WireCode.EPIPE)
    crossing, frames = datagrams(pair), written(pair.b)
    pair.a.detach(channel)
    assert deliver(pair.a, frames) == []
    assert pair.a.receive_datagram(raw(crossing[0]), 0.0) == []
    pair.run()
    assert (pair.a.state, pair.a.attributes(channel)) == (State.OPEN, None)


def test_behind_a_detach_that_was_heard_nothing_is_sent_and_nothing_raises() -> None:
    """What the home was about to send is still its own. Rows: W3, N8."""
    pair, channel = lossy()
    pair.a.detach(channel)
    pair.a_to_b()
    for send in (pair.b.lossy.send, pair.b.lossy.send_whole, pair.b.lossy.repeat):
        assert send(channel, b"x", NOBODY) is False
    assert pair.b.end_lossy(channel, WireCode.EPIPE) is False
    assert [frame.command for frame in written(pair.b)] == [Command.DETACH]
    assert pair.b.lossy.poll() is None


# -- who can do it


def test_both_sides_have_to_be_able_to() -> None:
    """One that is not says nothing in HELLO; the other refuses before a byte is sent. Rows: W1, T8."""
    pair = Pair(config=ConnectionConfig(datagrams=True))
    plain = able(datagrams=False)
    pair.b = Pair().b
    pair.start()
    for one in (pair, plain):
        assert one.a.agreement is not None
        assert one.a.agreement.features == Feature(0)
        with pytest.raises(NotSupported, match="DATAGRAMS"):
            one.a.open(OpenRequest("pose", OpenFlag.LOSSY))
        assert one.a.poll_transmit() is None


def test_a_peer_that_asks_without_an_agreement_is_refused_and_the_connection_goes_on() -> None:
    """Row: W3."""
    pair = able(datagrams=False)
    pair.a.lossy.agreed = True  # it says so to itself
    pair.a.open(OpenRequest("pose", OpenFlag.LOSSY))
    assert only(pair.run(), ReplyReceived).code == WireCode.ENOTSUP
    assert (pair.a.state, pair.b.state) == (State.OPEN, State.OPEN)


def test_a_home_that_grants_loss_where_none_may_be_ends_the_connection() -> None:
    """Row: W3."""
    pair = able()
    pair.a.open(OpenRequest("jobs", OpenFlag.LOSSY))
    pair.b.accept(only(pair.run(), OpenRequested).request_id, BUFFERED_4)
    assert isinstance(only(pair.b_to_a(), ConnectionEnded).report.cause, ProtocolError)


# -- datagrams of somebody hostile


def data(channel: int, number: int, element: bytes = b"x", **changed: int) -> RawFrame:
    header = {"command": int(Command.DATA), "flags": 0, "request": 0, "length": 4 + len(element), **changed}
    fields = (header["length"], header["command"], header["flags"], channel, header["request"], number)
    return RawFrame(struct.pack(">IHHIII", *fields), bytes(4) + element)


HOSTILE: dict[str, Callable[[int], RawFrame]] = {
    "a channel that there is not": lambda channel: data(channel + 2, 1),
    "a channel that is not lossy": lambda channel: data(channel - 2, 1),
    "a channel of the other side": lambda channel: data(2, 1),
    "the connection itself": lambda channel: data(0, 1),
    "another command": lambda channel: data(channel, 1, command=int(Command.CLOSE)),
    "an unknown command": lambda channel: data(channel, 1, command=99),
    "a goodbye": lambda channel: data(0, 2, command=int(Command.BYE)),
    "a flag": lambda channel: data(channel, 1, flags=int(Flag.END)),
    "a flag that nobody knows": lambda channel: data(channel, 1, flags=1 << 15),
    "a request": lambda channel: data(channel, 1, request=1),
    "more than the channel takes": lambda channel: data(channel, 1, bytes(2001)),
    "another length than it has": lambda channel: data(channel, 1, length=4000),
    "less than a number": lambda channel: RawFrame(data(channel, 1, length=2).header, bytes(2)),
    "half a header": lambda channel: RawFrame(bytes(9), b""),
    "a number that was there": lambda channel: data(channel, 0),
    "a number from long ago": lambda channel: data(channel, ROUND - 5000),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_datagram_that_cannot_be_used_is_counted_and_changes_nothing(what: str) -> None:
    """Whatever is in it, the connection goes on, and so does the handle. Rows: W3, X3."""
    pair = able()
    pair.open(name="jobs")  # channel 1
    pair.a.open(OpenRequest("pose", OpenFlag.LOSSY))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, LATEST)
    pair.b.start_lossy(asked.channel_id)
    channel = only(pair.run(), Opened).channel_id
    assert len(pair.a.receive_datagram(data(channel, 0), 0.0)) == 1
    before = pair.a.stats()
    assert pair.a.receive_datagram(HOSTILE[what](channel), 0.0) == []
    after = pair.a.stats()
    assert (after.datagrams_ignored, after.datagrams_read) == (before.datagrams_ignored + 1, before.datagrams_read)
    assert after.elements_missing == 0
    assert only(pair.a.receive_datagram(data(channel, 1, b"next"), 0.0), LossyReceived).element == b"next"
    assert pair.a.state is State.OPEN
    assert pair.run() == []


def test_a_datagram_outside_of_the_open_state_is_counted_and_nothing_else() -> None:
    """Before the handshake is over, while a side leaves, and after the end. Row: W3."""
    pair = Pair(config=ConnectionConfig(datagrams=True))
    pair.a.start(0.0)
    assert pair.a.receive_datagram(data(1, 0), 0.0) == []
    pair, channel = lossy()
    pair.a.bye(0.0)
    assert pair.a.receive_datagram(data(channel, 0), 0.0) == []
    pair.run()
    assert pair.a.receive_datagram(data(channel, 0), 0.0) == []
    assert pair.a.stats().datagrams_ignored == 2


# -- frames of somebody hostile


def end(number: int, code: WireCode = WireCode.EPIPE) -> tuple[bytes, int]:
    return encode_number(number) + encode_reply(code), int(Flag.END)


BREACHES: dict[str, list[tuple[bytes, int]]] = {
    "an element behind the end": [end(0), (encode_number(0) + b"x", 0)],
    "an end behind the end": [end(0), end(0)],
    "an end that says that nothing is wrong": [end(0, WireCode.OK)],
    "an end with fewer than have come": [(encode_number(4) + b"x", 0), end(3)],
    "an element that is too long": [(encode_number(0) + bytes(2001), 0)],
    "no number": [(b"123", 0)],
}


@pytest.mark.parametrize("what", BREACHES)
def test_a_frame_that_must_not_come_ends_the_connection(what: str) -> None:
    """Row: W3."""
    pair, channel = lossy()
    order = pair.b.order(channel)
    assert order is not None
    events: list[Event] = []
    for payload, flags in BREACHES[what]:
        events += deliver(pair.a, [Frame(Command.DATA, flags, channel, 0, order.outgoing, (payload,))])
        order.outgoing += 1
    assert isinstance(only(events, ConnectionEnded).report.cause, ProtocolError)


def test_elements_that_nobody_asked_for_end_the_connection() -> None:
    """From the home of a handle that is not lossy, and with END from an opener. Row: W3."""
    pair = able()
    channel = pair.open()
    frame = Frame(Command.DATA, 0, channel, 0, 1, (encode_number(0) + b"x",))
    assert isinstance(only(deliver(pair.a, [frame]), ConnectionEnded).report.cause, ProtocolError)
    pair, channel = lossy()
    frame = Frame(Command.DATA, int(Flag.END), channel, 0, 1, (encode_number(0) + b"x",))
    assert isinstance(only(deliver(pair.b, [frame]), ConnectionEnded).report.cause, ProtocolError)


def test_a_home_cannot_send_behind_the_end_nor_on_a_handle_that_was_not_started() -> None:
    """Misuse, which changes nothing. Row: W3."""
    pair, channel = lossy()
    pair.b.end_lossy(channel, WireCode.EPIPE)
    plain = able()
    other = plain.open()
    for one, number in ((pair, channel), (plain, other)):
        with pytest.raises(ValueError, match="not lossy, or its end was told"):
            one.b.send_lossy(number, b"x", False, NOBODY)
        with pytest.raises(ValueError, match="not lossy, or its end was told"):
            one.b.end_lossy(number, WireCode.EPIPE)
