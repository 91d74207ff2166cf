# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Many channels over one link: fair shares, quick small messages beside bulk, bounded memory (row L4).

Over ``sim:`` the line has a bandwidth and time is virtual, so shares and delays are exact. Elsewhere they are figures
without a verdict, and what is checked is what no machine can change: everything arrives, nobody is kept from ending, no
bound is passed.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kcoro_core import (
    BUFFERED,
    CancelToken,
    Channel,
    KcoroError,
    NoBuffers,
    OperationCancelled,
    channel,
    open_scope,
    sleep,
)
from kcoro_core.config import settings
from kcoro_core.hosts.port import current_host
from kcoro_core.wire.hello import charge

from ..book import Book, jain, percentile
from ..bulk import Bulk
from ..places import Pair, Place

__all__ = ["SCENARIOS"]

SMALL = 64
BULK = 65536
LINE = "latency=5ms&bandwidth=1MB"
WARM_SECONDS = 2.0


class Load:
    """Senders that never stop and takers that never wait: what arrives of each channel is counted by its charge."""

    def __init__(self, ends: Pair, channels: Mapping[str, Channel[bytes]]) -> None:
        self.ends = ends
        self.channels = channels
        self.arrived: Counter[str] = Counter()
        self.stop = CancelToken()

    async def send(self, handle: Any, size: int) -> None:
        """Send without end."""
        try:
            while True:
                await handle.send(b"x" * size, cancel=self.stop)
        except (OperationCancelled, KcoroError):
            return

    async def take(self, name: str) -> None:
        """Take everything."""
        try:
            while True:
                self.arrived[name] += charge(len(await self.channels[name].recv(cancel=self.stop)))
        except OperationCancelled:
            return

    async def measure(self, seconds: float) -> dict[str, float]:
        """What arrives of each channel within these seconds, behind a while in which queues fill."""
        await sleep(WARM_SECONDS)
        before = Counter(self.arrived)
        await sleep(seconds)
        return {name: float(self.arrived[name] - before[name]) for name in self.channels}


async def shares(place: Place, kinds: Mapping[str, tuple[int, int, int]], seconds: float) -> dict[str, float]:
    """What arrives of channels that are always ready to send; ``kinds``: size, senders, weight."""
    channels = {name: channel(BUFFERED, 256, name=name) for name in kinds}
    async with place.pair(channels, LINE) as ends:
        load = Load(ends, channels)
        async with open_scope() as scope:
            for name, (size, senders, weight) in kinds.items():
                handle = await ends.link.open(name, lend=True, weight=weight)
                scope.launch(load.take, name)
                for _ in range(senders):
                    scope.launch(load.send, handle, size)
            found = await load.measure(seconds)
            load.stop.trigger()
    return found


async def equal_shares(place: Place, book: Book) -> None:
    """Three channels of 64-byte and three of 64-KiB messages share the line evenly."""
    # So many senders, because what the medium has taken is in flight, too: less would not always have a frame waiting.
    kinds = {f"small {n}": (SMALL, 330, 1) for n in range(3)} | {f"bulk {n}": (BULK, 2, 1) for n in range(3)}
    found = await shares(place, kinds, seconds(place, 8.0, 40.0))
    index = jain(list(found.values()))
    note_shares(book, found)
    book.figure("evenness (Jain)", index)
    if place.virtual:
        book.check("the index of fairness is at least 0.95", index >= 0.95, f"{index:.4f}")
    book.check("every channel got something through", all(found.values()), min(found.values()))


