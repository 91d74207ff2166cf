# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A crew of tasks in this process on local channels, and a small tree of files whose count is known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from attrs import Factory, define
from trio.testing import MockClock

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    RENDEZVOUS,
    CancelToken,
    Channel,
    Clause,
    Scope,
    Triggered,
    channel,
    open_scope,
    run,
)
from kcoro_core.demo.chaos import Chaos
from kcoro_core.demo.coordinator import Coordinator, Lines, WorkersFailed
from kcoro_core.demo.crew import Exit
from kcoro_core.demo.files import Source, batches, discover
from kcoro_core.demo.jobs import Ledger
from kcoro_core.demo.state import State
from kcoro_core.demo.tally import Tally
from kcoro_core.demo.worker import Ends, work

Behaviour = Callable[[int, Ends], Awaitable[None]]

WORDS = ("tea", "Tea", "milk", "naïve", "_x1", "2nd", "中文", "sugar")


def plant(folder: Path, files: int = 12, words: int = 400, seed: int = 1) -> Counter[str]:
    """Fill a folder with text files, some in folders below; returns what a count must give."""
    dice = random.Random(seed)
    total: Counter[str] = Counter()
    for number in range(files):
        chosen = dice.choices(WORDS, k=words)
        total.update(word.lower() for word in chosen if word != "2nd")
        path = folder / f"{number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(word + dice.choice(" \n.,-") for word in chosen), encoding="utf-8")
    return total


def ledger_of(folder: Path, batch_bytes: int = 3000, **options: Any) -> Ledger:
    """The jobs of a planted folder."""
    return Ledger(batches([s for s in discover([str(folder)]) if isinstance(s, Source)], batch_bytes), **options)


class Died(Exception):
    """What a behaviour raises to end its worker as a crash would."""


class Tasks:
    """A crew whose workers are tasks: killing one cancels it, wherever it waits."""

    def __init__(self, scope: Scope, ends: Ends, behave: Behaviour) -> None:
        self.exits: Channel[Exit] = channel(BUFFERED, capacity=64)
        self.killed: list[int] = []
        self._scope = scope
        self._ends = ends
        self._behave = behave
        self._running: dict[int, trio.CancelScope] = {}
        self.started = 0

    @property
    def alive(self) -> list[int]:
        return sorted(self._running)

    async def start(self) -> tuple[int, int]:
        self.started += 1
        self._running[self.started] = trio.CancelScope()
        self._scope.launch(self._live, self.started)
        return self.started, 1000 + self.started

    def kill(self, worker: int) -> None:
        if worker in self._running:
            self.killed.append(worker)
            self._running[worker].cancel()

    async def _live(self, number: int) -> None:
        code = 0
        with self._running[number]:
            try:
                await self._behave(number, self._ends)
            except Died:
                code = 1
        if self._running.pop(number).cancelled_caught:
            code = -9
        await self.exits.send(Exit(number, code))


@define(eq=False)
class Played:
    """What a run in this process left behind."""

    tally: Tally
    crew: Tasks
    states: list[State]
    seconds: float
    stopped_by: int | None = None
    failure: WorkersFailed | None = None
    left_waiting: list[int] = Factory(list)


async def eager(worker: int, ends: Ends) -> None:
    """A worker as it should be, which tells its progress after every block, and lets the coordinator see it."""

    class Seen:
        async def send(self, value: bytes) -> None:
            await ends.progress.send(value)
            await trio.testing.wait_all_tasks_blocked()

    await work(worker, Ends(ends.jobs, ends.results, Seen()), tell_every=0.0)


def play(
    ledger: Ledger,
    behave: Behaviour = eager,
    *,
    workers: int = 2,
    chaos: Chaos | None = None,
    stop: Callable[[], Clause] = lambda: Triggered(CancelToken()),
) -> Played:
    """Coordinate a crew of tasks until the end, in virtual time."""

    async def main() -> Played:
        lines = Lines(channel(RENDEZVOUS), channel(BUFFERED, capacity=4), channel(CONFLATED))
        states: list[State] = []
        began = trio.current_time()
        async with open_scope() as scope:
            crew = Tasks(scope, Ends(lines.jobs, lines.results, lines.progress), behave)
            played = Played(Tally(ledger), crew, states, 0.0)
            coordinator = Coordinator(played.tally, lines, crew, workers, states.append, chaos)
            try:
                played.stopped_by = await coordinator.run(stop())
            except WorkersFailed as failure:
                played.failure = failure
            played.seconds = trio.current_time() - began
            lines.close()
            await trio.testing.wait_all_tasks_blocked()
            played.left_waiting = crew.alive
            scope.cancel()
        return played

    return run(main, clock=MockClock(autojump_threshold=0))
