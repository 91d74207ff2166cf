# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select over handles, where the laws of select do not look: masks, turns, ends of all kinds (rows N5, N5b)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from kcoro_core import (
    BIASED,
    BUFFERED,
    DROP_OLDEST,
    RETURN,
    SKIP,
    UNBIASED,
    UNLIMITED,
    AccessDenied,
    After,
    CancelToken,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    KcoroError,
    Link,
    LinkLost,
    MessageTooLong,
    NoBuffers,
    OperationCancelled,
    Outcome,
    Recv,
    Selector,
    Send,
    Undelivered,
    WouldBlock,
    channel,
    dial,
    select,
    serve,
    sleep,
    try_select,
)
from kcoro_core.link import hints
from kcoro_core.link.desk import PASSES
from kcoro_core.link.hints import LAPSE
from kcoro_core.testing.laws.harness import Call, collect
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER, Direction, Faults
from kcoro_core.transports.mem import faults
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.frame import decode_header
from kcoro_core.wire.messages import FOREVER_MS, OpenFlag, OpenRequest, encode_open, encode_reply, encode_timeout
from kcoro_core.wire.remote_select import Readiness, encode_claim, encode_notify, encode_register

from .raw import LARGEST, RawPeer
from .world import World, queued, settle, tasks

OPEN, STANDS, CLAIMS = 1, 2, 3  # request ids of a raw peer


def untouched(ch: Channel[Any]) -> bool:
    """Nobody waits, and everybody uses the channel itself again."""
    now = ch.snapshot()
    return (now.waiting_senders, now.waiting_receivers) == (0, 0) and not hasattr(ch._core, "core")


@asynccontextmanager
async def standing(uri: str, ch: Channel[bytes], mask: int, serial: int = 1) -> AsyncIterator[RawPeer]:
    """A peer that registers for these events, by hand, and does nothing more."""
    async with serve(uri, {"jobs": ch}):
        peer = RawPeer(uri)
        await peer.shake()
        await peer.send(Command.OPEN, 1, OPEN, encode_open(OpenRequest("jobs")))
        await peer.send(Command.SELECT_REGISTER, 1, STANDS, encode_register(serial, Readiness(mask)))
        await settle()
        yield peer
        peer.close()


async def notified(peer: RawPeer) -> list[bytes]:
    """The payloads of the NOTIFYs that have come."""
    await settle()
    await peer.pump()
    headers = [(decode_header(raw.header, LARGEST), raw.payload) for raw in peer.heard]
    return [payload for header, payload in headers if header.command == Command.SELECT_NOTIFY]


# -- masks


def send_ready(ch: Channel[bytes], run: Any) -> None:
    """Somebody waits to receive."""
    run.start(ch.recv)


def recv_ready(ch: Channel[bytes], run: Any) -> None:
    """Somebody waits to send."""
    run.start(ch.send, b"v")


def closed(ch: Channel[bytes], run: Any) -> None:
    """It is closed."""
    ch.close()


EVENTS = {Readiness.SEND_READY: send_ready, Readiness.RECV_READY: recv_ready, Readiness.CLOSED: closed}


@pytest.mark.parametrize("mask", range(1, 8))
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_registration_hears_of_the_events_of_its_mask(world: World, mask: int, event: Readiness) -> None:
    """Each event alone, in every mask: told if the mask has it, with its own bit, and not otherwise. Row: N5b."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with standing(world.uri, ch, mask) as peer, tasks() as run:
            assert await notified(peer) == []
            EVENTS[event](ch, run)
            token = 0 if event is Readiness.CLOSED else 1
            assert await notified(peer) == ([encode_notify(event, token)] if mask & event else [])
            run.cancel()

    world.run(main)


def test_two_events_of_one_mask_have_turns_of_their_own(world: World) -> None:
    """A registration for both directions is told of each, with a token that is its own. Row: N5b."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=2)
        ch.try_send(b"v")
        async with standing(world.uri, ch, 3) as peer:
            told = await notified(peer)
        assert sorted(told) == sorted([encode_notify(Readiness.RECV_READY, 1), encode_notify(Readiness.SEND_READY, 2)])

    world.run(main)


