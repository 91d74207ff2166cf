# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``link.open(name, prefetch=n)``: elements that lie here ahead, and everything that must look as if they did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_OLDEST,
    RENDEZVOUS,
    UNLIMITED,
    ChannelClosed,
    DeadlineExceeded,
    LinkLost,
    Recv,
    Undelivered,
    WouldBlock,
    channel,
    dial,
    select,
    serve,
    sleep,
)
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER
from kcoro_core.transports.mem import faults

from .world import World, settle, taken, tasks

Setting = Callable[[str, str], Any]


async def drain(ch: Any) -> list[bytes]:
    """All that is there, asking whoever may have something."""
    found = []
    while True:
        try:
            found.append(await ch.recv(timeout=0))
        except WouldBlock:
            return found


def filled(count: int, capacity: int = 16, **options: Any) -> Any:
    """A channel with elements in it."""
    ch = channel(BUFFERED, capacity, **options)
    for i in range(count):
        ch.try_send(b"%d" % i)
    return ch


def test_elements_that_lie_here_are_received_without_asking(world: World) -> None:
    """``try_recv`` takes them, in order; ``len`` counts them; more come as soon as one is taken. Rows: N4, CH1."""

    async def main() -> None:
        async with world.linked({"jobs": filled(6)}) as (_, link):
            jobs = await link.open("jobs", prefetch=3)
            await settle()
            assert len(jobs) == jobs.snapshot().length == 3
            assert [jobs.try_recv() for _ in range(3)] == [b"0", b"1", b"2"]
            with pytest.raises(WouldBlock, match="not without asking"):
                jobs.try_recv()
            await settle()
            assert await jobs.recv() == b"3"
            assert [jobs.try_recv(), jobs.try_recv()] == [b"4", b"5"]
            assert jobs.snapshot().received == 6

    world.run(main)


def test_a_stream_that_is_received_ahead_keeps_its_order(world: World) -> None:
    """Several tasks at one handle, a sender at home, capacity smaller than prefetch: each element once, in order.

    Rows: N4, CH2, CH11.
    """

    async def main() -> None:
        for prefetch, capacity, readers in ((1, 1, 1), (5, 2, 1), (2, 8, 1), (1, 1, 3), (5, 2, 3), (2, 8, 3)):
            ch = channel(BUFFERED, capacity)
            async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
                jobs = await link.open("jobs", prefetch=prefetch)

                async def produce(ch: Any = ch) -> None:
                    for i in range(100):
                        await ch.send(b"%d" % i)
                        assert taken(ch) <= ch.capacity
                    ch.close()

                received: list[bytes] = []

                async def consume(jobs: Any = jobs, received: list[bytes] = received) -> None:
                    received += [element async for element in jobs]

                calls = [some.start(produce), *(some.start(consume) for _ in range(readers))]
                await settle()
                assert {call.outcome for call in calls} == {"done"}
                # Of several tasks that are woken in one turn the host chooses who runs first.
                assert sorted(received, key=int) == [b"%d" % i for i in range(100)]
                assert readers > 1 or received == sorted(received, key=int)

    world.run(main)


def test_an_element_that_lies_here_fills_its_slot(world: World) -> None:
    """Nobody took it, so there is room for no more; taking it makes room. Rows: N4, CH2."""

    async def main() -> None:
        ch = filled(2, capacity=2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=2)
            await settle()
            assert (len(jobs), len(ch)) == (2, 0)
            with pytest.raises(WouldBlock):
                ch.try_send(b"2")
            jobs.try_recv()
            await settle()
            ch.try_send(b"2")

    world.run(main)


@pytest.mark.parametrize("form", ["recv", "try", "select", "link"])
def test_whoever_else_receives_gets_them_back_in_their_old_order(world: World, form: str) -> None:
    """Untaken elements go back, once and for all, whatever form the other receive has. Rows: N4, CH11."""

    async def main() -> None:
        ch = filled(4)
        async with world.linked({"jobs": ch}) as (server, link), dial(server.uri) as other:
            jobs = await link.open("jobs", prefetch=2)
            await settle()
            assert await jobs.recv() == b"0"
            await settle()
            assert len(jobs) == 2
            if form == "recv":
                assert await ch.recv() == b"1"
            elif form == "try":
                assert await ch.recv(timeout=0) == b"1"
            elif form == "select":
                assert (await select(Recv(ch))).value == b"1"
            else:
                assert await (await other.open("jobs")).recv(timeout=0) == b"1"
            assert len(jobs) == 0
            assert await jobs.recv() == b"2"
            await settle()
            assert len(jobs) == 0
            assert await drain(ch) == [b"3"]

    world.run(main)


