# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The programs of the native rows, written once for every library with ``async def``.

A program gets what it needs from a peer (``native_peers.py``), does a piece of work of size ``n``, and returns how many
elements arrived and what they add up to. Whoever does less than the others is found by these two numbers.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from processes import resident

if TYPE_CHECKING:
    from native_peers import Peer

BATCH = 100
"""Tasks that are started and joined together, and elements that are timed together."""

CHAIN = 1_000
"""Tasks in a row of the daisy chain."""

CROWD = 8
"""Producers of a fan-in, and consumers of a fan-out."""

Answer = tuple[int, int]


class Watch:
    """What a program took: by the clock, of the processor, and of memory; ``restart`` leaves out what was before.

    ``memory`` is in bytes, ``late`` in seconds; a program that is about neither leaves them. ``laps`` are the seconds
    of the processor that each full batch took; to read that clock costs as much as ten elements of the fastest, so that
    it is not read unless ``by_batch``.
    """

    def __init__(self, by_batch: bool = False) -> None:
        self.memory = 0
        self.late = 0.0
        self.laps: list[float] = []
        self._by_batch = by_batch
        self.restart()

    def restart(self) -> None:
        """Begin again."""
        self._wall, self._used = time.perf_counter(), time.process_time()

    def batches(self, n: int) -> Iterator[range]:
        """The numbers below ``n``, a batch at a time."""
        for first in range(0, n, BATCH):
            numbers = range(first, min(first + BATCH, n))
            if self._by_batch and len(numbers) == BATCH:
                begun = time.process_time()
                yield numbers
                self.laps.append(time.process_time() - begun)
            else:
                yield numbers

    def stop(self) -> tuple[float, float]:
        """Seconds by the clock and of the processor."""
        return time.perf_counter() - self._wall, time.process_time() - self._used


async def rendezvous(peer: Peer, n: int, watch: Watch) -> Answer:
    """A question over one channel and an answer over another, ``n`` times."""
    ask, asked = peer.channel(0)
    answer, answered = peer.channel(0)
    total = 0

    async def server() -> None:
        for _ in range(n):
            await answer(await asked() + 1)

    async with peer.group() as group:
        peer.start(group)(server)
        for numbers in watch.batches(n):
            for i in numbers:
                await ask(i)
                total += await answered()
    return n, total


