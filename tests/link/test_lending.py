# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``link.open(name, lend=True)``: sends that do not ask, and everything that must look as if they had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    UNLIMITED,
    ChannelClosed,
    Link,
    LinkLost,
    Recv,
    Send,
    Undelivered,
    WouldBlock,
    channel,
    dial,
    select,
    serve,
    sleep,
)
from kcoro_core.link.remote import RemoteChannel
from kcoro_core.transports.faults import TO_DIALER
from kcoro_core.transports.mem import faults
from kcoro_core.wire.hello import charge
from kcoro_core.wire.slots import split_budget

from .world import World, settle, taken, tasks

Setting = Callable[[str, str], Any]


def slots(link: Link, handle: RemoteChannel) -> int:
    """How many elements may be sent without asking."""
    return link.wire.slots(handle.id)


async def drain(ch: Any) -> list[bytes]:
    """All that is there, asking whoever may have sent something."""
    found = []
    while True:
        try:
            found.append(await ch.recv(timeout=0))
        except WouldBlock:
            return found


# -- sending


def test_a_send_with_a_slot_waits_for_nobody(world: World) -> None:
    """As many as were lent are done at once, also without a loop turn; then a try says that it would have to ask.

    Rows: N4, CH1.
    """

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            assert slots(link, jobs) == 4
            for i in range(4):
                jobs.try_send(b"%d" % i)
            with pytest.raises(WouldBlock, match="not without asking"):
                jobs.try_send(b"4")
            with pytest.raises(WouldBlock, match="no room"):
                await jobs.send(b"4", timeout=0)
            assert jobs.snapshot().sent == 4
            assert [await ch.recv() for _ in range(4)] == [b"0", b"1", b"2", b"3"]

    world.run(main)


def test_a_stream_keeps_its_order_whatever_goes_by_slot_or_by_request(world: World) -> None:
    """More elements than slots, a slow reader: each comes once, in order, and capacity is never exceeded.

    Rows: N4, CH2, CH11.
    """

    async def main() -> None:
        ch = channel(BUFFERED, 3)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            async with tasks() as some:

                async def produce() -> None:
                    for i in range(300):
                        await jobs.send(b"%d" % i)

                done = some.start(produce)
                for i in range(300):
                    assert await ch.recv() == b"%d" % i
                    assert taken(ch) <= 3
                    if i % 7 == 0:
                        await settle()
                await settle()
                assert done.outcome == "done"
            assert ch.snapshot().peak_length <= 3

    world.run(main)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(RENDEZVOUS, {}), (BUFFERED, {"overflow": DROP_OLDEST}), (BUFFERED, {"overflow": DROP_LATEST})],
    ids=["rendezvous", "drop-oldest", "drop-latest"],
)
def test_where_nothing_can_be_lent_the_home_declines(world: World, kind: Any, options: dict[str, Any]) -> None:
    """These work by request, with and without lend=True. Rows: N4, CH5."""

    async def main() -> None:
        ch = channel(kind, 2 if kind is BUFFERED else None, **options)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", lend=True)
            assert slots(link, jobs) == 0
            call = some.start(ch.recv)
            await settle()
            await jobs.send(b"v")
            await settle()
            assert call.value == b"v"

    world.run(main)


def test_one_link_at_a_time_is_lent_to(world: World) -> None:
    """A second one that asks works by request; its first send takes the slots back from the first. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (server, link), dial(server.uri) as other:
            jobs, late = await link.open("jobs", lend=True), await other.open("jobs", lend=True)
            assert (slots(link, jobs), slots(other, late)) == (4, 0)
            await jobs.send(b"1")
            await late.send(b"2")
            assert (slots(link, jobs), slots(other, late)) == (0, 0)
            await jobs.send(b"3")
            assert [await ch.recv() for _ in range(3)] == [b"1", b"2", b"3"]
            assert slots(link, jobs) == 0

    world.run(main)


def test_who_waits_to_send_is_not_overtaken_by_a_loan(world: World) -> None:
    """While a task waits at a full channel nothing is lent. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 1)
        await ch.send(b"0")
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            some.start(ch.send, b"1")
            await settle()
            jobs = await link.open("jobs", lend=True)
            assert await ch.recv() == b"0"
            await settle()
            assert slots(link, jobs) == 0
            assert await ch.recv() == b"1"

    world.run(main)


