# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What waits to be written: a bounded control lane in front, then all channels in fair turns.

Rule 1: frames of one channel never overtake each other, so a CANCEL stays behind the request it names.
Rule 2: a frame that was not written can be withdrawn, at once and without a trace; a written one never.
Rule 3: the queue is bounded by those who fill it: requests in flight, one answer for each of the peer's requests, one
acknowledgement per received element, and at most one each of PING, PONG, HELLO, CONFIRM and BYE.
Rule 4: channels take turns by deficit round robin. A turn adds QUANTUM times its weight to what a channel may write,
each frame takes its charge off (so tiny ones are not free), and what is too little for the next frame is kept.
Rule 5: a channel without frames leaves the ring and keeps nothing; one that the medium had no room for keeps place and
deficit, since asking for the head changes nothing that asking again would change.
Rule 6: between two frames of channels at most CONTROL_FRAMES frames or CONTROL_BYTES of the connection itself go out.

Every call takes the same time with one channel as with ten thousand.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from attrs import define, field

from .commands import Command
from .frame import HEADER_SIZE
from .hello import charge

__all__ = ["CONTROL_BYTES", "CONTROL_FRAMES", "MAX_WEIGHT", "QUANTUM", "Entry", "Outbox"]

QUANTUM: Final = 16_384
"""What a turn adds to the deficit of a channel of weight 1: as much as the largest piece of a message is charged."""
MAX_WEIGHT: Final = 16
"""The largest weight of a channel; the smallest is 1."""
CONTROL_FRAMES: Final = 8
"""How many frames of the connection itself may go in front of one frame of a channel."""
CONTROL_BYTES: Final = 4096
"""How many bytes they may have together, headers included; a single larger one goes alone."""


@define(eq=False)
class Entry:
    """One frame to be: all but its seq, which it gets when it is written; ``on_written`` is called once, then."""

    command: int
    channel_id: int = 0
    request_id: int = 0
    parts: tuple[bytes, ...] = ()
    flags: int = 0
    on_written: Callable[[], None] | None = None
    # Bytes of payload, without the extensions that may still ride along; known once it is queued.
    size: int = field(default=0, init=False)


@define(eq=False)
class _Lane:
    """The frames of one channel, and what it may still write in this turn."""

    weight: int = 1
    deficit: int = 0
    # Ordered, with removal in constant time: a program that sends and cancels in a loop leaves nothing behind.
    entries: OrderedDict[Entry, None] = field(factory=OrderedDict)


class Outbox:
    """The queue of one connection: frames that were not written yet."""

    def __init__(self) -> None:
        self._control: deque[Entry] = deque()
        self._lanes: dict[int, _Lane] = {}
        self._ring: OrderedDict[int, _Lane] = OrderedDict()  # channels with frames; the first has the turn
        self._in_turn = False  # the first one's deficit is that of this turn
        self._frames = 0
        self._last: Entry | None = None  # goes behind everything
        self._sealed = False
        self._ahead_frames = self._ahead_bytes = 0  # of the connection itself, in front of a channel's frame

    def __len__(self) -> int:
        return len(self._control) + self._frames + (self._last is not None)

    def put(self, entry: Entry) -> Entry:
        """Queue a frame behind all others of its channel; behind a seal it is dropped, unwritten."""
        if self._sealed:
            return entry
        entry.size = sum(map(len, entry.parts))
        lane = self._lanes.get(entry.channel_id)
        if lane is None:
            lane = self._lanes[entry.channel_id] = _Lane()
        if not lane.entries:
            self._ring[entry.channel_id] = lane
        lane.entries[entry] = None
        self._frames += 1
        return entry

    def seal(self, entry: Entry) -> None:
        """Queue the last frame of this side: nothing is written behind a BYE."""
        if not self._sealed:
            self._last, self._sealed = entry, True

    def put_control(self, entry: Entry) -> Entry:
        """Queue a frame of the connection itself, in front of all channels; a PONG replaces one that waits."""
        entry.size = sum(map(len, entry.parts))
        if entry.command is Command.PONG:
            for waiting in self._control:
                if waiting.command is Command.PONG:
                    waiting.parts = entry.parts
                    return waiting
        self._control.append(entry)
        return entry

    def withdraw(self, entry: Entry) -> bool:
        """Take a frame of a channel out again; False when it was written (or withdrawn) before."""
        lane = self._lanes.get(entry.channel_id)
        if lane is None or entry not in lane.entries:
            return False
        self._remove(entry, lane)
        return True

    def head(self) -> Entry | None:
        """The frame to be written next; it stays in the queue."""
        if self._control and (not self._frames or self._control_may_go(self._control[0])):
            return self._control[0]
        return self._next() if self._frames else self._last

    def pop(self, entry: Entry) -> bool:
        """The head was written: take it out; False, without effect, when something else stands there now."""
        if self.head() is not entry:
            return False
        if self._control and entry is self._control[0]:
            self._control.popleft()
            if self._frames:
                self._ahead_frames += 1
                self._ahead_bytes += HEADER_SIZE + entry.size
        elif entry is self._last:
            self._last = None
        else:
            self._ahead_frames = self._ahead_bytes = 0
            lane = self._lanes[entry.channel_id]
            lane.deficit -= charge(entry.size)
            self._remove(entry, lane)
        return True

    def weigh(self, channel_id: int, weight: int) -> None:
        """Give a channel ``weight`` (1 to MAX_WEIGHT) times the share of one of weight 1, from its next turn on."""
        self._lanes.setdefault(channel_id, _Lane()).weight = weight

    def forget(self, channel_id: int) -> None:
        """A channel is gone for ever, and with it what was queued for it."""
        lane = self._lanes.pop(channel_id, None)
        if lane is not None:
            for entry in tuple(lane.entries):
                self._remove(entry, lane)

    def clear(self) -> None:
        """Drop everything but the handshake (a farewell stands behind it), and break the seal."""
        self._last, self._sealed = None, False
        self._lanes.clear()
        self._ring.clear()
        self._in_turn = False
        self._frames = 0
        self._control = deque(entry for entry in self._control if entry.command in (Command.HELLO, Command.CONFIRM))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _control_may_go(self, entry: Entry) -> bool:
        frames, size = self._ahead_frames, self._ahead_bytes + HEADER_SIZE + entry.size
        return not frames or (frames < CONTROL_FRAMES and size <= CONTROL_BYTES)

    def _next(self) -> Entry:
        """The first frame of the channel that has the turn; turns end here, when that frame costs too much."""
        while True:
            channel_id, lane = next(iter(self._ring.items()))
            if not self._in_turn:
                lane.deficit += QUANTUM * lane.weight
                self._in_turn = True
            entry = next(iter(lane.entries))
            if charge(entry.size) <= lane.deficit:
                return entry
            self._ring.move_to_end(channel_id)
            self._in_turn = False

    def _remove(self, entry: Entry, lane: _Lane) -> None:
        del lane.entries[entry]
        self._frames -= 1
        if not lane.entries:
            lane.deficit = 0
            if next(iter(self._ring.values())) is lane:
                self._in_turn = False
            del self._ring[entry.channel_id]
