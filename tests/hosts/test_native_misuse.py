# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the native host does with a wait that is not awaited once, by one task: an error, and nobody else is hurt."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import types
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    CancelToken,
    ChannelClosed,
    ClosedRule,
    Recv,
    Selector,
    WrongLoop,
    channel,
    open_scope,
    run,
    select,
    sleep,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.script import Deadlock
from kcoro_core.reference.waiter import Operation
from kcoro_native._native import Loop, Nursery, Scope
from kcoro_native._native import Scheduler as NativeScheduler

# -- one awaitable, and two tasks


def by_two(make: Callable[[], Awaitable[Any]], wake: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Await one thing in two tasks, then wake it: what each got."""
    log: list[Any] = []

    async def wait(what: Awaitable[Any], name: str) -> None:
        try:
            log.append((name, await what))
        except RuntimeError as error:
            log.append((name, str(error).partition(":")[0]))

    async def main() -> None:
        what = make()
        async with open_scope() as scope:
            scope.launch(wait, what, "first")
            scope.launch(wait, what, "second")
            for _ in range(4):
                await current_host().pause()
            await wake()

    run(main, host="native")
    return log


REFUSED = ("second", "this is being awaited already")


WAITS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "recv": lambda ch: ch.recv(),
    "send": lambda ch: ch.send(1),
    "recv-with-deadline": lambda ch: ch.recv(timeout=3600),
    "select": lambda ch: select(Recv(ch)),
    "selector": lambda ch: Selector(Recv(ch)).wait(),
    "sleep": lambda ch: sleep(3600),
    "token": lambda ch: CancelToken().wait(),
    "block": lambda ch: current_host().block(lambda: "news"),
    "pause": lambda ch: current_host().pause(),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_another_loop_inside_of_a_task_is_refused_and_its_wait_is_left(wait: Callable[[Any], Awaitable[Any]]) -> None:
    """The error reaches who awaited, nobody is counted as waiting, and the task goes on. Row: SC7."""

    async def inside(ch: Any) -> None:
        await wait(ch)

    async def main() -> Any:
        ch: Any = channel()
        with pytest.raises(RuntimeError, match="being awaited already"):
            asyncio.run(inside(ch))
        counted = ch.snapshot()
        assert (counted.waiting_senders, counted.waiting_receivers) == (0, 0)
        async with open_scope() as scope:
            scope.launch(ch.send, 42)
            await sleep(0.001)
            return await ch.recv()

    assert run(main, host="native") == 42


def test_another_loop_inside_of_a_task_may_do_what_need_not_wait() -> None:
    """What an operation has taken is its result, also where the others would have had a turn first."""

    async def inside(ch: Any) -> list[Any]:
        await ch.send(1)
        return [await ch.recv()]

    async def main() -> Any:
        ch: Any = channel(BUFFERED, capacity=1)
        got = asyncio.run(inside(ch))
        await sleep(0.001)
        return got

    assert run(main, host="native", strict_checkpoints=True) == [1]
    assert run(main, host="native") == [1]


def test_a_recv_is_awaited_by_one_task() -> None:
    """The second is refused, and the value reaches the first."""
    made: list[Any] = []

    def make() -> Awaitable[Any]:
        made.append(channel())
        return made[0].recv()  # type: ignore[no-any-return]

    assert by_two(make, lambda: made[0].send(42)) == [REFUSED, ("first", 42)]


def test_a_send_is_awaited_by_one_task() -> None:
    """The value is sent once."""
    made: list[Any] = []
    got: list[Any] = []

    def make() -> Awaitable[Any]:
        made.append(channel())
        return made[0].send(42)  # type: ignore[no-any-return]

    async def take() -> None:
        got.append(await made[0].recv())

    assert by_two(make, take) == [REFUSED, ("first", None)]
    assert got == [42]


def test_a_sleep_is_awaited_by_one_task() -> None:
    """The first wakes when its time has come."""

    async def nothing() -> None:
        pass

    assert by_two(lambda: sleep(0.002), nothing) == [REFUSED, ("first", None)]


def test_a_block_is_awaited_by_one_task() -> None:
    """Whoever wakes the first task wakes it."""

    async def wake() -> None:
        host = current_host()
        for task in host.tasks():
            if task.why is not None:
                host.wake(task)

    assert by_two(lambda: current_host().block(lambda: "news"), wake) == [REFUSED, ("first", None)]


@pytest.mark.parametrize("again", [False, True], ids=["one-await", "two-calls"])
def test_an_operation_parks_one_task(again: bool) -> None:
    """A second park of the same operation is refused, whether it is the same awaitable or another."""
    made: list[Any] = []

    class Anew:
        def __await__(self) -> Any:
            return current_host().park(made[0]).__await__()

    def make() -> Awaitable[Any]:
        made.append(Operation(current_host()))
        return Anew() if again else current_host().park(made[0])

    async def wake() -> None:
        made[0].complete()

    assert by_two(make, wake) == [REFUSED, ("first", None)]


def test_a_select_is_awaited_by_one_task() -> None:
    """What the channel gives goes to the first."""
    made: list[Any] = []

    def make() -> Awaitable[Any]:
        made.append(channel())
        made.append(current_host().plan([Recv(made[0])], ClosedRule.RAISE))
        return made[1].start(0)  # type: ignore[no-any-return]

    (refused, (name, selected)) = by_two(make, lambda: made[0].send(42))
    assert (refused, name, selected.value) == (REFUSED, "first", 42)


def test_who_has_a_turn_keeps_its_result() -> None:
    """A recv that lets the others run before it returns is not taken over by one of them."""
    log: list[Any] = []

    async def wait(what: Awaitable[Any]) -> None:
        try:
            log.append(await what)
        except RuntimeError as error:
            log.append(str(error).partition(":")[0])

    async def main() -> None:
        ch = channel(BUFFERED, 1)
        await ch.send(42)
        current_host().quantum = current_host().credit = 0
        what = ch.recv()
        async with open_scope() as scope:
            scope.launch(wait, what)
            scope.launch(wait, what)

    run(main, host="native")
    assert log == [REFUSED[1], 42]


# -- an awaitable that is stepped by hand


@types.coroutine
def step(what: Any, times: int = 1) -> Generator[Any, Any, Any]:
    """Step it so often, and yield nothing of that to the loop."""
    steps = what.__await__()
    for _ in range(times):
        next(steps)
    return steps
    yield


def hosted(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run it on the native host, and collect what is left."""
    try:
        return run(main, host="native")
    finally:
        gc.collect()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", ["recv", "pause", "sleep", "block", "checkpoint"])
def test_a_wait_without_a_yield_is_refused_or_forgotten(kind: str, times: int) -> None:
    """A second step is an error; a task that ends in the middle of a wait has ended, and the loop knows it no more."""
    kept: list[Any] = []
    others: list[str] = []

    async def child() -> None:
        host = current_host()
        made = {
            "recv": lambda: channel().recv(),
            "sleep": lambda: sleep(0.001),
            "pause": host.pause,
            "checkpoint": host.checkpoint,
            "block": lambda: host.block(lambda: "news"),
        }
        kept.append(await step(made[kind](), times))

    async def other() -> None:
        await sleep(0.003)
        others.append("went on")

    async def main() -> None:
        async with open_scope() as scope:
            scope.launch(other)
            scope.launch(child)

    if times == 1:
        hosted(main)
    else:
        with pytest.raises(ExceptionGroup) as caught:
            hosted(main)
        assert caught.group_contains(RuntimeError, match="being awaited already")
    assert len(kept) == (times == 1)
    assert others == (["went on"] if times == 1 else [])


def test_a_task_that_ends_after_it_was_woken_is_not_stepped_again() -> None:
    """It stands in the queue of the runnable at its end, and is taken out of it."""
    kept: list[Any] = []

    async def main() -> str:
        ch = channel()
        kept.append(await step(ch.recv()))
        ch.try_send("woken")
        return "end"

    assert hosted(main) == "end"


def test_a_wait_that_is_closed_is_over() -> None:
    """The task that stepped it can wait in something else, and a value goes to who waits then."""

    async def main() -> Any:
        ch = channel()
        for _ in range(3):
            (await step(ch.recv())).close()
            (await step(current_host().pause())).close()
        async with open_scope() as scope:
            scope.launch(ch.send, "value")
            return await ch.recv()

    assert hosted(main) == "value"


@pytest.mark.parametrize("decide", ["complete", "give_up", "revoke", "win"])
@pytest.mark.parametrize("sending", [True, False], ids=["send", "recv"])
def test_a_wait_that_was_decided_before_it_began_is_over(sending: bool, decide: str) -> None:
    """It is an operation, too; who awaits it is told, and the channel has nothing of it."""

    async def main() -> None:
        ch = channel(BUFFERED, 1)
        wait: Any = ch.send("value") if sending else ch.recv()
        getattr(wait, decide)()
        if decide == "win":
            wait.finish()
        with pytest.raises(RuntimeError, match="has ended"):
            await wait
        assert len(ch) == 0

    hosted(main)


class Held:
    """Something whose end can be seen."""


def test_an_error_that_ends_a_wait_keeps_nothing_alive() -> None:
    """Its traceback leads to frames that hold the wait, and the wait does not lead back to it."""
    gone: list[weakref.ref[Held]] = []

    async def child(wait: Awaitable[Any]) -> None:
        held = Held()
        gone.append(weakref.ref(held))
        with pytest.raises(ChannelClosed):
            await wait

    async def main() -> None:
        ch = channel()
        async with open_scope() as scope:
            scope.launch(child, ch.recv())
            scope.launch(child, ch.recv())
            await current_host().pause()
            ch.close("reason")

    hosted(main)
    assert [ref() for ref in gone] == [None, None]


@pytest.mark.parametrize("how", ["closed", "cancelled", "thrown"])
def test_a_send_that_came_to_nothing_is_found_with_its_value(how: str) -> None:
    """The value may lead to the wait, which is no reason to keep both."""
    gone: list[weakref.ref[Held]] = []

    async def child(ch: Any) -> None:
        value: Any = Held()
        value.wait = ch.send(value)
        gone.append(weakref.ref(value))
        if how == "thrown":
            steps = await step(value.wait)
            with pytest.raises(LookupError):
                steps.throw(LookupError())
            return
        with contextlib.suppress(ChannelClosed):
            await value.wait

    async def main() -> None:
        ch = channel()
        async with open_scope() as scope:
            scope.launch(child, ch)
            await current_host().pause()
            ch.close() if how == "closed" else scope.cancel()

    hosted(main)
    assert gone[0]() is None


@pytest.mark.parametrize("how", ["forgotten", "decided", "failed"])
@pytest.mark.filterwarnings("ignore:.*was never awaited")
def test_a_send_that_nobody_awaits_is_found_with_its_value(how: str) -> None:
    """Also when somebody has decided it by hand, and what it was given leads back to it."""
    gone: list[weakref.ref[Held]] = []

    async def main() -> None:
        value: Any = Held()
        gone.append(weakref.ref(value))
        value.wait = channel().send(value)
        if how == "decided":
            value.wait.complete(value)
        if how == "failed":
            assert value.wait.win()
            error: Any = LookupError()
            error.value = value
            value.wait.fail(error)

    hosted(main)
    gc.collect()
    assert gone[0]() is None


# -- what belongs to another task


def parked(log: list[Any]) -> Callable[[Any], Awaitable[None]]:
    """A child that waits for ever, and says how it ended."""

    async def child(ch: Any) -> None:
        try:
            log.append(await ch.recv())
        except BaseException as error:
            log.append(type(error).__name__)
            raise

    return child


def test_waking_a_task_does_not_end_its_recv() -> None:
    """Only what it waits for does, whatever is written into that."""
    log: list[Any] = []

    async def main() -> None:
        ch, host = channel(), current_host()
        async with open_scope() as scope:
            scope.launch(parked(log), ch)
            await host.pause()
            child = next(task for task in host.tasks() if task.wait is not None)
            host.wake(child)
            host.ready(child)
            await host.pause()
            await ch.send("value")

    hosted(main)
    assert log == ["value"]


def test_what_is_written_into_a_wait_harms_nobody_else() -> None:
    """`task` of an operation is the host's: with another object there it wakes nobody, which is a deadlock."""
    log: list[Any] = []

    async def main() -> None:
        ch, host = channel(), current_host()
        async with open_scope() as scope:
            scope.launch(parked(log), ch)
            await host.pause()
            child = next(task for task in host.tasks() if task.wait is not None)
            child.wait.task = 5
            await ch.send("for nobody")

    with pytest.raises(Deadlock):
        hosted(main)
    assert log == ["GeneratorExit"]


def test_a_coroutine_that_is_closed_behind_the_back_of_its_loop_is_an_error() -> None:
    """Its task ends, with an error that says so, instead of waiting for ever."""
    log: list[Any] = []

    async def main() -> None:
        host = current_host()
        async with open_scope() as scope:
            scope.launch(parked(log), channel())
            await host.pause()
            next(task for task in host.tasks() if task.wait is not None).coro.close()

    with pytest.raises(ExceptionGroup) as caught:
        hosted(main)
    assert caught.group_contains(RuntimeError)
    assert log == ["GeneratorExit"]


# -- schedulers, scopes and nurseries


def test_a_scheduler_with_timers_is_found_by_the_collector() -> None:
    """A timer that nobody cancelled does not keep its scheduler, nor what its function holds."""
    scheduler = NativeScheduler()
    gone = weakref.ref(scheduler)
    scheduler.call_at(1e12, scheduler.stats)
    del scheduler
    gc.collect()
    assert gone() is None


def test_a_timer_may_drive_the_loop() -> None:
    """What is due already fires once, after it."""
    scheduler, log = NativeScheduler(now=lambda: 1.0), []

    def callback() -> None:
        log.append(scheduler.drain())

    for _ in range(3):
        scheduler.call_at(0.0, callback)
    scheduler.drain()
    assert log == [0, 0, 0]


def test_a_scope_cannot_stand_around_itself() -> None:
    """Neither at once nor through others: it would never be found whether it is cancelled."""
    loop = Loop()
    outer, inner = Scope(loop), Scope(loop)
    inner.parent = outer
    for around in (outer, inner):
        with pytest.raises(ValueError, match="around itself"):
            outer.parent = around
    assert inner.parent is outer
    assert not inner.in_force()


def test_a_tree_of_scopes_may_be_deep() -> None:
    """Cancelling and freeing it need no stack."""
    loop = Loop()
    scopes = [Scope(loop)]
    for _ in range(200_000):
        scopes.append(Scope(loop))
        scopes[-1].parent = scopes[-2]
    scopes[0].cancel()
    assert scopes[-1].in_force()
    last = scopes.pop()
    scopes.clear()
    del last


def test_what_was_never_made_says_so() -> None:
    """An object without its `__init__` is refused."""
    with pytest.raises(RuntimeError, match="never made"):
        Nursery.__new__(Nursery).start_soon(sleep, 1)
    scope = Scope.__new__(Scope)
    with pytest.raises(RuntimeError, match="never made"):
        scope.cancel()
    with pytest.raises(RuntimeError, match="never made"):
        scope.parent = None


def test_a_run_is_ended_by_who_began_it() -> None:
    """A task that closes all tasks of its loop, or runs it once more, is refused, and the run goes on."""

    async def main() -> str:
        host = current_host()
        for call in (host._close_all, host._drive, host._give_up_the_rest):
            with pytest.raises(WrongLoop):
                call()
        with pytest.raises(RuntimeError):
            host.drain()
        return "end"

    assert hosted(main) == "end"


def test_a_turn_of_a_loop_that_is_gone_is_an_error() -> None:
    """What a host of an earlier run gave is refused in the next run."""
    kept: list[Any] = []

    async def first() -> None:
        kept.extend([current_host().pause(), current_host().checkpoint()])

    async def second() -> None:
        for wait in kept:
            with pytest.raises(RuntimeError, match="gone"):
                await wait

    hosted(first)
    hosted(second)


INTERPRETERS = """
import sys
from kcoro_core import channel, open_scope, run
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    other = interpreters.create("legacy")
else:
    import _xxsubinterpreters as interpreters
    other = interpreters.create(isolated=False)

async def main():
    ch = channel()
    async with open_scope() as scope:
        scope.launch(ch.send, "value")
        print(await ch.recv())

run(main, host="native")
failure = interpreters.run_string(other, '''if True:
    from kcoro_core import channel
    try:
        import kcoro_native._native
    except ImportError as error:
        print(error)
    print(type(channel()._core).__module__, flush=True)
''')
interpreters.destroy(other)
run(main, host="native")
"""


def test_another_interpreter_has_the_reference_engine() -> None:
    """The module is refused there, with what to do, and the main interpreter is untouched when the other one ends."""
    # Unbuffered: each interpreter has a buffer of its own for the same pipe.
    environment = {**os.environ, "KCORO_ENGINE": "auto"}  # whoever insists on native is told that it cannot be had
    done = subprocess.run(
        [sys.executable, "-u", "-c", INTERPRETERS], capture_output=True, text=True, timeout=60, env=environment
    )
    before, refused, engine, after = done.stdout.splitlines()
    assert (before, after) == ("value", "value"), done
    assert "subinterpreters" in refused or "main interpreter only" in refused
    assert engine == "kcoro_core.reference.channel"


CLEARED = """
import ctypes, gc, os
from kcoro_native._native import Loop

slot = ctypes.pythonapi.PyType_GetSlot
slot.restype, slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
TP_CLEAR = 51

def clear(thing):
    assert ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object)(slot(type(thing), TP_CLEAR))(thing) == 0

reading, writing = os.pipe()
loop, kept = Loop(), []
watches = [loop.wait_fd(reading, 1, kept.append) for _ in range(3)]
clear(loop)
clear(watches[0])
assert not watches[0].cancel()
assert watches[1].cancel()
assert not watches[1].cancel()
assert loop._watching == 1
another = loop.wait_fd(reading, 1, kept.append)
assert another.cancel()
assert loop._drive() is True
del watches, another
del loop
gc.collect()
print("alive", kept)
"""


def test_a_watch_may_be_cleared_after_its_loop() -> None:
    """The cycle collector takes any order, and finalizers may come in between; each watch then still ends once."""
    done = subprocess.run([sys.executable, "-c", CLEARED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive []\n"), done.stderr[-500:]
