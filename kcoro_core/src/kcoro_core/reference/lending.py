# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The channel while a link has a share in it: slots lent to one link, elements kept ahead by one link.

    lend ---> LENT --somebody else sends, or close--> RECALLING --end_lending--> as before
    keep ---> KEPT --somebody else receives--------> RECALLING --end_keeping--> as before

Rule 1: ``len(queue) + kept + lent <= limit``, but for elements that came back over a link.
Rule 2: while slots are lent only the borrower sends; the first send of anybody else asks for them back, once, and
waits for their return even if a slot is free, for else it could overtake what the borrower has sent before.
Rule 3: a free slot goes to the oldest sender that waits; slots are lent only while none does.
Rule 4: while elements are kept ahead only the keeper receives; the first receive of anybody else asks for them back,
once, and waits until those that nobody took are at the head again, in their old order.
Rule 5: a closed channel is drained only when its lent slots and its travelling elements are settled.
Rule 6: a try that finds a borrower or a keeper is answered when that end has answered, and not before.

Everything here is off the path of a channel that no link has a share in: one flag, ``guarded``, leads here.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..engine import CLOSED, OK, WOULD_BLOCK, Borrower, Keeper, Sentinel
from ..semantics import Kind, Undelivered

if TYPE_CHECKING:
    from .waiter import Operation, Waiter

__all__ = ["Lending", "Waiters", "winner"]

Waiters = OrderedDict["Waiter", None]
"""A queue of those who wait in one direction, oldest first; leaving it takes the same time from any place."""


def winner(waiters: Waiters) -> Waiter | None:
    """Claim the oldest waiter that can be won and take it out of its queue."""
    for w in waiters:
        if w.win():
            del waiters[w]
            return w
    return None


