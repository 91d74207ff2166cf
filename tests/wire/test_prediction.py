# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A frame that was predicted means what it means without: the way it is taken is shorter, and nothing else.

Each law does the same with connections that predict and with connections that never do, and compares all that shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.transport import RawFrame
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.events import Event, SendRequested
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.prediction import Prediction

from .pair import Pair, deliver, opened, raw, written

SENDS = 4
"""Messages before the one that is looked at: the first teaches what to expect."""


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Do something twice, the second time without predictions; what both gave, which is the same."""

    def twice(do: Callable[[], Any]) -> Any:
        given = do()
        with monkeypatch.context() as patch:
            patch.setattr(Prediction, "follow", lambda *_: None)
            assert do() == given
        return given

    return twice


def answer(pair: Pair, events: list[Event]) -> None:
    """Accept every element that was asked about."""
    for event in events:
        if isinstance(event, SendRequested):
            pair.b.done(event.request_id)


def exchanged(limits: Limits | None = None, first: int | None = None) -> tuple[Pair, int]:
    """A pair over which some sends went, one after another; ``first`` is the number of the next frame each way."""
    pair, channel_id = opened(limits, limits)
    for order in (pair.a.order(channel_id), pair.b.order(channel_id)) if first is not None else ():
        assert order is not None
        order.expected = order.outgoing = first  # type: ignore[assignment]
    for i in range(SENDS):
        pair.a.send(channel_id, b"element %d" % i)
        answer(pair, pair.a_to_b())
        pair.b_to_a()
    return pair, channel_id


def seen(connection: Connection, events: list[Event], channel_id: int) -> tuple[Any, ...]:
    """All that shows of a connection and of what it has said."""
    order = connection.order(channel_id)
    counts = None if order is None else (order.expected, order.outgoing)
    waiting = connection.in_flight(SENDS + 2), connection.is_waiting(SENDS + 2)
    told = [str(frame) for frame in written(connection)]
    due = connection.next_deadline()
    late = str(connection.handle_timeout(1.0 if due is None else due))
    return (
        str(events),
        str(connection.stats()),
        connection.state,
        str(connection.report),
        counts,
        waiting,
        told,
        due,
        late,
    )


@pytest.mark.parametrize("end", ["home", "opener"])
def test_frames_that_follow_each_other_are_predicted(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends at the home, and answers at the opener: else the other laws here would say nothing."""
    pair, channel_id = exchanged()
    taken = []
    take = Connection._take_predicted
    monkeypatch.setattr(
        Connection, "_take_predicted", lambda *some: taken.append((some[0], take(*some))) or taken[-1][1]
    )
    pair.a.send(channel_id, b"next")
    answer(pair, pair.a_to_b())
    pair.b_to_a()
    assert (pair.b if end == "home" else pair.a, True) in taken


