# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a host tells of its tasks to people: who there is, in which scope, what each waits for, and where.

Nothing here runs, wakes or keeps a task.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from attrs import field, frozen

from .stacks import Place, shown

__all__ = ["CoroutineSeen", "Numbers", "TaskSeen", "name_of", "parent_of"]


def _text(name: object) -> str:
    return name if isinstance(name, str) else shown(name)


@frozen
class TaskSeen:
    """One task that had not ended when somebody looked.

    ``state`` is ``"running"``, ``"ready"`` (its turn will come) or ``"parked"`` (somebody has to wake it). ``waits`` is
    what it waits for, as in ``"in recv() of <Channel ...>"``, and ``place`` the line of the program that does; None
    where that is not known. ``parent`` is the number of the task in whose nursery it lives; None of main and of the
    background.
    """

    number: int
    name: str = field(converter=_text)  # some hosts take whatever a program gives
    state: str
    waits: str | None
    place: Place | None
    parent: int | None

    def __str__(self) -> str:
        waits = "" if self.waits is None else f" {_waiting(self.waits)},"
        return f"task {self.number} {self.name!r} {self.state},{waits} {self._where()}"

    def waiting(self) -> str:
        """The line of a report in which everybody waits, so that the state need not be told."""
        return f"  task {self.number} {self.name!r} {_waiting(self.waits or 'for its turn')}, {self._where()}"

    def _where(self) -> str:
        return str(self.place or "called by the host itself")


@frozen
class CoroutineSeen:
    """A ``Coroutine`` that had begun and not ended when somebody looked; its numbers are those of its engine.

    ``state`` is the name of its ``CoroutineState`` in small letters, and ``place`` the line of the program where it is;
    None where that cannot be known, as of one that belongs to another thread on the native engine.
    """

    number: int
    name: str
    state: str
    place: Place | None

    def __str__(self) -> str:
        where = "" if self.place is None else f", {self.place}"
        return f"coroutine {self.number} {self.name!r} {self.state}{where}"


def _waiting(what: str) -> str:
    return what if what.startswith("waits ") else f"waits {what}"


def parent_of(task: Any) -> int | None:
    """The number of the task in whose scope ``task`` was started, by the scopes around it; None: in nobody's."""
    scope = task.scope
    while scope is not None:
        if scope._task is not None and scope._task is not task:
            return scope._task.id  # type: ignore[no-any-return]
        scope = scope.parent
    return None


class Numbers:
    """Numbers for tasks of a loop that gives them none: from 1, in the order in which they are first seen."""

    def __init__(self) -> None:
        self._given: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._last = 0

    def of(self, task: object) -> int:
        """The number of a task, the same each time."""
        number = self._given.get(task)
        if number is None:
            self._last = number = self._last + 1
            self._given[task] = number
        return number


def name_of(fn: Callable[..., object]) -> str:
    """The name of a task that nobody has named: that of its function."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__qualname__", type(fn).__name__)