class Lending:
    """The guarded half of the reference channel; see ``engine.ChannelCore`` for the contract of each method."""

    __slots__ = (
        "accepted",
        "borrower",
        "closed",
        "given_up",
        "guarded",
        "handoffs",
        "keeper",
        "kept",
        "kind",
        "lent",
        "limit",
        "peak",
        "questions",
        "queue",
        "recalled",
        "receivers",
        "senders",
        "suspends",
        "travelling",
        "tries",
    )

    kind: Kind
    limit: float
    suspends: bool
    closed: bool
    given_up: Undelivered | None
    queue: deque[Any]
    senders: Waiters
    receivers: Waiters
    accepted: int
    handoffs: int
    peak: int

    def __init__(self) -> None:
        self.guarded = False
        self.borrower: Borrower | None = None
        self.recalled = False
        self.lent = 0
        self.keeper: Keeper | None = None
        self.kept = 0
        self.travelling = 0
        # Tries that wait for an answer of a link; True: the borrower's answer to a question of their own is missing.
        self.tries: dict[Operation, bool] = {}
        self.questions: deque[Operation] = deque()

    # -- what the other half does

    def _overflow(self, value: Any) -> None:
        raise NotImplementedError

    def _give_up(self, unwanted: Sequence[Any]) -> None:
        raise NotImplementedError

    def _shut(self, waiters: Waiters) -> None:
        raise NotImplementedError

    # -- the two directions, guarded

    def _send_guarded(self, value: Any) -> Sentinel:
        """``send_now`` of anybody but the borrower."""
        if self.closed:
            return CLOSED
        if self.borrower is not None:
            self._recall(self.borrower)
            return WOULD_BLOCK
        return self._accept(value)

    def _recv_guarded(self) -> Any:
        """``recv_now`` of anybody but the keeper."""
        if self.keeper is not None:
            self.keeper.recall()
            if self.keeper is not None:
                return WOULD_BLOCK
        if self.queue:
            value = self.queue.popleft()
            self._after_take()
            return value
        if not self.recalled:
            for w in self.senders:
                value = w.value  # completing it forgets what it offered
                if w.complete():
                    del self.senders[w]
                    self.handoffs += 1
                    return value
        return CLOSED if self.closed and self._settled() else WOULD_BLOCK

    def _accept(self, value: Any) -> Sentinel:
        """Take a value in from whoever may send now; what is on its way to others is left alone."""
        if self.keeper is None:
            for w in self.receivers:
                if w.complete(value):
                    del self.receivers[w]
                    self.handoffs += 1
                    return OK
        if self._has_room():
            self._append(value)
            return OK
        if self.suspends:
            return WOULD_BLOCK
        self._overflow(value)
        return OK

    def _append(self, value: Any) -> None:
        self.accepted += 1
        self.queue.append(value)
        if len(self.queue) > self.peak:
            self.peak = len(self.queue)
        if self.keeper is not None:
            self.keeper.arrived()

    def _has_room(self) -> bool:
        # A CONFLATED channel takes any value in: there lent slots take no room away.
        return len(self.queue) + self.kept + (self.lent if self.suspends else 0) < self.limit

    def _after_take(self) -> None:
        """A slot may be free: for the oldest sender, or else to be lent."""
        self._slot_freed()
        if self.closed and not self.queue:
            self._drained()

    def _slot_freed(self) -> None:
        self._admit()
        if self.borrower is not None and not self.recalled:
            self.borrower.freed()

    def _admit(self) -> None:
        """Senders that waited move in, oldest first, as far as there is room; none while a recall is under way."""
        while not self.recalled and self.senders and (self._has_room() or not self.suspends):
            w = winner(self.senders)
            if w is None:
                return
            self._accept(w.value)
            w.finish()

    def _settled(self) -> bool:
        """Whether nothing of this channel is on its way anywhere."""
        return not self.travelling and self.borrower is None

    def _may_be_drained(self) -> bool:
        """Closed, and only what travels decides whether anything is left."""
        return self.closed and self.travelling > 0

    def _drained(self) -> None:
        """Closed and empty: tell the receivers, unless something is on its way that may still be received."""
        if self._settled():
            self._shut(self.receivers)
            if self.keeper is not None:
                self.keeper.drained()

    def _watch(self) -> None:
        """Nobody has a share any more, or somebody has: which half the next call goes to."""
        self.guarded = self.closed or self.borrower is not None or self.keeper is not None or self.kept > 0

    # -- lent slots

    def lend(self, borrower: Borrower, /) -> bool:
        """Let one link send against slots that are lent to it."""
        lendable = (self.kind is Kind.CONFLATED or self.suspends) and self.limit > 0
        if self.closed or self.borrower is not None or self.senders or not lendable:
            return False
        self.borrower = borrower
        self.guarded = True
        return True

    def lendable(self) -> int | float:
        """How many slots could be lent now."""
        if self.borrower is None or self.recalled or self.senders:
            return 0
        if self.kind is Kind.CONFLATED:  # it takes any value in; the second one is for the value that waits there
            return 2 - self.lent
        return max(0, self.limit - len(self.queue) - self.kept - self.lent)

    def lend_slots(self, count: int, /) -> None:
        """Lend that many more. Raises ValueError beyond ``lendable()``; nothing is lent then."""
        if not 0 <= count <= self.lendable():
            raise ValueError(f"{count} slots cannot be lent, {self.lendable()} are free to be")
        self.lent += count

    def fill(self, value: Any, slot: bool = True, /) -> Sentinel:
        """Take a value in from the borrower, against a lent slot or without one."""
        if slot:
            self.lent -= 1
            if self.given_up is not None:
                self.accepted += 1
                self._give_up([value])
            elif self._accept(value) is WOULD_BLOCK:  # only where elements came back over a link
                self._append(value)
            return OK
        if self.closed:
            return CLOSED
        return WOULD_BLOCK if self.recalled or self.senders else self._accept(value)

    def hold_back(self, full: bool, /) -> None:
        """An UNLIMITED channel counts as full, or not any more, for a borrower whose bytes it holds."""
        self.limit = 0 if full else math.inf
        if not full:
            self._admit()

    def answered(self) -> None:
        """The borrower has answered the oldest question: what it had sent before is here."""
        if self.questions:
            op = self.questions.popleft()
            if op in self.tries:
                self.tries[op] = False
            self._end_tries()

    def end_lending(self) -> None:
        """The slots are back, or lost with their link: those who waited for that are served."""
        self.borrower = None
        self.recalled = False
        self.lent = 0
        self.questions.clear()
        self.tries = dict.fromkeys(self.tries, False)  # what another borrower has was not asked for
        if self.kind is Kind.UNLIMITED:
            self.limit = math.inf
        self._watch()
        self._admit()
        if self.closed and not self.queue:
            self._drained()
        self._end_tries()

    def _recall(self, borrower: Borrower) -> None:
        if not self.recalled:
            self.recalled = True
            borrower.recall()

    # -- elements kept ahead

    def keep(self, keeper: Keeper, /) -> bool:
        """Let one link hold elements ahead of its receives."""
        if self.keeper is not None or self.receivers or not self.suspends or self.kind is Kind.RENDEZVOUS:
            return False
        self.keeper = keeper
        self.guarded = True
        return True

    def take_ahead(self) -> Any:
        """The oldest element, for the keeper; it keeps its slot."""
        if self.queue:
            self.kept += 1
            self.travelling += 1
            return self.queue.popleft()
        return CLOSED if self.closed and self._settled() else WOULD_BLOCK

    def settle_ahead(self, count: int = 1, put_back: Sequence[Any] = ()) -> None:
        """So many that were kept have been received, or come back to the head in their old order."""
        self.kept -= count
        self._watch()
        self.settle(count, put_back)
        self._slot_freed()

    def settle(self, count: int = 1, put_back: Sequence[Any] = ()) -> None:
        """So many have arrived or come back; those that came back go to the head, in their old order.

        There they are for the keeper, whichever link had them. After ``cancel`` nothing goes back into the queue: what
        comes back is reported as the queue was.
        """
        self.travelling -= count
        if self.given_up is not None:
            self._drained()
            self._give_up(put_back)
            self._end_tries()
            return
        returned = deque(put_back)
        if self.keeper is None:
            while returned and (w := winner(self.receivers)) is not None:
                w.finish(returned.popleft())
        self.queue.extendleft(reversed(returned))
        self.peak = max(self.peak, len(self.queue))
        if self.closed and not self.queue:
            self._drained()
        if self.keeper is not None and self.queue:
            self.keeper.arrived()
        if self.tries:
            self._end_tries()

    def end_keeping(self) -> None:
        """Nothing is kept any more: those who waited for that are served."""
        self.keeper = None
        self._watch()
        while self.queue and (w := winner(self.receivers)) is not None:
            w.finish(self.queue.popleft())
        self._after_take()
        self._end_tries()

    # -- tries

    def ask(self, op: Operation, /) -> bool:
        """Queue a try whose answer a link has to help with; it ends as expired when there is nothing for it."""
        if op.sending:
            if self.borrower is None:
                return False
            self.senders[op] = None
            self.tries[op] = False
            return True
        if self.keeper is None and self.borrower is None and not self._may_be_drained():
            return False
        self.receivers[op] = None
        self.tries[op] = self.borrower is not None and not self.recalled
        if self.borrower is not None and not self.recalled:
            self.questions.append(op)
            self.borrower.ask()
        return True

    def _end_tries(self) -> None:
        for op, asked in list(self.tries.items()):
            waits = self.borrower is not None if op.sending else self._holds_up(asked)
            if not waits:
                del self.tries[op]
                (self.senders if op.sending else self.receivers).pop(op, None)
                op.expire()

    def _holds_up(self, asked: bool) -> bool:
        """Whether an element that a try to receive should find may still be on its way."""
        return (
            self._may_be_drained()
            or self.keeper is not None
            or (self.borrower is not None and (asked or self.recalled))
        )
