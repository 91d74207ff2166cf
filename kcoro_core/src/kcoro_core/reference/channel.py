# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One channel: a queue of at most ``limit`` elements between two queues of waiters.

The four kinds are one mechanism with different numbers: RENDEZVOUS has limit 0, CONFLATED limit 1 and replaces the
oldest, BUFFERED its capacity, UNLIMITED no limit.

Invariants, whenever no method is running:

1. ``len(queue) <= limit``, but for elements that came back over a link.
2. A receiver that can be won waits only while the queue is empty and no sender can be won.
3. A sender that can be won waits only while the queue is full.
4. Every accepted element is exactly one of: queued, received, dropped (and reported). What was accepted is counted
   where it went, ``handoffs`` or ``accepted`` (into the queue, or dropped on arrival); everything else follows:
   ``sent == handoffs + accepted`` and ``received == sent - dropped - len(queue)``.

Waiters whose claim word says CLAIMING cannot be won: they are passed over and keep their place.
Where a link has a share in the channel, or it is closed, ``guarded`` is set, and ``lending.py`` says what holds.
No method suspends, and hooks run last, when the channel is consistent again.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..engine import OK, WOULD_BLOCK, ChannelSnapshot, OnUndelivered, Sentinel
from ..errors import ChannelClosed
from ..semantics import (
    CANCELLED,
    DROP_LATEST,
    SUSPEND,
    TIMED_OUT,
    WAITING,
    Kind,
    Overflow,
    Undelivered,
    limit_of,
)
from ..semantics import CLOSED as CLAIM_CLOSED
from ..unraisable import report_unraisable
from .lending import Lending, Waiters, winner
from .waiter import Waiter

__all__ = ["Channel"]

_FAILURES: Final = {WAITING: 0, TIMED_OUT: 1, CANCELLED: 2, CLAIM_CLOSED: 3}


