# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Dumps of tasks on every host: name, number, state, scope, what each waits for and where. Row: C8."""

from __future__ import annotations

import json
import linecache
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import asdict, evolve

from kcoro_core import (
    CancelToken,
    Channel,
    Coroutine,
    NotSupported,
    Recv,
    Send,
    TaskDump,
    WrongLoop,
    channel,
    open_scope,
    plugins,
    run,
    select,
    sleep,
    task_dump,
)
from kcoro_core.engine import SchedulerStats
from kcoro_core.hosts.port import Host, here
from kcoro_core.hosts.seen import CoroutineSeen, TaskSeen

from .conftest import HostUnderTest


async def cook(orders: Channel[str]) -> None:
    await orders.recv()


async def reader(orders: Channel[str]) -> None:
    async for _ in orders:
        pass


async def chooser(orders: Channel[str]) -> None:
    await select(Recv(orders))


async def sleeper() -> None:
    await sleep(3600)


async def watcher(token: CancelToken) -> None:
    await token.wait()


async def shift(orders: Channel[str]) -> None:
    async with open_scope() as scope:
        scope.launch(cook, orders, name="cook")
        scope.launch(reader, orders, name="reader")


@asynccontextmanager
async def kitchen() -> AsyncIterator[tuple[Channel[str], CancelToken]]:
    """A program in which everybody waits for something else."""
    orders: Channel[str] = channel(name="orders")
    async with open_scope() as scope:
        scope.launch(shift, orders, name="shift")
        scope.launch(chooser, orders, name="chooser")
        scope.launch(sleeper, name="sleeper")
        scope.launch(watcher, CancelToken(), name="watcher")
        for _ in range(20):
            await sleep(0)
        yield orders, scope.token
        scope.cancel()


def of_tasks() -> TaskDump:
    """A dump without coroutines, which are those of the process: other tests may have left some that wait."""
    return evolve(task_dump(), coroutines=())


def by_name(dump: TaskDump) -> dict[str, TaskSeen]:
    return {seen.name: seen for seen in dump.tasks}


def line_of(seen: TaskSeen | CoroutineSeen) -> str:
    """The line of this file where a task stands."""
    assert seen.place is not None
    assert seen.place.file == __file__
    return linecache.getline(seen.place.file, seen.place.line).strip()


def test_each_task_is_told_with_what_it_waits_for_and_where(on: HostUnderTest) -> None:
    """Operations by the thing they are about, and the line of the program that waits. Row: C8."""

    async def main(host: Host) -> None:
        async with kitchen():
            there = by_name(task_dump())
        waits = {name: seen.waits for name, seen in there.items() if seen.state == "parked"}
        assert set(waits) == {"shift", "cook", "reader", "chooser", "sleeper", "watcher"}
        assert waits["shift"] == "waits for 2 children of its nursery to end"
        assert str(waits["cook"]).startswith("in recv() of <Channel 'orders'")
        assert "of <Channel 'orders'" in str(waits["reader"])
        assert "Recv(<Channel 'orders'" in str(waits["chooser"])
        assert str(waits["sleeper"]).startswith("in sleep(")
        assert str(waits["watcher"]).startswith("in wait() of <CancelToken not set")
        assert line_of(there["cook"]) == "await orders.recv()"
        assert line_of(there["reader"]) == "async for _ in orders:"
        assert line_of(there["chooser"]) == "await select(Recv(orders))"
        assert line_of(there["sleeper"]) == "await sleep(3600)"
        assert line_of(there["watcher"]) == "await token.wait()"
        assert there["cook"].place.function == "cook"  # type: ignore[union-attr]

    on.run(main)


