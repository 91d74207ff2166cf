# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Each queue that a peer fills has its cap, and what is over leaves nothing behind. Rows: W3, X3.

``docs/LIMITS.md`` lists the queues; what a whole link costs is tested in ``tests/link``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from kcoro_core.errors import CreditOverrun, LinkLost
from kcoro_core.wire import messages as m
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.connection import Connection, ConnectionConfig
from kcoro_core.wire.credit import MAX_QUESTIONS, Grant, encode_credit
from kcoro_core.wire.events import (
    DataReceived,
    ElementReceived,
    Event,
    OpenRequested,
    RecvRequested,
    SendRequested,
    SlotsReturned,
)
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits, charge
from kcoro_core.wire.messages import OpenFlag, OpenRequest
from kcoro_core.wire.states import State

from .held import held
from .pair import BUFFERED_4, Pair, deliver, established, opened, raw, written

SMALL = Limits(max_frame=4096, max_message=64, max_channels=3, max_inflight_requests=5, receive_budget=4096)
OPEN = m.encode_open(OpenRequest("jobs"))
FOREVER = m.encode_timeout(m.FOREVER_MS)


def opens(count: int, first: int = 1) -> list[Frame]:
    """OPENs of a peer that has never heard of limits; their ids are those of their requests."""
    return [Frame(Command.OPEN, 0, 2 * number - 1, number, 0, (OPEN,)) for number in range(first, first + count)]


def accept(connection: Connection, events: list[Event]) -> None:
    """Every channel that is asked for is opened."""
    for event in events:
        if isinstance(event, OpenRequested):
            connection.accept(event.request_id, BUFFERED_4)


def codes(frames: list[Frame]) -> list[int]:
    """The error numbers of the REPLYs among these."""
    replies = [frame.payload for frame in frames if frame.command == Command.REPLY]
    return [-struct.unpack(">i", payload[:4])[0] for payload in replies]


def test_channels_beyond_the_limit_are_refused_and_the_connection_goes_on() -> None:
    """An OPEN too many is ENOBUFS and leaves no handle; once one is detached there is room again. Row: W3."""
    pair = established(SMALL, SMALL)
    for frame in opens(20):
        accept(pair.b, deliver(pair.b, [frame]))
        expected = [WireCode.OK] if frame.request_id <= 3 else [WireCode.ENOBUFS]
        assert codes(written(pair.b)) == expected
    assert pair.b._handles.count(mine=False) == 3
    deliver(pair.b, [Frame(Command.DETACH, 0, 3, 0, 1)])
    written(pair.b)
    accept(pair.b, deliver(pair.b, opens(1, 21)))
    assert codes(written(pair.b)) == [WireCode.OK]


def test_refusals_that_are_not_read_are_bounded_like_requests() -> None:
    """A peer that opens and never reads has as many refusals waiting as requests were agreed to. Rows: W3, X3."""
    pair = established(SMALL, SMALL)
    for frame in opens(5):
        accept(pair.b, deliver(pair.b, [frame]))
    assert pair.b.stats().queued_frames == 5
    assert sum(held(pair.b._handles).values()) < 20
    deliver(pair.b, opens(1, 6))
    assert pair.b.report is not None
    assert "more than 5 requests" in str(pair.b.report.cause)


CYCLES: dict[str, Callable[[Pair, int], None]] = {}


def cycle(act: Callable[[Pair, int], None]) -> Callable[[Pair, int], None]:
    """Something that a peer may do as often as it likes; it takes an id for its channel and request."""
    CYCLES[act.__name__] = act
    return act


@cycle
def open_and_detach(pair: Pair, number: int) -> None:
    """A handle that is given up at once."""
    accept(pair.b, deliver(pair.b, opens(1, number)))
    deliver(pair.b, [Frame(Command.DETACH, 0, 2 * number - 1, 0, 1)])


@cycle
def open_and_cancel(pair: Pair, number: int) -> None:
    """The "rapid reset" of other protocols: asked, given up, and asked again."""
    channel = 2 * number - 1
    events = deliver(pair.b, opens(1, number))
    deliver(pair.b, [Frame(Command.CANCEL, 0, channel, number, 1)])
    for event in events:
        if isinstance(event, OpenRequested):
            pair.b.refuse(event.request_id, WireCode.ECANCELED)


