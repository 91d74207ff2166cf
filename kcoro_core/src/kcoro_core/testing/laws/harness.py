# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where laws run: one harness for each pair of a host and a place where the channel lives.

A law gets channels, time and tasks from its harness and from nowhere else. The harness of a link overrides
``channel``, ``home`` and ``settle``; everything else stays as it is, and so do the laws. Values that channel laws send
are literals (numbers, texts, tuples of them), so that any codec can carry them.

Unit: laws count time in ticks of ``harness.tick`` seconds: one second on a virtual clock, less on a real one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Self

import trio
import trio.testing

from ... import config, plugins, run
from ...channel import Channel, channel
from ...errors import KcoroError
from ...hosts import script
from ...hosts.port import CancelScope, Nursery, current_host
from ...run import sleep
from .registry import Law, Need
from .shapes import Shape

__all__ = [
    "Call",
    "Harness",
    "LawHung",
    "PlainHarness",
    "ScriptHarness",
    "Tasks",
    "TrioHarness",
    "raises",
    "using_engine",
]


class LawHung(AssertionError):
    """A law did not end: somebody waits for something that never comes."""


class Call:
    """One call that runs in a task of its own, and what came of it.

    ``outcome`` is ``"waits"``, ``"done"`` or the class of the error; ``ended_at`` the host's time of the end.
    """

    def __init__(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = (fn, args, kwargs)
        self.outcome: str | type[BaseException] = "waits"
        self.value: Any = None
        self.error: BaseException | None = None
        self.ended_at: float | None = None

    def __repr__(self) -> str:
        fn, args, kwargs = self._call
        return f"<{getattr(fn, '__qualname__', fn)}{args}{kwargs or ''}: {self.error or self.outcome}>"

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return self.outcome == "waits"

    async def run(self) -> None:
        """Make the call and keep its outcome; the host's cancellation passes through, and is kept as well."""
        fn, args, kwargs = self._call
        try:
            self.value = await fn(*args, **kwargs)
            self.outcome = "done"
        except (KcoroError, ValueError) as error:
            self.error, self.outcome = error, type(error)
        except BaseException as error:
            self.error, self.outcome = error, type(error)
            raise
        finally:
            self.ended_at = current_host().now()


class Tasks:
    """Children of a law: ``start`` a call, look at its outcome later; leaving the block waits for all of them."""

    def __init__(self) -> None:
        self._manager = current_host().open_nursery()
        self._nursery: Nursery | None = None

    async def __aenter__(self) -> Self:
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, trace)

    def start(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Call:
        """Begin ``fn(*args, **kwargs)`` in a task of its own."""
        assert self._nursery is not None
        call = Call(fn, args, kwargs)
        self._nursery.start_soon(call.run)
        return call

    def cancel(self) -> None:
        """End those that still run, by the host's own cancellation."""
        assert self._nursery is not None
        self._nursery.cancel_scope.cancel()


class Harness:
    """A place for laws: the channel lives in this process, unless a subclass says otherwise."""

    name: ClassVar[str] = "?"
    offers: ClassVar[frozenset[Need]] = frozenset()
    remote: ClassVar[bool] = False
    tick: ClassVar[float] = 1.0
    # A virtual clock jumps over the limit only when everybody waits for ever; a real one has to leave time for work.
    limit: ClassVar[float] = 1e7

    # -- what subclasses fill in

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run ``main`` on a new run of the host."""
        raise NotImplementedError

    async def channel(self, shape: Shape, on_undelivered: Callable[..., object] | None = None) -> Any:
        """Make a channel of that shape; what comes back has the interface of ``Channel``."""
        return channel(shape.kind, shape.capacity, shape.overflow, on_undelivered)

    def home(self, ch: Any) -> Channel[Any]:
        """The channel itself, wherever ``ch`` reaches it from: for length, counters and the end."""
        assert isinstance(ch, Channel)
        return ch

    def put(self, ch: Any, value: Any) -> None:
        """Send at the home, without waiting: somebody else's doing, as far as ``ch`` knows."""
        self.home(ch).try_send(value)

    def take(self, ch: Any) -> Any:
        """Receive at the home, without waiting."""
        return self.home(ch).try_recv()

    async def settle(self) -> None:
        """Return when all other tasks wait for something that only this task, or time, can bring."""
        await sleep(self.tick / 1000)

    # -- what laws use

    @property
    def virtual(self) -> bool:
        """Whether the clock jumps, so that hours cost nothing and deadlines are exact."""
        return Need.VIRTUAL_TIME in self.offers

    def now(self) -> float:
        """The host's time, in seconds."""
        return current_host().now()

    async def ticks(self, count: float) -> None:
        """Let that many ticks pass."""
        await sleep(count * self.tick)

    def tasks(self) -> Tasks:
        """``async with h.tasks() as tasks: call = tasks.start(fn, ...)``."""
        return Tasks()

    def cancel_scope(self, *, shield: bool = False) -> CancelScope:
        """A cancel scope of the host."""
        return current_host().open_cancel_scope(shield=shield)

    async def waiting(self, ch: Any, senders: int = 0, receivers: int = 0) -> None:
        """Settle, and see that so many wait on the channel."""
        await self.settle()
        state = self.home(ch).snapshot()
        assert (state.waiting_senders, state.waiting_receivers) == (senders, receivers), state

    async def outcome(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Call:
        """Make a call here and give its outcome instead of raising."""
        call = Call(fn, args, kwargs)
        await call.run()
        return call

    # -- running a law

    def missing(self, law: Law) -> list[str]:
        """Why this law cannot run here; empty when it can."""
        reasons = [need.value for need in law.needs - self.offers]
        if self.remote and law.local is not None:
            reasons.append(law.local)
        return sorted(reasons)

    def check(self, law: Law, case: Any = None) -> None:
        """Run one case of a law; returns when it holds, raises what it raised when it does not."""
        args = () if set(law.cases) == {""} else (case,)

        async def main() -> None:
            with current_host().open_cancel_scope() as scope:
                alarm = current_host().call_at(self.now() + self.limit, scope.cancel)
                try:
                    await law.fn(self, *args)
                finally:
                    alarm.cancel()
                return
            raise LawHung(f"{law.id} did not end: somebody waits for something that never comes")

        self.start(main)


class TrioHarness(Harness):
    """Trio under a mock clock that jumps when everybody waits."""

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME, Need.TRIO, Need.DESCRIPTORS, Need.SIGNALS, Need.WAKE_UPS})

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.name = "trio-strict" if strict else "trio-budgeted"  # type: ignore[misc]

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        if self.strict:
            trio.run(main, clock=clock)  # as users of trio do, who know nothing of kcoro's own run
        else:
            run(main, clock=clock)


