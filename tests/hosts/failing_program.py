# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Programs of the native host in which the n-th allocation fails, for many n; a process for test_native_failing.py.

    python failing_program.py FOLDER_OF_FAILING SCENARIO,SCENARIO,... STEP FIRST

runs each scenario for n = FIRST, FIRST + STEP, ... until no allocation failed, and prints one JSON object for it: how
many failed, and each complaint. A scenario books what it does on its elements, without an allocation.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from trio.testing import MockClock

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_OLDEST,
    UNLIMITED,
    After,
    CancelToken,
    ChannelClosed,
    DeadlineExceeded,
    OperationCancelled,
    Recv,
    Selector,
    Send,
    WouldBlock,
    channel,
    open_scope,
    run,
    select,
    sleep,
)
from kcoro_core.hosts.port import READ, current_host
from kcoro_native.threads import _pool, to_thread

Main = Callable[["Scene"], Awaitable[None]]

failing: Any = None
MOST = 20_000
ELEMENTS = 8
CHILDREN = 70  # more than the first size of a loop's queue
RUNS, TIMES = 10, 20  # how many n are looked at for leaks, and how often each in a round
ROUNDS = 12


class Element:
    """Something that is sent, and what became of it."""

    __slots__ = ("__weakref__", "back", "got", "sent")

    def __init__(self) -> None:
        self.sent = self.got = self.back = False


class Scene:
    """What a scenario has: elements, a pipe, and places for what it must not lose sight of."""

    def __init__(self) -> None:
        self.elements = [Element() for _ in range(ELEMENTS)]
        self.watched = [weakref.ref(element) for element in self.elements]
        self.channels: list[Any] = [None] * 4
        self.excused = 0  # elements that an error tells of: a receive that failed, or a hook
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self.reading)
        os.close(self.writing)

    async def send(self, ch: Any, i: int, **how: Any) -> None:
        """Send an element, and book it."""
        element = self.elements[i]
        await ch.send(element, **how)
        element.sent = True

    async def recv(self, ch: Any, **how: Any) -> None:
        """Receive an element, and book it; one that a receive failed with is with the error."""
        try:
            (await ch.recv(**how)).got = True
        except MemoryError:
            self.excused += 1
            raise

    def gave_back(self, element: Element, *_: Any) -> None:
        """The hook of channels."""
        element.back = True

    def lost(self) -> int:
        """Elements whose send succeeded, and which are nowhere."""
        for ch in self.channels:
            while ch is not None:
                try:
                    ch.try_recv().back = True
                except (WouldBlock, ChannelClosed):
                    break
        gone = sum(1 for element in self.elements if element.sent and not element.got and not element.back)
        twice = sum(1 for element in self.elements if element.got and element.back)
        return max(0, gone - self.excused) + twice


# -- tasks


async def spawn_in_a_scope(scene: Scene) -> None:
    count = 0

    async def child() -> None:
        nonlocal count
        count += 1
        await sleep(0)
        count += 1

    async with open_scope() as scope:
        for _ in range(CHILDREN):
            scope.launch(child)
    assert count == 2 * CHILDREN


async def spawn_in_a_nursery(scene: Scene) -> None:
    count = 0

    async def child() -> None:
        nonlocal count
        await current_host().pause()
        count += 1

    async with current_host().open_nursery() as nursery:
        for _ in range(CHILDREN):
            nursery.start_soon(child)
    assert count == CHILDREN


async def background_tasks(scene: Scene) -> None:
    host = current_host()
    handle = host.spawn(sleep, 100)
    await host.pause()
    assert handle.cancel()
    await host.pause()


async def a_child_fails(scene: Scene) -> None:
    async def fail() -> None:
        raise ValueError

    ch = scene.channels[0] = channel()
    try:
        async with open_scope() as scope:
            scope.launch(scene.recv, ch)
            scope.launch(fail)
    except ExceptionGroup as group:
        others = group.split(ValueError)[1]
        if others is not None:
            raise others from None


async def waiting_for_tasks(scene: Scene) -> None:
    async with open_scope() as scope:
        child = scope.launch(sleep, 1)
        scope.launch(sleep, 2)
        await child.wait()
        assert child.done
        await scope.wait_all()


async def cancel_who_waits(scene: Scene) -> None:
    ch = scene.channels[0] = channel()
    async with open_scope() as scope:
        for _ in range(5):
            scope.launch(scene.recv, ch)
        scope.launch(sleep, 100)
        await sleep(0)
        scope.cancel("enough")


