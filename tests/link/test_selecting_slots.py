# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select over handles beside slots that are lent, and elements that are ahead of their receives (rows N5, N5b, N4)."""

from __future__ import annotations

from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    UNLIMITED,
    Channel,
    ChannelClosed,
    LinkLost,
    Recv,
    Send,
    channel,
    dial,
    select,
    try_select,
)
from kcoro_core.transports.mem import faults
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.messages import FOREVER_MS, OpenFlag, OpenRequest, encode_open, encode_timeout
from kcoro_core.wire.remote_select import Readiness, encode_notify

from .raw import RawPeer
from .standing import OPEN, STANDS, notified, standing, untouched
from .world import World, settle, tasks

# -- lent slots


def test_a_lent_slot_makes_a_send_clause_ready_on_this_side(world: World) -> None:
    """With a slot the clause wins at once, a synchronous try included; without one it stands, and slots go back.

    Rows: N4, N5.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=2)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as run:
            jobs: Any = await link.open("jobs", lend=True)
            await settle()
            assert try_select(Recv(channel()), Send(jobs, b"1")).index == 1
            assert (await select(Send(jobs, b"2"), timeout=0)).index == 0
            call = run.start(select, Send(jobs, b"3"))
            await settle()
            assert (call.waits, len(ch)) == (True, 2)
            assert [await ch.recv() for _ in range(3)] == [b"1", b"2", b"3"]
            await settle()
            assert call.value.index == 0
            assert jobs.snapshot().sent == 3
            assert untouched(ch)

    world.run(main)


def test_a_clause_on_a_channel_that_is_lent_elsewhere_has_the_slots_recalled(world: World) -> None:
    """It is somebody else who wants to send, like any other; order is kept. Rows: N4, N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=4)
        async with world.linked({"jobs": ch}) as (_, link), dial(world.uri) as other, tasks() as run:
            lent: Any = await link.open("jobs", lend=True)
            await settle()
            await lent.send(b"1")
            call = run.start(select, Send(await other.open("jobs"), b"2"))
            await settle()
            assert call.value.index == 0
            await lent.send(b"3")
            assert [await ch.recv() for _ in range(3)] == [b"1", b"2", b"3"]
            assert untouched(ch)

    world.run(main)


def test_an_element_by_slot_reaches_a_clause_that_stands(world: World) -> None:
    """What a borrower sends without asking is news for selects too. Rows: N4, N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=4)
        async with world.linked({"jobs": ch}) as (_, link), dial(world.uri) as other, tasks() as run:
            lent: Any = await link.open("jobs", lend=True)
            call = run.start(select, Recv(await other.open("jobs")))
            await settle()
            await lent.send(b"1")
            await settle()
            assert call.value.value == b"1"

    world.run(main)


def test_handles_that_were_open_before_a_clause_stood_reach_it(world: World) -> None:
    """What is sent and received over it passes what the clause has put in front of the channel. Rows: SE1, N5."""
    jobs, full = channel(BUFFERED, 1), channel(BUFFERED, 1)
    full.try_send(b"first")

    async def main() -> None:
        async with world.linked({"jobs": jobs, "full": full}) as (_, link):
            some_jobs, some_full = await link.open("jobs"), await link.open("full")
            async with tasks() as some:
                receiving = some.start(select, Recv(some_jobs))
                await settle()
                await some_jobs.send(b"v")
            assert receiving.value.value == b"v"
            async with tasks() as some:
                some.start(select, Send(some_full, b"second"))
                await settle()
                assert await some_full.recv() == b"first"
            assert full.try_recv() == b"second"
            await settle()
            assert untouched(jobs)
            assert untouched(full)

    world.run(main)


def test_whoever_waits_for_slots_to_come_back_is_no_turn_yet(world: World) -> None:
    """Told too early, a select would be denied and told again, as fast as the line goes, until they are back.

    Rows: N4, N5.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED)
        async with standing(world.uri, ch, Readiness.RECV_READY) as peer, tasks() as run:
            silent = RawPeer(world.uri)  # has slots, and does not answer when they are called back
            await silent.shake()
            await silent.send(Command.OPEN, 1, OPEN, encode_open(OpenRequest("jobs", OpenFlag.LEND)))
            await settle()
            call = run.start(ch.send, b"v")
            assert (await notified(peer), call.waits) == ([], True)
            silent.close()
            assert await notified(peer) == [encode_notify(Readiness.RECV_READY, 1)]

    world.run(main)


