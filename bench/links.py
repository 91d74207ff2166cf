# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A link beside a plain trio stream, over Unix sockets between the same two processes.

Each candidate dials or connects, warms up, and is timed from its first message to the answer of its last; the time of
both processors is read beside it. Both sides run under ``kcoro_core.run``, which changes nothing for the plain stream.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import plain
import trio
from attrs import define, field, frozen
from processes import running
from rounds import Bound, Figure, Sample, run_rounds

import kcoro_core
from kcoro_core import config
from kcoro_core.link.link import Link

TITLE = (
    "| plain trio stream over a link | ratio of times | must | goal | reached | plain, us | link, us "
    "| plain, processor here + there, us | link, processor here + there, us |"
)
TITLE_OF_MANY = (
    "| 256 in flight over one channel, over many | ratio of times | must | goal | reached | one, us | many, us "
    "| one, processor here + there, us | many, processor here + there, us |"
)
TITLE_OF_MEMORY = "| bytes that Python holds for each | found | most | reached |"

SMALL = bytes(64)
LARGE = bytes(1 << 20)
TASKS = 256
IDLE_BYTES = 2048
"""What an idle channel may cost each side."""
FLAT = 1 / 1.5
"""A message over one of many channels may cost 1.5 times what it costs over the only one."""


@frozen
class Row:
    """One row of the table: what is sent, how often, and what was aimed at."""

    name: str
    must: float
    goal: float
    messages: int
    quick: int
    budget: int = 8 << 20


ROWS = (
    Row("round trip, 64 bytes", 0.8, 1.2, 3_000, 200),
    Row("256 in flight, 64 bytes", 1.0, 3.0, 10_240, 512),
    Row("stream, 64 bytes", 1.0, 3.0, 20_000, 1_000),
    Row("stream, 1 MiB, receive_budget 32 MiB", 0.8, 1.0, 100, 5, 32 << 20),
    Row("stream, 1 MiB, receive_budget 8 MiB", 0, 0, 100, 5),
)


@define
class Server:
    """The other process."""

    directory: str
    options: dict[str, Any] = field(factory=dict)
    samples: list[Sample] = field(factory=list)
    growths: list[tuple[float, float]] = field(factory=list)

    def uri(self, scheme: str) -> str:
        """Where the other process serves links."""
        return f"uds:{self.directory}/link" if scheme == "uds" else Path(self.directory, scheme).read_text()

    async def ask(self, question: bytes) -> float:
        """A number that the other process knows of itself."""
        stream = await trio.open_unix_socket(f"{self.directory}/control")
        async with stream:
            control = plain.Plain(stream)
            await control.send(question)
            return float((await control.receive())[0])

    @asynccontextmanager
    async def timed(self, messages: int) -> AsyncIterator[None]:
        """Take a sample of the block; the collector of this process runs before it and not during it."""
        there = await self.ask(b"cpu")
        gc.collect()
        gc.disable()
        before, start = time.process_time(), time.perf_counter()
        yield
        seconds, here = time.perf_counter() - start, time.process_time() - before
        gc.enable()
        there = await self.ask(b"cpu") - there
        self.samples.append(Sample(*(number / messages for number in (seconds, here, there))))

    @asynccontextmanager
    async def grown(self, things: int) -> AsyncIterator[None]:
        """Take down by how many bytes each of so many things makes Python grow in both processes."""
        tracemalloc.start()
        await self.ask(b"trace")
        there, here = await self.ask(b"memory"), _traced()
        yield
        growth = _traced() - here, await self.ask(b"memory") - there
        tracemalloc.stop()
        self.growths.append((growth[0] / things, growth[1] / things))

    def run(self, candidate: Callable[..., Awaitable[None]], *arguments: Any) -> Sample:
        """One round of a candidate."""
        kcoro_core.run(candidate, self, *arguments)
        return self.samples.pop()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@contextmanager
def serving(channels: int = 0, budget: int = 8 << 20, schemes: tuple[str, ...] = ()) -> Iterator[Server]:
    """Start the other process, which exports so many channels besides and holds so many bytes of a peer; end it."""
    os.environ["KCORO_MAX_CHANNELS"] = str(channels + 1024)
    os.environ["KCORO_RECEIVE_BUDGET"] = str(budget)
    config.reload()
    with tempfile.TemporaryDirectory() as directory, running("links_server.py", directory, channels, *schemes):
        yield Server(directory)


# -- what is sent, the same for both sides

Send = Callable[[bytes], Awaitable[object]]


async def repeat(send: Send, message: bytes, times: int) -> None:
    """One after another."""
    for _ in range(times):
        await send(message)


