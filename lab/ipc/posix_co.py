# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Concurrent requests over one connection, and cancelling them (rows L1, D1).

Nothing here waits for a time that a machine decides: a conductor lets the handlers of the other side go in the order of
a seeded shuffle, once all calls are in.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable

from kcoro_core import BUFFERED, CancelToken, OperationCancelled, channel, open_scope, sleep
from kcoro_core.link.answering import Call

from ..book import Book
from ..bulk import Bulk
from ..places import Place

__all__ = ["SCENARIOS"]

CALL = 64
TICKS = 20
CHANNELS = 64


class Conductor:
    """The other side's handlers: each holds its call until it is let go."""

    def __init__(self) -> None:
        self.held: dict[bytes, CancelToken] = {}
        self.peak = 0
        self.cancelled = 0

    async def hold(self, call: Call) -> bytes:
        """Answer with the payload, backwards, when it is let go."""
        gate = self.held[call.payload] = CancelToken()
        self.peak = max(self.peak, len(self.held))
        try:
            await gate.wait()
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            del self.held[call.payload]
        return call.payload[::-1]

    async def until(self, number: int) -> None:
        """Until so many calls are held."""
        while len(self.held) != number:
            await sleep(0.0005)

    def let_go(self, order: list[bytes]) -> None:
        """End these calls, in this order."""
        for payload in order:
            self.held[payload].trigger()


