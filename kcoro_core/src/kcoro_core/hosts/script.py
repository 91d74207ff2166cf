# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The script host: a whole run decided by one seed, on a clock that jumps, with descriptors and signals by script.

Which runnable task steps next is drawn from ``Random(seed)``; time stands still while anything can run, then jumps to
the next timer. So an hour takes no time, and the same program under the same seed runs the same way again, which
``trace_hash`` shows.

Rule 1: nothing here reads a clock, a real descriptor or the order of a set; only ``call_from_thread`` meets the world.
Rule 2: never a hang: a run that can go on no more ends with Deadlock, which says what every task waits for, and one
that goes on without end stops with StepLimit.
Rule 3: however a run ends, all its coroutines have ended, and their ``finally`` blocks have run.

The engine that KCORO_ENGINE names brings the scheduler that steps the tasks.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..config import settings
from ..errors import WrongLoop
from ..reference.scheduler import park, pause
from ..reference.timer import TimerQueue
from ..unraisable import report_unraisable
from .port import READ, WRITE, CancelScope, Handle, Host, Nursery, find_host, here
from .scopes import Cancelled, Scope, TaskNursery
from .script_run import Run
from .script_task import Deadlock, StepLimit, Task, current_task
from .script_world import ScriptedWorld
from .seen import TaskSeen, name_of

if TYPE_CHECKING:
    from ..engine import Scheduler, SchedulerStats
    from ..reference.waiter import Operation

__all__ = ["Cancelled", "Deadlock", "ScriptHost", "StepLimit", "factory", "run"]

MAX_STEPS: Final = 10_000_000
"""How many steps a run may take before StepLimit, unless it asks for another number."""

# ``op.task`` of an operation that was unparked before its owner came to park.
_EARLY: Final = object()


