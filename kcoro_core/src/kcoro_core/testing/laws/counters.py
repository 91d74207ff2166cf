# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Counters: what happened, counted exactly once, and read in constant time (rows CH15, M1, M2, M3)."""

from __future__ import annotations

import gc
import math
import random
import sys
from types import FrameType
from typing import Any, Final

from attrs import frozen

from ...cancel import CancelToken
from ...engine import Rates
from ...semantics import BUFFERED, DROP_OLDEST, UNLIMITED, Direction
from .harness import Call, Harness, raises
from .model import Model
from .registry import TRY_IS_LOCAL, Group, law
from .shapes import ALL, FULL_WAITS, Shape, shape

FAILURES: Final = ("would_block", "deadline", "cancelled", "closed")


@frozen
class Failure:
    """One way for one direction to fail on one shape."""

    made: Shape
    direction: Direction
    how: str

    def __str__(self) -> str:
        return f"{self.made}-{self.direction.value}-{self.how}"


PROVOKED: Final = {
    str(f): f
    for f in (Failure(made, direction, how) for made in ALL.values() for direction in Direction for how in FAILURES)
    # A sender that never waits can only find the channel closed, or its token set.
    if f.direction is Direction.RECV or f.how in ("cancelled", "closed") or f.made in FULL_WAITS.values()
}


@law("M3.each-failure-counts-one", Group.CHANNEL, over=PROVOKED)
async def each_failure_counts_one(h: Harness, case: Failure) -> None:
    """Each way to fail, on each kind and in each direction, adds exactly one to its own counter. Rows: M3, E1."""
    ch = await h.channel(case.made)
    sending = case.direction is Direction.SEND
    if sending and case.made in FULL_WAITS.values():
        for i in range(int(case.made.limit)):
            await ch.send(i)
    token = CancelToken()
    waits: dict[str, dict[str, Any]] = {"would_block": {"timeout": 0}, "deadline": {"timeout": h.tick}}
    how = waits.get(case.how, {})
    if case.how == "cancelled":
        token.trigger()
        how = {"cancel": token}
    if case.how == "closed":
        h.home(ch).close()
        await h.settle()
    call = await (h.outcome(ch.send, "v", **how) if sending else h.outcome(ch.recv, **how))
    await h.settle()
    state = h.home(ch).snapshot()
    assert call.error is not None
    assert {name: getattr(state, f"failed_{name}") for name in FAILURES} == {
        name: int(name == case.how) for name in FAILURES
    }


@law("M3.parked-failures-count-one", Group.CHANNEL, over=ALL)
async def parked_failures_count_one(h: Harness, made: Shape) -> None:
    """Calls that fail after they have waited are counted once each, the host's own cancellation too. Rows: M3, CH9."""
    ch = await h.channel(made)
    token = CancelToken()
    async with h.tasks() as others:
        async with h.tasks() as tasks:
            tasks.start(ch.recv)
            await h.waiting(ch, receivers=1)
            tasks.cancel()
        others.start(ch.recv, cancel=token)
        others.start(ch.recv, timeout=2 * h.tick)
        await h.waiting(ch, receivers=2)
        token.trigger()
        await h.ticks(3)
        others.start(ch.recv)
        await h.waiting(ch, receivers=1)
        h.home(ch).close()
    state = h.home(ch).snapshot()
    assert (state.failed_cancelled, state.failed_deadline, state.failed_closed) == (2, 1, 1)


@law("M1.counters-equal-a-model", Group.CHANNEL, over=ALL, local=TRY_IS_LOCAL)
async def counters_equal_a_model(h: Harness, made: Shape) -> None:
    """After any workload every counter equals that of a naive model of the channel. Rows: M1, M3, CH15."""
    for seed in range(20):
        chance = random.Random(seed)
        ch = await h.channel(made)
        model = Model(made)
        waiting: list[Call] = []
        async with h.tasks() as tasks:
            for step in range(60):
                match chance.choice("ssssrrrrSRwx" if step < 50 else "sr" + "c"):
                    case "s":
                        assert (await h.outcome(ch.send, step, timeout=0)).outcome == model.try_send(step)
                    case "r":
                        call = await h.outcome(ch.recv, timeout=0)
                        assert (call.outcome, call.value) == model.try_recv()
                    case "S" if made in FULL_WAITS.values():
                        waiting.append(tasks.start(ch.send, step))
                        await h.settle()
                        model.send(step)
                    case "R":
                        waiting.append(tasks.start(ch.recv))
                        await h.settle()
                        model.recv()
                    case "c":
                        ch.close()
                        model.close()
                await h.settle()
                assert model.counters() == _counters(h, ch), (seed, step)
            tasks.cancel()


