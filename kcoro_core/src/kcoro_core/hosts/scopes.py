# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cancel scopes and nurseries with trio's meaning, for a host that steps its tasks itself and has none of its own.

Rule 1: cancelling is a level, not an edge: inside a cancelled scope every wait raises Cancelled, however often.
Rule 2: of nested cancelled scopes the outermost one that is not shielded off catches; nobody else swallows Cancelled.
Rule 3: no task outlives its nursery; what children and the block itself raised leaves together, as ExceptionGroup.

Which tasks wait, and how they are woken, is the business of the ``Owner``; nothing here knows a loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = ["Cancelled", "Owner", "Scope", "ScopedTask", "TaskNursery"]


class Cancelled(BaseException):
    """The host's own cancellation; let it pass, and the scope that was cancelled will catch it.

    A BaseException, so that ``except Exception`` does not stop it by accident.
    """

    def __init__(self) -> None:
        super().__init__("the task was cancelled; the cancel scope that asked for it catches this")


class ScopedTask(Protocol):
    """A task as scopes see it: it is in exactly one innermost scope."""

    scope: Scope


class Owner(Protocol):
    """What scopes and nurseries need from the host that owns them."""

    def current(self) -> ScopedTask:
        """The running task."""
        ...

    def deliver_cancel(self) -> None:
        """A scope has been cancelled: interrupt every waiting task that is now inside a cancelled scope."""
        ...

    def start_task(
        self,
        fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        name: str | None,
        scope: Scope,
        done: Callable[[Any, BaseException | None], object],
    ) -> object:
        """Run ``fn(*args)`` as a task inside ``scope``; ``done(result, error)`` is called at its end."""
        ...

    async def block(self, why: Callable[[], str]) -> None:
        """Park the running task until ``wake``, whatever is cancelled; ``why`` is asked when a dump is made."""
        ...

    def wake(self, task: ScopedTask) -> None:
        """End the ``block`` of a task."""
        ...

    async def pause(self) -> None:
        """Let other tasks run, whatever is cancelled."""
        ...


class Scope:
    """A block that ``cancel`` ends; ``cancelled_caught`` tells afterwards whether that cut it short.

    ``shield`` keeps the cancellation of the scopes around it out.
    """

    __slots__ = ("_owner", "_task", "cancel_called", "cancelled_caught", "parent", "shield")

    def __init__(self, owner: Owner, *, shield: bool = False, parent: Scope | None = None) -> None:
        self._owner = owner
        self._task: ScopedTask | None = None
        self.parent = parent
        self.shield = shield
        self.cancel_called = False
        self.cancelled_caught = False

    def cancel(self) -> None:
        """Cancel everything inside, now and later; may be repeated, and called before the scope is entered."""
        if not self.cancel_called:
            self.cancel_called = True
            self._owner.deliver_cancel()

    def in_force(self) -> bool:
        """Whether a wait inside this scope raises Cancelled now."""
        scope: Scope | None = self
        while scope is not None:
            if scope.cancel_called:
                return True
            if scope.shield:
                return False
            scope = scope.parent
        return False

    def __enter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a cancel scope can be entered only once; make another one")
        self._task = task = self._owner.current()
        self.parent = task.scope
        task.scope = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return settle(error, self.close(error))

    def close(self, error: BaseException | None) -> BaseException | None:
        """Leave the scope; returns what remains of ``error`` once this scope has caught its own cancellation.

        :raises RuntimeError: it is not the innermost scope of the task that entered it; nothing was left.
        """
        task = self._task
        if task is None or task.scope is not self:
            raise RuntimeError("cancel scopes must be left in the task that entered them, the innermost first")
        assert self.parent is not None
        task.scope = self.parent
        if error is None or not self._catches():
            return error
        if isinstance(error, Cancelled):
            self.cancelled_caught = True
            return None
        if isinstance(error, BaseExceptionGroup):
            caught, rest = error.split(Cancelled)
            self.cancelled_caught = caught is not None
            return rest if caught is not None else error
        return error

    def _catches(self) -> bool:
        """Cancelled, and no scope further out wants the same tasks to end."""
        return self.cancel_called and (self.shield or self.parent is None or not self.parent.in_force())


def settle(error: BaseException | None, remains: BaseException | None) -> bool:
    """What ``__exit__`` answers: True to swallow ``error``, False to let it go on; else ``remains`` is raised."""
    if remains is None:
        return True
    if remains is error:
        return False
    context = remains.__context__
    try:
        raise remains
    finally:
        # Raising inside __exit__ would chain the whole old group to the part of it that remains.
        remains.__context__ = context
        del remains, error, context


class TaskNursery:
    """Children that live inside one ``async with`` block."""

    def __init__(self, owner: Owner) -> None:
        self.cancel_scope = Scope(owner)
        self._owner = owner
        self._children = 0
        self._errors: list[BaseException] = []
        self._waiter: ScopedTask | None = None
        self._closed = False

    def start_soon(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: str | None = None) -> None:
        """Run ``fn(*args)`` as a child; it takes its first step soon.

        :raises RuntimeError: the block has been left already.
        """
        if self._closed:
            raise RuntimeError("this nursery is closed: start children while its async with block is open")
        self._children += 1
        self._owner.start_task(fn, args, name, self.cancel_scope, self._child_ended)

    async def __aenter__(self) -> Self:
        self.cancel_scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            if error is not None:
                self._fail(error)
            await self._join()
        except MemoryError as failed:  # there was none for a moment; no child outlives the block for that
            await self._give_up(failed)
        self._closed = True
        try:
            remains = self._combined()
        except MemoryError as failed:
            remains = failed
        return settle(error, self.cancel_scope.close(remains))

    async def _give_up(self, error: BaseException) -> None:
        self._fail(error)
        await self._join()

    async def _join(self) -> None:
        if not self._children:
            await self._owner.pause()
        self._waiter = self._owner.current()
        while self._children:
            await self._owner.block(lambda: f"waits for {self._children} children of its nursery to end")

    def _child_ended(self, result: Any, error: BaseException | None) -> None:
        self._children -= 1
        if error is not None:
            self._fail(error)
        if self._children == 0 and self._waiter is not None:
            self._owner.wake(self._waiter)

    def _fail(self, error: BaseException) -> None:
        self._errors.append(error)
        self.cancel_scope.cancel()

    def _combined(self) -> BaseException | None:
        """What leaves the block, before its own scope has caught anything."""
        errors, self._errors = self._errors, []
        if all(isinstance(error, Cancelled) for error in errors):
            return errors[0] if errors else None
        return BaseExceptionGroup("errors in a nursery", errors)
