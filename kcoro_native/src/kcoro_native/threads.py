# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls that block, in threads of a small pool: for files, name look-ups, and whatever else no descriptor tells of.

Rule 1: a call is waited for to its end, whatever is cancelled: what a thread has begun cannot be taken back.
Rule 2: at most MOST_THREADS calls run at once; further ones wait for a thread, as parked tasks do.
Rule 3: a thread that has nothing to do leaves after a while, and keeps no program from ending.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import Host, current_host
from kcoro_core.reference.waiter import Operation

__all__ = ["MOST_THREADS", "idle_threads", "to_thread"]

MOST_THREADS: Final = 40
"""How many calls run at once; a number between what disks and resolvers like, and what memory does."""
_IDLE_SECONDS: Final = 10.0

T = TypeVar("T")


class _Job:
    """One call: its function, and what became of it."""

    def __init__(self, host: Host, fn: Callable[[], Any]) -> None:
        self.host = host
        self.op = Operation(host)
        self._run = contextvars.copy_context().run
        self._fn = fn
        self.error: BaseException | None = None
        self.value: Any = None

    def work(self) -> None:
        """Make the call, in a thread, and tell the loop."""
        try:
            self.value = self._run(self._fn)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for the call
            self.error = error
        try:
            self.host.call_from_thread(self.op.complete)
        except WrongLoop:
            pass  # the run was given up, and nobody waits any more


class _Pool:
    """Threads that are made when there are jobs and none is idle."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._open = 0  # jobs that were given and have not ended

    @property
    def idle(self) -> int:
        """How many threads have nothing to do."""
        with self._lock:
            return max(0, self._threads - self._open)

    def give(self, job: _Job) -> None:
        """Have a job done, as soon as a thread is free."""
        with self._lock:
            self._open += 1
            needed = self._open > self._threads and self._threads < MOST_THREADS
            self._threads += needed
        self._jobs.put(job)
        if needed:
            threading.Thread(target=self._serve, name="kcoro call", daemon=True).start()

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            job.work()
            del job
            with self._lock:
                self._open -= 1

    def _next(self) -> _Job | None:
        """The next job; None when there was none for a while, and this thread is no longer counted."""
        while True:
            try:
                return self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._open < self._threads:
                        self._threads -= 1
                        return None


_pool: Final = _Pool()


def idle_threads() -> int:
    """How many threads of the pool are waiting for calls; none of them could wake a task."""
    return _pool.idle


async def to_thread(fn: Callable[..., T], /, *args: Any) -> T:
    """Call ``fn(*args)`` in a thread, in a copy of the caller's context; gives what it returns, raises what it raises.

    A cancel point before the call begins; from then on it is waited for.

    :raises WrongLoop: no loop is running here.
    """
    host = current_host()
    await host.cancel_point()
    job = _Job(host, lambda: fn(*args))
    _pool.give(job)
    with host.open_cancel_scope(shield=True):
        await host.park(job.op)
    if job.error is not None:
        try:
            raise job.error
        finally:
            del job  # it holds the error, whose traceback holds this frame
    return job.value  # type: ignore[no-any-return]
