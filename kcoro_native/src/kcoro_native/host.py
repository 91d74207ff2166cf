# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native host: tasks that a loop in C steps, on a clock and descriptors of its own.

C does what is done for each step, wait and child (``pysrc/loop.h``). Here is what a run does once, or seldom.

Rule 1: a run that cannot go on is cancelled once, and what is left after that is closed.
Rule 2: however a run ends, all its coroutines have ended, and what it took of the process (signals) is given back.
Rule 3: Ctrl-C leaves a task of the program at once, and everything else of kcoro never: then it is raised in the main
task where that waits next.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Final

import kcoro_core
from kcoro_core.config import settings
from kcoro_core.engine import SchedulerStats
from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import CancelScope, Handle, Host, Nursery, find_host, here
from kcoro_core.hosts.scopes import Cancelled
from kcoro_core.hosts.script_task import Deadlock
from kcoro_core.hosts.seen import TaskSeen, name_of, parent_of
from kcoro_core.hosts.signals import catch
from kcoro_core.hosts.stacks import running_place, shown, standing
from kcoro_core.unraisable import report_unraisable

from . import _native
from .clocks import Clock, Waiting
from .scopes import NativeNursery, NativeScope
from .threads import idle_threads

__all__ = ["NativeHost", "factory", "run"]

_OURS: Final = (str(Path(kcoro_core.__file__).parent), str(Path(__file__).parent))
# Waits that say themselves what they are; of the others the frames do.
_TOLD: Final = (_native.Exchange, _native.Sleep)
_OWN_THREADS: Final = Path("/proc/self/task")


