# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The opener's part in lending: sends DATA against slots, hears grants, and gives the slots back when asked.

Rule 1: RETURN stands behind all DATA and SEND of its channel, and no slot is used behind a RECALL or a CLOSE.
Rule 2: what cannot go as DATA is refused here, without effect; its owner asks with a SEND instead.
Rule 3: a value that waits in a CONFLATED channel goes first, whatever of its channel is queued behind it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..errors import ProtocolError
from .ahead import Ahead
from .commands import Command, Flag
from .credit import MAX_QUESTIONS, Grant, decode_credit
from .events import Event, LostData
from .fields import Fields
from .frame import Frame
from .handles import Handle, Handler, HandleTable
from .lending import Purse, Window
from .messages import encode_skipped
from .outbox import Entry, Outbox
from .states import HandleState, LendState, LendStep

__all__ = ["Borrower", "Sent"]

_AHEAD: Final = int(Flag.AHEAD)
_KEEP: Final = int(Flag.KEEP)
_NONE_SKIPPED: Final = encode_skipped(0)


class Sent(NamedTuple):
    """What became of an element that was to go without asking; ``replaced`` is an older value that goes nowhere now."""

    done: bool
    replaced: bytes | None = None


_NO_SLOT: Final = Sent(False)
_DONE: Final = Sent(True)


class Borrower:
    """Slots that the peer has lent to this side."""

    def __init__(self, outbox: Outbox, handles: HandleTable, ahead: Ahead, most: int) -> None:
        self.purse = Purse(most)
        self._outbox = outbox
        self._ahead = ahead
        self._handles = handles

    def handlers(self) -> dict[int, Handler]:
        """What a home may send that lends."""
        return {Command.RECALL: self.on_recall}

    # -- what is sent

    def data(self, handle: Handle, element: bytes) -> Sent:
        """Send an element against a slot, if there is one; the caller has checked everything else."""
        window = handle.window
        if window is None:
            return _NO_SLOT
        if window.waiting is None and window.has_room(element):
            self._put(handle, window, element, _NONE_SKIPPED)
            return _DONE
        if window.reserve and window.has_room(element, reserve=True):
            replaced, window.waiting = window.waiting, element
            window.skipped += replaced is not None
            return Sent(True, replaced)
        return _NO_SLOT

    def flush(self, handle: Handle) -> None:
        """Something is queued that the value that waits must go in front of."""
        window = handle.window
        if window is not None and window.waiting is not None:
            element, window.waiting = window.waiting, None
            skipped, window.skipped = window.skipped, 0
            self._put(handle, window, element, encode_skipped(skipped))

    def closed(self, handle: Handle) -> None:
        """The news of a close came: it is a recall as well."""
        window = handle.window
        if window is not None and window.state is LendState.LENT:
            self._give_back(handle, window)

    def detach(self, handle: Handle) -> None:
        """DETACH, which is a RETURN too, is about to be queued."""
        self.flush(handle)
        if handle.window is not None and handle.window.state is LendState.LENT:
            handle.window.step(LendStep.RETURN)

    # -- what is heard

    def read_grant(self, handle: Handle, fields: Fields, events: list[Event]) -> None:
        """A grant that rides on another frame."""
        grant = Grant.decode(fields)
        if not handle.mine:
            raise ProtocolError(f"GRANT from the opener of channel {handle.id}")
        self._grant(handle, grant, events)

    def on_credit(self, frame: Frame, _now: float, events: list[Event]) -> None:
        """Grants that found no frame to ride on."""
        if frame.flags or frame.request_id:
            raise ProtocolError("CREDIT takes neither flags nor a request id")
        for channel_id, grant in decode_credit(Fields(frame.payload, "CREDIT")):
            handle = self._handles.find(channel_id)
            if handle is None or not handle.mine or handle.state is HandleState.ASKED:
                raise ProtocolError(f"CREDIT for channel {channel_id}, which is not open")
            self._grant(handle, grant, events)

    def on_own_credit(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """A grant that found no frame to ride on, where each goes on its channel."""
        if frame.flags or frame.request_id:
            raise ProtocolError("CREDIT takes neither flags nor a request id")
        grant = Grant.decode(fields)
        fields.end()
        if handle.state is HandleState.ASKED:
            raise ProtocolError(f"CREDIT for channel {handle.id}, which is not open")
        self._grant(handle, grant, events)

    def on_recall(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The home wants its slots back, or only an answer behind the data; or elements that were ahead."""
        fields.end()
        if handle.state is HandleState.DETACHING:
            return  # our DETACH, which answers it, has crossed it
        if frame.flags & _AHEAD:
            self._ahead.on_recall(handle, not frame.flags & _KEEP and not frame.request_id, events)
            return
        window = handle.window
        if window is None or window.state is not LendState.LENT or frame.request_id:
            raise ProtocolError(f"RECALL on channel {handle.id}, where nothing is lent")
        if frame.flags & _KEEP:
            if window.answers >= MAX_QUESTIONS:
                raise ProtocolError(f"RECALL with KEEP: more than {MAX_QUESTIONS} wait on channel {handle.id}")
            window.answers += 1
            self.flush(handle)
            self._outbox.put(Entry(Command.RETURN, handle.id, flags=_KEEP, on_written=window.wrote_answer))
        else:
            self._give_back(handle, window)

    # -- the end

    def gone(self, handle: Handle) -> tuple[LostData, ...]:
        """The handle is over: elements of it that were sent, and are not known to be accepted."""
        left = () if handle.window is None else handle.window.clear()
        return tuple(LostData(handle.id, element) for element in left)

    # -- inside

    def _put(self, handle: Handle, window: Window, element: bytes, skipped: bytes) -> None:
        window.queue_data(element)
        self._outbox.put(Entry(Command.DATA, handle.id, parts=(skipped, element), on_written=window.wrote_data))

    def _give_back(self, handle: Handle, window: Window) -> None:
        self.flush(handle)
        window.step(LendStep.RECALL)
        self._outbox.put(Entry(Command.RETURN, handle.id, on_written=lambda _: window.step(LendStep.RETURN)))

    def _grant(self, handle: Handle, grant: Grant, _events: list[Event]) -> None:
        window = handle.window
        if window is None:
            raise ProtocolError(f"a grant for channel {handle.id}, which has not asked for slots")
        handle.accepted += window.hear(grant, handle.closing is not None)
        if window.waiting is not None and window.has_room(window.waiting):
            self.flush(handle)
