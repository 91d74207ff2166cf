# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's end of lent slots: what one handle may still send without asking, and what all of them may cost.

Rule 1: one count for DATA and SEND, taken when the frame is read. A SEND within the limit has that slot at once; for
any other the limit rises by one when it is answered, so that it takes no slot from those behind it.
Rule 2: what may still come as DATA, of all handles together, never exceeds the budget; each handle that is lent to has
LEAST of it for itself, and what is left goes to those whose elements are taken.
Rule 3: no silly windows: more is granted when half of a window is used up, or a quarter while the sender asks.
Rule 4: of an UNLIMITED channel bytes are granted again when their elements are taken, not when they arrive, and no SEND
has a slot: for such a channel the window is all that bounds it.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from ..errors import CreditOverrun, ProtocolError
from .credit import MAX_WINDOW, Grant
from .hello import charge
from .states import LEND_MOVES, LendState, LendStep, move

__all__ = ["FIRST", "LEAST", "MAX_SLOTS", "Budget", "Slots", "split_budget"]

LEAST: Final = 4096
"""Bytes, by ``charge``, that every handle that is lent to may always get granted."""
FIRST: Final = 65_536
"""Bytes, by ``charge``, that a handle is granted at first at most; it gets more when it has used half of them."""
MAX_SLOTS: Final = 1 << 16
"""The most slots that are lent at a time where a channel has no bound of its own."""