async def _pump(peer: Peer, n: int, watch: Watch, capacity: int, producers: int, consumers: int) -> Answer:
    send, receive = peer.channel(capacity)
    count = total = 0

    async def produce(first: int) -> None:
        for i in range(first, n, producers):
            await send(i)

    async def consume() -> None:
        nonlocal count, total
        mine = 0
        for numbers in watch.batches(n // consumers):
            for _ in numbers:
                mine += await receive()
        count, total = count + n // consumers, total + mine

    async with peer.group() as group:
        start = peer.start(group)
        for first in range(producers):
            start(produce, first)
        for _ in range(consumers):
            start(consume)
    return count, total


async def buffered(peer: Peer, n: int, watch: Watch) -> Answer:
    """One producer, one consumer, room for 128."""
    return await _pump(peer, n, watch, 128, 1, 1)


async def fan_in(peer: Peer, n: int, watch: Watch) -> Answer:
    """Eight producers and one consumer at a channel without room."""
    return await _pump(peer, n, watch, 0, CROWD, 1)


async def fan_out(peer: Peer, n: int, watch: Watch) -> Answer:
    """One producer and eight consumers at a channel without room."""
    return await _pump(peer, n, watch, 0, 1, CROWD)


async def select(peer: Peer, n: int, watch: Watch, width: int) -> Answer:
    """A task waits at ``width`` channels, gets an element from one of them and answers, ``n`` times."""
    channels = [peer.channel(0) for _ in range(width)]
    answer, answered = peer.channel(0)
    choose, arms, value = peer.select([receive for _, receive in channels])
    total = 0

    async def chooser() -> None:
        nonlocal total
        for _ in range(n):
            total += value(await choose(*arms))
            await answer(0)

    async with peer.group() as group:
        peer.start(group)(chooser)
        for numbers in watch.batches(n):
            for i in numbers:
                await channels[i * 7 % width][0](i)
                await answered()
    return n, total


async def spawn(peer: Peer, n: int, watch: Watch) -> Answer:
    """Tasks that end at once, started and joined a hundred at a time."""
    count = total = 0

    async def child(i: int) -> None:
        nonlocal count, total
        count, total = count + 1, total + i

    for numbers in watch.batches(n):
        async with peer.group() as group:
            start = peer.start(group)
            for i in numbers:
                start(child, i)
    return count, total


async def sleepers(peer: Peer, n: int, _watch: Watch, width: int) -> Answer:
    """Tasks that sleep 100 milliseconds and up to ``width`` more, all at once."""
    count = total = 0

    async def child(i: int) -> None:
        nonlocal count, total
        await peer.sleep(0.1 + i * 7919 % width / 1000)
        count, total = count + 1, total + i

    async with peer.group() as group:
        start = peer.start(group)
        for i in range(n):
            start(child, i)
    return count, total


async def timers(peer: Peer, n: int, watch: Watch, width: int) -> Answer:
    """Timers that are set and taken back, a hundred of them at a time, beside ``width`` others that stay."""
    now, at = peer.timers()
    total = 0

    def ring() -> None:
        raise RuntimeError("no timer of this program is ever due")

    def soon(i: int) -> float:
        return begun + 60 + i * 7919 % 60_000 / 1000

    begun = now()
    others = [at(soon(i), ring) for i in range(width)]
    mine = [at(soon(i), ring) for i in range(BATCH)]
    watch.restart()
    for first in range(0, n, BATCH):
        for i in range(BATCH):
            mine[i].cancel()
            mine[i] = at(soon(first + i), ring)
            total += first + i
        await peer.sleep(0)
    return n + len(others), total


async def deadlines(peer: Peer, n: int, watch: Watch) -> Answer:
    """A question and an answer, ``n`` times; whoever receives waits a minute at most, and never that long."""
    ask, asked = peer.channel(0)
    answer, answered = peer.channel(0)
    asked, answered = peer.timed(asked), peer.timed(answered)
    total = 0

    async def server() -> None:
        for _ in range(n):
            await answer(await asked() + 1)

    async with peer.group() as group:
        peer.start(group)(server)
        for numbers in watch.batches(n):
            for i in numbers:
                await ask(i)
                total += await answered()
    return n, total


async def late(peer: Peer, n: int, watch: Watch, width: int) -> Answer:
    """Tasks that sleep 100 milliseconds and up to ``width`` more; by how much 95 in a hundred are late at most."""
    over: list[float] = []
    total = 0

    async def child(i: int) -> None:
        nonlocal total
        seconds = 0.1 + i * 7919 % (width * 100) / 100_000
        begun = time.perf_counter()
        await peer.sleep(seconds)
        over.append(time.perf_counter() - begun - seconds)
        total += i

    async with peer.group() as group:
        start = peer.start(group)
        for i in range(n):
            start(child, i)
    watch.late = sorted(over)[n * 95 // 100]
    return n, total


async def parked(peer: Peer, n: int, watch: Watch) -> Answer:
    """Tasks that wait to receive; how much more memory the process has while they do."""
    send, receive = peer.channel(0)
    told, known = peer.channel(0)
    count = total = waiting = 0

    async def child() -> None:
        nonlocal count, total, waiting
        waiting += 1
        if waiting == n:
            await told(0)
        value = await receive()
        count, total = count + 1, total + value

    before = resident()
    async with peer.group() as group:
        start = peer.start(group)
        for _ in range(n):
            start(child)
        await known()
        watch.memory = resident() - before
        for i in range(n):
            await send(i)
    return count, total


async def chain(peer: Peer, n: int, _watch: Watch) -> Answer:
    """Elements go through a row of tasks, each of which adds one; ``n`` counts single hops."""
    first, receive = peer.channel(0)
    total = 0

    async def pass_on(receive: Callable[[], Awaitable[int]], send: Callable[[int], Awaitable[object]]) -> None:
        for _ in range(n // CHAIN):
            await send(await receive() + 1)

    async def feed() -> None:
        for i in range(n // CHAIN):
            await first(i)

    async with peer.group() as group:
        start = peer.start(group)
        for _ in range(CHAIN):
            send, following = peer.channel(0)
            start(pass_on, receive, send)
            receive = following
        start(feed)
        for _ in range(n // CHAIN):
            total += await receive()
    return n, total


async def cancel(peer: Peer, n: int, watch: Watch) -> Answer:
    """Tasks that wait to receive are cancelled, all at once, and joined; starting them is not counted."""
    _, receive = peer.channel(0)
    told, known = peer.channel(0)
    started = ended = 0

    async def child(i: int) -> None:
        nonlocal started, ended
        started += 1
        if started == n:
            await told(0)
        try:
            await receive()
        finally:
            ended += i

    async with peer.group() as group:
        start = peer.start(group)
        for i in range(n):
            start(child, i)
        await known()
        watch.restart()
        peer.cancel(group)
    return started, ended
