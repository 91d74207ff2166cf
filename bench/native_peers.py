# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What each library calls the things that the programs of the native rows use.

A peer hands out the library's own objects and bound methods wherever they fit, so that nothing stands between a program
and the library in a loop that is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, Protocol

__all__ = ["PEERS", "Peer"]

MINUTE = 60.0

Ends = tuple[Callable[[Any], Awaitable[Any]], Callable[[], Awaitable[Any]]]
Select = tuple[Callable[..., Awaitable[Any]], Sequence[Any], Callable[[Any], int]]


class Peer(Protocol):
    """A library."""

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Run ``main`` on a fresh loop."""

    def channel(self, capacity: int) -> Ends:
        """How to send and how to receive."""

    def select(self, receives: Sequence[Any]) -> Select:
        """A select over these channels, what to call it with, and how to read the value from its result."""

    def group(self) -> Any:
        """An ``async with`` block that ends when its tasks have ended."""

    def start(self, group: Any) -> Callable[..., object]:
        """How to start a task in a group."""

    def sleep(self, seconds: float) -> Awaitable[object]:
        """Wait."""

    def timers(self) -> tuple[Callable[[], float], Callable[[float, Callable[[], object]], Any]]:
        """The clock, and how to have a function called at a time of it; gives what has ``cancel()``."""

    def timed(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """A receive that waits for MINUTE seconds at most."""

    def cancel(self, group: Any) -> None:
        """Cancel every task of a group."""


class Kcoro:
    """An engine, as a rule the native one, on a host; ``select`` makes its clauses once, as a program would."""

    def __init__(self, host: str, engine: str = "native") -> None:
        import kcoro_core

        if engine == "native":
            import kcoro_native  # noqa: F401 - an engine that falls back would be measured as another

        self.kcoro = kcoro_core
        self.engine = engine
        self.sleep = kcoro_core.sleep
        self.group = kcoro_core.open_scope
        self.start = attrgetter("launch")
        self._host = host

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Run on the host."""
        return self.kcoro.run(main, host=self._host)

    def channel(self, capacity: int) -> Ends:
        """A channel of the engine. RuntimeError: it is another one's."""
        ch = self.kcoro.channel(self.kcoro.BUFFERED, capacity=capacity) if capacity else self.kcoro.channel()
        if self.kcoro.Recv(ch).engine != self.engine:
            raise RuntimeError(f"this is no channel of the {self.engine} engine: {ch!r}")
        return ch.send, ch.recv

    def select(self, receives: Sequence[Any]) -> Select:
        """One call of ``select`` each time."""
        return self.kcoro.select, [self.kcoro.Recv(receive.__self__) for receive in receives], attrgetter("value")

    def timers(self) -> tuple[Callable[[], float], Callable[[float, Callable[[], object]], Any]]:
        """Those of the host."""
        from kcoro_core.hosts.port import current_host

        host = current_host()
        return host.now, host.call_at

    def timed(self, receive: Callable[..., Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """The timeout is an argument."""
        return partial(receive, MINUTE)

    def cancel(self, group: Any) -> None:
        """Cancel the scope."""
        group.cancel()


class KcoroSelector(Kcoro):
    """The same with a ``Selector`` that is kept."""

    def select(self, receives: Sequence[Any]) -> Select:
        """The clauses are in the selector."""
        _, clauses, value = super().select(receives)
        return self.kcoro.Selector(*clauses).wait, (), value


class KcoroNursery(Kcoro):
    """The same with a nursery of the port, which scopes are made of: what of a spawn is the host's."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        from kcoro_core.hosts.port import current_host

        self.group = lambda: current_host().open_nursery()
        self.start = attrgetter("start_soon")

    def cancel(self, group: Any) -> None:
        """Cancel the nursery's scope."""
        group.cancel_scope.cancel()


class Trio:
    """Trio's memory channels and nurseries."""

    def __init__(self) -> None:
        import trio

        self.trio = trio
        self.run = trio.run
        self.sleep = trio.sleep
        self.group = trio.open_nursery
        self.start = attrgetter("start_soon")

    def channel(self, capacity: int) -> Ends:
        """A memory channel; with capacity 0 it is a rendezvous."""
        send, receive = self.trio.open_memory_channel[Any](capacity)
        return send.send, receive.receive

    def select(self, receives: Sequence[Any]) -> Select:
        """There is none."""
        raise NotImplementedError

    def timers(self) -> tuple[Callable[[], float], Callable[[float, Callable[[], object]], Any]]:
        """There are none but those of cancel scopes, which a task leaves in the order in which it entered them."""
        raise NotImplementedError

    def timed(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """In a cancel scope."""
        fail_after = self.trio.fail_after

        async def timed() -> Any:
            with fail_after(MINUTE):
                return await receive()

        return timed

    def cancel(self, group: Any) -> None:
        """Cancel the nursery's scope."""
        group.cancel_scope.cancel()


class Asyncio:
    """Queues and task groups of asyncio; a queue that has no room does not exist, so that one element waits in it."""

    def __init__(self, new_loop: Callable[[], Any] | None = None) -> None:
        self.sleep = asyncio.sleep
        self.group = asyncio.TaskGroup
        self._new_loop = new_loop

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Run on a loop of the library."""
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            return runner.run(main())  # type: ignore[arg-type]

    def channel(self, capacity: int) -> Ends:
        """A queue."""
        queue: asyncio.Queue[Any] = asyncio.Queue(capacity or 1)
        return queue.put, queue.get

    def select(self, receives: Sequence[Any]) -> Select:
        """There is none."""
        raise NotImplementedError

    def timers(self) -> tuple[Callable[[], float], Callable[[float, Callable[[], object]], Any]]:
        """Those of the loop."""
        loop = asyncio.get_running_loop()
        return loop.time, loop.call_at

    def timed(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """In a ``timeout``."""
        timeout = asyncio.timeout

        async def timed() -> Any:
            async with timeout(MINUTE):
                return await receive()

        return timed

    def start(self, group: Any) -> Callable[..., object]:
        """``create_task`` takes a coroutine."""
        create_task = group.create_task

        def start(fn: Callable[..., Any], *args: Any) -> None:
            create_task(fn(*args))

        return start

    def cancel(self, group: Any) -> None:
        """A task group has no method for it before Python 3.15; its tasks have."""
        me = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not me:
                task.cancel()


class Uvloop(Asyncio):
    """Asyncio on uvloop."""

    def __init__(self) -> None:
        import uvloop

        super().__init__(uvloop.new_event_loop)


class Aiochan(Uvloop):
    """The channels of aiochan, on uvloop; it tries the channels in order, as ours do."""

    def __init__(self) -> None:
        import aiochan

        super().__init__()
        self._channel = aiochan.Chan
        self._select = partial(aiochan.select, priority=True)

    def channel(self, capacity: int) -> Ends:
        """A channel without room, or with a buffer that blocks."""
        ch = self._channel(capacity) if capacity else self._channel()
        return ch.put, ch.get

    def select(self, receives: Sequence[Any]) -> Select:
        """The result is a value and a channel."""
        return self._select, [receive.__self__ for receive in receives], itemgetter(0)


PEERS: dict[str, Callable[[], Peer]] = {
    "native": partial(Kcoro, "native"),
    "native, Selector": partial(KcoroSelector, "native"),
    "native, nursery": partial(KcoroNursery, "native"),
    "native in trio": partial(Kcoro, "trio"),
    "trio": Trio,
    "asyncio": Asyncio,
    "uvloop": Uvloop,
    "aiochan": Aiochan,
}
"""How to make each; ImportError: it is not installed."""
