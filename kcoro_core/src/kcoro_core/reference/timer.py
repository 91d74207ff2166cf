# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Timers without a clock: a heap of deadlines; time is passed in, callbacks come out in order.

Rule 1: timers fire in the order of their deadlines, equal deadlines in the order in which they were asked for.
Rule 2: ``cancel`` answers True exactly when the callback has not run and now never will.
Rule 3: a timer that a callback adds fires in a later ``expire`` at the earliest, so that one ``expire`` always ends.
Rule 4: an exception of a callback stops no other timer and is never lost; cancelled entries never outnumber live ones
by more than a constant.

Unit: seconds on the clock of whoever calls ``expire``. Nothing here reads a clock, sleeps or knows a task.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

__all__ = ["Timer", "TimerQueue"]

# Below this length a heap is not worth rebuilding, however much of it is garbage.
_COMPACT_FROM = 16


class Timer:
    """One callback that will run at ``deadline``, unless it is cancelled first."""

    __slots__ = ("_queue", "deadline", "fn")

    def __init__(self, queue: TimerQueue, deadline: float, fn: Callable[[], object]) -> None:
        self._queue = queue
        self.deadline = deadline
        # None once it has fired or was cancelled: whatever the callback holds is free from then on.
        self.fn: Callable[[], object] | None = fn

    def cancel(self) -> bool:
        """Take the timer back: True exactly when it has not fired and now never will; may be repeated."""
        if self.fn is None:
            return False
        self.fn = None
        self._queue._forget()
        return True

    def __repr__(self) -> str:
        return f"<Timer at {self.deadline:g}, {'done' if self.fn is None else 'waiting'}>"


class TimerQueue:
    """The timers of one loop; its length is the number of timers that will still fire."""

    __slots__ = ("_added", "_expiring", "_heap", "_live", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        # What callbacks add while ``expire`` runs waits here, so that it cannot fire in the same ``expire``.
        self._added: list[tuple[float, int, Timer]] = []
        self._expiring = False
        self._serial = 0
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def at(self, deadline: float, fn: Callable[[], object]) -> Timer:
        """Have ``fn`` called by the first ``expire`` at or after ``deadline``; infinity means never.

        :raises ValueError: ``deadline`` is not a number; nothing was queued.
        """
        if math.isnan(deadline):
            raise ValueError("a deadline must be a number of seconds, not nan")
        timer = Timer(self, deadline, fn)
        self._serial += 1
        self._live += 1
        entry = (deadline, self._serial, timer)
        if self._expiring:
            self._added.append(entry)
        else:
            heapq.heappush(self._heap, entry)
        return timer

    def next_deadline(self) -> float | None:
        """The earliest deadline of a timer that will fire, or None when there is none."""
        heap = self._heap
        while heap and heap[0][2].fn is None:
            heapq.heappop(heap)
        if not heap or heap[0][0] == math.inf:
            return None
        return heap[0][0]

    def expire(self, now: float) -> int:
        """Call what is due at ``now``; returns how many callbacks ran.

        :raises ExceptionGroup: what callbacks raised, after all that is due has run. An interrupt leaves at once, and
            what is due stays queued.
        """
        if self._expiring:
            raise RuntimeError("expire() was called from a timer's callback; whoever drives the loop calls it")
        fired = 0
        errors: list[Exception] = []
        self._expiring = True
        try:
            while (fn := self._take_due(now)) is not None:
                fired += 1
                try:
                    fn()
                except Exception as error:  # noqa: BLE001 - all are raised together below
                    errors.append(error)
                except BaseException as error:
                    # An interrupt leaves at once, but takes along what had been collected.
                    if errors:
                        raise BaseExceptionGroup("timer callbacks failed", [*errors, error]) from None
                    raise
        finally:
            self._expiring = False
            self._admit()
        if errors:
            raise ExceptionGroup("timer callbacks failed", errors)
        return fired

    def _take_due(self, now: float) -> Callable[[], object] | None:
        """Remove the earliest live timer that is due, mark it as fired, and return its callback."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            fn = timer.fn
            if fn is not None:
                timer.fn = None
                self._live -= 1
                return fn
        return None

    def _admit(self) -> None:
        """Queue what callbacks added while ``expire`` ran."""
        for entry in self._added:
            heapq.heappush(self._heap, entry)
        self._added.clear()

    def _forget(self) -> None:
        """A timer was cancelled: its entry stays until it is popped, or until most of the heap is garbage."""
        self._live -= 1
        if len(self._heap) >= _COMPACT_FROM and len(self._heap) > 2 * self._live:
            self._heap = [entry for entry in self._heap if entry[2].fn is not None]
            heapq.heapify(self._heap)