async def many_calls(place: Place, book: Book) -> None:
    """All calls are in flight at once and end in another order than they began in; a ticker on the loop goes on."""
    number = 200 if place.quick else 1000
    calls = [b"call %06d" % n for n in range(number)]
    conductor, answered, ticks = Conductor(), list[bytes](), 0
    wrong = 0
    threads = threading.active_count()
    async with place.pair({}, handlers={CALL: conductor.hold}) as ends:

        async def call(payload: bytes) -> None:
            nonlocal wrong
            wrong += await ends.link.rpc_send(CALL, 0, payload).wait() != payload[::-1]
            answered.append(payload)

        async with open_scope() as scope:
            for payload in calls:
                scope.launch(call, payload)
            await conductor.until(number)
            for _ in range(TICKS):
                await sleep(0.001)
                ticks += not answered
            order = place.random.sample(calls, number)
            conductor.let_go(order)
        book.figure("frames written by the caller", ends.link.snapshot().frames_written)
    displaced = sum(before != after for before, after in zip(calls, answered, strict=False))
    book.figure("calls in flight at once", conductor.peak)
    book.figure("answers in another place than their call", displaced)
    book.check("every call was in flight at once", conductor.peak == number, conductor.peak)
    book.check("every call ended once, with its own answer", (len(answered), wrong) == (number, 0), len(answered))
    book.check("they ended in another order than they began", displaced > number // 2, displaced)
    book.check("a ticker on the same loop went on while all of them waited", ticks == TICKS, ticks)
    book.check("no thread was started", threading.active_count() <= threads, threading.active_count() - threads)


async def cancelled_calls(place: Place, book: Book) -> None:
    """Half of the calls are cancelled: they end before any other, their handlers too, and the others are untouched."""
    number = 200 if place.quick else 1000
    calls = [b"call %06d" % n for n in range(number)]
    chosen = set(place.random.sample(calls, number // 2))
    token, conductor = CancelToken(), Conductor()
    done: list[bytes] = []
    given_up: list[bytes] = []
    async with place.pair({}, handlers={CALL: conductor.hold}) as ends:

        async def call(payload: bytes) -> None:
            try:
                await ends.link.rpc_send(CALL, 0, payload).wait(cancel=token if payload in chosen else None)
                done.append(payload)
            except OperationCancelled:
                given_up.append(payload)

        async with open_scope() as scope:
            for payload in calls:
                scope.launch(call, payload)
            await conductor.until(number)
            token.trigger()
            await conductor.until(number - len(chosen))
            while len(given_up) < len(chosen) and not done:
                await sleep(0.0005)
            before = len(done)
            conductor.let_go([payload for payload in calls if payload not in chosen])
        late = ends.link.snapshot().late_replies
    book.figure("calls cancelled", len(given_up))
    book.figure("late replies", late)
    book.check("every cancelled call ended as cancelled", set(given_up) == chosen, len(given_up))
    book.check("they ended while all the others still waited", before == 0, before)
    book.check("their handlers were cancelled, and no others", conductor.cancelled == len(chosen), conductor.cancelled)
    book.check("every other call was answered", set(done) == set(calls) - chosen, len(done))


async def calls_beside_bulk(place: Place, book: Book) -> None:
    """A channel always has more to send than the line takes: each call is answered all the same."""
    number, answered, bulk = 20 if place.quick else 100, 0, Bulk()

    async def answer(call: Call) -> bytes:
        return call.payload[::-1]

    async with place.pair({"bulk": bulk.channel}, "latency=5ms&bandwidth=1MB", {CALL: answer}) as ends:

        async def call(n: int) -> None:
            nonlocal answered
            payload = b"call %06d" % n
            answered += await ends.link.rpc_send(CALL, 0, payload).wait() == payload[::-1]

        await bulk.beside(await ends.link.open("bulk", lend=True), call, number)
    book.check("every call was answered", answered == number, answered)
    bulk.judge(book, "calls")


async def many_channels(place: Place, book: Book) -> None:
    """64 channels over one link: one connection, each in its own order, and none ever holds more than it may."""
    number = 20 if place.quick else 100
    capacity = 4
    names = [f"channel {n}" for n in range(CHANNELS)]
    channels = {name: channel(BUFFERED, capacity, name=name) for name in names}
    received: dict[str, list[bytes]] = {name: [] for name in names}
    async with place.pair(channels) as ends:
        opened = sockets()
        handles = {name: await ends.link.open(name, lend=True) for name in names}
        grown = sockets() - opened

        async def feed(name: str) -> None:
            for n in range(number):
                await handles[name].send(b"%d" % n)
            handles[name].close()

        async def take(name: str) -> None:
            async for element in channels[name]:
                received[name].append(element)

        async with open_scope() as scope:
            for name in names:
                scope.launch(feed, name)
            await fill(channels.values(), capacity)
            for name in names:
                scope.launch(take, name)
    wanted = [b"%d" % n for n in range(number)]
    peak = max(one.snapshot().peak_length for one in channels.values())
    book.figure("channels", len(handles))
    book.figure("elements received", sum(map(len, received.values())))
    book.figure("peak length of a channel", peak)
    book.check("64 channels need no descriptor more than one link", grown == 0, grown)
    good = sum(got == wanted for got in received.values())
    book.check("every channel delivered everything, in order", good == CHANNELS, good)
    book.check("no channel ever held more than its capacity", peak == capacity, peak)


async def fill(channels: object, capacity: int) -> None:
    """Until every channel holds what it may, and a moment longer, in which one that holds too much would show it."""
    assert hasattr(channels, "__iter__")
    while any(len(one) < capacity for one in channels):
        await sleep(0.0005)
    await sleep(0.01)


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
        except FileNotFoundError:  # the one that lists the folder
            continue
    return found


async def cancelled_receives(place: Place, book: Book) -> None:
    """Receives that are cancelled while elements come: each element is received once, or still there."""
    rounds, waiting, coming = 10 if place.quick else 100, 8, 6
    jobs = channel(BUFFERED, 8, name="jobs")
    received: list[bytes] = []
    ends_seen = {"received": 0, "cancelled": 0}
    async with place.pair({"jobs": jobs}) as ends:
        handle = await ends.link.open("jobs")

        async def take(token: CancelToken) -> None:
            try:
                received.append(await handle.recv(cancel=token))
                ends_seen["received"] += 1
            except OperationCancelled:
                ends_seen["cancelled"] += 1

        async def disturb(tokens: list[CancelToken], elements: list[bytes]) -> None:
            """Cancel some and send, in a drawn order."""
            steps = [*tokens[: waiting // 2], *elements]
            place.random.shuffle(steps)
            for step in steps:
                if isinstance(step, CancelToken):
                    step.trigger()
                else:
                    await jobs.send(step)
                if place.random.random() < 0.5:
                    await sleep(0)

        for number in range(rounds):
            tokens = [CancelToken() for _ in range(waiting)]
            async with open_scope() as scope:
                for token in tokens:
                    scope.launch(take, token)
                while jobs.snapshot().waiting_receivers < waiting:
                    await sleep(0.0005)
                await disturb(tokens, [b"%d" % (number * coming + n) for n in range(coming)])
                for token in tokens:
                    token.trigger()
            while len(jobs):
                received.append(await jobs.recv())
    book.figure("receives cancelled", ends_seen["cancelled"])
    book.figure("receives that got an element", ends_seen["received"])
    book.check("receives were cancelled while elements came", all(ends_seen.values()), ends_seen)
    wanted = sorted(b"%d" % n for n in range(rounds * coming))
    book.check("every element was received once", sorted(received) == wanted, f"{len(received)} of {len(wanted)}")


SCENARIOS: dict[str, Callable[[Place, Book], Awaitable[None]]] = {
    "many-calls": many_calls,
    "cancelled-calls": cancelled_calls,
    "calls-beside-bulk": calls_beside_bulk,
    "many-channels": many_channels,
    "cancelled-receives": cancelled_receives,
}
"""By name, in the order in which they run."""