def split_budget(total: int, element_limit: int) -> tuple[int, int]:
    """How ``total`` bytes are shared: for unanswered SENDs, at least one of full size; and for grants, the rest."""
    requests = min(total, max(total // 2, charge(element_limit), LEAST))
    return requests, total - requests


class Budget:
    """What all handles of one peer may still send as DATA, in bytes by ``charge``."""

    def __init__(self, total: int) -> None:
        self.total = min(total, MAX_WINDOW)
        self._handles = 0
        self._promised = 0  # of each handle what is granted and not used, and at least LEAST

    @property
    def promised(self) -> int:
        """What has been granted or is kept for those that are lent to; never more than ``total``."""
        return self._promised

    @property
    def window(self) -> int:
        """What one handle is granted at most: an equal share, with one to spare."""
        return max(LEAST, self.total // (self._handles + 1))

    @property
    def first(self) -> int:
        """What a handle is granted at first: little, so that something is left for those that come later."""
        return max(LEAST, min(FIRST, self.window, (self.total - self._promised) // 8))

    def join(self) -> bool:
        """One more handle wants slots; False when not even LEAST is left for it."""
        if self._promised + LEAST > self.total:
            return False
        self._handles += 1
        self._promised += LEAST
        return True

    def leave(self, outstanding: int) -> None:
        """A handle gives back what it was granted and has not used."""
        self._handles -= 1
        self._promised -= max(outstanding, LEAST)

    def change(self, before: int, after: int) -> None:
        """The bytes of one handle that are granted and not used have changed."""
        if before >= LEAST <= after:  # nearly always, and the short way
            self._promised += after - before
        else:
            self._promised += max(after, LEAST) - max(before, LEAST)

    def room(self, outstanding: int) -> int:
        """How many more bytes a handle with so many outstanding may be granted."""
        return self.total - self._promised + max(outstanding, LEAST) - outstanding


@define(eq=False)
class Slots:
    """What the home has lent to one handle; all totals are since OPEN and do not wrap here.

    ``window`` is the most slots that are lent at a time, ``consumes`` says that bytes are free only when taken.
    """

    budget: Budget
    window: int
    consumes: bool = False
    state: LendState = LendState.REQUEST
    heard: int = 0  # DATA and SENDs
    done: int = 0  # of these, taken in or answered
    msg_limit: int = 0
    byte_limit: int = 0
    byte_total: int = 0  # charge of all DATA
    held: int = 0  # charge of elements that wait here to be taken, where that counts
    target: int = 0  # what is granted at a time; grows with what is used
    waiting: int = 0  # SENDs without a slot that are not answered
    questions: int = 0  # RECALLs with KEEP that are not answered
    _asks: bool = False  # the sender had no slot, and has been granted none since
    _short: bool = False  # it had a slot and has asked nevertheless: it had not the bytes

    def step(self, step: LendStep) -> None:
        """Move on, as the table allows. Raises ValueError otherwise."""
        self.state = move(LEND_MOVES, self.state, step)
        if step is LendStep.RETURN:
            self.budget.leave(self.outstanding)

    @property
    def lent(self) -> int:
        """Slots that are lent and not used; SENDs that wait without one do not count."""
        return max(0, self.msg_limit - self.heard)

    @property
    def outstanding(self) -> int:
        """Bytes that are granted and not used."""
        return self.byte_limit - self.byte_total

    @property
    def grant(self) -> Grant:
        """What the opener may know now."""
        return Grant(self.done, self.msg_limit, self.byte_limit)

    # -- what is heard

    def hear_data(self, element: bytes) -> None:
        """A DATA was read. Raises CreditOverrun for one that was not granted."""
        cost, outstanding = charge(len(element)), self.outstanding
        if self.state is LendState.REQUEST:
            raise ProtocolError("DATA where no slots are lent")
        if self.heard >= self.msg_limit or cost > outstanding:
            raise CreditOverrun(f"DATA: {self.lent} slots and {outstanding} bytes were left, it costs {cost}")
        self.heard += 1
        self.done += 1
        self.budget.change(outstanding, outstanding - cost)
        self.byte_total += cost

    def hear_send(self) -> bool:
        """A SEND was read; whether it has a slot."""
        self.heard += 1
        within = self.state is not LendState.REQUEST and self.heard <= self.msg_limit
        self._asks = self._asks or not within
        self._short = self._short or within
        return within and not self.consumes

    def answer_send(self, used: bool) -> None:
        """A SEND was answered; ``used``: it has filled a slot that was lent."""
        self.done += 1
        if not used and self.state is not LendState.REQUEST:
            self.msg_limit += 1

    def hear_return(self, keep: bool) -> None:
        """RETURN was read. Raises ProtocolError for one that nobody asked for."""
        if keep:
            if not self.questions:
                raise ProtocolError("RETURN with KEEP answers no question")
            self.questions -= 1
        elif self.state is not LendState.RECALLING:
            raise ProtocolError("RETURN of slots that were not recalled")
        else:
            self.step(LendStep.RETURN)

    # -- what is granted

    @property
    def due(self) -> bool:
        """Whether ``more`` or ``renew`` may have something to grant; False after most elements, and soon told."""
        half_used = 2 * (self.msg_limit - self.heard) <= self.window
        return half_used or 2 * (self.byte_limit - self.byte_total) <= self.target or self._asks or self._short

    def more(self, free: float) -> int:
        """How many of the ``free`` slots to lend now: none, or enough to be worth a frame."""
        # A SEND that was read may not have reached the channel yet: a slot that is free goes to it, and is not lent.
        if self.state is not LendState.LENT or self.waiting:
            return 0
        most = int(min(free, self.window - self.lent))
        enough = max(1, self.window // 4 if self._asks else (self.window + 1) // 2)
        return most if most >= enough else 0

    def lend(self, count: int) -> None:
        """Lend so many more."""
        self.msg_limit += count
        self._asks = False

    def renew(self) -> bool:
        """Grant bytes again if enough were used; whether something was granted."""
        if self.state is not LendState.LENT:
            return False
        used = self.target - self.outstanding
        if self.target >= self.budget.window:
            used -= self.held
        if used * 2 < self.target and not self._short:
            return False
        self.target = min(self.budget.window, self.target * 4)
        self._short = False
        return self._grant_bytes()

    def begin(self) -> None:
        """Lend from now on, and grant the first bytes."""
        self.step(LendStep.LEND)
        self.target = self.budget.first
        self._grant_bytes()

    def _grant_bytes(self) -> bool:
        count = min(self.target - self.outstanding - self.held, self.budget.room(self.outstanding))
        if count <= 0:
            return False
        self.budget.change(self.outstanding, self.outstanding + count)
        self.byte_limit += count
        return True
