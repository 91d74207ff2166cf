# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a link costs and leaves: descriptors, threads, tasks, requests in flight, the time of others (rows N1, N6)."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kcoro_core import (
    RENDEZVOUS,
    UNLIMITED,
    CancelToken,
    LinkLost,
    NoBuffers,
    OperationCancelled,
    channel,
    dial,
    serve,
    sleep,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.testing.proxy import FaultProxy
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER
from kcoro_core.transports.mem import faults

from .world import World, settle, tasks

Setting = Callable[[str, str], Any]


def descriptors() -> set[str]:
    """What this process has open, by what it leads to; the listing itself left out."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:
            continue
    return found


def background() -> list[str]:
    """The background tasks of this run of trio."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return sorted(task.name for nursery in root.child_nurseries for task in nursery.child_tasks)


@pytest.fixture
def uds_world(tmp_path: Path) -> World:
    """Trio over Unix sockets."""
    tmp_path.chmod(0o700)
    return World("uds-trio", tmp_path)


def test_64_channels_are_one_descriptor_and_no_thread(uds_world: World) -> None:
    """One connection carries all channels of a link: one descriptor at each end, and no thread at all. Row: N1.

    A run of trio in which somebody has asked over a link has one more, for all its links: see ``hosts/trio_watch.py``.
    """

    async def main() -> None:
        export = {f"{i}": channel(UNLIMITED) for i in range(64)}
        threads = threading.active_count()
        async with serve(uds_world.uri, dict(export)):
            async with dial(uds_world.uri) as first:
                await (await first.open("0")).send(b"v")
            export["0"].try_recv()
            before = descriptors()
            async with dial(uds_world.uri) as link:
                handles = [await link.open(name) for name in export]
                for handle in handles:
                    await handle.send(b"v")
                assert [await handle.recv() for handle in handles] == [b"v"] * 64
                assert len(descriptors() - before) == 2  # both ends are in this process
                assert threading.active_count() <= threads  # idle ones of earlier runs may end meanwhile

    uds_world.run(main)


@pytest.mark.parametrize("end", ["orderly", "cut", "server", "cancelled"])
def test_nothing_is_left_behind_a_link(uds_world: World, tmp_path: Path, end: str) -> None:
    """However a link ends: no task, no descriptor, no request and no waiter is left of it. Rows: N6, SC7."""

    async def use(uri: str, proxy: FaultProxy, server: list[object]) -> None:
        with trio.CancelScope() as scope:
            async with dial(uri) as link:
                jobs = await link.open("jobs")
                async with tasks() as some:
                    for _ in range(5):
                        some.start(jobs.recv)
                    await settle()
                    if end == "cut":
                        proxy.cut_now()
                    elif end == "server":
                        await server[0].aclose()  # type: ignore[attr-defined]
                    elif end == "cancelled":
                        scope.cancel()
                    else:
                        some.cancel()

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with serve(uds_world.uri, {"jobs": ch}), dial(uds_world.uri) as first:
            await (await first.open("jobs")).info()  # a run has timers and watches of its own from now on
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        tasks_before, fds_before = background(), descriptors()
        with FaultProxy(uds_world.uri, tmp_path / "proxy") as proxy:
            async with serve(uds_world.uri, {"jobs": ch}) as server:
                await use(proxy.uri, proxy, [server])
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        assert background() == tasks_before
        assert ch._close_watchers == {}
        assert descriptors() - fds_before == set()
        assert ch.snapshot().waiting_receivers == 0

    trio.run(main)  # the proxy has threads, for which a virtual clock does not wait


def test_a_thousand_requests_at_once_complete_in_any_order(world: World) -> None:
    """1,000 receives wait over one link, on 50 channels that are served in random order; each gets its own. Row: N1."""

    async def main() -> None:
        chance = random.Random(7)
        export = {f"{i}": channel(RENDEZVOUS) for i in range(50)}
        async with world.linked(dict(export)) as (_, link):
            handles = {name: await link.open(name) for name in export}
            async with tasks() as some:
                calls = [(name, some.start(handles[name].recv)) for name in list(export) * 20]
                await settle()
                assert link.snapshot().requests_in_flight == 1000
                order = list(export) * 20
                chance.shuffle(order)
                for number, name in enumerate(order):
                    export[name].try_send(f"{name} {number}".encode())
            got = [(name, call.value.decode().split()) for name, call in calls]
            assert all(name == value[0] for name, value in got)
            assert len({value[1] for _, value in got}) == 1000

    world.run(main)