def test_who_looks_is_running_and_who_was_woken_is_ready(on: HostUnderTest) -> None:
    """One task runs: the one that asks, at the line that asks. One whose turn will come waits for nothing. Row: C8."""

    async def main(host: Host) -> None:
        async with kitchen() as (orders, _):
            orders.try_send("soup")
            there = by_name(task_dump())
        (running,) = [seen for seen in there.values() if seen.state == "running"]
        assert line_of(running) == "there = by_name(task_dump())"
        assert running.parent is None
        (ready,) = [seen for seen in there.values() if seen.state == "ready"]
        assert ready.name in ("cook", "reader", "chooser")
        assert ready.waits is None

    on.run(main)


def test_each_task_stands_below_the_one_in_whose_scope_it_lives(on: HostUnderTest) -> None:
    """By its parent's number in the data, and by its indent in the text. Row: C8."""

    async def main(host: Host) -> None:
        host.spawn(sleeper, name="background")
        async with kitchen():
            dump = of_tasks()
        there = by_name(dump)
        (first,) = [seen for seen in dump.tasks if seen.state == "running"]
        assert {there[name].parent for name in ("shift", "chooser", "sleeper", "watcher")} == {first.number}
        assert {there[name].parent for name in ("cook", "reader")} == {there["shift"].number}
        assert there["background"].parent is None
        indents = {line.split("'")[1]: len(line) - len(line.lstrip()) for line in str(dump).splitlines() if "'" in line}
        expected = {first.name: 2, "background": 2, "cook": 6, "reader": 6}
        assert indents == dict.fromkeys(("shift", "chooser", "sleeper", "watcher"), 4) | expected

    on.run(main)


def test_the_text_has_a_line_for_each_task_and_the_data_is_json(on: HostUnderTest) -> None:
    """So that it can be read in a pipe, and by a program. Row: C8."""

    async def main(host: Host) -> None:
        async with kitchen():
            dump = of_tasks()
        data = json.loads(json.dumps(dump.as_data()))
        assert data["host"] == on.name
        assert [task["number"] for task in data["tasks"]] == [seen.number for seen in dump.tasks]
        (told,) = [task for task in data["tasks"] if task["name"] == "cook"]
        seen = by_name(dump)["cook"]
        assert seen.place is not None
        place = {"file": __file__, "line": seen.place.line, "function": "cook"}
        assert told["place"] == place
        assert (told["state"], told["waits"], told["parent"]) == ("parked", seen.waits, seen.parent)
        first, *lines = str(dump).splitlines()
        assert first == f"7 tasks on {on.name}"
        if dump.scheduler is not None:
            assert lines.pop(0) == f"  {dump.scheduler}"
            assert data["scheduler"]["tasks_alive"] == 7
        assert len(lines) == 7
        where = f"at {__file__}:{seen.place.line} in cook()"
        assert f"      task {seen.number} 'cook' parked, waits {seen.waits}, {where}" in lines

    on.run(main)


def test_a_number_stays_and_looking_changes_nothing(on: HostUnderTest) -> None:
    """The same dump twice, and tasks that ended are gone from the third; numbers are not given again. Row: C8."""

    async def main(host: Host) -> None:
        async with kitchen():
            first, again = (task_dump().tasks for _ in range(2))
        assert [(seen.number, seen.name, seen.state, seen.waits) for seen in first] == [
            (seen.number, seen.name, seen.state, seen.waits) for seen in again
        ]
        numbers = [seen.number for seen in first]
        assert len(set(numbers)) == len(numbers) == 7
        (left,) = task_dump().tasks
        assert left.state == "running"
        async with open_scope() as scope:
            scope.launch(sleep, 0, name="later")
            assert by_name(task_dump())["later"].number > max(numbers)

    on.run(main)


class Rude:
    """Neither its repr nor its name can be had."""

    def __repr__(self) -> str:
        raise ValueError("not now")