@cycle
def open_of_nothing(pair: Pair, number: int) -> None:
    """A name that is not there."""
    for event in deliver(pair.b, opens(1, number)):
        if isinstance(event, OpenRequested):
            pair.b.refuse(event.request_id, WireCode.ENOENT)


@cycle
def open_and_leave_elements(pair: Pair, number: int) -> None:
    """A handle with an element that came and was never confirmed, a receive and a send that wait."""
    channel = 2 * number - 1
    accept(pair.b, deliver(pair.b, opens(1, number)))
    asks = [
        Frame(Command.RECV, 0, channel, 1_000_001, 1, (FOREVER,)),
        Frame(Command.RECV, 0, channel, 1_000_002, 2, (FOREVER,)),
        Frame(Command.SEND, 0, channel, 1_000_003, 3, (FOREVER, b"x")),
    ]
    first, _second, _third = deliver(pair.b, asks)
    assert isinstance(first, RecvRequested)
    pair.b.push(first.request_id, b"element")
    written(pair.b)
    for event in deliver(pair.b, [Frame(Command.DETACH, 0, channel, 0, 4)]):
        if pair.b.is_waiting(number := getattr(event, "request_id", 0)):
            pair.b.refuse(number, WireCode.ECANCELED)


@cycle
def unknown_commands(pair: Pair, number: int) -> None:
    """What is not built, asked on the connection itself."""
    deliver(pair.b, [Frame(200, 0, 0, number, number + 1, (b"future",))])


@cycle
def pings(pair: Pair, number: int) -> None:
    """Signs of life without end."""
    deliver(pair.b, [Frame(Command.PING, 0, 0, 0, number + 1, (bytes(8),))])


@pytest.mark.parametrize("name", CYCLES)
def test_what_is_over_leaves_nothing_behind(name: str) -> None:
    """A thousand times the same, read by the peer: as much is held as after ten times. Rows: W3, X3."""
    pair = established(SMALL, SMALL)
    sizes = []
    for number in range(1, 1001):
        CYCLES[name](pair, number)
        written(pair.b)
        if number in (10, 1000):
            sizes.append(held(pair.b))
    assert pair.b.state is State.OPEN
    assert sizes[0] == sizes[1]


def test_what_is_held_can_be_seen_to_grow() -> None:
    """The measure finds a container that grows, wherever it lies. Row: X3."""
    pair = established(SMALL, SMALL)
    before = held(pair.b)
    accept(pair.b, deliver(pair.b, opens(1)))
    assert held(pair.b) != before


def test_the_cost_of_an_open_does_not_grow_with_the_handles() -> None:
    """With 2,000 handles open, one more walks over none of them. Rows: W3, X3."""
    many = Limits(max_channels=1 << 16, max_inflight_requests=10)
    pair = established(many, many)
    for frame in opens(2000):
        accept(pair.b, deliver(pair.b, [frame]))
        written(pair.b)
    walked = 0

    class Watched(dict):  # type: ignore[type-arg]
        def values(self) -> object:  # type: ignore[override]
            nonlocal walked
            walked += 1
            return super().values()

    table = pair.b._handles
    table._handles = Watched(table._handles)
    accept(pair.b, deliver(pair.b, opens(9, 2001)))
    assert table.count(mine=False) == 2009
    assert walked == 0


def test_an_id_that_waits_for_its_neighbours_is_not_used_twice() -> None:
    """Two elements under one id would be one on the books, the other lost: the connection ends. Rows: N1b, W3."""
    pair, channel = opened(SMALL, SMALL)
    for event in deliver(pair.b, [Frame(Command.RECV, 0, channel, 7 + n, 1 + n, (FOREVER,)) for n in range(2)]):
        assert isinstance(event, RecvRequested)
        pair.b.push(event.request_id, b"%d" % event.request_id)
    written(pair.b)
    deliver(pair.b, [Frame(Command.PUTBACK, 0, channel, 8, 3)])
    assert pair.b.unsettled(channel) == 2
    deliver(pair.b, [Frame(Command.RECV, 0, channel, 8, 4, (FOREVER,))])
    report = pair.b.report
    assert report is not None
    assert "request id 8 is 0, or in flight" in str(report.cause)
    assert [one.request_id for one in report.elements] == [7, 8]