# -- somebody else sends


def test_what_completed_before_comes_before(world: World) -> None:
    """A send over the link completes, its task tells another, that one sends at home: order is kept. Rows: N4, CH11."""

    async def main() -> None:
        for form in ("send", "timeout", "select"):
            ch = channel(BUFFERED, 4)
            async with world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs", lend=True)
                await jobs.send(b"1")
                if form == "send":
                    await ch.send(b"2")
                elif form == "timeout":
                    await ch.send(b"2", timeout=0)
                else:
                    await select(Send(ch, b"2"))
                assert [await ch.recv(), await ch.recv()] == [b"1", b"2"]

    world.run(main)


def test_a_try_at_home_cannot_ask_and_begins_to(world: World) -> None:
    """``try_send`` finds lent slots: WouldBlock, and a later one succeeds. ``timeout=0`` is exact. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            with pytest.raises(WouldBlock):
                ch.try_send(b"1")
            await settle()
            ch.try_send(b"1")
            await ch.send(b"2", timeout=0)
            with pytest.raises(WouldBlock):
                await ch.send(b"3", timeout=0)
            assert slots(link, jobs) == 0

    world.run(main)


def test_a_try_that_waits_for_the_slots_fails_if_they_were_used(world: World) -> None:
    """The channel was full all along, as far as anybody can tell. Rows: N4, CH9."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            jobs.try_send(b"1")
            jobs.try_send(b"2")
            with pytest.raises(WouldBlock):
                await ch.send(b"3", timeout=0)
            assert ch.snapshot().failed_would_block == 1
            assert (await ch.recv(), await ch.recv()) == (b"1", b"2")

    world.run(main)


def test_a_try_of_another_link_is_exact_too(world: World) -> None:
    """SEND and RECV with timeout 0 wait for the end of the link that has slots. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (server, link), dial(server.uri) as other:
            jobs, theirs = await link.open("jobs", lend=True), await other.open("jobs")
            with pytest.raises(WouldBlock):
                await theirs.recv(timeout=0)
            jobs.try_send(b"1")
            assert await theirs.recv(timeout=0) == b"1"
            await theirs.send(b"2", timeout=0)
            jobs_full = [await jobs.send(b"3", timeout=0)]
            assert jobs_full == [None]
            with pytest.raises(WouldBlock):
                await theirs.send(b"4", timeout=0)

    world.run(main)


# -- receiving at home


def test_a_try_to_receive_asks_what_is_on_its_way(world: World) -> None:
    """A send has completed elsewhere: ``recv(timeout=0)`` finds it, and gives up no slots. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            with pytest.raises(WouldBlock):
                await ch.recv(timeout=0)
            for i in range(3):
                jobs.try_send(b"%d" % i)
                assert await ch.recv(timeout=0) == b"%d" % i
            with pytest.raises(WouldBlock):
                await ch.recv(timeout=0)
            await settle()
            assert slots(link, jobs) >= 2
            assert ch.snapshot().failed_would_block == 2

    world.run(main)