def test_closed_is_told_to_receivers_when_the_channel_is_drained(world: World) -> None:
    """CLOSED means, with RECV_READY in the mask: closed and drained. Rows: N5b, CH9."""

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED)
        ch.try_send(b"v")
        async with standing(world.uri, ch, 6) as peer:
            ch.close()
            assert await notified(peer) == [encode_notify(Readiness.RECV_READY, 1)]
            ch.try_recv()
            assert (await notified(peer))[1:] == [encode_notify(Readiness.CLOSED, 0)]

    world.run(main)


@pytest.mark.parametrize(("mask", "code"), [(0, WireCode.EINVAL), (8, WireCode.EINVAL), (255, WireCode.EINVAL)])
def test_a_mask_that_asks_for_nothing_known_is_refused(world: World, mask: int, code: WireCode) -> None:
    """The registration ends, and nothing else. Rows: N5b, W1."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with standing(world.uri, ch, 1) as peer:
            await peer.send(Command.SELECT_REGISTER, 1, 9, bytes(8) + bytes([mask]))
            await settle()
            await peer.pump()
            ((_, payload),) = [reply for reply in peer.replies() if reply[0] == 9]
            assert payload.startswith(encode_reply(code))
            assert peer.farewell() is None

    world.run(main)


def test_a_registration_needs_the_right_for_its_events(world: World) -> None:
    """EACCES for SEND_READY at a receiving half; the other way round it stands. Rows: N5b, X18."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with serve(world.uri, {"jobs": ch.receiver()}), dial(world.uri) as link:
            jobs: Any = await link.open("jobs")
            with pytest.raises(AccessDenied) as denied:
                await select(Send(jobs, b"v"))
            assert denied.value.index == 0
            with pytest.raises(DeadlineExceeded):
                await select(Recv(jobs), timeout=1)

    world.run(main)


def test_no_more_stand_on_a_handle_than_its_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clause too many is NoBuffers, with its index; the others stand. Rows: N5, W3."""
    monkeypatch.setattr(hints, "MAX_STANDING", 2)

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (_, link), tasks() as run:
            jobs: Any = await link.open("jobs")
            first = run.start(select, Recv(jobs), Recv(jobs))
            await settle()
            late = run.start(select, Recv(jobs))
            await settle()
            assert (late.outcome, late.error.index) == (NoBuffers, 0)  # type: ignore[union-attr]
            await ch.send(b"v")
            await settle()
            assert first.value.value == b"v"

    world.run(main)


# -- who gets it


def test_of_two_clients_that_race_for_one_element_one_wins(world: World) -> None:
    """Selects of two links for one element: one has it, the other waits on, and gets the next. Rows: N5, X1."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (_, one), dial(world.uri) as other, tasks() as run:
            calls = [run.start(select, Recv(await link.open("jobs"))) for link in (one, other) for _ in range(2)]
            await settle()
            for count in range(1, 5):
                await ch.send(b"%d" % count)
                await settle()
                assert sum(not call.waits for call in calls) == count
        assert sorted(call.value.value for call in calls) == [b"1", b"2", b"3", b"4"]
        assert untouched(ch)

    world.run(main)


