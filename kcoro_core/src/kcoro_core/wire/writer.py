# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What goes out: the next frame to write, with its number and with whatever rides along.

Rule 1: a frame is offered, then written whole; only then its number is spent and whoever waits for it is told.
Rule 2: an offer may be asked for again and again; nothing is taken out of a queue for it.
Rule 3: of a message in pieces only the first frame carries anything; what is owed meanwhile goes alone, between them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from .commands import ALLOWED_FLAGS, Command, Flag
from .fences import Fences
from .frame import HEADER_SIZE, Frame, pack_header
from .handles import Handle, HandleTable
from .order import Order
from .outbox import Entry, Outbox
from .pieces import TOTAL, cut
from .riders import Alone, Rider

__all__ = ["Writer"]

_U32: Final = struct.Struct(">I")
_MASK: Final = 0xFFFF_FFFF
_CLOSE: Final = Command.CLOSE
_FIRST: Final = int(Flag.FIRST)
_MORE: Final = int(Flag.MORE)


Give = Callable[[Any, bytes, Sequence[bytes], int], bool]
"""What takes a frame for a medium: the medium, the 20 bytes of the header, what follows them, the lane.

False: not now, and nothing of it was taken.
"""


class Writer:
    """The outgoing side of one connection. ``order`` is that of channel 0; ``riders`` stand in the order of flags.

    ``fences`` choose the lanes on a medium with STREAMS; without them a lane is the id of the channel.
    """

    def __init__(
        self,
        outbox: Outbox,
        handles: HandleTable,
        order: Order,
        riders: Sequence[Rider],
        fences: Fences | None = None,
    ) -> None:
        self._fences = fences
        self.frames = 0
        self.bytes = 0
        self._outbox = outbox
        self._handles = handles
        self._control = order
        self._riders = riders
        self._owing = tuple(rider.owing for rider in riders)
        self._last = False  # what rides along has nobody left to hear it
        self._over = False
        # What is offered: all of a frame but its number, which is the next of this order; for an entry, or for a rider.
        self._offered = False
        self._entry: Any = None  # an Entry, or the frame of a rider
        self._order = order
        self._parts: tuple[bytes, ...] = ()
        self._flags = 0
        self._length = 0
        self._riding: Sequence[tuple[Rider, Handle]] = ()
        self._alone: Alone | None = None

    def has_frames(self) -> bool:
        """Whether something waits to be written, what rides along included."""
        if self._outbox.waiting:
            return True
        for owing in self._owing:  # noqa: SIM110 - asked for each frame, and any() takes twice as long
            if owing:
                return True
        return False

    def write(self, give: Give, medium: Any, most: int, flush: bool) -> tuple[int, bool]:
        """Hand frames to ``give`` until nothing is left, it refuses one, or it has taken ``most`` bytes.

        Returns how many bytes it took, headers included, and whether it has refused a frame, which stays the next.
        ``flush`` as for ``poll``.
        """
        taken = 0
        if self._outbox.waiting == 1 and most > 0:
            taken = self._write_only(give, medium)
            if taken and not (flush or self._outbox.waiting):
                return taken, False  # what rides along may wait for the next frame
        while taken < most and self._next(flush):
            entry, order, length = self._entry, self._order, self._length
            channel_id = entry.channel_id
            header = pack_header(length, entry.command, self._flags, channel_id, entry.request_id, order.outgoing)
            lane = channel_id if self._fences is None else self._fences.lane(entry)
            if not give(medium, header, self._parts, lane):
                return taken, True
            taken += HEADER_SIZE + length
            self._wrote()
            if self._fences is not None:
                self._fences.wrote(entry, lane)
            if not (flush or self._outbox.waiting):
                break
        return taken, False

    def _write_only(self, give: Give, medium: Any) -> int:
        """What ``write`` does for a message that is all there is; 0, without effect, if it is not, or was refused.

        Where little is under way most frames go like this, and there is nothing to choose or to remember.
        """
        outbox = self._outbox
        entry = outbox.lone
        if entry is None or self._over:
            return 0
        for owing in self._owing:
            if owing:
                return 0
        command, channel_id, length = entry.command, entry.channel_id, entry.size
        if command is _CLOSE:
            return 0
        order = self._handles.of_frame(channel_id).order if channel_id else self._control
        seq = order.outgoing
        header = pack_header(length, command, entry.flags, channel_id, entry.request_id, seq)
        lane = channel_id if self._fences is None else self._fences.lane(entry)
        if not give(medium, header, entry.parts, lane):
            return 0
        order.outgoing = (seq + 1) & _MASK
        length += HEADER_SIZE
        self.frames += 1
        self.bytes += length
        self._offered = False
        outbox.pop_only(entry)
        if (on_written := entry.on_written) is not None:
            on_written(entry)
        if self._fences is not None:
            self._fences.wrote(entry, lane)
        return length

    def poll(self, flush: bool) -> Frame | None:
        """The frame to write next, or None; ``flush`` False leaves alone what can still find a frame to ride on."""
        if not self._next(flush):
            return None
        entry, seq = self._entry, self._order.outgoing
        return Frame(entry.command, self._flags, entry.channel_id, entry.request_id, seq, self._parts, self._length)

    def mark_written(self) -> None:
        """The frame that poll gave last was taken, whole. Raises ValueError without one."""
        if not self._offered or (self._alone is None and self._outbox.head() is not self._entry):
            self._offered = False
            raise ValueError("no frame is offered: call poll_transmit first, and nothing between the two")
        self._wrote()

    def said_bye(self) -> None:
        """The last frame of this side was written: nothing goes alone behind it."""
        self._last = True

    def end(self) -> None:
        """Nothing is written any more."""
        self._over, self._offered = True, False

    # --- inside ------------------------------------------------------------------------------------------------------

    def _next(self, flush: bool) -> bool:
        """Offer the next frame; whether there is one."""
        if self._over:
            return False
        entry = self._outbox.head()
        if entry is None:
            return flush and not self._last and self._offer_alone()
        for owing in self._owing:
            if owing:
                break
        else:
            owing = None
        if owing and self._offer_first(entry):
            return True
        channel_id = entry.channel_id
        handle = self._handles.of_frame(channel_id) if channel_id else None
        self._entry, self._alone, self._riding, self._offered = entry, None, (), True
        self._order = self._control if handle is None else handle.order
        self._parts, self._flags, self._length = entry.parts, entry.flags, entry.size
        if entry.offered < entry.size:
            self._offer_piece(entry, handle)
            return True
        if entry.command is Command.CLOSE:
            self._put_in_front((_U32.pack((self._order.outgoing - 1) & _MASK),))
        if owing and handle is not None:
            self._load(entry, handle, {})
        return True

    def _offer_alone(self) -> bool:
        """What finds no frame to ride on."""
        for rider in self._riders:
            if rider.owing and (alone := rider.alone()) is not None:
                self._offer_rider(alone)
                return True
        return False

    def _offer_first(self, entry: Entry) -> bool:
        """What must not wait behind this entry."""
        for rider in self._riders:
            if rider.owing and (alone := rider.first(entry)) is not None:
                self._offer_rider(alone)
                return True
        return False

    def _offer_rider(self, alone: Alone) -> None:
        frame = self._entry = alone.frame
        self._alone, self._order, self._offered = alone, alone.order, True
        self._parts, self._flags, self._length = frame.parts, frame.flags, frame.length

    def _offer_piece(self, entry: Entry, handle: Handle | None) -> None:
        """The next piece of a message that does not go out in one."""
        size = entry.offered
        self._parts, self._flags, self._length = cut(entry.parts, entry.sent, size), 0, size
        if not entry.sent:
            self._flags = entry.flags
            self._load(entry, handle, {_FIRST: TOTAL.pack(entry.size)})
        if entry.sent + size < entry.size:
            self._flags |= _MORE

    def _load(self, entry: Entry, handle: Handle | None, extensions: dict[int, bytes]) -> None:
        """Put what rides along in front, and other ``extensions``, all by their flags."""
        riding = list[tuple[Rider, Handle]]()
        allowed = 0 if handle is None else ALLOWED_FLAGS.get(entry.command, 0)
        for rider in self._riders:
            if handle is not None and allowed & rider.flag and rider.owing and (extension := rider.load(handle)):
                extensions[rider.flag] = extension
                riding.append((rider, handle))
        self._riding = riding
        self._flags |= sum(extensions)
        self._put_in_front([extensions[flag] for flag in sorted(extensions)])

    def _put_in_front(self, parts: Sequence[bytes]) -> None:
        self._parts = (*parts, *self._parts)
        self._length += sum(map(len, parts))

    def _wrote(self) -> None:
        """The offered frame is out."""
        entry, order = self._entry, self._order
        order.outgoing = (order.outgoing + 1) & _MASK  # spent, as next_serial says; in line, for each frame
        self.frames += 1
        self.bytes += HEADER_SIZE + self._length
        self._offered = False
        if self._alone is not None:
            self._alone.written()
            return
        self._outbox.pop(entry)
        for rider, handle in self._riding:
            rider.carried(handle)
        if entry.written and entry.on_written is not None:
            entry.on_written(entry)