def test_many_tries_at_once_each_get_their_own_answer(world: World) -> None:
    """Two elements, three tries: two find one, the third hears that there is none. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", lend=True)
            jobs.try_send(b"1")
            jobs.try_send(b"2")
            calls = [some.start(lambda: ch.recv(timeout=0)) for _ in range(3)]
            await settle()
            assert sorted(call.value for call in calls if call.outcome == "done") == [b"1", b"2"]
            assert [call.outcome for call in calls].count(WouldBlock) == 1

    world.run(main)


def test_a_select_at_home_takes_part_like_any_receiver(world: World) -> None:
    """Data that arrives wins its clause. Row: N4."""

    async def main() -> None:
        ch, quiet = channel(BUFFERED, 4), channel()
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", lend=True)
            call = some.start(select, Recv(quiet), Recv(ch))
            await settle()
            await jobs.send(b"v")
            await settle()
            assert call.value.value == b"v"

    world.run(main)


# -- the end


def test_data_under_way_at_a_close_is_received_before_the_close(world: World) -> None:
    """Its send has completed, so no receiver may hear of the close first, in whatever form. Rows: N4, CH10."""

    async def main() -> None:
        for form in ("parked", "later", "try"):
            ch = channel(BUFFERED, 4)
            async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
                jobs = await link.open("jobs", lend=True)
                call = some.start(ch.recv) if form == "parked" else None
                await settle()
                jobs.try_send(b"1")
                ch.close("done")
                first = await ch.recv(timeout=0 if form == "try" else None) if call is None else None
                await settle()
                assert (first if call is None else call.value) == b"1"
                with pytest.raises(ChannelClosed, match="done"):
                    await ch.recv(timeout=0)
                with pytest.raises(ChannelClosed, match="done"):
                    await jobs.send(b"2")

    world.run(main)


def test_a_close_while_nothing_is_under_way_is_heard_by_those_who_wait(world: World) -> None:
    """Receivers at home hear of it as soon as the slots are back. Rows: N4, CH10."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            await link.open("jobs", lend=True)
            calls = [some.start(ch.recv), some.start(lambda: ch.recv(timeout=0))]
            ch.close()
            await settle()
            assert [call.outcome for call in calls] == [ChannelClosed, ChannelClosed]

    world.run(main)


def test_data_under_way_at_a_cancel_is_reported_at_the_home(world: World) -> None:
    """Once, for the reason for which what was queued is. Rows: N4, CH15."""

    async def main() -> None:
        reported: list[Any] = []
        ch = channel(BUFFERED, 4, on_undelivered=lambda value, why, _: reported.append((value, why)))
        async with world.linked({"jobs": ch}) as (_, link):
            here: list[Any] = []
            jobs = await link.open("jobs", lend=True, on_undelivered=lambda *news: here.append(news))
            await jobs.send(b"queued")
            await settle()
            jobs.try_send(b"under way")
            ch.cancel()
            await settle()
            assert reported == [(b"queued", Undelivered.CANCELLED), (b"under way", Undelivered.CANCELLED)]
            assert here == []
            state = ch.snapshot()
            assert (state.sent, state.dropped, state.length) == (2, 2, 0)

    world.run(main)


def test_who_gives_the_handle_up_gives_the_slots_back(world: World) -> None:
    """A sender at home that waited for a slot goes on; what was sent stays. Rows: N4, N8."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            jobs.try_send(b"1")
            jobs.detach()
            await settle()
            ch.try_send(b"2")
            assert await drain(ch) == [b"1", b"2"]
            again = await link.open("jobs", lend=True)
            assert slots(link, again) == 2

    world.run(main)


def test_leaving_in_good_order_leaves_nothing_in_doubt(world: World) -> None:
    """Everything that was sent before the block ended is in the channel. Rows: N4, X4."""

    async def main() -> None:
        ch = channel(BUFFERED, 64)
        reported: list[Any] = []
        async with serve(world.uri, {"jobs": ch}) as server:
            async with dial(server.uri) as link:
                jobs = await link.open("jobs", lend=True, on_undelivered=lambda *news: reported.append(news))
                for i in range(64):
                    await jobs.send(b"%d" % i)
            await settle()
            assert len(ch) == 64
            assert link.report is not None
            assert (link.report.acked, link.report.in_doubt, reported) == ({"jobs": 64}, {"jobs": 0}, [])

    world.run(main)


def test_what_a_cut_leaves_unconfirmed_is_reported_once_at_the_sending_end(mem_world: World) -> None:
    """Counted in the report and in LinkLost, handed to the hook in order; the home goes on. Rows: N4, X4."""

    async def main() -> None:
        ch = channel(BUFFERED, 8)
        reported: list[Any] = []
        with faults("world") as wires:
            async with serve(mem_world.uri, {"jobs": ch}), dial(mem_world.uri) as link:
                jobs = await link.open(
                    "jobs", lend=True, on_undelivered=lambda value, why, of: reported.append((value, why, of))
                )
                await jobs.send(b"1")
                await settle()
                for value in (b"2", b"3"):
                    await jobs.send(value)
                async with tasks() as some:
                    waiting = some.start(ch.send, b"at home")
                    wires.cut_now()
                    await settle()
                    assert waiting.outcome == "done"
                with pytest.raises(LinkLost) as lost:
                    await jobs.send(b"4")
                assert (lost.value.acked, lost.value.in_doubt) == (1, 2)
                assert reported == [(value, Undelivered.IN_DOUBT, jobs) for value in (b"2", b"3")]
                assert link.report is not None
                assert (link.report.acked, link.report.in_doubt) == ({"jobs": 1}, {"jobs": 2})
                assert (await drain(ch))[-1] == b"at home"

    mem_world.run(main)


def test_a_hook_that_raises_changes_nothing(mem_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are reported as well, and the error goes where errors of hooks go. Row: X4."""
    unraisable: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)

    async def main() -> None:
        ch = channel(BUFFERED, 8)
        reported: list[bytes] = []

        def hook(value: bytes, _why: Undelivered, _of: object) -> None:
            reported.append(value)
            raise KeyError(value)

        with faults("world") as wires:
            async with serve(mem_world.uri, {"jobs": ch}), dial(mem_world.uri) as link:
                jobs = await link.open("jobs", lend=True, on_undelivered=hook)
                jobs.try_send(b"1")
                jobs.try_send(b"2")
                wires.cut_now()
                await settle()
                assert (reported, len(unraisable)) == ([b"1", b"2"], 2)
                assert link.report is not None

    mem_world.run(main)


