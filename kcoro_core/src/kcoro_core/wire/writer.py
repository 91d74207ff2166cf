# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What goes out: the next frame to write, with its number and with whatever rides along.

Rule 1: a frame is offered, then written whole; only then its number is spent and whoever waits for it is told.
Rule 2: an offer may be asked for again and again; nothing is taken out of a queue for it.
Rule 3: of a message in pieces only the first frame carries anything; what is owed meanwhile goes alone, between them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from attrs import define, field

from .commands import ALLOWED_FLAGS, Command, Flag
from .frame import HEADER_SIZE, Frame
from .handles import Handle, HandleTable
from .order import Order
from .outbox import Entry, Outbox
from .pieces import TOTAL, cut
from .riders import Alone, Rider

__all__ = ["Writer"]

_U32: Final = struct.Struct(">I")
_MASK: Final = 0xFFFF_FFFF
_FIRST: Final = int(Flag.FIRST)
_MORE: Final = int(Flag.MORE)


@define(eq=False)
class _Offer:
    """The frame of an entry that poll gave last, and what rides on it."""

    frame: Frame
    order: Order
    entry: Entry
    riding: list[tuple[Rider, Handle]] = field(factory=list)


class Writer:
    """The outgoing side of one connection. ``order`` is that of channel 0; ``riders`` stand in the order of flags."""

    def __init__(self, outbox: Outbox, handles: HandleTable, order: Order, riders: Sequence[Rider]) -> None:
        self.frames = 0
        self.bytes = 0
        self._outbox = outbox
        self._handles = handles
        self._order = order
        self._riders = riders
        self._owing = tuple(rider.owing for rider in riders)
        self._offer: _Offer | Alone | None = None

    def has_frames(self) -> bool:
        """Whether something waits to be written, what rides along included."""
        if len(self._outbox):
            return True
        for owing in self._owing:  # noqa: SIM110 - asked for each frame, and any() takes twice as long
            if owing:
                return True
        return False

    def poll(self, flush: bool) -> Frame | None:
        """The frame to write next, or None; ``flush`` False leaves alone what can still find a frame to ride on."""
        entry = self._outbox.head()
        offer: _Offer | Alone | None
        if entry is None:
            offer = self._alone() if flush else None
        else:
            owing = [rider for rider in self._riders if rider.owing]
            offer = (_ahead_of(entry, owing) if owing else None) or self._entry(entry, owing)
        self._offer = offer
        return None if offer is None else offer.frame

    def drop(self) -> None:
        """Nothing is offered any more."""
        self._offer = None

    def mark_written(self) -> None:
        """The frame that poll gave last was taken, whole. Raises ValueError without one."""
        offer, self._offer = self._offer, None
        if offer is None or (isinstance(offer, _Offer) and not self._outbox.pop(offer.entry)):
            raise ValueError("no frame is offered: call poll_transmit first, and nothing between the two")
        offer.order.written()
        self.frames += 1
        self.bytes += HEADER_SIZE + offer.frame.length
        if isinstance(offer, Alone):
            offer.written()
            return
        for rider, handle in offer.riding:
            rider.carried(handle)
        if offer.entry.written and offer.entry.on_written is not None:
            offer.entry.on_written()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _alone(self) -> Alone | None:
        for rider in self._riders:
            if rider.owing and (alone := rider.alone()) is not None:
                return alone
        return None

    def _entry(self, entry: Entry, owing: list[Rider]) -> _Offer:
        handle = self._handles.of_frame(entry.channel_id) if entry.channel_id else None
        order = self._order if handle is None else handle.order
        if entry.offered < entry.size:
            return self._piece(entry, handle, order)
        parts, flags = entry.parts, entry.flags
        riding: list[tuple[Rider, Handle]] = []
        if entry.command is Command.CLOSE:
            parts = (_U32.pack((order.outgoing - 1) & _MASK), *parts)
        if owing and handle is not None and (allowed := ALLOWED_FLAGS.get(entry.command, 0)):
            for rider in reversed(owing):
                if allowed & rider.flag and (extension := rider.load(handle)):
                    riding.append((rider, handle))
                    parts, flags = (extension, *parts), flags | rider.flag
        length = entry.size if parts is entry.parts else -1
        frame = Frame(entry.command, flags, entry.channel_id, entry.request_id, order.outgoing, parts, length)
        return _Offer(frame, order, entry, riding)

    def _piece(self, entry: Entry, handle: Handle | None, order: Order) -> _Offer:
        """The next piece of a message that does not go out in one."""
        length = entry.offered
        parts = cut(entry.parts, entry.sent, length)
        flags, riding = 0, list[tuple[Rider, Handle]]()
        if not entry.sent:
            extensions, riding = self._extensions(entry, handle)
            parts = (*(extensions[flag] for flag in sorted(extensions)), *parts)
            flags, length = entry.flags | sum(extensions), -1
        if entry.sent + entry.offered < entry.size:
            flags |= _MORE
        frame = Frame(entry.command, flags, entry.channel_id, entry.request_id, order.outgoing, parts, length)
        return _Offer(frame, order, entry, riding)

    def _extensions(self, entry: Entry, handle: Handle | None) -> tuple[dict[int, bytes], list[tuple[Rider, Handle]]]:
        """What stands in front of the first piece, by flag."""
        extensions, riding = {_FIRST: TOTAL.pack(entry.size)}, list[tuple[Rider, Handle]]()
        for rider in self._riders:
            if handle is None or not ALLOWED_FLAGS.get(entry.command, 0) & rider.flag:
                continue
            if extension := rider.load(handle):
                extensions[rider.flag] = extension
                riding.append((rider, handle))
        return extensions, riding


def _ahead_of(entry: Entry, owing: list[Rider]) -> Alone | None:
    for rider in owing:
        if (alone := rider.first(entry)) is not None:
            return alone
    return None
