# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The opener's end of lent slots: what may be sent without asking, and what was sent and is not confirmed.

Rule 1: one count for DATA and SEND. It is taken when the frame is written; until then the frame has its place in it,
so that no DATA is queued that could exceed the limit once the SENDs in front of it are written.
Rule 2: from RECALL or CLOSE on no slot is used and no limit is heard any more under this OPEN; totals still confirm.
Rule 3: an element is kept here until the home's total covers its DATA: only then it is known to be accepted.
Rule 4: of a CONFLATED channel the last slot is kept for the value that waits here: it goes in front of a RETURN, of an
answer to a question, of a CLOSE and of a DETACH, for its send has completed.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from ..errors import ProtocolError
from .credit import MAX_WINDOW, Grant, advance
from .hello import charge
from .states import LEND_MOVES, LendState, LendStep, move

__all__ = ["Purse", "Window"]


@define(eq=False)
class Purse:
    """What this side keeps of its own DATA until they are confirmed, of all handles together, in bytes by ``charge``.

    A home may grant as much as it likes; more than ``most`` is not sent without asking.
    """

    most: int = MAX_WINDOW
    held: int = 0


@define(eq=False)
class Window:
    """Lent slots of one handle, at its opener; all totals are since OPEN and do not wrap here."""

    purse: Purse = field(factory=Purse)
    answers: int = 0  # to questions, that are not written
    reserve: int = 0  # slots that stand for a value that waits here
    state: LendState = LendState.REQUEST
    msg_limit: int = 0
    byte_limit: int = 0
    confirmed: int = 0  # the home's total
    waiting: bytes | None = None  # CONFLATED: the newest value, sent as soon as a slot is there
    skipped: int = 0  # values that it has replaced
    _fresh: bool = True  # no grant came yet: the first one, on the answer to OPEN, says that slots are lent
    _queued: int = 0  # DATA and SEND that are not written yet
    _written: int = 0
    _bytes: int = 0  # charge of all DATA, queued or written
    _elements: deque[bytes] = field(factory=deque)  # of DATA that is not confirmed, queued ones behind
    _serials: deque[int] = field(factory=deque)  # of those of them that are written

    def step(self, step: LendStep) -> None:
        """Move on, as the table allows. Raises ValueError otherwise."""
        self.state = move(LEND_MOVES, self.state, step)

    @property
    def unconfirmed(self) -> int:
        """Elements that were sent as DATA, written or not, and are not known to be accepted; one may wait here."""
        return len(self._elements) + (self.waiting is not None)

    @property
    def slots(self) -> int:
        """How many elements may be sent now without asking, if they are small."""
        if self.state is not LendState.LENT:
            return 0
        return max(0, self.msg_limit - self._written - self._queued - self.reserve)

    def has_room(self, element: bytes, reserve: bool = False) -> bool:
        """Whether this element may go as DATA; ``reserve``: with the slot that is kept for it."""
        if self.state is not LendState.LENT:
            return False
        slots = self.msg_limit - self._written - self._queued - (0 if reserve else self.reserve)
        cost = charge(len(element))
        return slots > 0 and self._bytes + cost <= self.byte_limit and self.purse.held + cost <= self.purse.most

    # -- what is sent

    def queue_data(self, element: bytes) -> None:
        """A DATA was queued."""
        self._queued += 1
        cost = charge(len(element))
        self._bytes += cost
        self.purse.held += cost
        self._elements.append(element)

    def wrote_answer(self, _entry: object) -> None:
        """The answer to a question was written."""
        self.answers -= 1

    def wrote_data(self, _entry: object) -> None:
        """The oldest queued DATA was written."""
        self._queued -= 1
        self._written += 1
        self._serials.append(self._written)

    def queue_send(self) -> None:
        """A SEND was queued."""
        self._queued += 1

    def wrote_send(self) -> None:
        """It was written."""
        self._queued -= 1
        self._written += 1

    def withdraw_send(self) -> None:
        """It was withdrawn before it was written."""
        self._queued -= 1

    # -- what is heard

    def hear(self, grant: Grant, closed: bool) -> int:
        """Take a grant; how many more elements it tells to be accepted.

        Raises ProtocolError for totals that no honest home can have.
        """
        confirmed = advance(self.confirmed, grant.accepted_total, "accepted_total")
        if confirmed > self._written:
            raise ProtocolError(f"a grant confirms {confirmed} elements of {self._written} that were sent")
        msg_limit = advance(self.msg_limit, grant.msg_limit, "msg_limit")
        byte_limit = advance(self.byte_limit, grant.byte_limit, "byte_limit")
        if msg_limit - self._written > MAX_WINDOW or byte_limit - self._bytes > MAX_WINDOW:
            raise ProtocolError(f"a grant of more than {MAX_WINDOW} slots or bytes")
        self.msg_limit, self.byte_limit = msg_limit, byte_limit
        accepted = self._confirm(confirmed)
        if self._fresh and not closed:
            self.step(LendStep.LEND)
        self._fresh = False
        return accepted

    def _confirm(self, total: int) -> int:
        self.confirmed = total
        accepted = 0
        while self._serials and self._serials[0] <= total:
            self._serials.popleft()
            self.purse.held -= charge(len(self._elements.popleft()))
            accepted += 1
        return accepted

    def clear(self) -> tuple[bytes, ...]:
        """Nothing more will be confirmed: take out what is in doubt, oldest first."""
        self.purse.held -= sum(charge(len(element)) for element in self._elements)
        left = (*self._elements, *([] if self.waiting is None else [self.waiting]))
        self._elements.clear()
        self._serials.clear()
        self.waiting = None
        return left
