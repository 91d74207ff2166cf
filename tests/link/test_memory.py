# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What hostile and stopped peers may cost an honest side: twice the receive budget and 16 MiB at most. Rows: X3, N4."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from kcoro_core import BUFFERED, RENDEZVOUS, UNLIMITED, Server, channel, dial, serve, sleep

from .hostile import ATTACKS, ELEMENT_BYTES, EXPORTS, joined
from .raw import RawPeer
from .world import World, settle

Setting = Callable[[str, str], Any]

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20


@asynccontextmanager
async def target(uri: str, elements: int) -> AsyncIterator[Server]:
    """What is attacked, and one more channel for those who mean well."""
    supply, store = channel(UNLIMITED), channel(BUFFERED, 1)
    for _ in range(elements):
        supply.try_send(bytes(ELEMENT_BYTES))
    store.try_send(b"full")
    export = dict(zip(EXPORTS, (supply, channel(RENDEZVOUS), store), strict=True))
    async with serve(uri, {**export, "good": channel(UNLIMITED)}, max_links=50) as server:
        yield server


async def works(uri: str) -> None:
    """Somebody else is served as if nothing had happened."""
    async with dial(uri) as link:
        good = await link.open("good")
        await good.send(b"fine")
        assert await good.recv() == b"fine"


# -- in this process, to the byte


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_no_more_than_the_bound(mem_world: World, setting: Setting, name: str) -> None:
    """Over mem:, attacker included: no more than twice a small budget, and others are served. Rows: X3, N4."""
    budget = MIB

    async def main() -> None:
        async with target(mem_world.uri, 600):
            await works(mem_world.uri)
            gc.collect()
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            peers = await ATTACKS[name](mem_world.uri, 300)
            await settle()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            await works(mem_world.uri)
            assert after - before < 2 * budget + 2 * MIB
            for peer in peers:
                peer.close()

    with setting("receive_budget", f"{budget}"), setting("max_message", "5000"), setting("hello_timeout", "500"):
        mem_world.run(main)


def test_the_measure_sees_what_a_bound_would_miss(mem_world: World, setting: Setting) -> None:
    """With ten times the budget the same attack costs more than the bound of this one: the test can fail. Row: X3."""
    grown = 0

    async def main() -> None:
        nonlocal grown
        async with target(mem_world.uri, 10):
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            peers = await ATTACKS["flood_of_sends"](mem_world.uri, 1200)
            peers.append(await more_sends(mem_world.uri, 1000))
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            grown = after - before
            for peer in peers:
                peer.close()

    with setting("receive_budget", f"{10 * MIB}"), setting("max_message", "5000"):
        mem_world.run(main)
    assert grown > 4 * MIB


async def more_sends(uri: str, count: int) -> RawPeer:
    """So many sends that wait."""
    peer = await joined(uri, "hole")
    for number in range(2, count):
        await peer.send(7, 1, number, b"\xff" * 4, bytes(ELEMENT_BYTES))
    return peer


# -- in another process, as the system sees it


def resident(pid: int) -> int:
    """Bytes of a process that lie in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def program(module: str, uri: str) -> AsyncIterator[tuple[trio.Process, Lines]]:
    """A program of these tests in a process of its own, once it has printed its first line."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", f"tests.link.{module}", uri], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = Lines(process.stdout)
    try:
        await lines.next()
        yield process, lines
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()


class Lines:
    """What a program prints, line by line."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def next(self) -> str:
        """The next line; an error when the program ends instead."""
        while b"\n" not in self._buffer:
            data = await self._stream.receive_some()
            assert data, "the program has ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_another_process_costs_no_more_than_the_bound(tmp_path: Path, name: str) -> None:
    """Over uds:, with default limits: the server's resident memory grows by 2 x budget + 16 MiB at most. Row: X3."""
    budget, uri = 8 * MIB, f"uds:{tmp_path}/s"
    tmp_path.chmod(0o700)

    async def main() -> None:
        async with program("honest_server", uri) as (process, _):
            await works(uri)
            before = resident(process.pid)
            peers = await ATTACKS[name](uri, 6000)
            await sleep(0.5)
            await works(uri)
            grown = resident(process.pid) - before
            sys.stdout.write(f"{name}: {grown / MIB:.1f} MiB\n")
            assert grown <= 2 * budget + 16 * MIB
            for peer in peers:
                peer.close()

    trio.run(main)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_stopped_process_costs_no_more_than_the_bound_and_goes_on_later(tmp_path: Path) -> None:
    """A reader that is stopped while it is served: bounded memory, others served; then it goes on. Rows: X3, N4."""
    budget, uri = 8 * MIB, f"uds:{tmp_path}/s"
    tmp_path.chmod(0o700)

    async def main() -> None:
        async with program("honest_server", uri) as (process, _):
            await works(uri)
            before = resident(process.pid)
            async with program("honest_reader", uri) as (reader, lines):
                reader.send_signal(signal.SIGSTOP)
                for _ in range(20):
                    await works(uri)
                    await sleep(0.05)
                grown = resident(process.pid) - before
                reader.send_signal(signal.SIGCONT)
                with trio.fail_after(30):
                    assert await lines.next() == "done"
            sys.stdout.write(f"stopped: {grown / MIB:.1f} MiB\n")
            assert grown <= 2 * budget + 16 * MIB

    trio.run(main)
