# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Acknowledgements: the ids of receives whose elements were taken, owed to their home until they are written.

Rule 1: of each channel the oldest goes first; a flag carries one, a TAKEN frame up to MAX_TAKEN.
Rule 2: DETACH gives back what was not confirmed, BYE is the last frame of all, and a request must not be one too many
in the home's count, which holds a receive until its element is confirmed: acknowledgements go in front of these.
Rule 3: a queue that never runs empty does not keep them waiting: PATIENCE frames at most go in front of one that finds
no frame of its own channel to ride on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Final

from .commands import Command, Flag
from .frame import Frame
from .handles import Handle
from .messages import MAX_TAKEN, encode_taken
from .outbox import Entry
from .riders import Alone

__all__ = ["Acks"]

PATIENCE: Final = 16
"""How many frames an acknowledgement lets go first while it finds none of its own to ride on."""

_U32: Final = struct.Struct(">I")


class Acks:
    """What this side has taken and not yet confirmed; a rider with the flag TAKEN.

    ``is_one_too_many(entry)`` says whether the home could count one request too many if this entry went out now;
    ``on_paid(count)`` is told how many receives are over with the frame that was just written.
    """

    flag: Final = int(Flag.TAKEN)

    def __init__(self, is_one_too_many: Callable[[Entry], bool], on_paid: Callable[[int], None]) -> None:
        self._is_one_too_many = is_one_too_many
        self._on_paid = on_paid
        self.owing: dict[int, Handle] = {}
        self._unpaid: dict[int, None] = {}
        self._passed: tuple[Entry, int] | None = None
        self._patience = PATIENCE

    def owe(self, handle: Handle, request_id: int) -> None:
        """The element of this receive was taken."""
        handle.acks.append(request_id)
        self.owing[handle.id] = handle
        self._unpaid[request_id] = None

    def unpaid(self) -> tuple[int, ...]:
        """Receives that are done here, but whose acknowledgement was not written."""
        return tuple(self._unpaid)

    def clear(self) -> None:
        """Nothing is written any more; what is unpaid stays so, for the report."""
        self.owing.clear()

    # -- as a rider

    def load(self, handle: Handle, /) -> bytes:
        """The oldest acknowledgement of this channel."""
        return _U32.pack(handle.acks[0]) if handle.acks else b""

    def carried(self, handle: Handle, /) -> None:
        """One was written."""
        self._pay(handle, 1)

    def first(self, entry: Entry, /) -> Alone | None:
        """A TAKEN frame that must not come behind this entry."""
        if entry.command is Command.DETACH:
            handle = self.owing.get(entry.channel_id)
            return self._frame(handle) if handle is not None and len(handle.acks) > 1 else None
        frame = (entry, entry.sent)  # a frame of it: a long message has many
        if frame != self._passed:
            self._passed = frame
            self._patience -= 1
        if self._patience < 0 or entry.command is Command.BYE or self._is_one_too_many(entry):
            return self.alone()
        return None

    def alone(self) -> Alone | None:
        """A TAKEN frame of the channel that has waited longest."""
        handle = next(iter(self.owing.values()), None)
        return None if handle is None else self._frame(handle)

    # -- inside

    def _frame(self, handle: Handle) -> Alone:
        ids = handle.acks[:MAX_TAKEN]
        frame = Frame(Command.TAKEN, 0, handle.id, 0, handle.order.outgoing, (encode_taken(ids),))
        return Alone(frame, handle.order, partial(self._pay, handle, len(ids)))

    def _pay(self, handle: Handle, count: int) -> None:
        self._patience, self._passed = PATIENCE, None  # which would keep a message alive that was written long ago
        for request_id in handle.acks[:count]:
            self._unpaid.pop(request_id, None)
        del handle.acks[:count]
        if not handle.acks:
            self.owing.pop(handle.id, None)
        self._on_paid(count)
