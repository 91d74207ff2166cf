# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The semantics as data: kinds, policies, claim states, and the outcome of every operation in every state.

Rule 1: laws, documentation and the engines are checked against these tables; nothing here is computed from an engine.
Rule 2: numbers in this file are part of the contract with other implementations; they are never reused.

The order of precedence at the instant of a call is cancel, close, ready, timeout: see ``outcome``.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from . import errors

__all__ = [
    "BIASED",
    "BUFFERED",
    "CANCELLED",
    "CLAIMING",
    "CLOSED",
    "CONFLATED",
    "COROUTINE_MOVES",
    "DROP_LATEST",
    "DROP_OLDEST",
    "RAISE",
    "RENDEZVOUS",
    "RETURN",
    "ROUND_ROBIN",
    "SKIP",
    "SUSPEND",
    "TIMED_OUT",
    "UNBIASED",
    "UNLIMITED",
    "WAITING",
    "ChannelState",
    "ClosedRule",
    "CoroutineState",
    "Direction",
    "Kind",
    "Overflow",
    "Row",
    "SelectMode",
    "Situation",
    "Undelivered",
    "WaitForm",
    "legal_combinations",
    "limit_of",
    "outcome",
    "outcome_rows",
]


class Kind(enum.Enum):
    """How many elements a channel holds between a sender and a receiver; chosen once, when it is made."""

    RENDEZVOUS = 0
    """Holds none: a send completes only together with a receive. Use it when both sides must know of each other."""
    BUFFERED = 1
    """Holds exactly ``capacity`` elements, then the overflow policy decides. Use it for bursts, with a bound."""
    CONFLATED = 2
    """Holds the newest element only; a send never waits and replaces it. Use it for state, such as progress."""
    UNLIMITED = 3
    """Holds any number: a send never waits, memory is the only bound. Use it where the producer is known to end."""


class Overflow(enum.Enum):
    """What a send does when a BUFFERED channel is full; other kinds take SUSPEND only."""

    SUSPEND = 0
    """The sender waits for room. Use it for back-pressure; nothing is ever dropped."""
    DROP_OLDEST = 1
    """The oldest queued element makes room and is reported as undelivered. Use it where the newest matter most."""
    DROP_LATEST = 2
    """The element being sent is dropped and reported as undelivered. Use it where the first in line matter most."""


class SelectMode(enum.Enum):
    """Which of several ready clauses a select takes."""

    BIASED = 0
    """The lowest index that is ready, always. Use it for priorities; a busy first clause can starve the others."""
    UNBIASED = 1
    """A real shuffle of all clauses at each call. Use it where no clause may be preferred."""
    ROUND_ROBIN = 2
    """Starts behind the clause that won last. Use it with a Selector to bound the wins of one clause in a row."""


class ClosedRule(enum.Enum):
    """What a select does about a clause whose channel is closed (for a receiver: and drained)."""

    RAISE = 0
    """The clause is ready and raises ChannelClosed with its index. The default: a close is never missed."""
    RETURN = 1
    """The clause is ready and select returns ``Selected(index, error=...)``. Use it in loops that retire clauses."""
    SKIP = 2
    """The clause is ignored until all are closed, also those that never close; then ChannelClosed with index None."""


class Undelivered(enum.Enum):
    """Why a value reached nobody: the second argument of ``on_undelivered``, once for each such value."""

    OVERFLOW = "overflow"
    """A DROP_OLDEST or DROP_LATEST policy dropped it because the buffer was full."""
    CONFLATED = "conflated"
    """A newer value replaced it in a CONFLATED channel."""
    CANCELLED = "cancelled"
    """It was queued when ``ch.cancel`` threw the queue away."""
    DESTROYED = "destroyed"
    """It was queued when the last reference to the channel went away, or the interpreter ended."""
    CLOSED = "closed"
    """It reached, over a link, a home whose channel had been destroyed already; reported there."""
    IN_DOUBT = "in doubt"
    """A link was lost after it was handed to the other side and before that side confirmed it."""


