# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""When a stackful function goes on that a task has woken: in its turn, or next; as KC_RESUME_QUEUE and _INLINE in C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest

from kcoro_core import BUFFERED, channel, open_scope, sleep
from kcoro_core.hosts.port import current_host
from kcoro_native.stackful import direct, entered, stackful, wait

from .stacking import native_run

How = Literal["inline", "queue"]


def receives(source: Any, log: list[str], name: str) -> None:
    """Waits for one element."""
    direct(source).recv()
    log.append(name)


async def order(waiting: list[Callable[..., Any]]) -> list[str]:
    """Who runs after whom, when a task wakes each of these while another one is runnable already."""
    log: list[str] = []

    async def other() -> None:
        log.append("other")

    async with open_scope() as scope:
        sources: list[Any] = [channel() for _ in waiting]
        for number, (fn, source) in enumerate(zip(waiting, sources, strict=True)):
            scope.launch(fn, source, log, str(number))
        for _ in range(2):
            await sleep(0)
        scope.launch(other)
        for source in sources:
            await source.send(None)
            log.append("sent")
    return log


@pytest.mark.parametrize(("resume", "ran"), [("queue", ["other", "0"]), ("inline", ["0", "other"])])
def test_one_that_is_woken_runs_behind_the_others_or_next(resume: How, ran: list[str]) -> None:
    """Next is when the one that woke it waits, and not before. Row: SC4."""
    assert native_run(order, [stackful(receives, resume=resume)]) == ["sent", *ran]


def test_by_default_wakes_keep_their_order() -> None:
    """As on every host. Row: SC4."""
    assert native_run(order, [stackful(receives)] * 3) == ["sent", "sent", "sent", "other", "0", "1", "2"]


def test_of_several_that_are_woken_the_last_one_runs_next() -> None:
    """Each puts the one before it behind all that can run. Row: SC4."""
    inline = stackful(receives, resume="inline")
    assert native_run(order, [inline] * 3) == ["sent", "sent", "sent", "2", "other", "0", "1"]


def test_an_async_function_is_never_next() -> None:
    """Not even where it has awaited a function that is. Row: SC4."""

    async def plainly(source: Any, log: list[str], name: str) -> None:
        await source.recv()
        log.append(name)

    async def afterwards(source: Any, log: list[str], name: str) -> None:
        await stackful(lambda: wait(sleep(0)), resume="inline")()
        await source.recv()
        log.append(name)

    assert native_run(order, [plainly, afterwards]) == ["sent", "sent", "other", "0", "1"]


def test_what_counts_is_the_function_that_waits() -> None:
    """Awaited in an async function, or in one that is queued, it is next as well. Row: SC4."""

    async def awaits(source: Any, log: list[str], name: str) -> None:
        await stackful(receives, resume="inline")(source, log, name)

    def waits(source: Any, log: list[str], name: str) -> None:
        wait(awaits(source, log, name))

    for fn in (awaits, stackful(waits)):
        assert native_run(order, [fn]) == ["sent", "0", "other"]


def test_three_in_a_row_then_the_others_have_their_turn() -> None:
    """Two that wake each other for ever do not starve a third. Row: SC12."""
    log: list[str] = []

    def bounces(source: Any, sink: Any, name: str) -> None:
        for _ in range(20):
            direct(source).recv()
            log.append(name)
            direct(sink).send(None)

    async def bystander() -> None:
        for _ in range(10):
            log.append("-")
            await sleep(0)

    async def main() -> int:
        one: Any = channel(BUFFERED, capacity=1)
        other: Any = channel(BUFFERED, capacity=1)
        host: Any = current_host()
        async with open_scope() as scope:
            scope.launch(stackful(bounces, resume="inline"), one, other, "a")
            scope.launch(stackful(bounces, resume="inline"), other, one, "b")
            await sleep(0)
            scope.launch(bystander)
            await one.send(None)
            before = host.stats().fastpath_hits
        return host.stats().fastpath_hits - before

    hits = native_run(main)
    assert "".join(log) == "aba" + 9 * "-baba" + "-b"
    assert hits == 10 * 3 + 2  # the last "b", and main, had nobody beside them