class Channel(Lending):
    """The reference engine's channel; see ``engine.ChannelCore`` for the contract of each method."""

    __slots__ = (
        "__weakref__",
        "capacity",
        "dropped",
        "failures",
        "on_undelivered",
        "overflow",
        "reason",
    )

    def __init__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.capacity = capacity
        self.overflow = overflow
        self.limit = limit_of(kind, capacity)
        self.suspends = overflow is SUSPEND and kind is not Kind.CONFLATED
        self.on_undelivered = on_undelivered
        self.queue = deque()
        self.senders = OrderedDict()
        self.receivers = OrderedDict()
        self.closed = False
        self.reason: object = None
        self.given_up = None
        self.accepted = self.dropped = self.handoffs = self.peak = 0
        self.failures = [0, 0, 0, 0]

    # -- the two directions

    def send_now(self, value: Any, /) -> Sentinel:
        """Hand over to the oldest receiver, or queue, or apply the overflow policy."""
        if self.guarded:
            return self._send_guarded(value)
        receivers = self.receivers
        if receivers:
            for w in receivers:
                if w.complete(value):
                    del receivers[w]
                    self.handoffs += 1
                    return OK
        queue = self.queue
        if len(queue) < self.limit:
            self.accepted += 1
            queue.append(value)
            if len(queue) > self.peak:
                self.peak = len(queue)
            return OK
        if self.suspends:
            return WOULD_BLOCK
        self._overflow(value)
        return OK

    def recv_now(self) -> Any:
        """Take the oldest element; the slot goes to the oldest sender in the same step."""
        if self.guarded:
            return self._recv_guarded()
        queue = self.queue
        if queue:
            value = queue.popleft()
            if self.senders:
                self._refill()
            return value
        senders = self.senders
        if senders:
            for w in senders:
                value = w.value  # completing it forgets what it offered
                if w.complete():
                    del senders[w]
                    self.handoffs += 1
                    return value
        return WOULD_BLOCK

    def send_must_wait(self) -> bool:
        """Whether ``send_now`` is sure to answer WOULD_BLOCK; while any receiver is queued it has to be tried."""
        return not self.receivers and len(self.queue) >= self.limit and self.suspends and not self.guarded

    def recv_must_wait(self) -> bool:
        """Whether ``recv_now`` is sure to answer WOULD_BLOCK; while any sender is queued it has to be tried."""
        return not self.queue and not self.senders and not self.guarded

    def _refill(self) -> None:
        while len(self.queue) < self.limit and (w := winner(self.senders)) is not None:
            self.accepted += 1
            self.queue.append(w.value)
            w.finish()

    def _overflow(self, value: Any) -> None:
        self.accepted += 1
        if self.overflow is DROP_LATEST:
            dropped = value
        else:
            dropped = self.queue.popleft()
            self.queue.append(value)
        self.report(dropped, Undelivered.CONFLATED if self.kind is Kind.CONFLATED else Undelivered.OVERFLOW)

    # -- waiting

    def enqueue(self, w: Waiter, /) -> None:
        """Queue a waiter behind those of its direction."""
        (self.senders if w.sending else self.receivers)[w] = None

    def withdraw(self, w: Waiter, /) -> bool:
        """Take a waiter out; False when it was not queued any more."""
        if self.tries:
            self.tries.pop(w, None)  # type: ignore[call-overload]
        waiters = self.senders if w.sending else self.receivers
        if w not in waiters:
            return False
        del waiters[w]
        return True

    def there(self, sending: bool, /) -> float:
        """How many elements, or how much room, whoever comes now would find."""
        if self.is_shared(sending):
            return 0
        if not sending:
            return len(self.queue)
        if self.closed or not self.suspends:
            return 0 if self.closed else math.inf
        return max(0, self.limit - len(self.queue) - self.kept)

    def is_shared(self, sending: bool, /) -> bool:
        """Whether a link has a share in this direction."""
        return (self.borrower if sending else self.keeper) is not None

    def is_drained(self) -> bool:
        """Whether it is closed and nothing will ever be received any more; asking has no effect."""
        return self.closed and not self.queue and self._settled()

    def want(self, sending: bool, /) -> None:
        """A share in this direction is wanted back."""
        if sending and self.borrower is not None:
            self._recall(self.borrower)
        elif not sending and self.keeper is not None:
            self.keeper.recall()

    def waiting(self, sending: bool, /) -> Iterable[Waiter]:
        """Those who wait in one direction, oldest first."""
        return self.senders if sending else self.receivers

    def may_meet(self, sending: bool, /) -> bool:
        """Whether those who wait in the other direction do not wait for a link first."""
        return self.keeper is None if sending else not self.recalled

    # -- the end

    def close(self, reason: object = None) -> None:
        """No more sends: parked senders fail and keep their value, receivers drain what is queued."""
        if self.closed:
            return
        self.closed = self.guarded = True
        self.recalled = self.borrower is not None  # a borrower takes the news of a close as a recall
        self.reason = reason
        self._shut(self.senders)
        if not self.queue:
            self._drained()

    def cancel(self, reason: object = None, why: Undelivered = Undelivered.CANCELLED) -> None:
        """Close, and report everything that is queued as undelivered, oldest first."""
        unwanted, self.queue = self.queue, deque()
        self.given_up = self.given_up or why
        self.close(reason)
        self._drained()
        self._give_up(unwanted)

    def _give_up(self, unwanted: Sequence[Any]) -> None:
        assert self.given_up is not None
        self.dropped += len(unwanted)  # all of them before the first hook, which may look at the books
        for value in unwanted:
            self._tell(value, self.given_up)

    def _shut(self, waiters: Waiters) -> None:
        leaving = list(waiters)
        waiters.clear()
        for w in leaving:
            self.tries.pop(w, None)  # type: ignore[call-overload]
            w.shut(self.closed_error())

    def closed_error(self) -> ChannelClosed:
        """A new error for one caller; errors carry an index and a traceback, so they are never shared."""
        why = "" if self.reason is None else f": {self.reason!r}"
        return ChannelClosed(f"the channel is closed{why}", reason=self.reason)

    # -- elements that travel to another process: see also lending.py

    def hand_out(self) -> None:
        """An element that was just received travels, and is not known to have arrived."""
        self.travelling += 1

    # -- books

    def replaced(self, count: int, /) -> None:
        """Values that were replaced before they came here."""
        self.accepted += count
        self.dropped += count

    def report(self, value: Any, why: Undelivered) -> None:
        """Count a value that reached nobody, and hand it to the hook."""
        self.dropped += 1
        self._tell(value, why)

    def _tell(self, value: Any, why: Undelivered) -> None:
        """Call the hook, whose own failure changes nothing."""
        if self.on_undelivered is None:
            return
        try:
            self.on_undelivered(value, why)
        except BaseException as error:  # noqa: BLE001 - a hook changes no outcome; Python treats finalizers alike
            report_unraisable(error, f"on_undelivered({value!r}, {why})")

    def count_failure(self, claim: int, /) -> None:
        """Book a plain operation that failed."""
        self.failures[_FAILURES[claim]] += 1

    def __len__(self) -> int:
        return len(self.queue)

    def snapshot(self) -> ChannelSnapshot:
        """State and counters, in constant time."""
        would_block, deadline, cancelled, closed = self.failures
        sent = self.handoffs + self.accepted
        return ChannelSnapshot(
            kind=self.kind,
            overflow=self.overflow,
            capacity=self.capacity,
            length=len(self.queue),
            peak_length=self.peak,
            closed=self.closed,
            waiting_senders=len(self.senders),
            waiting_receivers=len(self.receivers),
            sent=sent,
            received=sent - self.dropped - len(self.queue),
            dropped=self.dropped,
            handoffs=self.handoffs,
            failed_would_block=would_block,
            failed_deadline=deadline,
            failed_cancelled=cancelled,
            failed_closed=closed,
        )