async def a_shield_inside(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=2)
    host = current_host()

    async def child() -> None:
        try:
            await sleep(100)
        finally:
            with host.open_cancel_scope(shield=True):
                await sleep(1)
                await scene.send(ch, 0)

    with host.open_cancel_scope() as outer:
        async with open_scope() as scope:
            scope.launch(child)
            await sleep(0)
            outer.cancel()


# -- channels


async def _pass(scene: Scene, ch: Any, **how: Any) -> None:
    scene.channels[0] = ch

    async def feed() -> None:
        for i in range(ELEMENTS):
            await scene.send(ch, i, **how)

    async with open_scope() as scope:
        scope.launch(feed)
        for _ in range(ELEMENTS):
            await scene.recv(ch, **how)


async def rendezvous(scene: Scene) -> None:
    await _pass(scene, channel(on_undelivered=scene.gave_back))


async def buffered(scene: Scene) -> None:
    await _pass(scene, channel(BUFFERED, capacity=2, on_undelivered=scene.gave_back))


async def unlimited(scene: Scene) -> None:
    ch = scene.channels[0] = channel(UNLIMITED)
    for i in range(ELEMENTS):
        await scene.send(ch, i)
    for _ in range(ELEMENTS):
        await scene.recv(ch)


async def with_deadlines(scene: Scene) -> None:
    await _pass(scene, channel(), timeout=5)


async def deadlines_that_pass(scene: Scene) -> None:
    ch = scene.channels[0] = channel()
    for wait in (scene.recv(ch, timeout=1), scene.send(ch, 0, timeout=1)):
        with contextlib.suppress(DeadlineExceeded):
            await wait
    with contextlib.suppress(WouldBlock):
        await scene.recv(ch, timeout=0)


async def overflowing(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=2, overflow=DROP_OLDEST, on_undelivered=scene.gave_back)
    last = scene.channels[1] = channel(CONFLATED, on_undelivered=scene.gave_back)
    for i in range(4):
        await scene.send(ch, i)
        await scene.send(last, 4 + i)
    await scene.recv(last)


async def tries(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=1)
    ch.try_send(scene.elements[0])
    scene.elements[0].sent = True
    with contextlib.suppress(WouldBlock):
        ch.try_send(scene.elements[1])
    ch.try_recv().got = True
    with contextlib.suppress(WouldBlock):
        ch.try_recv()


async def close_with_waiters(scene: Scene) -> None:
    ch = scene.channels[0] = channel()

    async def child() -> None:
        with contextlib.suppress(ChannelClosed):
            await scene.recv(ch)

    async with open_scope() as scope:
        for _ in range(4):
            scope.launch(child)
        await sleep(0)
        ch.close("over")


async def cancel_a_channel(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=3, on_undelivered=scene.gave_back)

    async def child() -> None:
        with contextlib.suppress(ChannelClosed):
            for i in range(ELEMENTS):
                await scene.send(ch, i)

    async with open_scope() as scope:
        scope.launch(child)
        await sleep(0)
        ch.cancel("over")


async def iterate_to_the_end(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=2)

    async def feed() -> None:
        for i in range(ELEMENTS):
            await scene.send(ch, i)
        ch.close()

    async with open_scope() as scope:
        scope.launch(feed)
        async for element in ch:
            element.got = True


async def halves(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=1, on_undelivered=scene.gave_back)

    async def feed(sender: Any) -> None:
        with sender, contextlib.suppress(ChannelClosed):
            for i in range(3):
                await scene.send(sender, i)

    async with open_scope() as scope:
        scope.launch(feed, ch.sender())
        with ch.receiver() as receiver:
            async for element in receiver:
                element.got = True


# -- select


async def _choose(scene: Scene, choose: Callable[[Any, Any], Awaitable[Any]]) -> None:
    first = scene.channels[0] = channel()
    second = scene.channels[1] = channel(BUFFERED, capacity=1)

    async def feed(ch: Any, begin: int) -> None:
        for i in range(begin, begin + 3):
            await scene.send(ch, i)

    async with open_scope() as scope:
        scope.launch(feed, first, 0)
        scope.launch(feed, second, 3)
        for _ in range(6):
            try:
                (await choose(first, second)).value.got = True
            except MemoryError:
                scene.excused += 1
                raise


async def select_over_two(scene: Scene) -> None:
    await _choose(scene, lambda first, second: select(Recv(first), Recv(second)))


async def a_kept_selector(scene: Scene) -> None:
    kept: list[Any] = []

    async def choose(first: Any, second: Any) -> Any:
        if not kept:
            kept.append(Selector(Recv(first), Recv(second)))
        return await kept[0].wait()

    await _choose(scene, choose)


