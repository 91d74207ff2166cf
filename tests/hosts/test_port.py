# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of the port: parking, timers, threads and the world, the same on every host."""

from __future__ import annotations

import contextvars
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import READ, WRITE, Host, find_host, here
from kcoro_core.reference.waiter import Operation
from kcoro_core.semantics import CANCELLED, TIMED_OUT

if TYPE_CHECKING:
    from .conftest import HostUnderTest


async def until(host: Host, condition: Callable[[], object]) -> None:
    """Give the other tasks turns until something holds."""
    while not condition():
        await host.pause()


async def park_forever(host: Host, op: Operation) -> None:
    await host.park(op)


# -- parking


def test_park_returns_once_the_operation_is_claimed(on: HostUnderTest) -> None:
    """A counterpart wins, hands over a value, and the parked task goes on with it."""

    async def main(host: Host) -> None:
        op = Operation(host)
        got: list[object] = []

        async def receiver() -> None:
            await host.park(op)
            got.append(op.value)

        async with host.open_nursery() as nursery:
            nursery.start_soon(receiver)
            await until(host, lambda: op.task)
            assert op.win()
            op.finish("value")
            assert got == []
        assert got == ["value"]

    on.run(main)


def test_a_value_that_was_claimed_is_delivered_although_a_cancel_follows(on: HostUnderTest) -> None:
    """Rule 1 of the port: claimed means delivered; the cancellation is seen at the next cancel point."""

    async def main(host: Host) -> None:
        op = Operation(host)
        seen: list[object] = []
        scope = host.open_cancel_scope()

        async def receiver() -> None:
            with scope:
                await host.park(op)
                seen.append(op.value)
                await host.checkpoint()
                seen.append("not reached")

        async with host.open_nursery() as nursery:
            nursery.start_soon(receiver)
            await until(host, lambda: op.task)
            assert op.complete("value")
            scope.cancel()
        assert seen == ["value"]
        assert scope.cancelled_caught

    on.run(main)


def test_a_cancel_that_comes_first_ends_the_wait_and_claims_it(on: HostUnderTest) -> None:
    """After a cancelled wait nobody can win the operation any more."""

    async def main(host: Host) -> None:
        op = Operation(host)
        scope = host.open_cancel_scope()

        async def receiver() -> None:
            with scope:
                await host.park(op)
                raise AssertionError("park returned")

        async with host.open_nursery() as nursery:
            nursery.start_soon(receiver)
            await until(host, lambda: op.task)
            scope.cancel()
            # trio asks give_up at once, others on their next turn; either way nobody wakes the task by unpark.
            await until(host, lambda: op.claim == CANCELLED)
            assert not op.win()
        assert scope.cancelled_caught

    on.run(main)


@pytest.mark.parametrize("granted", [True, False])
def test_a_cancel_while_a_remote_clause_is_claimed_waits_for_the_answer(on: HostUnderTest, granted: bool) -> None:
    """CLAIMING: granted delivers in spite of the cancel, denied ends the wait as cancelled."""

    async def main(host: Host) -> None:
        op = Operation(host)
        scope = host.open_cancel_scope()
        ended: list[int] = []

        async def selector() -> None:
            with scope:
                await host.park(op)
                ended.append(op.claim)
                await host.cancel_point()

        async with host.open_nursery() as nursery:
            nursery.start_soon(selector)
            await until(host, lambda: op.task)
            assert op.begin_claim(0)
            scope.cancel()
            for _ in range(10):
                await host.pause()
            assert ended == []
            if granted:
                op.win_claim()
                op.finish()
            else:
                op.end_claim()
        assert ended == [0 if granted else CANCELLED]
        assert scope.cancelled_caught

    on.run(main)


def test_a_wait_inside_a_cancelled_scope_ends_at_once_every_time(on: HostUnderTest) -> None:
    """Cancelling is a level: each further wait raises again, until the scope is left."""

    async def main(host: Host) -> int:
        attempts = 0
        with host.open_cancel_scope() as scope:
            scope.cancel()
            for _ in range(3):
                try:
                    await host.park(Operation(host))
                except BaseException:  # noqa: BLE001 - each host has its own class for it
                    attempts += 1
            await host.cancel_point()
        assert scope.cancelled_caught
        return attempts

    assert on.run(main) == 3


def test_park_and_pause_start_a_new_quantum(on: HostUnderTest) -> None:
    """Whoever has just let the others run may again complete a quantum of operations at once."""

    async def main(host: Host) -> None:
        host.credit = 0
        await host.pause()
        assert host.credit == host.quantum > 1
        host.credit = 0
        op = Operation(host)
        host.call_at(host.now(), op.complete)
        await host.park(op)
        assert host.credit == host.quantum

    on.run(main)


# -- turns and cancel points


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


# -- time


def test_timers_fire_in_order_and_not_early(on: HostUnderTest) -> None:
    """By deadline, and among equal deadlines in the order of the calls. Row: SC5."""

    async def main(host: Host) -> None:
        start = host.now()
        fired: list[tuple[int, bool]] = []
        op = Operation(host)

        def at(number: int, delay: float) -> None:
            host.call_at(start + delay, lambda: fired.append((number, host.now() >= start + delay)))

        at(3, on.soon)
        at(1, on.soon / 2)
        at(4, on.soon)
        at(2, on.soon / 2)
        host.call_at(start + on.soon, op.complete)
        await host.park(op)
        assert fired == [(1, True), (2, True), (3, True), (4, True)]

    on.run(main)


