# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's part in lending: grants slots, takes DATA, recalls, and hears what comes back.

Rule 1: RECALL goes out once per OPEN; a CLOSE stands for it, and a DETACH of the opener for the RETURN.
Rule 2: a question (RECALL with KEEP) gives up nothing; each is answered once, behind the data.
Rule 3: when the slots are back, the opener is told once more how far its elements are accepted, and then no more.
"""

from __future__ import annotations

from typing import Final

from ..errors import ProtocolError
from .ahead import Ahead
from .commands import Command, Flag
from .credit import MAX_QUESTIONS
from .events import DataReceived, Event, SlotsReturned
from .fields import Fields
from .frame import Frame
from .grants import Grants
from .handles import Handle, Handler, HandleTable
from .messages import Rights, decode_data
from .order import Order
from .outbox import Entry, Outbox
from .slots import Budget, Slots
from .states import HandleState, LendState, LendStep

__all__ = ["Lender"]

_AHEAD = int(Flag.AHEAD)
_END: Final = int(Flag.END)
_KEEP = int(Flag.KEEP)


class Lender:
    """Slots that are lent to the peer, from the answer to OPEN to the RETURN."""

    def __init__(
        self,
        outbox: Outbox,
        handles: HandleTable,
        order: Order,
        ahead: Ahead,
        budget: int,
        on_channels: HandleTable | None = None,
    ) -> None:
        self.grants = Grants(order, on_channels)
        self.budget = Budget(budget)
        self._outbox = outbox
        self._ahead = ahead
        self._handles = handles

    def handlers(self) -> dict[int, Handler]:
        """What an opener may send that was lent to."""
        return {Command.DATA: self.on_data, Command.RETURN: self.on_return}

    # -- commands of the owner

    def slots(self, channel_id: int) -> Slots:
        """What is lent to this handle. Raises ValueError where lending was not started."""
        slots = self._theirs(channel_id).lent
        if slots is None:
            raise ValueError(f"nothing is lent on channel {channel_id}")
        return slots

    def start(self, channel_id: int, window: int, consumes: bool) -> bool:
        """Begin to lend up to ``window`` slots; False without the right to send, or room in the budget."""
        handle = self._theirs(channel_id)
        if not int(handle.attributes.rights) & int(Rights.SEND) or handle.lent is not None or not self.budget.join():
            return False
        handle.lent = Slots(self.budget, window, consumes)
        handle.lent.begin()
        self.grants.begin(handle.id, handle.lent)
        return True

    def lend(self, channel_id: int, free: float) -> int:
        """Lend of ``free`` slots as many as are worth a frame, and renew the bytes; how many slots that were."""
        if not self.lends(channel_id):
            return 0  # the handle was given up, and what it kept comes back just now
        slots = self.slots(channel_id)
        count = slots.more(free)
        slots.lend(count) if count else None
        if slots.renew() or count:
            self.grants.owe(channel_id, slots)
        return count

    def hold(self, channel_id: int, held: int) -> None:
        """Elements of this handle hold so many bytes; once it was given up that is nobody's concern."""
        if self.lends(channel_id):
            self.slots(channel_id).held = held

    def lends(self, channel_id: int) -> bool:
        """Whether a handle of the peer is open and something is lent to it; also False where the connection is over."""
        handle = self._handles.find(channel_id)
        open_ = handle is not None and not handle.mine and handle.state is HandleState.OPEN
        return open_ and handle is not None and handle.lent is not None

    def recall(self, channel_id: int) -> bool:
        """Ask for the slots; SlotsReturned follows."""
        self.slots(channel_id).step(LendStep.RECALL)
        self._outbox.put(Entry(Command.RECALL, channel_id))
        return True

    def ask(self, channel_id: int) -> bool:
        """Ask for an answer behind the data; SlotsReturned with ``keep`` follows. Raises ValueError behind a recall."""
        slots = self.slots(channel_id)
        if slots.state is not LendState.LENT:
            raise ValueError(
                f"the slots of channel {channel_id} are on their way back; what they answer comes with them"
            )
        slots.questions += 1
        if slots.questions <= MAX_QUESTIONS:  # else when one of these is answered
            self._question(channel_id)
        return True

    # -- what other parts tell

    def closed(self, handle: Handle) -> None:
        """CLOSE is queued, which the opener takes as a recall."""
        if handle.lent is not None and handle.lent.state is LendState.LENT:
            handle.lent.step(LendStep.RECALL)

    def detached(self, handle: Handle) -> None:
        """The opener gives the handle up, and with it what was lent."""
        if handle.lent is not None:
            if handle.lent.state is not LendState.REQUEST:
                handle.lent.step(LendStep.RETURN)
            self.grants.owe(handle.id, handle.lent)  # the last one rides on our DETACH

    def answered(self, handle: Handle, used: bool, asked: bool) -> None:
        """A SEND was answered; ``used`` a slot, or ``asked`` without one."""
        if handle.lent is not None:
            handle.lent.waiting -= asked
            handle.lent.answer_send(used)
            self.grants.owe(handle.id, handle.lent)

    # -- what is heard

    def on_data(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """An element against a lent slot."""
        skipped, element = decode_data(fields)
        slots = self._lent(handle, frame)
        if (size := fields.dropped or len(element)) > handle.attributes.max_message:
            raise ProtocolError(f"DATA of {size} bytes on channel {handle.id}, which takes fewer")
        slots.hear_data(element)
        self.grants.owe(handle.id, slots)
        events.append(DataReceived(handle.id, element, skipped))

    def on_return(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """Slots come back, or a question is answered."""
        fields.end()
        if frame.flags & _AHEAD:
            self._ahead.on_return(handle, not frame.flags & _KEEP and not frame.request_id, events)
            return
        slots = self._lent(handle, frame)
        keep = bool(frame.flags & _KEEP)
        slots.hear_return(keep)
        if keep and slots.questions >= MAX_QUESTIONS and slots.state is LendState.LENT:
            self._question(handle.id)
        self.grants.owe(handle.id, slots)
        events.append(SlotsReturned(handle.id, keep))

    # -- inside

    def _question(self, channel_id: int) -> None:
        self._outbox.put(Entry(Command.RECALL, channel_id, flags=_KEEP))

    def _theirs(self, channel_id: int) -> Handle:
        handle = self._handles.find(channel_id)
        if handle is None or handle.mine or handle.state is not HandleState.OPEN:
            raise ValueError(f"channel {channel_id} is not an open handle of the peer")
        return handle

    def _lent(self, handle: Handle, frame: Frame) -> Slots:
        foreign = frame.request_id or frame.flags & _END
        if handle.lent is None or handle.state is not HandleState.OPEN or foreign:
            raise ProtocolError(f"{Command(frame.command).name} on channel {handle.id}, where nothing was lent")
        return handle.lent
