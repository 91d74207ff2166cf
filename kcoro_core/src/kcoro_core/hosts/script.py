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

import contextvars
import functools
import hashlib
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..config import settings
from ..errors import WrongLoop
from ..reference.scheduler import park, pause
from ..reference.timer import TimerQueue
from ..unraisable import report_unraisable
from .port import READ, WRITE, CancelScope, Handle, Host, Nursery, find_host, here
from .scopes import Cancelled, Scope, TaskNursery
from .stacks import standing

if TYPE_CHECKING:
    from ..engine import Scheduler
    from ..reference.waiter import Operation

__all__ = ["Cancelled", "Deadlock", "ScriptHost", "StepLimit", "factory", "run"]

MAX_STEPS: Final = 10_000_000
"""How many steps a run may take before StepLimit, unless it asks for another number."""

# How long a quiet run waits for threads that the program has started, in real seconds, before it goes on without them.
_THREAD_GRACE: Final = 1.0
# How often it looks whether such a thread still lives, in real seconds.
_THREAD_POLL: Final = 0.01

# ``op.task`` of an operation that was unparked before its owner came to park.
_EARLY: Final = object()


class Deadlock(RuntimeError):
    """Every task waits, no timer is set, and nothing is scripted: nobody could ever wake anybody.

    ``tasks`` has one line for each task that waits: its number, its name, and what it waits for.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__("deadlock: every task waits, and nothing can wake any of them\n" + "\n".join(tasks))
        self.tasks = tasks


class StepLimit(RuntimeError):
    """The run took more steps than it was allowed: probably some tasks wake each other without end.

    ``tasks`` has one line for each task that had not ended.
    """

    def __init__(self, steps: int, tasks: tuple[str, ...]) -> None:
        super().__init__(
            f"the run did not end within {steps} steps; raise max_steps if that is right\n" + "\n".join(tasks)
        )
        self.tasks = tasks


class Task:
    """One task of a run: numbered in the order in which they were started."""

    __slots__ = ("coro", "handle", "id", "interrupted", "name", "op", "scope", "why")

    def __init__(self, number: int, name: str, scope: Scope) -> None:
        self.id = number
        self.name = name
        self.scope = scope
        self.op: Operation | None = None
        # The host has cancelled the wait, and the task has not run since.
        self.interrupted = False
        self.why: Callable[[], str] | None = None
        self.coro: Coroutine[Any, Any, None] | None = None
        self.handle: Any = None

    def __repr__(self) -> str:
        return f"<script task {self.id} {self.name!r}>"

    def line(self) -> str:
        """What it waits for, in one line."""
        operation, place = standing(self.coro)
        why = f"waits {operation or 'for its turn'}" if self.why is None else self.why()
        return f"  task {self.id} {self.name!r} {why}, {place}"


_current: contextvars.ContextVar[Task | None] = contextvars.ContextVar("kcoro script task", default=None)


class ScriptHost(Host):
    """One run under one seed; make it, call ``run`` once, then look at ``trace``, ``steps`` and ``trace_hash``.

    ``quantum`` as for every host. ``hurry`` is a probability from 0 to 1: with it, before each step, the clock jumps to
    the next timer although tasks could run, as it may on a busy machine; 0 keeps virtual time exact.
    """

    name: ClassVar[str] = "script"

    def __init__(
        self, *, seed: int = 0, quantum: int = 64, hurry: float = 0.0, max_steps: int = MAX_STEPS, start: float = 0.0
    ) -> None:
        super().__init__(quantum=quantum, seed=seed)
        self.seed = seed
        self.steps = 0
        self.trace: list[tuple[str, int, float]] = []
        self._clock = start
        self._hurry = hurry
        self._max_steps = max_steps
        self._timers = TimerQueue()
        self._tasks: dict[int, Task] = {}
        self._started = 0
        self._cancelling = False
        self._root = Scope(self)
        self._background: dict[int, Scope] = {}
        self._hooks: dict[int, Callable[[], object]] = {}
        self._calls: deque[Callable[[], object]] = deque()
        self._called = threading.Event()
        self._lock = threading.Lock()
        self._ready_fds: set[tuple[int, int]] = set()
        self._watches: list[_Watch] = []
        self._signals: list[_Caught] = []
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
            return _Main(self, main, args).drive()
        finally:
            with self._lock:
                self.ended = True
            here.host = None

    def trace_hash(self) -> str:
        """A short text that is equal for equal runs: every start, park, claim, wake-up and jump of the clock."""
        return hashlib.blake2b(repr(self.trace).encode(), digest_size=8).hexdigest()

    def at_step(self, step: int, fn: Callable[[], object]) -> None:
        """Call ``fn`` right before the step of that number, counted from 0; outside any task, as a timer would."""
        self._hooks[step] = fn

    def lines(self) -> tuple[str, ...]:
        """One line for each task that has not ended, the oldest first."""
        return tuple(task.line() for task in self._tasks.values())

    def _pick(self, n: int) -> int:
        return int(self.random.random() * n)

    # -- time and tasks

    def now(self) -> float:
        return self._clock

    def current(self) -> Task:
        task = _current.get()
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
        return _Background(self, task)

    def start_task(
        self,
        fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        name: str | None,
        scope: Scope,
        done: Callable[[Any, BaseException | None], object],
    ) -> Task:
        """Run ``fn(*args)`` as a task inside ``scope``; ``done(result, error)`` is called at its end."""
        self._started += 1
        task = Task(self._started, name or _name_of(fn), scope)
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
        _current.set(task)
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
        self._set_ready(fd, READ, ready)

    def set_writable(self, fd: int, ready: bool = True) -> None:
        """Say that ``fd`` is writable from now on, or is not any more."""
        self._set_ready(fd, WRITE, ready)

    def _set_ready(self, fd: int, want: int, ready: bool) -> None:
        if not ready:
            self._ready_fds.discard((fd, want))
            return
        self._ready_fds.add((fd, want))
        for watch in self._watches:
            if (watch.fd, watch.want) == (fd, want):
                self._calls.append(watch.fire)

    def fd_ready(self, fd: int, want: int) -> bool:
        return (fd, want) in self._ready_fds

    def wait_fd(self, fd: int, want: int, fn: Callable[[], object]) -> Handle:
        watch = _Watch(self, fd, want, fn)
        self._watches.append(watch)
        if self.fd_ready(fd, want):
            self._calls.append(watch.fire)
        return watch

    def send_signal(self, signum: int) -> None:
        """Let a signal arrive; every callback for it runs before the next step.

        :raises RuntimeError: nobody has asked for this signal; a real one would have had its default effect.
        """
        caught = [c for c in self._signals if c.signum == signum]
        if not caught:
            raise RuntimeError(f"signal {signum} arrived, and nobody in this run has asked for it")
        self._calls.extend(c.fire for c in caught)

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        caught = _Caught(self, signum, fn)
        self._signals.append(caught)
        return caught

    def call_from_thread(self, fn: Callable[[], object]) -> None:
        with self._lock:
            if self.ended:
                raise WrongLoop("this run of the script host has ended")
            self._calls.append(fn)
        self._called.set()


class _Main:
    """Drives one run: steps, callbacks, the clock, and the end."""

    def __init__(self, host: ScriptHost, main: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self.host = host
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        # Deadlock or StepLimit: everything is being cancelled, and this leaves the run in the end.
        self.failure: RuntimeError | None = None
        self.limit = host._max_steps
        self.threads = threading.active_count()
        host.start_task(main, args, "main" if isinstance(main, functools.partial) else None, host._root, self.ended)

    def ended(self, result: Any, error: BaseException | None) -> None:
        """The main task has ended: the background ends with it."""
        self.done, self.result, self.error = True, result, error
        for scope in list(self.host._background.values()):
            scope.cancel()

    def drive(self) -> Any:
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
        """Fire what is due; in a hurry, also what is not, as if the last step had taken that long."""
        host = self.host
        deadline = host._timers.next_deadline()
        if deadline is None:
            return
        if deadline > host._clock:
            if not host._hurry or host.random.random() >= host._hurry:
                return
            host._clock = deadline
        host.trace.append(("timers", 0, host._clock))
        host._timers.expire(host._clock)

    def _jump(self) -> bool:
        """Nothing can run: move the clock to the next deadline. False when there is none."""
        host = self.host
        deadlines = (host._timers.next_deadline(), host._scheduler.poll_handle().deadline)
        known = [deadline for deadline in deadlines if deadline is not None]
        if known:
            host._clock = max(host._clock, min(known))
        return bool(known)

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
        for scope in list(self.host._background.values()):
            scope.cancel()
        return True


class _Watch:
    """One wait for a scripted descriptor."""

    def __init__(self, host: ScriptHost, fd: int, want: int, fn: Callable[[], object]) -> None:
        self.host, self.fd, self.want, self.fn = host, fd, want, fn

    def fire(self) -> None:
        """Call back, unless it was taken back or the descriptor is not ready any more."""
        if self.host.fd_ready(self.fd, self.want) and self.cancel():
            self.fn()

    def cancel(self) -> bool:
        """Take it back; False when it has been called."""
        if self not in self.host._watches:
            return False
        self.host._watches.remove(self)
        return True


class _Caught:
    """One callback for a scripted signal."""

    def __init__(self, host: ScriptHost, signum: int, fn: Callable[[], object]) -> None:
        self.host, self.signum, self.fn = host, signum, fn

    def fire(self) -> None:
        """Call back, unless it was taken back."""
        if self in self.host._signals:
            self.fn()

    def cancel(self) -> bool:
        """Stop; False when it had been stopped before."""
        if self not in self.host._signals:
            return False
        self.host._signals.remove(self)
        return True


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


def _name_of(fn: Callable[..., object]) -> str:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__qualname__", type(fn).__name__)


class _Factory:
    """What ``kcoro_host("script")`` returns."""

    name = "script"

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
        return ScriptHost(seed=seed, quantum=1 if strict else settings().checkpoint_budget).run(main, *args)


factory: Final = _Factory()
"""The script host for whoever registers hosts."""
run = factory.run
