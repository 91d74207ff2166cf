# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Dumps of tasks: who there is in the run of this thread, and what each waits for (row C8).

A dump is made of what hosts and engines know anyway; nobody pays for it before it is asked for, and looking wakes and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from . import plugins
from .engine import SchedulerStats
from .hosts.port import current_host
from .hosts.seen import CoroutineSeen, TaskSeen
from .hosts.stacks import calling_place, running_place

if TYPE_CHECKING:
    from .coroutine import Coroutine
    from .engine import CoroutineFactory

__all__ = ["TaskDump", "task_dump"]


@frozen
class TaskDump:
    """The tasks of one run that had not ended when it was made, the oldest first; its text has a line for each.

    Each task stands in the text below the one in whose nursery it lives. ``scheduler`` has the counters of the
    scheduler that steps them, a line of the text; None where that is none of kcoro's, as under trio. ``coroutines`` are
    all of the process that have begun and not ended, each a line behind those of the tasks.
    """

    host: str
    tasks: tuple[TaskSeen, ...]
    scheduler: SchedulerStats | None = None
    coroutines: tuple[CoroutineSeen, ...] = ()

    def __str__(self) -> str:
        counters = [] if self.scheduler is None else [f"  {self.scheduler}"]
        lines = [f"{'  ' * depth}{seen}" for depth, seen in self._nested()]
        others = [f"{len(self.coroutines)} coroutines"] if self.coroutines else []
        others += [f"  {seen}" for seen in self.coroutines]
        return "\n".join([f"{len(self.tasks)} tasks on {self.host}", *counters, *lines, *others])

    def as_data(self) -> dict[str, Any]:
        """The same of dicts, lists, texts and numbers, as ``json.dumps`` takes it; what is not known is None."""
        counters = None if self.scheduler is None else asdict(self.scheduler)
        return {
            "host": self.host,
            "scheduler": counters,
            "tasks": [_as_data(seen) for seen in self.tasks],
            "coroutines": [_as_data(seen) for seen in self.coroutines],
        }

    def _nested(self) -> Iterator[tuple[int, TaskSeen]]:
        children: dict[int | None, list[TaskSeen]] = {}
        there = {seen.number for seen in self.tasks}
        for seen in self.tasks:  # a task may have ended inside of a scope that it should have left, as a generator can
            children.setdefault(seen.parent if seen.parent in there else None, []).append(seen)
        left = [(1, seen) for seen in reversed(children.get(None, []))]
        while left:
            depth, seen = left.pop()
            yield depth, seen
            left.extend((depth + 1, child) for child in reversed(children.get(seen.number, [])))


def _as_data(seen: TaskSeen | CoroutineSeen) -> dict[str, Any]:
    place = seen.place
    return asdict(seen, recurse=False) | {"place": None if place is None else place._asdict()}


def task_dump() -> TaskDump:
    """Every task of the loop that runs in this thread, with what it waits for and where.

    Call it in a task, or in a callback of the loop; from another thread through ``portal()``.

    :raises WrongLoop: no loop that kcoro knows is running here.
    :raises NotSupported: the host, which is a plugin, has no list of its tasks.
    """
    host = current_host()
    coroutines = [seen for factory in plugins.switchers() for seen in _coroutines(factory)]
    return TaskDump(host.name, tuple(host.tasks_seen()), host.scheduler_stats(), tuple(coroutines))


def _coroutines(factory: CoroutineFactory) -> Iterator[CoroutineSeen]:
    """Those of an engine, the oldest first; one of a plugin may have no list of them."""
    alive: Callable[[], list[tuple[Coroutine, FrameType | None]]] = getattr(factory, "alive", list)
    for co, frame in sorted(alive(), key=lambda pair: pair[0].id):
        place = running_place() if co is factory.current() else calling_place(frame)
        yield CoroutineSeen(co.id, co.name, co.state.name.lower(), place)