@pytest.mark.parametrize("resume", ["inline", "queue"])
def test_a_long_chain_of_wakes_uses_up_no_stack(resume: How) -> None:
    """A hundred thousand, each by the one before it, and as many steps. Row: SC4."""
    each = 50_000

    def bounces(source: Any, sink: Any) -> int:
        receive, send = direct(source).recv, direct(sink).send
        for _ in range(each):
            receive()
            send(None)
        return each

    async def main() -> tuple[int, int, int]:
        one: Any = channel(BUFFERED, capacity=1)
        other: Any = channel(BUFFERED, capacity=1)
        host: Any = current_host()
        async with open_scope() as scope:
            tasks = [
                scope.launch(stackful(bounces, resume=resume), one, other),
                scope.launch(stackful(bounces, resume=resume), other, one),
            ]
            await sleep(0)
            before = host.stats()
            await one.send(None)
        after = host.stats()
        return sum(task.result() for task in tasks), before.steps, after.steps

    done, before, after = native_run(main)
    assert done == 2 * each
    assert after - before == 2 * each + 1  # and one of main


def test_what_time_wakes_keeps_its_order() -> None:
    """No task has woken it, so there is nobody whom it could follow. Row: SC4."""
    log: list[int] = []

    def sleeps(number: int) -> None:
        wait(sleep(0.001))
        log.append(number)

    async def main() -> None:
        async with open_scope() as scope:
            for number in range(5):
                scope.launch(stackful(sleeps, resume="inline"), number)

    native_run(main)
    assert log == [0, 1, 2, 3, 4]


def test_one_that_another_loop_steps_meanwhile_gives_up_its_place() -> None:
    """Its wake had made it the next one of ours, and others were behind it. Row: SC4."""
    log: list[str] = []

    async def other(name: str) -> None:
        log.append(name)

    async def inside(source: Any) -> None:
        reader = asyncio.ensure_future(stackful(receives, resume="inline")(source, log, "received"))
        await asyncio.sleep(0)
        source.try_send(None)
        await reader

    def program(source: Any, sink: Any) -> None:
        asyncio.run(inside(source))
        direct(sink).send(None)
        log.append("sent")

    async def main() -> None:
        source: Any = channel()
        sink: Any = channel()
        async with open_scope() as scope:
            scope.launch(stackful(receives, resume="inline"), sink, log, "next")
            scope.launch(stackful(program), source, sink)
            scope.launch(other, "one")
            scope.launch(other, "two")

    native_run(main)
    assert log == ["received", "sent", "next", "one", "two"]


async def ends(log: list[str], name: str) -> None:
    """A task that ends at once."""
    log.append(name)


@pytest.mark.parametrize(
    ("resume", "ran"),
    [
        ("queue", ["-", "one", "-", "joined", "-", "two", "-", "left", "-"]),
        ("inline", ["-", "one", "joined", "-", "two", "left", "-", "-", "-"]),
    ],
)
def test_the_end_of_a_task_is_a_wake_like_others(resume: How, ran: list[str]) -> None:
    """Of one that is waited for, and of the last child of a scope. Row: SC4."""
    log: list[str] = []

    async def bystander() -> None:
        for _ in range(5):
            log.append("-")
            await sleep(0)

    def joins() -> None:
        with entered(open_scope()) as scope:
            wait(scope.launch(ends, log, "one").wait())
            log.append("joined")
            scope.launch(ends, log, "two")
        log.append("left")

    async def main() -> None:
        async with open_scope() as scope:
            scope.launch(stackful(joins, resume=resume))
            scope.launch(bystander)

    native_run(main)
    assert log == ran


def test_a_cancellation_is_a_wake_like_others() -> None:
    """Row: SC4."""
    log: list[str] = []

    def waits() -> None:
        try:
            wait(sleep(1_000))
        finally:
            log.append("cancelled")

    async def main() -> None:
        async with open_scope() as scope, open_scope() as inner:
            inner.launch(stackful(waits, resume="inline"))
            await sleep(0)
            scope.launch(ends, log, "other")
            inner.cancel()
            log.append("cancels")

    native_run(main)
    assert log == ["cancels", "cancelled", "other"]


def test_it_says_what_resume_can_be() -> None:
    """Row: SC4."""
    with pytest.raises(ValueError, match="resume is 'inline' or 'queue', not 'now'"):
        stackful(print, resume="now")  # type: ignore[arg-type]
