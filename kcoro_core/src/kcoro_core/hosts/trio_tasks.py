# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Tasks of a run of trio: those of the background, and what all of them do.

Those of the background live at most as long as the run, and their failures end nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import trio

from ..unraisable import report_unraisable
from .seen import Numbers, TaskSeen
from .stacks import frames, running_place, standing

__all__ = ["SystemTask", "tasks_seen"]

_TRIO: Final = str(Path(trio.__file__).parent)


class SystemTask:
    """A background task of the run; a failure in it is reported, and never ends the run."""

    def __init__(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...], name: str | None) -> None:
        self._scope = trio.CancelScope()
        self._done = False
        trio.lowlevel.spawn_system_task(self._run, fn, args, name=name or getattr(fn, "__qualname__", repr(fn)))

    async def _run(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        if self._done:
            return  # cancelled before its first step: what it would have touched, a descriptor say, may be gone
        with self._scope:
            try:
                await fn(*args)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                report_unraisable(error, f"background task {fn!r}")
        self._done = True

    def cancel(self) -> bool:
        """End it at its next checkpoint; False when it has ended already."""
        if self._done:
            return False
        self._done = True
        self._scope.cancel()
        return True


def tasks_seen(numbers: Numbers, ours: str) -> list[TaskSeen]:
    """Every task of the run, but for trio's own and the one named ``ours``; a parent before its children."""
    tasks = [task for task in _tasks() if not _is_trios_own(task) and task.name != ours]
    there = {task: numbers.of(task) for task in tasks}
    return [_seen(task, number, there) for task, number in there.items()]


def _tasks() -> Iterator[trio.lowlevel.Task]:
    """Those of the innermost nursery first: it is main's, where it is the root that has several."""
    root = trio.lowlevel.current_root_task()
    left = [] if root is None else [root]
    while left:
        task = left.pop()
        yield task
        for nursery in task.child_nurseries:
            left.extend(sorted(nursery.child_tasks, key=lambda child: child._counter, reverse=True))


def _is_trios_own(task: trio.lowlevel.Task) -> bool:
    """The root, and what runs the calls of other threads; as for main, the root is the parent of all others' root."""
    return task.parent_nursery is None or task.name.startswith("<TrioToken.")


def _seen(task: trio.lowlevel.Task, number: int, there: dict[trio.lowlevel.Task, int]) -> TaskSeen:
    assert task.parent_nursery is not None
    parent = there.get(task.parent_nursery.parent_task)
    if task is trio.lowlevel.current_task():
        return TaskSeen(number, task.name, "running", None, running_place((_TRIO,)), parent)
    waits, place = standing(task.coro, (_TRIO,))
    if any(frame.f_code.co_qualname == "NurseryManager.__aexit__" for frame in frames(task.coro)):
        children = sum(len(nursery.child_tasks) for nursery in task.child_nurseries[-1:])
        waits = f"waits for {children} children of its nursery to end"
    # No public way says it: a task that waits has what would abort its wait.
    if getattr(task, "_abort_func", task) is None:
        return TaskSeen(number, task.name, "ready", None, place, parent)
    return TaskSeen(number, task.name, "parked", waits, place, parent)