def test_a_try_at_home_cannot_ask_for_what_lies_elsewhere(world: World) -> None:
    """``try_recv``: WouldBlock, and a later one succeeds. Row: N4."""

    async def main() -> None:
        ch = filled(1)
        async with world.linked({"jobs": ch}) as (_, link):
            await link.open("jobs", prefetch=2)
            await settle()
            with pytest.raises(WouldBlock):
                ch.try_recv()
            await settle()
            assert ch.try_recv() == b"0"

    world.run(main)


def test_a_try_that_finds_nothing_anywhere_says_so(world: World) -> None:
    """At home, and at the handle that has asked for elements ahead. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=2)
            await settle()
            with pytest.raises(WouldBlock):
                await jobs.recv(timeout=0)
            ch.try_send(b"v")
            assert await jobs.recv(timeout=0) == b"v"
            with pytest.raises(WouldBlock):
                await ch.recv(timeout=0)
            ch.try_send(b"w")
            assert await jobs.recv(timeout=0) == b"w"

    world.run(main)


def test_who_waits_here_keeps_the_place_in_front_of_who_comes_later(world: World) -> None:
    """A task waits at the handle, then one at home: the next element is for the first, the second for the other.

    Rows: N4, CH11.
    """

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", prefetch=3)
            here = some.start(jobs.recv)
            await settle()
            at_home = some.start(ch.recv)
            await settle()
            ch.try_send(b"1")
            ch.try_send(b"2")
            await settle()
            assert (here.value, at_home.value) == (b"1", b"2")

    world.run(main)


def test_receives_that_stand_for_nobody_take_nothing_from_who_waits(world: World) -> None:
    """They were asked for ahead only: a task at home gets every element. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            await link.open("jobs", prefetch=3)
            await settle()
            calls = [some.start(ch.recv) for _ in range(2)]
            await settle()
            await ch.send(b"1")
            await ch.send(b"2")
            await settle()
            assert sorted(call.value for call in calls) == [b"1", b"2"]

    world.run(main)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(RENDEZVOUS, {}), (CONFLATED, {}), (BUFFERED, {"overflow": DROP_OLDEST})],
    ids=["rendezvous", "conflated", "drop-oldest"],
)
def test_where_nothing_can_lie_ahead_receives_ask(world: World, kind: Any, options: dict[str, Any]) -> None:
    """The handle works the same, by request. Rows: N4, CH3, CH5."""

    async def main() -> None:
        ch = channel(kind, 2 if kind is BUFFERED else None, **options)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", prefetch=2)
            call = some.start(jobs.recv)
            await settle()
            await ch.send(b"v")
            await settle()
            assert call.value == b"v"
            assert len(jobs) == 0

    world.run(main)


def test_one_link_at_a_time_has_elements_ahead(world: World) -> None:
    """A second one that asks for them receives by request, also the task that waited before that was known. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 8)
        async with world.linked({"jobs": ch}) as (server, link), dial(server.uri) as other, tasks() as some:
            first, second = await link.open("jobs", prefetch=2), await other.open("jobs", prefetch=2)
            call = some.start(second.recv)
            await settle()
            await ch.send(b"1")
            await settle()
            assert call.value == b"1"
            for i in range(4):
                await ch.send(b"%d" % i)
            assert [await first.recv(), await second.recv(), await first.recv(), await second.recv()] == [
                b"0",
                b"1",
                b"2",
                b"3",
            ]
            assert len(first) == len(second) == 0

    world.run(main)


def test_a_home_that_has_declined_declines_for_good(world: World) -> None:
    """A task waits at home when the handle is opened; what comes later is received in order all the same. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 8)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            at_home = some.start(ch.recv)
            await settle()
            jobs = await link.open("jobs", prefetch=2)
            for i in range(4):
                ch.try_send(b"%d" % i)
            assert [await jobs.recv() for _ in range(3)] == [b"1", b"2", b"3"]
            assert (at_home.value, len(jobs)) == (b"0", 0)

    world.run(main)


