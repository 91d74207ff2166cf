# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The end of a link, abrupt or orderly: everybody who waits learns what is known of his own (row N6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from kcoro_core import (
    RENDEZVOUS,
    UNLIMITED,
    ChannelClosed,
    DeadlineExceeded,
    Joined,
    LinkLost,
    Lost,
    Outcome,
    TransportError,
    Undelivered,
    WouldBlock,
    channel,
    dial,
    plugins,
    serve,
    sleep,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.testing.laws.harness import collect
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER
from kcoro_core.transports.mem import faults
from kcoro_core.wire.messages import OpenRequest

from .world import World, settle, tasks

Setting = Callable[[str, str], Any]
Reports = list[tuple[bytes, Undelivered]]


def test_a_cut_ends_every_wait_at_once(mem_world: World) -> None:
    """Sends, receives, opens and questions all end with LinkLost in the instant of the cut. Row: N6."""

    async def main() -> None:
        full, empty = channel(RENDEZVOUS), channel(RENDEZVOUS)
        with faults("world") as line:
            async with mem_world.linked({"full": full, "empty": empty}) as (server, link):
                a, b = await link.open("full"), await link.open("empty")
                async with tasks() as some:
                    calls = [some.start(a.send, b"%d" % i) for i in range(25)]
                    calls += [some.start(b.recv, timeout=100) for _ in range(25)]
                    await settle()
                    line.stall(TO_DIALER)
                    calls += [some.start(link.open, "full"), some.start(a.info)]
                    await settle()
                    began = current_host().now()
                    line.cut_now()
                assert {call.outcome for call in calls} == {LinkLost}
                assert {call.ended_at for call in calls} == {began}
                state = full.snapshot(), empty.snapshot()
                assert (state[0].waiting_senders, state[1].waiting_receivers) == (0, 0)
                assert (link.closed, server.links) == (True, ())
                for call in (lambda: a.send(b"v"), b.recv, a.info, lambda: link.open("full")):
                    with pytest.raises(LinkLost):
                        await call()
                for call in (lambda: a.try_send(b"v"), b.try_recv, a.close):
                    with pytest.raises(LinkLost):
                        call()

    mem_world.run(main)


def test_a_cut_tells_each_send_what_is_known_of_it(mem_world: World) -> None:
    """Accepted sends are acked, unanswered ones in doubt, unwritten ones not done; the error counts them. Row: N6."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        with faults("world") as line:
            line.buffer_bytes = 500
            async with mem_world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs")
                async with tasks() as some:
                    done = [some.start(jobs.send, b"done") for _ in range(3)]
                    for _ in done:
                        await ch.recv()
                    await settle()
                    parked = some.start(jobs.send, b"parked")
                    await settle()
                    line.stall(TO_LISTENER)
                    written = some.start(jobs.send, b"w" * 600)
                    await settle()
                    unwritten = [some.start(jobs.send, b"not written") for _ in range(2)]
                    await settle()
                    line.cut_now()
                assert [call.outcome for call in done] == ["done"] * 3
                errors = [call.error for call in (parked, written, *unwritten)]
                told = [(error.outcome, error.acked, error.in_doubt) for error in errors]
                assert told == [
                    (Outcome.IN_DOUBT, 3, 2),
                    (Outcome.IN_DOUBT, 3, 2),
                    (Outcome.NOT_DONE, 3, 2),
                    (Outcome.NOT_DONE, 3, 2),
                ]
                assert link.report is not None
                assert (link.report.orderly, link.report.acked, link.report.in_doubt) == (
                    False,
                    {"jobs": 3},
                    {"jobs": 2},
                )

    mem_world.run(main)


def test_elements_in_flight_are_reported_once_and_unwritten_ones_stay(mem_world: World) -> None:
    """What may have been received goes to on_undelivered as IN_DOUBT, what was never written to the head. Row: CH6."""

    async def main() -> None:
        reports: Reports = []
        ch = channel(UNLIMITED, on_undelivered=lambda value, why, of: reports.append((value, why)))
        with faults("world") as line:
            line.buffer_bytes = 500
            async with mem_world.linked({"jobs": ch}) as (server, link):
                jobs = await link.open("jobs")
                async with tasks() as some:
                    calls = [some.start(jobs.recv) for _ in range(3)]
                    await settle()
                    line.stall(TO_DIALER)
                    for value in (b"1" * 600, b"2", b"3", b"4"):
                        ch.try_send(value)
                    await settle()
                    line.cut_now()
                assert {call.outcome for call in calls} == {LinkLost}
                assert {call.error.outcome for call in calls if call.error} == {Outcome.NOT_DONE}
                assert reports == [(b"1" * 600, Undelivered.IN_DOUBT)]
                assert [ch.try_recv() for _ in range(3)] == [b"2", b"3", b"4"]
                state = ch.snapshot()
                assert (state.sent, state.received, state.dropped) == (4, 3, 1)
                joined, lost = await server.events.recv(), await server.events.recv()
                assert isinstance(joined, Joined)
                assert isinstance(lost, Lost)
                assert (lost.report.undelivered_in_doubt, lost.report.put_back) == (1, 2)
                assert joined.link is lost.link

    mem_world.run(main)


def test_a_close_that_waits_for_an_element_in_flight_ends_with_the_link(mem_world: World) -> None:
    """Receivers of a closed channel wait while an element travels; the lost link settles it. Rows: CH9, N6."""

    async def main() -> None:
        ch = channel(UNLIMITED, on_undelivered=lambda *report: None)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs")
                async with tasks() as some:
                    some.start(jobs.recv)
                    await settle()
                    line.stall(TO_DIALER)
                    ch.try_send(b"v")
                    ch.close()
                    here = some.start(ch.recv)
                    await settle()
                    assert here.waits
                    line.cut_now()
                assert here.outcome is ChannelClosed

    mem_world.run(main)


# -- orderly


def test_a_server_that_leaves_tells_everybody_that_nothing_was_done(world: World) -> None:
    """An orderly end is ChannelClosed with its reason, known not done; nothing waits at the home. Row: N6."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with serve(world.uri, {"jobs": ch, "empty": channel()}) as server:
            async with dial(world.uri) as link:
                jobs, empty = await link.open("jobs"), await link.open("empty")
                async with tasks() as some:
                    calls = [
                        some.start(jobs.send, b"v"),
                        some.start(empty.recv, timeout=9),
                        some.start(collect, empty, []),
                    ]
                    await settle()
                    await server.aclose()
                assert [call.outcome for call in calls] == [ChannelClosed, ChannelClosed, "done"]
                for call in calls[:2]:
                    assert call.error.reason == "link closed by peer"
                    assert call.error.outcome is Outcome.NOT_DONE
                with pytest.raises(ChannelClosed) as caught:
                    await jobs.send(b"v")
                assert caught.value.reason == "link closed by peer"
                assert link.report is not None
                assert link.report.orderly
            assert ch.snapshot().waiting_senders == 0
            assert not ch.closed

    world.run(main)


