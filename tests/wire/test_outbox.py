# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The fair queue of a connection: whose frame is next. Exact, in frames; no medium, no clock. Rows: N3."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kcoro_core.wire.commands import Command
from kcoro_core.wire.hello import charge
from kcoro_core.wire.messages import MAX_WEIGHT
from kcoro_core.wire.outbox import CONTROL_BYTES, CONTROL_FRAMES, PIECE, QUANTUM, Entry, Outbox

SMALL = 64
MAX_FRAME = 65_536
MOST = MAX_FRAME - 64  # what a frame holds of a message whose channel is alone


def agreed(budget: int = 1 << 30) -> Outbox:
    """An outbox of a connection whose limits are known."""
    box = Outbox()
    box.agree(MAX_FRAME, budget)
    return box


def entry(channel: int, size: int = SMALL) -> Entry:
    """A message of a channel."""
    return Entry(Command.SEND, channel, parts=(bytes(size),))


def control(size: int = 8) -> Entry:
    """A frame of the connection itself."""
    return Entry(Command.PING, parts=(bytes(size),))


def write(box: Outbox) -> Entry:
    """Write one frame; the message it belongs to."""
    head = box.head()
    assert head is not None
    assert box.pop(head)
    return head


def served(box: Outbox, sizes: dict[int, int], frames: int) -> Counter[int]:
    """Write so many frames while every channel keeps two messages of its size queued; what each channel was charged."""
    for channel, size in sizes.items():
        box.put(entry(channel, size))
        box.put(entry(channel, size))
    charged: Counter[int] = Counter()
    for _ in range(frames):
        head = write(box)
        charged[head.channel_id] += charge(head.offered)
        if head.written:
            box.put(entry(head.channel_id, sizes[head.channel_id]))
    return charged


def jain(shares: list[float]) -> float:
    """Jain's index: 1 when all shares are equal, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


# --- shares ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [{1: PIECE, 3: SMALL, 5: 1000}, {1: SMALL, 3: PIECE, 5: 0}, {1: 65_536, 3: 0, 5: 0}])
def test_shares_are_the_weights_whatever_the_sizes(sizes: dict[int, int]) -> None:
    """1:2:4 within 3 % for tiny frames against large ones; the must is 10 %. Row: N3."""
    box = agreed()
    for channel, weight in {1: 1, 3: 2, 5: 4}.items():
        box.weigh(channel, weight)
    charged = served(box, sizes, 60_000)

    total = sum(charged.values())
    for channel, weight in {1: 1, 3: 2, 5: 4}.items():
        assert charged[channel] / total == pytest.approx(weight / 7, rel=0.03)
    assert jain([charged[channel] / weight for channel, weight in {1: 1, 3: 2, 5: 4}.items()]) > 0.999


def test_equal_channels_get_equal_shares() -> None:
    """64 channels of different sizes: Jain's index above 0.99, where 0.95 is asked for. Row: N3."""
    charged = served(agreed(), {channel: channel * channel * 3 for channel in range(1, 65)}, 50_000)

    assert jain(list(charged.values())) > 0.99


def test_a_small_frame_waits_for_one_turn_of_each_competitor() -> None:
    """Behind 20 bulk channels a new small frame waits for one piece of each, never for their backlog. Row: N3."""
    box = agreed()
    for channel in range(1, 21):
        for _ in range(50):
            box.put(entry(channel, PIECE))
    for _ in range(7):
        write(box)
    box.put(small := entry(99))

    waited = 0
    while write(box) is not small:
        waited += 1
    assert waited <= 20


def test_a_heavy_channel_writes_its_turn_in_one_go_and_no_more() -> None:
    """The largest weight keeps the others waiting for that many pieces at most. Row: N3."""
    box = agreed()
    box.weigh(1, MAX_WEIGHT)
    for _ in range(100):
        box.put(entry(1, PIECE))
    write(box)
    box.put(small := entry(3))

    waited = 0
    while write(box) is not small:
        waited += 1
    assert waited == MAX_WEIGHT


# --- place and deficit -----------------------------------------------------------------------------------------------


def test_a_channel_the_medium_had_no_room_for_keeps_place_and_deficit() -> None:
    """Asking for the head again and again, as with a full medium, changes nothing of what follows. Row: N3."""
    sizes = {1: PIECE, 3: 5000, 5: 100}
    patient, hasty = agreed(), agreed()
    for channel, size in sizes.items():
        for _ in range(100):
            patient.put(entry(channel, size))
            hasty.put(entry(channel, size))
    for _ in range(300):
        for _ in range(3):
            assert patient.head() is patient.head()
        assert write(patient).channel_id == write(hasty).channel_id


