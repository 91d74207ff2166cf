# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Time: timers in order, no busy waiting, fair turns (rows SC5, SC6, SC12, X10)."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any, Final

import trio

from ...cancel import CancelToken
from ...channel import channel
from ...clauses import After, Recv
from ...config import settings
from ...errors import KcoroError, WouldBlock
from ...hosts.port import NOWHERE, current_host
from ...run import sleep
from ...scope import Task, open_scope
from ...select import select
from ...semantics import BUFFERED, RETURN, UNLIMITED
from .harness import Harness
from .registry import Group, Need, law

VIRTUAL = [Need.VIRTUAL_TIME]
HOUR: Final = 3600.0
# A task that watches by yielding stops after so many turns, so that a law that hangs is found by the clock.
BUSY: Final = 100_000


@law("SC5.timers-in-order", Group.LOOP, needs=VIRTUAL)
async def timers_in_order(h: Harness) -> None:
    """10,000 random timers fire in the order of their deadlines, each at its own, and equal ones in turn. Rows: SC5."""
    chance = random.Random(1)
    host = current_host()
    start = h.now()
    deadlines = [start + round(chance.random() * 100, 2) for _ in range(10_000)]
    fired: list[tuple[float, int]] = []
    late = 0.0

    def fire(i: int) -> None:
        nonlocal late
        late = max(late, host.now() - deadlines[i])
        assert host.now() >= deadlines[i]
        fired.append((deadlines[i], i))

    for i, deadline in enumerate(deadlines):
        host.call_at(deadline, partial(fire, i))
    await sleep(101)
    assert fired == sorted((deadline, i) for i, deadline in enumerate(deadlines))
    assert late < 1e-6


@law("SC5.cancel-tells-the-truth", Group.LOOP, needs=VIRTUAL)
async def cancel_tells_the_truth(h: Harness) -> None:
    """Cancelling a timer is True exactly when it does not fire, also inside the tick in which it is due. Rows: SC5."""
    chance = random.Random(2)
    host = current_host()
    fired: set[int] = set()
    handles: dict[int, Any] = {}
    cancelled: dict[int, bool] = {}

    def fire(i: int) -> None:
        fired.add(i)
        other = chance.randrange(2000)
        if other not in cancelled:
            cancelled[other] = handles[other].cancel()

    for i in range(2000):
        handles[i] = host.call_at(h.now() + chance.randrange(50), partial(fire, i))
    await sleep(100)
    assert any(cancelled.values())
    assert not all(cancelled.values())
    assert {i for i, true in cancelled.items() if true}.isdisjoint(fired)
    assert fired == set(range(2000)) - {i for i, true in cancelled.items() if true}


@law("X10.an-hour-is-nothing", Group.LOOP, needs=VIRTUAL)
async def an_hour_is_nothing(h: Harness) -> None:
    """Sleeps of hours pass on the virtual clock, and end exactly when they should. Rows: X10, SC5."""
    start = h.now()
    ends: list[float] = []

    async def nap(hours: float) -> None:
        await sleep(hours * HOUR)
        ends.append((h.now() - start) / HOUR)

    async with open_scope() as scope:
        for hours in (3, 1, 2.5):
            scope.launch(nap, hours)
    assert [round(end, 9) for end in ends] == [1, 2.5, 3]


@law("SC5.sleep", Group.LOOP, needs=VIRTUAL)
async def sleeping(h: Harness) -> None:
    """``sleep(0)`` lets the others run once; an infinite sleep ends only by cancellation. Rows: SC5, K7."""
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    async with h.tasks() as tasks:
        tasks.start(other)
        while not order:
            await sleep(0)
        endless = tasks.start(sleep, float("inf"))
        await sleep(1e6)
        assert endless.waits
        tasks.cancel()
    assert not endless.waits