class Direction(enum.Enum):
    """The two directions of a channel operation."""

    SEND = "send"
    """Hands a value to the channel; what was not accepted is still the caller's."""
    RECV = "recv"
    """Takes the oldest value out of the channel, or from the oldest waiting sender."""


class WaitForm(enum.Enum):
    """How long an operation is willing to wait."""

    TRY = "try"
    """Not at all: ``try_*`` and ``timeout=0``; answers WouldBlock where another form would wait."""
    TIMED = "timed"
    """Until a deadline passes, then it answers DeadlineExceeded."""
    FOREVER = "for ever"
    """Until it completes, is cancelled, or the channel closes."""


class ChannelState(enum.Enum):
    """Where a channel is in its life; it only ever moves forward."""

    OPEN = "open"
    """Both sends and receives are possible."""
    CLOSING = "closing"
    """Closed with elements left: sends fail, receivers drain."""
    CLOSED = "closed"
    """Closed and drained: every operation answers ChannelClosed."""


class CoroutineState(enum.Enum):
    """What becomes of a coroutine with a stack of its own; ``Coroutine.state`` says where it is."""

    CREATED = 0
    """It was made, and its body has not begun. Resume it to begin it; destroying it now never runs the body."""
    READY = 1
    """It was parked and may go on. Whoever unparked it, or saw it come back like this, resumes it."""
    RUNNING = 2
    """Its body runs now, or waits until a coroutine that it resumed comes back; it can be left alone only."""
    SUSPENDED = 3
    """It has yielded, for others to have their turn. It waits for nothing: whoever likes may resume it."""
    PARKED = 4
    """It has parked, and waits for ``unpark``. Resuming it is too early: WouldBlock."""
    FINISHED = 5
    """Its body has ended, or it was destroyed. All that is left to do is to ask for its result."""


def _moves() -> dict[str, tuple[frozenset[CoroutineState], CoroutineState]]:
    created, ready, running, suspended, parked, finished = CoroutineState
    may_run = frozenset({created, ready, suspended})
    return {
        "resume": (may_run, running),
        "yield_to": (may_run, running),
        "throw": (may_run | {parked}, running),
        "yield_": (frozenset({running}), suspended),
        "park": (frozenset({running}), parked),
        "unpark": (frozenset({parked}), ready),
        "destroy": (frozenset(CoroutineState) - {running}, finished),
    }


# Short names, as users write them.
RENDEZVOUS, BUFFERED, CONFLATED, UNLIMITED = Kind
SUSPEND, DROP_OLDEST, DROP_LATEST = Overflow
BIASED, UNBIASED, ROUND_ROBIN = SelectMode
RAISE, RETURN, SKIP = ClosedRule

# The claim word of an operation. A value >= 0 is the index of the clause that won.
WAITING = -1
"""Nobody has decided it; the only state in which it can be won."""
CANCELLED = -2
"""A token was set, or the host cancelled the task; nothing was moved."""
TIMED_OUT = -3
"""Its deadline passed before anybody took part; nothing was moved."""
CLOSED = -4
"""Its channel closed, or all channels of a select did."""
CLAIMING = -16
"""A clause of another process is being asked for, revocably; clause i is ``CLAIMING - i``. Partners skip it."""

COROUTINE_MOVES: Final[Mapping[str, tuple[frozenset[CoroutineState], CoroutineState]]] = _moves()
"""Which call takes a coroutine out of which states, and into which; from any other state it is refused."""


def limit_of(kind: Kind, capacity: int | None) -> float:
    """How many elements a channel of that kind may hold: an int, or infinity for UNLIMITED."""
    if kind is Kind.BUFFERED:
        assert capacity is not None
        return capacity
    return {Kind.RENDEZVOUS: 0, Kind.CONFLATED: 1, Kind.UNLIMITED: math.inf}[kind]


