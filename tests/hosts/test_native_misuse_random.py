# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random misuse of the native host: its objects, and those of scopes, tokens, halves and selects, called by anybody.

By tasks, timers, hooks, finalizers, signal handlers and other threads. Each run ends, with an answer or an exception,
and the next run works. Time jumps, so nobody waits for long.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
import trio.testing

from kcoro_core import (
    RETURN,
    SKIP,
    After,
    CancelToken,
    Done,
    KcoroError,
    Receiver,
    Recv,
    Selector,
    Send,
    Sender,
    Triggered,
    channel,
    open_scope,
    run,
    select,
    sleep,
    try_select,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.scopes import Cancelled
from kcoro_core.reference.waiter import Operation
from kcoro_core.semantics import ClosedRule, Undelivered, legal_combinations

EXPECTED = (
    *(TypeError, ValueError, AttributeError, RuntimeError, AssertionError, OverflowError, MemoryError, LookupError),
    *(OSError, KcoroError, StopIteration, StopAsyncIteration, ExceptionGroup, GeneratorExit),
)
# Attributes that end the run, or hang it, on purpose.
LEFT_ALONE = {"run", "drain", "shutdown", "random", "park_watching", "on_signal", "wait_fd", "fd_ready"}
MOST_STEPS = 400


class Last:
    """An element, reason and argument whose end takes a step, and which may come back to life."""

    def __init__(self, world: World) -> None:
        self.world: World | None = world

    def __del__(self) -> None:
        world, self.world = self.world, None
        if world is not None and world.coin.random() < 0.2:
            world.pool.append(self)
        if world is not None:
            world.some_steps()


@types.coroutine
def by_hand(what: Any, times: int) -> Any:
    """Step an awaitable so often, then throw into it, close it, or leave it."""
    steps = what.__await__()
    for _ in range(times):
        yield next(steps)
    return steps


class World:
    """Objects of every sort, and random calls of them."""

    def __init__(self, seed: int) -> None:
        self.coin, self.depth, self.left = Random(seed), 0, MOST_STEPS
        self.seen: Counter[str] = Counter()
        self.pool: list[Any] = []
        self.odd: list[Any] = [None, 0, -1, 1, 0.5, 2**70, float("nan"), float("inf"), "x", (), [1], sleep, list]
        self.odd += [*ClosedRule, *Undelivered, ValueError("e"), ValueError, self.callback, self.child]

    # -- what others call

    def callback(self, *news: object) -> None:
        """A hook, timer, subscription, handler of signals, or call from a thread."""
        self.some_steps()

    async def child(self, *args: object) -> Any:
        """A task, for a while."""
        for _ in range(self.coin.randrange(1, 6)):
            await self.wait_for_something()
        return args

    # -- objects

    def anything(self) -> Any:
        """An argument."""
        return self.coin.choice(self.pool[-6:] + self.odd if self.coin.random() < 0.7 else self.pool + self.odd)

    def of(self, kind: type) -> Any:
        """One of that kind, or of another."""
        found = [thing for thing in self.pool if isinstance(thing, kind)]
        return self.coin.choice(found) if found and self.coin.random() < 0.95 else self.anything()

    def one_of(self, *calls: Callable[[], Any]) -> Any:
        return self.coin.choice(calls)()

    def new_channel(self) -> Any:
        kind, overflow = self.coin.choice([*legal_combinations()])
        hook = self.coin.choice([None, self.callback])
        return channel(kind, 2 if kind.name == "BUFFERED" else None, overflow=overflow, on_undelivered=hook)

    def clause(self) -> Any:
        ch, coin = self.of(type(channel())), self.coin
        return coin.choice(
            [
                lambda: Recv(ch),
                lambda: Send(ch, Last(self)),
                lambda: After(coin.choice([0, 1, 1e9])),
                lambda: Triggered(self.of(CancelToken)),
                lambda: Done(self.anything()),
                self.anything,
            ]
        )()

    def renew(self) -> None:
        """One more object; the oldest go."""
        host, coin, ch = current_host(), self.coin, self.of(type(channel()))
        makers: list[Callable[[], Any]] = [
            self.new_channel,
            lambda: CancelToken(coin.choice([None, self.of(CancelToken)])),
            lambda: self.of(CancelToken).child(),
            lambda: coin.choice([Sender, Receiver])(ch),
            lambda: Selector(self.clause(), self.clause(), closed=coin.choice([SKIP, RETURN, ClosedRule.RAISE])),
            lambda: host.plan([self.clause(), self.clause()], coin.choice([*ClosedRule])),  # type: ignore[misc]
            lambda: host.open_cancel_scope(shield=coin.random() < 0.5),
            lambda: host.call_at(host.now() + coin.choice([-1, 0, 1, 1e9]), self.callback),
            lambda: self.one_of(ch.recv, ch.__anext__, host.pause, host.checkpoint, host.cancel_point),
            lambda: ch.send(Last(self)),
            lambda: host.park(Operation(host)),
            lambda: host.block(lambda: "news"),  # type: ignore[attr-defined]
            lambda: coin.choice(host.tasks()),  # type: ignore[attr-defined]
            lambda: open_scope(self.of(CancelToken)),
            host.open_nursery,
            lambda: sleep(coin.choice([0, 1e-9, 1, 1e9])),
            lambda: Last(self),
            self.child,
            lambda: host,
        ]
        self.pool.append(coin.choice(makers)())
        del self.pool[: max(0, len(self.pool) - 25)]

    # -- steps without waiting

    def step(self) -> None:
        """One call of a method of something, or an attribute set."""
        coin, chance = self.coin, self.coin.random()
        if chance < 0.4 or not self.pool:
            self.renew()
        elif chance < 0.42:
            gc.collect()
        elif chance < 0.45:
            signal.raise_signal(signal.SIGUSR1)
        elif chance < 0.47:
            thread = threading.Thread(target=self.some_steps)
            thread.start()
            thread.join()
        elif chance < 0.49:
            current_host().call_from_thread(self.callback)
        elif chance < 0.52:
            try_select(self.clause(), self.clause())
        else:
            thing = coin.choice(self.pool)
            name = coin.choice([name for name in dir(thing) if not name.startswith("_") and name not in LEFT_ALONE])
            method = getattr(thing, name)
            if callable(method):
                self.seen[name] += 1
                method(*[self.anything() for _ in range(coin.choice([0, 0, 1, 1, 2]))])

    def some_steps(self) -> None:
        """What callbacks do, not without end; what is refused is refused by an exception that fits."""
        if self.depth > 2:
            return
        self.depth += 1
        for _ in range(self.coin.randrange(3)):
            self.left -= 1
            if self.left > 0:
                try:
                    self.step()
                except EXPECTED:
                    self.seen["refused"] += 1
        self.depth -= 1

    # -- steps that wait

    async def wait_for_something(self) -> None:
        """Await something, in some way, for some time; meanwhile the others go on."""
        self.some_steps()
        self.left -= 1
        if self.left <= 0:
            return
        host, coin = current_host(), self.coin
        awaitables = [thing for thing in self.pool if hasattr(thing, "__await__")]
        ways: list[Callable[[], Any]] = [
            lambda: coin.choice(awaitables),
            lambda: by_hand(coin.choice(awaitables), coin.choice([0, 1, 1, 2])),
            lambda: self.of(type(channel())).recv(coin.choice([None, 0, 1]), self.of(CancelToken)),
            lambda: self.of(type(channel())).send(Last(self), coin.choice([None, 0, 1])),
            lambda: select(self.clause(), self.clause(), timeout=coin.choice([None, 0, 1])),
            lambda: self.of(Selector).wait(),
            lambda: self.in_scope(coin.random() < 0.5),
            lambda: self.of(CancelToken).wait(1),
        ]
        with contextlib.suppress(*EXPECTED), host.open_cancel_scope() as scope:
            timer = host.call_at(host.now() + coin.choice([0, 1, 5]), scope.cancel)
            try:
                ended = await coin.choice(ways)()
                self.pool.append(ended)
                self.seen["awaited"] += 1
            finally:
                timer.cancel()

    async def in_scope(self, as_nursery: bool) -> None:
        """With children."""
        manager: Any = current_host().open_nursery() if as_nursery else open_scope()
        async with manager as scope:
            for _ in range(self.coin.randrange(4)):
                scope.start_soon(self.child)
            if not as_nursery and self.coin.random() < 0.5:
                self.pool.append(scope.launch(self.child, name="one"))
            self.pool.append(scope)
            await self.wait_for_something()


def abuse(seed: int) -> Counter[str]:
    """One run; it may end in any way that is one."""
    world = World(seed)

    async def main() -> None:
        signal.signal(signal.SIGUSR1, world.callback)
        while world.left > 0:
            await world.wait_for_something()

    clock = trio.testing.MockClock(autojump_threshold=0)
    with contextlib.suppress(*EXPECTED, Cancelled):
        run(main, host="native", clock=clock)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    world.left = 0
    world.pool.clear()
    gc.collect()
    return world.seen


async def works() -> str:
    """What any run can do."""
    ch = channel()
    async with open_scope() as scope:
        scope.launch(ch.send, "value")
        return await ch.recv()  # type: ignore[no-any-return]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterable[None]:
    """What finalizers and hooks raise is no news here; the signal is taken by whoever is under way."""
    monkeypatch.setattr(sys, "unraisablehook", lambda record: None)
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    signal.signal(signal.SIGUSR1, before)


def campaign(seeds: Iterable[int]) -> Counter[str]:
    """So many runs."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        seen += abuse(seed)
        assert run(works, host="native") == "value", seed
    return seen


@pytest.mark.long
def test_random_misuse_of_a_host_ends(quiet: None) -> None:
    """Everything is called with everything, from everywhere; nothing crashes or hangs."""
    seen = campaign([*range(100), 108])  # the last one crashed once
    assert seen["awaited"] > 100
    assert seen["refused"] > 100
