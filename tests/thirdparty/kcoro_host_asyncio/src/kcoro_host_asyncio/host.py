# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The port on asyncio: parking on a future, timers on ``call_at``, children in a ``TaskGroup``.

The one trap: ``set_result`` followed by ``task.cancel()`` in the same turn makes the wait raise CancelledError, and the
value would be lost. So a wait that was won swallows the request and delivers; the request is owed to the task, and made
again at its next operation or one turn later, whichever comes first. At once would be too early: a task that returns
with a request pending loses its result.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import AGAIN, READ, Handle, Host, here
from kcoro_core.hosts.seen import TaskSeen, name_of
from kcoro_core.hosts.signals import catch
from kcoro_core.reference.timer import TimerQueue
from kcoro_core.reference.waiter import Operation

from .scopes import Scope, give_back, in_force, shielded
from .tasks import Family


class AsyncioHost(Host):
    """One run of an asyncio loop."""

    name = "asyncio"

    def __init__(self, quantum: int = 64) -> None:
        super().__init__(quantum=quantum)
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time  # type: ignore[method-assign]
        self.timers = TimerQueue()
        self.alarm: asyncio.TimerHandle | None = None
        self.watches: dict[tuple[int, int], list[_Watch]] = {}
        self.background: set[asyncio.Task[Any]] = set()
        self.owed: set[asyncio.Task[Any]] = set()
        self.family = Family()
        # asyncio.run closes the generators of its loop when everything else has ended.
        self.life = self._life()
        try:
            self.life.__anext__().send(None)
        except StopIteration:
            pass

    async def _life(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.ended = True
            if here.host is self:
                here.host = None

    def current(self) -> asyncio.Task[Any]:
        try:
            task = asyncio.current_task(self.loop)
        except RuntimeError:
            task = None
        if task is None:
            raise WrongLoop("no task is running here")
        return task

    # -- waiting

    async def park(self, op: Operation) -> None:
        op.task = wait = _Wait(self.loop)
        self.credit = self.quantum
        if self._is_cancelled() and op.give_up():
            await self._raise()
        await self._wait(wait, op.give_up)

    def unpark(self, op: Operation) -> None:
        op.task.end()

    async def pause(self) -> None:
        self.credit = self.quantum
        wait = _Wait(self.loop)
        self.loop.call_soon(wait.end)
        await self._wait(wait, lambda: False)

    async def _wait(self, wait: _Wait, give_up: Callable[[], bool]) -> None:
        """Wait to the end, unless ``give_up`` agrees to a cancellation; one that comes too late is asked for again."""
        task, before, late = self.current(), self.current().cancelling(), False
        while not wait.over:
            wait.future = self.loop.create_future()
            try:
                await wait.future
            except asyncio.CancelledError:
                if (in_force(task) or not shielded(task)) and give_up():
                    raise
                give_back(task)
                while task.cancelling() > before:
                    late = True
                    task.uncancel()
        if late:
            self.owed.add(task)
            self.loop.call_soon(self._pay, task)

    def _pay(self, task: asyncio.Task[Any]) -> bool:
        """Make the request that is owed to a task; harmless when it has ended."""
        owed = task in self.owed
        self.owed.discard(task)
        return owed and task.cancel()

    def _is_cancelled(self) -> bool:
        task = self.current()
        requested = task in self.owed or task._must_cancel  # type: ignore[attr-defined]
        return in_force(task) or (requested and not shielded(task))

    async def _raise(self) -> None:
        if in_force(self.current()):
            raise asyncio.CancelledError
        self._pay(self.current())
        await asyncio.sleep(0)  # asyncio throws the request in here

    async def cancel_point(self) -> None:
        if self._is_cancelled():
            await self._raise()

    def call_at(self, deadline: float, fn: Callable[[], object]) -> Handle:
        timer = self.timers.at(deadline, fn)
        self._set_alarm()
        return timer

    def _set_alarm(self) -> None:
        due = self.timers.next_deadline()
        if self.alarm is not None:
            self.alarm.cancel()
        self.alarm = None if due is None else self.loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self.timers.expire(self.now())
        self._set_alarm()

    # -- structure

    def tasks_seen(self) -> list[TaskSeen]:
        return self.family.seen(self.loop)

    def open_nursery(self) -> _Nursery:
        return _Nursery(self.family)

    def open_cancel_scope(self, *, shield: bool = False) -> Scope:
        return Scope(shield)

    def spawn(self, fn: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None) -> Handle:
        task = self.loop.create_task(_call(fn, args), name=name or name_of(fn))
        self.family.numbers.of(task)
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return _Spawned(task)

    # -- the world

    def fd_ready(self, fd: int, want: int) -> bool:
        poller = select.poll()
        poller.register(fd, select.POLLIN if want == READ else select.POLLOUT)
        return bool(poller.poll(0))

    def wait_fd(self, fd: int, want: int, fn: Callable[[], object]) -> Handle:
        return _Watch(self, fd, want, fn)

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        return catch(signum, fn, self.loop.call_soon_threadsafe)

    def call_from_thread(self, fn: Callable[[], object]) -> None:
        try:
            self.loop.call_soon_threadsafe(fn)
        except RuntimeError:
            raise WrongLoop("this run of asyncio has ended") from None


async def _call(fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
    return await fn(*args)


class _Wait:
    """A wait that outlives the futures it is made of: a cancelled one is replaced."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[None] = loop.create_future()
        self.over = False

    def end(self) -> None:
        self.over = True
        if not self.future.done():
            self.future.set_result(None)


class _Nursery:
    """A TaskGroup inside a scope."""

    def __init__(self, family: Family) -> None:
        self.cancel_scope = Scope()
        self.group = asyncio.TaskGroup()
        self.family = family
        self.children: set[asyncio.Task[Any]] = set()

    def start_soon(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: str | None = None) -> None:
        coroutine = _call(fn, args)
        try:
            task = self.group.create_task(coroutine, name=name or name_of(fn))
        except RuntimeError:
            coroutine.close()
            raise
        self.children.add(task)
        task.add_done_callback(self.children.discard)
        assert self.cancel_scope.task is not None
        self.family.numbers.of(task)
        self.family.parents[task] = self.cancel_scope.task

    async def __aenter__(self) -> _Nursery:
        self.cancel_scope.__enter__()
        await self.group.__aenter__()
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        assert self.cancel_scope.task is not None
        self.family.leaving[self.cancel_scope.task] = self.children
        try:
            await self.group.__aexit__(kind, error, traceback)
        except BaseException as left:
            if self.cancel_scope.__exit__(type(left), left, left.__traceback__):
                return True
            raise
        finally:
            self.family.leaving.pop(asyncio.current_task(), None)  # type: ignore[call-overload]
        return self.cancel_scope.__exit__(kind, error, traceback)


class _Spawned:
    """A background task."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task

    def cancel(self) -> bool:
        return self.task.cancel()


class _Watch:
    """One wait for a descriptor; asyncio has room for one reader and one writer of each, so they share it."""

    def __init__(self, host: AsyncioHost, fd: int, want: int, fn: Callable[[], object]) -> None:
        self.host, self.key, self.fn = host, (fd, want), fn
        peers = host.watches.setdefault(self.key, [])
        peers.append(self)
        add = host.loop.add_reader if want == READ else host.loop.add_writer
        add(fd, self._fire_all)

    def _fire_all(self) -> None:
        for watch in list(self.host.watches.get(self.key, ())):
            watch.fire()

    def fire(self) -> None:
        if self in self.host.watches.get(self.key, ()) and self.fn() is not AGAIN:
            self.cancel()

    def cancel(self) -> bool:
        peers = self.host.watches.get(self.key, [])
        if self not in peers:
            return False
        peers.remove(self)
        if not peers:
            del self.host.watches[self.key]
            fd, want = self.key
            (self.host.loop.remove_reader if want == READ else self.host.loop.remove_writer)(fd)
        return True


class _Factory:
    """What ``kcoro_host("asyncio")`` returns."""

    name = "asyncio"

    def run(
        self,
        main: Callable[..., Awaitable[Any]],
        *args: Any,
        clock: None = None,
        strict_checkpoints: bool | None = None,
    ) -> Any:
        if clock is not None:
            raise ValueError("asyncio has one clock, its own; leave clock out")

        async def start() -> Any:
            here.host = host = AsyncioHost(quantum=0 if strict_checkpoints else 64)
            host.current().set_name(name_of(main))
            host.family.numbers.of(host.current())
            return await main(*args)

        return asyncio.run(start())


factory = _Factory()
