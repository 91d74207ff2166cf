# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Tasks of the script host, and the two ways in which a run of them can go wrong."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from .scopes import Scope
from .seen import TaskSeen, parent_of
from .stacks import running_place, standing

if TYPE_CHECKING:
    from ..reference.waiter import Operation

__all__ = ["Deadlock", "StepLimit", "Task", "current_task"]


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

    def seen(self) -> TaskSeen:
        """What it does, and what it waits for."""
        if self is current_task.get():
            return TaskSeen(self.id, self.name, "running", None, running_place(), parent_of(self))
        waits, place = standing(self.coro)
        if self.why is not None:
            waits = self.why()
        state = self.handle.state.value
        return TaskSeen(self.id, self.name, state, waits if state == "parked" else None, place, parent_of(self))


current_task: Final[contextvars.ContextVar[Task | None]] = contextvars.ContextVar("kcoro script task", default=None)
"""The task that is taking a step; None between two steps. A context variable, so that contexts of tasks keep apart."""
