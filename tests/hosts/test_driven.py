# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A scheduler needs no loop of ours: whoever can wait for a descriptor or a deadline can drive it (row C9)."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import select
import time
from typing import Any

import pytest

from kcoro_core.engine import Scheduler
from kcoro_core.reference.scheduler import park, pause, scheduler_factory

FACTORIES: dict[str, Any] = {"reference": scheduler_factory}
if importlib.metadata.entry_points(group="kcoro", name="native"):
    FACTORIES["native"] = importlib.import_module("kcoro_native.scheduler").scheduler_factory


@pytest.fixture(params=FACTORIES)
def scheduler(request: pytest.FixtureRequest) -> Any:
    """A scheduler on the real clock."""
    return FACTORIES[request.param](now=time.monotonic)


async def count(log: list[str], name: str, turns: int) -> None:
    """Take so many turns."""
    for _ in range(turns):
        log.append(name)
        await pause()


def test_a_bare_poll_loop_drives_it(scheduler: Any) -> None:
    """``poll_handle`` says how long to wait, ``ready`` wakes who waits for the descriptor. Row: C9."""
    log: list[str] = []
    reading, writing = os.pipe()

    async def reader() -> None:
        await park()
        log.append(os.read(reading, 10).decode())

    async def sleeper() -> None:
        scheduler.wake_at(time.monotonic() + 0.01, scheduler.running)
        await park()
        log.append("slept")
        os.write(writing, b"read")

    poller = select.poll()
    poller.register(reading, select.POLLIN)
    waiting = scheduler.spawn(reader())
    scheduler.spawn(sleeper())
    scheduler.spawn(count(log, "turn", 2))
    while scheduler.stats().tasks_alive:
        scheduler.drain()
        spec = scheduler.poll_handle()
        left = None if spec.deadline is None else max(0.0, spec.deadline - time.monotonic()) * 1000
        if not spec.ready_now and scheduler.stats().tasks_alive and poller.poll(left):
            scheduler.ready(waiting)
    os.close(reading)
    os.close(writing)
    assert log == ["turn", "turn", "slept", "read"]


def test_it_runs_inside_asyncio(scheduler: Scheduler) -> None:
    """A loop of somebody else drives it a few steps at a time, and runs its own tasks in between. Row: C9."""
    log: list[str] = []

    async def theirs() -> None:
        for _ in range(3):
            log.append("theirs")
            await asyncio.sleep(0)

    async def drive() -> None:
        while scheduler.stats().tasks_alive:
            scheduler.drain(1)
            await asyncio.sleep(0)

    async def main() -> None:
        scheduler.spawn(count(log, "ours", 3))
        await asyncio.gather(theirs(), drive())

    asyncio.run(main())
    assert log == ["theirs", "ours"] * 3
