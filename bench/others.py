# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Other ways to send messages between two processes over a Unix socket, beside a link: for orientation only.

They promise different things: ``multiprocessing.connection`` and pyzmq confirm nothing, so a round trip is a message
and an empty answer of the program; grpc.aio has calls over HTTP/2. What is not installed is named and left out.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import links
from links import SMALL, TASKS
from processes import running
from rounds import Figure, Missing, Sample, run_rounds

TITLE = "| another over a link | ratio of times | must | goal | reached | other, us | link, us |"
ROUND_TRIPS, IN_FLIGHT = 2_000, 5_120
FEW_ROUND_TRIPS, FEW_IN_FLIGHT = 100, 512


def missing(module: str) -> bool:
    """Whether a peer cannot be measured here."""
    return importlib.util.find_spec(module) is None


@contextmanager
def other_process(module: str) -> Iterator[str]:
    """The other side of a peer, in a process of its own; gives the path at which it can be reached."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/socket"
        with running("others_server.py", module, path):
            yield path


@contextmanager
def timed(samples: list[Sample], messages: int) -> Iterator[None]:
    """Take a sample of the block."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    yield
    samples.append(Sample((time.perf_counter() - start) / messages, 0.0, 0.0))
    gc.enable()


def with_multiprocessing(path: str, messages: int, _tasks: int) -> Sample:
    """A blocking connection; it has one question at a time."""
    from multiprocessing.connection import Client

    samples: list[Sample] = []
    with Client(path, "AF_UNIX") as connection, timed(samples, messages):
        for _ in range(messages):
            connection.send_bytes(SMALL)
            connection.recv_bytes()
    return samples.pop()


async def _ask(ask: Callable[[], Awaitable[object]], messages: int, tasks: int) -> Sample:
    async def some() -> None:
        for _ in range(messages // tasks):
            await ask()

    samples: list[Sample] = []
    await ask()
    with timed(samples, messages):
        if tasks == 1:
            await some()
        else:
            await asyncio.gather(*(some() for _ in range(tasks)))
    return samples.pop()


def with_zmq(path: str, messages: int, tasks: int) -> Sample:
    """A DEALER on asyncio; a task reads the answers, which come in order."""
    import zmq.asyncio

    async def main() -> Sample:
        waiting: deque[asyncio.Future[None]] = deque()
        with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.connect(f"ipc://{path}")

            async def read() -> None:
                while True:
                    await socket.recv()
                    waiting.popleft().set_result(None)

            async def ask() -> None:
                answered = asyncio.get_running_loop().create_future()
                waiting.append(answered)
                await socket.send(SMALL)
                await answered

            reader = asyncio.create_task(read())
            sample = await _ask(ask, messages, tasks)
            reader.cancel()
            return sample

    return asyncio.run(main())


def with_grpc(path: str, messages: int, tasks: int) -> Sample:
    """A call without serializers, so that bytes travel as they are."""
    import grpc.aio

    async def main() -> Sample:
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            call = channel.unary_unary("/bench/ask")

            async def ask() -> None:
                await call(SMALL)

            return await _ask(ask, messages, tasks)

    return asyncio.run(main())


PEERS: dict[str, tuple[str, Callable[[str, int, int], Sample], bool]] = {
    "multiprocessing.connection": ("multiprocessing", with_multiprocessing, False),
    "pyzmq on asyncio": ("zmq", with_zmq, True),
    "grpc.aio": ("grpc", with_grpc, True),
}
"""What has to be installed, what takes a sample, and whether it can have many questions in flight."""


def figures(rounds: int, quick: bool) -> list[Figure | Missing]:
    """Each peer that is installed against a link, in the same rounds."""
    found: list[Figure | Missing] = []
    alone = FEW_ROUND_TRIPS if quick else ROUND_TRIPS
    many = FEW_IN_FLIGHT if quick else IN_FLIGHT
    with links.serving() as server:
        for name, (module, sample, has_many) in PEERS.items():
            if missing(module):
                found.append(Missing(f"{name}: not installed"))
                continue
            with other_process(module) as path:
                for shape, ours, messages, tasks in (
                    ("round trip", links.link_round_trip, alone, 1),
                    ("256 in flight", links.link_crowd, many, TASKS),
                ):
                    if tasks == 1 or has_many:
                        candidates: list[Callable[[], Sample]] = [
                            partial(sample, path, messages, tasks),
                            partial(server.run, ours, messages),
                        ]
                        samples = run_rounds(candidates, rounds, f"{name}, {shape}", lambda run: run())
                        found.append(Figure.of_samples(f"{name}, {shape}", samples, 0, 0))
    return found
