# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Frames on the streams of one connection: which stream a frame takes, and when one that has come is handed out.

    on a stream:  after (4) frame   after (4) frame   ...          the last on stream 0:  count (4) and its end

Each side sends on streams of its own direction: one for control, and up to CHANNEL_STREAMS for channels; each is opened
by its first frame. What is on a stream says by itself to which channel it belongs, so the other side need not know how
they were shared out.

Rule 1: the frames of one channel take one stream, so they arrive in order; between streams only fences count.
Rule 2: a length is judged before its payload is kept in one piece; what stands behind a fence is not even looked at.
Rule 3: a side ends in good order by saying how many frames it has sent; with fewer handed out it has not ended.
Rule 4: what waits behind fences is bounded; whoever sends more out of turn is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from kcoro_core.errors import ProtocolError
from kcoro_core.transport import FENCE, RawFrame
from kcoro_core.transports.lanes import LaneReader, LaneWriter

__all__ = ["CHANNEL_STREAMS", "CONTROL", "MOST_HELD_BYTES", "Incoming", "Outgoing"]

CHANNEL_STREAMS: Final = 63
"""How many streams the channels of one side share: channels whose ids are the same modulo this share one. Peers let a
side open about a hundred."""
CONTROL: Final = 0
"""The number here of the stream for frames of the connection itself."""
MOST_HELD_BYTES: Final = 64 << 20
"""How many bytes may wait behind fences: more than a side may have under way by the limits of links."""

_NUMBER_BYTES: Final = 4
_LENGTH_BYTES: Final = 4
_HEADER_BYTES: Final = 20
_FRONT_BYTES: Final = _NUMBER_BYTES + _HEADER_BYTES


def stream_of(lane: int) -> int:
    """Which of our streams the frames of a lane take: CONTROL, or 1 to CHANNEL_STREAMS."""
    channel_id = lane & ~FENCE
    return 1 + (channel_id - 1) % CHANNEL_STREAMS if channel_id else CONTROL


@define(eq=False)
class Outgoing:
    """What this side sends: bytes that wait, by the stream that they take."""

    lanes: LaneWriter = field(factory=LaneWriter)
    waiting: dict[int, list[bytes]] = field(factory=dict)
    size: int = 0

    def put(self, header: bytes, parts: Sequence[bytes], lane: int) -> None:
        """Take one frame."""
        after = self.lanes.after(lane).to_bytes(_NUMBER_BYTES, "big")
        data = b"".join((after, header, *parts))
        self.waiting.setdefault(stream_of(lane), []).append(data)
        self.size += len(data)

    def put_last(self) -> None:
        """Say how many frames there were; nothing is put behind this."""
        self.waiting.setdefault(CONTROL, []).append(self.lanes.count.to_bytes(_NUMBER_BYTES, "big"))

    def take(self) -> list[tuple[int, bytes]]:
        """Everything that waits: streams with their bytes."""
        taken = [(stream, b"".join(data)) for stream, data in self.waiting.items()]
        self.waiting.clear()
        self.size = 0
        return taken


@define(eq=False)
class _Inlet:
    """What has come on one stream and was not handed out; ``ended``: no more will."""

    data: bytearray = field(factory=bytearray)
    start: int = 0
    ended: bool = False

    @property
    def left(self) -> int:
        return len(self.data) - self.start

    def number(self, at: int = 0) -> int:
        return int.from_bytes(self.data[self.start + at : self.start + at + _NUMBER_BYTES], "big")

    @property
    def says_total(self) -> bool:
        return self.ended and self.left >= _NUMBER_BYTES

    def count(self) -> int:
        """How many whole frames there are."""
        count = at = 0
        while self.left - at >= _FRONT_BYTES:
            at += _FRONT_BYTES + self.number(at + _NUMBER_BYTES)
            count += at <= self.left
        return count

    def skip(self, size: int) -> None:
        self.start += size
        if self.start == len(self.data):
            self.data.clear()
            self.start = 0
        elif self.start > len(self.data) // 2:
            del self.data[: self.start]
            self.start = 0