async def crowd(send: Send, message: bytes, times: int) -> None:
    """From 256 tasks, each of which waits for its own answers."""
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(repeat, send, message, times // TASKS)


# -- the plain stream


async def plain_round_trip(server: Server, messages: int) -> None:
    """Send, and wait for an empty answer."""
    ask = (await plain.connect(f"{server.directory}/echo")).ask
    await repeat(ask, SMALL, 20)
    async with server.timed(messages):
        await repeat(ask, SMALL, messages)


async def plain_crowd(server: Server, messages: int) -> None:
    """The same from many tasks over one stream."""
    shared = plain.Shared(await trio.open_unix_socket(f"{server.directory}/echo"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.read)
        await repeat(shared.ask, SMALL, 20)
        async with server.timed(messages):
            await crowd(shared.ask, SMALL, messages)
        nursery.cancel_scope.cancel()


async def plain_stream(server: Server, messages: int, message: bytes) -> None:
    """Send without answers, until the empty message is answered."""
    stream = await plain.connect(f"{server.directory}/sink")
    await stream.ask(b"")
    async with server.timed(messages):
        await repeat(stream.send, message, messages)
        await stream.ask(b"")


# -- the link


@asynccontextmanager
async def linked(server: Server, scheme: str = "uds") -> AsyncIterator[Link]:
    """A link to the other process."""
    async with kcoro_core.dial(server.uri(scheme), **server.options) as link:
        yield link


async def link_round_trip(server: Server, messages: int, scheme: str = "uds") -> None:
    """A send that returns when the home has accepted the element, which a task there receives."""
    async with linked(server, scheme) as link:
        send = (await link.open("small")).send
        await repeat(send, SMALL, 20)
        async with server.timed(messages):
            await repeat(send, SMALL, messages)


async def link_crowd(server: Server, messages: int) -> None:
    """The same from many tasks on one handle."""
    async with linked(server) as link:
        send = (await link.open("small")).send
        await repeat(send, SMALL, 20)
        async with server.timed(messages):
            await crowd(send, SMALL, messages)


async def link_stream(server: Server, messages: int, message: bytes, scheme: str = "uds") -> None:
    """One task into lent slots, until the task at the other end has received the last element."""
    async with linked(server, scheme) as link:
        jobs = await link.open("small" if len(message) < 1024 else "large", lend=True)
        done = await link.open("done")

        async def finish() -> None:
            await jobs.send(b"")
            await done.recv()

        await finish()
        async with server.timed(messages):
            await repeat(jobs.send, message, messages)
            await finish()


async def link_many(server: Server, messages: int, channels: int) -> None:
    """256 tasks that send over many channels in turn."""
    async with linked(server) as link:
        handles = [await link.open(f"many{i}") for i in range(channels)]

        async def send_from(first: int) -> None:
            for i in range(first, messages, TASKS):
                await handles[i % channels].send(SMALL)

        async with server.timed(messages), trio.open_nursery() as nursery:
            for first in range(TASKS):
                nursery.start_soon(send_from, first)


CANDIDATES: tuple[tuple[Callable[..., Awaitable[None]], Callable[..., Awaitable[None]], tuple[bytes, ...]], ...] = (
    (plain_round_trip, link_round_trip, ()),
    (plain_crowd, link_crowd, ()),
    (plain_stream, link_stream, (SMALL,)),
    (plain_stream, link_stream, (LARGE,)),
    (plain_stream, link_stream, (LARGE,)),
)


def figures(rounds: int, quick: bool) -> list[Figure]:
    """The four rows, each side in the same rounds."""
    found = []
    for row, (theirs, ours, arguments) in zip(ROWS, CANDIDATES, strict=True):
        messages = row.quick if quick else row.messages
        with serving(budget=row.budget) as server:
            candidates = [partial(server.run, each, messages, *arguments) for each in (theirs, ours)]
            samples = run_rounds(candidates, rounds, row.name, lambda run: run())
            found.append(Figure.of_samples(row.name, samples, row.must, row.goal))
    return found


# -- many channels, and what idle ones cost


def many(rounds: int, quick: bool) -> list[Figure]:
    """What a message costs over one channel, over what it costs over more of them."""
    messages = 512 if quick else 10_240
    found = []
    for channels in (100, 500 if quick else 10_000):
        with serving(channels) as server:
            candidates = [partial(server.run, link_many, messages, count) for count in (1, channels)]
            samples = run_rounds(candidates, rounds, f"{channels} channels", lambda run: run())
        found.append(Figure.of_samples(f"{channels} channels", samples, FLAT, FLAT))
    return found


async def _idle_channels(server: Server, count: int) -> None:
    async with linked(server) as link:
        async with server.grown(count):
            kept = [await link.open(f"many{i}") for i in range(count)]
        del kept


async def _idle_links(server: Server, count: int) -> None:
    async with AsyncExitStack() as stack, server.grown(count):
        for _ in range(count):
            await stack.enter_async_context(linked(server))


def memory(_rounds: int, quick: bool) -> list[Bound]:
    """Bytes for each idle channel and each idle link, on both sides, as Python counts them."""
    channels, links = (50, 5) if quick else (1_000, 50)
    found = []
    with serving(channels) as server:
        for name, work, count, most in (
            ("idle channel", _idle_channels, channels, IDLE_BYTES),
            ("idle link", _idle_links, links, None),
        ):
            kcoro_core.run(work, server, count)
            here, there = server.growths.pop()
            found += [Bound(f"{name}, where it was opened", here, most), Bound(f"{name}, at its home", there, most)]
    return found
