# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The schedulers of both engines, on their own: queue, parking, counters, errors and shutdown."""

import contextvars
import importlib.metadata
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from kcoro_core.reference.scheduler import ReferenceScheduler, SchedulerTask, TaskState, park, pause, scheduler_factory

_made: dict[str, Any] = {"reference": scheduler_factory}
if importlib.metadata.entry_points(group="kcoro", name="native"):
    _made["native"] = importlib.import_module("kcoro_native.scheduler").scheduler_factory
_factory: list[Any] = []


@pytest.fixture(params=_made, autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whose schedulers ``make`` makes."""
    _factory.append(_made[request.param])
    yield
    _factory.pop()


@pytest.fixture
def clock() -> list[float]:
    """A clock that a test sets."""
    return [0.0]


def make(pick: Callable[[int], int] | None = None, now: Callable[[], float] = lambda: 0.0) -> ReferenceScheduler:
    scheduler: ReferenceScheduler = _factory[0](now=now, pick=pick)
    return scheduler


async def spin(log: list[str], name: str, turns: int) -> str:
    for _ in range(turns):
        log.append(name)
        await pause()
    return name


async def sleeper(log: list[str]) -> None:
    try:
        await park()
        log.append("woken")
    finally:
        log.append("closed")


def test_a_task_that_only_yields_starves_nobody() -> None:
    """A yield goes to the tail: two spinning tasks progress alike. Row: SC12."""
    scheduler, log = make(), list[str]()
    scheduler.spawn(spin(log, "a", 1000))
    scheduler.spawn(spin(log, "b", 1000))
    scheduler.drain(500)
    assert abs(log.count("a") - log.count("b")) <= 1
    assert log[:4] == ["a", "b", "a", "b"]


def test_pick_chooses_among_the_runnable_tasks() -> None:
    """``pick(n)`` decides who steps, and is not asked when there is no choice. Row: X10."""
    asked: list[int] = []

    def newest(n: int) -> int:
        asked.append(n)
        return n - 1

    scheduler, log = make(newest), list[str]()
    for name in "abc":
        scheduler.spawn(spin(log, name, 2))
    scheduler.drain()
    assert log == ["c", "c", "b", "b", "a", "a"]
    assert min(asked) == 2


def test_the_same_picks_give_the_same_run() -> None:
    """A seeded pick makes the whole interleaving repeatable. Row: X10."""

    def run(seed: int) -> list[str]:
        rng = random.Random(seed)
        scheduler, log = make(rng.randrange), list[str]()
        for name in "abcd":
            scheduler.spawn(spin(log, name, 5))
        scheduler.drain()
        return log

    assert run(1) == run(1)
    assert len({tuple(run(seed)) for seed in range(20)}) > 10


def test_a_parked_task_waits_for_ready_and_costs_no_step() -> None:
    """A parked task is stepped again only after ``ready``. Row: SC6."""
    scheduler, log = make(), list[str]()
    task = scheduler.spawn(sleeper(log))
    assert (scheduler.drain(), task.state) == (1, TaskState.PARKED)
    assert (scheduler.drain(), scheduler.poll_handle().ready_now) == (0, False)
    scheduler.ready(task)
    scheduler.ready(task)
    assert scheduler.poll_handle().ready_now
    assert (scheduler.drain(), log) == (1, ["woken", "closed"])


def test_ready_before_park_is_not_lost() -> None:
    """A wake-up that comes while the task still runs makes its next park return. Row: C5."""
    scheduler = make()
    turns: list[int] = []

    async def body() -> None:
        for turn in range(3):
            assert scheduler.running is not None
            scheduler.ready(scheduler.running)
            await park()
            turns.append(turn)

    task = scheduler.spawn(body())
    scheduler.drain()
    assert (turns, task.state) == ([0, 1, 2], TaskState.FINISHED)
    scheduler.ready(task)
    assert not scheduler.poll_handle().ready_now


def test_the_counters_are_exact() -> None:
    """Every counter equals what the program did. Row: SC11."""
    clock = [0.0]
    scheduler, log = make(now=lambda: clock[0]), list[str]()
    task = scheduler.spawn(sleeper(log))
    scheduler.spawn(spin(log, "a", 2))
    scheduler.wake_at(5.0, task)
    scheduler.drain()
    assert scheduler.poll_handle().deadline == 5.0
    before = scheduler.stats()
    assert (before.tasks_submitted, before.tasks_completed, before.tasks_alive, before.ready) == (2, 1, 1, 0)
    assert (before.steps, before.parks, before.unparks, before.timers_fired) == (4, 1, 0, 0)
    clock[0] = 5.0
    scheduler.drain()
    after = scheduler.stats()
    assert (after.tasks_completed, after.tasks_alive, after.steps) == (2, 0, 5)
    assert (after.parks, after.unparks, after.timers_fired) == (1, 1, 1)
    # All steps but the first found one runnable task; two first steps and the timer's wake-up came from outside.
    assert (after.fastpath_hits, after.inject_pulls) == (4, 3)


def test_one_line_names_every_counter() -> None:
    """As ``kc_sched_dump`` has it: ``name=value``, in the order of the fields, and nothing else. Row: SC11."""
    scheduler, log = make(), list[str]()
    assert str(scheduler.stats()) == (
        "tasks_submitted=0 tasks_completed=0 tasks_alive=0 ready=0 steps=0 "
        "parks=0 unparks=0 timers_fired=0 fastpath_hits=0 inject_pulls=0"
    )
    parked = scheduler.spawn(sleeper(log))
    scheduler.wake_at(0.0, scheduler.spawn(sleeper(log)))
    for _ in range(3):
        scheduler.spawn(spin(log, "a", 2))
    scheduler.drain(7)
    # Two park, of which the timer wakes none: it came before the first step. Three step, and two of these once more.
    assert str(scheduler.stats()) == (
        "tasks_submitted=5 tasks_completed=0 tasks_alive=5 ready=3 steps=7 "
        "parks=2 unparks=0 timers_fired=1 fastpath_hits=0 inject_pulls=5"
    )
    scheduler.ready(parked)
    scheduler.drain()
    assert str(scheduler.stats()) == (
        "tasks_submitted=5 tasks_completed=4 tasks_alive=1 ready=0 steps=12 "
        "parks=2 unparks=1 timers_fired=1 fastpath_hits=1 inject_pulls=6"
    )


def test_each_task_has_a_name_a_number_and_a_state() -> None:
    """``repr`` names a task by number, name and state. Row: C8."""
    scheduler, log = make(), list[str]()
    first, second = scheduler.spawn(sleeper(log), name="mine"), scheduler.spawn(sleeper(log))
    assert repr(first) == "<task 1 'mine' ready>"
    scheduler.drain()
    assert [repr(task) for task in scheduler.tasks()] == ["<task 1 'mine' parked>", "<task 2 'sleeper' parked>"]
    assert second.id == 2
    scheduler.shutdown()
    assert (repr(first), scheduler.tasks()) == ("<task 1 'mine' finished>", [])


def test_each_task_has_a_context_of_its_own() -> None:
    """A task inherits the spawner's context variables, and what it sets stays its own. Row: SC9."""
    var = contextvars.ContextVar("var", default="none")
    scheduler = make()
    seen: list[str] = []

    async def child(value: str) -> None:
        seen.append(var.get())
        var.set(value)
        await pause()
        seen.append(var.get())

    async def parent() -> None:
        var.set("parent")
        scheduler.spawn(child("x"))
        scheduler.spawn(child("y"))
        await pause()

    scheduler.spawn(parent())
    scheduler.drain()
    assert seen == ["parent", "parent", "x", "y"]
    assert var.get() == "none"


def test_an_error_stays_in_its_task_until_it_is_taken() -> None:
    """Others go on; ``take`` raises it; an error that nobody took leaves ``shutdown``. Row: C6."""
    scheduler, log = make(), list[str]()

    async def fail(text: str) -> None:
        raise LookupError(text)

    taken, lost = scheduler.spawn(fail("taken")), scheduler.spawn(fail("lost"))
    other = scheduler.spawn(spin(log, "a", 1))
    with pytest.raises(RuntimeError, match="has not finished"):
        other.take()
    scheduler.drain()
    assert other.take() == "a"
    with pytest.raises(LookupError, match="taken"):
        taken.take()
    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="lost")):
        scheduler.shutdown()
    scheduler.shutdown()
    assert lost.state is TaskState.FINISHED