def test_a_request_that_crosses_the_goodbye_is_not_done(mem_world: World) -> None:
    """Whoever leaves has answered all that reached him; what crosses his BYE is known not done. Row: N6."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            async with serve(mem_world.uri, {"jobs": ch}) as server, dial(mem_world.uri) as link:
                jobs = await link.open("jobs")
                async with tasks() as some:
                    line.stall(TO_DIALER)
                    some.start(server.aclose)
                    await settle()
                    late = some.start(jobs.send, b"late")
                    await settle()
                    line.resume(TO_DIALER)
                assert (late.outcome, late.error.outcome) == (ChannelClosed, Outcome.NOT_DONE)
                assert len(ch) == 0

    mem_world.run(main)


@pytest.mark.parametrize("who", ["receiver", "home"])
def test_what_was_received_before_an_orderly_end_is_not_in_doubt(world: World, who: str) -> None:
    """The last element before a goodbye is confirmed, whichever side leaves, however soon. Rows: N6, CH6."""

    async def main() -> None:
        reports: Reports = []
        ch = channel(RENDEZVOUS, on_undelivered=lambda value, why, of: reports.append((value, why)))
        async with serve(world.uri, {"jobs": ch}) as server:
            async with dial(world.uri) as link:
                jobs = await link.open("jobs")
                async with tasks() as some:
                    got = some.start(jobs.recv)
                    await settle()
                    ch.try_send(b"v")
                    if who == "home":
                        await server.aclose()
            assert got.value == b"v"
        assert reports == []
        assert ch.snapshot().received == 1

    world.run(main)


def test_news_of_a_server_are_bounded_and_may_go_unread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unread events beyond the bound push out the oldest; a closed receiver wants none. Rows: N6, W3."""
    monkeypatch.setattr("kcoro_core.link.serve.MAX_EVENTS", 3)

    async def main() -> None:
        async with serve(world.uri) as server:
            for _ in range(3):
                async with dial(world.uri):
                    pass
                await settle()
            left = [server.events.try_recv() for _ in range(3)]
            assert [type(one) for one in left] == [Lost, Joined, Lost]
            server.events.close()
            async with dial(world.uri):
                await settle()
                assert len(server.links) == 1

    world.run(main)


def test_a_link_that_is_idle_for_hours_stays(world: World, setting: Setting) -> None:
    """Silence of the programs is no silence of the peer: PINGs keep a link alive, at most one at a time. Row: N6."""

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            before = link.snapshot()
            await sleep(2000)
            await jobs.send(b"v")
            written = link.snapshot().frames_written - before.frames_written
            assert 2000 / 36 <= written <= 2 * 2000 / 24 + 2

    with setting("keepalive", "30"):
        world.run(main)