@pytest.mark.parametrize("links", [1, 2, 3])
def test_many_clients_and_homes_lose_and_double_nothing(world: World, links: int) -> None:
    """Selects that send and selects that receive, over several links and two homes, with plain tasks between them.

    Rows: N5, X1, SE1.
    """
    rounds = 12

    async def main() -> None:
        a: Channel[bytes] = channel()
        b: Channel[bytes] = channel(BUFFERED, capacity=1)
        got: list[bytes] = []
        sent: list[bytes] = []

        async def give(who: int, link: Link) -> None:
            ra, rb = await link.open("a"), await link.open("b")
            for i in range(rounds):
                values = [b"%d.%d.%d" % (who, i, index) for index in range(2)]
                won = await select(Send(ra, values[0]), Send(rb, values[1]))
                sent.append(values[won.index])

        async def take(link: Link) -> None:
            selector = Selector(Recv(await link.open("a")), Recv(await link.open("b")))
            for _ in range(rounds - 3):
                won = await selector.wait()
                got.append(won.value)

        async with serve(world.uri, {"a": a, "b": b}), AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(dial(world.uri)) for _ in range(links)]
            async with tasks() as run:
                for who, link in enumerate(opened):
                    run.start(give, who, link)
                    run.start(take, link)
                for ch in (a, b):
                    run.start(collect, ch, got)
                while len(got) < rounds * links or len(sent) < rounds * links:
                    await sleep(1)
                run.cancel()
        assert sorted(got) == sorted(sent)
        assert untouched(a)
        assert untouched(b)

    world.run(main)


@pytest.mark.parametrize("mode", [BIASED, UNBIASED], ids=lambda mode: mode.name)
def test_what_is_ready_here_is_taken_before_any_home_is_asked(world: World, mode: Any) -> None:
    """A channel of this process, or ``After(0)`` as a default, leaves a ready clause of a home no chance. Row: N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=4)
        here: Channel[bytes] = channel(UNLIMITED)
        ch.try_send(b"remote")
        async with world.linked({"jobs": ch}) as (_, link):
            jobs: Any = await link.open("jobs")
            before = link.snapshot().frames_written
            for _ in range(10):
                here.try_send(b"local")
                assert (await select(Recv(jobs), Recv(here), mode=mode)).value == b"local"
                assert (await select(Recv(jobs), After(0), mode=mode)).index == 1
            assert link.snapshot().frames_written == before
            assert (await select(Recv(jobs), Recv(here), timeout=0, mode=mode)).value == b"remote"

    world.run(main)


def test_a_try_asks_each_home_in_the_order_of_the_mode(world: World) -> None:
    """``timeout=0`` is exact at each home; the lowest that is ready there wins. Rows: N5, SE4."""

    async def main() -> None:
        chs: list[Channel[bytes]] = [channel(BUFFERED, capacity=1) for _ in range(3)]
        async with world.linked({str(i): ch for i, ch in enumerate(chs)}) as (_, link):
            handles: list[Any] = [await link.open(str(i)) for i in range(3)]
            clauses = [Recv(handle) for handle in handles]
            with pytest.raises(WouldBlock):
                await select(*clauses, timeout=0)
            for ch in chs[1:]:
                ch.try_send(b"v")
            won = await select(*clauses, timeout=0)
            assert (won.index, won.value, [len(ch) for ch in chs]) == (1, b"v", [0, 0, 1])
            won = await select(Send(handles[2], b"w"), Send(handles[0], b"w"), timeout=0)
            assert (won.index, [len(ch) for ch in chs]) == (1, [1, 0, 1])
            assert all(untouched(ch) for ch in chs)

    world.run(main)


def test_try_select_tells_only_what_is_known_on_this_side(world: World) -> None:
    """A synchronous try never asks; a close of which this side has heard counts. Rows: N5, SE4."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        ch.try_send(b"v")
        async with world.linked({"jobs": ch}) as (_, link):
            jobs: Any = await link.open("jobs")
            with pytest.raises(WouldBlock):
                try_select(Recv(jobs))
            ch.close()
            await settle()
            with pytest.raises(ChannelClosed):
                try_select(Send(jobs, b"w"))
            assert len(ch) == 1

    world.run(main)


# -- what is refused


def test_an_element_that_cannot_travel_stays_and_the_select_says_why(world: World) -> None:
    """The home's element is no bytes: the select raises, the element is where it was. Rows: N5, N1b."""

    async def main() -> None:
        ch: Channel[Any] = channel(BUFFERED, capacity=1)
        ch.try_send("text")
        async with world.linked({"jobs": ch}) as (_, link):
            jobs: Any = await link.open("jobs")
            with pytest.raises(ValueError, match="carries bytes"):
                await select(Recv(jobs))
        assert ch.try_recv() == "text"

    world.run(main)