def test_acknowledgements_that_cannot_be_written_are_bounded() -> None:
    """While the medium is stuck no more elements come than requests were agreed to, taken or not. Row: X3."""
    pair, channel = opened(SMALL, SMALL)
    taken = 0
    for _ in range(5):
        pair.a.recv(channel)
    for event in pair.a_to_b():
        if isinstance(event, RecvRequested):
            pair.b.push(event.request_id, b"e")
    for event in pair.b_to_a():
        if isinstance(event, ElementReceived):
            pair.a.taken(event.request_id)
            taken += 1
            pair.a.recv(channel)  # there is room for our own count; it is queued, and cannot be written
    assert taken == 5
    assert len(pair.a._handles.find(channel).acks) == 5  # type: ignore[union-attr]
    frame = pair.a.poll_transmit()
    assert frame is not None
    assert frame.command == Command.TAKEN


@pytest.mark.parametrize(("name", "codec", "fits"), [(255, 63, True), (1, 64, False), (0, 0, False)])
def test_names_have_their_limits(name: int, codec: int, fits: bool) -> None:
    """A name has 1 to 255 bytes, a codec at most 63; anything else ends the connection by name. Row: W3."""
    payload = struct.pack(">BBHIBB", 255, 255, 0, m.UNBOUNDED, name, codec) + b"n" * name + b"c" * codec
    pair = established(SMALL, SMALL)
    events = deliver(pair.b, [Frame(Command.OPEN, 0, 1, 1, 0, (payload,))])
    assert [type(event) for event in events if fits] == ([OpenRequested] if fits else [])
    if not fits:
        assert pair.b.report is not None
        assert "OPEN: " in str(pair.b.report.cause)
        assert pair.b.report.parked == ()


def test_an_open_with_an_element_behind_it_is_refused_not_kept() -> None:
    """A first frame that brings data before the answer to its OPEN is a breach, whatever its size. Row: W3."""
    pair = established(SMALL, SMALL)
    deliver(pair.b, opens(1))
    send = Frame(Command.SEND, 0, 1, 2, 1, (FOREVER, bytes(4000)))
    events = pair.b.receive(raw(send), 0)
    assert not any(isinstance(event, SendRequested) for event in events)
    assert pair.b.report is not None
    assert "which is asked" in str(pair.b.report.cause)


def test_a_bye_carries_a_text_of_at_most_256_bytes() -> None:
    """A breach cannot make us echo more than that. Row: W3."""
    pair = established(SMALL, SMALL)
    deliver(pair.b, [Frame(Command.OPEN, 0, 4, 1, 0, (bytes(4000),))])
    (bye,) = written(pair.b)
    _, text = m.decode_bye(Fields(bye.payload, "BYE"))
    assert 0 < len(text.encode()) <= 256


# -- flow mode


def lent(pair: Pair, slots: int = 4) -> int:
    """A channel of which slots are lent to ``a``."""
    pair.a.open(OpenRequest("jobs", OpenFlag.LEND))
    (asked,) = (event for event in pair.a_to_b() if isinstance(event, OpenRequested))
    pair.b.accept(asked.request_id, BUFFERED_4)
    assert pair.b.start_lending(asked.channel_id, slots)
    pair.b.lend(asked.channel_id, slots)
    pair.run()
    return asked.channel_id


