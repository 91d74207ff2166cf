# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What waits to be written: a bounded control lane in front, then all channels in fair turns.

Rule 1: frames of one channel never overtake each other, so a CANCEL stays behind the request it names.
Rule 2: a frame that was not written can be withdrawn, at once and without a trace; a written one never.
Rule 3: the queue is bounded by those who fill it: requests in flight, one answer for each of the peer's requests, one
acknowledgement per received element, and at most one each of PING, PONG, HELLO, CONFIRM and BYE.
Rule 4: channels take turns by deficit round robin. A turn adds QUANTUM times its weight to what a channel may write,
each frame takes its charge off (so tiny ones are not free), and what is too little for the next frame is kept.
Rule 5: a message above PIECE bytes goes out in pieces, one in each frame; what has begun cannot be withdrawn. A channel
that is alone shares with nobody: its frames are as large as they may be, and its deficit begins anew with company.
Rule 6: messages that have begun and are not finished are charged to the peer's budget; one that does not fit waits
outside of the ring until another is finished, and keeps its deficit. What has begun always goes on.
Rule 7: a channel without frames leaves the ring and keeps nothing; one that the medium had no room for keeps place and
deficit, since asking for the head changes nothing that asking again would change.
Rule 8: between two frames of channels at most CONTROL_FRAMES frames or CONTROL_BYTES of the connection itself go out.

Every call takes the same time with one channel as with ten thousand.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from attrs import define, field

from .commands import IN_PIECES, Command
from .frame import HEADER_SIZE
from .hello import FRAME_ROOM, MAX_HELLO, charge

__all__ = ["CONTROL_BYTES", "CONTROL_FRAMES", "PIECE", "QUANTUM", "Entry", "Outbox"]

QUANTUM: Final = 16_384
"""What a turn adds to the deficit of a channel of weight 1."""
PIECE: Final = QUANTUM - 64
"""Bytes of the largest piece of a message while channels compete: its charge is one turn."""
CONTROL_FRAMES: Final = 8
"""How many frames of the connection itself may go in front of one frame of a channel."""
CONTROL_BYTES: Final = 4096
"""How many bytes they may have together, headers included; a single larger one goes alone."""


