# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Grants that are owed: each rides on the next frame of its channel, the others go together in one CREDIT frame.

Rule 1: the first grant of a handle rides on the answer to its OPEN, however long that waits: it says that slots are
lent, and before the answer the opener knows of no channel.
Rule 2: what is written is the newest state; a grant that changed after it was offered is owed still.
Rule 3: on a medium with STREAMS each goes alone on its own channel, since totals must not overtake each other.
Rule 4: at the latest PATIENCE frames of other channels later, or in front of a BYE, a grant goes alone.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Final

from .commands import Command, Flag
from .credit import MAX_CREDITS, Grant, encode_credit
from .frame import Frame
from .handles import Handle, HandleTable
from .order import Order
from .outbox import Entry
from .riders import Alone
from .slots import Slots

__all__ = ["PATIENCE", "Grants"]

PATIENCE: Final = 32
"""How many frames of other channels a grant lets go first while it finds none of its own to ride on."""


class Grants:
    """What this side has granted and not yet told; a rider with the flag GRANT. ``order`` is that of channel 0.

    ``handles`` are given where each grant goes on its channel.
    """

    flag: Final = int(Flag.GRANT)

    def __init__(self, order: Order, handles: HandleTable | None = None) -> None:
        self._order = order
        self._handles = handles
        self.owing: dict[int, Slots] = {}
        self._first: set[int] = set()
        self._loaded: dict[int, Grant] = {}
        self._passed: tuple[Entry, int] | None = None
        self._patience = PATIENCE

    def begin(self, channel_id: int, slots: Slots) -> None:
        """The first grant of a handle whose OPEN is about to be answered."""
        self._first.add(channel_id)
        self.owe(channel_id, slots)

    def owe(self, channel_id: int, slots: Slots) -> None:
        """There is something new to tell on this handle."""
        self.owing[channel_id] = slots

    def forget(self, channel_id: int) -> None:
        """The handle is gone."""
        self.owing.pop(channel_id, None)
        self._first.discard(channel_id)

    def clear(self) -> None:
        """Nothing is written any more."""
        self.owing.clear()
        self._first.clear()

    # -- as a rider

    def load(self, handle: Handle, /) -> bytes:
        """The grant of this channel."""
        slots = self.owing.get(handle.id)
        if slots is None:
            return b""
        grant = self._loaded[handle.id] = slots.grant
        return grant.encode()

    def carried(self, handle: Handle, /) -> None:
        """It was written."""
        self._first.discard(handle.id)
        self._pay([(handle.id, self._loaded.pop(handle.id))])

    def first(self, entry: Entry, /) -> Alone | None:
        """A CREDIT frame that has waited long enough."""
        frame = (entry, entry.sent)  # a frame of it: a long message has many
        if frame != self._passed:
            self._passed = frame
            self._patience -= 1
        if self._patience < 0 or entry.command is Command.BYE:
            return self.alone()
        return None

    def alone(self) -> Alone | None:
        """A CREDIT frame with what is owed on all channels that are open, oldest first."""
        told = ((channel_id, slots.grant) for channel_id, slots in self.owing.items() if channel_id not in self._first)
        grants = list(islice(told, 1 if self._handles is not None else MAX_CREDITS))
        if not grants:
            return None
        if self._handles is not None:
            [(channel_id, grant)] = grants
            order = self._handles.of_frame(channel_id).order
            frame = Frame(Command.CREDIT, 0, channel_id, 0, order.outgoing, (grant.encode(),))
            return Alone(frame, order, partial(self._pay, grants))
        frame = Frame(Command.CREDIT, 0, 0, 0, self._order.outgoing, (encode_credit(grants),))
        return Alone(frame, self._order, partial(self._pay, grants))

    # -- inside

    def _pay(self, grants: list[tuple[int, Grant]]) -> None:
        self._patience = PATIENCE
        for channel_id, grant in grants:
            slots = self.owing.get(channel_id)
            if slots is not None and slots.grant == grant:
                del self.owing[channel_id]
