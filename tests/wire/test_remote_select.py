# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Registrations, turns and claims on the wire: bytes, accounts, and what a peer may not do (rows N5, N5b)."""

from __future__ import annotations

import pytest

from kcoro_core.errors import AccessDenied, ChannelClosed, LinkLost, MessageTooLong, NoBuffers
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.events import (
    CancelRequested,
    ClaimRequested,
    ConnectionEnded,
    ElementReceived,
    ElementsReturned,
    Fate,
    Notified,
    RegisterRequested,
    ReplyReceived,
    RequestInDoubt,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Attributes, Closing, Rights
from kcoro_core.wire.remote_select import Readiness, encode_notify
from kcoro_core.wire.states import State

from .pair import Pair, deliver, established, only, opened, written

SEND_READY, RECV_READY, CLOSED = Readiness
MASKS = [Readiness(mask) for mask in range(1, 8)]


def hexed(frames: list[Frame]) -> list[str]:
    """Frames as hexadecimal text, header and payload apart."""
    return [f"{frame.header.hex()} {frame.payload.hex()}" for frame in frames]


def stand(pair: Pair, channel: int, mask: Readiness = RECV_READY, serial: int = 5) -> int:
    """A registration that has reached its home."""
    registration = pair.a.register(channel, serial, mask)
    asked = only(pair.a_to_b(), RegisterRequested)
    assert (asked.request_id, asked.channel_id, asked.serial, asked.mask) == (registration, channel, serial, mask)
    return registration


@pytest.mark.parametrize("mask", MASKS, ids=int)
def test_every_mask_has_its_bytes(mask: Readiness) -> None:
    """Golden frames: a registration and the news of each of its events. Row: N5b."""
    pair, channel = opened()
    registration = pair.a.register(channel, 0x0102030405060708, mask)
    (frame,) = written(pair.a)
    assert hexed([frame]) == [f"00000009002000000000000100000002{1:08x} 0102030405060708{int(mask):02x}"]
    deliver(pair.b, [frame])
    for seq, event in enumerate((one for one in Readiness if one & mask), start=1):
        assert pair.b.notify(registration, event, 0x0A0B0C0D)
        (told,) = written(pair.b)
        assert hexed([told]) == [f"00000005002200000000000100000002{seq:08x} {int(event):02x}0a0b0c0d"]
        assert deliver(pair.a, [told]) == [Notified(registration, channel, int(event), 0x0A0B0C0D)]


def test_claims_and_withdrawals_have_their_bytes() -> None:
    """Golden frames: a claim that takes, one that gives, the grant of each, and the end. Row: N5."""
    pair, channel = opened()
    registration = stand(pair, channel, SEND_READY | RECV_READY)
    takes = pair.a.claim(registration, 7, RECV_READY)
    gives = pair.a.claim(registration, 8, SEND_READY, b"element")
    frames = written(pair.a)
    assert hexed(frames) == [
        "0000000900230000000000010000000300000002 000000020000000702",
        "0000001000230000000000010000000400000003 000000020000000801656c656d656e74",
    ]
    assert deliver(pair.b, frames) == [
        ClaimRequested(takes, channel, registration, 7, RECV_READY, None),
        ClaimRequested(gives, channel, registration, 8, SEND_READY, b"element"),
    ]
    pair.b.push(takes, b"v")
    pair.b.done(gives)
    frames = written(pair.b)
    assert hexed(frames) == [
        "0000000500010000000000010000000300000001 0000000076",
        "0000000400010000000000010000000400000002 00000000",
    ]
    assert deliver(pair.a, frames) == [
        ElementReceived(takes, channel, b"v", False),
        ReplyReceived(gives, channel, Command.SELECT_CLAIM),
    ]
    pair.a.taken(takes)
    pair.a.unregister(registration)
    frames = written(pair.a)
    assert hexed(frames) == ["0000000400210020000000010000000200000004 00000003"]
    assert CancelRequested(registration, channel, Command.SELECT_REGISTER) in deliver(pair.b, frames)
    pair.b.refuse(registration, WireCode.ECANCELED)
    assert pair.b_to_a() == []
    assert (pair.a.stats().requests_in_flight, pair.a.accepted(channel)) == (0, 1)


def test_a_registration_counts_among_the_requests_until_it_is_answered() -> None:
    """So its number is bounded at both ends, alike. Rows: N5, W3."""
    pair, channel = opened(Limits(max_inflight_requests=2), Limits(max_inflight_requests=2))
    first = stand(pair, channel)
    stand(pair, channel)
    with pytest.raises(NoBuffers):
        pair.a.register(channel, 5, RECV_READY)
    pair.a.unregister(first)
    with pytest.raises(NoBuffers):
        pair.a.register(channel, 5, RECV_READY)
    for event in pair.a_to_b():
        assert isinstance(event, CancelRequested)
        pair.b.refuse(event.request_id, WireCode.ECANCELED)
    pair.b_to_a()
    stand(pair, channel)
    assert pair.a.state is pair.b.state is State.OPEN


def test_one_that_was_not_written_is_withdrawn_without_a_trace() -> None:
    """Nothing is sent, and nothing is in flight. Row: N5."""
    pair, channel = opened()
    pair.a.unregister(pair.a.register(channel, 5, RECV_READY))
    assert (written(pair.a), pair.a.stats().requests_in_flight) == ([], 0)


def test_what_crosses_a_withdrawal_is_dropped() -> None:
    """A NOTIFY that was on its way, and the answer, are nobody's news; a second withdrawal is harmless. Row: N5."""
    pair, channel = opened()
    registration = stand(pair, channel)
    pair.b.notify(registration, RECV_READY, 1)
    pair.a.unregister(registration)
    pair.a.unregister(registration)
    assert pair.b_to_a() == []
    pair.b.refuse(registration, WireCode.ENOBUFS)  # by itself, before it has heard
    assert pair.b_to_a() == []
    assert pair.a_to_b() == []
    assert pair.a.stats().late_replies == 0
    pair.a.unregister(registration)
    assert not pair.b.notify(registration, RECV_READY, 2)


@pytest.mark.parametrize(
    ("request_id", "payload"),
    [
        (99, encode_notify(RECV_READY, 1)),
        (3, encode_notify(RECV_READY, 1)),
        (2, encode_notify(Readiness(0), 1)),
        (2, b"\x08\0\0\0\1"),
        (2, b"short"),
        (2, encode_notify(RECV_READY, 1) + b"x"),
    ],
    ids=["unknown", "no registration", "no event", "unknown event", "truncated", "too long"],
)
def test_a_notify_that_nobody_can_have_asked_for_ends_the_connection(request_id: int, payload: bytes) -> None:
    """Named, and once. Rows: N5, W1."""
    pair, channel = opened()
    registration = stand(pair, channel)
    pair.a.recv(channel)
    pair.a_to_b()
    assert (registration, channel) == (2, 1)
    frame = Frame(Command.SELECT_NOTIFY, 0, channel, request_id, 1, (payload,))
    assert isinstance(deliver(pair.a, [frame])[-1], ConnectionEnded)


def test_an_answer_that_calls_a_registration_a_success_ends_the_connection() -> None:
    """A registration can only end. Rows: N5, W1."""
    pair, channel = opened()
    registration = stand(pair, channel)
    frame = Frame(Command.REPLY, 0, channel, registration, 1, (b"\0\0\0\0",))
    assert isinstance(deliver(pair.a, [frame])[-1], ConnectionEnded)


def test_what_can_be_refused_here_is_not_sent() -> None:
    """Right, size, close, and a claim of nothing. Row: N5."""
    pair = established()
    receiving = pair.open(Attributes(Kind.BUFFERED, Overflow.SUSPEND, 4, Rights.RECV, 100))
    with pytest.raises(AccessDenied):
        pair.a.register(receiving, 5, SEND_READY | RECV_READY)
    sending = pair.open(Attributes(Kind.BUFFERED, Overflow.SUSPEND, 4, Rights.SEND, 100))
    registration = stand(pair, sending, SEND_READY)
    with pytest.raises(MessageTooLong):
        pair.a.claim(registration, 1, SEND_READY, bytes(101))
    with pytest.raises(AccessDenied):
        pair.a.claim(registration, 1, RECV_READY)
    with pytest.raises(ValueError, match="not in flight"):
        pair.a.claim(registration + 1, 1, SEND_READY, b"x")
    with pytest.raises(ValueError, match="no registration"):
        pair.a.claim(pair.a.send(sending, b"x"), 1, SEND_READY, b"x")
    pair.b.tell_closed(sending, Closing())
    pair.b_to_a()
    with pytest.raises(ChannelClosed):
        pair.a.claim(registration, 1, SEND_READY, b"x")


def test_a_claim_that_is_cancelled_asks_and_is_in_doubt_after_the_grace() -> None:
    """As any request: CANCEL behind it, the answer decides, then doubt; ``sends`` says what went. Rows: N5, N1."""
    pair, channel = opened()
    registration = stand(pair, channel, SEND_READY | RECV_READY)
    gives = pair.a.claim(registration, 1, SEND_READY, b"x")
    takes = pair.a.claim(registration, 2, RECV_READY)
    pair.a_to_b()
    assert not pair.a.cancel(gives, 0)
    assert not pair.a.cancel(takes, 0)
    assert [event for event in pair.a_to_b() if isinstance(event, CancelRequested)] == [
        CancelRequested(gives, channel, Command.SELECT_CLAIM),
        CancelRequested(takes, channel, Command.SELECT_CLAIM),
    ]
    assert pair.a.handle_timeout(1) == [
        RequestInDoubt(gives, channel, Command.SELECT_CLAIM, sends=True),
        RequestInDoubt(takes, channel, Command.SELECT_CLAIM),
    ]
    pair.b.push(takes, b"late")
    assert pair.b_to_a() == []
    assert only(pair.a_to_b(), ElementsReturned).request_ids == (takes,)


def test_a_handle_that_is_given_up_ends_what_stands_and_what_takes() -> None:
    """At once at the opener; at home the owner takes them out, and what was granted comes back. Rows: N5, N1b."""
    pair, channel = opened()
    registration = stand(pair, channel, SEND_READY | RECV_READY)
    takes = pair.a.claim(registration, 1, RECV_READY)
    gives = pair.a.claim(registration, 2, SEND_READY, b"x")
    pair.a_to_b()
    pair.b.push(takes, b"v")
    assert set(pair.a.detach(channel)) == {registration, takes}
    events = pair.a_to_b()
    assert {event.request_id for event in events if isinstance(event, CancelRequested)} == {registration, gives}
    assert only(events, ElementsReturned).request_ids == (takes,)
    assert not pair.b.notify(registration, RECV_READY, 1)
    pair.b.refuse(registration, WireCode.ECANCELED)
    pair.b.refuse(gives, WireCode.ECANCELED)
    assert [type(event).__name__ for event in pair.b_to_a()] == ["ReplyReceived", "Detached"]
    assert (pair.a.stats().requests_in_flight, pair.a.state, pair.b.state) == (0, State.OPEN, State.OPEN)


def test_an_element_that_was_granted_is_on_the_ledger_until_it_is_confirmed() -> None:
    """A cut leaves it in doubt at home, and the claim in doubt at the opener. Rows: N5, N6."""
    pair, channel = opened()
    registration = stand(pair, channel)
    takes = pair.a.claim(registration, 1, RECV_READY)
    pair.a_to_b()
    pair.b.push(takes, b"v")
    written(pair.b)
    assert pair.b.unsettled(channel) == 1
    lost = only(pair.b.lose(LinkLost("cut")), ConnectionEnded).report
    assert [(one.request_id, one.fate) for one in lost.elements] == [(takes, Fate.IN_DOUBT)]
    assert [one.request_id for one in lost.parked] == [registration]
    fates = {one.request_id: one.fate for one in only(pair.a.lose(LinkLost("cut")), ConnectionEnded).report.requests}
    assert fates[takes] is Fate.IN_DOUBT


def test_misuse_by_the_owner_changes_nothing() -> None:
    """The wrong kind of grant is a ValueError. Row: W1."""
    pair, channel = opened()
    registration = stand(pair, channel, SEND_READY | RECV_READY)
    takes = pair.a.claim(registration, 1, RECV_READY)
    gives = pair.a.claim(registration, 2, SEND_READY, b"x")
    pair.a_to_b()
    for misuse in (
        lambda: pair.b.done(takes),
        lambda: pair.b.push(gives, b"v"),
        lambda: pair.b.done(registration),
        lambda: pair.b.push(registration, b"v"),
    ):
        with pytest.raises(ValueError, match="of the peer"):
            misuse()
    assert pair.b.is_waiting(takes)
    assert pair.b.is_waiting(gives)
