# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select over handles, where the laws of select do not look: masks, who gets it, what is refused (rows N5, N5b)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from kcoro_core import (
    BIASED,
    BUFFERED,
    UNBIASED,
    UNLIMITED,
    AccessDenied,
    After,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    Link,
    MessageTooLong,
    NoBuffers,
    Recv,
    Selector,
    Send,
    WouldBlock,
    channel,
    dial,
    select,
    serve,
    sleep,
    try_select,
)
from kcoro_core.link import hints
from kcoro_core.testing.laws.harness import collect
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.messages import encode_reply
from kcoro_core.wire.remote_select import Readiness, encode_claim, encode_notify

from .standing import CLAIMS, OPEN, STANDS, notified, standing, untouched
from .world import World, settle, tasks

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