def test_an_interrupt_leaves_drain_at_once() -> None:
    """KeyboardInterrupt in a task is raised by ``drain``; the other tasks are still runnable. Row: SC7."""
    scheduler, log = make(), list[str]()

    async def interrupted() -> None:
        raise KeyboardInterrupt

    scheduler.spawn(interrupted())
    scheduler.spawn(spin(log, "a", 1))
    with pytest.raises(KeyboardInterrupt):
        scheduler.drain()
    scheduler.drain()
    assert log == ["a"]
    scheduler.shutdown()


def test_shutdown_runs_every_finally_block() -> None:
    """Parked, queued and never started coroutines are all closed, the youngest first. Row: SC7."""
    scheduler, log = make(), list[str]()

    async def nested() -> None:
        try:
            await sleeper(log)
        finally:
            log.append("outer")

    scheduler.spawn(nested())
    scheduler.spawn(spin(log, "spin", 5))
    scheduler.drain(2)
    scheduler.spawn(sleeper(log))  # never takes a step, so it has nothing to close
    scheduler.shutdown()
    assert log == ["spin", "closed", "outer"]
    assert (scheduler.stats().tasks_alive, scheduler.drain()) == (0, 0)


def test_a_finally_block_that_waits_at_shutdown_is_an_error() -> None:
    """What goes wrong while closing is raised, and the rest is closed all the same. Row: SC7."""
    scheduler, log = make(), list[str]()

    async def stubborn() -> None:
        try:
            await park()
        finally:
            await park()

    scheduler.spawn(sleeper(log))
    scheduler.spawn(stubborn())
    scheduler.drain()
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="GeneratorExit")):
        scheduler.shutdown()
    assert log == ["closed"]