def changed(frame: Frame, bit: int) -> RawFrame:
    """The frame with one bit of header or payload the other way."""
    data = bytearray(raw(frame).header + raw(frame).payload)
    data[bit // 8] ^= 1 << bit % 8
    return RawFrame(bytes(data[:20]), bytes(data[20:]))


@pytest.mark.parametrize("end", ["home", "opener"])
@pytest.mark.parametrize("bit", range(8 * 26))
def test_a_frame_with_any_bit_changed_is_taken_as_without(both: Any, end: str, bit: int) -> None:
    """Every field of a header, and the first bytes of a payload. Row: Q9."""

    def do() -> Any:
        pair, channel_id = exchanged()
        pair.a.send(channel_id, b"element")
        (frame,) = written(pair.a)
        if end == "home":
            return seen(pair.b, pair.b.receive(changed(frame, bit), 1.0), channel_id)
        answer(pair, deliver(pair.b, [frame]))
        (reply,) = written(pair.b)
        size = 8 * (20 + len(reply.payload))
        return seen(pair.a, pair.a.receive(changed(reply, bit % size), 1.0), channel_id)

    both(do)


@pytest.mark.parametrize("cut", [0, 3, 4, 5])
def test_a_payload_that_is_shorter_or_longer_than_usual_is_taken_as_without(both: Any, cut: int) -> None:
    """Also one that has no room for what stands in front of the element. Row: Q9."""

    def do() -> Any:
        pair, channel_id = exchanged()
        pair.a.send(channel_id, b"element")
        (frame,) = written(pair.a)
        short = Frame(frame.command, 0, channel_id, frame.request_id, frame.seq, (frame.payload[:cut],))
        return seen(pair.b, pair.b.receive(raw(short), 1.0), channel_id)

    both(do)


@pytest.mark.parametrize("size", [64, 200])
def test_what_exceeds_the_agreed_frame_is_refused_as_without(both: Any, size: int) -> None:
    """The limit holds for a frame that was predicted, too. Row: Q9."""

    def do() -> Any:
        pair, channel_id = exchanged(Limits(max_frame=1 << 12))
        pair.a.send(channel_id, b"element")
        (frame,) = written(pair.a)
        parts = (frame.payload[:4], bytes(size << 5))
        long = Frame(frame.command, 0, channel_id, frame.request_id, frame.seq, parts)
        return seen(pair.b, pair.b.receive(raw(long), 1.0), channel_id)

    both(do)


@pytest.mark.parametrize("first", [(1 << 32) - n for n in range(1, SENDS + 3)])
def test_numbers_wrap_as_without(both: Any, first: int) -> None:
    """The number behind 2^32 - 1 is 0. Row: N3b."""

    def do() -> Any:
        pair, channel_id = exchanged(first=first)
        pair.a.send(channel_id, b"element")
        events = pair.a_to_b()
        answer(pair, events)
        return seen(pair.b, events, channel_id), seen(pair.a, pair.b_to_a(), channel_id)

    both(do)


@pytest.mark.parametrize("ahead", range(-1, 4))
def test_a_frame_on_a_handle_that_is_gone_is_taken_as_without(both: Any, ahead: int) -> None:
    """Also the one that would have been predicted had the handle stayed."""

    def do() -> Any:
        pair, channel_id = exchanged()
        pair.a.send(channel_id, b"element")
        (frame,) = written(pair.a)
        answer(pair, deliver(pair.b, [frame]))
        pair.a.detach(channel_id)
        pair.run()
        late = Frame(frame.command, 0, channel_id, frame.request_id + 1, frame.seq + ahead, frame.parts)
        return seen(pair.b, pair.b.receive(raw(late), 1.0), channel_id)

    both(do)


@pytest.mark.parametrize("end", ["bye", "lose", "drain"])
def test_what_comes_behind_an_end_is_taken_as_without(both: Any, end: str) -> None:
    """A farewell, a drain or a lost medium: the next frame would have been the predicted one."""

    def do() -> Any:
        pair, channel_id = exchanged()
        pair.a.send(channel_id, b"element")
        late = written(pair.a)
        if end == "bye":
            pair.b.bye(1.0, text="that is all")
        elif end == "drain":
            pair.b.drain()
        else:
            pair.b.lose(OSError("cut"))
        written(pair.b)
        return [seen(pair.b, pair.b.receive(raw(frame), 1.0), channel_id) for frame in late]

    both(do)


@pytest.mark.parametrize("seed", range(60))
def test_a_conversation_is_the_same_as_without(both: Any, seed: int) -> None:
    """Sends over two channels, answered, refused, cancelled, in any order and any turns; handles given up. Row: N1."""

    def do() -> Any:
        chance = random.Random(seed)
        pair, first = opened()
        channels = [first, pair.open(name="other")]
        story: list[str] = []
        waiting: list[int] = []
        mine: list[int] = []
        for _ in range(120):
            what = chance.choice(["send", "send", "send", "answer", "answer", "refuse", "cancel", "cross", "detach"])
            if what == "send" and channels:
                mine.append(pair.a.send(channels[chance.random() < 0.2 and len(channels) > 1], b"e"))
            elif what in ("answer", "refuse") and waiting:
                number = waiting.pop(0)
                if pair.b.is_waiting(number):
                    story.append(str(pair.b.done(number) if what == "answer" else pair.b.refuse(number, 11)))
            elif what == "cancel" and mine:
                number = mine.pop(chance.randrange(len(mine)))
                if pair.a.in_flight(number):
                    story.append(f"cancel {pair.a.cancel(number, pair.now)}")
            elif what == "detach" and len(channels) > 1 and chance.random() < 0.1:
                pair.a.detach(channels.pop())
            events = pair.a_to_b() if chance.random() < 0.7 else []
            waiting += [event.request_id for event in events if isinstance(event, SendRequested)]
            events += pair.b_to_a() if chance.random() < 0.7 else []
            story += map(str, events)
        return story, str(pair.a.stats()), str(pair.b.stats()), pair.a.state, pair.b.state

    both(do)