# -- the other kinds


def test_a_conflated_channel_sends_the_newest_and_reports_the_others(world: World) -> None:
    """No send waits; each value is received, or reported once where it was replaced. Rows: CH3, N4."""

    async def main() -> None:
        reported: list[bytes] = []
        ch = channel(CONFLATED, on_undelivered=lambda value, _why, _of: reported.append(value))
        async with world.linked({"news": ch}) as (_, link):
            news = await link.open("news", lend=True, on_undelivered=lambda value, _why, _of: reported.append(value))
            received = []
            for i in range(50):
                news.try_send(b"%d" % i)
                if i % 9 == 0:
                    await settle()
                    received += await drain(ch)
            received += await drain(ch)
            assert received[-1] == b"49"
            assert received == sorted(received, key=int)
            assert sorted(received + reported, key=int) == [b"%d" % i for i in range(50)]
            state = ch.snapshot()
            assert (state.sent, state.received, state.dropped) == (50, len(received), len(reported))

    world.run(main)


def test_somebody_else_s_newer_value_is_not_overwritten_by_an_older_one(world: World) -> None:
    """A send at home waits for what the link has sent before, although a CONFLATED channel is never full. Row: CH3."""

    async def main() -> None:
        ch = channel(CONFLATED)
        async with world.linked({"news": ch}) as (_, link):
            news = await link.open("news", lend=True)
            for value in (b"1", b"2", b"3"):
                news.try_send(value)
            await ch.send(b"newest")
            await settle()
            assert await drain(ch) == [b"newest"]

    world.run(main)


def test_an_unlimited_channel_suspends_on_the_byte_window(world: World, setting: Setting) -> None:
    """What one link may have waiting there is bounded; a reader lets its sender go on, and nothing is lost.

    Rows: CH4, X3.
    """

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link), tasks() as some:
            jobs = await link.open("jobs", lend=True)

            async def produce() -> None:
                for i in range(2000):
                    await jobs.send(b"%4d" % i + bytes(996))

            done = some.start(produce)
            await sleep(10)
            assert done.outcome == "waits"
            window = split_budget(400_000, 10_000)[1] // 2
            assert window // 2 <= len(ch) * charge(1000) <= window + charge(1000)
            for i in range(2000):
                assert (await ch.recv())[:4] == b"%4d" % i
            await settle()
            assert done.outcome == "done"

    with setting("receive_budget", "400000"), setting("max_message", "10000"):
        world.run(main)