async def select_with_a_deadline(scene: Scene) -> None:
    first = scene.channels[0] = channel()
    second = scene.channels[1] = channel()
    won = await select(Recv(first), Send(second, scene.elements[0]), After(1))
    assert won.index == 2
    with contextlib.suppress(DeadlineExceeded):
        await select(Recv(first), timeout=1)


# -- tokens, time and the world


async def a_token(scene: Scene) -> None:
    ch = scene.channels[0] = channel()
    token = CancelToken()

    async def child() -> None:
        with contextlib.suppress(OperationCancelled):
            await scene.recv(ch, cancel=token)

    async with open_scope() as scope:
        for _ in range(3):
            scope.launch(child)
        scope.launch(token.wait)
        await sleep(0)
        token.child().trigger("inner")
        token.trigger("over")


async def sleepers(scene: Scene) -> None:
    async with open_scope() as scope:
        for i in range(5):
            scope.launch(sleep, 1 + i / 8)


async def timers(scene: Scene) -> None:
    host = current_host()
    fired = [False] * 3

    def fire(i: int) -> None:
        fired[i] = True

    handles = [host.call_at(host.now() + 1, lambda i=i: fire(i)) for i in range(3)]
    handles[1].cancel()
    await sleep(2)
    assert fired == [True, False, True]


async def a_call_in_a_thread(scene: Scene) -> None:
    assert await to_thread(len, "four") == 4


async def calls_from_a_thread(scene: Scene) -> None:
    ch = scene.channels[0] = channel()
    async with open_scope() as scope:
        scope.launch(to_thread, current_host().call_from_thread, ch.close)
        with contextlib.suppress(ChannelClosed):
            await scene.recv(ch)


async def a_descriptor(scene: Scene) -> None:
    host = current_host()
    os.write(scene.writing, b"x")
    told = channel(BUFFERED, capacity=1)
    scene.channels[3] = None

    def readable() -> None:
        os.read(scene.reading, 1)
        told.close()

    handle = host.wait_fd(scene.reading, READ, readable)
    try:
        with contextlib.suppress(ChannelClosed, DeadlineExceeded):  # late when the callback had no memory
            await told.recv(timeout=5)
    finally:
        handle.cancel()


async def a_signal(scene: Scene) -> None:
    told = channel(BUFFERED, capacity=1)
    handle = current_host().on_signal(signal.SIGUSR1, told.close)
    try:
        signal.raise_signal(signal.SIGUSR1)
        with contextlib.suppress(ChannelClosed):
            await told.recv(timeout=5)
    finally:
        handle.cancel()


async def a_generator_left_in_the_middle(scene: Scene) -> None:
    ch = scene.channels[0] = channel(BUFFERED, capacity=2)

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await scene.send(ch, 0)

    async for _ in numbers():
        break
    gc.collect()
    await sleep(0)


INSIDE: list[Main] = [
    spawn_in_a_scope,
    spawn_in_a_nursery,
    background_tasks,
    a_child_fails,
    waiting_for_tasks,
    cancel_who_waits,
    a_shield_inside,
    rendezvous,
    buffered,
    unlimited,
    with_deadlines,
    deadlines_that_pass,
    overflowing,
    tries,
    close_with_waiters,
    cancel_a_channel,
    iterate_to_the_end,
    halves,
    select_over_two,
    a_kept_selector,
    select_with_a_deadline,
    a_token,
    sleepers,
    timers,
    a_call_in_a_thread,
    calls_from_a_thread,
    a_descriptor,
    a_signal,
    a_generator_left_in_the_middle,
]
"""What fails inside a run that goes on."""
AROUND: list[Main] = [rendezvous, cancel_who_waits, sleepers, a_descriptor, background_tasks]
"""What fails anywhere in a run, from before its first step until after its last."""
SCENARIOS = {fn.__name__: (fn, False) for fn in INSIDE} | {f"run_of_{fn.__name__}": (fn, True) for fn in AROUND}


# -- the sweep


async def _healthy() -> None:
    """The loop can be used."""
    ch: Any = channel()

    async def child() -> None:
        await sleep(0.25)
        await ch.send(1)

    async with open_scope() as scope:
        scope.launch(child)
        assert await ch.recv(timeout=5) == 1


# What CPython makes of a lock, a thread or a frame object that it has no memory for.
IN_OTHER_WORDS = {
    "can't allocate lock",
    "can't start new thread",
    "error return without exception set",
    "a step of a task failed, and what it raised is not known",
}


