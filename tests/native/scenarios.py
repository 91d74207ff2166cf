# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What programs do with the native engine, each in a run of its own that leaves nothing: for counts of what is left.

Run as a program, ``scenarios.py ROUNDS TIMES``, it prints how the interpreter's counts grew in each round, as JSON.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from kcoro_core import (
    BIASED,
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    RETURN,
    SKIP,
    UNBIASED,
    UNLIMITED,
    After,
    CancelToken,
    KcoroError,
    Recv,
    Selector,
    Send,
    Triggered,
    channel,
    dial,
    open_scope,
    plugins,
    portal,
    run,
    select,
    serve,
    sleep,
    task_dump,
    try_select,
)
from kcoro_core.hosts.port import READ, current_host
from kcoro_core.hosts.script import Deadlock
from kcoro_core.semantics import ClosedRule, Kind, Overflow, Undelivered
from kcoro_native import _native

__all__ = ["SCENARIOS", "growth"]

KINDS: list[dict[str, Any]] = [
    {"kind": RENDEZVOUS},
    {"kind": BUFFERED, "capacity": 2},
    {"kind": UNLIMITED},
    {"kind": CONFLATED},
]
REFUSED = (
    *(KcoroError, TypeError, ValueError, RuntimeError, AssertionError, AttributeError, OverflowError, LookupError),
    *(StopIteration, ExceptionGroup),
)


def refused(call: Callable[..., object], *args: Any) -> None:
    """It may be an error, and that is what the scenario is about."""
    with contextlib.suppress(*REFUSED):
        call(*args)


async def given_up(what: Awaitable[object]) -> None:
    """Awaited, it may be an error."""
    with contextlib.suppress(*REFUSED):
        await what


# -- tasks, scopes and time


async def children() -> None:
    """Launched, started, named, failing, and looked at."""

    async def fail() -> None:
        await current_host().pause()
        raise LookupError

    async with open_scope() as scope:
        tasks = [scope.launch(sleep, 0), scope.launch(given_up, sleep(0), name="named")]
        scope.start_soon(sleep, 0)
        await tasks[0].wait()
        await scope.wait_all()
        refused(tasks[1].result)
        repr(current_host().tasks())  # type: ignore[attr-defined]
    with contextlib.suppress(ExceptionGroup):
        async with open_scope() as scope:
            scope.launch(fail)
            scope.launch(sleep, 1000)
    refused(scope.launch, sleep, 0)


async def scopes() -> None:
    """Nested, cancelled, shielded, and with a deadline."""
    host = current_host()
    async with host.open_nursery() as outer:
        outer.start_soon(channel().recv)
        async with host.open_nursery() as inner:
            inner.start_soon(sleep, 1000)
            await host.pause()
            with host.open_cancel_scope(shield=True) as shield:
                inner.cancel_scope.cancel()
                await host.pause()
                shield.cancel()
        outer.cancel_scope.cancel()
    async with open_scope() as scope:
        scope.launch(channel().recv)
        await host.pause()
        scope.cancel("reason")


async def timers() -> None:
    """Slept, fired, cancelled, and timed out."""
    host = current_host()
    handles = [host.call_at(host.now() + when, list) for when in (0.0, 0.0, 1000.0)]
    await sleep(1e-6)
    handles[2].cancel()
    host.call_at(host.now() + 1000, list)  # left behind
    await given_up(channel().recv(timeout=1e-6))
    await given_up(channel().send("x", timeout=0))
    await given_up(select(Recv(channel()), After(1e-6)))


async def tokens() -> None:
    """Parents and children, subscriptions, and waits that end by them."""
    parent = CancelToken()
    child, deaf = parent.child(), CancelToken(parent)
    deaf.on_trigger(list).cancel()
    child.on_trigger(list)
    async with open_scope() as scope:
        for wait in (channel().recv(cancel=child), channel().send("x", cancel=parent), deaf.wait()):
            scope.launch(given_up, wait)
        scope.launch(given_up, select(Recv(channel()), Triggered(child)))
        await current_host().pause()
        parent.trigger("reason")
    await given_up(channel().recv(cancel=child))


# -- channels


async def elements() -> None:
    """Through each kind, with either side waiting, by tries, and looked at."""
    for options in KINDS:
        ch: Any = channel(**options)
        async with open_scope() as scope:
            scope.launch(ch.send, ["first"])
            await ch.recv()
            receiving = scope.launch(ch.recv)
            await current_host().pause()
            await ch.send(["second"])
            await receiving.wait()
            refused(ch.try_recv)
            refused(ch.try_send, ["third"])
            repr(ch)
            ch.snapshot()


