# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Channels that share one link, over Unix sockets between processes: shares, waiting beside bulk, a reader that stops.

Shares are of a slow line (``line.py``): on a bare Unix socket the processors are what is short, not the link, and who
sends more is up to the program. The others are on a bare socket. Figures that are exact, in virtual time, are those of
``lab/mux``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import trio
from attrs import frozen
from fair_server import ask
from processes import command, running
from rounds import Level, Ratio, run_rounds

import kcoro_core
from kcoro_core import config

TITLE = "| channels that share a link | found | must | goal | reached |"

SMALL, MIDDLE, BULK = bytes(64), bytes(512), bytes(65536)
LINE_RATE = 12e6
WEIGHTS = (1, 2, 4)
PLACES = {"small": 16384, "bulk": 64}
"""Capacities: so much that each channel always has something to send, whatever is on the line."""
ASKING = 20
READERS = 64
MIB = 1 << 20


@frozen
class Lengths:
    """Seconds in which queues fill, seconds of measuring, messages of each task that is asked how long it waits."""

    settle: float
    measure: float
    share: float
    messages: int


FULL, QUICK = Lengths(0.3, 1.0, 3.0, 100), Lengths(0.1, 0.2, 0.3, 10)


@contextmanager
def serving(capacities: Mapping[str, int], budget: int = 8 << 20) -> Iterator[str]:
    """Start the other process, which reads these channels and holds so many bytes of a peer; where it can be found."""
    os.environ["KCORO_RECEIVE_BUDGET"] = str(budget)
    config.reload()
    with tempfile.TemporaryDirectory() as directory, running("fair_server.py", directory, json.dumps(capacities)):
        yield directory


async def repeat(send: Callable[[bytes], Awaitable[object]], message: bytes) -> None:
    """Send without end."""
    while True:
        await send(message)


@asynccontextmanager
async def sending(uri: str, senders: Mapping[str, tuple[bytes, int]], **options: Any) -> AsyncIterator[dict[str, Any]]:
    """A link on which tasks send without end (of each name: message, how many tasks); the handles by name."""
    async with kcoro_core.dial(uri) as link, trio.open_nursery() as nursery:
        handles = {}
        for name, (message, tasks) in senders.items():
            weight = int(name.split()[1]) if options else 1
            handles[name] = await link.open(name, weight=weight, **options)
            for _ in range(tasks):
                nursery.start_soon(repeat, handles[name].send, message)
        yield handles
        nursery.cancel_scope.cancel()


async def arrivals(directory: str, seconds: float) -> dict[str, float]:
    """Bytes per second that arrive of each channel, as the other process sees it."""
    before = await ask(directory)
    await trio.sleep(seconds)
    after = await ask(directory)
    elapsed = after["seconds"] - before["seconds"]
    return {name: (number - before["arrived"].get(name, 0)) / elapsed for name, number in after["arrived"].items()}


# -- shares


async def weighted(directory: str, lengths: Lengths) -> dict[str, float]:
    """What each channel got through for each unit of its weight, over what all of them did."""
    senders = {f"{kind} {w}": (message, 2) for kind, message in (("small", SMALL), ("bulk", BULK)) for w in WEIGHTS}
    async with sending(f"uds:{directory}/line", senders, lend=True):
        await trio.sleep(3 * lengths.settle)
        found = await arrivals(directory, lengths.share)
    unit = sum(found.values()) / sum(WEIGHTS) / 2
    return {name: found.get(name, 0.0) / int(name.split()[1]) / unit for name in senders}


def jain(shares: list[float]) -> float:
    """Jain's index: 1 when all are equal, 1/n when one has everything."""
    return sum(shares) ** 2 / len(shares) / sum(share * share for share in shares)


def shares(rounds: int, lengths: Lengths) -> list[Level]:
    """Shares of the line by weight, of 64-byte and of 64-KiB messages at once."""
    capacities = {f"{kind} {w}": places for kind, places in PLACES.items() for w in WEIGHTS}
    with serving(capacities, 32 << 20) as directory, running("line.py", directory, LINE_RATE):
        work = partial(kcoro_core.run, weighted, directory, lengths)
        [found] = run_rounds([work], rounds, "shares", lambda run: run())
    levels = [Level(f"{name}: got, of its share", Ratio.of([each[name] for each in found])) for name in found[0]]
    furthest = [max(abs(share - 1) * 100 for share in each.values()) for each in found]
    evenness = [jain(list(each.values())) for each in found]
    levels.append(Level("furthest from its share, %", Ratio.of(furthest), 10, 5))
    levels.append(Level("Jain's index of these", Ratio.of(evenness), 0.95, 0.99, least=True))
    return levels