def test_cancel_of_a_timer_is_true_exactly_when_it_will_not_fire(on: HostUnderTest) -> None:
    """Before the deadline True and silent, afterwards False. Row: SC5."""

    async def main(host: Host) -> None:
        op = Operation(host)
        never = host.call_at(host.now() + on.soon / 2, lambda: op.complete("wrong"))
        fires = host.call_at(host.now() + on.soon, lambda: op.complete("right"))
        assert (never.cancel(), never.cancel()) == (True, False)
        await host.park(op)
        assert op.value == "right"
        assert not fires.cancel()

    on.run(main)


def test_a_deadline_claims_an_operation_as_any_other_does(on: HostUnderTest) -> None:
    """``op.expire`` on a timer ends the wait with TIMED_OUT. Row: E1."""

    async def main(host: Host) -> None:
        op = Operation(host)
        host.call_at(host.now() + on.soon, op.expire)
        await host.park(op)
        assert op.claim == TIMED_OUT

    on.run(main)


# -- background tasks and other threads


def test_a_background_task_ends_with_the_run(on: HostUnderTest) -> None:
    """``spawn`` outlives its caller but not the run; its finally blocks have run by then. Row: SC7."""
    log: list[str] = []

    async def main(host: Host) -> str:
        op = Operation(host)

        async def background() -> None:
            try:
                await host.park(op)
            finally:
                log.append("closed")

        async def parent() -> None:
            host.spawn(background, name="background")

        async with host.open_nursery() as nursery:
            nursery.start_soon(parent)
        await until(host, lambda: op.task)
        return "main"

    assert on.run(main) == "main"
    assert log == ["closed"]


def test_a_background_task_can_be_ended_and_says_whether_it_was_running(on: HostUnderTest) -> None:
    """``Handle.cancel`` is True for a task that runs, False for one that has ended. Row: SC7."""

    async def main(host: Host) -> None:
        op, ended = Operation(host), list[str]()

        async def forever() -> None:
            try:
                await host.park(op)
            finally:
                ended.append("forever")

        async def brief() -> None:
            ended.append("brief")

        running, over = host.spawn(forever), host.spawn(brief)
        await until(host, lambda: op.task is not None and ended == ["brief"])
        await host.pause()
        await host.pause()
        assert (running.cancel(), over.cancel()) == (True, False)
        await until(host, lambda: len(ended) == 2)

    on.run(main)


def test_another_thread_can_call_in(on: HostUnderTest) -> None:
    """``call_from_thread`` wakes the loop and runs the function on the loop's thread. Row: CH14."""

    async def main(host: Host) -> None:
        op = Operation(host)
        where: list[int] = []

        def inside() -> None:
            where.append(threading.get_ident())
            op.complete()

        thread = threading.Thread(target=lambda: host.call_from_thread(inside))
        thread.start()
        await host.park(op)
        thread.join()
        assert where == [threading.get_ident()]

    on.run(main)


def test_after_the_run_nobody_can_call_in(on: HostUnderTest) -> None:
    """The host says that it has ended, is found no more, and refuses. Rows: CH14, SC7."""
    hosts: list[Host] = []

    async def main(host: Host) -> None:
        hosts.append(host)
        assert find_host() is host
        assert not host.ended

    on.run(main)
    assert hosts[0].ended
    assert here.host is None
    assert find_host() is None
    with pytest.raises(WrongLoop):
        hosts[0].call_from_thread(lambda: None)


# -- the world


def test_a_readable_descriptor_calls_back_once(on: HostUnderTest) -> None:
    """Everybody who waits for one descriptor is called, each once; a watch that was taken back is not. Row: SE4."""
    reading, _ = on.pipe()

    async def main(host: Host) -> None:
        op = Operation(host)
        called: list[str] = []
        assert not host.fd_ready(reading, READ)
        kept = host.wait_fd(reading, READ, lambda: called.append("kept"))
        dropped = host.wait_fd(reading, READ, lambda: called.append("dropped"))
        assert dropped.cancel()
        await host.pause()
        on.make_readable(host, reading)
        await until(host, lambda: called)
        assert host.fd_ready(reading, READ)
        again = host.wait_fd(reading, READ, op.complete)
        await host.park(op)
        assert called == ["kept"]
        await host.pause()
        assert (kept.cancel(), again.cancel()) == (False, False)

    on.run(main)


def test_a_writable_descriptor_calls_back(on: HostUnderTest) -> None:
    """Readiness to write is told apart from readiness to read. Row: SE4."""
    _, writing = on.pipe()

    async def main(host: Host) -> None:
        op = Operation(host)
        on.make_writable(host, writing)
        host.wait_fd(writing, WRITE, op.complete)
        await host.park(op)

    on.run(main)


def test_a_signal_calls_back_until_the_handle_is_cancelled(on: HostUnderTest) -> None:
    """Each arrival calls each callback; afterwards the old handler is back. Row: SE4."""
    before = signal.getsignal(signal.SIGUSR1)

    async def main(host: Host) -> None:
        got: list[int] = []
        first = host.on_signal(signal.SIGUSR1, lambda: got.append(1))
        second = host.on_signal(signal.SIGUSR1, lambda: got.append(2))
        on.raise_signal(host, signal.SIGUSR1)
        await until(host, lambda: len(got) == 2)
        assert first.cancel()
        on.raise_signal(host, signal.SIGUSR1)
        await until(host, lambda: len(got) == 3)
        assert second.cancel()
        assert got == [1, 2, 2]

    on.run(main)
    assert signal.getsignal(signal.SIGUSR1) is before
