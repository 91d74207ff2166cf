# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One waiter: the claim word that decides, exactly once, how a waiting call ends.

Each call that may wait is one ``Operation`` with one claim word:

    WAITING --win()-----> 0 .. n-1     a counterpart, or a clause, took part: the value has moved or will
            --expire()--> TIMED_OUT    the deadline passed
            --revoke()--> CANCELLED    a token was set, or the host cancelled the task
            --shut()----> i | CLOSED   its channel closed
            --begin_claim(i)--> CLAIMING(i)   a clause of another process is being asked for ...
    CLAIMING(i) --win_claim()--> i     ... and was granted,
                --end_claim()--> WAITING      ... or denied

Rule 1: whoever moves the claim word away from WAITING first wins, moves the value, then calls ``finish`` or ``fail``.
Rule 2: a claimed word never changes again; ``finish`` and ``fail`` are called once for each operation.
Rule 3: partners skip a waiter that is CLAIMING; it stays in their queues and may win later.
Rule 4: nothing here knows a channel; nothing here suspends; ``parker.unpark`` makes the owner runnable.

A plain send or receive waits with the Operation itself in one queue. A select has one Operation and an ``Arm`` for
each clause. Both look alike to whoever matches them: ``sending value claim win finish complete fail shut``.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import ChannelClosed, KcoroError
from ..semantics import CANCELLED, CLAIMING, CLOSED, SKIP, TIMED_OUT, WAITING, ClosedRule

__all__ = ["NOBODY", "Arm", "Operation", "Parker", "SelectOperation", "Waiter", "claiming_index"]


class Parker(Protocol):
    """Who is told that an operation has been decided: a host, or the home's end of a link."""

    def unpark(self, op: Any, /) -> None:
        """Make the owner of ``op`` runnable; called once, after the claim word and the result are set."""
        ...


class Waiter(Protocol):
    """What channels and clauses see of somebody who waits; ``Operation`` and ``Arm`` are the two kinds."""

    sending: bool
    value: Any

    @property
    def claim(self) -> int:
        """The claim word of the operation."""
        ...

    def win(self) -> bool:
        """Claim the operation for this waiter; False when it was decided already or is being claimed remotely."""
        ...

    def finish(self, value: Any = None) -> None:
        """Hand over the result after a won claim, and wake the owner."""
        ...

    def complete(self, value: Any = None) -> bool:
        """``win`` and ``finish`` in one, where nothing has to happen between the two."""
        ...

    def fail(self, error: BaseException) -> None:
        """End with ``error`` after a won claim, and wake the owner."""
        ...

    def shut(self, error: KcoroError) -> bool:
        """Tell that the channel closed; True when that decided the operation."""
        ...


class _Nobody:
    """The parker of an operation whose owner is still running and will look at the claim word itself."""

    def unpark(self, op: Any, /) -> None:
        """There is nobody to wake."""


NOBODY: Parker = _Nobody()
"""For an operation whose owner is running and looks at the claim word itself, as during the polls of a select."""


def claiming_index(claim: int) -> int | None:
    """The clause that is being claimed remotely, or None when the word is in another state."""
    return CLAIMING - claim if claim <= CLAIMING else None


