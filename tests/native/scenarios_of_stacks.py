# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What programs do with functions that have stacks of their own, for ``scenarios.py``: stackful ones, and coroutines.

Each leaves nothing: what is still waiting at its end was dropped on purpose, and is freed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from kcoro_core import Coroutine, CoroutineState, KcoroError, Recv, channel, open_scope, select, sleep, task_dump
from kcoro_core.hosts.port import current_host
from kcoro_native.stackful import direct, entered, stackful, wait

__all__ = ["OF_STACKS"]

REFUSED = (KcoroError, TypeError, ValueError, RuntimeError, LookupError, ExceptionGroup, StopIteration)


def deep(depth: int, then: Callable[[], Any]) -> Any:
    """Call it from some functions further in."""
    return then() if depth == 0 else deep(depth - 1, then)


def fails() -> None:
    """What a body may do."""
    raise LookupError(["of a body"])


# -- stackful functions


async def stackful_ends() -> None:
    """They return, raise, take and give arguments, wait deep below, and one of them in another."""
    orders = channel()
    inner = stackful(lambda: deep(5, lambda: wait(orders.recv())))
    outer = stackful(lambda *args, **kwargs: (args, kwargs, [wait(inner()) for _ in range(2)]))
    async with open_scope() as scope:
        task = scope.launch(outer, ["argument"], name="outer")
        for n in range(2):
            await orders.send([n])
        await task.wait()
        assert task.result()[2] == [[0], [1]]
    for fn in (fails, lambda: deep(3, fails), lambda: wait(sleep(0)), lambda: wait(stackful(fails)())):
        with contextlib.suppress(*REFUSED):
            await stackful(fn)()


async def stackful_cancelled() -> None:
    """While they wait, with and without something to clean up, and before they begin."""
    never = channel()

    def cleans_up() -> None:
        kept = ["kept"]
        try:
            deep(3, lambda: wait(never.recv()))
        finally:
            kept.append("cleaned")
            with contextlib.suppress(BaseException):
                wait(sleep(0))

    async with open_scope() as scope:
        for _ in range(3):
            scope.launch(stackful(cleans_up))
            scope.launch(stackful(lambda: wait(select(Recv(never), Recv(channel())))))
        await current_host().pause()
        repr(task_dump())
        str(task_dump())
        task_dump().as_data()
        scope.launch(stackful(cleans_up))
        scope.cancel()


async def stackful_by_hand() -> None:
    """Closed, thrown into, awaited twice, looked at, and made for nothing."""
    waits = stackful(lambda: wait(channel().recv()))
    for end in (lambda call: call.close(), lambda call: call.throw(LookupError()), lambda call: call.cr_frame):
        call: Any = waits()
        with contextlib.suppress(*REFUSED):
            end(call)
        call.close()
    returns = stackful(list)()
    await returns
    with contextlib.suppress(*REFUSED):
        await returns
    with contextlib.suppress(*REFUSED):
        wait(sleep(0))
    with contextlib.suppress(*REFUSED):
        await stackful(lambda: wait(3))()  # type: ignore[arg-type]


async def stackful_faces() -> None:
    """Channels that wait by themselves, iteration, and context managers."""
    ch = channel()

    def sends() -> None:
        for n in range(3):
            direct(ch).send([n])
        ch.close()

    def receives() -> list[Any]:
        with entered(open_scope()) as scope:
            scope.launch(sleep, 0)
        return list(direct(ch))

    async with open_scope() as scope:
        scope.launch(stackful(sends))
        scope.launch(stackful(receives))


# -- coroutines


def echoes(first: Any) -> Any:
    """Gives back what it is given, until that is None."""
    given = Coroutine.yield_([first])
    while given is not None:
        given = Coroutine.yield_([given])
    return ["returned"]


async def coroutines_end() -> None:
    """By a return, by an error, by destroy, by being dropped, and before they begin."""
    co = Coroutine(echoes, ["argument"], name="echo")
    co.resume()
    for value in (["one"], ["two"], None):
        co.resume(value)
    assert co.result() == ["returned"]
    for fn in (fails, lambda: deep(4, fails), lambda: deep(4, Coroutine.yield_)):
        broken = Coroutine(fn)
        for call in (broken.resume, broken.destroy, broken.result, broken.destroy):
            with contextlib.suppress(*REFUSED):
                call()
    dropped = [Coroutine(echoes, [n]) for n in range(3)]
    for one in dropped[1:]:
        one.resume()
    del one, dropped
    for never in (Coroutine(echoes, ["x"]), Coroutine(echoes, ["y"])):
        with contextlib.suppress(LookupError):
            never.throw(LookupError())
        never.destroy()


async def coroutines_move() -> None:
    """Park, unpark, throw, and go on in one another."""

    def parks() -> Any:
        got = [Coroutine.park()]
        with contextlib.suppress(LookupError):
            got.append(Coroutine.park())
        return got

    def passes(others: list[Coroutine]) -> None:
        while others:
            Coroutine.yield_to(others.pop())

    thrown, resumed, left = (Coroutine(parks) for _ in range(3))
    for co in (thrown, resumed, left):
        co.unpark()  # its first park returns at once
        co.resume()
        assert co.state is CoroutineState.PARKED
    str(task_dump())
    thrown.throw(LookupError())
    resumed.unpark()
    assert resumed.resume(["value"]) == [None, ["value"]]
    chain = [Coroutine(echoes, [n]) for n in range(3)]
    first = Coroutine(passes, list(chain))
    for _ in range(4):
        first.resume()
    assert first.state is CoroutineState.FINISHED
    for one in chain:
        assert one.state is CoroutineState.SUSPENDED
        one.destroy()


async def coroutines_refuse() -> None:
    """Each call where it is refused, names, and another thread."""
    co = Coroutine(echoes, ["x"])
    outside: tuple[Callable[[], Any], ...] = (Coroutine.yield_, Coroutine.park, lambda: Coroutine.yield_to(co))
    for call in (*outside, lambda: co.resume("early"), co.result, lambda: co.throw(3), lambda: Coroutine(3)):  # type: ignore[arg-type, list-item]
        with contextlib.suppress(*REFUSED):
            call()
    co.resume()
    thread = threading.Thread(target=_foreign, args=(co,))
    thread.start()
    thread.join()
    co.name = "".join(["another", " name"])
    repr(co)
    co.destroy()
    for call in (co.resume, co.result, co.unpark):
        with contextlib.suppress(*REFUSED):
            call()


def _foreign(co: Coroutine) -> None:
    for call in (co.resume, co.destroy, lambda: co.throw(LookupError())):
        with contextlib.suppress(*REFUSED):
            call()


OF_STACKS: tuple[Callable[[], Awaitable[None]], ...] = (
    *(stackful_ends, stackful_cancelled, stackful_by_hand, stackful_faces),
    *(coroutines_end, coroutines_move, coroutines_refuse),
)
