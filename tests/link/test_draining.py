# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Draining a link: what is under way is finished, what is new is refused, and the report counts each. Row: N6."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    Call,
    CancelToken,
    ChannelClosed,
    DrainReport,
    LinkLost,
    Lost,
    Outcome,
    channel,
    dial,
    serve,
    sleep,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.link.draining import DRAINING
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER
from kcoro_core.transports.mem import faults
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.messages import FOREVER_MS, OpenRequest, decode_reply, encode_open, encode_timeout

from .raw import RawPeer
from .world import World, settle, tasks

Setting = Callable[[str, str], Any]


async def patient(call: Call) -> bytes:
    """Answers after as many seconds as it is told."""
    await sleep(int(call.payload))
    return b"done"


def test_an_idle_link_is_drained_at_once_and_both_sides_know(world: World) -> None:
    """A goodbye like any other; nothing was finished, refused or in doubt. Row: N6."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel()}) as server, dial(world.uri) as link:
            await link.open("jobs")
            await server.events.recv()
            began = current_host().now()
            assert await link.drain(5) == DrainReport(finished=0, refused=0, in_doubt=0, in_time=True)
            assert current_host().now() - began < 0.1
            assert link.closed
            news = await server.events.recv()
            assert isinstance(news, Lost)
            assert news.report.orderly

    world.run(main)


def test_what_is_under_way_is_finished_before_the_goodbye(world: World) -> None:
    """Calls that are handled, sends that wait for room, calls of this side: all have their answer. Rows: N6, N1."""
    jobs = channel(RENDEZVOUS)

    async def main() -> None:
        of_server, of_link = {64: patient}, {65: patient}
        async with (
            serve(world.uri, {"jobs": jobs}, handlers=of_server) as server,
            dial(world.uri, handlers=of_link) as link,
        ):
            handle = await link.open("jobs")
            (there,) = server.links
            ours = there.rpc_send(65, 0, b"2")
            async with tasks() as some:
                call = some.start(link.rpc_send(64, 0, b"3").wait)
                send = some.start(handle.send, b"element")
                mine = some.start(ours.wait)
                await settle()
                began = current_host().now()
                draining = some.start(there.drain, 10)
                await settle()
                assert await jobs.recv() == b"element"
            assert (call.value, send.outcome, mine.value) == (b"done", "done", b"done")
            assert draining.value == DrainReport(finished=3, refused=0, in_doubt=0, in_time=True)
            assert draining.ended_at is not None
            assert draining.ended_at - began == pytest.approx(3, abs=0.1)

    world.run(main)


def test_what_is_asked_after_the_announcement_is_known_not_done(world: World) -> None:
    """On the side that drains as on the other: ChannelClosed, before anything is sent. Row: N6."""
    jobs = channel(BUFFERED, capacity=4)

    async def main() -> None:
        async with (
            serve(world.uri, {"jobs": jobs}, handlers={64: patient}) as server,
            dial(world.uri, {"back": jobs}, handlers={64: patient}) as link,
        ):
            handle, (there,) = await link.open("jobs"), server.links
            back = await there.open("back")
            async with tasks() as some:
                some.start(link.rpc_send(64, 0, b"3").wait)
                await settle()
                draining = some.start(there.drain, 10)
                await settle()
                frames = link.snapshot().frames_written, there.snapshot().frames_written
                for side, on in ((link, handle), (there, back)):
                    for ask in (
                        lambda on=on: on.send(b"x"),
                        lambda on=on: on.recv(),
                        lambda on=on: on.info(),
                        lambda side=side: side.open("jobs"),
                    ):
                        with pytest.raises(ChannelClosed, match="being drained") as caught:
                            await ask()
                        assert caught.value.outcome is Outcome.NOT_DONE
                    with pytest.raises(ChannelClosed, match="being drained"):
                        side.rpc_send(64)
                assert frames == (link.snapshot().frames_written, there.snapshot().frames_written)
            assert draining.value == DrainReport(finished=1, refused=0, in_doubt=0, in_time=True)
            assert len(jobs) == 0

    world.run(main)


def test_what_crosses_the_announcement_is_refused_and_counted(mem_world: World) -> None:
    """It was on its way when the other side said that it takes nothing new: one answer, not done. Row: N6."""
    jobs = channel(BUFFERED, capacity=4)

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({"jobs": jobs}, handlers={64: patient}) as (server, link):
                handle, (there,) = await link.open("jobs"), server.links
                async with tasks() as some:
                    some.start(link.rpc_send(64, 0, b"3").wait)
                    await settle()
                    line.stall(TO_LISTENER)
                    line.stall(TO_DIALER)
                    late = [some.start(handle.send, b"late"), some.start(handle.recv), some.start(link.open, "jobs")]
                    await settle()
                    draining = some.start(there.drain, 10)
                    await settle()
                    line.resume(TO_LISTENER)
                    line.resume(TO_DIALER)
                assert [call.outcome for call in late] == [ChannelClosed] * 3
                assert {call.error.outcome for call in late} == {Outcome.NOT_DONE}  # type: ignore[union-attr]
                assert draining.value == DrainReport(finished=1, refused=3, in_doubt=0, in_time=True)
                assert len(jobs) == 0

    mem_world.run(main)


def test_receives_that_wait_hold_nothing_up(world: World) -> None:
    """The peer's are refused at once, so that its loops end; this side's end with the goodbye. Row: N6."""

    async def main() -> None:
        here, there_ch = channel(), channel()
        async with serve(world.uri, {"jobs": here}) as server, dial(world.uri, {"back": there_ch}) as link:
            handle, (there,) = await link.open("jobs"), server.links
            back = await there.open("back")

            async def loop() -> None:
                async for element in handle:
                    raise AssertionError(element)

            async with tasks() as some:
                looping = some.start(loop)
                mine = some.start(back.recv)
                await settle()
                began = current_host().now()
                report = await there.drain(10)
                assert current_host().now() - began < 0.1
            assert looping.outcome == "done"
            assert mine.outcome is ChannelClosed
            assert report == DrainReport(finished=0, refused=1, in_doubt=0, in_time=True)

    world.run(main)


def test_the_deadline_ends_what_is_not_finished_as_not_done(world: World) -> None:
    """A handler is cancelled, a send that waits is refused, and the report says how many. Row: N6."""

    async def main() -> None:
        async with world.linked({"jobs": channel()}, handlers={64: patient}) as (server, link):
            handle, (there,) = await link.open("jobs"), server.links
            async with tasks() as some:
                call = some.start(link.rpc_send(64, 0, b"100").wait)
                send = some.start(handle.send, b"x")
                await settle()
                began = current_host().now()
                report = await there.drain(2)
                assert current_host().now() - began == pytest.approx(2, abs=0.1)
            assert {call.outcome, send.outcome} == {ChannelClosed}
            assert call.error.outcome is send.error.outcome is Outcome.NOT_DONE  # type: ignore[union-attr]
            assert report == DrainReport(finished=0, refused=2, in_doubt=0, in_time=False)

    world.run(main)


def test_what_the_other_side_did_not_answer_is_in_doubt(mem_world: World, setting: Setting) -> None:
    """A send of this side, and an element that the peer did not confirm; each is counted once. Rows: N6, X4."""
    reported: list[object] = []
    jobs = channel(BUFFERED, capacity=4, on_undelivered=lambda value, why, of: reported.append(value))

    async def main() -> None:
        with faults("world") as line:
            async with serve(mem_world.uri, {"jobs": jobs}) as server, dial(mem_world.uri, {"back": channel()}) as link:
                handle, (there,) = await link.open("jobs"), server.links
                back = await there.open("back")
                jobs.try_send(b"element")
                async with tasks() as some:
                    line.stall(TO_DIALER)
                    receive = some.start(handle.recv)
                    send = some.start(back.send, b"x")
                    await settle()
                    report = await there.drain(2)
                    line.resume(TO_DIALER)
                assert (receive.value, send.outcome) in ((b"element", ChannelClosed), (None, LinkLost))
                assert report == DrainReport(finished=0, refused=0, in_doubt=2, in_time=False)
                assert reported == [b"element"]

    mem_world.run(main)


def test_a_link_that_is_lost_while_it_is_drained_ends_the_drain(mem_world: World) -> None:
    """At once, with a report that says so. Row: N6."""

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({}, handlers={64: patient}) as (server, link):
                await settle()
                future, (there,) = link.rpc_send(64, 0, b"100"), server.links
                async with tasks() as some:
                    await settle()
                    draining = some.start(there.drain)
                    again = some.start(there.drain, 1000)
                    await settle()
                    line.cut_now()
                assert draining.value == again.value == DrainReport(finished=0, refused=1, in_doubt=0, in_time=False)
                with pytest.raises(LinkLost):
                    await future.wait()
                assert await there.drain(1) == draining.value
                with pytest.raises(LinkLost):
                    await link.drain(1)

    mem_world.run(main)


def test_leaving_the_block_ends_a_drain(world: World) -> None:
    """Whoever cancels it still leaves in good order, with the block. Row: N6."""

    async def main() -> None:
        async with serve(world.uri, handlers={64: patient}) as server, dial(world.uri) as link:
            future = link.rpc_send(64, 0, b"100")
            await settle()
            (there,) = server.links
            with current_host().open_cancel_scope() as scope:
                current_host().call_at(current_host().now() + 1, scope.cancel)
                await there.drain()
            assert scope.cancelled_caught
            assert not link.closed
            await there.aclose("gone fishing")
            with pytest.raises(ChannelClosed):
                await future.wait()
            assert link.report is not None
            assert (link.report.orderly, link.report.reason) == (True, "gone fishing")

    world.run(main)


def test_the_reason_of_a_goodbye_is_in_the_report_of_the_other_side(world: World) -> None:
    """256 bytes of it, cut between characters; none by default. Row: N6."""

    async def main() -> None:
        async with serve(world.uri) as server:
            for said, heard in (("", ""), ("enough for today", "enough for today"), ("\u00e9" * 300, "\u00e9" * 128)):
                async with dial(world.uri) as link:
                    await server.events.recv()
                    await link.aclose(said)
                news = await server.events.recv()
                assert isinstance(news, Lost)
                assert (news.report.reason, news.report.orderly) == (heard, True)

    world.run(main)


def test_a_drain_of_a_busy_link_loses_nothing(world: World) -> None:
    """While four tasks send and receive all the time: every element is somewhere, and every error is known. Row: X4."""
    jobs = channel(BUFFERED, capacity=8)
    sent: list[bytes] = []
    got: list[bytes] = []
    outcomes: list[Outcome] = []

    async def main() -> None:
        async with world.linked({"jobs": jobs}) as (server, link):
            handle, (there,) = await link.open("jobs"), server.links
            busy = CancelToken()

            async def send(name: int) -> None:
                for i in count():
                    element = b"%d.%d" % (name, i)
                    try:
                        await handle.send(element)
                    except ChannelClosed as error:
                        outcomes.append(error.outcome)
                        return
                    sent.append(element)
                    if len(sent) == 200:
                        busy.trigger()

            async def receive() -> None:
                got.extend([element async for element in handle])

            async with tasks() as some:
                for name in range(4):
                    some.start(send, name)
                    some.start(receive)
                await busy.wait()
                report = await there.drain(5)
            assert report.in_doubt == 0  # a send that finds no room any more is ended by the deadline, not done
            assert report.finished + report.refused > 0
        assert outcomes == [Outcome.NOT_DONE] * 4
        left = [jobs.try_recv() for _ in range(len(jobs))]
        assert sorted(sent) == sorted(got + left)

    world.run(main)


def test_a_receive_that_was_named_and_comes_late_is_refused_all_the_same(world: World) -> None:
    """It may be overtaken by what was asked behind it; it is under way no more than one that waits here. Row: N6."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel()}, handlers={64: patient}) as server:
            peer = RawPeer(world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, encode_open(OpenRequest("jobs")))
            await peer.send(64, 0, 7, b"3")
            (there,) = server.links
            async with tasks() as some:
                draining = some.start(there.drain, 10)
                await settle()
                peer.heard.clear()
                await peer.send(Command.RECV, 1, 5, encode_timeout(FOREVER_MS))
                await peer.pump()
                (answer,) = peer.replies()
                assert answer[0] == 5
                assert decode_reply(Fields(answer[1], "REPLY")) == (WireCode.EPIPE, DRAINING)
                await peer.pump()
            peer.close()
            assert draining.value.refused == 1

    world.run(main)