def test_what_can_be_known_to_fail_fails_before_anything_is_asked(world: World) -> None:
    """Too long, no bytes, detached: at once, and nothing stands at the home. Rows: N5, CH8."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (_, link):
            jobs: Any = await link.open("jobs")
            with pytest.raises(MessageTooLong) as too_long:
                await select(Send(jobs, bytes(jobs.max_message + 1)))
            assert too_long.value.index == 0
            with pytest.raises(TypeError):
                await select(Send(jobs, "text"))
            jobs.detach()
            with pytest.raises(ValueError, match="detached"):
                await select(Recv(jobs))
            await settle()
            assert untouched(ch)

    world.run(main)


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


# -- turns


def test_a_plain_receiver_waits_for_a_dead_clause_once(world: World) -> None:
    """A clause whose node never claims is passed over, then waited for, once, for one lapse. Rows: N5, CH11."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=8)
        async with standing(world.uri, ch, Readiness.RECV_READY), tasks() as run:
            for _ in range(PASSES + 2):
                ch.try_send(b"v")
            for _ in range(PASSES):
                ch.try_recv()
            with pytest.raises(WouldBlock):
                ch.try_recv()
            late = run.start(ch.recv)
            await sleep(LAPSE * 0.9)
            assert late.waits
            await sleep(LAPSE * 0.2)
            assert late.outcome == "done"
            ch.try_recv()
            for _ in range(10):
                ch.try_send(b"v")
                ch.try_recv()

    world.run(main)


def test_a_turn_that_lapses_goes_to_the_next(world: World) -> None:
    """The element that a dead clause was told of reaches the select behind it, one lapse later. Row: N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        async with standing(world.uri, ch, Readiness.RECV_READY) as dead, dial(world.uri) as link, tasks() as run:
            call = run.start(select, Recv(await link.open("jobs")))
            await settle()
            ch.try_send(b"v")
            await sleep(LAPSE * 0.9)
            assert call.waits
            await sleep(LAPSE * 0.2)
            assert call.value.value == b"v"
            ch.try_send(b"w")
            await sleep(10 * LAPSE)
            assert len(await notified(dead)) == 1  # not told again before its claim has come

    world.run(main)


@asynccontextmanager
async def beside(uri: str, mask: int, serial: int) -> AsyncIterator[RawPeer]:
    """One more peer that registers by hand at a server that is there already."""
    peer = RawPeer(uri)
    await peer.shake()
    await peer.send(Command.OPEN, 1, OPEN, encode_open(OpenRequest("jobs")))
    await peer.send(Command.SELECT_REGISTER, 1, STANDS, encode_register(serial, Readiness(mask)))
    await settle()
    yield peer
    peer.close()


def test_nobody_is_told_of_what_is_kept_for_somebody_else(world: World) -> None:
    """A claim for it would be denied, and told again, and denied, as long as it is kept. Rows: N5, X1."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1, overflow=DROP_OLDEST)
        both = Readiness.RECV_READY | Readiness.SEND_READY  # what it is told of to receive counts for nobody else
        async with standing(world.uri, ch, both) as dead, beside(world.uri, Readiness.RECV_READY, 2) as other:
            for _ in range(PASSES):
                ch.try_send(b"u")
                ch.try_recv()
            ch.try_send(b"v")
            assert encode_notify(Readiness.RECV_READY, 2) in await notified(dead)
            told = len(await notified(other))
            await other.send(Command.SELECT_CLAIM, 1, CLAIMS, encode_claim(STANDS, told, Readiness.RECV_READY))
            assert len(await notified(other)) == told
            await sleep(LAPSE)
            assert (await notified(other))[told:] == [encode_notify(Readiness.RECV_READY, told + 1)]

    world.run(main)