def legal_combinations() -> Iterator[tuple[Kind, Overflow]]:
    """Every pair of kind and overflow policy that ``channel()`` accepts."""
    for overflow in Overflow:
        yield Kind.BUFFERED, overflow
    for kind in (Kind.RENDEZVOUS, Kind.CONFLATED, Kind.UNLIMITED):
        yield kind, Overflow.SUSPEND


class Situation(enum.Enum):
    """What an operation meets at the instant of its call, apart from a token that is set (which beats everything)."""

    PARTNER = "a partner waits"
    """Somebody of the other direction is parked on the channel, so that a hand-off is possible at once."""
    READY = "room or data"
    """No partner, but the buffer has room (for a send) or an element (for a receive)."""
    FULL_OR_EMPTY = "full or empty"
    """Open, and neither partner nor room nor data: the operation would have to wait."""
    CLOSED_WITH_DATA = "closed, data left"
    """Closed by somebody while elements were queued; they can still be received."""
    CLOSED_DRAINED = "closed, nothing left"
    """Closed, and the last element is gone."""


DONE = "done"
WAITS = "waits"
DROPS = "done, one dropped"


@frozen
class Row:
    """One line of the outcome table: what an operation answers in a situation (row E1)."""

    kind: Kind
    overflow: Overflow
    operation: Direction
    form: WaitForm
    situation: Situation
    answer: str | type[errors.KcoroError]


def _reachable(kind: Kind, operation: Direction, situation: Situation) -> bool:
    """Not every kind can be in every situation: a rendezvous holds nothing, an unlimited channel is never full."""
    if situation is Situation.READY:
        return kind is not Kind.RENDEZVOUS
    if situation is Situation.CLOSED_WITH_DATA:
        return kind is not Kind.RENDEZVOUS
    if situation is Situation.PARTNER:
        # Senders never wait on these kinds, so a receiver never meets one; receivers may always wait.
        return operation is Direction.SEND or kind in (Kind.RENDEZVOUS, Kind.BUFFERED)
    if situation is Situation.FULL_OR_EMPTY and operation is Direction.SEND:
        return kind is not Kind.UNLIMITED
    return True


_WHEN_WAITING: dict[WaitForm, str | type[errors.KcoroError]] = {
    WaitForm.TRY: errors.WouldBlock,
    WaitForm.TIMED: errors.DeadlineExceeded,
    WaitForm.FOREVER: WAITS,
}


def _answer(
    kind: Kind, overflow: Overflow, operation: Direction, form: WaitForm, situation: Situation
) -> str | type[errors.KcoroError]:
    if situation is Situation.CLOSED_DRAINED:
        return errors.ChannelClosed
    if situation is Situation.CLOSED_WITH_DATA:
        return DONE if operation is Direction.RECV else errors.ChannelClosed
    if situation is not Situation.FULL_OR_EMPTY:
        return DONE
    if operation is Direction.SEND and (overflow is not Overflow.SUSPEND or kind is Kind.CONFLATED):
        return DROPS
    return _WHEN_WAITING[form]


def outcome_rows() -> Iterator[Row]:
    """The whole outcome table, one row for each combination that can occur; docs and laws are made from it."""
    for kind, overflow in legal_combinations():
        for operation in Direction:
            for situation in Situation:
                if not _reachable(kind, operation, situation):
                    continue
                if situation is Situation.PARTNER and operation is Direction.RECV and overflow is not Overflow.SUSPEND:
                    continue  # DROP_* senders never wait either
                for form in WaitForm:
                    yield Row(
                        kind, overflow, operation, form, situation, _answer(kind, overflow, operation, form, situation)
                    )


def outcome(*, cancelled: bool, closed: bool, ready: bool, expired: bool) -> type[errors.KcoroError] | None:
    """What beats what at the instant of a call: cancel, close, ready, timeout; None means that it succeeds or waits.

    ``closed`` means, for a receiver, closed and drained. An expired deadline never hides a partner that is ready.
    """
    if cancelled:
        return errors.OperationCancelled
    if closed:
        return errors.ChannelClosed
    if ready:
        return None
    return errors.DeadlineExceeded if expired else None
