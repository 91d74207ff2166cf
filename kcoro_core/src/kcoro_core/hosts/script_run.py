# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One run of the script host from its first step to its last: steps, callbacks, the clock, and the end.

Rule 1: time moves only when nothing can run, or by chance if the host is in a hurry.
Rule 2: a run that cannot go on is cancelled once, and what is left after that is closed.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from ..unraisable import report_unraisable
from .scopes import Cancelled
from .script_task import Deadlock, StepLimit

if TYPE_CHECKING:
    from .script import ScriptHost

__all__ = ["SLOWEST_STEP", "Run"]

# How long a quiet run waits for threads that the program has started, in real seconds, before it goes on without them.
_THREAD_GRACE: Final = 1.0
# How often it looks whether such a thread still lives, in real seconds.
_THREAD_POLL: Final = 0.01

SLOWEST_STEP: Final = 60.0
"""How far the clock of a host in a hurry may move in one step, in seconds; later timers wait until nothing can run."""


class Run:
    """Drives one run: steps, callbacks, the clock, and the end."""

    def __init__(self, host: ScriptHost, main: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self.host = host
        self.result: Any = None
        self.error: BaseException | None = None
        # Deadlock or StepLimit: everything is being cancelled, and this leaves the run in the end.
        self.failure: RuntimeError | None = None
        self.limit = host._max_steps
        # When a task that is none of the background was last seen to step, and how far the trace was read for that.
        self._active_at = host.now()
        self._read = 0
        self.threads = threading.active_count()
        host.start_task(main, args, "main" if isinstance(main, functools.partial) else None, host._root, self.ended)

    def ended(self, result: Any, error: BaseException | None) -> None:
        """The main task has ended: the background ends with it."""
        self.result, self.error = result, error
        self.host.finish()

    def drive(self) -> Any:
        """Run to the end; returns what the main task returned, or raises what ended the run."""
        try:
            self._loop()
        finally:
            self._close()
        try:
            if self.failure is not None:
                if self.error is not None and not isinstance(self.error, Cancelled):
                    self.failure.add_note(f"while it was being ended, main raised {self.error!r}")
                raise self.failure
            if self.error is not None:
                raise self.error
            return self.result
        finally:
            self.error = None

    def _loop(self) -> None:
        host = self.host
        timers, scheduler = host._timers, host._scheduler
        while host._tasks:
            if host._calls:
                self._call()
            if host._hooks and (hook := host._hooks.pop(host.steps, None)) is not None:
                hook()
            if timers:
                self._expire()
            if scheduler.drain(1):
                host.steps += 1
                if host.steps > self.limit and not self._give_up(StepLimit(self.limit, host.lines())):
                    return
            elif not (self._hear_threads() or self._jump() or self._give_up(Deadlock(host.lines()))):
                return

    def _close(self) -> None:
        """Close what is left of a run that was given up, the youngest task first; ``finally`` blocks run."""
        for task in reversed(list(self.host._tasks.values())):
            assert task.coro is not None
            try:
                task.coro.close()
            except BaseException as error:  # noqa: BLE001 - the failure that ended the run goes first
                report_unraisable(error, f"closing task {task.name!r} of a run that was given up")

    def _call(self) -> None:
        while self.host._calls:
            self.host._calls.popleft()()

    def _expire(self) -> None:
        """Fire what is due; in a hurry, also what soon will be, as if the last step had taken that long."""
        host = self.host
        deadline = host._timers.next_deadline()
        if deadline is None:
            return
        if deadline > host._clock:
            if not host._hurry or deadline > host._clock + SLOWEST_STEP or host.random.random() >= host._hurry:
                return
            host._clock = deadline
        host.trace.append(("timers", 0, host._clock))
        host._timers.expire(host._clock)

    def _jump(self) -> bool:
        """Nothing can run: move the clock to the next deadline. False when there is none."""
        host = self.host
        deadlines = (host._timers.next_deadline(), host._scheduler.poll_handle().deadline)
        known = [deadline for deadline in deadlines if deadline is not None]
        if not known or self._is_out_of_patience(min(known)):
            return False
        host._clock = max(host._clock, min(known))
        return True

    def _is_out_of_patience(self, then: float) -> bool:
        """Whether only the background has done anything for too long, and would until ``then``."""
        host = self.host
        if host._patience == math.inf or self.failure is not None:
            return False
        steps = ((what, number) for what, number, _ in host.trace[self._read :])
        if any(what in ("start", "resume") and number not in host._background for what, number in steps):
            self._active_at = host.now()
        self._read = len(host.trace)
        return then - self._active_at > host._patience

    def _hear_threads(self) -> bool:
        """Give threads that were started during the run a moment to call in; True when one did."""
        host = self.host
        end = time.monotonic() + _THREAD_GRACE
        while not host._calls and threading.active_count() > self.threads and time.monotonic() < end:
            host._called.wait(_THREAD_POLL)
            host._called.clear()
        return bool(host._calls)

    def _give_up(self, failure: RuntimeError) -> bool:
        """Cancel everything and go on, once; False when that did not help either."""
        if self.failure is not None:
            return False
        self.failure = failure
        self.limit = self.host.steps + self.host._max_steps
        self.host._root.cancel()
        self.host.finish()
        return True
