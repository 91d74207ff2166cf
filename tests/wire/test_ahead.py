# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Receives that nobody waits for yet: recalled once, and settled in front of the RETURN. Row: N4."""

from __future__ import annotations

import pytest
from attrs import evolve

from kcoro_core.errors import ProtocolError
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.events import (
    AheadRecalled,
    AheadReturned,
    CancelRequested,
    ConnectionEnded,
    ElementReceived,
    ElementsReturned,
    RecvRequested,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import FOREVER_MS, encode_timeout

from .pair import Pair, only, opened, written

AHEAD = int(Flag.AHEAD)


def asked(pair: Pair, channel: int, count: int) -> list[int]:
    """The ids, at the home, of so many receives ahead."""
    for _ in range(count):
        pair.a.recv(channel, ahead=True)
    events = pair.a_to_b()
    assert all(isinstance(event, RecvRequested) and event.ahead for event in events)
    return [event.request_id for event in events]  # type: ignore[attr-defined]


def breach(pair: Pair, frame: Frame, at_home: bool) -> str:
    """What an end says to a frame that should not have been sent."""
    end = pair.b if at_home else pair.a
    handle = end._handles.find(frame.channel_id)
    assert handle is not None
    events = end.receive_frame(evolve(frame, seq=handle.order.expected), 0)
    cause = only(events, ConnectionEnded).report.cause
    assert isinstance(cause, ProtocolError)
    return str(cause)


def test_untaken_elements_come_back_in_front_of_the_return() -> None:
    """One is taken, one lies there, one is not served: TAKEN, PUTBACK and CANCEL, then RETURN. Row: N4."""
    pair, channel = opened()
    ids = asked(pair, channel, 3)
    pair.b.push(ids[0], b"1")
    pair.b.push(ids[1], b"2")
    first, second = (event for event in pair.b_to_a() if isinstance(event, ElementReceived))
    pair.a.taken(first.request_id)
    assert pair.b.recall_ahead(channel)
    assert only(pair.b_to_a(), AheadRecalled).channel_id == channel
    pair.a.putback(second.request_id)
    pair.a.cancel(ids[2], 0)
    pair.a.give_back_ahead(channel)
    frames = written(pair.a)
    assert [frame.command for frame in frames] == [Command.PUTBACK, Command.CANCEL, Command.RETURN]
    assert frames[0].flags == Flag.TAKEN
    assert frames[2].flags == AHEAD
    events = [event for frame in frames for event in pair.b.receive_frame(frame, 0)]
    assert only(events, ElementsReturned).request_ids == (ids[1],)
    assert only(events, CancelRequested).request_id == ids[2]
    assert isinstance(events[-1], AheadReturned)


def test_what_is_waited_for_keeps_its_receive() -> None:
    """A receive that is not cancelled in front of the RETURN is answered like any other, behind it. Row: N4."""
    pair, channel = opened()
    (one,) = asked(pair, channel, 1)
    pair.b.recall_ahead(channel)
    pair.b_to_a()
    pair.a.give_back_ahead(channel)
    only(pair.a_to_b(), AheadReturned)
    assert pair.b.is_waiting(one)
    pair.b.push(one, b"v")
    assert only(pair.b_to_a(), ElementReceived).element == b"v"


def test_recalled_once_and_then_never_ahead_again() -> None:
    """A second recall is misuse at the home, another receive ahead at the opener. Row: N4."""
    pair, channel = opened()
    with pytest.raises(ValueError, match="recall is not possible"):
        pair.b.recall_ahead(channel)
    asked(pair, channel, 1)
    pair.b.recall_ahead(channel)
    with pytest.raises(ValueError, match="recall is not possible"):
        pair.b.recall_ahead(channel)
    pair.b_to_a()
    with pytest.raises(ValueError, match="recalled"):
        pair.a.recv(channel, ahead=True)
    pair.a.give_back_ahead(channel)
    pair.run()
    with pytest.raises(ValueError, match="recalled"):
        pair.a.recv(channel, ahead=True)
    with pytest.raises(ValueError, match="return is not possible"):
        pair.a.give_back_ahead(channel)


def test_a_receive_ahead_may_cross_the_recall() -> None:
    """It was sent before the recall was heard; the opener cancels it in front of the RETURN. Row: N4."""
    pair, channel = opened()
    asked(pair, channel, 1)
    pair.b.recall_ahead(channel)
    late = pair.a.recv(channel, ahead=True)
    assert only(pair.a_to_b(), RecvRequested).ahead
    pair.b_to_a()
    pair.a.cancel(late, 0)
    pair.a.give_back_ahead(channel)
    assert [type(event) for event in pair.a_to_b()] == [CancelRequested, AheadReturned]
    pair.b.refuse(late, WireCode.ECANCELED)
    pair.run()


def test_frames_that_mean_nothing_end_the_connection() -> None:
    """A recall or a return of nothing, both kinds in one frame, a receive ahead behind the return. Row: N4."""
    pair, channel = opened()
    assert "RECALL" in breach(pair, Frame(Command.RECALL, AHEAD, channel), at_home=False)
    pair, channel = opened()
    assert "RETURN" in breach(pair, Frame(Command.RETURN, AHEAD, channel), at_home=True)
    for at_home, command in ((False, Command.RECALL), (True, Command.RETURN)):
        pair, channel = opened()
        asked(pair, channel, 1)
        if at_home:
            pair.b.recall_ahead(channel)
        assert command.name in breach(pair, Frame(command, AHEAD | int(Flag.KEEP), channel), at_home)
    pair, channel = opened()
    asked(pair, channel, 1)
    pair.b.recall_ahead(channel)
    pair.b_to_a()
    pair.a.give_back_ahead(channel)
    pair.a_to_b()
    late = Frame(Command.RECV, AHEAD, channel, 99, 0, (encode_timeout(FOREVER_MS),))
    assert "behind the RETURN" in breach(pair, late, at_home=True)


def test_a_recall_that_crosses_a_detach_is_no_breach() -> None:
    """DETACH settles everything, whatever was asked meanwhile. Row: N8."""
    pair, channel = opened()
    (one,) = asked(pair, channel, 1)
    pair.b.push(one, b"v")
    pair.b_to_a()
    pair.a.detach(channel)
    pair.b.recall_ahead(channel)
    events = pair.run()
    assert only(events, ElementsReturned).request_ids == (one,)
    assert not [event for event in events if isinstance(event, ConnectionEnded)]
