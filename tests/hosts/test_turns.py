# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Turns, cancel points and the identity of tasks, on every host."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import Host
from kcoro_core.reference.waiter import Operation

from .conftest import until

if TYPE_CHECKING:
    from .conftest import HostUnderTest


def test_pause_lets_the_others_run_and_ignores_cancellation(on: HostUnderTest) -> None:
    """``pause`` is shielded: the effect of an operation that completed is never lost to it."""

    async def main(host: Host) -> None:
        turns: list[str] = []

        async def other() -> None:
            for _ in range(5):
                turns.append("other")
                await host.pause()

        async with host.open_nursery() as nursery:
            nursery.start_soon(other)
            with host.open_cancel_scope() as scope:
                scope.cancel()
                await until(host, lambda: len(turns) == 5)
                turns.append("shielded")
                await host.cancel_point()
        assert turns[-1] == "shielded"
        assert scope.cancelled_caught

    on.run(main)


def test_a_cancel_point_does_not_suspend(on: HostUnderTest) -> None:
    """While nothing is cancelled, nobody else runs during a cancel point."""

    async def main(host: Host) -> None:
        ran: list[str] = []

        async def other() -> None:
            ran.append("other")

        async with host.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(10):
                await host.cancel_point()
            assert ran == []

    on.run(main)


def test_current_names_the_running_task_and_refuses_outside(on: HostUnderTest) -> None:
    """Each task has one hashable identity; a callback is no task. Row: CH14."""

    async def main(host: Host) -> None:
        tasks: dict[object, str] = {}
        callback: list[str] = []
        op = Operation(host)

        async def child(name: str) -> None:
            tasks[host.current()] = name
            await host.pause()
            assert tasks[host.current()] == name

        def outside() -> None:
            try:
                host.current()
            except WrongLoop:
                callback.append("refused")
            op.complete()

        async with host.open_nursery() as nursery:
            nursery.start_soon(child, "a")
            nursery.start_soon(child, "b")
        assert len(tasks) == 2
        host.call_at(host.now(), outside)
        await host.park(op)
        assert callback == (["refused"] if on.name != "trio" else callback)

    on.run(main)


def test_each_task_has_its_own_context(on: HostUnderTest) -> None:
    """Context variables are inherited by children and changed for oneself only. Row: SC9."""
    var = contextvars.ContextVar("var", default="none")

    async def main(host: Host) -> None:
        seen: list[str] = []

        async def child(value: str) -> None:
            seen.append(var.get())
            var.set(value)
            await host.pause()
            seen.append(var.get())

        var.set("parent")
        async with host.open_nursery() as nursery:
            nursery.start_soon(child, "x")
            nursery.start_soon(child, "y")
        assert sorted(seen) == ["parent", "parent", "x", "y"]
        assert var.get() == "parent"

    on.run(main)