def test_what_fails_when_it_is_looked_at_costs_no_dump(on: HostUnderTest) -> None:
    """All the rest is told, and of it the class, and what it raised. Row: C8."""

    async def offers(orders: Channel[Any]) -> None:
        await select(Send(orders, Rude()))

    async def main(host: Host) -> None:
        async with open_scope() as scope:
            scope.launch(offers, channel(name="till"), name="offers")
            scope.launch(sleeper, name="sleeper")
            await sleep(1)
            dump = of_tasks()
            scope.cancel()
        seen = by_name(dump)
        assert "whose repr raises ValueError>" in str(seen["offers"].waits)
        assert line_of(seen["offers"]) == "await select(Send(orders, Rude()))"
        assert "sleeper" in seen

    on.run(main)


class Yes:
    """A wait that answers to every name, as what stands for a thing elsewhere may."""

    def __init__(self, orders: Channel[str]) -> None:
        self._steps: Any = cook(orders).__await__()

    def __getattr__(self, name: str) -> Any:
        return self

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._steps)

    def send(self, value: Any) -> Any:
        """Pass it on."""
        return self._steps.send(value)

    def throw(self, error: BaseException) -> Any:
        """Pass it on."""
        return self._steps.throw(error)


def test_what_answers_to_every_name_holds_up_no_dump(on: HostUnderTest) -> None:
    """The last line that can be known is told. Row: C8."""

    async def asks(orders: Channel[str]) -> None:
        await Yes(orders)

    async def main(host: Host) -> None:
        async with open_scope() as scope:
            scope.launch(asks, channel(), name="asks")
            await sleep(1)
            seen = by_name(task_dump())["asks"]
            scope.cancel()
        assert line_of(seen) == "await Yes(orders)"

    on.run(main)


def test_a_wait_in_an_async_generator_is_told_by_its_line_there(on: HostUnderTest) -> None:
    """Also where it is a context manager, which would stand in contextlib else. Row: C8."""

    async def dishes(orders: Channel[str]) -> AsyncIterator[str]:
        yield await orders.recv()

    @asynccontextmanager
    async def table(orders: Channel[str]) -> AsyncIterator[None]:
        await orders.recv()
        yield

    async def eats(orders: Channel[str]) -> None:
        async for _ in dishes(orders):
            pass

    async def sits(orders: Channel[str]) -> None:
        async with table(orders):
            pass

    async def main(host: Host) -> None:
        async with open_scope() as scope:
            for waits in (eats, sits):
                scope.launch(waits, channel(name="till"), name=waits.__name__)
            await sleep(1)
            there = by_name(task_dump())
            scope.cancel()
        assert line_of(there["eats"]) == "yield await orders.recv()"
        assert line_of(there["sits"]) == "await orders.recv()"
        for seen in (there["eats"], there["sits"]):
            assert str(seen.waits).startswith("in recv() of <Channel 'till'")

    on.run(main)


def test_a_name_that_is_no_text_is_told_as_one() -> None:
    """So that the data is JSON all the same. Row: C8."""
    dump = TaskDump("any", tuple(TaskSeen(i, name, "ready", None, None, None) for i, name in enumerate((b"x", Rude()))))
    names = [task["name"] for task in json.loads(json.dumps(dump.as_data()))["tasks"]]
    assert names == ["b'x'", "<Rude, whose repr raises ValueError>"]


def test_a_task_whose_parent_has_ended_has_its_line() -> None:
    """A generator that holds a scope may be left behind with the tasks in it. Row: C8."""
    dump = TaskDump(
        "any", (TaskSeen(1, "main", "running", None, None, None), TaskSeen(3, "left", "ready", None, None, 2))
    )
    assert [line.split(" called")[0] for line in str(dump).splitlines()[1:]] == [
        "  task 1 'main' running,",
        "  task 3 'left' ready,",
    ]


