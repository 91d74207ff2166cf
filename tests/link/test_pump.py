# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The pump: who writes, what is waited for, and that a cancelled task tears no frame (rows N1, T6)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
import trio

from kcoro_core import UNLIMITED, channel, dial, plugins, serve, sleep
from kcoro_core.hosts.port import current_host
from kcoro_core.transport import COMMIT_BYTES, PollSpec, Vtable
from kcoro_core.transports import mem

from .world import World, settle, tasks


def wrapped(monkeypatch: pytest.MonkeyPatch, world: World, **functions: Any) -> Vtable:
    """Have dial and serve use a transport of which some functions are replaced; gives the real one."""
    real = plugins.transport(world.uri)
    monkeypatch.setattr(plugins, "transport", lambda uri: attrs.evolve(real, **functions))
    return real


def test_the_caller_writes_what_is_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single request is with the medium before its task has suspended: no other task has to run. Row: N1."""
    sent: list[object] = []
    watched: list[Any] = []

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        if conn in watched:
            sent.append(current_host().current())
            watched.clear()
        return real.send_frame(conn, header, parts, lane)

    real = wrapped(monkeypatch, world, send_frame=send_frame)

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            await settle()
            watched.append(link._conn)
            await jobs.send(b"v")
            assert sent == [current_host().current()]

    world.run(main)


def test_what_is_asked_in_one_turn_goes_out_in_few_writes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 requests of one turn are written in two batches: the first alone, the others together. Row: N1."""
    counted: Counter[str] = Counter()

    def pump(endpoint: Any, now: float, ready: int) -> None:
        counted["writes"] += ready == 2
        real.pump(endpoint, now, ready)

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        counted["frames"] += 1
        return real.send_frame(conn, header, parts, lane)

    real = wrapped(monkeypatch, world, pump=pump, send_frame=send_frame)

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            await settle()
            counted.clear()
            async with tasks() as some:
                for _ in range(200):
                    some.start(jobs.send, b"v")
            assert counted["frames"] >= 400
            assert counted["writes"] < 60
        assert len(ch) == 200

    world.run(main)


