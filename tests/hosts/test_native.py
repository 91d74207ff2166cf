# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the native host promises beside the port: its manners towards programs, and their mistakes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import math
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from kcoro_core import (
    BUFFERED,
    UNLIMITED,
    After,
    CancelToken,
    ChannelClosed,
    OperationCancelled,
    Recv,
    Selector,
    WrongLoop,
    channel,
    open_scope,
    portal,
    run,
    select,
    sleep,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.script import Deadlock
from kcoro_core.reference.waiter import Operation


def jumping() -> trio.testing.MockClock:
    """A clock that jumps when everybody waits."""
    return trio.testing.MockClock(autojump_threshold=0)


# -- the end of a run


def test_a_deadlock_names_every_task_and_what_it_waits_for() -> None:
    """Where nothing could wake anybody the run ends, and its finally blocks have run. Row: C8."""
    closed: list[str] = []

    async def wait(ch: Any) -> None:
        try:
            await ch.recv()
        finally:
            closed.append("finally")

    async def main() -> None:
        async with open_scope() as scope:
            scope.launch(wait, channel(name="never"), name="the waiter")

    with pytest.raises(Deadlock) as caught:
        run(main, host="native")
    assert closed == ["finally"]
    assert "'the waiter' waits in recv() of <Channel 'never'" in str(caught.value)


def test_who_waits_for_a_thread_is_not_stuck() -> None:
    """As long as another thread could call in, the loop waits for it."""

    async def main() -> str:
        ch, way_in = channel(), portal()
        threading.Thread(target=lambda: (time.sleep(0.05), way_in.send(ch, "from outside"))).start()
        result: str = await ch.recv()
        return result

    assert run(main, host="native") == "from outside"


def test_an_infinite_sleep_is_a_deadlock_and_not_a_hang() -> None:
    """A timer that never fires wakes nobody."""

    async def main() -> None:
        await sleep(math.inf)

    with pytest.raises(Deadlock):
        run(main, host="native")


def test_a_run_that_fails_leaves_nothing_behind() -> None:
    """Tasks, their frames and the loop itself are free after the run. Row: SC7."""
    seen: list[weakref.ref[Any]] = []

    class Held:
        pass

    async def fail() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        seen.append(weakref.ref(current_host()))
        await sleep(0.001)
        raise LookupError

    async def main() -> None:
        async with open_scope() as scope:
            for _ in range(3):
                scope.launch(fail)

    with pytest.raises(ExceptionGroup):
        run(main, host="native", clock=jumping())
    gc.collect()
    assert len(seen) >= 2
    assert [ref() for ref in seen] == [None] * len(seen)


# -- turns


def test_nobody_who_waits_takes_a_step() -> None:
    """A hundred waiters of each form cost no step and no timer in an hour. Row: SC6."""

    async def main() -> None:
        host: Any = current_host()
        token, hour = CancelToken(), 3600.0
        async with host.open_nursery() as nursery:
            for _ in range(100):
                ch, other = channel(), channel()
                nursery.start_soon(ch.recv)
                nursery.start_soon(ch.recv, 2 * hour)
                nursery.start_soon(ch.recv, None, token)
                nursery.start_soon(select, Recv(ch), Recv(other))
                nursery.start_soon(select, Recv(ch), After(2 * hour))
                nursery.start_soon(token.wait, 2 * hour)
                nursery.start_soon(sleep, 2 * hour)
            await sleep(0.001)
            before = host.stats()
            await sleep(hour)
            after = host.stats()
            nursery.cancel_scope.cancel()
        assert (after.steps - before.steps, after.timers_fired - before.timers_fired) == (1, 1)

    run(main, host="native", clock=jumping())


@pytest.mark.parametrize("operation", ["send", "recv", "iteration", "selector", "select", "closed"])
@pytest.mark.parametrize("strict", [False, True])
def test_what_completes_at_once_gives_a_turn_after_each_quantum(operation: str, strict: bool) -> None:
    """Exactly one turn for 65 operations in a row, or for each one where checkpoints are strict. Row: SC12."""
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += 1
            await current_host().checkpoint()

    async def main() -> int:
        full, empty, closed = channel(UNLIMITED), channel(UNLIMITED), channel()
        for n in range(1000):
            full.try_send(n)
        closed.close()
        selector = Selector(Recv(full))

        async def refused() -> None:
            with contextlib.suppress(ChannelClosed):
                await closed.recv()

        once: Callable[[], Awaitable[Any]] = {
            "send": lambda: empty.send(0),
            "recv": full.recv,
            "iteration": full.__anext__,
            "selector": selector.wait,
            "select": lambda: select(Recv(full)),
            "closed": refused,
        }[operation]
        async with current_host().open_nursery() as nursery:
            nursery.start_soon(watch)
            await current_host().pause()
            before = turns
            for _ in range(650):
                await once()
            nursery.cancel_scope.cancel()
            return turns - before

    assert run(main, host="native", strict_checkpoints=strict) == (650 if strict else 10)


@pytest.mark.parametrize("operation", ["recv", "selector", "sleep"])
def test_whoever_has_waited_starts_a_new_quantum(operation: str) -> None:
    """The others had their turn while it waited. Row: SC12."""

    async def main() -> None:
        host, ch = current_host(), channel()
        waits: Callable[[], Awaitable[Any]] = {
            "recv": ch.recv,
            "selector": Selector(Recv(ch)).wait,
            "sleep": lambda: sleep(0.001),
        }[operation]
        async with host.open_nursery() as nursery:
            if operation != "sleep":
                nursery.start_soon(ch.send, 1)
            host.credit = 0
            await waits()
            assert host.credit >= host.quantum - 1  # the send of the other one has spent what it cost

    run(main, host="native", clock=jumping())


def test_an_operation_that_was_decided_before_it_is_parked_ends_at_once() -> None:
    """Who wakes it first leaves word of that, and nothing waits for ever."""

    async def main() -> object:
        host = current_host()
        op = Operation(host)
        assert op.complete("early")
        await host.park(op)
        return op.value

    assert run(main, host="native") == "early"


# -- mistakes of a program


def test_awaiting_a_thing_of_asyncio_says_what_to_do() -> None:
    """The error is raised at that await, and the run goes on."""

    async def main() -> str:
        loop = asyncio.new_event_loop()
        try:
            await loop.create_future()
        except TypeError as error:
            return str(error)
        finally:
            loop.close()
        return "?"

    text = run(main, host="native")
    assert "another loop" in text
    assert "run(main, host=...)" in text


def test_awaiting_a_thing_of_trio_is_an_error() -> None:
    """Trio's own operations need trio's loop, and say so."""

    async def main() -> None:
        await trio.sleep(1)

    with pytest.raises(RuntimeError, match="async context"):
        run(main, host="native")


def test_an_operation_that_is_not_awaited_warns_and_does_nothing() -> None:
    """As a coroutine does: the value is not sent."""

    async def main() -> int:
        ch = channel(BUFFERED, 1)
        with pytest.warns(RuntimeWarning, match="was never awaited"):
            ch.send(1)
        with pytest.warns(RuntimeWarning, match="was never awaited"):
            sleep(1)
        return len(ch)

    assert run(main, host="native") == 0


def test_a_loop_inside_a_loop_is_refused() -> None:
    """Rows: CH14."""

    async def main() -> None:
        with pytest.raises(WrongLoop, match="running in this thread already"):
            run(sleep, 0, host="native")

    run(main, host="native")


def test_a_channel_of_another_thread_is_refused() -> None:
    """The other loop is told, and its own channel is untouched. Row: CH14."""
    problems: list[str] = []

    async def other(ch: Any) -> None:
        for call in (lambda: ch.send(1), ch.recv):
            try:
                await call()
            except WrongLoop as error:
                problems.append(type(error).__name__)

    async def main() -> None:
        ch = channel()
        async with open_scope() as scope:
            waiter = scope.launch(ch.recv)
            await sleep(0)
            thread = threading.Thread(target=lambda: run(other, ch, host="native"))
            thread.start()
            while thread.is_alive():
                await sleep(0.001)
            await ch.send("mine")
            await waiter.wait()
            assert waiter.result() == "mine"

    run(main, host="native")
    assert problems == ["WrongLoop"] * 2


def test_a_channel_of_a_run_that_is_over_belongs_to_the_next_one() -> None:
    """Whether somebody has waited at it or not, and for both directions and a select. Row: CH14."""

    async def wait(ch: Any) -> None:
        async with current_host().open_nursery() as nursery:
            nursery.start_soon(ch.recv)
            await ch.send(0)
            await ch.send(1)

    async def use(ch: Any) -> list[Any]:
        await ch.send(2)
        won = await Selector(Recv(ch)).wait()
        return [won.value, await ch.recv()]

    ch = channel(BUFFERED, 2)
    run(wait, ch, host="native")
    assert run(use, ch, host="native") == [1, 2]


def test_what_cannot_be_awaited_is_no_task() -> None:
    """``start_soon`` of a plain function is a TypeError at that call."""

    async def main() -> None:
        async with current_host().open_nursery() as nursery:
            with pytest.raises(TypeError, match="cannot be awaited"):
                nursery.start_soon(lambda: 1)  # type: ignore[arg-type, return-value]
            with pytest.raises(TypeError, match="no keyword"):
                nursery.start_soon(sleep, seconds=0)  # type: ignore[call-arg]

    run(main, host="native")


# -- children of scopes


def test_a_launched_child_is_what_it_is_on_every_host() -> None:
    """Its number, name, result and error, and who waits for it; whatever the function is. Row: K4."""

    async def double(n: int, plus: int = 0) -> int:
        await sleep(0.001)
        return 2 * n + plus

    async def fail() -> None:
        raise LookupError

    class Same:
        async def __call__(self, n: int) -> int:
            return n

    async def main() -> list[Any]:
        async with open_scope() as scope:
            plain, named = scope.launch(double, 1), scope.launch(double, 2, name="two")
            others = [scope.launch(functools.partial(double, plus=1), 3), scope.launch(Same(), 4)]
            assert (plain.done, plain.id < named.id, named.name) == (False, True, "two")
            assert plain.name.endswith("double")
            assert "running" in repr(plain)
            await named.wait()
            await scope.wait_all()
            seen = [task.result() for task in (plain, named, *others)]
        with pytest.raises(ValueError, match="not open"):
            scope.launch(double, 1)
        with pytest.RaisesGroup(LookupError):
            async with open_scope() as scope:
                failing, cancelled = scope.launch(fail), scope.launch(double, 5)
        seen.append(type(failing.error))
        with pytest.raises(OperationCancelled):
            cancelled.result()
        return seen

    assert run(main, host="native", clock=jumping()) == [2, 4, 7, 4, LookupError]


def test_arguments_that_do_not_fit_are_the_error_of_the_child() -> None:
    """As on every host: the call of the function is the child's, and so is its TypeError. Row: K4."""

    async def one(_n: int) -> None:
        pass

    async def main() -> None:
        async with open_scope() as scope:
            task = scope.launch(one)  # type: ignore[call-arg]
            assert not task.done

    with pytest.RaisesGroup(TypeError):
        run(main, host="native")


def test_nothing_is_launched_in_a_scope_that_is_cancelled() -> None:
    """Rows: K4, K7."""

    async def main() -> None:
        async with open_scope() as scope:
            scope.cancel("enough")
            with pytest.raises(OperationCancelled, match="enough"):
                scope.launch(sleep, 1)
            with pytest.raises(OperationCancelled, match="enough"):
                scope.launch(main)

    run(main, host="native")


# -- asynchronous generators


def test_a_generator_that_is_left_in_the_middle_is_closed() -> None:
    """Its finally block runs in the run, whether the collector finds it or the run ends."""
    closed: list[str] = []

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await sleep(0)
            closed.append(name)

    async def main() -> None:
        async for _ in numbers("dropped"):
            break
        gc.collect()
        await sleep(0.001)
        assert closed == ["dropped"]
        held.append(numbers("held"))
        await held[0].__anext__()

    held: list[Any] = []
    run(main, host="native", clock=jumping())
    assert closed == ["dropped", "held"]


# -- cancellation in C


def test_cancelling_reaches_what_is_inside_and_stops_at_a_shield() -> None:
    """A cancelled scope interrupts its own tasks, however they are nested, and nobody else's. Row: K4."""
    log: list[str] = []
    end_of_shield = channel()

    async def wait(name: str, ch: Any, shield: bool = False) -> None:
        try:
            with current_host().open_cancel_scope(shield=shield):
                await ch.recv()
            await current_host().cancel_point()
        finally:
            log.append(name)

    async def inside(nursery: Any) -> None:
        nursery.start_soon(wait, "inside", channel())
        async with current_host().open_nursery() as deeper:
            deeper.start_soon(wait, "deeper", channel())
            deeper.start_soon(wait, "shielded", end_of_shield, True)

    async def main() -> None:
        host = current_host()
        async with host.open_nursery() as outer:
            outer.start_soon(wait, "outside", channel())
            async with host.open_nursery() as inner:
                inner.start_soon(inside, inner)
                await sleep(0.001)
                inner.cancel_scope.cancel()
                with host.open_cancel_scope(shield=True):
                    await sleep(0.001)
                    assert sorted(log) == ["deeper", "inside"]
                    await end_of_shield.send("end")
            assert sorted(log) == ["deeper", "inside", "shielded"]
            outer.cancel_scope.cancel()

    run(main, host="native", clock=jumping())
    assert log[-1] == "outside"
