# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cancel scopes over ``Task.cancel``: cancelling a scope interrupts the one task that has entered it.

asyncio cancels by edge, and one request may interrupt a wait that has just been won. So a scope counts the requests
that it has made (``kicks``); whoever catches one gives it back with ``uncancel``, and requests of others stay.
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

_entered: WeakKeyDictionary[asyncio.Task[Any], list[Scope]] = WeakKeyDictionary()


def scopes_of(task: asyncio.Task[Any]) -> list[Scope]:
    """The scopes that a task is in, the innermost last."""
    return _entered.get(task, [])


def in_force(task: asyncio.Task[Any]) -> bool:
    """Whether a scope around the task has been cancelled, and no shield is in between."""
    for scope in reversed(scopes_of(task)):
        if scope.cancelled:
            return True
        if scope.shield:
            return False
    return False


def shielded(task: asyncio.Task[Any]) -> bool:
    """Whether a shield keeps the cancellation of the task itself out."""
    return any(scope.shield for scope in scopes_of(task))


def give_back(task: asyncio.Task[Any]) -> None:
    """A request to cancel has been caught: take back what scopes had asked for; they ask again by ``in_force``."""
    for scope in scopes_of(task):
        while scope.kicks:
            scope.kicks -= 1
            task.uncancel()


class Scope:
    """A block of one task that can be cancelled."""

    def __init__(self, shield: bool = False) -> None:
        self.shield = shield
        self.cancelled = self.cancelled_caught = False
        self.kicks = self.before = 0
        self.task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Scope:
        task = asyncio.current_task()
        assert task is not None, "a cancel scope is entered by a task"
        self.task, self.before = task, task.cancelling()
        _entered.setdefault(task, []).append(self)
        if self.cancelled:
            asyncio.get_running_loop().call_soon(self._kick)
        return self

    def cancel(self) -> None:
        """Interrupt the block, once this callback or step is over."""
        if not self.cancelled:
            self.cancelled = True
            if self.task is not None:
                self.task.get_loop().call_soon(self._kick)

    def _kick(self) -> None:
        if self.task is not None and not self.task.done() and self in scopes_of(self.task) and in_force(self.task):
            self.kicks += 1
            self.task.cancel()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        assert self.task is not None
        task, inner = self.task, in_force(self.task) and self.cancelled
        if isinstance(error, asyncio.CancelledError):
            give_back(task)
        while self.kicks:  # a TaskGroup that leaves with errors asks again for a request it has seen (3.13)
            self.kicks -= 1
            task.uncancel()
        assert scopes_of(task).pop() is self, "cancel scopes are left innermost first"
        outside = task.cancelling() > self.before or (in_force(task) and not self.shield)
        self.cancelled_caught = inner and isinstance(error, asyncio.CancelledError) and not outside
        return self.cancelled_caught