class Operation:
    """One call that may wait, with its claim word; on its own it is also its only waiter, clause 0.

    ``value`` is what a sender offers, and after ``finish`` what a receiver got. ``error`` is what to raise instead.
    ``task`` is the host's. ``late``, which has no value before ``begin_claim``, holds a decision (CANCELLED, TIMED_OUT)
    that arrived while CLAIMING and must wait for the answer.
    """

    __slots__ = ("__weakref__", "claim", "error", "late", "parker", "sending", "task", "value")

    late: int

    def __init__(self, parker: Parker, sending: bool = False, value: Any = None) -> None:
        self.claim = WAITING
        self.parker = parker
        self.sending = sending
        self.value = value
        self.error: BaseException | None = None
        self.task: Any = None

    # -- a counterpart decides

    def win(self) -> bool:
        """Claim the operation for its only clause; False when somebody was faster or a remote claim is under way."""
        if self.claim != WAITING:
            return False
        self.claim = 0
        return True

    def finish(self, value: Any = None) -> None:
        """Hand over the result after a won claim, and wake the owner."""
        self.value = value
        self.parker.unpark(self)

    def complete(self, value: Any = None) -> bool:
        """``win`` and ``finish`` in one, where nothing has to happen between the two."""
        if self.claim != WAITING:
            return False
        self.claim = 0
        self.value = value
        self.parker.unpark(self)
        return True

    def fail(self, error: BaseException) -> None:
        """End with ``error`` after a won claim, and wake the owner; an offered value stays in ``value``."""
        self.error = error
        self.parker.unpark(self)

    def shut(self, error: KcoroError) -> bool:
        """The channel closed: claim and fail; False when the operation was decided already or is CLAIMING."""
        if not self.win():
            return False
        self.fail(error)
        return True

    # -- the owner's side decides

    def expire(self) -> bool:
        """The deadline passed. True when this decided the operation; remembered while CLAIMING."""
        return self._end(TIMED_OUT)

    def revoke(self) -> bool:
        """A token was set. True when this decided the operation; remembered while CLAIMING."""
        return self._end(CANCELLED)

    def give_up(self) -> bool:
        """The host cancelled the task: as ``revoke``, but nobody is woken, because the host does that itself."""
        if self.claim == WAITING:
            self.claim = CANCELLED
            return True
        if self.claim <= CLAIMING:
            self.late = CANCELLED
        return False

    def _end(self, how: int) -> bool:
        if self.claim == WAITING:
            self.claim = how
            self.parker.unpark(self)
            return True
        if self.claim <= CLAIMING and self.late != CANCELLED:
            self.late = how  # cancel beats timeout, so a CANCELLED that is remembered stays
        return False

    # -- a clause of another process

    def begin_claim(self, index: int) -> bool:
        """Enter CLAIMING(index): local partners now skip this operation; False unless it was WAITING."""
        if self.claim != WAITING:
            return False
        self.claim = CLAIMING - index
        self.late = WAITING
        return True

    def win_claim(self) -> int:
        """The claim was granted: it wins over everything that arrived meanwhile; returns the clause's index."""
        index = CLAIMING - self.claim
        assert index >= 0, "win_claim without begin_claim"
        self.claim = index
        return index

    def end_claim(self) -> bool:
        """The claim was denied: WAITING again, or decided by what arrived meanwhile; True when still WAITING.

        Whoever drives the operation polls its local clauses again, because partners skipped it.
        """
        assert self.claim <= CLAIMING, "end_claim without begin_claim"
        self.claim = WAITING
        if self.late != WAITING:
            self._end(self.late)
        return self.claim == WAITING


class SelectOperation(Operation):
    """The operation of a select: ``arms`` are its waiters, one for each clause.

    While its clauses are polled and registered its parker is NOBODY: a clause that completes at once wakes nobody.
    ``closed_rule`` says what a closed channel means; under SKIP ``open_arms`` counts the clauses that can still win.
    """

    __slots__ = ("closed_rule", "open_arms")

    def __init__(self, closed_rule: ClosedRule, clauses: int) -> None:
        super().__init__(NOBODY)
        self.closed_rule = closed_rule
        self.open_arms = clauses

    def win_arm(self, index: int) -> bool:
        """Claim the operation for one of its clauses; False when it is not WAITING any more."""
        if self.claim != WAITING:
            return False
        self.claim = index
        return True

    def shut_arm(self, arm: Arm, error: KcoroError) -> bool:
        """A clause's channel is closed: decide by ``closed_rule``; True when that ended the select."""
        if self.closed_rule is not SKIP:
            if not self.win_arm(arm.index):
                return False
            self.fail(error)
            return True
        if not arm.dead:
            arm.dead = True
            self.open_arms -= 1
        if self.open_arms or self.claim != WAITING:
            return False
        self.claim = CLOSED
        self.fail(ChannelClosed("every channel of this select is closed"))
        return True


class Arm:
    """One clause of a select, waiting in one queue; its claim word is the select's.

    ``dead`` under SKIP: its channel is closed, and the clause cannot win any more, though it may still be queued there.
    """

    __slots__ = ("__weakref__", "dead", "index", "op", "sending", "value")

    def __init__(self, op: SelectOperation, index: int, sending: bool = False, value: Any = None) -> None:
        self.op = op
        self.index = index
        self.sending = sending
        self.value = value
        self.dead = False

    @property
    def claim(self) -> int:
        """The claim word of the select that this arm belongs to."""
        return self.op.claim

    def win(self) -> bool:
        """Claim the whole select for this clause."""
        return not self.dead and self.op.win_arm(self.index)

    def finish(self, value: Any = None) -> None:
        """Hand over this clause's result after a won claim."""
        self.op.finish(value)

    def complete(self, value: Any = None) -> bool:
        """``win`` and ``finish`` in one."""
        if self.dead or not self.op.win_arm(self.index):
            return False
        self.op.finish(value)
        return True

    def fail(self, error: BaseException) -> None:
        """End the select with ``error`` after a won claim."""
        self.op.fail(error)

    def shut(self, error: KcoroError) -> bool:
        """This clause's channel closed."""
        return self.op.shut_arm(self, error)