def test_what_the_medium_announces_is_waited_for(mem_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline of the medium has it pumped then, and not before; without news nobody is woken. Rows: N1, T6."""
    pumped: list[float] = []
    due: list[float] = []

    def pump(endpoint: Any, now: float, ready: int) -> None:
        if endpoint is watched[0]:
            pumped.append(now)
            if due and now >= due[0]:
                due.clear()
        real.pump(endpoint, now, ready)

    def poll_handle(endpoint: Any) -> PollSpec:
        spec = real.poll_handle(endpoint)
        return attrs.evolve(spec, deadline=due[0]) if due and endpoint is watched[0] else spec

    watched: list[Any] = [None]
    real = wrapped(monkeypatch, mem_world, pump=pump, poll_handle=poll_handle)

    async def main() -> None:
        async with mem_world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            watched[0] = link._conn
            due.append(trio.current_time() + 5)
            expected = due[0]
            await jobs.send(b"v")
            await settle()
            pumped.clear()
            await sleep(20)
            assert pumped[0] == pytest.approx(expected)
            assert len(pumped) <= 2

    mem_world.run(main)


def test_a_refused_frame_goes_first_when_there_is_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that the medium refused keeps its place: nothing overtakes it, nothing is sent twice. Row: T6."""
    refuse: list[bool] = []

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        if refuse and refuse.pop():
            polled.append(conn)
            return False
        return real.send_frame(conn, header, parts, lane)

    def poll_handle(endpoint: Any) -> PollSpec:
        spec = real.poll_handle(endpoint)
        if endpoint in polled:
            polled.remove(endpoint)
            return attrs.evolve(spec, ready_now=True)
        return spec

    polled: list[Any] = []
    real = wrapped(monkeypatch, world, send_frame=send_frame, poll_handle=poll_handle)

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            refuse.extend([True, False] * 30)
            for i in range(20):
                await jobs.send(b"%d" % i)
        assert [ch.try_recv() for _ in range(20)] == [b"%d" % i for i in range(20)]

    world.run(main)


def test_room_that_is_made_while_the_medium_is_pumped_is_used_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was refused and then pumps may have made the room himself, and nobody announces that again. Row: T6."""
    holding: dict[Any, tuple[bytes, Any, int]] = {}

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        if conn in holding:
            return False
        holding[conn] = (header, parts, lane)
        return True

    def tx_backlog(conn: Any) -> int:
        header, parts, _ = holding.get(conn, (b"", (), 0))
        return len(header) + sum(map(len, parts))

    def pump(endpoint: Any, now: float, ready: int) -> None:
        if endpoint in holding and real.send_frame(endpoint, *holding[endpoint]):
            del holding[endpoint]
        real.pump(endpoint, now, ready)

    real = wrapped(monkeypatch, world, send_frame=send_frame, tx_backlog=tx_backlog, pump=pump)

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                for _ in range(50):
                    some.start(jobs.send, b"v")
        assert len(ch) == 50

    world.run(main)


def test_no_more_is_committed_than_the_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium that would take everything is given COMMIT_BYTES, and more when it has passed some on. Rows: N3, T6."""
    held: list[int] = []
    most: list[int] = [0]
    stalled: list[bool] = []

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        if not stalled or conn is not stalled[0]:
            return real.send_frame(conn, header, parts, lane)
        kept.append((header, tuple(bytes(part) for part in parts), lane))
        held.append(len(header) + sum(map(len, parts)))
        most[0] = max(most[0], sum(held))
        return True

    def tx_backlog(conn: Any) -> int:
        return sum(held) if stalled and conn is stalled[0] else real.tx_backlog(conn)

    kept: list[Any] = []
    real = wrapped(monkeypatch, world, send_frame=send_frame, tx_backlog=tx_backlog)

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            await settle()
            stalled.append(link._conn)
            async with tasks() as some:
                for _ in range(100):
                    some.start(jobs.send, bytes(10_000))
                await settle()
                assert COMMIT_BYTES <= most[0] <= COMMIT_BYTES + 10_100
                for _ in range(100):  # it passes on what it has, and says so
                    while kept and real.send_frame(link._conn, *kept[0]):
                        kept.pop(0)
                        held.pop(0)
                    link.pump.poke()
                    await settle()
        assert len(ch) == 100
        assert most[0] <= COMMIT_BYTES + 10_100

    world.run(main)


def test_a_medium_that_takes_more_than_the_bound_wakes_who_stopped_there(mem_world: World) -> None:
    """Nothing was refused, so nobody waits for room: the fall below COMMIT_BYTES is what is told. Rows: N3, T6."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with mem.faults(mem_world.uri.partition(":")[2]) as faults:
            faults.buffer_bytes = 1 << 20
            async with mem_world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs")
                faults.stall(mem.TO_LISTENER)
                async with tasks() as some:
                    for _ in range(40):
                        some.start(jobs.send, bytes(10_000))
                    await settle()
                    assert COMMIT_BYTES <= link.snapshot().tx_backlog_bytes <= COMMIT_BYTES + 10_100
                    faults.resume(mem.TO_LISTENER)
        assert len(ch) == 40

    mem_world.run(main)


@pytest.mark.parametrize("delay", range(6))
def test_a_cancelled_task_tears_no_frame(world: World, delay: int) -> None:
    """Whenever tasks are cancelled in their calls, the link goes on and what was accepted is whole. Rows: N1, K7."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with serve(world.uri, {"jobs": ch}), dial(world.uri) as link:
            jobs = await link.open("jobs")
            done = 0
            for round_ in range(20):
                async with tasks() as some:
                    calls = [some.start(jobs.send, b"x" * (5000 * i)) for i in range(4)]
                    for _ in range(delay):
                        await current_host().pause()
                    some.cancel()
                done += sum(call.outcome == "done" for call in calls)
                assert not link.closed, round_
            await settle()
            sizes = Counter(len(ch.try_recv()) for _ in range(len(ch)))
            assert set(sizes) <= {0, 5000, 10_000, 15_000}
            assert sizes.total() == done

    world.run(main)