async def weighted_shares(place: Place, book: Book) -> None:
    """Weights 1, 2 and 4, with small and large messages each: the shares are as the weights."""
    weights = (1, 2, 4)
    # Within a second of real time a slow machine may move a few large messages only, too few for the smallest share.
    size = BULK if place.virtual or not place.quick else 8192
    kinds = {f"small of weight {w}": (SMALL, 128 * w, w) for w in weights}
    kinds |= {f"bulk of weight {w}": (size, 3 * w + 1, w) for w in weights}
    found = await shares(place, kinds, seconds(place, 6.0, 40.0))
    note_shares(book, found)
    unit = sum(found.values()) / sum(weights) / 2
    worst = max(abs(found[name] / (kinds[name][2] * unit) - 1) for name in found) if unit else 1.0
    book.figure("furthest from its share", worst)
    if place.virtual:
        book.check("every share is within 10 % of its weight", worst <= 0.10, f"{worst:.3f}")
    book.check("every channel got something through", all(found.values()), min(found.values()))


def seconds(place: Place, quick: float, full: float) -> float:
    """How long to measure; real time is dear, and its figures are no checks."""
    return (quick if place.quick else full) if place.virtual else 1.0


def note_shares(book: Book, found: Mapping[str, float]) -> None:
    """Each channel's part of the whole."""
    total = sum(found.values()) or 1.0
    for name, value in found.items():
        book.figure(f"share of {name}", value / total)


async def small_beside_bulk(place: Place, book: Book) -> None:
    """Twenty channels of small messages, alone and beside one bulk channel: they wait at most five times as long."""
    names = [f"small {n}" for n in range(20)]
    channels = {name: channel(BUFFERED, 64, name=name) for name in [*names, "bulk"]}
    number = 20 if place.quick else 100
    waits: dict[str, list[float]] = {}
    async with place.pair(channels, "latency=20ms&bandwidth=10MB") as ends:
        load = Load(ends, channels)
        handles = {name: await ends.link.open(name) for name in channels}

        async def ask(name: str, into: list[float]) -> None:
            for _ in range(number):
                began = current_host().now()
                await handles[name].send(b"x" * SMALL)
                into.append(current_host().now() - began)
                await sleep(0.005)

        async with open_scope() as scope:
            for name in channels:
                scope.launch(load.take, name)
            for phase in ("alone", "beside bulk"):
                waits[phase] = []
                if phase == "beside bulk":
                    for _ in range(16):
                        scope.launch(load.send, handles["bulk"], BULK)
                    await sleep(0.5)
                async with open_scope() as inner:
                    for name in names:
                        inner.launch(ask, name, waits[phase])
            load.stop.trigger()
    late = {phase: percentile(values, 0.99) for phase, values in waits.items()}
    for phase, value in late.items():
        book.figure(f"99 % of small messages {phase}, ms", value * 1e3)
    if place.virtual:
        times = late["beside bulk"] / late["alone"]
        book.check("beside bulk 99 % of them take at most five times as long", times <= 5, f"{times:.2f}")
    book.check("bulk moved meanwhile", load.arrived["bulk"] > 0, load.arrived["bulk"])
    book.check("every small message arrived", all(len(v) == 20 * number for v in waits.values()), len(waits["alone"]))


async def counted_turns(place: Place, book: Book) -> None:
    """Messages of one channel go while another one always has more to send: the same, without a clock."""
    number, bulk = 20 if place.quick else 100, Bulk()
    small = channel(BUFFERED, number, name="small")
    async with place.pair({"small": small, "bulk": bulk.channel}, LINE) as ends:
        handle = await ends.link.open("small")
        await bulk.beside(await ends.link.open("bulk", lend=True), lambda n: handle.send(b"x" * SMALL), number)
    book.check("every small message arrived", len(small) == number, len(small))
    bulk.judge(book, "small messages")