def test_whoever_waits_for_elements_to_come_back_is_no_turn_yet(world: World) -> None:
    """The same for a clause that would send to somebody who waits behind elements at another end. Rows: N4, N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        ch.try_send(b"1")
        async with standing(world.uri, ch, Readiness.SEND_READY) as peer, tasks() as run:
            silent = RawPeer(world.uri)
            await silent.shake()
            await silent.send(Command.OPEN, 1, OPEN, encode_open(OpenRequest("jobs")))
            await silent.send(Command.RECV, 1, STANDS, encode_timeout(FOREVER_MS), flags=Flag.AHEAD)
            await settle()
            call = run.start(ch.recv)
            assert (await notified(peer), call.waits) == ([], True)
            silent.close()
            assert await notified(peer) == [encode_notify(Readiness.SEND_READY, 1)]
            run.cancel()

    world.run(main)


# -- elements ahead of their receives


def test_elements_ahead_are_clauses_of_this_side(world: World) -> None:
    """What lies here wins without asking, what comes here wakes a select that waits, and a close is heard.

    Rows: N4, N5.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=8)
        other: Channel[bytes] = channel()
        for value in (b"1", b"2"):
            ch.try_send(value)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as run:
            jobs: Any = await link.open("jobs", prefetch=2)
            await settle()
            assert try_select(Recv(jobs)).value == b"1"
            assert (await select(Recv(other), Recv(jobs), timeout=0)).value == b"2"
            call = run.start(select, Recv(other), Recv(jobs))
            await settle()
            assert ch.snapshot().waiting_receivers == 0
            await ch.send(b"3")
            await settle()
            assert (call.value.index, call.value.value) == (1, b"3")
            last = run.start(select, Recv(jobs))
            await settle()
            ch.close()
            await settle()
            assert (last.outcome, last.error.index) == (ChannelClosed, 0)  # type: ignore[union-attr]

    world.run(main)


def test_whoever_stands_for_room_recalls_nothing_that_went_ahead(world: World) -> None:
    """Also while the home looks whether a closed channel is drained: that is a look, no receive. Rows: N4, N5b."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=4)
        async with standing(world.uri, ch, Readiness.SEND_READY) as peer, dial(world.uri) as link:
            for value in (b"a", b"b"):
                ch.try_send(value)
            ch.close()
            assert (await notified(peer))[-1:] != []
            jobs = await link.open("jobs", prefetch=3)
            assert [element async for element in jobs] == [b"a", b"b"]
            assert not link.closed

    world.run(main)


def test_a_clause_goes_to_the_home_when_nothing_comes_ahead_any_more(world: World) -> None:
    """Somebody else receives, so the elements ahead are recalled: the select waits on, at the home. Rows: N4, N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=8)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as run:
            jobs: Any = await link.open("jobs", prefetch=2)
            call = run.start(select, Recv(jobs))
            await settle()
            plain = run.start(ch.recv)
            await settle()
            assert ch.snapshot().waiting_receivers == 2
            for value in (b"1", b"2"):
                await ch.send(value)
            await settle()
            assert {call.value.value, plain.value} == {b"1", b"2"}
            assert untouched(ch)

    world.run(main)


@pytest.mark.parametrize("how", ["detach", "goodbye", "cut"])
def test_a_clause_on_this_side_ends_with_its_handle(mem_world: World, how: str) -> None:
    """A clause that waits for what comes ahead has no request of its own that could end. Rows: N4, N5, N6."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=8)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs", prefetch=2)
                call = run.start(select, Recv(jobs))
                await settle()
                if how == "detach":
                    jobs.detach()
                elif how == "goodbye":
                    await link.aclose()
                else:
                    line.cut_now()
                await settle()
                assert call.outcome is (LinkLost if how == "cut" else ChannelClosed)
                assert call.error.index == 0  # type: ignore[union-attr]

    mem_world.run(main)