async def policies() -> None:
    """Dropped, replaced, cancelled and left behind, with a hook that is told, and one that fails."""
    told: list[object] = []

    def fails(*news: object) -> None:
        raise LookupError

    for hook in (lambda *news: told.append(news), fails, None):
        for options in (*KINDS, {"kind": BUFFERED, "capacity": 1, "overflow": DROP_OLDEST}):
            ch: Any = channel(**options, on_undelivered=hook)
            for n in range(3):
                refused(ch.try_send, [n])
            ch.cancel("reason")
            left: Any = channel(BUFFERED, 1, overflow=DROP_LATEST, on_undelivered=hook)
            left.try_send([4])
            left.try_send([5])
            del left


async def closes() -> None:
    """While senders and receivers wait, while one iterates, by the last half, and with a reason."""
    ch, full = channel(), channel(BUFFERED, 1)
    full.try_send(0)
    async with open_scope() as scope:
        for wait in (ch.recv(), ch.recv(), full.send(1)):
            scope.launch(given_up, wait)

        async def iterate() -> None:
            async for _ in full:
                await current_host().pause()

        await current_host().pause()
        ch.close(["reason"])
        full.close()
        scope.launch(iterate)
    await given_up(ch.recv())
    refused(ch.try_send, 1)


async def selects() -> None:
    """Every rule and mode: won, lost, refused, closed, over and over, and in both directions."""
    one, two, closed = channel(BUFFERED, 1), channel(), channel()
    closed.close("reason")
    selector = Selector(Recv(one), Recv(two), Send(two, ["x"]), mode=UNBIASED)
    async with open_scope() as scope:
        for _ in range(3):
            one.try_send(["x"])
            await selector.wait()
        waiting = scope.launch(select, Recv(one), Recv(two))
        await current_host().pause()
        await two.send(["y"])
        await waiting.wait()
        waiting = scope.launch(select, Send(two, ["z"]), Recv(one))
        await current_host().pause()
        await two.recv()
        for rule in (SKIP, RETURN):
            await given_up(select(Recv(closed), After(0), closed=rule))
        await given_up(select(Recv(closed), Recv(one), mode=BIASED))
        refused(try_select, Recv(one), Send(one, ["v"]))
        left = scope.launch(select, Recv(two), Send(channel(), "w"), After(1000))
        await current_host().pause()
        scope.cancel()
        del left


# -- the engine itself


class Owner:
    """A parker, borrower and keeper that does nothing."""

    def unpark(self, op: Any) -> None: ...
    def recall(self) -> None: ...
    def ask(self) -> None: ...
    def freed(self) -> None: ...
    def arrived(self) -> None: ...
    def drained(self) -> None: ...


def core(kind: Kind = Kind.BUFFERED, capacity: int | None = 4) -> Any:
    """A channel of the engine in use, without its face."""
    return plugins.engine().channel(kind, capacity, Overflow.SUSPEND, None)


async def shares() -> None:
    """Lent slots, filled and called back, questions, elements that are kept, put back and settled."""
    ch, owner, operation = core(), Owner(), plugins.engine().select.operation
    assert ch.lend(owner)
    ch.lend_slots(2)
    ch.fill(["x"])
    ch.send_now(["y"])
    ch.enqueue(operation(owner, True, ["y"]))
    ch.recv_now()
    asked = operation(owner)
    ch.ask(asked)
    ch.answered()
    ch.end_lending()
    ch.send_now(["ahead"])
    assert ch.keep(owner)
    ch.take_ahead()
    ch.settle_ahead(1, [["back"]])
    ch.recv_now()
    ch.enqueue(operation(owner))
    ch.end_keeping()
    ch.send_now(["z"])
    ch.recv_now()
    ch.hand_out()
    ch.settle(1, [["back"]])
    list(ch.waiting(True))
    ch.lend(Owner())
    ch.keep(Owner())
    ch.cancel()


async def mistakes() -> None:
    """Every method of the engine's objects with every kind of argument; half of them stand in a queue meanwhile."""
    made, owner = plugins.engine().select, Owner()
    odd: list[Any] = [None, -1, 2**70, "x", [], owner, ClosedRule.SKIP, Undelivered.CANCELLED, made.operation(owner)]
    select_op = made.select(ClosedRule.RAISE, 2)
    things = [core(), core(Kind.RENDEZVOUS, None), made.operation(owner), select_op, made.arm(select_op, 0, True, [1])]
    things[1].enqueue(things[2])
    things[1].enqueue(things[4])
    for thing in things:
        for name in [name for name in dir(thing) if not name.startswith("_")]:
            for args in ((), *((one,) for one in odd), (odd[0], odd[1]), (2, odd[4])):
                if callable(getattr(thing, name)):
                    refused(getattr(thing, name), *args)
            if not callable(getattr(thing, name)):
                refused(setattr, thing, name, odd[4])
    refused(type(things[0]))
    refused(type(things[2]))
    refused(made.arm, owner, 0)