def test_a_cancel_among_a_thousand_is_prompt(world: World) -> None:
    """A token ends its own request at once, and the others go on waiting. Rows: N1, K3."""

    async def main() -> None:
        token = CancelToken()
        ch = channel(RENDEZVOUS)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                others = [some.start(jobs.recv) for _ in range(900)]
                mine = [some.start(jobs.recv, cancel=token) for _ in range(50)]
                await settle()
                token.trigger()
                await sleep(0.009)
                assert {call.outcome for call in mine} == {OperationCancelled}
                assert {call.outcome for call in others} == {"waits"}
                assert ch.snapshot().waiting_receivers == 900
                some.cancel()

    world.run(main)


def test_requests_in_flight_are_bounded_on_both_sides(world: World) -> None:
    """Beyond max_requests a call raises NoBuffers before any effect; when others end there is room again. Row: W3."""

    async def main() -> None:
        async with world.linked({"jobs": channel(RENDEZVOUS)}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                for _ in range(1024):
                    some.start(jobs.recv)
                await settle()
                before = link.snapshot().frames_written
                with pytest.raises(NoBuffers, match="1024 requests"):
                    await jobs.recv()
                assert link.snapshot().frames_written == before
                some.cancel()
            with pytest.raises(Exception, match="nothing to receive"):
                await jobs.recv(timeout=0)

    world.run(main)


def test_bytes_that_wait_at_the_home_are_bounded(world: World) -> None:
    """Parked sends are charged to the home's receive_budget; the next one is NoBuffers, unsent. Row: W3."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                calls = [some.start(jobs.send, b"x" * (1 << 20)) for _ in range(9)]
                await settle()
                outcomes = [call.outcome for call in calls]
                assert (outcomes.count("waits"), outcomes.count(NoBuffers)) == (7, 2)
                assert ch.snapshot().waiting_senders == 7
                some.cancel()

    world.run(main)


def test_others_go_on_while_a_peer_is_stopped_in_mid_frame(uds_world: World, tmp_path: Path) -> None:
    """A peer that stops reading inside a large frame holds up its own link only: a ticker goes on. Row: N1."""

    async def main() -> None:
        ch, other = channel(UNLIMITED), channel(UNLIMITED)
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(trio.current_time())
                await sleep(0.005)

        with FaultProxy(uds_world.uri, tmp_path / "proxy") as proxy:
            export = {"jobs": ch, "other": other}
            async with serve(uds_world.uri, export), dial(proxy.uri) as link, dial(uds_world.uri) as good:
                jobs, fine = await link.open("jobs"), await good.open("other")
                threads = threading.active_count()
                async with tasks() as some:
                    proxy.stall(TO_LISTENER)
                    big = [some.start(jobs.send, b"x" * (1 << 20)) for _ in range(4)]
                    some.start(tick)
                    for _ in range(100):
                        await fine.send(b"v")
                        assert await fine.recv() == b"v"
                        await sleep(0.002)
                    assert {call.outcome for call in big} == {"waits"}
                    assert link.snapshot().tx_backlog_bytes > 0
                    assert threading.active_count() <= threads  # idle ones of earlier runs may end meanwhile
                    proxy.resume(TO_LISTENER)
                    with trio.fail_after(10):
                        while any(call.waits for call in big):
                            await sleep(0.01)
                    some.cancel()
        gaps = [b - a for a, b in itertools.pairwise(ticks)]
        assert len(ticks) > 20
        assert max(gaps) < 5  # generous, for a busy machine; a write that blocked would never return
        assert [call.outcome for call in big] == ["done"] * 4

    trio.run(main)


def test_a_peer_that_never_answers_leaves_nothing_behind(tmp_path: Path) -> None:
    """A handshake that runs into its limit leaves no watch, no timer and no task. Rows: N6, SC7."""
    tmp_path.chmod(0o700)

    async def main() -> None:
        silent = trio.socket.socket(trio.socket.AF_UNIX)
        await silent.bind(str(tmp_path / "s"))
        silent.listen()
        await sleep(0)
        tasks_before, fds_before = background(), descriptors()
        host: Any = current_host()
        for given_up_after in (60, 2):
            began = trio.current_time()
            with trio.move_on_after(given_up_after), pytest.raises(LinkLost) if given_up_after == 60 else nullcontext():
                async with dial(f"uds:{tmp_path}/s"):
                    pass
            assert trio.current_time() - began < min(given_up_after, 5) + 0.1
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            assert background() == tasks_before
            assert descriptors() == fds_before
            assert len(host._timers) == 0
        silent.close()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_idle_link_sleeps(mem_world: World, setting: Setting) -> None:
    """Between two signs of life an idle link wakes nobody up: no polling. Row: SC6."""
    steps: list[str] = []

    class Count(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task.name)

    async def main() -> None:
        async with mem_world.linked({"jobs": channel()}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                some.start(jobs.recv)
                await settle()
                trio.lowlevel.add_instrument(Count())
                await sleep(3000)
                some.cancel()

    with setting("keepalive", "30"):
        mem_world.run(main)
    assert len(steps) < 3000 / 24 * 2 * 20


def test_a_single_large_element_needs_nobody_to_wake_it(world: World) -> None:
    """What the medium does not take at once goes out as it takes it, for one request as for many. Rows: N1, T6."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            began = current_host().now()
            await jobs.send(b"x" * (1 << 20))
            assert len(await jobs.recv()) == 1 << 20
            assert current_host().now() - began < 1

    world.run(main)


def test_an_element_is_confirmed_although_nothing_follows(world: World) -> None:
    """The acknowledgement of a received element goes out by itself, so that its slot is free. Rows: N1, CH2."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (server, link):
            jobs = await link.open("jobs")
            ch.try_send(b"v")
            await jobs.recv()
            await settle()
            assert server.links[0]._exporting.travelling_bytes == 0

    world.run(main)


def test_a_server_that_is_full_does_not_spin(world: World) -> None:
    """While max_links are connected nobody watches for the next one: no polling. Rows: SC6, W3."""
    pumped: list[float] = []

    async def main() -> None:
        async with serve(world.uri, max_links=1) as server, dial(world.uri):
            await settle()
            real = server._vtable.pump

            def pump(endpoint: object, now: float, ready: int) -> None:
                if endpoint is server._listener:
                    pumped.append(now)
                    assert len(pumped) < 100
                real(endpoint, now, ready)

            server._vtable = attrs.evolve(server._vtable, pump=pump)
            async with tasks() as some:
                some.start(late)
                await sleep(3)
                some.cancel()

    async def late() -> None:
        async with dial(world.uri):
            pass

    world.run(main)
    assert len(pumped) <= 4


def test_writing_stops_when_the_line_is_full_and_goes_on_by_itself(mem_world: World) -> None:
    """A full line keeps what it was given; everything arrives, in order, once there is room. Rows: T6, N1."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            line.buffer_bytes = 1000
            async with mem_world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs")
                async with tasks() as some:
                    line.stall(TO_LISTENER)
                    for i in range(50):
                        some.start(jobs.send, b"%02d" % i + b"." * 90)
                        await settle()
                    assert link.snapshot().queued_frames > 30
                    line.resume(TO_LISTENER)
                assert [ch.try_recv()[:2] for _ in range(50)] == [b"%02d" % i for i in range(50)]

    mem_world.run(main)


def test_reading_goes_on_while_writing_is_stuck(mem_world: World) -> None:
    """Both lines full of answers at once is no deadlock: a link reads whatever it cannot write. Row: N1."""

    async def main() -> None:
        here, there = channel(UNLIMITED), channel(UNLIMITED)
        with faults("world") as line:
            line.buffer_bytes = 600
            back_way = {"here": here}
            async with serve(mem_world.uri, {"there": there}) as server, dial(mem_world.uri, back_way) as link:
                joined = await server.events.recv()
                out, back = await link.open("there"), await joined.link.open("here")  # type: ignore[union-attr]
                line.stall(TO_LISTENER)
                line.stall(TO_DIALER)
                async with tasks() as some:
                    calls = [some.start(way.send, b"x" * 200) for _ in range(40) for way in (out, back)]
                    await settle()
                    line.resume(TO_LISTENER)
                    line.resume(TO_DIALER)
                assert {call.outcome for call in calls} == {"done"}
        assert (len(here), len(there)) == (40, 40)

    mem_world.run(main)
