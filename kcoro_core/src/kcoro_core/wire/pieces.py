# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Pieces: a message that is longer than a frame, or than a turn, travels in several frames.

    FIRST|MORE: total, extensions, piece  -->  MORE: piece  -->  ...  -->  (no flag): the last piece

Rule 1: pieces of one message have its command, channel and request id; only the first one carries its other flags.
Rule 2: between them nothing else of their channel stands but what cannot wait (BETWEEN_PIECES).
Rule 3: the total is judged before a byte is kept, and nothing is allocated for what has only been announced.
Rule 4: what a peer has begun and not finished is charged to ``receive_budget``; beyond it the connection ends.
Rule 5: a piece with MORE has at least LEAST_PIECE bytes, so that many tiny ones cannot cost more than they say.

The sending end (Outbox) keeps below the same budget by the same charge, in the order of writing.
Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

from ..errors import ProtocolError
from .commands import BETWEEN_PIECES, IN_PIECES, Flag, command_name
from .events import Event
from .fields import Fields
from .frame import Frame
from .handles import Handle
from .hello import Limits, charge

__all__ = ["LEAST_PIECE", "TOTAL", "Pieces", "cut"]

LEAST_PIECE: Final = 1024
"""Bytes of the smallest piece that is not the last of its message."""
TOTAL: Final = struct.Struct(">Q")
"""The extension of FIRST: bytes of the whole payload, without extensions."""

_PIECE: Final = int(Flag.FIRST | Flag.MORE)
_MORE: Final = int(Flag.MORE)


def cut(parts: Sequence[bytes], start: int, size: int) -> tuple[bytes, ...]:
    """``size`` bytes from ``start`` on of what the parts are together; views of them, nothing is copied."""
    found: list[bytes] = []
    for part in parts:
        if start < len(part) and size:
            piece = memoryview(part)[start : start + size]
            found.append(piece)  # type: ignore[arg-type]  # whoever takes parts takes any buffer of bytes
            size -= len(piece)
            start = 0
        else:
            start -= len(part)
    return tuple(found)


@define(eq=False)
class _Partial:
    """One message that has begun to arrive: its first frame, and what is known of the rest."""

    frame: Frame
    fields: Fields
    total: int
    cost: int
    arrived: int = 0
    tail: list[bytes] = field(factory=list)


class Pieces:
    """Messages of the peer that have begun to arrive, at most one for each channel: ``begun``, by its id.

    ``takes(handle, command, size)`` says whether the channel takes an element of that size.
    """

    def __init__(self, takes: Callable[[Handle | None, int, int], bool]) -> None:
        self.charged = 0
        self._takes = takes
        self.begun: dict[int, _Partial] = {}
        self._announced = 0
        self._limits = Limits()

    def agree(self, limits: Limits) -> None:
        """What the peer must hold to is known."""
        self._limits = limits

    def clear(self) -> None:
        """The connection is over; what has not arrived whole has not arrived."""
        self.begun.clear()
        self.charged = 0

    def read_total(self, _handle: Handle | None, fields: Fields, _events: list[Event]) -> None:
        """Take the extension of FIRST off."""
        self._announced = int(fields.take(TOTAL)[0])

    def check(self, frame: Frame) -> None:
        """Raise ProtocolError for a frame that stands between the pieces of its channel and must not."""
        partial = self.begun.get(frame.channel_id)
        if partial is None or frame.command in BETWEEN_PIECES:
            return
        first = partial.frame
        if (frame.command, frame.request_id) != (first.command, first.request_id) or frame.flags & ~_MORE:
            raise ProtocolError(
                f"{command_name(frame.command)} request {frame.request_id} with flags {frame.flags:#x} stands between "
                f"the pieces of {command_name(first.command)} request {first.request_id}"
            )

    def is_piece(self, frame: Frame) -> bool:
        """Whether a frame that was checked is a piece of a message, and no message of its own."""
        return bool(frame.flags & _PIECE) or (frame.channel_id in self.begun and frame.command not in BETWEEN_PIECES)

    def take(self, handle: Handle | None, frame: Frame, fields: Fields) -> tuple[Frame, Fields] | None:
        """Add one piece. Returns the message, as if it had come in one frame, when that was the last; else None.

        ``handle`` is None on channel 0, where the payload of the frame is the message.

        Raises ProtocolError for whatever does not fit what was announced and agreed.
        """
        partial, size = self.begun.get(frame.channel_id), fields.left
        if partial is None:
            partial = self._begin(handle, frame, fields)
        elif not partial.fields.dropped:
            partial.tail.append(fields.rest())
        if not self._count(partial, frame, size):
            return None
        del self.begun[frame.channel_id]
        self.charged -= partial.cost
        partial.fields.follow(partial.tail)
        first = partial.frame
        flags = first.flags & ~_PIECE
        parts = () if handle is not None else (partial.fields.rest(),)
        return Frame(first.command, flags, first.channel_id, first.request_id, frame.seq, parts), partial.fields

    # --- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, handle: Handle | None, frame: Frame, fields: Fields) -> _Partial:
        what = command_name(frame.command)
        if frame.flags & _PIECE != _PIECE:
            raise ProtocolError(f"{what}: a message in pieces begins with FIRST and MORE, not with {frame.flags:#x}")
        size = self._announced - IN_PIECES[frame.command]
        if not 0 < size <= self._limits.max_message:
            raise ProtocolError(f"{what} announces {size} bytes, agreed are 1 to {self._limits.max_message}")
        cost = charge(size)
        if self.charged + cost > self._limits.receive_budget:
            raise ProtocolError(
                f"{what} begins where {self.charged + cost} bytes are unfinished, "
                f"{self._limits.receive_budget} were agreed"
            )
        if not self._takes(handle, frame.command, size):
            fields.drop(IN_PIECES[frame.command], size)
        self.charged += cost
        head = Frame(frame.command, frame.flags, frame.channel_id, frame.request_id)
        partial = self.begun[frame.channel_id] = _Partial(head, fields, self._announced, cost)
        return partial

    def _count(self, partial: _Partial, frame: Frame, size: int) -> bool:
        """Count one piece; whether that was the last."""
        what, more = command_name(frame.command), frame.flags & _MORE
        partial.arrived += size
        if more and size < LEAST_PIECE:
            raise ProtocolError(f"{what}: a piece of {size} bytes that is not the last; the least is {LEAST_PIECE}")
        if partial.arrived > partial.total or (more and partial.arrived == partial.total):
            rest = " and more follow" if more else ""
            raise ProtocolError(f"{what}: {partial.arrived} bytes came{rest}, {partial.total} were announced")
        if not more and partial.arrived < partial.total:
            raise ProtocolError(f"{what}: {partial.arrived} bytes came in all, {partial.total} were announced")
        return not more
