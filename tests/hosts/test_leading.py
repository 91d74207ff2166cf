# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A task that waits for what a watch brings may wait for the descriptor itself: it leads (``Host.park_watching``)."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing

from kcoro_core.hosts.port import AGAIN, READ, Handle, Host, current_host
from kcoro_core.hosts.trio import run
from kcoro_core.reference.waiter import Operation

Told = list[bytes]


class Line:
    """A pair of sockets; what arrives at one end is told by a watch, and decides the operations in order."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.told: Told = []
        self.heard = 0
        self.waiting: list[Operation] = []
        self.watch: Handle = host.wait_fd(self.here.fileno(), READ, self._hear)

    def _hear(self) -> object:
        self.heard += 1
        try:
            data = self.here.recv(100)
        except BlockingIOError:
            return AGAIN
        for one in data:
            self.told.append(bytes([one]))
            if self.waiting:
                self.waiting.pop(0).complete()
        return AGAIN

    async def ask(self) -> None:
        """Wait for the next byte."""
        op = Operation(self.host)
        self.waiting.append(op)
        await self.host.park_watching(op, self.watch)
        assert op.claim == 0


@contextmanager
def a_line() -> Iterator[Line]:
    line = Line(current_host())
    try:
        yield line
    finally:
        line.watch.cancel()
        line.here.close()
        line.there.close()


class Turns(trio.abc.Instrument):
    """Counts how often the loop was about to wait."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


def in_trio(main: Callable[..., Awaitable[Any]]) -> Callable[[], None]:
    """Run a law under trio, with a limit for what would hang."""

    def test() -> None:
        async def limited() -> None:
            with trio.fail_after(10):
                await main()

        run(limited)

    test.__doc__, test.__name__ = main.__doc__, main.__name__
    return test


@in_trio
async def test_who_leads_goes_on_in_the_turn_in_which_the_descriptor_was_ready() -> None:
    """One turn of the loop for each answer, where a task that is woken by the task of a watch needs two. Row: N1."""
    counts = []
    for leads in (True, False):
        with a_line() as line:
            turns = Turns()
            line.there.send(b"w")
            await line.ask()
            trio.lowlevel.add_instrument(turns)
            for _ in range(50):
                line.there.send(b"x")
                if leads:
                    await line.ask()
                else:
                    op = Operation(line.host)
                    line.waiting.append(op)
                    await line.host.park(op)
            trio.lowlevel.remove_instrument(turns)
            counts.append(turns.count)
            assert line.heard == 51, "nobody else hears of it"
    assert counts[0] <= 52
    assert counts[1] >= 100


@in_trio
async def test_what_comes_while_nobody_leads_is_told_by_the_watch() -> None:
    """Also right behind a lead, and again and again."""
    with a_line() as line:
        for _ in range(5):
            line.there.send(b"a")
            await line.ask()
            line.there.send(b"b")
            await trio.testing.wait_all_tasks_blocked()
        assert line.told == [b"a", b"b"] * 5


@in_trio
async def test_of_two_that_wait_one_leads_and_hears_for_both() -> None:
    """Who comes second parks; both are woken, in order."""
    with a_line() as line:
        order: list[str] = []

        async def ask(name: str) -> None:
            await line.ask()
            order.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "first")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask, "second")
            await trio.testing.wait_all_tasks_blocked()
            line.there.send(b"a")
            await trio.testing.wait_all_tasks_blocked()
            line.there.send(b"b")
        assert order == ["first", "second"]


@in_trio
async def test_an_operation_that_somebody_else_decides_ends_the_lead() -> None:
    """Whoever decides wakes the leader, and what comes then is told by the watch."""
    with a_line() as line:
        op = Operation(line.host)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.host.park_watching, op, line.watch)
            await trio.testing.wait_all_tasks_blocked()
            assert op.complete("by hand")
        line.there.send(b"a")
        await trio.testing.wait_all_tasks_blocked()
        assert line.told == [b"a"]


@in_trio
async def test_a_lead_that_begins_before_the_last_one_has_left_is_its_own() -> None:
    """A decided leader has a step to take still; the next one must not be ended by it."""
    with a_line() as line:
        first = Operation(line.host)
        done: list[str] = []

        async def second() -> None:
            await line.ask()
            done.append("second")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.host.park_watching, first, line.watch)
            await trio.testing.wait_all_tasks_blocked()
            first.complete()
            waiting = Operation(line.host)
            line.waiting.append(waiting)
            with trio.move_on_after(0.01):  # leads in the same turn, before the first one has run
                await line.host.park_watching(waiting, line.watch)
            line.waiting.clear()
            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            assert not done
            line.there.send(b"a")
        assert done == ["second"]


