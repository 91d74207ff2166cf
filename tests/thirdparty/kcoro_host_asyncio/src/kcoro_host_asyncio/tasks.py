# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the tasks of an asyncio loop do, for dumps: asyncio knows their names and frames, and the host their parents."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from kcoro_core.hosts.seen import Numbers, TaskSeen
from kcoro_core.hosts.stacks import running_place, standing

_LIBRARIES = (str(Path(asyncio.__file__).parent), str(Path(__file__).parent))


class Family:
    """Numbers and parents of the tasks of one loop."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self.parents: WeakKeyDictionary[asyncio.Task[Any], asyncio.Task[Any]] = WeakKeyDictionary()
        self.leaving: WeakKeyDictionary[asyncio.Task[Any], set[asyncio.Task[Any]]] = WeakKeyDictionary()

    def seen(self, loop: asyncio.AbstractEventLoop) -> list[TaskSeen]:
        """Every task that has not ended; those that the host did not start are told after the others."""
        there = sorted(asyncio.all_tasks(loop), key=self._age)
        return [self._one(task) for task in sorted(there, key=self.numbers.of)]

    def _age(self, task: asyncio.Task[Any]) -> tuple[int, str]:
        return len(task.get_name()), task.get_name()  # Task-2 before Task-10

    def _one(self, task: asyncio.Task[Any]) -> TaskSeen:
        number, name = self.numbers.of(task), task.get_name()
        parent = self.parents.get(task)
        above = None if parent is None else self.numbers.of(parent)
        if task is asyncio.current_task():
            return TaskSeen(number, name, "running", None, running_place(_LIBRARIES), above)
        waits, place = standing(task.get_coro(), _LIBRARIES)
        future = task._fut_waiter  # type: ignore[attr-defined]
        if future is None or future.done():
            return TaskSeen(number, name, "ready", None, place, above)
        return TaskSeen(number, name, "parked", self._children(task) or waits, place, above)

    def _children(self, task: asyncio.Task[Any]) -> str | None:
        """Of a task that leaves a nursery, how many children it waits for."""
        if task not in self.leaving:
            return None
        return f"waits for {len(self.leaving[task])} children of its nursery to end"