def test_the_counters_of_a_scheduler_of_kcoro_are_told(on: HostUnderTest) -> None:
    """Exactly what the program did; under trio and asyncio, whose schedulers these are not, nothing. Row: SC11."""

    async def main(host: Host) -> None:
        counted = [task_dump().scheduler]
        async with kitchen():
            counted.append(task_dump().scheduler)
        counted.append(task_dump().scheduler)
        if on.name in ("trio", "asyncio"):
            assert counted == [None] * 3
            return
        # Main takes twenty turns while six park, and parks until they, cancelled, have taken a step each.
        assert [counts(stats) for stats in counted] == [
            {"submitted": 1, "completed": 0, "steps": 1, "parks": 0, "unparks": 0},
            {"submitted": 7, "completed": 0, "steps": 27, "parks": 6, "unparks": 0},
            {"submitted": 7, "completed": 6, "steps": 34, "parks": 7, "unparks": 7},
        ]

    def counts(stats: SchedulerStats | None) -> dict[str, int]:
        assert stats is not None
        assert (stats.tasks_alive, stats.ready) == (stats.tasks_submitted - stats.tasks_completed, 0)
        seen = asdict(stats)
        names = ("tasks_submitted", "tasks_completed", "steps", "parks", "unparks")
        return {name.removeprefix("tasks_"): seen[name] for name in names}

    on.run(main)


# -- where there is nothing to tell


def test_outside_a_loop_there_is_nothing_to_dump() -> None:
    """Row: C8."""
    with pytest.raises(WrongLoop):
        task_dump()


def test_a_host_without_a_list_says_so() -> None:
    """A host of a plugin need not have one. Row: C8."""
    here.host = Host()
    try:
        with pytest.raises(NotSupported, match="no list of its tasks"):
            task_dump()
    finally:
        here.host = None


# -- what only some hosts have


def test_waits_of_trio_itself_are_told_by_their_function() -> None:
    """In a run that kcoro did not start; trio's own tasks and kcoro's timers are left out. Row: C8."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            nursery.start_soon(waiting)
            await trio.testing.wait_all_tasks_blocked()
            there = by_name(task_dump())
            nursery.cancel_scope.cancel()
        assert [seen.state for seen in there.values()] == ["running", "parked", "parked"]
        assert there["trio.sleep"].waits == "in sleep()"
        assert there["trio.sleep"].place is None
        told = there[next(name for name in there if name.endswith("waiting"))]
        assert (told.waits, line_of(told)) == ("in wait()", "await trio.Event().wait()")

    async def waiting() -> None:
        await trio.Event().wait()

    trio.run(main)


# -- coroutines


def switching_engines() -> list[str]:
    """Those that are installed and can switch."""
    names = sorted({name for report in plugins.reports() for name in report.engines})
    return [name for name in names if plugins.can_switch(plugins.engine(name))]


@pytest.mark.parametrize("engine", switching_engines())
def test_coroutines_that_have_begun_are_told_with_where_they_wait(engine: str) -> None:
    """Of every engine that switches, whatever the host; none that has not begun, or has ended. Row: C8."""
    make = plugins.engine(engine).coroutine
    assert make is not None

    def parser() -> None:
        below()

    def below() -> None:
        Coroutine.park()
        if engine == "native":  # a body of the reference engine is in another thread, where no loop runs
            told.extend(task_dump().coroutines)

    told: list[CoroutineSeen] = []

    async def main() -> None:
        co, begun = make(parser, (), "parser"), make(parser, (), "other")
        assert mine() == []
        co.resume()
        begun.resume()
        (first, second) = mine()
        assert (first.number, first.name, first.state) == (co.id, "parser", "parked")
        assert (second.number, second.name) == (begun.id, "other")
        assert line_of(first) == "Coroutine.park()"
        assert f"  coroutine {co.id} 'parser' parked, {first.place}" in str(task_dump()).splitlines()
        assert first.name in json.dumps(task_dump().as_data()["coroutines"])
        co.unpark()
        assert mine()[0].state == "ready"
        co.resume()
        begun.destroy()
        assert mine() == []

    def mine() -> list[CoroutineSeen]:
        return [seen for seen in task_dump().coroutines if seen.name in ("parser", "other")]

    run(main, host="script")
    running = [seen for seen in told if seen.state == "running"]
    assert [line_of(seen) for seen in running] == ["told.extend(task_dump().coroutines)"] * (engine == "native")