def test_an_unlimited_channel_that_lends_no_more_takes_everything_in(mem_world: World, setting: Setting) -> None:
    """What waited for the recall moves in beyond the window, and is held against nobody: no share is left. Row: CH4."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as some:
                jobs = await link.open("jobs", lend=True)
                line.stall(TO_DIALER)
                local = some.start(ch.send, b"of this side")
                sends = [some.start(jobs.send, bytes(9000)) for _ in range(23)]
                await settle()
                assert local.waits
                assert any(call.waits for call in sends)
                line.resume(TO_DIALER)
                await settle()
                assert [call.outcome for call in (local, *sends)] == ["done"] * 24
                ch.try_send(b"and another")
                assert len(ch) == 25

    with setting("receive_budget", "400000"), setting("max_message", "10000"):
        mem_world.run(main)


# -- a stopped reader


def test_a_stopped_reader_holds_its_own_channel_up_and_no_other(world: World, setting: Setting) -> None:
    """One of eight channels is not read: its sender keeps no more than its window, the others go on. Rows: N4, X3."""

    async def main() -> None:
        channels = {f"c{i}": channel(BUFFERED, 16) for i in range(8)}
        async with world.linked(channels) as (_, link), tasks() as some:
            handles = [await link.open(name, lend=True) for name in channels]

            async def produce(handle: RemoteChannel) -> None:
                for _ in range(500):
                    await handle.send(bytes(1000))

            done = [some.start(produce, handle) for handle in handles]

            async def consume(ch: Any) -> None:
                for _ in range(500):
                    await ch.recv()

            stopped, *going = channels.values()
            read = [some.start(consume, ch) for ch in going]
            await sleep(100)
            assert [call.outcome for call in done] == ["waits"] + ["done"] * 7
            assert [call.outcome for call in read] == ["done"] * 7
            assert len(stopped) == 16
            window = link.wire._handles.mine(handles[0].id).window
            assert window is not None
            assert window.unconfirmed == 0  # what is kept at the sending end of the stopped one
            assert link.snapshot().requests_in_flight == 1
            some.cancel()

    with setting("receive_budget", "2500000"):
        world.run(main)


def test_small_budgets_lend_nothing_and_work(world: World, setting: Setting) -> None:
    """What is left of the budget behind the share of requests may be nothing. Row: X3."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            assert slots(link, jobs) == 0
            await jobs.send(b"v")
            assert await ch.recv() == b"v"

    with setting("receive_budget", "10200"), setting("max_message", "10000"):
        world.run(main)


def test_an_element_larger_than_the_bytes_that_are_granted_asks(world: World) -> None:
    """It goes by request, in its place, and the next of its kind finds more bytes. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 8)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            with pytest.raises(WouldBlock):
                jobs.try_send(bytes(1 << 20))
            for i in range(6):
                await jobs.send(b"%d" % i)
                await jobs.send(b"%d" % i + bytes((1 << 20) - 1))
                assert [(await ch.recv())[:1] for _ in range(2)] == [b"%d" % i] * 2
            jobs.try_send(bytes(1 << 20))

    world.run(main)


def test_a_reader_that_keeps_up_does_not_keep_the_slots_from_being_renewed(world: World) -> None:
    """An element that went by request to somebody who waited has used a slot, and has asked for bytes. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            async with tasks() as some:

                async def consume() -> None:
                    for _ in range(12):
                        await ch.recv()

                some.start(consume)
                for _ in range(11):
                    await settle()
                    await jobs.send(bytes(1 << 20))
                await settle()
                jobs.try_send(bytes(1 << 20))

    world.run(main)


def test_a_wrong_hook_is_refused_before_anything_is_sent(world: World) -> None:
    """``on_undelivered`` has to be callable. Row: N8."""

    async def main() -> None:
        async with world.linked({"jobs": channel()}) as (_, link):
            before = link.snapshot().frames_written
            with pytest.raises(ValueError, match="on_undelivered"):
                await link.open("jobs", on_undelivered="hook")  # type: ignore[arg-type]
            assert link.snapshot().frames_written == before

    world.run(main)
