# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Portals under real threads, and what is left when a run ends (rows CH14, SC7)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ...channel import channel
from ...errors import ChannelClosed, DeadlineExceeded, WrongLoop
from ...hosts.port import current_host
from ...portal import portal
from ...run import run, sleep
from ...scope import open_scope
from ...semantics import BUFFERED
from .harness import Harness
from .loops import in_thread
from .registry import Group, Need, law


def start(fn: Callable[..., object], *args: Any) -> Future[Any]:
    """Call ``fn`` in a thread of its own."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(fn(*args))
        except BaseException as error:  # noqa: BLE001 - it is the result
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


async def ended(h: Harness, *futures: Future[Any]) -> None:
    """Wait until these threads are done, while the loop runs."""
    while not all(future.done() for future in futures):
        await h.ticks(0.05)


@law("CH14.portal-calls", Group.LOOP, needs=[Need.REAL_TIME])
async def portal_calls(h: Harness) -> None:
    """A portal awaits a function in the loop, and its result or error arrives in the calling thread. Rows: CH14."""
    here = threading.get_ident()

    async def ident() -> int:
        await sleep(0)
        return threading.get_ident()

    async def broken() -> None:
        raise ZeroDivisionError

    def leave() -> None:
        raise SystemExit(3)

    door = portal()
    good, sync, bad = start(door.run, ident), start(door.run_sync, threading.get_ident), start(door.run, broken)
    exits = start(door.run_sync, leave)
    await ended(h, good, sync, bad, exits)
    assert good.result() == sync.result() == here
    assert isinstance(bad.exception(), ZeroDivisionError)
    assert isinstance(exits.exception(), SystemExit), "an exit in a portal call is the caller's, and not the loop's"


@law("CH14.portal-channels", Group.LOOP, needs=[Need.REAL_TIME])
async def portal_channels(h: Harness) -> None:
    """Threads send and receive through a portal: each value arrives once, errors and deadlines included. Rows: CH14."""
    ch: Any = channel(BUFFERED, 4)
    door = portal()
    got: list[Any] = []

    def produce(who: int) -> None:
        for i in range(50):
            door.send(ch, (who, i))

    def consume() -> list[Any]:
        own = []
        while True:
            try:
                own.append(door.recv(ch))
            except ChannelClosed:
                return own

    producers = [start(produce, who) for who in range(3)]
    consumers = [start(consume) for _ in range(2)]
    await ended(h, *producers)
    late = start(door.recv, channel(), 0.01)
    ch.close()
    await ended(h, *consumers, late)
    for consumer in consumers:
        got += consumer.result()
    assert Counter(got) == Counter((who, i) for who in range(3) for i in range(50))
    assert isinstance(late.exception(), DeadlineExceeded)


@law("SC7.a-run-that-ends-answers-its-portals", Group.LOOP, needs=[Need.REAL_TIME])
async def a_run_that_ends_answers_its_portals(h: Harness) -> None:
    """A call through a portal whose run ends meanwhile is cancelled, and its thread gets WrongLoop. Rows: CH14, SC7."""
    entered: list[str] = []
    cleaned: list[str] = []
    calls: list[Future[Any]] = []

    async def inside() -> None:
        entered.append("inside")
        try:
            await sleep(10_000)
        finally:
            cleaned.append("finally")

    async def main() -> None:
        calls.append(start(portal().run, inside))
        while not entered:
            await sleep(0.01)

    in_thread(lambda: run(main))
    await ended(h, *calls)
    assert isinstance(calls[0].exception(), WrongLoop)
    assert cleaned == ["finally"]


@law("SC7.a-run-leaves-nothing-behind", Group.LOOP)
async def a_run_leaves_nothing_behind(h: Harness) -> None:
    """When a run ends, its background tasks have run their finally blocks, and no thread is left. Rows: SC7."""
    cleaned: list[int] = []

    async def background(i: int) -> None:
        try:
            await sleep(10_000)
        finally:
            cleaned.append(i)

    async def main() -> None:
        for i in range(5):
            current_host().spawn(background, i)
        await sleep(0.001)

    async def fails() -> None:
        await main()
        raise ZeroDivisionError

    before = threading.active_count()
    for host in ("trio", "script"):
        cleaned.clear()
        assert in_thread(partial(run, main, host=host)) is None
        assert sorted(cleaned) == list(range(5))
        assert isinstance(in_thread(partial(run, fails, host=host)), ZeroDivisionError)
        assert len(cleaned) == 10
    assert threading.active_count() <= before


@law("SC7.scopes-wait-before-a-run-ends", Group.LOOP)
async def scopes_wait_before_a_run_ends(h: Harness) -> None:
    """A run that fails cancels and awaits every task of its scopes, deepest first, before the error leaves.

    Rows: SC7.
    """
    order: list[str] = []

    async def child(name: str, inner: Any = None) -> None:
        try:
            if inner is not None:
                await inner()
            await sleep(10_000)
        finally:
            order.append(name)

    async def nested() -> None:
        async with open_scope() as scope:
            scope.launch(child, "inner")
            await sleep(10_000)

    async def main() -> None:
        async with open_scope() as scope:
            scope.launch(child, "outer", nested)
            await sleep(0.001)
            raise ZeroDivisionError

    error = in_thread(lambda: run(main))
    assert isinstance(error, BaseExceptionGroup)
    assert order == ["inner", "outer"]
