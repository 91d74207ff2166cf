# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements by datagram: gaps, doubles and late ones are told apart exactly, for each kind (row N3b).

Against a plain model, over the simulated line, and over a real pair of UDP sockets.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core import plugins
from kcoro_core.errors import NotSupported, ProtocolError
from kcoro_core.semantics import Kind
from kcoro_core.transport import RawFrame
from kcoro_core.transports import sim_datagram
from kcoro_core.wire.commands import Command
from kcoro_core.wire.datagram import DELIVERED, WINDOW, Arrival, DatagramReceiver, DatagramSender, Verdict
from kcoro_core.wire.frame import HEADER_SIZE, Frame, frame_from_raw

from .datagram_model import Model
from .test_spec import first_table

ROUND = 1 << 32
KINDS = (Kind.BUFFERED, Kind.UNLIMITED, Kind.CONFLATED)
CHANNEL = 7


def frame(number: int) -> Frame:
    """The frame of that number, counted without end."""
    return DatagramSender(CHANNEL, number % ROUND).frame(b"%d" % number)


numbers = st.lists(
    st.one_of(
        st.integers(-5, 5), st.integers(-WINDOW - 3, -WINDOW + 3), st.integers(0, 3 * WINDOW), st.sampled_from([1] * 3)
    ),
    max_size=60,
)


@given(
    kind=st.sampled_from(KINDS), first=st.sampled_from([0, 1000, ROUND - 1, ROUND - 10, ROUND - 3000]), steps=numbers
)
def test_every_arrival_is_judged_as_by_the_plain_model(kind: Kind, first: int, steps: list[int]) -> None:
    """Steps are relative to the newest; numbers wrap on the way. Row: N3b."""
    model, receiver = Model(kind, first), DatagramReceiver(CHANNEL, kind, first)
    for step in steps:
        number = max(0, model.newest + step)
        before = model.missing
        verdict = model.receive(number)
        arrival = receiver.receive(frame(number))
        element = b"%d" % number if verdict in DELIVERED else None
        assert arrival == Arrival(verdict, element, max(0, model.missing - before), model.missing)
    counts = receiver.counts()
    assert (counts.delivered, counts.missing) == (len(model.delivered), model.missing)
    assert counts.newest == (model.newest % ROUND if model.newest >= first else None)


def test_a_late_element_repairs_the_count_on_a_buffered_channel_only() -> None:
    """Row: N3b."""
    for kind, verdict, missing in ((Kind.BUFFERED, Verdict.LATE, 1), (Kind.CONFLATED, Verdict.STALE, 2)):
        receiver = DatagramReceiver(CHANNEL, kind)
        assert receiver.receive(frame(2)) == Arrival(Verdict.NEW, b"2", 2, 2)
        arrival = receiver.receive(frame(0))
        assert (arrival.verdict, arrival.missing) == (verdict, missing)
        assert receiver.receive(frame(0)).verdict is Verdict.DOUBLE


def test_a_leap_of_half_a_round_costs_no_memory() -> None:
    """Whatever a peer says: the count is a number, and the window stays as small as it is. Row: N3b."""
    receiver = DatagramReceiver(CHANNEL, Kind.BUFFERED)
    for number in ((1 << 31) - 2, (1 << 32) - 4):
        receiver.receive(frame(number))
    assert receiver.counts().missing == (1 << 32) - 3 - 2
    assert receiver._settled.bit_length() <= WINDOW


def test_what_has_to_meet_cannot_go_by_datagram() -> None:
    """Row: N3b."""
    with pytest.raises(NotSupported, match="RENDEZVOUS"):
        DatagramReceiver(CHANNEL, Kind.RENDEZVOUS)


@pytest.mark.parametrize(
    "strange",
    [
        Frame(Command.SEND, 0, CHANNEL, 1, 0, (b"0000x",)),
        Frame(Command.DATA, 0, CHANNEL + 2, 0, 0, (b"0000x",)),
        Frame(Command.DATA, 0, CHANNEL, 0, 0, (b"000",)),
    ],
)
def test_anything_but_data_of_the_channel_is_refused_and_changes_nothing(strange: Frame) -> None:
    """Row: N3b."""
    receiver = DatagramReceiver(CHANNEL, Kind.BUFFERED)
    with pytest.raises(ProtocolError, match="only DATA of channel 7"):
        receiver.receive(strange)
    assert receiver.counts().newest is None


def test_every_verdict_stands_in_the_specification() -> None:
    """With what becomes of the element for each kind. Row: N3b."""
    rows = first_table("Elements by datagram", 4)
    assert [row[0] for row in rows] == [verdict.value for verdict in Verdict]
    for row, verdict in zip(rows, Verdict, strict=True):
        assert ("delivered" in row[2]) is (verdict in DELIVERED)


# ---------------------------------------------------------------------------------------------------------------------
# The law over media that lose
# ---------------------------------------------------------------------------------------------------------------------