def test_nobody_is_told_of_whoever_waits_behind_a_kept_turn(world: World) -> None:
    """A sender may not overtake the clause that a receiver is kept for, so a claim could not meet it. Rows: N5, X1."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with standing(world.uri, ch, Readiness.SEND_READY) as dead, tasks() as run:
            receives = [run.start(ch.recv) for _ in range(PASSES + 1)]
            await settle()
            for _ in range(PASSES):
                ch.try_send(b"u")
            late = run.start(ch.send, b"v")
            await settle()
            assert late.waits
            async with beside(world.uri, Readiness.RECV_READY, 2) as other:
                assert await notified(other) == []
                await sleep(LAPSE)
                assert sorted(call.value for call in receives) == [b"u"] * PASSES + [b"v"]
                assert await notified(other) == []
                run.start(ch.send, b"w")
                assert await notified(other) == [encode_notify(Readiness.RECV_READY, 1)]
            assert len(await notified(dead)) == 1
            run.cancel()

    world.run(main)


def test_a_claim_behind_its_lapse_is_granted_if_something_is_there(world: World) -> None:
    """The token is not what decides, the state at arrival is; a turn that was used is told anew. Row: N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        ch.try_send(b"v")
        async with standing(world.uri, ch, Readiness.RECV_READY) as peer:
            await sleep(2 * LAPSE)
            ch.try_recv()
            await peer.send(Command.SELECT_CLAIM, 1, CLAIMS, encode_claim(STANDS, 1, Readiness.RECV_READY))
            await settle()
            await peer.pump()
            assert dict(peer.replies())[CLAIMS].startswith(encode_reply(WireCode.EAGAIN))
            ch.try_send(b"w")
            assert (await notified(peer))[-1] == encode_notify(Readiness.RECV_READY, 2)
            await sleep(2 * LAPSE)
            await peer.send(Command.SELECT_CLAIM, 1, CLAIMS + 1, encode_claim(STANDS, 2, Readiness.RECV_READY))
            await settle()
            await peer.pump()
            assert dict(peer.replies())[CLAIMS + 1] == encode_reply(WireCode.OK) + b"w"

    world.run(main)


def test_a_turn_that_lapsed_begins_anew_with_its_count_at_0(world: World) -> None:
    """Else a slow clause, told again behind its claim, would keep the next element at once, and so on. Row: N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=8)
        async with standing(world.uri, ch, Readiness.RECV_READY) as slow:
            for _ in range(PASSES + 1):
                ch.try_send(b"v")
            for _ in range(PASSES):
                ch.try_recv()
            await sleep(LAPSE * 1.1)
            ch.try_recv()
            await slow.send(Command.SELECT_CLAIM, 1, CLAIMS, encode_claim(STANDS, 1, Readiness.RECV_READY))
            await notified(slow)
            ch.try_send(b"w")
            assert (await notified(slow))[-1] == encode_notify(Readiness.RECV_READY, 2)
            assert ch.try_recv() == b"w"

    world.run(main)


def test_a_turn_that_lapsed_goes_to_the_tail(world: World) -> None:
    """Behind the clause that has waited shorter, and has not let its turn lapse. Row: N5."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        async with (
            standing(world.uri, ch, Readiness.RECV_READY) as slow,
            beside(world.uri, Readiness.RECV_READY, 2) as other,
        ):
            ch.try_send(b"v")
            await sleep(LAPSE * 1.1)
            assert len(await notified(slow)) == len(await notified(other)) == 1
            ch.try_recv()
            for peer in (slow, other):
                await peer.send(Command.SELECT_CLAIM, 1, CLAIMS, encode_claim(STANDS, 1, Readiness.RECV_READY))
                await notified(peer)
            ch.try_send(b"w")
            assert len(await notified(slow)) == 1
            assert (await notified(other))[-1] == encode_notify(Readiness.RECV_READY, 2)

    world.run(main)


# -- ends


