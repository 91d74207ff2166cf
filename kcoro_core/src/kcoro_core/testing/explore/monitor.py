# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A monitor around one channel of an engine: it passes every call on, and checks each answer against the contract.

It sees the core surface, where every call is one instant, so it can say what the face cannot: which waiter was passed
over, which try should have succeeded, in which order elements left. What it finds goes into a list; it changes nothing.

The values of the program must be hashable and all different.
"""

from __future__ import annotations

from typing import Any

from ...engine import CLOSED, OK, WOULD_BLOCK, ChannelCore, ChannelFactory, OnUndelivered, Sentinel
from ...reference.waiter import Waiter
from ...semantics import DROP_LATEST, SUSPEND, WAITING, Kind, Overflow, Undelivered, limit_of

__all__ = ["Monitor", "MonitoringFactory"]


class Monitor:
    """One channel under observation; ``number`` and ``found`` are where findings say what and go to."""

    def __init__(self, core: ChannelCore, number: int, found: list[str]) -> None:
        self._core = core
        self._number = number
        self._found = found
        self._limit = limit_of(core.kind, core.capacity)
        self._waits = core.overflow is SUSPEND and core.kind is not Kind.CONFLATED
        # Waiters in the order in which they were queued.
        self._senders: list[Waiter] = []
        self._receivers: list[Waiter] = []
        # When each element arrived, by value: sent at once, or queued with its sender.
        self._arrived: dict[Any, int] = {}
        # The same, for those that are in the channel's own queue.
        self._queued: dict[Any, int] = {}
        self._last_out = -1
        self._arrivals = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def __len__(self) -> int:
        return len(self._core)

    # -- the two directions

    def send_now(self, value: Any, /) -> Sentinel:
        """Checked: the oldest waiting receiver is served first; what is full refuses, what has room does not."""
        oldest, before, closed = _oldest(self._receivers), len(self._core), self._core.closed
        self._arrive(value)
        answer = self._core.send_now(value)
        if answer is not OK:
            self._arrived.pop(value, None)
        if answer is OK:
            self._expect(not closed, "a send succeeded on a closed channel")
            if oldest is not None:
                self._expect(oldest.claim != WAITING, "a send passed over the receiver that has waited longest")
            if value in self._arrived:  # else it was dropped at once
                if before == 0 and len(self._core) == 0:
                    self._leave(value)
                else:
                    self._queued[value] = self._arrived[value]
        elif answer is WOULD_BLOCK:
            self._expect(oldest is None, "a send would block although a receiver waits")
            self._expect(before >= self._limit and self._waits, "a send would block although there is room")
            self._expect(not closed, "a send would block on a closed channel")
        else:
            self._expect(closed, "a send found an open channel closed")
        self._expect(len(self._core) <= self._limit, f"it holds {len(self._core)} elements, more than its capacity")
        return answer

    def recv_now(self) -> Any:
        """Checked: elements leave in the order of their arrival; room goes to the oldest sender in the same step."""
        oldest, before, closed = _oldest(self._senders), len(self._core), self._core.closed
        offered = None if oldest is None else oldest.value
        value = self._core.recv_now()
        if value is WOULD_BLOCK:
            self._expect(before == 0, "a receive would block although there is an element")
            self._expect(oldest is None or closed, "a receive would block although a sender waits")
            self._expect(not closed, "a receive would block on a channel that is closed and drained")
        elif value is CLOSED:
            self._expect(closed, "a receive found an open channel closed")
            self._expect(before == 0, "a receive found a channel with elements closed")
        else:
            self._expect(before > 0 or (oldest is not None and not closed), "a receive got an element from nowhere")
            self._leave(value)
            if oldest is not None and closed:
                self._expect(oldest.claim == WAITING, "a closed channel took an element from a sender")
            elif oldest is not None:
                self._expect(oldest.claim != WAITING, "a receive passed over the sender that has waited longest")
                if offered in self._arrived:
                    self._queued[offered] = self._arrived[offered]
        return value

    def send_must_wait(self) -> bool:
        """Checked: True only where a send would have to wait."""
        waits = self._core.send_must_wait()
        if waits:
            self._expect(_oldest(self._receivers) is None, "it says that a send must wait although a receiver waits")
            room = len(self._core) < self._limit or not self._waits or self._core.closed
            self._expect(not room, "it says that a send must wait although it could be answered")
        return waits

    def recv_must_wait(self) -> bool:
        """Checked: True only where a receive would have to wait."""
        waits = self._core.recv_must_wait()
        if waits:
            self._expect(_oldest(self._senders) is None, "it says that a receive must wait although a sender waits")
            answer = len(self._core) > 0 or self._core.closed
            self._expect(not answer, "it says that a receive must wait although it could be answered")
        return waits

    def _arrive(self, value: Any) -> None:
        self._arrived[value] = self._arrivals
        self._arrivals += 1

    def _leave(self, value: Any) -> None:
        self._queued.pop(value, None)
        arrived = self._arrived.pop(value, None)
        if arrived is None:
            self._found.append(f"ch{self._number}: element {value} left twice, or was never sent")
            return
        self._expect(arrived > self._last_out, f"element {value} overtook one that had arrived later")
        self._last_out = max(arrived, self._last_out)

    def dropped(self, value: Any, why: Undelivered) -> None:
        """Checked, for each value that is reported as undelivered: the policy's choice, for the policy's reason."""
        self._expect(value in self._arrived, f"element {value} was reported as {why.value}, and was not there")
        self._arrived.pop(value, None)
        oldest = next(iter(self._queued), None)
        if self._core.overflow is DROP_LATEST and why is not Undelivered.CANCELLED:
            self._expect(value not in self._queued, f"element {value} was dropped, and was not the latest")
        else:
            self._expect(value == oldest, f"element {value} was dropped, and was not the oldest")
        self._queued.pop(value, None)
        expected = Undelivered.CONFLATED if self._core.kind is Kind.CONFLATED else Undelivered.OVERFLOW
        self._expect(why in (expected, Undelivered.CANCELLED), f"element {value} was dropped as {why.value}")

    # -- waiting

    def enqueue(self, w: Waiter, /) -> None:
        """Remembered, in order."""
        (self._senders if w.sending else self._receivers).append(w)
        if w.sending:
            self._arrive(w.value)
        self._core.enqueue(w)

    def withdraw(self, w: Waiter, /) -> bool:
        """Forget the waiter."""
        waiters = self._senders if w.sending else self._receivers
        if w in waiters:
            waiters.remove(w)
        return self._core.withdraw(w)

    def close(self, reason: object = None) -> None:
        """Passed on."""
        self._core.close(reason)
        self._expect(self._core.closed, "it is open after close()")

    def cancel(self, reason: object = None, why: Undelivered = Undelivered.CANCELLED) -> None:
        """Checked: nothing stays queued."""
        self._core.cancel(reason, why)
        self._expect(self._core.closed and len(self._core) == 0, "it is open or holds elements after cancel()")

    def _expect(self, holds: bool, complaint: str) -> None:
        if not holds:
            self._found.append(f"ch{self._number}: {complaint}")


def _oldest(waiters: list[Waiter]) -> Waiter | None:
    """The waiter that has to be served next: the oldest one whose claim word can be won."""
    for w in waiters:
        if w.claim == WAITING:
            return w
    return None


class MonitoringFactory:
    """The channels of an engine, each inside a Monitor."""

    def __init__(self, factory: ChannelFactory, found: list[str]) -> None:
        self.engine = factory.engine
        self.api = factory.api
        self._factory = factory
        self._found = found
        self._made = 0

    def __call__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None
    ) -> Any:
        def told(value: Any, why: Undelivered) -> None:
            monitor.dropped(value, why)
            if on_undelivered is not None:
                on_undelivered(value, why)

        monitor = Monitor(self._factory(kind, capacity, overflow, told), self._made, self._found)
        self._made += 1
        return monitor