def test_a_cancelled_receive_takes_nothing(world: World) -> None:
    """A deadline passes at a handle with receives that stand: what comes later is for the next one. Rows: N4, CH7."""

    async def main() -> None:
        ch = channel(BUFFERED, 8)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=2)
            for _ in range(5):
                with pytest.raises(DeadlineExceeded):
                    await jobs.recv(timeout=1)
            for i in range(5):
                ch.try_send(b"%d" % i)
            assert [await jobs.recv() for _ in range(5)] == [b"%d" % i for i in range(5)]

    world.run(main)


def test_who_gives_the_handle_up_gives_untaken_elements_back(world: World) -> None:
    """They are at the head again, in order; what was taken is not. Rows: N4, N8."""

    async def main() -> None:
        ch = filled(4)
        async with world.linked({"jobs": ch}) as (_, link):
            with await link.open("jobs", prefetch=3) as jobs:
                assert await jobs.recv() == b"0"
                await settle()
                assert len(jobs) == 3
            await settle()
            assert await drain(ch) == [b"1", b"2", b"3"]

    world.run(main)


def test_a_close_is_heard_behind_the_last_element_that_lies_here(world: World) -> None:
    """Drained means: taken by somebody. Rows: N4, CH10."""

    async def main() -> None:
        ch = filled(3)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=2)
            await settle()
            ch.close("done")
            await settle()
            assert [element async for element in jobs] == [b"0", b"1", b"2"]
            with pytest.raises(ChannelClosed, match="done"):
                jobs.try_recv()
            with pytest.raises(ChannelClosed, match="done"):
                await ch.recv()

    world.run(main)


def test_a_close_finds_receives_that_stand_for_nobody(world: World) -> None:
    """The next receive of the handle hears of it, and the link goes on. Rows: N4, CH10."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", prefetch=2)
            waits = some.start(jobs.recv)
            await settle()
            ch.close()
            await settle()
            assert waits.outcome is ChannelClosed
            with pytest.raises(ChannelClosed):
                await jobs.recv()

    world.run(main)


def test_what_lies_here_when_the_home_cancels_is_received_or_reported_once(world: World) -> None:
    """An element that the handle has goes to whoever takes it; the others are reported at the home. Rows: N4, CH15."""

    async def main() -> None:
        reported: list[Any] = []
        ch = filled(4, on_undelivered=lambda value, why, _: reported.append((value, why)))
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=2)
            await settle()
            ch.cancel()
            await settle()
            received = [jobs.try_recv()]
            jobs.detach()
            await settle()
            assert received == [b"0"]
            assert reported == [(b"%d" % i, Undelivered.CANCELLED) for i in (2, 3, 1)]

    world.run(main)


def test_what_lies_here_when_the_link_is_lost_is_the_home_s_to_report(mem_world: World) -> None:
    """Nobody took it, so nobody gets it here; the home reports it in doubt, once. Rows: N4, X4, N6."""

    async def main() -> None:
        reported: list[Any] = []
        ch = filled(3, on_undelivered=lambda value, why, _: reported.append((value, why)))
        with faults("world") as wires:
            async with serve(mem_world.uri, {"jobs": ch}), dial(mem_world.uri) as link:
                jobs = await link.open("jobs", prefetch=2)
                await settle()
                assert await jobs.recv() == b"0"
                await settle()
                wires.cut_now()
                await settle()
                with pytest.raises(LinkLost):
                    await jobs.recv()
                assert len(jobs) == 0
                assert reported == [(b"1", Undelivered.IN_DOUBT), (b"2", Undelivered.IN_DOUBT)]
                await ch.send(b"3")
                assert await ch.recv() == b"3"

    mem_world.run(main)


def test_what_cannot_travel_stays_and_ends_the_receives_that_find_it(world: World) -> None:
    """A local text at the head: receives over the link fail, and nothing turns in a circle. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        ch.try_send("text")
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=2)
            await settle()
            with pytest.raises(ValueError, match="carries bytes"):
                await jobs.recv()
            before = link.snapshot().frames_written
            await settle()
            assert link.snapshot().frames_written == before
            assert await ch.recv() == "text"

    world.run(main)