class NativeHost(_native.Loop, Host):
    """One run of the native loop; make it, call ``run`` once.

    ``quantum`` and ``seed`` as for every host. ``clock`` is None for real time, or one of trio's kind; a clock with a
    finite ``autojump_threshold`` (0 is best) jumps when every task waits.
    """

    name: ClassVar[str] = "native"

    def __init__(self, *, quantum: int = 64, clock: Clock | None = None, seed: int | None = None) -> None:
        Host.__init__(self, quantum=quantum, seed=seed)
        if clock is not None:
            clock.start_clock()
            self._use_clock(clock.current_time, Waiting(clock).idle)
        self._slice = settings().loop_slice
        self._root = NativeScope(self)
        self._background: dict[object, NativeScope] = {}
        self._signals = 0
        self._result: Any = None
        self._error: BaseException | None = None
        self._generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()

    # -- the run

    def run(self, main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run ``main(*args)`` to its end and return what it returned; its error leaves unchanged.

        :raises Deadlock: nothing can go on; everything was cancelled and has ended.
        :raises KeyboardInterrupt: Ctrl-C, when the main task did not take it.
        :raises RuntimeError: this host has run before; make another one.
        :raises WrongLoop: a loop is running in this thread already.
        """
        if self.ended:
            raise RuntimeError("a NativeHost runs once; make another one")
        if find_host() is not None:
            raise WrongLoop("a loop is running in this thread already; await what you need, or use another thread")
        here.host = self
        _running.add(self)
        try:
            with _Interrupts(self), _Generators(self):
                return self._to_the_end(main, args)
        finally:
            self.ended = self._ended = True
            _running.discard(self)
            here.host = None

    def _to_the_end(self, main: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        failure: RuntimeError | None = None
        try:
            self._set_main(self.start_task(main, args, name_of(main), self._root, self._main_ended))
            while not self._drive():
                if failure is not None:
                    break
                failure = Deadlock(self.lines())
                self._root.cancel()
                self._finish()
        finally:
            self._give_up_the_rest()
        try:
            if failure is not None:
                if self._error is not None and not isinstance(self._error, Cancelled):
                    failure.add_note(f"while it was being ended, main raised {self._error!r}")
                raise failure
            if self._error is not None:
                raise self._error
            if (interrupt := self._take_interrupt()) is not None:
                raise interrupt
            return self._result
        finally:
            self._error = self._result = None

    def _main_ended(self, result: Any, error: BaseException | None) -> None:
        self._result, self._error = result, error
        self._set_main(None)
        self._finish()

    def _finish(self) -> None:
        """Cancel the background tasks, and those that are spawned from now on."""
        self._finishing = True
        for scope in list(self._background.values()):
            scope.cancel()
        if self._generators:
            self.spawn(self._close_generators)

    def _give_up_the_rest(self) -> None:
        """Close what is left of a run that was given up, the youngest task first; ``finally`` blocks run."""
        for task in self._close_all():
            assert task.error is not None
            report_unraisable(task.error, f"closing task {task.name!r} of a run that was given up")
        while self._run_calls():  # whoever called in at the last moment is told now, by what finds the run ended
            pass

    def tasks_seen(self) -> list[TaskSeen]:
        return list(map(_seen, self.tasks()))

    def scheduler_stats(self) -> SchedulerStats:
        return self.stats()

    def lines(self) -> tuple[str, ...]:
        """One line for each task that has not ended, the oldest first: what it waits for, and where."""
        return tuple(seen.waiting() for seen in self.tasks_seen())

    def _is_stuck(self) -> bool:
        """Nothing runs, no timer is set and no descriptor is watched: whether nobody else could wake a task either."""
        return not self._signals and _is_alone()

    # -- structure

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return NativeNursery(self)

    def open_cancel_scope(self, *, shield: bool = False) -> CancelScope:
        return NativeScope(self, shield=shield)

    def spawn(self, fn: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None) -> Handle:
        scope = NativeScope(self)

        def done(result: Any, error: BaseException | None) -> None:
            self._background.pop(task, None)
            if error is not None and not isinstance(error, Cancelled):
                report_unraisable(error, f"background task {task.name!r}")

        task = self.start_task(fn, args, name or name_of(fn), scope, done)
        try:
            self._background[task] = scope
            handle = _Background(self, task)
        except MemoryError:
            scope.cancel()  # it has not begun, and nobody else could end it
            raise
        if self._finishing:
            scope.cancel()
        return handle

    # -- generators that a task has left in the middle

    def _leave_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """The collector found one: it is closed by a task, as ``await generator.aclose()`` would."""
        self._generators.discard(generator)
        if not self.ended:
            self.call_from_thread(lambda: self.spawn(generator.aclose, name=f"closing {generator!r}"))

    async def _close_generators(self) -> None:
        with NativeScope(self, shield=True):
            while self._generators:
                await self._generators.pop().aclose()

    # -- the world

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        handle = _Caught(self)
        handle.caught = catch(signum, fn, self.call_from_thread)
        self._signals += 1
        return handle


class _Background:
    """What ``spawn`` gives back."""

    def __init__(self, host: NativeHost, task: _native.Task) -> None:
        self.host, self.task = host, task

    def cancel(self) -> bool:
        """End the task at its next wait; False when it has ended, or is being ended already."""
        scope = self.host._background.get(self.task)
        if scope is None or scope.cancel_called:
            return False
        scope.cancel()
        return True


class _Caught:
    """One callback for a signal; while there is one, a loop in which everybody waits is not stuck."""

    caught: Handle

    def __init__(self, host: NativeHost) -> None:
        self.host = host

    def cancel(self) -> bool:
        """Stop; False when it had been stopped before."""
        stopped = self.caught.cancel()
        self.host._signals -= stopped
        return stopped


class _Interrupts:
    """While a run lasts, in the main thread: Ctrl-C goes to its tasks, and every signal wakes the loop."""

    def __init__(self, host: NativeHost) -> None:
        self.host = host
        self.is_main = threading.current_thread() is threading.main_thread()
        self.takes_over = self.is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self.handler = self._arrived  # the same object each time
        self.before = -1

    def __enter__(self) -> None:
        if not self.is_main:
            return
        self.woken, self.wakes = os.pipe()
        try:
            os.set_blocking(self.wakes, False)
            os.set_blocking(self.woken, False)
            self.host._watch_signals(self.woken)
            self.before = signal.set_wakeup_fd(self.wakes, warn_on_full_buffer=False)
            if self.takes_over:
                signal.signal(signal.SIGINT, self.handler)
        except BaseException:
            self._give_back()
            raise

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self.is_main:
            self._give_back()

    def _give_back(self) -> None:
        """The process is as before; nothing of this may be left out because something before it fails."""
        try:
            if self.takes_over and signal.getsignal(signal.SIGINT) is self.handler:
                signal.signal(signal.SIGINT, signal.default_int_handler)
        finally:
            try:
                signal.set_wakeup_fd(self.before)
            finally:
                self.host._watch_signals(-1)
                os.close(self.wakes)
                os.close(self.woken)

    def _arrived(self, signum: int, frame: FrameType | None) -> None:
        if self.host.running is not None and frame is not None and not frame.f_code.co_filename.startswith(_OURS):
            raise KeyboardInterrupt
        self.host._interrupt(KeyboardInterrupt())


class _Generators:
    """While a run lasts: asynchronous generators of its tasks are closed in it."""

    def __init__(self, host: NativeHost) -> None:
        self.host = host

    def __enter__(self) -> None:
        self.before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self.host._generators.add, finalizer=self.host._leave_generator)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        sys.set_asyncgen_hooks(*self.before)


def _seen(task: _native.Task) -> TaskSeen:
    state, parent = task.state.value, parent_of(task)
    if state == "running":
        return TaskSeen(task.id, task.name, state, None, running_place(_OURS), parent)
    waits, place = standing(task.coro, _OURS)
    if state != "parked":
        waits = None
    elif isinstance(task.wait, _TOLD):
        waits = f"in {shown(task.wait)}"
    elif task.why is not None:
        waits = task.why()
    return TaskSeen(task.id, task.name, state, waits, place, parent)


def _is_alone() -> bool:
    """Whether this process has no other thread, of Python or not, that could call in."""
    known = 1 + idle_threads()
    if threading.active_count() > known:
        return False
    return not _OWN_THREADS.is_dir() or len(list(_OWN_THREADS.iterdir())) <= known


# The hosts whose runs are under way, in any thread.
_running: set[NativeHost] = set()


def _forked() -> None:
    """In a child that was forked inside a run: nothing of the loop may be used, its descriptors are the parent's."""
    for host in _running:
        host._forked = host._cancelling = True


os.register_at_fork(after_in_child=_forked)


class _Factory:
    """What ``kcoro_host("native")`` returns."""

    name = "native"

    def poller(self) -> tuple[str, str]:
        """What a new loop waits for descriptors with, and why.

        :raises OSError: none can be made, and so no run.
        """
        return _native.Loop()._poller, f"the first of {', '.join(_native.compiled()['pollers'])} that this system gives"

    def run(
        self,
        main: Callable[..., Awaitable[Any]],
        *args: Any,
        clock: Clock | None = None,
        strict_checkpoints: bool | None = None,
    ) -> Any:
        """Run ``main`` on a new native loop; operations that complete at once share a budget unless strict is asked."""
        strict = settings().strict_checkpoints if strict_checkpoints is None else strict_checkpoints
        return NativeHost(quantum=0 if strict else settings().checkpoint_budget, clock=clock).run(main, *args)


factory: Final = _Factory()
"""The native host for whoever registers hosts."""
run = factory.run
"""Run a program on a new native loop; what ``kcoro_core.run(host="native")`` calls."""