def judge(kind: Kind, sent: int, arrived: Iterable[bytes]) -> tuple[list[int], DatagramReceiver]:
    """Receive what arrived of ``sent`` elements, and check the law: each is delivered once, or counted as missing."""
    receiver = DatagramReceiver(CHANNEL, kind)
    delivered: list[int] = []
    reported = 0
    for data in arrived:
        arrival = receiver.receive(frame_from_raw(RawFrame(data[:HEADER_SIZE], data[HEADER_SIZE:]), 1 << 16))
        reported += arrival.gap
        if arrival.element is not None:
            delivered.append(int(arrival.element))
    counts = receiver.counts()
    assert len(set(delivered)) == len(delivered), "delivered twice"
    newest = -1 if counts.newest is None else counts.newest
    assert set(range(newest + 1)) - set(delivered) == missing_of(newest, delivered)
    assert counts.missing == newest + 1 - len(delivered)
    assert newest < sent
    assert reported - counts.missing == sum(earlier(delivered)) if kind is not Kind.CONFLATED else True
    if kind is Kind.CONFLATED:
        assert delivered == sorted(delivered), "an older value came behind a newer one"
    return delivered, receiver


def missing_of(newest: int, delivered: list[int]) -> set[int]:
    return {number for number in range(newest + 1) if number not in set(delivered)}


def earlier(delivered: list[int]) -> list[bool]:
    """For each delivered element whether a newer one was delivered before it."""
    return [number < max(delivered[:i], default=-1) for i, number in enumerate(delivered)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_over_a_simulated_line_each_element_is_delivered_once_or_missing(kind: Kind, seed: int) -> None:
    """Loss, doubles, mix-ups and partitions together. Rows: N3b, N7."""
    vtable = plugins.transport("sim-datagram")
    query = "jitter=3ms&loss=0.1&duplicate=0.1&reorder=0.2&reorder_by=5ms&partition=0.01&partition_for=5ms"
    listener = vtable.listen(f"sim-datagram:law?{query}&seed={seed}", {})
    near, now = vtable.connect("sim-datagram:law", {}), 0.0
    vtable.pump(near, now, 0)
    far = vtable.accept(listener)
    sender, arrived = DatagramSender(CHANNEL), []
    for number in range(500):
        made = sender.frame(b"%d" % number)
        assert vtable.send_frame(near, made.header, made.parts, 0)
        now += 0.001
        arrived += pumped(vtable, near, far, now)
    arrived += pumped(vtable, near, far, now + 1)
    delivered, receiver = judge(kind, 500, arrived)
    counts, network = receiver.counts(), sim_datagram.network("law")
    assert all(network.counts[fault] for fault in ("loss", "duplicate", "reorder", "partition"))
    assert counts.missing > 0
    assert counts.doubles > 0
    assert (counts.stale > 0) is (kind is Kind.CONFLATED)
    assert any(earlier(delivered)) is (kind is not Kind.CONFLATED)
    for end in (near, far):
        vtable.abort(end)
    vtable.close(listener)


def pumped(vtable: Any, near: Any, far: Any, now: float) -> list[bytes]:
    for end in (near, far):
        vtable.pump(end, now, 0)
    taken = []
    while (raw := vtable.recv_frame(far, 1 << 16)) is not None:
        taken.append(raw.header + raw.payload)
    return taken


@pytest.mark.parametrize("kind", KINDS)
def test_over_real_udp_sockets_each_element_is_delivered_once_or_missing(kind: Kind) -> None:
    """The kernel drops what does not fit into a small buffer; doubles and mix-ups are sent on purpose. Row: N3b."""
    chance = random.Random(3)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending,
    ):
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        receiving.bind(("127.0.0.1", 0))
        receiving.setblocking(False)
        sending.connect(receiving.getsockname())
        sender = DatagramSender(CHANNEL)
        frames = [sender.frame(b"%d" % number).encode() for number in range(2000)]
        for i in range(0, len(frames) - 1, 10):
            frames[i], frames[i + 1] = frames[i + 1], frames[i]
        arrived: list[bytes] = []
        for i, data in enumerate(frames):
            for _ in range(2 if chance.random() < 0.1 else 1):
                sending.send(data)
            if i % 300 == 0:  # the reader is slow: bursts overflow its buffer
                arrived += read_all(receiving)
        arrived += read_all(receiving)
    delivered, receiver = judge(kind, 2000, arrived)
    assert delivered
    assert receiver.counts().missing > 100, "nothing was lost: the test shows less than it should"
    assert receiver.counts().doubles > 0


def read_all(receiving: socket.socket) -> list[bytes]:
    taken = []
    try:
        while True:
            taken.append(receiving.recv(1 << 16))
    except BlockingIOError:
        return taken


def _without_window(judge_: Callable[[DatagramReceiver, int], Verdict]) -> Callable[[DatagramReceiver, int], Verdict]:
    def planted(self: DatagramReceiver, seq: int) -> Verdict:
        verdict = judge_(self, seq)
        return Verdict.LATE if verdict is Verdict.DOUBLE else verdict

    return planted


def test_the_law_sees_a_receiver_that_delivers_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatagramReceiver, "_judge", _without_window(DatagramReceiver._judge))
    with pytest.raises(AssertionError, match="delivered twice"):
        judge(Kind.BUFFERED, 3, [frame(number).encode() for number in (0, 1, 1)])