@define(eq=False)
class Incoming:
    """What the other side has sent. ``fresh`` are streams that may have a frame, ``held`` those behind a fence.

    ``size`` is how many bytes have come and were not handed out.
    """

    lanes: LaneReader = field(factory=LaneReader)
    inlets: dict[int, _Inlet] = field(factory=dict)
    fresh: dict[_Inlet, None] = field(factory=dict)
    held: dict[_Inlet, int] = field(factory=dict)
    size: int = 0
    total: int | None = None
    """How many frames there are in all, once the other side has said so."""

    def feed(self, stream: int, data: bytes, ended: bool) -> None:
        """Add what has come on a stream. Raises ProtocolError for too much that waits behind fences."""
        inlet = self.inlets.get(stream)
        if inlet is None:
            inlet = self.inlets[stream] = _Inlet()
        inlet.data += data
        self.size += len(data)
        inlet.ended = inlet.ended or ended
        if inlet not in self.held:
            self.fresh[inlet] = None
        elif sum(one.left for one in self.held) > MOST_HELD_BYTES:
            raise ProtocolError(f"more than {MOST_HELD_BYTES} bytes wait for frames that were sent before them")

    def next(self, limit: int) -> RawFrame | None:
        """The next frame, of the stream that has waited longest; None: there is no whole one that may be handed out.

        Raises ProtocolError for one above ``limit``, again and again: nothing of it is taken.
        """
        while self.fresh:
            inlet = next(iter(self.fresh))
            frame = self._next_of(inlet, limit)
            del self.fresh[inlet]
            if frame is not None:
                self.fresh[inlet] = None  # behind the others
                self._took()
                return frame
        return None

    @property
    def is_complete(self) -> bool:
        """Whether the other side has ended, and everything that it sent was handed out."""
        return self.total is not None and self.total == self.lanes.count

    @property
    def has_all(self) -> bool:
        """Whether all that the other side has sent is here or was handed out; asked when nothing more can come."""
        whole = sum(inlet.count() for inlet in self.inlets.values())
        ends = (inlet.number(inlet.left - _NUMBER_BYTES) for inlet in self.inlets.values() if inlet.says_total)
        return next(ends, self.total) == (self.lanes.count + whole) & 0xFFFF_FFFF

    def clear(self) -> None:
        """Nothing is handed out any more."""
        self.size = 0
        self.inlets.clear()
        self.fresh.clear()
        self.held.clear()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _next_of(self, inlet: _Inlet, limit: int) -> RawFrame | None:
        if inlet.ended and inlet.left == _NUMBER_BYTES:
            self.total = inlet.number()
            inlet.skip(_NUMBER_BYTES)
            self.size -= _NUMBER_BYTES
            return None
        if inlet.left < _FRONT_BYTES:
            return None
        after = inlet.number()
        if not self.lanes.may_take(after):
            self.held[inlet] = after
            return None
        length = inlet.number(_NUMBER_BYTES)
        if length > limit:
            raise ProtocolError(f"a frame announces {length} bytes, {limit} are acceptable")
        if inlet.left < _FRONT_BYTES + length:
            return None
        begin = inlet.start + _NUMBER_BYTES
        header = bytes(inlet.data[begin : begin + _HEADER_BYTES])
        begin += _HEADER_BYTES
        payload = bytes(memoryview(inlet.data)[begin : begin + length])
        inlet.skip(_FRONT_BYTES + length)
        self.size -= _FRONT_BYTES + length
        return RawFrame(header, payload)

    def _took(self) -> None:
        self.lanes.took()
        for inlet in [inlet for inlet, after in self.held.items() if self.lanes.may_take(after)]:
            del self.held[inlet]
            self.fresh[inlet] = None