def test_elements_ahead_are_bounded_by_the_budget_too(world: World, setting: Setting) -> None:
    """The home sends no more than may travel to one peer, however many receives stand. Row: X3."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=100)
            for i in range(50):
                ch.try_send(b"%2d" % i + bytes(4000))
            await settle()
            assert len(jobs) == 5
            assert [(await jobs.recv())[:2] for _ in range(50)] == [b"%2d" % i for i in range(50)]

    with setting("receive_budget", "20000"), setting("max_message", "9000"):
        world.run(main)


def test_both_permissions_at_once(world: World) -> None:
    """One link sends into lent slots, another receives ahead: order and capacity hold. Rows: N4, CH2, CH11."""

    async def main() -> None:
        ch = channel(BUFFERED, 3)
        async with world.linked({"jobs": ch}) as (server, link), dial(server.uri) as other, tasks() as some:
            tx, rx = await link.open("jobs", lend=True), await other.open("jobs", prefetch=2)

            async def produce() -> None:
                for i in range(200):
                    await tx.send(b"%d" % i)
                    assert taken(ch) <= 3

            done = some.start(produce)
            for i in range(200):
                assert await rx.recv() == b"%d" % i
            await settle()
            assert done.outcome == "done"

    world.run(main)


def test_a_try_gets_the_element_that_came_ahead_of_its_answer(mem_world: World) -> None:
    """Both are on the way at once: the one that was asked for ahead is older, and goes first. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 16)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as some:
                jobs = await link.open("jobs", prefetch=1)
                line.stall(TO_LISTENER)
                call = some.start(jobs.recv, timeout=0)
                await settle()
                ch.try_send(b"0")
                ch.try_send(b"1")
                line.resume(TO_LISTENER)
                await settle()
                assert call.value == b"0"
                assert await jobs.recv() == b"1"

    mem_world.run(main)


def test_a_handle_that_is_lent_to_and_sent_ahead_can_be_given_up(mem_world: World) -> None:
    """What lay here goes back to a channel whose slots the handle has held, and the link goes on. Row: N4."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        for i in range(4):
            ch.try_send(b"%d" % i)
        async with mem_world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=3, lend=True)
            await jobs.send(b"4")
            await settle()
            jobs.detach()
            await settle()
            assert await drain(ch) == [b"%d" % i for i in range(5)]
            assert await (await link.open("jobs")).info()

    mem_world.run(main)


def test_a_task_that_waits_for_an_element_ahead_is_told_when_its_side_leaves(mem_world: World) -> None:
    """The home declines to send ahead while this side says goodbye: the receive is not asked for again. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as some:
                taken = some.start(ch.recv)  # somebody else waits: nothing is sent ahead
                await settle()
                jobs = await link.open("jobs", prefetch=1)
                line.stall(TO_LISTENER)
                call = some.start(jobs.recv)
                await settle()
                link.lifecycle.say_goodbye()
                line.resume(TO_LISTENER)
                await settle()
                assert call.outcome is ChannelClosed
                ch.try_send(b"for the other")
                await settle()
                assert taken.value == b"for the other"

    mem_world.run(main)


def test_what_comes_back_over_another_link_is_for_who_receives_ahead(mem_world: World) -> None:
    """It stands at the head again, and those that stand here are told as they are of a new element. Rows: N4, X4."""
    jobs = channel(BUFFERED, 4)

    async def main() -> None:
        with faults("world") as line:
            async with (
                mem_world.linked({"jobs": jobs}) as (_, link),
                serve("mem:beside", {"jobs": jobs}) as beside,
                dial(beside.uri) as other,
            ):
                first = await link.open("jobs")
                async with tasks() as some:
                    late = some.start(first.recv, 1)
                    await settle()
                    line.stall(TO_DIALER)
                    await jobs.send(b"late")
                    second = await other.open("jobs", prefetch=2)
                    waits = some.start(second.recv)
                    await settle()
                    assert waits.waits
                    await sleep(2)
                    line.resume(TO_DIALER)
                    await settle()
                assert (type(late.error), waits.value) == (DeadlineExceeded, b"late")

    mem_world.run(main)