def test_a_home_that_grants_the_moon_is_sent_no_more_than_the_budget() -> None:
    """Beyond its own lending budget an opener keeps nothing unconfirmed: it asks, as without slots. Rows: N4, X3."""
    config = ConnectionConfig(lending_budget=100 * charge(1000))
    pair = Pair(config=config)
    pair.start()
    channel = lent(pair)
    moon = encode_credit([(channel, Grant(0, 1 << 29, 1 << 29))])
    deliver(pair.a, [Frame(Command.CREDIT, 0, 0, 0, 2, (moon,))])
    assert pair.a.slots(channel) == 1 << 29
    sent = sum(pair.a.send_data(channel, bytes(1000)).done for _ in range(1000))
    assert sent == 100
    frames = written(pair.a)
    deliver(pair.a, [Frame(Command.CREDIT, 0, 0, 0, 3, (encode_credit([(channel, Grant(40, 1 << 29, 1 << 29))]),))])
    assert sum(pair.a.send_data(channel, bytes(1000)).done for _ in range(1000)) == 40
    assert len(frames) == 100
    events = pair.a.lose(LinkLost("cut"))
    assert len(events[-1].report.data) == 100  # type: ignore[attr-defined]


def test_questions_that_are_not_read_are_bounded() -> None:
    """A home that asks and asks, and reads no answer, has broken the protocol with the 65th. Row: X3."""
    pair = established()
    channel = lent(pair)
    seq = pair.a._handles.find(channel).order.expected  # type: ignore[union-attr]
    asks = [Frame(Command.RECALL, Flag.KEEP, channel, 0, seq + number) for number in range(MAX_QUESTIONS + 1)]
    deliver(pair.a, asks[:-1])
    assert pair.a.state is State.OPEN
    assert pair.a.stats().queued_frames == MAX_QUESTIONS
    deliver(pair.a, asks[-1:])
    assert pair.a.report is not None
    assert "more than 64" in str(pair.a.report.cause)


@pytest.mark.parametrize("recalled_after", [None, 0, 70])
def test_a_home_asks_no_more_than_it_may_and_every_question_is_answered(recalled_after: int | None) -> None:
    """What is over 64 waits at the home, until one is answered, or the slots come back. Row: N4."""
    pair = established()
    channel = lent(pair)
    for _ in range(200):
        pair.b.ask(channel)
    answers = back = 0
    while pair.b.has_frames() or pair.a.has_frames():
        pair.b_to_a()
        assert pair.a.report is None
        for event in pair.a_to_b():
            if isinstance(event, SlotsReturned):
                answers += event.keep
                back += not event.keep
        if recalled_after is not None and answers >= recalled_after:
            pair.b.recall(channel)
            recalled_after = None
    assert (answers, back) == (200, 0) if back == 0 else (answers in (64, 128), back)


def test_grants_that_are_not_read_are_one_for_each_handle() -> None:
    """However often slots are used and lent again: one grant waits on each handle, always the newest. Row: X3."""
    pair = established()
    channel = lent(pair)
    for _ in range(4):
        assert pair.a.send_data(channel, b"x").done
        pair.a_to_b()
    for _ in range(50):
        pair.b.lend(channel, 4)
        assert sum(held(pair.b._lender.grants).values()) < 10
    assert [frame.command for frame in written(pair.b)] == [Command.CREDIT]


def test_items_are_bounded() -> None:
    """An OPEN carries 32 items of 1024 bytes at most; more ends the connection before they are kept. Row: W3."""
    for items in ({kind | 0x8000: b"" for kind in range(33)}, {0x8001: bytes(1025)}):
        body = b"".join(struct.pack(">HH", kind, len(value)) + value for kind, value in items.items())
        pair = established()
        deliver(pair.b, [Frame(Command.OPEN, 0, 1, 1, 0, (OPEN + body,))])
        assert pair.b.report is not None
        assert "more than 32 items" in str(pair.b.report.cause)


def test_data_beyond_what_was_granted_ends_the_connection() -> None:
    """A first frame beyond the window, or one more than the slots: named, and nothing of it is kept. Row: W3."""
    for count, size in ((5, 1), (1, 4080)):
        pair = Pair(config=ConnectionConfig(lending_budget=4096))
        pair.start()
        channel = lent(pair)
        seq = pair.b._handles.find(channel).order.expected  # type: ignore[union-attr]
        for number in range(count):
            events = deliver(pair.b, [Frame(Command.DATA, 0, channel, 0, seq + number, (bytes(4), bytes(size)))])
        assert not any(isinstance(event, DataReceived) for event in events)
        assert pair.b.report is not None
        assert isinstance(pair.b.report.cause, CreditOverrun)