def test_who_leaves_does_not_know_of_what_he_has_asked(world: World) -> None:
    """A send that waits when its own side leaves may have been accepted: in doubt, with that side's reason. Row: N6."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with serve(world.uri, {"jobs": ch}), tasks() as some:
            async with dial(world.uri) as link:
                call = some.start((await link.open("jobs")).send, b"v")
                await settle()
            assert call.outcome is ChannelClosed
            assert (call.error.reason, call.error.outcome) == ("link closed by this side", Outcome.IN_DOUBT)
        assert ch.snapshot().waiting_senders == 0

    world.run(main)


def test_nothing_is_taken_from_a_peer_after_the_goodbye(mem_world: World) -> None:
    """What is refused with the goodbye is withdrawn first: no partner here can still take it. Rows: N6, CH6."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        with faults("world") as line:
            async with serve(mem_world.uri, {"jobs": ch}) as server, dial(mem_world.uri) as link:
                jobs = await link.open("jobs")
                async with tasks() as some:
                    call = some.start(jobs.send, b"v")
                    await settle()
                    line.stall(TO_DIALER)
                    some.start(server.aclose)
                    await settle()
                    with pytest.raises(WouldBlock):
                        ch.try_recv()
                    line.resume(TO_DIALER)
                assert (call.outcome, call.error.outcome) == (ChannelClosed, Outcome.NOT_DONE)

    mem_world.run(main)


def test_sends_that_were_given_up_before_the_cut_are_counted_in_doubt(mem_world: World) -> None:
    """in_doubt of a LinkLost also counts the sends whose grace had passed without an answer. Row: N6."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs")
                await jobs.send(b"1")
                line.stall(TO_DIALER)
                for _ in range(2):
                    with pytest.raises(DeadlineExceeded) as late:
                        await jobs.send(b"2", timeout=1)
                    assert late.value.outcome is Outcome.IN_DOUBT
                line.cut_now()
                await settle()
                with pytest.raises(LinkLost) as caught:
                    await jobs.send(b"3")
                assert (caught.value.acked, caught.value.in_doubt, caught.value.outcome) == (1, 2, Outcome.NOT_DONE)
        assert len(ch) == 3

    mem_world.run(main)


def test_what_had_arrived_before_the_line_broke_is_still_heard(
    mem_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that finds the line broken does not hide answers that came before: they are read first. Row: N6."""
    real = plugins.transport("mem:")
    broken: list[Any] = []
    budget = [0]

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        if conn in broken:
            raise TransportError("broken for writing")
        return real.send_frame(conn, header, parts, lane)

    def pump(endpoint: Any, now: float, ready: int) -> None:
        budget[0] = 1
        real.pump(endpoint, now, ready)

    def recv_frame(conn: Any, limit: int) -> Any:
        if conn in broken:
            budget[0] -= 1
            if budget[0] < 0:
                return None
        return real.recv_frame(conn, limit)

    monkeypatch.setattr(
        plugins, "transport", lambda uri: attrs.evolve(real, send_frame=send_frame, pump=pump, recv_frame=recv_frame)
    )

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs")
                async with tasks() as some:
                    line.stall(TO_DIALER)
                    answered = [some.start(jobs.send, b"v") for _ in range(4)]
                    await settle()
                    broken.append(link._conn)
                    late = some.start(jobs.send, b"late")
                    line.resume(TO_DIALER)
                assert [call.outcome for call in answered] == ["done"] * 4
                assert (late.outcome, late.error.outcome) == (LinkLost, Outcome.NOT_DONE)

    mem_world.run(main)


# -- answers for nobody


@pytest.mark.parametrize("asked", ["open", "recv"])
def test_an_answer_that_nobody_waits_for_does_not_end_a_farewell_early(mem_world: World, asked: str) -> None:
    """A handle or an element that comes while this side says goodbye, for nobody, is given up with the rest. Row: N6.

    Warnings are errors here, so that a link that fails over it is found.
    """

    async def main() -> None:
        jobs = channel(UNLIMITED, on_undelivered=lambda *report: None)
        jobs.try_send(b"v")
        with faults("world") as line:
            async with mem_world.linked({"jobs": jobs}) as (_, link):
                handle = await link.open("jobs")
                line.stall(TO_DIALER)
                if asked == "open":
                    link.wire.open(OpenRequest("jobs"))
                else:
                    link.wire.recv(handle._id)
                link.pump.flush()
                await settle()
                link.lifecycle.say_goodbye()
                line.resume(TO_DIALER)
                await settle()
                assert link.report is not None
                assert link.report.orderly

    mem_world.run(main)
