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
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import Host, current_host
from kcoro_core.reference.waiter import Operation

__all__ = ["MOST_THREADS", "idle_threads", "to_thread"]

MOST_THREADS: Final = 40
"""How many calls run at once; a number between what disks and resolvers like, and what memory does."""
_IDLE_SECONDS: Final = 10.0
_NO_MEMORY_SECONDS: Final = 0.01

T = TypeVar("T")


class _Job:
    """One call: its function, and what became of it."""

    def __init__(self, host: Host, fn: Callable[[], Any]) -> None:
        self.host = host
        self.op = Operation(host)
        self._run = contextvars.copy_context().run
        self._tell = self.op.complete
        self._fn = fn
        self.error: BaseException | None = None
        self.value: Any = None
        self._begun = False

    def work(self) -> None:
        """Make the call, in a thread, and tell the loop; may be repeated where a MemoryError came in between."""
        if not self._begun:
            self._begun = True
            try:
                self.value = self._run(self._fn)
            except BaseException as error:  # noqa: BLE001 - raised by whoever waits for the call
                self.error = error
        while True:
            try:
                return self.host.call_from_thread(self._tell)
            except WrongLoop:
                return None  # the run was given up, and nobody waits any more
            except MemoryError:
                time.sleep(_NO_MEMORY_SECONDS)  # somebody waits for this whatever happens


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
        try:
            if needed:
                self._start_thread()
            self._jobs.put(job)
        except BaseException:
            with self._lock:
                self._open -= 1
            raise

    def _start_thread(self) -> None:
        """One more thread. Where there can be none, those that there are do the work; without any, that is an error."""
        try:
            threading.Thread(target=self._serve, name="kcoro call", daemon=True).start()
        except (MemoryError, RuntimeError):
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    raise

    def _serve(self) -> None:
        job: _Job | None = None
        while True:
            try:
                if job is None and (job := self._next()) is None:
                    return
                job.work()
                with self._lock:
                    self._open -= 1
                job = None
            except MemoryError:  # of ours, around the call: this thread is counted, and somebody waits for the job
                pass

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