def _counters(h: Harness, ch: Any) -> dict[str, int]:
    state = h.home(ch).snapshot()
    return {name: getattr(state, name) for name in Model.COUNTERS}


@law("CH15.waiters-and-peak", Group.CHANNEL, over=ALL)
async def waiters_and_peak(h: Harness, made: Shape) -> None:
    """The snapshot tells who waits now, and the largest length there ever was. Rows: CH15, M2."""
    ch = await h.channel(made)
    home = h.home(ch)
    async with h.tasks() as tasks:
        for _ in range(4):
            tasks.start(ch.recv)
        await h.settle()
        assert home.snapshot().waiting_receivers == 4
        for i in range(4):
            await ch.send(i, timeout=h.tick)
    await h.waiting(ch)
    for i in range(5):
        await h.outcome(ch.send, i, timeout=0)
    held = len(home)
    for _ in range(held):
        await ch.recv()
    state = home.snapshot()
    assert (state.peak_length, state.length, state.handoffs) == (held, 0, 4)
    assert (state.kind, state.overflow, state.capacity, state.closed) == (
        made.kind,
        made.overflow,
        made.capacity,
        False,
    )


@law("M2.snapshot-is-constant", Group.CHANNEL, local="the steps of the home's own snapshot are counted")
async def snapshot_is_constant(h: Harness) -> None:
    """A snapshot takes the same number of steps for a full channel with waiters as for an empty one. Rows: M2."""

    def steps(ch: Any) -> int:
        count = 0

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            nonlocal count
            count += 1
            return trace

        before, collects = sys.gettrace(), gc.isenabled()
        gc.disable()  # the steps of whatever is finalized meanwhile are not the snapshot's
        sys.settrace(trace)
        try:
            ch.snapshot()
        finally:
            sys.settrace(before)
            if collects:
                gc.enable()
        return count

    empty = await h.channel(shape(UNLIMITED))
    long = await h.channel(shape(UNLIMITED))
    for i in range(10_000):
        long.try_send(i)
    crowded = await h.channel(shape(BUFFERED))
    async with h.tasks() as tasks:
        for _ in range(100):
            tasks.start(crowded.recv)
        await h.waiting(crowded, receivers=100)
        assert steps(empty) == steps(long) == steps(crowded)
        tasks.cancel()


@law("M2.rates", Group.CHANNEL)
async def rates(h: Harness) -> None:
    """Two snapshots and the seconds between them give rates; the first counts from the beginning. Rows: M2."""
    ch = await h.channel(shape(BUFFERED, DROP_OLDEST, 2))
    for i in range(5):
        await ch.send(i)
    first = h.home(ch).snapshot()
    assert first.rates(2.0) == Rates(sent=2.5, received=0, dropped=1.5, handoffs=0, failed=0)
    assert [await ch.recv(), await ch.recv()] == [3, 4]
    for _ in range(2):
        await h.outcome(ch.recv, timeout=0)
    second = h.home(ch).snapshot()
    assert second.rates(0.5, first) == Rates(sent=0, received=4, dropped=0, handoffs=0, failed=4)
    assert second.failed == 2


@law("M2.rates-of-one-instant", Group.CHANNEL)
async def rates_of_one_instant(h: Harness) -> None:
    """Less than a microsecond counts as one, and a time that is none is refused. Rows: M2."""
    ch = await h.channel(shape(UNLIMITED))
    await ch.send("v")
    state = h.home(ch).snapshot()
    assert state.rates(0).sent == state.rates(1e-9).sent == state.rates(1e-6).sent == 1e6
    assert state.rates(0, state).sent == 0
    for wrong in (-1.0, math.nan):
        with raises(ValueError):
            state.rates(wrong)
