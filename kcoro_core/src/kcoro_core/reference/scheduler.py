# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The scheduler: steps ``async def`` coroutines one at a time, and knows nothing of channels, sockets or clocks.

    CREATED --spawn--> READY --drain--> RUNNING --returns or raises--> FINISHED
                         ^                 |
                         +---- yields -----+   to the tail: a task that only yields starves nobody
                         |                 |
                         +--ready-- PARKED-+

A coroutine speaks to whoever steps it by what it yields: ``None`` lets the others run, ``PARK`` parks the task until
``ready``. That is the whole protocol; ``pause()`` and ``park()`` are its two awaitables, for every scheduler.

Rule 1: a ``ready`` that comes before the park is remembered, so the next park returns at once; it is never lost.
Rule 2: no error is swallowed: it stays in its task until ``take``, and leaves ``shutdown`` if nobody has taken it.
Rule 3: after ``shutdown`` every coroutine is closed, and its ``finally`` blocks have run.
"""

from __future__ import annotations

import contextvars
import enum
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from ..engine import ENGINE_API, SchedulerStats
from ..transport import PollSpec
from .timer import Timer, TimerQueue

__all__ = ["PARK", "ReferenceScheduler", "SchedulerTask", "TaskState", "park", "pause", "scheduler_factory"]

PARK: Final = "kcoro park"
"""What a coroutine yields in order to be parked; a text, so that an outsider's loop shows what it was given."""


@types.coroutine
def park() -> Generator[Any, None, None]:
    """Park the running task until somebody calls ``ready`` for it."""
    yield PARK


@types.coroutine
def pause() -> Generator[Any, None, None]:
    """Let the other runnable tasks step first."""
    yield None


class TaskState(enum.Enum):
    """Where a task is in its life."""

    CREATED = "created"
    """Made, and not yet given to the queue; seen only while ``spawn`` runs."""
    READY = "ready"
    """Queued for its next step; ``drain`` will take it."""
    RUNNING = "running"
    """Taking a step now; at most one task of a scheduler is."""
    PARKED = "parked"
    """Waits for ``ready``; costs nothing but memory."""
    FINISHED = "finished"
    """Returned, raised or closed; never stepped again."""


_CREATED, _READY, _RUNNING, _PARKED, _FINISHED = TaskState


class SchedulerTask:
    """One coroutine with a name, a number, a state, a context of its own, and at the end a result."""

    __slots__ = (
        "_owner",
        "_permit",
        "_thrown",
        "context",
        "coro",
        "error",
        "id",
        "injected",
        "name",
        "result",
        "state",
    )

    def __init__(
        self, owner: ReferenceScheduler, number: int, coro: Coroutine[Any, Any, Any], name: str | None
    ) -> None:
        self._owner = owner
        self.id = number
        self.name = name or getattr(coro, "__qualname__", "task")
        self.coro = coro
        self.context = contextvars.copy_context()
        self.state = _CREATED
        self.result: Any = None
        self.error: BaseException | None = None
        # Made runnable by whoever drives the loop, and not by another task.
        self.injected = False
        self._permit = False
        self._thrown: BaseException | None = None

    def take(self) -> Any:
        """The result, or the error that ended the task.

        :raises RuntimeError: the task has not finished.
        """
        if self.state is not _FINISHED:
            raise RuntimeError(f"{self!r} has not finished: drain() the scheduler until its state is FINISHED")
        if self.error is not None:
            self._owner._failed.pop(self.id, None)
            raise self.error
        return self.result

    def __repr__(self) -> str:
        return f"<task {self.id} {self.name!r} {self.state.value}>"