# -- small messages beside bulk


async def waits(directory: str, lengths: Lengths, bulk: int) -> float:
    """Milliseconds within which 99 % of small messages are accepted, beside so many tasks that send 64 KiB each."""
    found: list[float] = []

    async def wait(send: Callable[[bytes], Awaitable[object]], pauses: random.Random) -> None:
        for _ in range(lengths.messages):
            await trio.sleep(pauses.uniform(0.004, 0.012))  # else all would send at once
            start = time.perf_counter()
            await send(SMALL)
            found.append(time.perf_counter() - start)

    async with sending(f"uds:{directory}/link", {"bulk": (BULK, bulk)} | _silent(ASKING)) as handles:
        await trio.sleep(lengths.settle)
        async with trio.open_nursery() as nursery:
            for name, handle in handles.items():
                if name != "bulk":
                    nursery.start_soon(wait, handle.send, random.Random(name))
    return sorted(found)[-(len(found) // 100) - 1] * 1e3


def _silent(channels: int) -> dict[str, tuple[bytes, int]]:
    return {f"c{number}": (b"", 0) for number in range(channels)}


def beside_bulk(rounds: int, lengths: Lengths) -> list[Level]:
    """Twenty channels of small messages, on a link that is quiet otherwise and beside one channel of bulk."""
    with serving(dict.fromkeys(_silent(ASKING), 64) | {"bulk": 64}) as directory:
        candidates = [partial(kcoro_core.run, waits, directory, lengths, bulk) for bulk in (0, 16)]
        quiet, beside = run_rounds(candidates, rounds, "beside bulk", lambda run: run())
    times = [late / soon for late, soon in zip(beside, quiet, strict=True)]
    return [
        Level("99 % of small messages on a quiet link, ms", Ratio.of(quiet)),
        Level("99 % of small messages beside bulk, ms", Ratio.of(beside)),
        Level("the latter over the former", Ratio.of(times), 5),
    ]


# -- a reader that stops


async def others(directory: str, lengths: Lengths, stopped: bool) -> float:
    """Bytes per second of 63 channels, while the reader of the 64th stands still, or goes on as they do."""
    senders = {f"c{number}": (MIDDLE, 4) for number in range(READERS)}
    async with sending(f"uds:{directory}/link", senders):
        await ask(directory, "stop c0" if stopped else "go c0")
        await trio.sleep(lengths.settle)
        found = await arrivals(directory, lengths.measure)
    await ask(directory, "go c0")
    return sum(rate for name, rate in found.items() if name != "c0")


def grown(lengths: Lengths) -> dict[str, float]:
    """By how many bytes two fresh processes grow while one floods a channel that the other does not read."""
    with serving(dict.fromkeys(_silent(READERS), 8)) as directory:
        flood = command("fair_flood.py", directory, lengths.measure)
        done = subprocess.run(flood, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def stopped_reader(rounds: int, lengths: Lengths) -> list[Level]:
    """One of 64 readers stops: the rate of the others, and the memory of both processes."""
    with serving(dict.fromkeys(_silent(READERS), 8)) as directory:
        candidates = [partial(kcoro_core.run, others, directory, lengths, stopped) for stopped in (False, True)]
        before, after = run_rounds(candidates, rounds, "stopped reader", lambda run: run())
    kept = [now / then * 100 for then, now in zip(before, after, strict=True)]
    [growths] = run_rounds([partial(grown, lengths)], rounds, "growth", lambda run: run())
    most = 2 * config.settings().receive_budget / MIB + 16
    return [
        Level("one of 64 readers stops: rate that the others keep, %", Ratio.of(kept), 90, 98, least=True),
        *(
            Level(f"{who} of a flood that nobody reads grows, MiB", Ratio.of([one[who] / MIB for one in growths]), most)
            for who in ("sender", "receiver")
        ),
    ]


def figures(rounds: int, quick: bool) -> list[Level]:
    """Everything of these."""
    lengths = QUICK if quick else FULL
    return [found for suite in (shares, beside_bulk, stopped_reader) for found in suite(rounds, lengths)]
