# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Values that may be lost: what a lossy handle of a CONFLATED channel promises, over lines that lose (rows T8, N2, N7).

On trio and on the script host, in virtual time, over ``sim:``; real sockets are in ``transports/test_quic_datagrams``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    AccessDenied,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    Link,
    LinkLost,
    MessageTooLong,
    NotSupported,
    Recv,
    Server,
    WouldBlock,
    channel,
    dial,
    select,
    serve,
    sleep,
)
from kcoro_core.hosts import script
from kcoro_core.hosts.port import current_host
from kcoro_core.link.feed import QUIET
from kcoro_core.testing.laws.harness import Call, Tasks
from kcoro_core.testing.laws.links import using_setting
from kcoro_core.transports import sim
from kcoro_core.wire import events

from .world import World, settle, tasks

LATENCY = 0.01
Reports = list[tuple[Any, str]]


@pytest.fixture(params=["mem-trio", "mem-script"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Run on a host, in virtual time."""
    return World(request.param, tmp_path).run


@asynccontextmanager
async def line(
    export: dict[str, Any], name: str = "lossy", **impairments: float
) -> AsyncIterator[tuple[Server, Link, Any, Tasks]]:
    """A server that exports these, a link to it, the network between them, and children that end with them."""
    with sim.network(name, latency=LATENCY, **impairments) as network:
        async with serve(f"sim:{name}", export) as server, dial(f"sim:{name}") as link, tasks() as group:
            yield server, link, network, group
            group.cancel()


async def over(call: Call) -> Any:
    """Wait until it has ended; what it returned."""
    while call.waits:
        await sleep(0.01)
    if call.error is not None:
        raise call.error
    return call.value


def latest(reports: Reports | None = None) -> Channel[Any]:
    return channel(CONFLATED, on_undelivered=None if reports is None else into(reports))


def into(reports: Reports) -> Callable[[Any, Any, Any], object]:
    return lambda value, why, _: reports.append((value, why.name))


async def everything(handle: Any, got: list[int]) -> None:
    """Receive all, one by one: what came is looked at meanwhile."""
    async for value in handle:
        got += [int(value)]


# -- what is promised


@pytest.mark.parametrize("seed", range(12))
def test_each_value_is_received_in_order_or_replaced_or_lost_and_the_newest_arrives(
    run: Callable[..., None], seed: int
) -> None:
    """Whatever the line does: received, reported here or there, or counted as lost. Rows: T8, N2, N7."""

    async def main() -> None:
        replaced_there: Reports = []
        replaced_here: Reports = []
        pose, got = latest(replaced_there), list[int]()
        weather = {"loss": 0.3, "duplicate": 0.2, "reorder": 0.2, "jitter": 0.02, "seed": seed}
        async with line({"pose": pose}, **weather) as (server, link, _, group):
            handle = await link.open("pose", lossy=True, on_undelivered=into(replaced_here))
            reader = group.start(everything, handle, got)
            for number in range(200):
                await pose.send(b"%d" % number)
                await sleep(0.001 * (number % 5))
            pose.close("landed")
            await over(reader)
            here, there = handle.snapshot(), pose.snapshot()
            assert handle.reason == "landed"
            assert server.links[0].snapshot().datagrams_written > 50
            assert link.snapshot().values_lost == here.lost
        assert got == sorted(set(got)), f"seed {seed}"
        assert got[-1] == 199, f"seed {seed}"
        assert here.lost > 0, f"seed {seed}: nothing was lost, so nothing was shown"
        assert {why for _, why in replaced_here + replaced_there} <= {"CONFLATED"}
        assert (here.received, here.dropped) == (len(got), len(replaced_here))
        assert len(got) + len(replaced_here) + here.lost + len(replaced_there) == there.sent == 200, f"seed {seed}"

    run(main)


def test_the_newest_arrives_though_every_datagram_is_lost(run: Callable[..., None]) -> None:
    """It is repeated once nothing newer has followed, and in front of a close; in between all is lost. Rows: T8, N2."""

    async def main() -> None:
        pose, got = latest(), list[int]()
        async with line({"pose": pose}, retransmit=0.02) as (_, link, network, group):
            handle = await link.open("pose", lossy=True)
            reader = group.start(everything, handle, got)
            await pose.send(b"0")
            await sleep(0.1)
            network.change(loss=1.0)
            for number in range(1, 10):
                await pose.send(b"%d" % number)
                await sleep(QUIET / 4)
            assert got == [0]
            await sleep(QUIET + 1)
            assert (got, handle.snapshot().lost) == ([0, 9], 8)
            await pose.send(b"10")
            await pose.send(b"11")
            pose.close()
            await over(reader)
            assert got == [0, 9, 11]
            assert handle.snapshot().lost + len(got) + pose.snapshot().dropped == 12

    run(main)


def test_a_value_that_is_repeated_and_had_arrived_is_received_once(run: Callable[..., None]) -> None:
    """Row: N3b."""

    async def main() -> None:
        pose, got = latest(), list[int]()
        async with line({"pose": pose}) as (server, link, _, group):
            handle = await link.open("pose", lossy=True)
            group.start(everything, handle, got)
            for number in range(3):
                await pose.send(b"%d" % number)
                await sleep(0.1)
            frames = server.links[0].snapshot().frames_written
            await sleep(10)
            assert server.links[0].snapshot().frames_written == frames + 1, "once, and not again and again"
            assert (got, handle.snapshot().lost) == ([0, 1, 2], 0)

    run(main)


def test_the_first_value_and_long_ones_are_frames_and_are_not_lost(run: Callable[..., None]) -> None:
    """And they keep their place among the others. Rows: T8, W3."""

    async def main() -> None:
        pose = latest()
        async with line({"pose": pose}, retransmit=0.02) as (server, link, network, _group):
            await pose.send(b"first")
            handle = await link.open("pose", lossy=True)
            assert await handle.recv() == b"first"
            network.change(loss=0.9, seed=3)
            for size in (sim.BESIDE_BYTES - 23, 5000, 200_000):
                await pose.send(b"x" * size)
                assert len(await handle.recv()) == size
            assert server.links[0].snapshot().datagrams_written == 0
            network.change(loss=0.0)
            await pose.send(b"y" * (sim.BESIDE_BYTES - 24))
            assert len(await handle.recv()) == sim.BESIDE_BYTES - 24
            assert server.links[0].snapshot().datagrams_written == 1

    run(main)


def test_a_narrow_line_has_the_home_conflate_and_is_never_far_behind(run: Callable[..., None]) -> None:
    """What waits there is one value; the others are replaced in the channel, which reports each. Rows: N9, T8."""

    async def main() -> None:
        reports: Reports = []
        pose, got = latest(reports), list[tuple[float, int]]()
        now = current_host().now

        async def watch(handle: Any) -> None:
            async for value in handle:
                got.append((now(), int(value[:4])))

        async with line({"pose": pose}, bandwidth=20_000, buffer=1200) as (_, link, _network, group):
            handle = await link.open("pose", lossy=True)
            reader = group.start(watch, handle)
            begin = now()
            for number in range(1000):
                await pose.send(b"%04d" % number + bytes(800))
                await sleep(0.001)
            pose.close()
            await over(reader)
            behind = [when - begin - number / 1000 for when, number in got]
            assert max(behind) < 0.2, "values grow old in a queue"
            assert len(got) < 100
            assert len(got) + len(reports) + handle.snapshot().lost == 1000
            assert handle.snapshot().lost <= 1, "the repeated newest may overtake the one before it"

    run(main)


def test_what_nobody_takes_is_replaced_and_reported_here(run: Callable[..., None]) -> None:
    """The handle keeps one value; what it has when it is given up is reported, too. Rows: T8, CH8."""

    async def main() -> None:
        pose, reports = latest(), Reports()
        async with line({"pose": pose}) as (_, link, _network, _group):
            handle = await link.open("pose", lossy=True, on_undelivered=into(reports))
            for number in range(4):
                await pose.send(b"%d" % number)
                await sleep(0.1)
            assert (len(handle), reports) == (1, [(b"0", "CONFLATED"), (b"1", "CONFLATED"), (b"2", "CONFLATED")])
            handle.detach()
            assert reports[3:] == [(b"3", "CANCELLED")]
            await sleep(0.1)
            await pose.send(b"4")
            await sleep(0.1)
            assert pose.try_recv() == b"4", "nobody takes it any more"

    run(main)


def test_it_takes_its_turn_among_the_receivers_of_the_channel(run: Callable[..., None]) -> None:
    """Each value goes to one of them, oldest waiter first. Row: N2."""

    async def main() -> None:
        pose, here, there = latest(), list[int](), list[int]()
        async with line({"pose": pose}) as (_, link, _network, group):
            handle = await link.open("pose", lossy=True)
            await settle()
            readers = [group.start(everything, pose, here), group.start(everything, handle, there)]
            for number in range(20):
                await sleep(0.05)
                await pose.send(b"%d" % number)
            pose.close()
            for reader in readers:
                await over(reader)
            assert sorted(here + there) == list(range(20))
            assert abs(len(here) - len(there)) <= 1

    run(main)


# -- receiving


def test_receives_wait_expire_and_try_as_on_any_channel(run: Callable[..., None]) -> None:
    """Rows: CH3, N2."""

    async def main() -> None:
        pose = latest()
        async with line({"pose": pose}) as (_, link, _network, group):
            handle = await link.open("pose", lossy=True)
            with pytest.raises(WouldBlock):
                handle.try_recv()
            with pytest.raises(WouldBlock):
                await handle.recv(timeout=0)
            with pytest.raises(DeadlineExceeded):
                await handle.recv(timeout=1)
            waits = group.start(handle.recv)
            await settle()
            assert handle.snapshot().waiting_receivers == 1
            await pose.send(b"x")
            assert await over(waits) == b"x"
            await pose.send(b"y")
            await sleep(0.1)
            assert handle.try_recv() == b"y"
            now = handle.snapshot()
            assert (now.received, now.failed_would_block, now.failed_deadline) == (2, 2, 1)

    run(main)


def test_a_select_takes_a_value_waits_for_one_tries_and_hears_of_the_end(run: Callable[..., None]) -> None:
    """Among clauses of this process and of other handles. Rows: SE1, N2."""

    async def main() -> None:
        pose, jobs, here = latest(), channel(BUFFERED, capacity=4), channel(BUFFERED, capacity=4)
        async with line({"pose": pose, "jobs": jobs}) as (_, link, _network, group):
            handle, other = await link.open("pose", lossy=True), await link.open("jobs")
            clauses = [Recv(here), Recv(other), Recv(handle)]
            with pytest.raises(WouldBlock):
                await select(*clauses, timeout=0)
            before = link.snapshot().frames_written
            with pytest.raises(WouldBlock):
                await select(Recv(here), Recv(handle), timeout=0)
            assert link.snapshot().frames_written == before, "nobody was asked"
            waits = group.start(select, *clauses)
            await sleep(0.1)
            await pose.send(b"x")
            won = await over(waits)
            assert (won.index, won.value) == (2, b"x")
            await pose.send(b"y")
            await sleep(0.1)
            assert (await select(*clauses, timeout=0)).value == b"y"
            waits = group.start(select, *clauses)
            await sleep(0.1)
            await jobs.send(b"z")
            won = await over(waits)
            assert (won.index, won.value) == (1, b"z")
            waits = group.start(select, Recv(here), Recv(handle))
            await sleep(0.1)
            await pose.send(b"last")
            pose.close("landed")
            assert (await over(waits)).value == b"last"
            with pytest.raises(ChannelClosed, match="landed") as told:
                await select(Recv(here), Recv(handle))
            assert told.value.index == 1
            assert handle.snapshot().received == 3

    run(main)


def test_a_select_that_waits_hears_of_a_close_and_of_a_lost_link(run: Callable[..., None]) -> None:
    """Rows: SE1, N2."""

    async def main() -> None:
        pose, other = latest(), latest()
        async with line({"pose": pose, "other": other}) as (_, link, network, group):
            first, second = await link.open("pose", lossy=True), await link.open("other", lossy=True)
            closes, ends = group.start(select, Recv(first)), group.start(select, Recv(second))
            await sleep(0.1)
            pose.close("landed")
            await sleep(0.1)
            assert isinstance(closes.error, ChannelClosed)
            network.cut()
            await sleep(0.1)
            assert isinstance(ends.error, LinkLost)

    run(main)


# -- the end


def test_what_lies_here_is_received_behind_a_close_and_behind_a_lost_link(run: Callable[..., None]) -> None:
    """And then the error says which it was. Rows: CH9, N2."""

    async def main() -> None:
        pose, other = latest(), latest()
        async with line({"pose": pose, "other": other}) as (_, link, network, group):
            first, second = await link.open("pose", lossy=True), await link.open("other", lossy=True)
            waits = group.start(second.recv)
            await pose.send(b"x")
            await sleep(0.1)
            pose.close("landed")
            await sleep(0.1)
            await other.send(b"y")
            await sleep(0.1)
            assert await over(waits) == b"y"
            await other.send(b"z")
            await sleep(0.1)
            network.cut()
            await sleep(0.1)
            assert (await first.recv(), second.try_recv()) == (b"x", b"z")
            for handle, error in ((first, ChannelClosed), (second, LinkLost)):
                with pytest.raises(error):
                    await handle.recv()
                with pytest.raises(error):
                    handle.try_recv()

    run(main)


def test_a_receive_that_waits_ends_with_the_close_the_drain_or_the_detach(run: Callable[..., None]) -> None:
    """Each with its reason, so that loops end. Rows: N8, CH9."""

    async def main() -> None:
        names = ("closed", "cancelled", "detached", "drained")
        exported = {name: latest() for name in names}
        async with line(exported) as (server, link, _network, group):
            handles = {name: await link.open(name, lossy=True) for name in names}
            waits = {name: group.start(handle.recv) for name, handle in handles.items()}
            await sleep(0.1)
            handles["closed"].close("enough")
            exported["cancelled"].cancel("gone")
            handles["detached"].detach()
            await sleep(0.1)
            assert waits["drained"].waits
            await server.links[0].drain(1)
            reasons = {name: one.error.reason for name, one in waits.items()}
            assert reasons == {
                "closed": "enough",
                "cancelled": "gone",
                "detached": "detached",
                "drained": "link is being drained",
            }

    run(main)


def test_a_value_that_cannot_travel_ends_the_handle_and_stays_in_the_channel(run: Callable[..., None]) -> None:
    """Whoever receives hears why; somebody else may have it. Rows: N2, E1."""

    async def main() -> None:
        pose, other = latest(), latest()
        async with line({"pose": pose, "other": other}) as (_, link, _network, _group):
            first, second = await link.open("pose", lossy=True), await link.open("other", lossy=True)
            await settle()
            await pose.send("a text")
            await other.send(bytes(second.max_message + 1))
            with pytest.raises(ChannelClosed, match="a link carries bytes"):
                await first.recv()
            with pytest.raises(MessageTooLong, match="stays queued"):
                await second.recv()
            assert pose.try_recv() == "a text"
            assert len(other.try_recv()) == second.max_message + 1

    run(main)


def test_a_value_that_was_not_written_goes_back_when_the_link_is_lost(run: Callable[..., None]) -> None:
    """A line that takes nothing has one value; it is the channel's again. Row: N2."""

    async def main() -> None:
        pose = latest()
        async with line({"pose": pose}, buffer=100) as (_, link, network, _group):
            handle = await link.open("pose", lossy=True)
            await pose.send(b"first")
            await handle.recv()
            network.change(bandwidth=1.0)
            values = [b"%d" % number + bytes(90) for number in range(6)]
            for value in values:
                await pose.send(value)
                await sleep(0.01)
            assert len(pose) == 1
            taken = pose.try_recv()
            network.cut()
            await sleep(0.1)
            assert taken == values[-1]
            assert pose.try_recv() in values[1:-1]
            with pytest.raises(WouldBlock):
                pose.try_recv()

    run(main)


# -- who may, and where


def test_it_is_refused_by_name_where_it_cannot_be(run: Callable[..., None], tmp_path: Path) -> None:
    """Another medium, another kind, no right to receive, other ways to have elements unasked. Rows: T8, N2."""

    async def main() -> None:
        pose, jobs = latest(), channel(BUFFERED, capacity=2)
        async with serve("mem:no-datagrams", {"pose": pose}), dial("mem:no-datagrams") as link:
            with pytest.raises(NotSupported, match="lacks DATAGRAMS"):
                await link.open("pose", lossy=True)
        async with line({"pose": pose, "jobs": jobs, "only": latest().sender()}) as (_, link, _network, _group):
            with pytest.raises(NotSupported, match="BUFFERED; only CONFLATED"):
                await link.open("jobs", lossy=True)
            with pytest.raises(AccessDenied, match="may not receive"):
                await link.open("only", lossy=True)
            for options in ({"prefetch": 1}, {"lend": True}):
                with pytest.raises(ValueError, match="come unasked"):
                    await link.open("pose", lossy=True, **options)
            assert link.snapshot().opened == 0

    run(main)


def test_sends_over_such_a_handle_lose_nothing(run: Callable[..., None]) -> None:
    """They ask as ever. Row: N2."""

    async def main() -> None:
        pose = latest()
        async with line({"pose": pose}, loss=0.5, retransmit=0.01, seed=4) as (_, link, _network, _group):
            handle, plain = await link.open("pose", lossy=True), await link.open("pose")
            handle.detach()
            handle = await link.open("pose", lossy=True)
            for number in range(20):
                await handle.send(b"%d" % number)
            assert await handle.recv() == b"19" or handle.snapshot().lost
            assert (await plain.info()).sent == 20

    run(main)


def test_many_handles_share_a_line_and_leave_nothing_behind(run: Callable[..., None]) -> None:
    """Opened, fed and given up again and again. Rows: X3, N2."""

    async def main() -> None:
        poses = {f"pose{i}": latest() for i in range(20)}
        async with line(poses, loss=0.2, seed=1) as (server, link, _network, _group):
            for _ in range(5):
                handles = {name: await link.open(name, lossy=True) for name in poses}
                for number in range(10):
                    for pose in poses.values():
                        await pose.send(b"%d" % number)
                    await sleep(0.005)
                await sleep(QUIET + 3)
                assert {await handle.recv() for handle in handles.values()} == {b"9"}
                for handle in handles.values():
                    handle.detach()
                await sleep(3)
            home = server.links[0]
            assert (home.snapshot().exported, link.snapshot().opened) == (0, 0)
            assert not home.wire.lossy.waiting
            assert all(not pose.snapshot().waiting_receivers for pose in poses.values())

    run(main)


def test_what_is_repeated_does_not_pile_up_where_frames_stand_still(run: Callable[..., None]) -> None:
    """Datagrams may pass while frames do not: at most one repeated value waits for each handle. Rows: W3, X3."""

    async def main() -> None:
        pose = latest()
        async with line({"pose": pose}) as (server, link, network, _group):
            handle = await link.open("pose", lossy=True)
            await pose.send(b"first")
            await handle.recv()
            network.partition()
            for number in range(100):
                await pose.send(b"%d" % number + bytes(1000))
                await sleep(QUIET * 1.5)
            home = server.links[0].snapshot()
            assert home.datagrams_written == 100
            assert home.queued_frames <= 1
            assert home.tx_backlog_bytes < 200_000

    run(main)


def test_a_peer_that_asks_for_values_beside_loses_none_of_them(run: Callable[..., None]) -> None:
    """One that it has and does not confirm is back at the home when it gives the handle up. Rows: W3, N2."""

    async def main() -> None:
        pose = latest()
        async with line({"pose": pose}) as (server, link, _network, _group):
            handle = await link.open("pose", lossy=True)
            await settle()
            await pose.send(b"to the handle")
            await sleep(0.1)
            link.wire.recv(handle.id)  # which ours would never do, nor keep what comes
            link.pump.handlers[events.ElementReceived] = lambda news: None
            link.pump.flush()
            await sleep(0.1)
            await pose.send(b"one")
            await pose.send(b"two")
            await sleep(0.1)
            handle.detach()
            await sleep(0.1)
            assert (server.links[0].report, link.report) == (None, None)
            assert pose.try_recv() == b"two", "it was not confirmed, and the handle that waits for it is gone"
            with pytest.raises(WouldBlock):
                pose.try_recv()

    run(main)


def test_long_values_that_a_peer_does_not_read_are_bounded_by_the_budget(run: Callable[..., None]) -> None:
    """However many handles it has; what is over waits in the channels, and goes on when it reads. Rows: W3, X3."""
    size, budget = 1 << 18, 1 << 22

    async def main() -> None:
        poses = {f"pose{i}": latest() for i in range(30)}
        with using_setting("receive_budget", str(budget)):
            async with line(poses, retransmit=0.01) as (server, link, network, _group):
                handles = [await link.open(name, lossy=True) for name in poses]
                network.partition()
                for number in range(3):
                    for pose in poses.values():
                        await pose.send(bytes([number]) * size)
                    await sleep(0.1)
                home = server.links[0]._exporting
                assert budget <= home.travelling_bytes <= budget + size + 64
                assert sum(len(pose) for pose in poses.values()) >= 20
                network.heal()
                await sleep(60)
                assert home.travelling_bytes == 0
                assert {(await handle.recv())[0] for handle in handles} == {2}

    run(main)


def test_the_script_host_repeats_a_run_exactly() -> None:
    """The same seed loses the same values. Row: N7."""

    def once() -> list[int]:
        got = list[int]()

        async def main() -> None:
            pose = latest()
            async with line({"pose": pose}, name="again", loss=0.4, seed=11) as (_, link, _network, group):
                handle = await link.open("pose", lossy=True)
                reader = group.start(everything, handle, got)
                for number in range(50):
                    await pose.send(b"%d" % number)
                    await sleep(0.01)
                pose.close()
                await over(reader)

        script.run(main)
        return got

    assert once() == once() != list(range(50))