def test_after_shutdown_nothing_can_be_spawned() -> None:
    """``spawn`` says where to go instead, and closes the coroutine. Row: SC7."""
    scheduler, log = make(), list[str]()
    scheduler.shutdown()
    with pytest.raises(RuntimeError, match="current run"):
        scheduler.spawn(sleeper(log))


@pytest.mark.parametrize("name", ["drain", "shutdown"])
def test_only_the_driver_of_the_loop_may_drive_it(name: str) -> None:
    """``drain`` and ``shutdown`` inside a step are refused, and the step goes on."""
    scheduler = make()

    async def body() -> None:
        with pytest.raises(RuntimeError, match="drives the loop"):
            getattr(scheduler, name)()

    task = scheduler.spawn(body())
    scheduler.drain()
    assert (task.state, task.error) == (TaskState.FINISHED, None)


def test_awaiting_another_loops_future_is_a_type_error_in_the_task() -> None:
    """A coroutine that yields something foreign is told so at its await, instead of hanging."""
    scheduler = make()
    caught: list[str] = []

    class Foreign:
        def __await__(self) -> Any:
            yield "something else"

    async def body() -> None:
        try:
            await Foreign()
        except TypeError as error:
            caught.append(str(error))

    scheduler.spawn(body())
    scheduler.drain()
    assert "another loop ('something else')" in caught[0]


def test_ten_thousand_tasks_end_and_leave_nothing_behind() -> None:
    """After many tasks the scheduler holds none of them. Row: SC7."""
    scheduler, log = make(), list[str]()
    tasks: list[SchedulerTask] = []

    def spawn(coro: Coroutine[Any, Any, Any]) -> None:
        tasks.append(scheduler.spawn(coro))

    for _ in range(10_000):
        spawn(spin(log, "x", 1))
    scheduler.drain()
    assert len(log) == 10_000
    assert scheduler.tasks() == []
    assert all(task.take() == "x" for task in tasks)


def test_an_interrupt_in_a_timer_leaves_at_once_and_what_is_due_stays(clock: list[float]) -> None:
    """KeyboardInterrupt of a callback leaves ``drain``; the timers behind it fire in the next one, once. Row: SC5."""
    scheduler, log = make(now=lambda: clock[0]), list[str]()

    def interrupt() -> None:
        log.append("interrupt")
        raise KeyboardInterrupt

    scheduler.call_at(1.0, lambda: log.append("first"))
    scheduler.call_at(2.0, interrupt)
    scheduler.call_at(2.0, lambda: log.append("second"))
    late = scheduler.call_at(3.0, lambda: log.append("third"))
    clock[0] = 5.0
    with pytest.raises(KeyboardInterrupt):
        scheduler.drain()
    assert log == ["first", "interrupt"]
    assert late.cancel()
    scheduler.drain()
    scheduler.drain()
    assert log == ["first", "interrupt", "second"]


def test_errors_of_timers_leave_together(clock: list[float]) -> None:
    """Every timer that is due has fired by then, and no task is harmed. Row: SC5."""
    scheduler, log = make(now=lambda: clock[0]), list[str]()
    scheduler.call_at(1.0, lambda: log.index("missing"))
    scheduler.call_at(1.0, lambda: log.append("fired"))
    scheduler.call_at(2.0, lambda: log.remove("missing"))
    scheduler.spawn(spin(log, "task", 1))
    clock[0] = 2.0
    with pytest.RaisesGroup(ValueError, ValueError):
        scheduler.drain()
    scheduler.drain()
    assert log == ["fired", "task"]