class ReferenceScheduler:
    """One queue of runnable tasks and one heap of timers; single-threaded, driven from outside by ``drain``.

    ``now`` is the clock; ``pick(n)`` chooses which of n > 1 runnable tasks steps next, None takes the oldest.
    ``running`` is the task that takes a step at this instant. ``timers`` fire between steps.
    """

    def __init__(self, *, now: Callable[[], float], pick: Callable[[int], int] | None = None) -> None:
        self.timers = TimerQueue()
        self.running: SchedulerTask | None = None
        self._now = now
        self._pick = pick
        self._queue: deque[SchedulerTask] = deque()
        self._alive: dict[int, SchedulerTask] = {}
        # Tasks whose error nobody has taken yet.
        self._failed: dict[int, SchedulerTask] = {}
        self._ended = False
        self._submitted = self._steps = self._parks = self._unparks = 0
        self._fired = self._fastpath = self._injected = 0

    # -- the Protocol

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str | None = None) -> SchedulerTask:
        """Accept a coroutine; it takes its first step in a later ``drain``, in a copy of the caller's context.

        :raises RuntimeError: after ``shutdown``; the coroutine was closed.
        """
        if self._ended:
            coro.close()
            raise RuntimeError("this scheduler was shut down: spawn on the scheduler of the current run")
        self._submitted += 1
        task = SchedulerTask(self, self._submitted, coro, name)
        self._alive[task.id] = task
        self._enqueue(task)
        return task

    def ready(self, task: SchedulerTask, /) -> None:
        """Make a parked task runnable; remembered while it runs, harmless when it is runnable or finished."""
        if task.state is _PARKED:
            self._unparks += 1
            self._enqueue(task)
        elif task.state is _RUNNING:
            task._permit = True

    def drain(self, steps: int | None = None) -> int:
        """Take at most that many steps (None: until nothing is runnable now), firing timers that are due in between.

        :raises RuntimeError: called from inside a step.
        :raises ExceptionGroup: a timer's callback raised; tasks and other timers are unharmed.
        """
        if self.running is not None:
            raise RuntimeError(f"drain() was called inside {self.running!r}; whoever drives the loop calls it")
        taken = 0
        while steps is None or taken < steps:
            if self.timers:
                self._fired += self._expire()
            if not self._queue:
                break
            self._step(self._next())
            taken += 1
        return taken

    def stats(self) -> SchedulerStats:
        """The counters since the scheduler was made.

        ``fastpath_hits`` counts steps that needed no choice, because one task was runnable (in the native engine also
        where one was to be the next); ``inject_pulls`` steps of tasks that were made runnable from outside any step: by
        a timer, or by whoever drives the loop.
        """
        alive = len(self._alive)
        return SchedulerStats(
            tasks_submitted=self._submitted,
            tasks_completed=self._submitted - alive,
            tasks_alive=alive,
            ready=len(self._queue),
            steps=self._steps,
            parks=self._parks,
            unparks=self._unparks,
            timers_fired=self._fired,
            fastpath_hits=self._fastpath,
            inject_pulls=self._injected,
        )

    def poll_handle(self) -> PollSpec:
        """What to wait for before the next ``drain`` is worth calling."""
        return PollSpec(deadline=self.timers.next_deadline(), ready_now=bool(self._queue))

    # -- beyond the Protocol

    def call_at(self, deadline: float, fn: Callable[[], object]) -> Timer:
        """Call ``fn`` once, between two steps, in the first ``drain`` at or after ``deadline``."""
        return self.timers.at(deadline, fn)

    def wake_at(self, deadline: float, task: SchedulerTask) -> Timer:
        """``ready(task)`` at ``deadline``; cancel the timer to leave the task parked."""
        return self.timers.at(deadline, lambda: self.ready(task))

    def tasks(self) -> list[SchedulerTask]:
        """Every task that has not finished, oldest first; for dumps."""
        return list(self._alive.values())

    def shutdown(self) -> None:
        """Close every coroutine that has not finished, the youngest first; may be repeated.

        :raises RuntimeError: called from inside a step; nothing was closed.
        :raises BaseExceptionGroup: errors of tasks that nobody has taken, and what ``finally`` blocks raised.
        """
        if self.running is not None:
            raise RuntimeError(f"shutdown() was called inside {self.running!r}; whoever drives the loop calls it")
        self._ended = True
        while self._alive:
            self._close(next(reversed(self._alive.values())))
        self._queue.clear()
        errors = [task.error for task in self._failed.values() if task.error is not None]
        self._failed.clear()
        if errors:
            raise BaseExceptionGroup("tasks failed, and nobody took their errors", errors)

    # -- one step

    def _enqueue(self, task: SchedulerTask) -> None:
        task.state = _READY
        task.injected = self.running is None
        self._queue.append(task)

    def _next(self) -> SchedulerTask:
        queue = self._queue
        if len(queue) == 1:
            self._fastpath += 1
            task = queue.popleft()
        elif self._pick is None:
            task = queue.popleft()
        else:
            index = self._pick(len(queue))
            task = queue[index]
            del queue[index]
        if task.injected:
            self._injected += 1
        return task

    def _step(self, task: SchedulerTask) -> None:
        self._steps += 1
        task.state = _RUNNING
        self.running = task
        try:
            if task._thrown is None:
                trap = task.context.run(task.coro.send, None)
            else:
                thrown, task._thrown = task._thrown, None
                trap = task.context.run(task.coro.throw, thrown)
        except StopIteration as stop:
            self._finish(task, stop.value, None)
        except (KeyboardInterrupt, SystemExit) as error:
            self._finish(task, None, error)
            del self._failed[task.id]  # it leaves drain() at once, and needs nobody to take it
            raise
        except BaseException as error:  # noqa: BLE001 - kept in the task, see Rule 2
            self._finish(task, None, error)
        else:
            self._obey(task, trap)
        finally:
            self.running = None

    def _obey(self, task: SchedulerTask, trap: object) -> None:
        """Do what the coroutine asked for by what it yielded."""
        if trap is PARK:
            self._parks += 1
            if not task._permit:
                task.state = _PARKED
                return
            task._permit = False
            self._unparks += 1
        elif trap is not None:
            task._thrown = TypeError(
                f"the coroutine awaited something of another loop ({trap!r}); "
                "inside this one only kcoro's own operations can wait"
            )
        self._enqueue(task)

    def _finish(self, task: SchedulerTask, result: Any, error: BaseException | None) -> None:
        task.state = _FINISHED
        task.result, task.error = result, error
        del self._alive[task.id]
        if error is not None:
            self._failed[task.id] = task

    def _close(self, task: SchedulerTask) -> None:
        """Throw GeneratorExit into a coroutine, so that its ``finally`` blocks run."""
        task.state = _RUNNING
        self.running = task
        try:
            task.context.run(task.coro.close)
        except BaseException as error:  # noqa: BLE001 - raised by shutdown, together
            self._finish(task, None, error)
        else:
            self._finish(task, None, None)
        finally:
            self.running = None

    def _expire(self) -> int:
        deadline = self.timers.next_deadline()
        now = self._now()
        return self.timers.expire(now) if deadline is not None and deadline <= now else 0


class _Factory:
    """The scheduler of the reference engine, as a ``kcoro_scheduler`` hook returns it."""

    engine: str = "reference"
    api: int = ENGINE_API

    def __call__(self, *, now: Callable[[], float], pick: Callable[[int], int] | None = None) -> ReferenceScheduler:
        return ReferenceScheduler(now=now, pick=pick)


scheduler_factory: Final = _Factory()
"""What the reference plugin returns from ``kcoro_scheduler``."""