class WakeUps(trio.abc.Instrument):
    """Counts how often trio's loop came back from waiting, and how often it ran a task."""

    def __init__(self) -> None:
        self.loops = 0
        self.steps = 0

    def after_io_wait(self, timeout: float) -> None:
        """The loop woke up."""
        self.loops += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task runs."""
        self.steps += 1


@law("SC6.no-busy-waiting", Group.LOOP, needs=[Need.VIRTUAL_TIME, Need.WAKE_UPS])
async def no_busy_waiting(h: Harness) -> None:
    """In a virtual hour with 100 waiters of each form the loop wakes up for the end of that hour only. Rows: SC6."""
    instrument = WakeUps()
    token = CancelToken()
    async with h.tasks() as tasks:
        for _ in range(100):
            ch: Any = channel()
            full: Any = channel(BUFFERED, 1)
            full.try_send(0)
            tasks.start(ch.recv)
            tasks.start(ch.recv, timeout=2 * HOUR)
            tasks.start(ch.recv, cancel=token)
            tasks.start(full.send, 1, timeout=2 * HOUR, cancel=token)
            tasks.start(select, Recv(ch), After(2 * HOUR), timeout=3 * HOUR, cancel=token)
            tasks.start(token.wait, 2 * HOUR)
            tasks.start(sleep, 2 * HOUR)
        await h.settle()
        trio.lowlevel.add_instrument(instrument)
        await sleep(HOUR)
        trio.lowlevel.remove_instrument(instrument)
        # One for the alarm of the hour, one for the task that it wakes, and what the mock clock needs to notice.
        assert instrument.loops <= 5
        assert instrument.steps <= 4
        tasks.cancel()


@law("SC6.no-busy-waiting-on-the-script-host", Group.LOOP, needs=VIRTUAL)
async def no_busy_waiting_by_steps(h: Harness) -> None:
    """In a virtual hour with 100 waiters of each form no waiter takes a step. Rows: SC6."""
    host: Any = current_host()
    token = CancelToken()
    async with h.tasks() as tasks:
        for _ in range(100):
            ch: Any = channel()
            tasks.start(ch.recv)
            tasks.start(ch.recv, timeout=2 * HOUR)
            tasks.start(ch.recv, cancel=token)
            tasks.start(select, Recv(ch), After(2 * HOUR))
        await h.settle()
        before = getattr(host, "steps", 0)
        await sleep(HOUR)
        assert getattr(host, "steps", 0) - before <= 2
        tasks.cancel()


@law("SC12.spinning-starves-nobody", Group.LOOP, needs=VIRTUAL)
async def spinning_starves_nobody(h: Harness) -> None:
    """Two tasks that only yield advance alike, within 10 percent. Rows: SC12."""
    current_host().random.seed(1)
    steps: Counter[str] = Counter()

    async def spin(name: str) -> None:
        while sum(steps.values()) < 20_000:
            steps[name] += 1
            await sleep(0)

    async with h.tasks() as tasks:
        for name in "ab":
            tasks.start(spin, name)
    assert abs(steps["a"] - steps["b"]) < 2000


_ended: Task[None] = Task("ended", NOWHERE)
_ended._end(None, None)
_running: Task[None] = Task("running", NOWHERE)
_empty = open_scope()

LOOPS: Final = {
    "send": lambda ch, closed: ch.send(0),
    "try": lambda ch, closed: channel().recv(timeout=0),
    "closed": lambda ch, closed: closed.recv(),
    "closed-try": lambda ch, closed: closed.send(0, timeout=0),
    "token": lambda ch, closed: ch.recv(cancel=_set()),
    "select": lambda ch, closed: select(After(0)),
    "select-try": lambda ch, closed: select(Recv(channel()), timeout=0),
    "select-closed": lambda ch, closed: select(Recv(closed)),
    "select-return": lambda ch, closed: select(Recv(closed), closed=RETURN),
    "select-token": lambda ch, closed: select(After(0), cancel=_set()),
    "token-wait": lambda ch, closed: _set().wait(),
    "token-wait-try": lambda ch, closed: CancelToken().wait(timeout=0),
    "task-wait": lambda ch, closed: _ended.wait(),
    "task-wait-try": lambda ch, closed: _running.wait(timeout=0),
    "wait-all": lambda ch, closed: _empty.wait_all(),
}


def _set() -> CancelToken:
    token = CancelToken()
    token.trigger()
    return token


@law("SC12.a-loop-of-quick-calls-starves-nobody", Group.LOOP, over=LOOPS, needs=VIRTUAL)
async def a_loop_of_quick_calls_starves_nobody(h: Harness, operation: Any) -> None:
    """Whatever ends at once, well or not, gives the others a turn after at most 64 in a row. Rows: SC12, CH2."""
    ch: Any = channel(UNLIMITED)
    closed: Any = channel()
    closed.close()
    budget = settings().checkpoint_budget
    longest = run = 0

    async def watch() -> None:
        nonlocal longest, run
        for _ in range(BUSY):
            longest, run = max(longest, run), 0
            await sleep(0)

    async with h.tasks() as tasks:
        tasks.start(watch)
        await sleep(0)
        for _ in range(1000):
            run += 1
            try:
                await operation(ch, closed)
            except KcoroError:
                pass
        tasks.cancel()
    # Trio shuffles each batch, so that two turns may meet; the script host picks by chance, and may pass one over.
    assert 0 < longest <= (budget + 1) * (2 if h.name.startswith("trio") else 20)


@law("SC12.strict-yields-each-time", Group.LOOP, needs=[Need.WAKE_UPS])
async def strict_yields_each_time(h: Harness) -> None:
    """Under plain trio.run each operation is a full checkpoint; under kcoro's own run each 64th is. Rows: SC12, K7."""
    ch: Any = channel(UNLIMITED)
    turns = 0
    stop = False

    async def watch() -> None:
        nonlocal turns
        for _ in range(BUSY):
            if stop:
                return
            turns += 1
            await trio.lowlevel.checkpoint()

    async with h.tasks() as tasks:
        tasks.start(watch)
        await trio.lowlevel.checkpoint()
        turns = 0
        for i in range(650):
            await ch.send(i)
        counted = turns
        stop = True
    strict = h.name == "trio-strict"
    assert 640 <= counted <= 660 if strict else 9 <= counted <= 12, counted


@law("SC12.an-operation-that-completes-does-not-yield", Group.LOOP, needs=[Need.WAKE_UPS])
async def an_operation_that_completes_does_not_yield(h: Harness) -> None:
    """Sync operations never give anybody else a turn: they may be used where nothing may happen in between.

    Rows: SC12.
    """
    ch: Any = channel(UNLIMITED)
    turns = 0

    async def watch() -> None:
        nonlocal turns
        for _ in range(BUSY):
            turns += 1
            await trio.lowlevel.checkpoint()

    async with h.tasks() as tasks:
        tasks.start(watch)
        await trio.lowlevel.checkpoint()
        before = turns
        for i in range(500):
            ch.try_send(i)
            ch.try_recv()
            try:
                ch.try_recv()
            except WouldBlock:
                pass
        assert turns == before
        tasks.cancel()
