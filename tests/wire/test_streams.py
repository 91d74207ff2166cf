# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two connections over a medium whose lanes overtake each other: no breach, and channels mean what they meant.

The medium keeps the contract of STREAMS and nothing more: frames of one lane in order, fences where they stand.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcoro_core.errors import NoBuffers
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.transport import FENCE, RawFrame
from kcoro_core.transports.lanes import LaneReader, LaneWriter
from kcoro_core.wire import events
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, ConnectionConfig
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Attributes, OpenFlag, OpenRequest
from kcoro_core.wire.states import State

from .pair import EVERY_RIGHT, Pair

STREAMS = ConnectionConfig(streams=True)
MANY = Attributes(Kind.UNLIMITED, Overflow.SUSPEND, None, EVERY_RIGHT, 1 << 20)
FEW = Limits(max_inflight_requests=4)


class Lanes:
    """One direction: what was written, lane by lane, and which lanes stand still."""

    def __init__(self) -> None:
        self.writer, self.reader = LaneWriter(), LaneReader()
        self.lanes: dict[int, deque[tuple[int, RawFrame]]] = {}
        self.stopped: set[int] = set()
        self.sent: list[tuple[int, int]] = []  # lane with its fence, command

    def give(self, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
        after = self.writer.after(lane)
        self.sent.append((lane, int.from_bytes(header[4:6], "big")))
        self.lanes.setdefault(lane & ~FENCE, deque()).append((after, RawFrame(header, b"".join(parts))))
        return True

    def ready(self) -> list[int]:
        """Lanes whose first frame may be handed out."""
        waiting = [lane for lane, frames in self.lanes.items() if frames and lane not in self.stopped]
        return [lane for lane in waiting if self.reader.may_take(self.lanes[lane][0][0])]

    def take(self, lane: int) -> RawFrame:
        self.reader.took()
        return self.lanes[lane].popleft()[1]


class World(Pair):
    """Both directions, in an order that ``coin`` chooses; ``b`` answers by a simple rule and keeps what it is sent."""

    def __init__(self, seed: int, limits: Limits | None = None) -> None:
        super().__init__(limits, limits, STREAMS)
        self.coin = random.Random(seed)
        self.lines = {self.a: Lanes(), self.b: Lanes()}
        self.heard: dict[Connection, list[Any]] = {self.a: [], self.b: []}
        self.channels: dict[int, deque[bytes]] = {}
        self.parked: dict[int, deque[int]] = {}
        self.start_both()

    def start_both(self) -> None:
        self.a.start(0.0)
        self.b.start(0.0)

    def write(self) -> None:
        for connection, line in self.lines.items():
            connection.writer.write(
                lambda line, header, parts, lane: line.give(header, parts, lane), line, 1 << 30, True
            )

    def step(self) -> bool:
        """Hand out one frame; False: nothing can be."""
        self.write()
        moves = [(other, line, lane) for other, line in self._ways() for lane in line.ready()]
        if not moves:
            return False
        to, line, lane = self.coin.choice(moves)
        for event in to.receive(line.take(lane), 0.0):
            self.heard[to].append(event)
            if to is self.b:
                self._answer(event)
        return True

    def settle(self) -> None:
        while self.step():
            pass
        for connection, said in self.heard.items():
            ends = [event for event in said if isinstance(event, events.ConnectionEnded)]
            assert not ends or ends[0].report.orderly, (connection.side, ends[0].report.cause)

    def _ways(self) -> list[tuple[Connection, Lanes]]:
        return [(self.b, self.lines[self.a]), (self.a, self.lines[self.b])]

    def _answer(self, event: Any) -> None:
        if isinstance(event, events.OpenRequested):
            self.channels[event.channel_id] = deque()
            self.parked[event.channel_id] = deque()
            self.b.accept(event.request_id, MANY)
            if OpenFlag.LEND in event.wanted.flags:
                self.b.start_lending(event.channel_id, 4)
                self.b.lend(event.channel_id, 4)
        elif isinstance(event, events.DataReceived):
            self.channels[event.channel_id].append(event.element)
            self.b.lend(event.channel_id, 4)
        elif isinstance(event, events.SendRequested):
            self.channels[event.channel_id].append(event.element)
            self.b.done(event.request_id)
            self._serve(event.channel_id)
        elif isinstance(event, events.RecvRequested):
            self.parked[event.channel_id].append(event.request_id)
            self._serve(event.channel_id)
        elif isinstance(event, events.CancelRequested) and event.request_id in self.parked.get(event.channel_id, ()):
            self.parked[event.channel_id].remove(event.request_id)
            self.b.refuse(event.request_id, WireCode.ECANCELED)

    def _serve(self, channel_id: int) -> None:
        while self.parked[channel_id] and self.channels[channel_id]:
            self.b.push(self.parked[channel_id].popleft(), self.channels[channel_id].popleft())

    def opened(self, count: int, flags: OpenFlag = OpenFlag(0)) -> list[int]:  # noqa: B008
        """So many channels of ``a``."""
        for i in range(count):
            self.a.open(OpenRequest(f"c{i}", flags=flags))
            self.settle()
        return [event.channel_id for event in self.heard[self.a] if isinstance(event, events.Opened)]


@pytest.mark.parametrize("seed", range(20))
def test_opens_are_heard_in_the_order_of_their_ids(seed: int) -> None:
    """Whatever overtakes what; and each channel has its own lane behind the answer."""
    world = World(seed)
    world.settle()
    for i in range(8):
        world.a.open(OpenRequest(f"c{i}"))
    world.settle()
    ids = [event.channel_id for event in world.heard[world.b] if isinstance(event, events.OpenRequested)]
    assert ids == sorted(ids)
    assert len(ids) == 8
    for channel_id in ids:
        world.a.send(channel_id, b"x")
    world.settle()
    lanes = {lane for lane, command in world.lines[world.a].sent if command == Command.SEND}
    assert lanes == set(ids)


def test_nothing_of_a_channel_is_heard_before_the_handshake_is_over() -> None:
    """CONFIRM is a fence: an OPEN that comes before it waits."""
    world = World(0)
    world.write()
    line = world.lines[world.a]
    hello = line.take(0)
    world.b.receive(hello, 0.0)
    while world.a.state is not State.OPEN:
        world.write()
        world.a.receive(world.lines[world.b].take(0), 0.0)
    world.write()
    assert (FENCE, Command.CONFIRM) in line.sent
    world.a.open(OpenRequest("early"))
    world.write()
    assert line.lanes[0][0][1].header[5] == Command.CONFIRM


@pytest.mark.parametrize("seed", range(20))
def test_a_goodbye_comes_last_whatever_stands_still(seed: int) -> None:
    """BYE is a fence: what was sent before it is heard before it."""
    world = World(seed)
    world.settle()
    one, two = world.opened(2)
    world.lines[world.a].stopped = {one}
    world.a.send(one, b"held up")
    world.a.send(two, b"goes on")
    world.write()
    world.a.bye(0.0)
    world.settle()
    assert list(world.channels[two]) == [b"goes on"]
    assert world.b.state is State.OPEN
    world.lines[world.a].stopped.clear()
    world.settle()
    assert list(world.channels[one]) == [b"held up"]
    assert world.a.state is world.b.state is State.DEAD


def test_a_lane_that_stands_still_holds_up_no_other() -> None:
    world = World(1)
    world.settle()
    one, two = world.opened(2)
    world.lines[world.a].stopped = {one}
    world.a.send(one, b"held up")
    for i in range(10):
        world.a.send(two, bytes([i]))
        world.settle()
    assert [element[0] for element in world.channels[two]] == list(range(10))
    assert not world.channels[one]


def test_a_request_that_could_be_one_too_many_waits_for_what_ends_others() -> None:
    """Acknowledgements of one channel stand still, requests of another go on: the home never counts too many.

    Without the fence the fifth request ends the connection.
    """
    world = World(2, FEW)
    world.settle()
    one, two = world.opened(2)
    for _ in range(4):
        world.channels[one].append(b"x")
    ids = [world.a.recv(one) for _ in range(4)]
    world.settle()
    world.lines[world.a].stopped = {one}
    for request_id in ids:
        world.a.taken(request_id)
    world.write()  # the acknowledgements are out, and stand still
    for _ in range(4):
        world.a.recv(two)
    world.settle()
    assert len(world.parked[two]) < 4
    assert world.b.state is State.OPEN
    asked = [lane for lane, command in world.lines[world.a].sent if command == Command.RECV]
    assert [lane & FENCE for lane in asked] == [0, 0, 0, 0, FENCE, 0, 0, 0]
    world.lines[world.a].stopped.clear()
    world.settle()
    assert len(world.parked[two]) == 4


def test_a_message_that_could_be_too_much_waits_for_the_end_of_others() -> None:
    """The end of a long answer stands still, and another one begins: the asking end never holds too much.

    Without the fence the second answer ends the connection.
    """
    world = World(3, Limits(max_message=200_000, max_frame=4096, receive_budget=250_000))
    world.settle()
    one, two = world.opened(2)
    for channel_id in (one, two):
        world.a.recv(channel_id)
    world.settle()
    line = world.lines[world.b]
    world.b.push(world.parked[one].popleft(), bytes(190_000))
    world.write()
    while len(line.lanes[one]) > 3:
        world.step()
    line.stopped = {one}
    world.b.push(world.parked[two].popleft(), bytes(100_000))
    world.settle()
    assert world.a.state is State.OPEN
    assert [lane & ~FENCE for lane, _ in line.sent if lane & FENCE and lane != FENCE] == [two]
    line.stopped.clear()
    world.settle()
    came = [event for event in world.heard[world.a] if isinstance(event, events.ElementReceived)]
    assert [len(event.element) for event in came] == [190_000, 100_000]


def test_what_follows_an_open_that_was_given_up_stays_behind_it() -> None:
    """The CANCEL of an OPEN stands with it; its answer may cross, and then the channel keeps that lane."""
    world = World(4)
    world.settle()
    line = world.lines[world.a]
    request_id = world.a.open(OpenRequest("late"))
    world.write()
    world.a.cancel(request_id, 0.0)
    world.write()
    while len(line.lanes[0]) > 1:
        world.step()
    line.stopped = {0}  # the CANCEL is still on its way
    world.settle()
    [opened] = [event for event in world.heard[world.a] if isinstance(event, events.Opened)]
    world.a.send(opened.channel_id, b"behind it")
    world.settle()
    assert not world.channels[opened.channel_id]
    line.stopped.clear()
    world.settle()
    assert list(world.channels[opened.channel_id]) == [b"behind it"]


@pytest.mark.parametrize("seed", range(30))
def test_grants_never_overtake_each_other(seed: int) -> None:
    """Each goes on its channel; whatever stands still, totals never go back, and slots come again."""
    world = World(seed)
    world.settle()
    ids = world.opened(3, OpenFlag.LEND)
    sent: dict[int, list[bytes]] = {channel_id: [] for channel_id in ids}
    for number in range(60):
        channel_id = world.coin.choice(ids)
        if world.a.send_data(channel_id, bytes([number])).done:
            sent[channel_id].append(bytes([number]))
        line = world.lines[world.coin.choice([world.a, world.b])]
        line.stopped = set(world.coin.sample(ids, world.coin.randrange(2)))
        for _ in range(world.coin.randrange(5)):
            world.step()
    for line in world.lines.values():
        line.stopped.clear()
    world.settle()
    assert world.a.state is world.b.state is State.OPEN
    assert {channel_id: list(got) for channel_id, got in world.channels.items()} == sent
    assert sum(map(len, sent.values())) > 12
    lanes = [lane for lane, command in world.lines[world.b].sent if command == Command.CREDIT]
    assert set(lanes) <= set(ids)
    assert lanes


MOVES = st.lists(
    st.tuples(st.sampled_from(["send", "long", "recv", "cancel", "take", "put back", "stop", "go"]), st.integers(0, 2)),
    max_size=60,
)


@given(seed=st.integers(0, 2**32), moves=MOVES)
@settings(deadline=None, max_examples=60)
def test_every_order_that_lanes_allow_is_one_that_connections_bear(seed: int, moves: list[tuple[str, int]]) -> None:
    """Sends, receives, cancels and acknowledgements on three channels, lanes that stand still and go on: no breach,
    each channel in its order, nothing lost."""
    world = World(seed, Limits(max_inflight_requests=5, max_frame=4096, receive_budget=1 << 17, max_message=60_000))
    world.settle()
    ids = world.opened(3)
    sent: dict[int, list[bytes]] = {channel_id: [] for channel_id in ids}
    for number, (move, which) in enumerate(moves):
        apply(world, move, ids[which], sent, number)
        for _ in range(world.coin.randrange(4)):
            world.step()
    world.lines[world.a].stopped.clear()
    world.settle()
    assert world.a.state is world.b.state is State.OPEN
    for channel_id in ids:
        got = [
            e.element
            for e in world.heard[world.b]
            if isinstance(e, events.SendRequested) and e.channel_id == channel_id
        ]
        assert got == sent[channel_id]


def apply(world: World, move: str, channel_id: int, sent: dict[int, list[bytes]], number: int) -> None:
    a = world.a
    try:
        if move in ("send", "long"):
            element = number.to_bytes(4, "big") * (1 if move == "send" else 10_000)
            a.send(channel_id, element)
            sent[channel_id].append(element)
        elif move == "recv":
            a.recv(channel_id)
        elif move == "stop":
            world.lines[a].stopped.add(channel_id)
        elif move == "go":
            world.lines[a].stopped.discard(channel_id)
        else:
            settle_one(world, move)
    except NoBuffers:
        pass


def settle_one(world: World, move: str) -> None:
    came = [event for event in world.heard[world.a] if isinstance(event, events.ElementReceived)]
    for event in came:
        if world.a.in_flight(event.request_id):
            (world.a.taken if move == "take" else world.a.putback)(event.request_id)
            return


def test_a_lane_writer_and_reader_agree_across_the_wrap() -> None:
    near = 0xFFFF_FFFE
    writer, reader = LaneWriter(near), LaneReader(near)
    numbers = [writer.after(lane) for lane in (1, FENCE, 2, 3)]
    assert numbers == [near, near + 1, 0, 0]
    assert reader.may_take(numbers[0])
    assert not reader.may_take(numbers[1])
    assert not reader.may_take(numbers[2])
    reader.took()
    assert reader.may_take(numbers[1])
    reader.took()
    assert reader.may_take(numbers[2])
    assert reader.count == 0