def _is_memory_error(error: BaseException | None) -> bool:
    """A MemoryError, or only such in a group; or what was raised because of one."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_memory_error, error.exceptions))
    while error is not None:
        if isinstance(error, MemoryError) or str(error) in IN_OTHER_WORDS:
            return True
        if isinstance(error, SystemError) and str(error).startswith("<function "):  # a frame object, too
            return True
        error = error.__cause__ or error.__context__
    return False


class Sweep:
    """All n of one scenario."""

    def __init__(self, scenario: Main, around: bool) -> None:
        self.scenario = scenario
        self.around = around
        self.ended = 0  # runs that ended by what failed
        self.left_open: list[int] = []
        self.kept: list[int] = []
        self.complaints: list[str] = []
        self.unraisable: list[BaseException | None] = []
        sys.unraisablehook = lambda record: self.unraisable.append(record.exc_value)

    def once(self, n: int) -> bool:
        """One n; whether an allocation failed."""
        opened = descriptors()
        scene = Scene()
        failed, error = self._run_around(scene, n) if self.around else self._run_inside(scene, n)
        if error is not None and not (failed and _is_memory_error(error)):
            self.complain(n, f"raised {error!r} from {error.__cause__ or error.__context__!r}")
        del error
        scene.excused += self._check_reported(n)
        while _pool._open:  # a thread may have told the loop, and not have counted it yet
            time.sleep(0.001)
        if lost := scene.lost():
            self.complain(n, f"lost {lost} elements, or had them twice")
        scene.close()
        watched = scene.watched
        del scene
        gc.collect()
        if descriptors() > opened or any(ref() is not None for ref in watched):
            self.kept.append(n)
        return failed

    def _check_reported(self, n: int) -> int:
        """How many errors were reported; the hook that could not be told of an element is one."""
        count = len(self.unraisable)
        for error in self.unraisable:
            if not _is_memory_error(error):
                self.complain(n, f"reported {error!r}")
        self.unraisable.clear()
        return count

    def _run_inside(self, scene: Scene, n: int) -> tuple[bool, BaseException | None]:
        failed = False
        found: BaseException | None = None

        async def main() -> None:
            nonlocal failed, found
            failing.begin(n)
            try:
                await self.scenario(scene)
            except BaseException as error:  # noqa: BLE001 - looked at when the run has ended
                found = error
            failed = failing.end()
            await _healthy()

        try:
            run(main, host="native", clock=MockClock(autojump_threshold=0))
        except BaseException as error:  # noqa: BLE001 - the same
            failed = failing.end() or failed
            if not _is_memory_error(error):
                if _is_memory_error(found):
                    self.left_open.append(n)
                else:
                    self.complain(n, f"the loop ended by {error!r}, {found!r}")
            found = found or error
            self.ended += 1
        return failed, found

    def _run_around(self, scene: Scene, n: int) -> tuple[bool, BaseException | None]:
        def around() -> None:
            run(self.scenario, scene, host="native", clock=MockClock(autojump_threshold=0))

        answer, failed = failing.call(n, around)
        run(_healthy, host="native", clock=MockClock(autojump_threshold=0))
        return failed, answer

    def complain(self, n: int, what: str) -> None:
        """Something does not hold."""
        self.complaints.append(f"n={n}: {what}")


def descriptors() -> int:
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))


def leaks(sweep: Sweep, n: int) -> int:
    """Blocks of memory that runs leave behind which have been made often, at least; a leak is there in every round.

    Caches and free lists fill by and by, and some rounds later than others.
    """
    again = [i for i in range(0, n, max(1, n // RUNS)) if i not in sweep.kept]
    least = sys.maxsize
    for _ in range(ROUNDS):
        before = sys.getallocatedblocks()
        for i in again * TIMES:
            sweep.once(i)
        gc.collect()
        least = min(least, sys.getallocatedblocks() - before)
        if least < TIMES:  # one leak would leave more
            break
    return least


def sweep_over(name: str, step: int, first: int) -> dict[str, Any]:
    """One scenario, for all n or some."""
    sweep = Sweep(*SCENARIOS[name])
    for _ in range(3):
        sweep.once(MOST)
    n = first
    while sweep.once(n) and n < MOST:
        n += step
    grown = leaks(sweep, n) if step == 1 else 0
    counts = {"failures": (n - first) // step, "ended": sweep.ended, "grown": grown}
    return counts | {"left_open": sweep.left_open, "kept": sweep.kept, "complaints": sweep.complaints}


def main(folder: str, names: list[str], step: int, first: int) -> None:
    """Run scenarios, each for all n."""
    global failing  # noqa: PLW0603 - where it is, is known now
    sys.path.insert(0, folder)
    failing = importlib.import_module("failing")
    gc.collect()
    gc.freeze()
    gc.disable()
    for name in names:
        print(json.dumps({"scenario": name} | sweep_over(name, step, first)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4]))