class Entry:
    """One message to be: all but the seqs, which frames get when they are written.

    ``on_written`` is called once, with the entry, when all of it is. The next frame has ``offered`` bytes behind the
    ``sent`` ones.
    """

    # What most messages never change stands in the class: several are made for each element.
    size: int = 0
    """Bytes of payload, without the extensions that may still ride along; known once it is queued."""
    sent: int = 0
    offered: int = 0
    charged: bool = False
    """Whether it is, to the peer's budget for what is not finished."""
    written: bool = False

    def __init__(
        self,
        command: int,
        channel_id: int = 0,
        request_id: int = 0,
        parts: tuple[bytes, ...] = (),
        flags: int = 0,
        on_written: Callable[[Any], object] | None = None,
    ) -> None:
        self.command = command
        self.channel_id = channel_id
        self.request_id = request_id
        self.parts = parts
        self.flags = flags
        self.on_written = on_written


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
        self.lone: Entry | None = None  # the only message of all channels, and it goes in one frame: it needs no turn
        self._lanes: dict[int, _Lane] = {}  # of channels with messages, and of those with a weight of their own
        self._ring: OrderedDict[int, _Lane] = OrderedDict()  # channels with frames; the first has the turn
        self._in_turn = False  # the first one's deficit is that of this turn
        self._frames = 0
        self.waiting = 0  # messages of any kind
        self._head: Entry | None = None  # what head has found, until something changes
        self._last: Entry | None = None  # goes behind everything
        self._sealed = False
        self._piece = self._most = MAX_HELLO - FRAME_ROOM  # bytes of a frame among competitors, and of any
        self._budget = self._begun = 0  # what may be begun and not finished, and what is
        self.unfenced = 0  # what was finished since the last fence, so that the peer may count it still
        self._held: OrderedDict[int, _Lane] = OrderedDict()  # channels whose message has to wait for that
        self._ahead_frames = self._ahead_bytes = 0  # of the connection itself, in front of a channel's frame

    def __len__(self) -> int:
        return self.waiting

    def agree(self, max_frame: int, budget: int) -> None:
        """How large a frame may be, and how much of messages that are not finished the peer holds, by charge."""
        self._most = max_frame - FRAME_ROOM
        self._piece = min(PIECE, self._most)
        self._budget = budget

    def put(self, entry: Entry) -> Entry:
        """Queue a message behind all others of its channel; behind a seal it is dropped, unwritten."""
        if self._sealed:
            return entry
        entry.size = sum(map(len, entry.parts))
        self._head = None
        self._frames += 1
        self.waiting += 1
        if self._frames == 1 and entry.size <= self._piece:
            entry.offered = entry.size
            self.lone = entry
            return entry
        if self.lone is not None:
            self._line_up(self.lone)
            self.lone = None
        self._line_up(entry)
        return entry

    def seal(self, entry: Entry) -> None:
        """Queue the last frame of this side: nothing is written behind a BYE."""
        if not self._sealed:
            entry.size = entry.offered = sum(map(len, entry.parts))
            self._last, self._sealed, self._head = entry, True, None
            self.waiting += 1

    def put_control(self, entry: Entry) -> Entry:
        """Queue a frame of the connection itself, in front of all channels; a PONG replaces one that waits."""
        entry.size = sum(map(len, entry.parts))
        if entry.command is Command.PONG:
            for waiting in self._control:
                if waiting.command is Command.PONG:
                    waiting.parts = entry.parts
                    return waiting
        entry.offered = entry.size
        self._control.append(entry)
        self.waiting += 1
        self._head = None
        return entry

    def withdraw(self, entry: Entry) -> bool:
        """Take a message of a channel out again; False when it was begun, written or withdrawn before."""
        if entry is self.lone:
            self._drop_lone()
            return True
        lane = self._lanes.get(entry.channel_id)
        if lane is None or entry.sent or entry not in lane.entries:
            return False
        was_first = next(iter(lane.entries)) is entry
        self._remove(entry, lane)
        if was_first and entry.channel_id in self._held:  # what is first now may not have to wait
            self._ring[entry.channel_id] = self._held.pop(entry.channel_id)
        return True

    def head(self) -> Entry | None:
        """The message whose next frame, of ``offered`` bytes, is to be written now; it stays in the queue."""
        if self._head is None:
            if self._control and (not self._frames or self._control_may_go(self._control[0])):
                self._head = self._control[0]
            else:
                self._head = self._next() if self._frames else self._last
        return self._head

    def pop(self, entry: Entry) -> bool:
        """The offered frame of the head was written, and with the last one the message, which is out then.

        False, without effect, when something else stands there now.
        """
        offered = entry.offered
        if self.head() is not entry:
            return False
        self._head = None
        if self._control and entry is self._control[0]:
            self._control.popleft()
            self.waiting -= 1
            if self._frames:
                self._ahead_frames += 1
                self._ahead_bytes += HEADER_SIZE + entry.size
        elif entry is self._last:
            self._last = None
            self.waiting -= 1
        else:
            self._ahead_frames = self._ahead_bytes = 0
            if entry is not self.lone:
                self._count(entry, self._lanes[entry.channel_id], offered)
                return True
            self._drop_lone()
        entry.written = True
        return True

    def pop_only(self, entry: Entry) -> None:
        """The lone message, with nothing beside it, was written."""
        self.lone = self._head = None
        self.waiting = self._frames = self._ahead_frames = self._ahead_bytes = 0
        entry.written = True

    def needs_fence(self, entry: Entry) -> bool:
        """Whether this begins a message that the peer could find too much, on a medium with STREAMS."""
        begins = entry.charged and not entry.sent
        return begins and bool(self.unfenced) and self._begun + self.unfenced > self._budget

    def weigh(self, channel_id: int, weight: int) -> None:
        """Give a channel ``weight`` (1 to 16) times the share of one of weight 1, from its next turn on."""
        self._lanes.setdefault(channel_id, _Lane()).weight = weight

    def forget(self, channel_id: int) -> None:
        """A channel is gone for ever, and with it what was queued for it."""
        if self.lone is not None and self.lone.channel_id == channel_id:
            self._drop_lone()
        lane = self._lanes.pop(channel_id, None)
        if lane is not None:
            for entry in tuple(lane.entries):
                self._remove(entry, lane)

    def clear(self) -> None:
        """Drop everything but the handshake (a farewell stands behind it), and break the seal."""
        self._last, self._sealed, self.lone = None, False, None
        self._lanes.clear()
        self._ring.clear()
        self._held.clear()
        self._in_turn, self._head = False, None
        self._frames = self._begun = 0
        self._control = deque(entry for entry in self._control if entry.command in (Command.HELLO, Command.CONFIRM))
        self.waiting = len(self._control)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _control_may_go(self, entry: Entry) -> bool:
        frames, size = self._ahead_frames, self._ahead_bytes + HEADER_SIZE + entry.size
        return not frames or (frames < CONTROL_FRAMES and size <= CONTROL_BYTES)

    def _next(self) -> Entry:
        """The first message of the channel that has the turn; turns end here, when its next frame costs too much."""
        if self.lone is not None:
            return self.lone
        while True:
            channel_id, lane = next(iter(self._ring.items()))
            entry = next(iter(lane.entries))
            alone = len(self._ring) == 1
            self._offer(entry, self._most if alone else self._piece)
            if entry.offered < entry.size and not entry.charged and not self._may_begin(entry):
                self._held[channel_id] = self._ring.pop(channel_id)
                self._in_turn = False
            elif alone:
                lane.deficit, self._in_turn = 0, False
                return entry
            else:
                if not self._in_turn:
                    lane.deficit += QUANTUM * lane.weight
                    self._in_turn = True
                if _cost(entry, entry.offered) <= lane.deficit:
                    return entry
                self._ring.move_to_end(channel_id)
                self._in_turn = False

    def _line_up(self, entry: Entry) -> None:
        """Put a message behind the others of its channel."""
        lane = self._lanes.get(entry.channel_id)
        if lane is None:
            lane = self._lanes[entry.channel_id] = _Lane()
        if not lane.entries:
            self._ring[entry.channel_id] = lane
        lane.entries[entry] = None

    def _drop_lone(self) -> None:
        self.lone = self._head = None
        self._frames = 0
        self.waiting -= 1

    def _offer(self, entry: Entry, most: int) -> None:
        left = entry.size - entry.sent
        entry.offered = most if left > most and entry.command in IN_PIECES else left

    def _count(self, entry: Entry, lane: _Lane, size: int) -> None:
        """A frame with so many bytes of this message was written."""
        if self._in_turn:
            lane.deficit -= _cost(entry, size)
        entry.sent += size
        if entry.sent == entry.size:
            entry.written = True
            self._remove(entry, lane)

    def _may_begin(self, entry: Entry) -> bool:
        """Charge a message that is going to be begun; False when it has to wait until others are finished."""
        cost = charge(entry.size)
        if self._held or (self._begun and self._begun + cost > self._budget):
            return False
        self._begun += cost
        entry.charged = True
        return True

    def _let_begin(self) -> None:
        """There is room again: let those begin that have waited longest.

        At most two, so that this takes no longer with many; of two for each that is finished there are enough.
        """
        for channel_id, lane in list(islice(self._held.items(), 2)):
            entry = next(iter(lane.entries))
            cost = charge(entry.size)
            if self._begun and self._begun + cost > self._budget:
                return
            self._begun += cost
            entry.charged = True
            self._ring[channel_id] = self._held.pop(channel_id)

    def _remove(self, entry: Entry, lane: _Lane) -> None:
        del lane.entries[entry]
        self._frames -= 1
        self.waiting -= 1
        self._head = None
        if not lane.entries:
            lane.deficit = 0
            if self._held.pop(entry.channel_id, None) is None:
                if next(iter(self._ring.values())) is lane:
                    self._in_turn = False
                del self._ring[entry.channel_id]
            if lane.weight == 1:
                self._lanes.pop(entry.channel_id, None)  # there may be very many channels, and few have messages
        if entry.charged:
            self._begun -= charge(entry.size)
            self.unfenced += charge(entry.size)
            self._let_begin()


def _cost(entry: Entry, size: int) -> int:
    """What a frame with so many bytes of it takes off the deficit.

    What cannot go in pieces costs a turn at most: OPENs, queued in the order of their ids, are written in that order.
    """
    cost = charge(size)
    return cost if entry.command in IN_PIECES else min(cost, QUANTUM)