class TrioRealHarness(Harness):
    """Trio on the real clock, for laws that let threads run."""

    name: ClassVar[str] = "trio-real"
    offers: ClassVar = frozenset({Need.REAL_TIME, Need.TRIO, Need.DESCRIPTORS, Need.SIGNALS})
    tick: ClassVar[float] = 0.05
    limit: ClassVar[float] = 30.0

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        trio.run(main)


class ScriptHarness(Harness):
    """The script host: virtual time, and an order of steps that the seed decides."""

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME})

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.name = f"script-{seed}"  # type: ignore[misc]

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        script.run(main, seed=self.seed)


class PlainHarness(Harness):
    """No host at all: what functions do in a thread, with the coroutines of the engine in use."""

    name: ClassVar[str] = "plain"
    offers: ClassVar = frozenset({Need.NO_HOST})

    def missing(self, law: Law) -> list[str]:
        if Need.NO_HOST not in law.needs:
            return ["it has tasks, which need a host"]
        try:
            able = plugins.coroutine().switcher != "none"
        except KcoroError:
            able = False
        return [] if able else ["the engine in use has no coroutines"]

    def check(self, law: Law, case: Any = None) -> None:
        try:
            law.fn(self, *(() if set(law.cases) == {""} else (case,))).__await__().send(None)
        except StopIteration:
            return
        raise AssertionError(f"{law.id} awaits something; a law without a host cannot")


async def collect(ch: Any, into: list[Any]) -> None:
    """Receive into a list until the iteration ends; what came before an error stays in it."""
    async for value in ch:
        into.append(value)  # noqa: PERF401 - a comprehension would lose what came before an error


@contextmanager
def raises(*expected: type[BaseException]) -> Iterator[list[BaseException]]:
    """The block must raise one of these; the error is then the only element of the list."""
    caught: list[BaseException] = []
    try:
        yield caught
    except expected as error:
        caught.append(error)
    else:
        raise AssertionError(f"nothing was raised; expected {' or '.join(e.__name__ for e in expected)}")


@contextmanager
def using_engine(name: str) -> Iterator[None]:
    """Make the channels of the block with that engine."""
    before = os.environ.get("KCORO_ENGINE")
    os.environ["KCORO_ENGINE"] = name
    config.reload()
    try:
        plugins.engine(name)
        yield
    finally:
        if before is None:
            del os.environ["KCORO_ENGINE"]
        else:
            os.environ["KCORO_ENGINE"] = before
        config.reload()