@pytest.mark.parametrize("how", ["token", "deadline"])
@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_a_grant_that_is_late_wins_over_what_came_meanwhile(mem_world: World, how: str, sending: bool) -> None:
    """A claim is on its way when the select is cancelled, or its time is over: the grant counts. Rows: N5, SE4."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        token = CancelToken()
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                clause: Any = Send(jobs, b"v") if sending else Recv(jobs)
                call = run.start(select, clause, timeout=0.5 if how == "deadline" else None, cancel=token)
                await settle()
                line.stall(TO_DIALER)  # the answer will be late
                partner = run.start(ch.recv) if sending else run.start(ch.send, b"v")
                await settle()
                line.resume(TO_DIALER)
                line.stall(TO_DIALER)
                await sleep(0.6)
                token.trigger()
                await settle()
                assert call.waits
                line.resume(TO_DIALER)
                await settle()
        assert (call.outcome, partner.outcome) == ("done", "done")
        assert untouched(ch)

    mem_world.run(main)


@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_after_the_grace_a_claim_is_in_doubt(mem_world: World, monkeypatch: pytest.MonkeyPatch, sending: bool) -> None:
    """The home does not answer: the select ends as it was asked to, a send in doubt, and the element comes back.

    Rows: N5, N1.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED)
        token = CancelToken()
        with faults("world") as line:
            stall_answers_to_claims(monkeypatch, line)
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                if not sending:
                    ch.try_send(b"v")
                call = run.start(select, Send(jobs, b"v") if sending else Recv(jobs), cancel=token)
                await settle()
                assert call.waits
                token.trigger()
                await sleep(3)
                assert call.outcome is OperationCancelled
                assert isinstance(call.error, KcoroError)
                assert call.error.outcome is (Outcome.IN_DOUBT if sending else Outcome.NOT_DONE)
                line.resume(TO_DIALER)
                await settle()
                assert len(ch) == 1
        assert untouched(ch)

    mem_world.run(main)


def stall_answers_to_claims(monkeypatch: pytest.MonkeyPatch, line: Faults) -> None:
    """From the first claim that reaches its home on, nothing that the home says comes through."""
    judge = hints.Hints.on_claim

    def on_claim(self: Any, asked: Any) -> None:
        line.stall(TO_DIALER)
        judge(self, asked)

    monkeypatch.setattr(hints.Hints, "on_claim", on_claim)


def cuts() -> list[tuple[Direction, int]]:
    """Behind each of the first frames, in both directions."""
    return [(direction, frames) for direction in (TO_LISTENER, TO_DIALER) for frames in range(3, 9)]


@pytest.mark.parametrize(("direction", "frames"), cuts(), ids=str)
@pytest.mark.parametrize("rule", ["RAISE", "RETURN", "SKIP"])
@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_a_cut_anywhere_leaves_an_outcome_that_both_ends_agree_on(
    mem_world: World, direction: Direction, frames: int, rule: str, sending: bool
) -> None:
    """Done, not done, or in doubt; the element is with exactly one end, or reported once. Rows: N5, N6, SE5."""

    async def main() -> None:
        reports: list[tuple[object, Undelivered]] = []
        ch: Channel[bytes] = channel(UNLIMITED, on_undelivered=lambda value, why, of: reports.append((value, why)))
        other: Channel[bytes] = channel()
        with faults("world") as line:
            line.cut(direction, after_frames=frames)
            async with serve(mem_world.uri, {"jobs": ch}):
                call: Call | None = None
                async with tasks() as run:
                    try:
                        async with dial(mem_world.uri) as link:
                            jobs: Any = await link.open("jobs")
                            if not sending:
                                ch.try_send(b"v")
                            clause: Any = Send(jobs, b"v") if sending else Recv(jobs)
                            rules = {"RETURN": RETURN, "SKIP": SKIP}
                            extra = {"closed": rules[rule]} if rule in rules else {}
                            call = run.start(select, clause, Recv(other), timeout=5, **extra)
                            await sleep(10)
                    except LinkLost:
                        return  # the cut came before the handle was there
                await settle()
        assert call is not None
        agree(call, rule, sending, queued(ch), reports)
        assert untouched(ch)
        assert untouched(other)

    mem_world.run(main)