def test_a_channel_that_runs_empty_keeps_no_deficit() -> None:
    """Being idle saves nothing up: who comes back starts with one turn, here of two pieces. Row: N3."""
    box = agreed()
    box.weigh(1, 2)  # one with a weight of its own is remembered while it is idle
    for _ in range(100):
        box.put(entry(3, PIECE))
    for _ in range(20):  # each time one small frame out of a whole turn, beside a channel that always has something
        small = box.put(entry(1))
        while write(box) is not small:
            pass
    for _ in range(20):
        box.put(entry(1, PIECE))

    assert "".join(str(write(box).channel_id) for _ in range(8)) in ("11311311", "13113113", "31131131")


def test_what_cannot_go_in_pieces_costs_a_turn_at_most() -> None:
    """So a large OPEN is written at its turn, and one with a larger id behind it: ids grow on the wire. Row: N3."""
    box = agreed()
    opens = [box.put(Entry(Command.OPEN, channel, parts=(bytes(30_000 // channel),))) for channel in (1, 3, 5)]
    box.put(entry(7, PIECE))

    assert [write(box) for _ in range(3)] == opens


def test_a_withdrawn_head_takes_its_channel_out_of_the_turn() -> None:
    """Withdrawing the only frame of the channel whose turn it is passes the turn on, whole. Row: N3."""
    box = agreed()
    box.put(first := entry(1, PIECE))
    box.put(entry(3, PIECE))
    box.put(entry(3, PIECE))
    box.put(entry(5, PIECE))
    assert box.head() is first
    assert box.withdraw(first)

    assert [write(box).channel_id for _ in range(3)] == [3, 5, 3]


# --- the control lane ------------------------------------------------------------------------------------------------


def test_a_storm_of_control_frames_cannot_starve_channels() -> None:
    """Behind CONTROL_FRAMES of them one frame of a channel goes, however many more wait. Row: N3."""
    box = agreed()
    for _ in range(1000):
        box.put_control(control())
    for _ in range(10):
        box.put(entry(1))

    order = "".join("c" if write(box).command is Command.PING else "d" for _ in range(90))
    assert order == ("c" * CONTROL_FRAMES + "d") * 10


def test_large_control_frames_are_bounded_by_their_bytes() -> None:
    """At most CONTROL_BYTES go ahead of a channel's frame; a single larger one goes alone. Row: N3."""
    box = agreed()
    for size in (1500, 1500, 1500, 9000, 1500):
        box.put_control(control(size))
    for _ in range(4):
        box.put(entry(1))

    assert [head.size if (head := write(box)).command is Command.PING else 0 for _ in range(9)] == [
        1500, 1500, 0, 1500, 0, 9000, 0, 1500, 0,
    ]  # fmt: skip
    assert 1500 + 1500 <= CONTROL_BYTES < 1500 + 1500 + 1500


def test_channels_cannot_delay_a_sign_of_life() -> None:
    """A PONG goes in front of all channels; only a storm of the same can put one in front. Row: N6."""
    box = agreed()
    for channel in range(1, 100):
        box.put(entry(channel, PIECE))
    for _ in range(50):
        pong = box.put_control(Entry(Command.PONG, parts=(bytes(8),)))
        assert write(box) is pong
        write(box)


def test_control_frames_of_an_idle_connection_are_not_held_against_it() -> None:
    """A thousand PINGs while no channel had anything to write delay none of those that follow. Row: N6."""
    box = agreed()
    for _ in range(1000):
        box.put_control(control())
        write(box)
    box.put(entry(1))
    for _ in range(CONTROL_FRAMES):
        box.put_control(control())

    assert [write(box).command for _ in range(CONTROL_FRAMES)] == [Command.PING] * CONTROL_FRAMES


# --- cost ------------------------------------------------------------------------------------------------------------


def steps(box: Outbox) -> int:
    """How many lines it takes to write one frame, withdraw another and queue two."""
    count = 0

    def trace(_frame: FrameType, _event: str, _arg: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        head = write(box)
        box.put(head)
        box.withdraw(box.put(Entry(Command.SEND, head.channel_id, parts=(b"",))))
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return count


def test_a_frame_costs_the_same_beside_ten_thousand_channels() -> None:
    """Writing, queueing and withdrawing take as many steps with 10,000 channels as with 10. Row: N3."""
    few, many = agreed(), agreed()
    for box, channels in ((few, 10), (many, 10_000)):
        for channel in range(1, channels + 1):
            box.put(entry(channel, PIECE))
            box.put(entry(channel, PIECE))

    assert [steps(few) for _ in range(8)] == [steps(many) for _ in range(8)]


def test_what_is_over_is_forgotten() -> None:
    """A channel that is gone leaves neither frames nor weight behind. Row: N3."""
    box = agreed()
    box.weigh(1, 4)
    box.put(entry(1))
    box.put(entry(3))
    box.forget(1)

    assert len(box) == 1
    assert write(box).channel_id == 3
    assert box.head() is None


# --- pieces ----------------------------------------------------------------------------------------------------------


def test_a_long_message_goes_in_pieces_of_one_turn_among_competitors_and_in_large_ones_alone() -> None:
    """64 KiB beside another channel: five frames, with the other's in between; alone two. Row: N3."""
    box = agreed()
    long = box.put(entry(1, 65_536))
    for _ in range(10):
        box.put(entry(3, PIECE))
    order = [write(box).channel_id for _ in range(9)]
    assert order == [1, 3, 1, 3, 1, 3, 1, 3, 1]
    assert long.written

    alone = agreed()
    long = alone.put(entry(1, 65_536))
    assert [(write(alone).offered, long.written) for _ in range(2)] == [(MOST, False), (64, True)]


def test_a_small_message_waits_for_one_piece_of_each_long_one() -> None:
    """Twenty messages of a MiB have begun; a new small one waits for at most one frame of each. Row: N3."""
    box = agreed()
    for channel in range(1, 21):
        box.put(entry(channel, 1 << 20))
    for _ in range(33):
        write(box)
    small = box.put(entry(99))
    frames = []
    while (head := write(box)) is not small:
        frames.append(head.channel_id)

    assert max(Counter(frames).values()) == 1


def test_company_finds_a_channel_that_was_alone_at_the_beginning_of_its_turn() -> None:
    """However long it was alone: the newcomer waits for one piece, and shares are equal from then on. Row: N3."""
    box = agreed()
    box.put(entry(1, 1 << 20))
    for _ in range(5):
        assert write(box).offered == MOST
    box.put(entry(3, 1 << 20))

    assert [(head := write(box)).channel_id for _ in range(6)] == [1, 3, 1, 3, 1, 3]
    assert head.offered == PIECE


def test_a_message_that_has_begun_is_not_withdrawn() -> None:
    """Its rest goes out; one that has not begun leaves no trace. Row: N1."""
    box = agreed()
    begun, other = box.put(entry(1, 200_000)), box.put(entry(1, 200_000))
    write(box)

    assert not box.withdraw(begun)
    assert box.withdraw(other)
    while not begun.written:
        assert write(box) is begun
    assert box.head() is None


def test_frames_are_as_large_as_they_may_be_and_pieces_at_the_edges_whole() -> None:
    """A message of exactly what a frame holds goes in one; one byte more is one byte in a second frame. Row: W3."""
    for size, frames in ((MOST - 1, [MOST - 1]), (MOST, [MOST]), (MOST + 1, [MOST, 1]), (2 * MOST, [MOST, MOST])):
        box = agreed()
        long = box.put(entry(1, size))
        written = []
        while not long.written:
            written.append(write(box).offered)
        assert written == frames


def test_messages_begin_when_the_peer_holds_them_and_the_oldest_first() -> None:
    """What has begun never exceeds the budget; small ones go on, and what had to wait begins in its order. Row: W3."""
    box = agreed(budget=charge(100_000) * 2)
    long = [box.put(entry(channel, 100_000)) for channel in range(1, 6)]
    for _ in range(100):
        box.put(entry(9))
    begun, done, small = [], [], 0
    while len(done) < 5:
        head = write(box)
        small += head.channel_id == 9
        if head.channel_id != 9 and head not in begun:
            begun.append(head)
        if head.channel_id != 9 and head.written:
            done.append(head)
        assert len(begun) - len(done) <= 2
    assert begun == done == long
    assert small == 100


@given(
    sizes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200_000)), min_size=1, max_size=20),
    budget=st.integers(charge(200_000), 3 * charge(200_000)),
    steps=st.lists(st.integers(0, 20), max_size=40),
)
def test_within_any_budget_everything_is_written_once_and_in_order(
    sizes: list[tuple[int, int]], budget: int, steps: list[int]
) -> None:
    """Whatever waits, is withdrawn or comes meanwhile: nothing is stuck, doubled or out of its order. Rows: N3, W3."""
    box = agreed(budget)
    queued = [box.put(entry(channel, size)) for channel, size in sizes[: len(sizes) // 2]]
    coming = sizes[len(sizes) // 2 :]
    written: list[Entry] = []
    for step in [*steps, *[1] * len(coming), *[0] * 1000]:
        if step == 1 and coming:
            queued.append(box.put(entry(*coming.pop())))
        elif step > 15 and queued and box.withdraw(queued[step % len(queued)]):
            del queued[step % len(queued)]
        elif box.head() is not None:
            head = write(box)
            if head.written:
                written.append(head)
        begun = {one for one in queued if one.sent and not one.written}
        assert sum(charge(one.size) for one in begun) <= budget
        assert len(begun) == len({one.channel_id for one in begun})

    assert len(box) == 0
    assert sorted(map(id, written)) == sorted(map(id, queued))
    for channel in range(6):
        assert [one for one in written if one.channel_id == channel] == [
            one for one in queued if one.channel_id == channel
        ]


# --- against a model -------------------------------------------------------------------------------------------------


@define
class Turns:
    """Deficit round robin as a textbook has it: lists, and nothing that would be fast."""

    queues: dict[int, list[Entry]] = field(factory=dict)
    left: dict[Entry, int] = field(factory=dict)
    weights: dict[int, int] = field(factory=dict)
    deficits: dict[int, int] = field(factory=dict)
    ring: list[int] = field(factory=list)
    turn_has_begun: bool = False

    def put(self, one: Entry) -> None:
        """A channel that was idle goes to the end of the ring."""
        if one.channel_id not in self.ring:
            self.ring.append(one.channel_id)
            self.deficits[one.channel_id] = 0
        self.queues.setdefault(one.channel_id, []).append(one)
        self.left[one] = len(one.parts[0])

    def take(self, one: Entry) -> None:
        """Take a message out; an idle channel leaves the ring."""
        self.queues[one.channel_id].remove(one)
        if not self.queues[one.channel_id]:
            if self.ring[0] == one.channel_id:
                self.turn_has_begun = False
            self.ring.remove(one.channel_id)

    def head(self) -> tuple[Entry, int] | None:
        """The next frame: of which message, and how much of it."""
        while self.ring:
            channel = self.ring[0]
            one = self.queues[channel][0]
            if len(self.ring) == 1:
                self.deficits[channel], self.turn_has_begun = 0, False
                return one, min(MOST, self.left[one])
            if not self.turn_has_begun:
                self.deficits[channel] += QUANTUM * self.weights.get(channel, 1)
                self.turn_has_begun = True
            size = min(PIECE, self.left[one])
            if max(size, 64) + 64 <= self.deficits[channel]:
                return one, size
            self.ring.append(self.ring.pop(0))
            self.turn_has_begun = False
        return None

    def write(self) -> tuple[Entry, int] | None:
        """Write the next frame."""
        found = self.head()
        if found is not None:
            one, size = found
            if self.turn_has_begun:
                self.deficits[one.channel_id] -= max(size, 64) + 64
            self.left[one] -= size
            if not self.left[one]:
                self.take(one)
        return found


class AgainstTheModel(RuleBasedStateMachine):
    """Any mix of queueing, withdrawing, writing and forgetting: outbox and model choose the same frames. Row: N3."""

    @initialize(weights=st.lists(st.integers(1, MAX_WEIGHT), min_size=4, max_size=4))
    def start(self, weights: list[int]) -> None:
        """Four channels with weights."""
        self.box, self.model = agreed(), Turns()
        self.waiting: list[Entry] = []
        for channel, weight in enumerate(weights):
            self.box.weigh(channel, weight)
            self.model.weights[channel] = weight

    @rule(
        channel=st.integers(0, 3), size=st.sampled_from((0, 1, 64, 65, 1000, PIECE, PIECE + 1, MOST, MOST + 1, 300_000))
    )
    def put(self, channel: int, size: int) -> None:
        """Somebody queues a frame."""
        one = entry(channel, size)
        self.box.put(one)
        self.model.put(one)
        self.waiting.append(one)

    @rule(pick=st.integers(0, 1000))
    def withdraw(self, pick: int) -> None:
        """Somebody takes one back."""
        if self.waiting:
            one = self.waiting[pick % len(self.waiting)]
            begun = self.model.left[one] < one.size
            assert self.box.withdraw(one) is not begun
            assert not self.box.withdraw(one)
            if not begun:
                self.model.take(one)
                self.waiting.remove(one)

    @rule(count=st.integers(1, 20))
    def write(self, count: int) -> None:
        """The medium takes some frames."""
        for _ in range(count):
            if self.waiting:
                one = write(self.box)
                assert (one, one.offered) == self.model.write()
                if one.written:
                    self.waiting.remove(one)

    @rule()
    def no_room(self) -> None:
        """The medium has no room: the head was asked for in vain."""
        one, found = self.box.head(), self.model.head()
        assert (one and (one, one.offered)) == found

    @rule(channel=st.integers(0, 3))
    def forget(self, channel: int) -> None:
        """A channel is gone, and its number is used again, which the wire never does."""
        self.box.forget(channel)
        self.model.weights.pop(channel)
        for one in [one for one in self.waiting if one.channel_id == channel]:
            self.model.take(one)
            self.waiting.remove(one)
        self.model.weights[channel] = 1

    @invariant()
    def counts(self) -> None:
        """What waits is counted."""
        assert len(self.box) == len(self.waiting)


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
