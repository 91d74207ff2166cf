# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The trio host: parks trio tasks through ``trio.lowlevel``, with every operation a full checkpoint or a budget.

One host is made for each ``trio.run``, by the first operation in it. A system task of that run owns all timers (one
deadline that is moved, instead of a cancel scope for each wait) and says, when trio ends it, that the run is over.
"""

from __future__ import annotations

import math
import select
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Final

import trio
from trio.lowlevel import Abort, cancel_shielded_checkpoint, current_task, reschedule, wait_task_rescheduled

from ..config import settings
from ..errors import WrongLoop
from ..reference.timer import TimerQueue
from ..reference.waiter import Operation
from .port import READ, CancelScope, Handle, Host, Nursery, here, register_detector
from .seen import Numbers, TaskSeen, name_of
from .signals import catch
from .trio_tasks import SystemTask, tasks_seen
from .trio_watch import Watcher, Watches

__all__ = ["TrioHost", "detect", "run"]

_TIMERS: Final = "kcoro timers"


class TrioHost(Host):
    """One run of trio, as a host; made by the first operation in it."""

    name: ClassVar[str] = "trio"

    def __init__(self, *, strict: bool) -> None:
        super().__init__(quantum=0 if strict else settings().checkpoint_budget)
        self._token = trio.lowlevel.current_trio_token()
        self._timers = TimerQueue()
        self._alarm: trio.CancelScope | None = None
        self._watches = Watches()
        self._numbers = Numbers()
        self.now = trio.lowlevel.current_clock().current_time  # type: ignore[method-assign]
        self.cancel_point = trio.lowlevel.checkpoint_if_cancelled  # type: ignore[method-assign]
        if strict:
            self.pause = cancel_shielded_checkpoint  # type: ignore[method-assign]
        trio.lowlevel.spawn_system_task(self._run_timers, name=_TIMERS)

    async def _run_timers(self) -> None:
        try:
            while True:
                due = self._timers.next_deadline()
                with trio.CancelScope(deadline=math.inf if due is None else due) as self._alarm:
                    await trio.sleep_forever()
                self._timers.expire(trio.current_time())
        finally:
            self.ended = True
            if here.host is self:
                here.host = None

    def current(self) -> object:
        try:
            return current_task()
        except RuntimeError:
            raise WrongLoop("no task is running here") from None

    def park(self, op: Operation) -> Awaitable[object]:
        op.task = current_task()
        self.credit = self.quantum
        # Handed through, not awaited here: one coroutine less for each wait.
        return wait_task_rescheduled(  # noqa: ASYNC105
            lambda _: Abort.SUCCEEDED if op.give_up() else Abort.FAILED
        )

    def unpark(self, op: Operation) -> None:
        reschedule(op.task)

    def call_at(self, deadline: float, fn: Callable[[], object]) -> Handle:
        timer = self._timers.at(deadline, fn)
        if self._alarm is not None and deadline < self._alarm.deadline:
            self._alarm.deadline = deadline
        return timer

    async def pause(self) -> None:
        self.credit = self.quantum
        await cancel_shielded_checkpoint()

    def tasks_seen(self) -> list[TaskSeen]:
        return tasks_seen(self._numbers, _TIMERS)

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return trio.open_nursery()

    def open_cancel_scope(self, *, shield: bool = False) -> CancelScope:
        return trio.CancelScope(shield=shield)

    def spawn(self, fn: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None) -> Handle:
        return SystemTask(fn, args, name)

    def fd_ready(self, fd: int, want: int) -> bool:
        poller = select.poll()
        poller.register(fd, select.POLLIN if want == READ else select.POLLOUT)
        return bool(poller.poll(0))

    def wait_fd(self, fd: int, want: int, fn: Callable[[], object]) -> Handle:
        return self._watches.watch(fd, want, fn)

    def park_watching(self, op: Operation, watch: Watcher) -> Awaitable[object]:  # type: ignore[override]
        op.task = current_task()
        self.credit = self.quantum
        return watch.watch.lead(self, op)

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        return catch(signum, fn, self._token.run_sync_soon)

    def call_from_thread(self, fn: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(fn)
        except trio.RunFinishedError:
            raise WrongLoop("this run of trio has ended") from None


def detect() -> TrioHost | None:
    """The host for a run of trio that kcoro did not start: strict, as trio users expect, unless configured."""
    if not trio.lowlevel.in_trio_run():
        return None
    strict = settings().strict_checkpoints
    return TrioHost(strict=True if strict is None else strict)


register_detector(detect)


class _Factory:
    """What ``kcoro_host("trio")`` returns."""

    name = "trio"

    def poller(self) -> tuple[str, str]:
        """What trio waits for descriptors with, and why; asked of a run, so not from inside one."""

        async def ask() -> str:
            return str(getattr(trio.lowlevel.current_statistics().io_statistics, "backend", "unknown"))

        return trio.run(ask), "trio's choice for this system"

    def run(
        self,
        main: Callable[..., Awaitable[Any]],
        *args: Any,
        clock: trio.abc.Clock | None = None,
        strict_checkpoints: bool | None = None,
    ) -> Any:
        """Run ``main`` under trio; operations that complete at once share a budget unless strict is asked for."""
        strict = settings().strict_checkpoints if strict_checkpoints is None else strict_checkpoints

        async def start() -> Any:
            here.host = TrioHost(strict=bool(strict))
            current_task().name = name_of(main)
            return await main(*args)

        return trio.run(start, clock=clock)


factory = _Factory()
run = factory.run
"""Run a program under trio; what ``kcoro_core.run`` calls when no other host is named."""