def agree(call: Call, rule: str, sending: bool, queued: list[bytes], reports: list[tuple[object, Undelivered]]) -> None:
    """What the selecting end says fits to what the home has."""
    error: Any = call.error if call.value is None else call.value.error
    assert isinstance(error, (LinkLost, DeadlineExceeded, type(None))), call
    if isinstance(error, LinkLost):
        assert rule == "RETURN" or call.value is None
        assert error.index == 0
    done = call.outcome == "done" and error is None
    here = len(queued) + len(reports)
    assert here <= 1
    if sending:
        doubt = error is not None and error.outcome is Outcome.IN_DOUBT
        assert here == done or doubt
        assert reports == []
    else:
        assert {why for _, why in reports} <= {Undelivered.IN_DOUBT}
        assert done or here == 1, "neither received nor at home"
        assert not (done and queued), "received, and at home as well"


@pytest.mark.parametrize("rule", ["RAISE", "RETURN", "SKIP"])
@pytest.mark.parametrize("claiming", [False, True], ids=["standing", "claiming"])
def test_a_lost_link_counts_as_closed_unless_an_element_is_in_doubt(
    mem_world: World, monkeypatch: pytest.MonkeyPatch, rule: str, claiming: bool
) -> None:
    """A clause that stands ends as its rule says; a claim with an element ends the select, also under SKIP.

    Rows: N5, N6, SE5.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED) if claiming else channel()
        other: Channel[bytes] = channel()
        with faults("world") as line:
            if claiming:
                stall_answers_to_claims(monkeypatch, line)
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                rules = {"RETURN": RETURN, "SKIP": SKIP}
                extra = {"closed": rules[rule]} if rule in rules else {}
                call = run.start(select, Send(jobs, b"v"), Recv(other), **extra)
                await settle()
                line.cut_now()
                await settle()
                if rule == "SKIP" and not claiming:
                    assert call.waits
                    other.try_send(b"w")
                    await settle()
                    assert (call.value.index, call.value.value) == (1, b"w")
                    return
                error: Any = call.value.error if rule == "RETURN" else call.error
                assert (type(error), error.index) == (LinkLost, 0)
                assert error.outcome is (Outcome.IN_DOUBT if claiming else Outcome.NOT_DONE)

    mem_world.run(main)


@pytest.mark.parametrize("who", ["server", "dialler"])
def test_a_goodbye_ends_a_select_like_a_close(world: World, who: str) -> None:
    """Whoever leaves: the clause is closed, at its index, and nothing was taken. Rows: N5, N6."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (server, link), tasks() as run:
            call = run.start(select, Recv(await link.open("jobs")))
            await settle()
            await (server.links[0] if who == "server" else link).aclose()
            await settle()
            assert (call.outcome, call.error.index) == (ChannelClosed, 0)  # type: ignore[union-attr]
            assert untouched(ch)

    world.run(main)


@pytest.mark.parametrize("claiming", [False, True], ids=["standing", "claiming"])
@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_a_handle_that_is_given_up_ends_its_clause(
    mem_world: World, monkeypatch: pytest.MonkeyPatch, claiming: bool, sending: bool
) -> None:
    """``detach`` during a select: its clause is closed, the element is with one end. Rows: N5, N1b."""

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED) if claiming else channel()
        with faults("world") as line:
            stall_answers_to_claims(monkeypatch, line)
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                if claiming and not sending:
                    ch.try_send(b"v")
                call = run.start(select, Send(jobs, b"v") if sending else Recv(jobs))
                await settle()
                assert call.waits
                jobs.detach()
                line.resume(TO_DIALER)
                await settle()
                assert not call.waits
                assert call.outcome in (ChannelClosed, "done")
                assert len(ch) == (claiming and (not sending or call.outcome == "done"))
                assert link.snapshot().requests_in_flight == 0
        assert untouched(ch)

    mem_world.run(main)


