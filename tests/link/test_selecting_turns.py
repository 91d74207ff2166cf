# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Turns of those who stand at a channel: whom its home tells, for how long, and what comes behind (rows N5, N5b)."""

from __future__ import annotations

import pytest

from kcoro_core import (
    BUFFERED,
    DROP_OLDEST,
    Channel,
    Recv,
    WouldBlock,
    channel,
    dial,
    select,
    sleep,
)
from kcoro_core.link.desk import PASSES
from kcoro_core.link.hints import LAPSE
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.messages import encode_reply
from kcoro_core.wire.remote_select import Readiness, encode_claim, encode_notify

from .standing import CLAIMS, STANDS, beside, notified, standing
from .world import World, settle, tasks


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
