# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults that are planted into a copy of the engine, one at a time; each must be found by the laws or the explorer.

A fault is one replacement in one file. The text that it replaces must occur there exactly once, so that a change of
the engine which outdates a fault is noticed.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Fault:
    """One planted fault: what a tired engineer might have written, and what it breaks."""

    name: str
    path: str
    right: str
    wrong: str
    breaks: str


CHANNEL = "reference/channel.py"
LENDING = "reference/lending.py"
WAITER = "reference/waiter.py"

FAULTS = [
    Fault(
        "barging-into-the-buffer",
        CHANNEL,
        "            value = queue.popleft()\n            if self.senders:\n                self._refill()\n",
        "            value = queue.popleft()\n",
        "a freed slot does not go to the oldest waiting sender: it stays parked beside a free slot",
    ),
    Fault(
        "one-element-too-many",
        CHANNEL,
        "        if len(queue) < self.limit:\n            self.accepted += 1",
        "        if len(queue) <= self.limit and self.limit:\n            self.accepted += 1",
        "capacity is exceeded by one",
    ),
    Fault(
        "newest-receiver-first",
        CHANNEL,
        "            for w in receivers:\n",
        "            for w in reversed(receivers):\n",
        "receivers are served last come, first served",
    ),
    Fault(
        "overflow-in-silence",
        CHANNEL,
        "        self.report(dropped, Undelivered.CONFLATED if",
        "        _ = (dropped, Undelivered.CONFLATED if",
        "an overwritten or dropped element is neither counted nor reported",
    ),
    Fault(
        "wrong-end-dropped",
        CHANNEL,
        "            dropped = self.queue.popleft()\n            self.queue.append(value)\n",
        "            dropped = self.queue.pop()\n            self.queue.append(value)\n",
        "DROP_OLDEST drops the newest queued element",
    ),
    Fault(
        "close-forgets-receivers",
        CHANNEL,
        "        self._shut(self.senders)\n        if not self.queue:\n            self._drained()\n",
        "        self._shut(self.senders)\n",
        "receivers that are parked when a channel closes wait for ever",
    ),
    Fault(
        "close-forgets-what-travels",
        LENDING,
        "        return CLOSED if self.closed and self._settled() else WOULD_BLOCK\n\n    def _accept",
        "        return CLOSED if self.closed else WOULD_BLOCK\n\n    def _accept",
        "a closed channel answers CLOSED while an element may still come back over a link",
    ),
    Fault(
        "loser-stays-queued",
        CHANNEL,
        "        if w not in waiters:\n            return False\n        del waiters[w]\n        return True\n",
        "        return w in waiters\n",
        "waiters that were cancelled, timed out or lost a select stay in the queue",
    ),
    Fault(
        "second-win",
        WAITER,
        "        if self.claim != WAITING:\n            return False\n        self.claim = index\n        return True\n",
        "        self.claim = index\n        return True\n",
        "two clauses of one select both win: an element is taken and lost",
    ),
    Fault(
        "cancel-after-the-claim",
        WAITER,
        "        if self.claim == WAITING:\n            self.claim = CANCELLED\n            return True\n"
        "        if self.claim <= CLAIMING:\n            self.late = CANCELLED\n        return False\n",
        "        self.claim = CANCELLED\n        return True\n",
        "a host cancellation that arrives after the hand-over loses the element",
    ),
    Fault(
        "timeout-beats-token",
        "parking.py",
        "    if token is not None and token.is_set():\n        raise cancelled_error(token, what)\n"
        '    if op.claim == TIMED_OUT:\n        raise DeadlineExceeded(f"{what} did not complete before its deadline")\n',
        '    if op.claim == TIMED_OUT:\n        raise DeadlineExceeded(f"{what} did not complete before its deadline")\n'
        "    if token is not None and token.is_set():\n        raise cancelled_error(token, what)\n",
        "a deadline that passes in the tick in which the token is set hides the cancellation",
    ),
    Fault(
        "half-a-tree",
        "reference/cancel.py",
        "        for token in found:\n            found.extend(",
        "        for token in found[:1]:\n            found.extend(",
        "triggering a token reaches its children and not its grandchildren",
    ),
    Fault(
        "rotation-for-a-shuffle",
        "reference/select.py",
        "        shuffle(order)\n        return order\n",
        "        starts = list(order)\n        shuffle(starts)\n        return order[starts[0] :] + order[: starts[0]]\n",
        "UNBIASED rotates from a random start, which favours the clause behind unready ones",
    ),
    Fault(
        "same-winner-again",
        "reference/select.py",
        "    return [*range(last + 1, clauses), *range(last + 1)]\n",
        "    return [*range(max(last, 0), clauses), *range(max(last, 0))]\n",
        "ROUND_ROBIN starts at the clause that won last, and never leaves it while it is ready",
    ),
    Fault(
        "deadlines-out-of-order",
        "reference/timer.py",
        "            heapq.heappush(self._heap, entry)\n        return timer\n",
        "            self._heap.append(entry)\n        return timer\n",
        "timers do not fire in the order of their deadlines",
    ),
    Fault(
        "last-sender-does-not-close",
        "halves.py",
        "        if not self._channel.open_senders:\n            self._channel.close()\n",
        "        if self._channel.open_senders < 0:\n            self._channel.close()\n",
        "a channel stays open when its last sending half has been closed",
    ),
]