@pytest.mark.parametrize("first", [Recv, lambda end: Send(end, b"w")], ids=["recv", "send"])
def test_a_try_asks_nobody_over_a_handle_that_was_given_up_under_it(mem_world: World, first: Any) -> None:
    """``detach`` while a try has asked: what it would ask next over that handle is closed. Rows: N5, N1b, SE5."""

    async def main() -> None:
        jobs, other = channel(), channel(BUFFERED, capacity=1)
        other.try_send(b"v")
        with faults("world") as line:
            async with mem_world.linked({"jobs": jobs, "other": other}) as (_, link), tasks() as run:
                given, kept = await link.open("jobs"), await link.open("other")
                clauses = first(given), Send(given, b"w"), Recv(given), Recv(kept)
                line.stall(TO_DIALER)
                calls = [run.start(select, *clauses, timeout=0, closed=rule) for rule in (SKIP, RETURN)]
                await settle()
                given.detach()
                line.resume(TO_DIALER)
                await settle()
                assert (calls[0].value.index, calls[0].value.value) == (3, b"v")
                assert type(calls[1].value.error) is ChannelClosed
                assert calls[1].value.error.reason == "detached"
                assert link.snapshot().requests_in_flight == 0
        assert untouched(jobs)
        assert untouched(other)

    mem_world.run(main)


def test_closing_the_handle_of_a_clause_closes_the_clause(world: World) -> None:
    """``handle.close()`` during a select: closed at the home, so the clause raises. Rows: N5, CH9."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (_, link), tasks() as run:
            jobs: Any = await link.open("jobs")
            call = run.start(select, Recv(jobs))
            await settle()
            jobs.close("enough")
            await settle()
            assert (call.outcome, call.error.reason) == (ChannelClosed, "enough")  # type: ignore[union-attr]
            assert untouched(ch)

    world.run(main)


# -- who breaks the rules


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (encode_claim(STANDS, 1, Readiness.CLOSED), WireCode.EPROTO),
        (encode_claim(STANDS, 1, Readiness.RECV_READY) + b"x", WireCode.EPROTO),
        (b"short", WireCode.EPROTO),
    ],
    ids=["no event", "an element that is not wanted", "truncated"],
)
def test_a_claim_that_makes_no_sense_ends_that_link(world: World, payload: bytes, code: WireCode) -> None:
    """A named end; the channel is as it was. Rows: N5, W1."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        ch.try_send(b"v")
        async with standing(world.uri, ch, Readiness.RECV_READY) as peer:
            await peer.send(Command.SELECT_CLAIM, 1, CLAIMS, payload)
            await settle()
            await peer.pump()
            assert peer.farewell() is code
            await settle()
            assert untouched(ch)
        assert len(ch) == 1

    world.run(main)


@pytest.mark.parametrize("registration", [STANDS, OPEN, 77])
def test_a_claim_for_what_does_not_stand_is_denied(world: World, registration: int) -> None:
    """Unknown, over, or no registration at all, and the wrong direction: EAGAIN. Rows: N5, W1."""

    async def main() -> None:
        ch: Channel[bytes] = channel(BUFFERED, capacity=1)
        ch.try_send(b"v")
        async with standing(world.uri, ch, Readiness.SEND_READY) as peer:
            await peer.send(Command.SELECT_CLAIM, 1, CLAIMS, encode_claim(registration, 9, Readiness.RECV_READY))
            await settle()
            await peer.pump()
            assert dict(peer.replies())[CLAIMS].startswith(encode_reply(WireCode.EAGAIN))
            assert len(ch) == 1

    world.run(main)


def test_a_second_claim_of_a_registration_is_denied_while_one_is_held(world: World) -> None:
    """Whoever claims twice at once gets one answer for each, and never two elements. Rows: N5, W1."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with standing(world.uri, ch, Readiness.RECV_READY) as peer, dial(world.uri) as link, tasks() as run:
            jobs: Any = await link.open("jobs")
            run.start(select, Send(jobs, b"v"), Recv(jobs))
            await settle()
            for claim in (CLAIMS, CLAIMS + 1):
                await peer.send(Command.SELECT_CLAIM, 1, claim, encode_claim(STANDS, 1, Readiness.RECV_READY))
            await settle()
            await peer.pump()
            answers = dict(peer.replies())
            assert sum(answers.get(claim, b"").endswith(b"v") for claim in (CLAIMS, CLAIMS + 1)) <= 1
            assert peer.farewell() is None
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
