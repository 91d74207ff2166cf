# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Dumps of tasks: who there is in the run of this thread, and what each waits for (row C8).

A dump is made of what hosts and engines know anyway; nobody pays for it before it is asked for, and looking wakes and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import asdict, frozen

from .engine import SchedulerStats
from .hosts.port import current_host
from .hosts.seen import TaskSeen

__all__ = ["TaskDump", "task_dump"]


@frozen
class TaskDump:
    """The tasks of one run that had not ended when it was made, the oldest first; its text has a line for each.

    Each task stands in the text below the one in whose nursery it lives. ``scheduler`` has the counters of the
    scheduler that steps them, a line of the text; None where that is none of kcoro's, as under trio.
    """

    host: str
    tasks: tuple[TaskSeen, ...]
    scheduler: SchedulerStats | None = None

    def __str__(self) -> str:
        counters = [] if self.scheduler is None else [f"  {self.scheduler}"]
        lines = [f"{'  ' * depth}{seen}" for depth, seen in self._nested()]
        return "\n".join([f"{len(self.tasks)} tasks on {self.host}", *counters, *lines])

    def as_data(self) -> dict[str, Any]:
        """The same of dicts, lists, texts and numbers, as ``json.dumps`` takes it; what is not known is None."""
        counters = None if self.scheduler is None else asdict(self.scheduler)
        return {"host": self.host, "scheduler": counters, "tasks": [_as_data(seen) for seen in self.tasks]}

    def _nested(self) -> Iterator[tuple[int, TaskSeen]]:
        children: dict[int | None, list[TaskSeen]] = {}
        for seen in self.tasks:
            children.setdefault(seen.parent, []).append(seen)
        left = [(1, seen) for seen in reversed(children.get(None, []))]
        while left:
            depth, seen = left.pop()
            yield depth, seen
            left.extend((depth + 1, child) for child in reversed(children.get(seen.number, [])))


def _as_data(seen: TaskSeen) -> dict[str, Any]:
    place = seen.place
    return {
        "number": seen.number,
        "name": seen.name,
        "state": seen.state,
        "waits": seen.waits,
        "place": None if place is None else place._asdict(),
        "parent": seen.parent,
    }


def task_dump() -> TaskDump:
    """Every task of the loop that runs in this thread, with what it waits for and where.

    Call it in a task, or in a callback of the loop; from another thread through ``portal()``.

    :raises WrongLoop: no loop that kcoro knows is running here.
    :raises NotSupported: the host, which is a plugin, has no list of its tasks.
    """
    host = current_host()
    return TaskDump(host.name, tuple(host.tasks_seen()), host.scheduler_stats())
