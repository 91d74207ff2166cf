# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Links over each medium beside the libraries below them alone: handshake, ping, throughput, processor for each byte.

Alone are ``asyncio`` streams over TLS, and the streams of qh3 and aioquic on asyncio: what a program writes that needs
one stream and no channels. Each candidate is a pair of processes on one machine.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import astuple, frozen
from bare_server import LIBRARIES, PROTOCOL
from links import LARGE, SMALL, Server, link_round_trip, link_stream, linked, serving
from processes import running
from quic import NEEDED, certified
from rounds import Level, Missing, Ratio, Sample, run_rounds

TITLE = "| links, and libraries alone | found | must | goal | reached |"
SCHEMES = ("uds", "tcp", "tls", "quic")
ALONE = ("asyncio", *LIBRARIES)
PINGS, BULK, HANDSHAKES = (1_000, 50), (32, 2), (30, 3)
"""How many of each: in earnest, and for a look. Bulk is of messages of 1 MiB."""


# -- links


async def shake_hands(server: Server, times: int, scheme: str) -> None:
    """Dial, and leave, one after the other; leaving is not counted."""
    seconds = 0.0
    for _ in range(times):
        began = time.perf_counter()
        async with linked(server, scheme):
            seconds += time.perf_counter() - began
    server.samples.append(Sample(seconds / times, 0, 0))


def of_link(server: Server, what: str, times: int, scheme: str) -> Sample:
    """One sample of a link."""
    if what == "handshake":
        return server.run(shake_hands, times, scheme)
    if what == "ping":
        return server.run(link_round_trip, times, scheme)
    return server.run(link_stream, times, LARGE, scheme)


# -- libraries alone


@frozen
class Alone:
    """A library, and the process at the other end."""

    name: str
    directory: str

    def told(self, name: str) -> str:
        """What the other process has left there."""
        return Path(self.directory, name).read_text()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, Any]]:
        """One stream to the other process, the certificate verified."""
        port, trusted = int(self.told(self.name)), os.environ["KCORO_TLS_CAFILE"]
        if self.name == "asyncio":
            context = ssl.create_default_context(cafile=trusted)
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            yield reader, writer
            writer.close()
            return
        make = importlib.import_module(f"{self.name}.quic.configuration").QuicConfiguration
        settings = make(is_client=True, alpn_protocols=[PROTOCOL], cafile=trusted)
        connect = importlib.import_module(f"{self.name}.asyncio").connect
        async with connect("127.0.0.1", port, configuration=settings) as protocol:
            yield await protocol.create_stream()

    def clocks(self) -> tuple[float, float, float]:
        """Seconds by the clock, of this process, and of the one thread of the other that works."""
        there = int(Path(f"/proc/{self.told('pid')}/schedstat").read_text().split()[0]) / 1e9
        return time.perf_counter(), time.process_time(), there

    async def ping(self, times: int) -> Sample:
        """A small message and its answer, one after the other."""
        async with self.connected() as (reader, writer):
            began = self.clocks()
            for _ in range(times):
                await self.ask(reader, writer)
            return self.since(began, times)

    async def bulk(self, times: int) -> Sample:
        """Large messages, until the other process has read the last of them."""
        async with self.connected() as (reader, writer):
            began = self.clocks()
            for _ in range(times):
                writer.write(len(LARGE).to_bytes(4, "big") + LARGE)
                if self.name == "asyncio":
                    await writer.drain()  # the streams of the others have nothing to wait for; they keep all of it
            writer.write(bytes(4))
            await reader.readexactly(4)
            return self.since(began, times)

    async def handshake(self, times: int) -> Sample:
        """Connect and have one answer, as a dial has; leaving, for which QUIC takes its time, is not counted."""
        found = []
        for _ in range(times):
            began = self.clocks()
            async with self.connected() as (reader, writer):
                await self.ask(reader, writer)
                found.append(self.since(began, 1))
        return Sample(*(sum(column) / times for column in zip(*map(astuple, found), strict=True)))

    async def ask(self, reader: asyncio.StreamReader, writer: Any) -> None:
        """One small message, and its answer."""
        writer.write(len(SMALL).to_bytes(4, "big") + SMALL)
        await reader.readexactly(4)

    def since(self, began: tuple[float, float, float], times: int) -> Sample:
        """What each of so many has taken since then."""
        return Sample(*((now - then) / times for now, then in zip(self.clocks(), began, strict=True)))

    def sample(self, what: str, times: int) -> Sample:
        """One sample, on a loop of its own."""
        found: Sample = asyncio.run(getattr(self, what)(times))
        return found


# -- the table


def level(name: str, what: str, samples: list[Sample]) -> list[Level]:
    """What is said of one candidate and one kind of work."""
    if what == "bulk":
        size, cost = len(LARGE), [(one.here + one.there) * 1e9 / len(LARGE) for one in samples]
        rate = Ratio.of([size / one.seconds / 1e6 for one in samples])
        return [Level(f"throughput, MB/s: {name}", rate), Level(f"processor, ns a byte: {name}", Ratio.of(cost))]
    unit, factor = ("us", 1e6) if what == "ping" else ("ms", 1e3)
    return [Level(f"{what}, {unit}: {name}", Ratio.of([one.seconds * factor for one in samples]))]


def figures(rounds: int, quick: bool) -> list[Level | Missing]:
    """Every candidate does every kind of work in the same rounds."""
    if missing := [name for name in (*NEEDED, *LIBRARIES) if importlib.util.find_spec(name) is None]:
        return [Missing("links, and libraries alone", f"needs {', '.join(missing)}")]
    rows: list[Level | Missing] = []
    with (
        certified(),
        tempfile.TemporaryDirectory() as directory,
        serving(budget=32 << 20, schemes=SCHEMES[1:]) as server,
        running("bare_server.py", directory),
    ):
        for what, counts in (("handshake", HANDSHAKES), ("ping", PINGS), ("bulk", BULK)):
            candidates: dict[str, Callable[[], Sample]] = {}
            for scheme in SCHEMES:
                candidates[f"{scheme}:"] = partial(of_link, server, what, counts[quick], scheme)
            for name in ALONE:
                # One library takes ten times as long as the others; what a byte takes does not depend on how many.
                times = counts[quick] // 8 if (what, name, quick) == ("bulk", "aioquic", False) else counts[quick]
                candidates[f"{name} alone"] = partial(Alone(name, directory).sample, what, times)
            samples = run_rounds(list(candidates.values()), rounds, what, lambda run: run())
            for name, of_it in zip(candidates, samples, strict=True):
                rows += level(name, what, of_it)
    return rows