class ScriptHost(Host):
    """One run under one seed; make it, call ``run`` once, then look at ``trace``, ``steps`` and ``trace_hash``.

    ``quantum`` as for every host. ``hurry`` is a probability from 0 to 1: with it, before each step, the clock jumps to
    the next timer although tasks could run, by up to SLOWEST_STEP, as on a busy machine; 0 keeps virtual time exact.
    ``patience`` is how many seconds may pass without a step of any task but background ones (those that keep links
    alive, for ever) until the run is taken for a deadlock.
    """

    name: ClassVar[str] = "script"

    def __init__(
        self,
        *,
        seed: int = 0,
        quantum: int = 64,
        hurry: float = 0.0,
        max_steps: int = MAX_STEPS,
        start: float = 0.0,
        patience: float = math.inf,
    ) -> None:
        super().__init__(quantum=quantum, seed=seed)
        self.seed = seed
        self.steps = 0
        self.trace: list[tuple[str, int, float]] = []
        self._clock = start
        self._hurry = hurry
        self._max_steps = max_steps
        self._patience = patience
        self._timers = TimerQueue()
        self._tasks: dict[int, Task] = {}
        self._started = 0
        # True once any scope was cancelled; until then cancel points need not look.
        self._cancelling = False
        # True once the main task has ended; the background then ends too.
        self._finishing = False
        self._root = Scope(self)
        self._background: dict[int, Scope] = {}
        self._hooks: dict[int, Callable[[], object]] = {}
        self._calls: deque[Callable[[], object]] = deque()
        self._called = threading.Event()
        self._lock = threading.Lock()
        self._world = ScriptedWorld(self._calls.append)
        from .. import plugins

        self._scheduler: Scheduler = plugins.engine().scheduler(now=self.now, pick=self._pick)

    # -- the run

    def run(self, main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run ``main(*args)`` to its end and return what it returned; its error leaves unchanged.

        :raises Deadlock: nothing can go on; everything was cancelled and has ended.
        :raises StepLimit: more than ``max_steps`` steps; likewise.
        :raises RuntimeError: this host has run before; make another one.
        :raises WrongLoop: a loop is running in this thread already.
        """
        if self._started:
            raise RuntimeError("a ScriptHost runs once; make another one")
        if find_host() is not None:
            raise WrongLoop("a loop is running in this thread already; await what you need, or use another thread")
        here.host = self
        try:
            return Run(self, main, args).drive()
        finally:
            with self._lock:
                self.ended = True
            # Whoever called in at the last moment is told now, by what fails when it finds the run ended.
            while self._calls:
                self._calls.popleft()()
            here.host = None

    def trace_hash(self) -> str:
        """A short text that is equal for equal runs: every start, park, claim, wake-up and jump of the clock."""
        return hashlib.blake2b(repr(self.trace).encode(), digest_size=8).hexdigest()

    def at_step(self, step: int, fn: Callable[[], object]) -> None:
        """Call ``fn`` right before the step of that number, counted from 0; outside any task, as a timer would."""
        self._hooks[step] = fn

    def leap(self, seconds: float) -> None:
        """Move the clock on as if the machine had slept: every timer that fell due meanwhile is late. Never back.

        :raises ValueError: ``seconds`` is negative; no host's clock goes back.
        """
        if not seconds >= 0:
            raise ValueError(f"a clock leaps by 0 seconds or more, not {seconds!r}")
        self._clock += seconds
        self.trace.append(("leap", 0, self._clock))

    def tasks_seen(self) -> list[TaskSeen]:
        return [task.seen() for task in self._tasks.values()]

    def scheduler_stats(self) -> SchedulerStats:
        return self._scheduler.stats()

    def lines(self) -> tuple[str, ...]:
        """One line for each task that has not ended, the oldest first."""
        return tuple(seen.waiting() for seen in self.tasks_seen())

    def _pick(self, n: int) -> int:
        return int(self.random.random() * n)

    # -- time and tasks

    def now(self) -> float:
        return self._clock

    def current(self) -> Task:
        task = current_task.get()
        if task is None or here.host is not self:
            raise WrongLoop("no task of this run is running here")
        return task

    def call_at(self, deadline: float, fn: Callable[[], object]) -> Handle:
        return self._timers.at(deadline, fn)

    async def park(self, op: Operation) -> None:
        task = self.current()
        self.credit = self.quantum
        if op.task is _EARLY:
            return
        if task.scope.in_force() and op.give_up():
            raise Cancelled
        op.task = task
        task.op = op
        self.trace.append(("park", task.id, 0))
        await park()
        task.op = None
        self.trace.append(("resume", task.id, op.claim))
        if task.interrupted:
            task.interrupted = False
            raise Cancelled

    def unpark(self, op: Operation) -> None:
        task = op.task
        if task is None:
            op.task = _EARLY
            return
        self.trace.append(("unpark", task.id, op.claim))
        self._scheduler.ready(task.handle)

    async def cancel_point(self) -> None:
        if self._cancelling and self.current().scope.in_force():
            if self._finishing:
                await self.pause()  # a task that swallows this again and again is then seen, and closed in the end
            raise Cancelled

    async def pause(self) -> None:
        task = self.current()
        self.credit = self.quantum
        await pause()
        self.trace.append(("resume", task.id, 0))

    # -- structure

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return TaskNursery(self)

    def open_cancel_scope(self, *, shield: bool = False) -> CancelScope:
        return Scope(self, shield=shield)

    def spawn(self, fn: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None) -> Handle:
        scope = Scope(self)

        def done(result: Any, error: BaseException | None) -> None:
            del self._background[task.id]
            if error is not None and not isinstance(error, Cancelled):
                report_unraisable(error, f"background task {task.name!r}")

        task = self.start_task(fn, args, name, scope, done)
        self._background[task.id] = scope
        if self._finishing:
            scope.cancel()
        return _Background(self, task)

    def start_task(
        self,
        fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        name: str | None,
        scope: Scope,
        done: Callable[[Any, BaseException | None], object],
    ) -> Task:
        """Run ``fn(*args)`` as a task inside ``scope``; ``done(result, error)`` is called at its end.

        :raises WrongLoop: the run has ended; nothing was started.
        """
        if self.ended:
            raise WrongLoop("this run of the script host has ended")
        self._started += 1
        task = Task(self._started, name or name_of(fn), scope)
        self._tasks[task.id] = task
        task.coro = self._drive(task, fn, args, done)
        task.handle = self._scheduler.spawn(task.coro, task.name)
        return task

    async def _drive(
        self,
        task: Task,
        fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        done: Callable[[Any, BaseException | None], object],
    ) -> None:
        current_task.set(task)
        self.trace.append(("start", task.id, 0))
        result = error = None
        try:
            result = await fn(*args)
        except GeneratorExit:
            raise  # the run was given up: nobody waits for this task any more
        except BaseException as raised:  # noqa: BLE001 - handed to whoever started the task
            error = raised
        finally:
            del self._tasks[task.id]
        try:
            self.trace.append(("end", task.id, error is not None))
            done(result, error)
        finally:
            del error  # it holds this frame

    def deliver_cancel(self) -> None:
        """A scope has been cancelled: interrupt every parked task that is inside it, unless its wait is decided."""
        self._cancelling = True
        for task in self._tasks.values():
            op = task.op
            if op is not None and not task.interrupted and task.scope.in_force() and op.give_up():
                task.interrupted = True
                self.trace.append(("cancel", task.id, 0))
                self._scheduler.ready(task.handle)

    def finish(self) -> None:
        """Cancel the background tasks, and those that are spawned from now on."""
        self._finishing = True
        for scope in list(self._background.values()):
            scope.cancel()

    async def block(self, why: Callable[[], str]) -> None:
        """Park the running task until ``wake``, whatever is cancelled."""
        task = self.current()
        task.why = why
        await park()
        task.why = None
        self.trace.append(("resume", task.id, 0))

    def wake(self, task: Any) -> None:
        """End the ``block`` of a task."""
        self._scheduler.ready(task.handle)

    # -- the world, by script

    def set_readable(self, fd: int, ready: bool = True) -> None:
        """Say that ``fd`` is readable from now on, or is not any more; any number will do."""
        self._world.set_ready(fd, READ, ready)

    def set_writable(self, fd: int, ready: bool = True) -> None:
        """Say that ``fd`` is writable from now on, or is not any more."""
        self._world.set_ready(fd, WRITE, ready)

    def send_signal(self, signum: int) -> None:
        """Let a signal arrive; every callback for it runs before the next step.

        :raises RuntimeError: nobody has asked for this signal; a real one would have had its default effect.
        """
        self._world.send_signal(signum)

    def fd_ready(self, fd: int, want: int) -> bool:
        return self._world.fd_ready(fd, want)

    def wait_fd(self, fd: int, want: int, fn: Callable[[], object]) -> Handle:
        return self._world.wait_fd(fd, want, fn)

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        return self._world.on_signal(signum, fn)

    def call_from_thread(self, fn: Callable[[], object]) -> None:
        with self._lock:
            if self.ended:
                raise WrongLoop("this run of the script host has ended")
            self._calls.append(fn)
        self._called.set()


class _Background:
    """What ``spawn`` gives back."""

    def __init__(self, host: ScriptHost, task: Task) -> None:
        self.host, self.task = host, task

    def cancel(self) -> bool:
        """End the task at its next wait; False when it has ended, or is being ended already."""
        scope = self.host._background.get(self.task.id)
        if scope is None or scope.cancel_called:
            return False
        scope.cancel()
        return True


class _Factory:
    """What ``kcoro_host("script")`` returns."""

    name = "script"

    def poller(self) -> tuple[str, str]:
        """What it waits for descriptors with, and why."""
        return "none", "its descriptors are those of the script"

    def run(
        self,
        main: Callable[..., Awaitable[Any]],
        *args: Any,
        clock: None = None,
        strict_checkpoints: bool | None = None,
        seed: int = 0,
    ) -> Any:
        """Run ``main(*args)`` under ``seed``; see ``ScriptHost.run``. The clock is its own: ``clock`` must be None."""
        if clock is not None:
            raise ValueError("the script host has a virtual clock of its own; leave clock out")
        strict = settings().strict_checkpoints if strict_checkpoints is None else strict_checkpoints
        return ScriptHost(seed=seed, quantum=0 if strict else settings().checkpoint_budget).run(main, *args)


factory: Final = _Factory()
"""The script host for whoever registers hosts."""
run = factory.run
"""Run a program on a new script host; what ``kcoro_core.run(host="script")`` calls."""