@in_trio
async def test_a_cancelled_leader_leaves_and_its_operation_is_given_up() -> None:
    """As with any park; the watch goes on."""
    with a_line() as line:
        op = Operation(line.host)
        with trio.move_on_after(0.01) as scope:
            await line.host.park_watching(op, line.watch)
        assert scope.cancelled_caught
        assert op.claim < 0
        line.there.send(b"a")
        await trio.testing.wait_all_tasks_blocked()
        assert line.told == [b"a"]


@in_trio
async def test_a_cancelled_leader_waits_for_an_answer_that_was_asked_for() -> None:
    """While a claim is under way the operation cannot be given up: success wins over the cancellation."""
    with a_line() as line:
        op = Operation(line.host)
        op.begin_claim(0)
        granted: list[object] = []
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def decide() -> None:
                    with trio.CancelScope(shield=True):
                        await trio.testing.wait_all_tasks_blocked()
                        scope.cancel()
                        await trio.testing.wait_all_tasks_blocked()
                        op.win_claim()
                        op.finish("granted")

                nursery.start_soon(decide)
                await line.host.park_watching(op, line.watch)
                granted.append(op.value)
        assert granted == ["granted"]


@in_trio
async def test_a_watch_that_ends_while_a_task_leads_lets_it_wait_on() -> None:
    """The task parks then, until somebody decides its operation."""
    with a_line() as line:
        op = Operation(line.host)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.host.park_watching, op, line.watch)
            await trio.testing.wait_all_tasks_blocked()
            line.watch.cancel()
            await trio.testing.wait_all_tasks_blocked()
            op.complete()


@in_trio
async def test_a_watch_whose_last_callback_wants_no_more_starts_anew() -> None:
    """Also when a leader has called it: whoever waits for the descriptor next is told."""
    with a_line() as line:
        line.watch.cancel()
        fd, told = line.here.fileno(), list[str]()
        op = Operation(line.host)

        def once() -> None:
            line.here.recv(100)
            op.complete()

        line.there.send(b"a")
        await line.host.park_watching(op, line.host.wait_fd(fd, READ, once))
        line.watch = line.host.wait_fd(fd, READ, lambda: told.append("again"))
        line.there.send(b"b")
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["again"]


@in_trio
async def test_a_descriptor_that_was_led_may_be_closed_and_its_number_used_again() -> None:
    """The next owner of the number hears of its own news, and nothing of the last one's."""
    numbers = set()
    for _ in range(4):
        with a_line() as line:
            numbers.add(line.here.fileno())
            line.there.send(b"a")
            await line.ask()
            line.watch.cancel()  # no turn between a lead, the end of the watch, and the next socket of this number
    assert len(numbers) == 1
    with a_line() as line:
        line.there.send(b"b")
        await trio.testing.wait_all_tasks_blocked()
        assert line.told == [b"b"]


@in_trio
async def test_a_descriptor_on_which_a_task_of_the_program_waits_is_not_led() -> None:
    """trio allows one waiter: the operation is parked on, and whoever waits there is left alone."""
    with a_line() as line:
        line.watch.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_readable, line.here.fileno())
            await trio.testing.wait_all_tasks_blocked()
            line.watch = line.host.wait_fd(line.here.fileno(), READ, lambda: AGAIN)
            op = Operation(line.host)
            nursery.start_soon(line.host.park_watching, op, line.watch)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            assert op.claim < 0
            op.complete()
            line.there.send(b"a")


@in_trio
async def test_leading_costs_one_descriptor_for_all_watches_of_a_run() -> None:
    """However many have been led."""

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    gc.collect()  # what tests before this one have left must not be closed meanwhile
    with a_line() as line:
        before = count()
        line.there.send(b"a")
        await line.ask()
        assert count() == before + 1
        with a_line() as other:
            other.there.send(b"a")
            await other.ask()
            assert count() == before + 3  # its two sockets
    assert count() == before - 1


def test_a_run_that_ends_while_a_background_task_leads_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """Background tasks of a run end in any order, and the common epoll with one of them."""

    lines: list[Line] = []

    async def main() -> None:
        line = Line(current_host())
        lines.append(line)
        for _ in range(3):  # the first of them leads
            trio.lowlevel.spawn_system_task(line.ask)
        await trio.testing.wait_all_tasks_blocked()

    run(main)
    for line in lines:
        line.here.close()
        line.there.close()
    assert not caplog.records


@pytest.mark.parametrize("signals", [1, 5])
def test_an_interrupt_ends_a_lead(signals: int) -> None:
    """Ctrl-C while the main task leads comes out of the run, and never in the middle of a callback."""
    import signal

    async def main() -> None:
        with a_line() as line:
            op = Operation(line.host)

            async def interrupt() -> None:
                await trio.testing.wait_all_tasks_blocked()
                for _ in range(signals):
                    signal.raise_signal(signal.SIGINT)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(interrupt)
                await line.host.park_watching(op, line.watch)

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)) as caught:
        run(main)
    assert "KeyboardInterrupt" in repr(caught.value)