async def awaited_twice() -> None:
    """By two tasks, by hand, and not at all."""
    host = current_host()
    for make in (channel().recv, lambda: sleep(1e-6), host.pause):
        what: Any = make()
        async with open_scope() as scope:
            scope.launch(given_up, what)
            scope.launch(given_up, what)
            await host.pause()
            scope.cancel()
        by_hand = make().__await__()  # type: ignore[attr-defined]
        refused(next, by_hand)
        refused(by_hand.throw, LookupError())
        by_hand.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        channel().send("x")
        sleep(1)


# -- the world


async def threads() -> None:
    """Another thread sends, and calls what it must not."""
    ch, way_in = channel(), portal()

    def outside() -> None:
        way_in.send(ch, ["x"])
        refused(ch.try_recv)

    thread = threading.Thread(target=outside)
    thread.start()
    await ch.recv()
    while thread.is_alive():
        await sleep(1e-5)
    thread.join()


async def descriptors() -> None:
    """Watched, ready, and given up."""
    host, (reading, writing) = current_host(), os.pipe()
    watch = host.wait_fd(reading, READ, list)
    os.write(writing, b"x")
    await host.pause()
    watch.cancel()
    host.fd_ready(reading, READ)
    os.close(reading)
    os.close(writing)


async def generators() -> None:
    """Left in the middle: closed by the loop."""

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await current_host().pause()

    async for _ in numbers():
        break
    async with contextlib.aclosing(numbers()) as more:  # type: ignore[type-var]
        await anext(more)


async def stuck() -> None:
    """Nobody could wake it: the run ends, and closes who waits."""
    async with open_scope() as scope:
        scope.launch(channel().recv)
        scope.launch(select, Recv(channel()), Send(channel(), ["x"]))
        await channel().send(["y"])


async def links() -> None:
    """A server and two links in one process: by request, by lent slots, received ahead, selected, and lost."""
    jobs, results = channel(BUFFERED, 2), channel()
    async with (
        serve("mem:drift", {"jobs": jobs, "results": results}),
        dial("mem:drift") as link,
        dial("mem:drift") as other,
        open_scope() as scope,
    ):
        tx, rx = await link.open("jobs", lend=True), await other.open("jobs", prefetch=2)
        plain: Any = await link.open("results")
        for n in range(5):
            scope.launch(tx.send, b"%d" % n)
        for _ in range(4):
            await rx.recv()
        await jobs.recv()
        selecting = scope.launch(select, Recv(plain), Recv(rx))
        await current_host().pause()
        await results.send(b"x")
        await selecting.wait()
        await given_up(plain.recv(timeout=1e-4))
        refused(tx.try_recv)
        scope.launch(given_up, plain.recv())
        await current_host().pause()
        scope.cancel()


async def dumps() -> None:
    """Of tasks in every kind of wait."""
    async with open_scope() as scope:
        for wait in (channel().recv(), channel().send("x"), sleep(1000), CancelToken().wait()):
            scope.launch(given_up, wait)
        scope.launch(select, Recv(channel()), After(1000))
        await current_host().pause()
        str(task_dump())
        task_dump().as_data()
        scope.cancel()


def of_stacks() -> tuple[Callable[[], Awaitable[None]], ...]:
    """Those of functions with stacks of their own, on a version of Python that has these."""
    if _native._no_stackful() is not None:
        return ()
    from scenarios_of_stacks import OF_STACKS  # beside this program

    return OF_STACKS


SCENARIOS: dict[str, Callable[[], Awaitable[None]]] = {
    scenario.__name__: scenario
    for scenario in (
        *(children, scopes, timers, tokens, elements, policies, closes, selects, shares, mistakes, awaited_twice),
        *(threads, descriptors, generators, stuck, links, dumps, *of_stacks()),
    )
}


def once(name: str) -> None:
    """Run a scenario on the native host."""
    with contextlib.suppress(Deadlock):
        run(SCENARIOS[name], host="native")


def counts() -> tuple[int, int]:
    """References, where the interpreter counts all of them, and blocks of memory."""
    while gc.collect():  # finalizers of what was found may leave more to be found
        pass
    total: Callable[[], int] = getattr(sys, "gettotalrefcount", lambda: 0)
    return total(), sys.getallocatedblocks()


def growth(name: str, rounds: int, times: int) -> list[tuple[int, int]]:
    """How the counts grew in each round of so many runs, after one round that is not counted."""
    grown: list[tuple[int, int]] = [(0, 0)] * (rounds + 1)  # room first: the list itself is counted, too
    for number in range(rounds + 1):
        before = counts()
        for _ in range(times):
            once(name)
        after = counts()
        grown[number] = (after[0] - before[0], after[1] - before[1])
    return grown[1:]


def main() -> None:
    """Measure every scenario, or those named behind the two numbers."""
    sys.unraisablehook = lambda record: None
    rounds, times = map(int, sys.argv[1:3])
    print(json.dumps({name: growth(name, rounds, times) for name in sys.argv[3:] or SCENARIOS}))  # noqa: T201


if __name__ == "__main__":
    main()