async def stopped_reader(place: Place, book: Book) -> None:
    """One of 64 readers stops: the others keep their rate, and neither side grows."""
    capacity, senders, size = 8, 4, 512
    channels = {f"c{n}": channel(BUFFERED, capacity, name=f"c{n}") for n in range(64)}
    rates: list[float] = []
    first: list[float] = []
    peak_frames = peak_waiting = 0
    async with place.pair(channels, "latency=5ms&bandwidth=500kB") as ends:
        load = Load(ends, channels)
        handles = {name: await ends.link.open(name) for name in channels}
        stopped = CancelToken()

        async def take_first() -> None:
            try:
                while True:
                    load.arrived["c0"] += charge(len(await channels["c0"].recv(cancel=stopped)))
            except OperationCancelled:
                return

        async with open_scope() as scope:
            for name, handle in handles.items():
                scope.launch(take_first) if name == "c0" else scope.launch(load.take, name)
                for _ in range(senders):
                    scope.launch(load.send, handle, size)
            for _ in range(2):
                found = await load.measure(seconds(place, 2.0, 10.0))
                rates.append(sum(value for name, value in found.items() if name != "c0"))
                first.append(found["c0"])
                peak_frames = max(peak_frames, ends.link.snapshot().queued_frames)
                peak_waiting = max(peak_waiting, ends.peer.snapshot().waiting_here)
                stopped.trigger()
            load.stop.trigger()
    kept = rates[1] / rates[0] if rates[0] else 0.0
    longest = max(one.snapshot().peak_length for one in channels.values())
    parked = peak_waiting * charge(size)
    book.figure("rate kept by the other 63", kept)
    if place.virtual:
        book.check("the other 63 keep at least 90 % of their rate", kept >= 0.9, f"{kept:.3f}")
    book.check("one went on, then stopped, and the others go on", first[0] > 0 == first[1] < rates[1], first)
    book.check("no channel ever held more than its capacity", longest <= capacity, longest)
    book.check("what waits at the home is within its budget", parked <= settings().receive_budget, parked)
    book.check(
        "what waits to be written is bounded by what is in flight", peak_frames <= 64 * (senders + 2), peak_frames
    )


async def flooded(place: Place, book: Book) -> None:
    """A channel that nobody reads is flooded with large messages: what both sides hold stays within their budgets."""
    capacity, senders = 16, 128
    stuck, alive = channel(BUFFERED, capacity, name="stuck"), channel(BUFFERED, 4, name="alive")
    refused = passed = held = committed = 0
    before = resident()
    async with place.pair({"stuck": stuck, "alive": alive}) as ends:
        load = Load(ends, {"stuck": stuck, "alive": alive})
        handle, other = await ends.link.open("stuck", lend=True), await ends.link.open("alive")

        async def flood() -> None:
            nonlocal refused
            try:
                await handle.send(b"x" * BULK, cancel=load.stop)
            except NoBuffers:
                refused += 1
            except (OperationCancelled, KcoroError):
                return

        async with open_scope() as scope:
            for _ in range(senders):
                scope.launch(flood)
            scope.launch(load.take, "alive")
            for _ in range(50):
                await other.send(b"x" * SMALL)
                passed += 1
                committed = max(committed, ends.link.snapshot().tx_backlog_bytes)
            held = (len(stuck) + ends.peer.snapshot().waiting_here) * charge(BULK)
            grown = resident() - before
            load.stop.trigger()
    allowed = settings().receive_budget + capacity * charge(BULK)
    book.figure("sends that the budget refused", refused)
    book.figure("bytes held at the home", held)
    book.check("the flood filled the channel", len(stuck) == capacity, len(stuck))
    book.check("what the home holds is within its budget and the channel", held <= allowed, held)
    book.check("the medium was given 128 KiB and one piece at most", committed <= (128 << 10) + BULK + 4096, committed)
    book.check("another channel goes on meanwhile", passed == 50, passed)
    book.check("neither side has grown beyond its bound", grown <= 2 * settings().receive_budget + (16 << 20), "")


def resident() -> int:
    """Bytes of memory that this process has: both sides of the link, and everything else."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


SCENARIOS: dict[str, Callable[[Place, Book], Awaitable[None]]] = {
    "equal-shares": equal_shares,
    "weighted-shares": weighted_shares,
    "small-beside-bulk": small_beside_bulk,
    "counted-turns": counted_turns,
    "stopped-reader": stopped_reader,
    "flooded": flooded,
}
"""By name, in the order in which they run."""
