# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Scopes: one nursery, one token and the results of the children (rows K4, K7).

Rule 1: leaving the block waits for every child; none outlives it.
Rule 2: the first failure sets the token and cancels the siblings; all errors leave as one ExceptionGroup.
Rule 3: nothing here swallows an error; a cancelled scope is left quietly, as a cancelled nursery is.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .cancel import CancelToken
from .errors import OperationCancelled, WouldBlock
from .hosts.port import Handle, Host, Launcher, Nursery, current_host
from .parking import HomeBound, cancelled_error, check_function, check_timeout, park, result, token_is_set
from .reference.waiter import Operation

__all__ = ["Scope", "Task", "open_scope"]

T = TypeVar("T")
_ids = itertools.count(1)
_PENDING = object()


class Task(HomeBound, Generic[T]):
    """A child of a scope: whether it has ended, and how."""

    __slots__ = ("__weakref__", "_error", "_value", "_waiting", "id", "name")

    def __init__(self, name: str, host: Host) -> None:
        super().__init__()
        self._home = host
        self.id = next(_ids)
        self.name = name
        self._value: Any = _PENDING
        self._error: BaseException | None = None
        self._waiting: dict[_Waiting, None] | None = None  # most are never waited for by themselves

    def __repr__(self) -> str:
        state = "running" if not self.done else "failed" if self._error is not None else "done"
        return f"<Task {self.id} {self.name!r} {state}>"

    @property
    def done(self) -> bool:
        """Whether it has ended: returned, raised, or was cancelled."""
        return self._value is not _PENDING or self._error is not None

    @property
    def error(self) -> BaseException | None:
        """What it raised; None while it runs, and when it returned."""
        return self._error

    def result(self) -> T:
        """What it returned.

        :raises WouldBlock: it is still running.
        :raises OperationCancelled: it was cancelled.
        :raises Exception: what it raised itself.
        """
        if not self.done:
            raise WouldBlock(f"{self!r} has not ended")
        if isinstance(self._error, Exception):
            raise self._error
        if self._error is not None:
            raise OperationCancelled(f"{self!r} was cancelled")
        return self._value  # type: ignore[no-any-return]

    async def wait(self, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """Wait until it has ended, however, for at most ``timeout`` seconds; use ``result()`` to see how.

        :raises WouldBlock: ``timeout`` is 0 and it is still running.
        :raises DeadlineExceeded: it did not end in time; it goes on.
        :raises OperationCancelled: ``cancel`` is set; it goes on.
        """
        limit = check_timeout(timeout)
        host = current_host()
        self._enter(host)
        if cancel is not None and token_is_set(cancel, host):
            raise cancelled_error(cancel, f"waiting for {self!r}")
        await host.cancel_point()
        if self.done or limit == 0:
            await host.spend()
            if not self.done:
                raise WouldBlock(f"{self!r} has not ended")
            return
        op = Operation(host)
        handle = self._on_done(op.complete)
        await park(host, op, handle.cancel, limit, cancel)
        await result(host, op, cancel, f"waiting for {self!r}")

    def _on_done(self, fn: Callable[[], object]) -> Handle:
        waiting = _Waiting(self, fn)
        if self._waiting is None:
            self._waiting = {}
        self._waiting[waiting] = None
        return waiting

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._value, self._error = value, error
        waiting, self._waiting = self._waiting, None
        for w in waiting or ():
            w.fn()


class _Waiting:
    """Somebody who wants to know of the end of a task."""

    __slots__ = ("fn", "task")

    def __init__(self, task: Task[Any], fn: Callable[[], object]) -> None:
        self.task = task
        self.fn = fn

    def cancel(self) -> bool:
        """Do not tell any more."""
        waiting = self.task._waiting
        return waiting is not None and waiting.pop(self, self) is None


class Scope(HomeBound):
    """Children that live and end together; made by ``open_scope``."""

    def __init__(self, parent: CancelToken | None = None) -> None:
        super().__init__()
        self.token = CancelToken(parent)
        self._running = 0  # children of the method launch that have not ended; the host's launcher counts its own
        self._launcher: Launcher | None = None
        self._idle: dict[Operation, None] = {}
        self._manager: AbstractAsyncContextManager[Nursery] | None = None
        self._nursery: Nursery | None = None
        self._subscription: Handle | None = None
        self._ended = False

    def __repr__(self) -> str:
        return f"<Scope with {self._left()} running{' cancelled' if self.token.is_set() else ''}>"

    async def __aenter__(self) -> Self:
        if self._manager is not None:
            raise ValueError("a scope is opened once; call open_scope() again for another")
        host = current_host()
        self.token._enter(host)  # before a nursery is opened that would have to be left again
        self._home = host
        self._manager = host.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._subscription = self.token.on_trigger(self._nursery.cancel_scope.cancel)
        self._launcher = None if host.launcher is None else host.launcher(self, self._nursery, self._idle)
        if self._launcher is not None:
            self.launch = self._launcher  # type: ignore[method-assign]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._manager is not None
        assert self._subscription is not None
        try:
            try:
                leaving = self._manager.__aexit__(kind, error, trace)
            except MemoryError as failed:  # once more, with that to raise: nobody else leaves the nursery
                leaving = self._manager.__aexit__(MemoryError, failed, failed.__traceback__)
            return await leaving
        finally:
            self._ended = True
            self._subscription.cancel()
            self.__dict__.pop("launch", None)
            self._launcher = None

    def launch(self, fn: Callable[..., Awaitable[T]], /, *args: Any, name: str | None = None) -> Task[T]:
        """Start ``fn(*args)`` as a child; returns its handle at once.

        :raises OperationCancelled: the scope is cancelled; nothing was started.
        :raises ValueError: the scope is not open, or has been left; or ``fn`` is no function.
        """
        if self._nursery is None or self._ended:
            raise ValueError("this scope is not open: use it inside its `async with` block")
        check_function(fn, "launch")
        host = current_host()
        self._enter(host)
        if self.token.is_set():
            raise cancelled_error(self.token, "launch")
        task: Task[T] = Task(name or str(getattr(fn, "__qualname__", fn)), host)
        self._running += 1
        self._nursery.start_soon(self._run, task, fn, args, name=task.name)
        return task

    def start_soon(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: str | None = None) -> None:
        """``launch`` for those who do not need the handle, in the form of a trio nursery."""
        self.launch(fn, *args, name=name)

    async def _run(self, task: Task[T], fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = await fn(*args)
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._running -= 1
            self._has_ended(task, value, error)

    def _has_ended(self, task: Task[T], value: Any, error: BaseException | None) -> None:
        task._end(value, error)
        if isinstance(error, Exception):
            self._fail(error)
        if not self._left():
            for op in list(self._idle):
                op.complete()

    def _left(self) -> int:
        """How many children have not ended."""
        return self._running + (0 if self._launcher is None else self._launcher.running)

    def _fail(self, error: Exception) -> None:
        """Cancel the siblings; what callbacks of the token raise leaves together with the error, not instead of it."""
        try:
            self.token.trigger(error)
        except BaseExceptionGroup as failed:
            raise BaseExceptionGroup(
                "a child failed, and so did callbacks of its scope's token", [error, *failed.exceptions]
            ) from None

    async def wait_all(self, timeout: float | None = None) -> None:
        """Wait until no child is running, for at most ``timeout`` seconds.

        A failed child ends this wait with the host's cancellation, and the error leaves the block.

        :raises WouldBlock: ``timeout`` is 0 and some are running.
        :raises DeadlineExceeded: some did not end in time; they go on.
        """
        limit = check_timeout(timeout)
        host = current_host()
        self._enter(host)
        await host.cancel_point()
        if not self._left() or limit == 0:
            await host.spend()
            if left := self._left():
                raise WouldBlock(f"{left} children are running")
            return
        op = Operation(host)
        self._idle[op] = None
        await park(host, op, lambda: self._idle.pop(op, None), limit, None)
        await result(host, op, None, "wait_all")

    def cancel(self, reason: object = None) -> None:
        """Set the token and cancel every child and the block itself; nothing can be launched any more."""
        self.token.trigger(reason)


def open_scope(token: CancelToken | None = None) -> Scope:
    """A scope for ``async with``; it is cancelled when ``token`` is."""
    return Scope(token)
