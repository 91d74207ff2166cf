# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What broke other systems, tried here; ``docs/PITFALLS.md`` says which test answers which. Rows: N1, N4, N6, X3."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

from kcoro_core import BUFFERED, UNLIMITED, channel, dial, serve
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.messages import OpenRequest, encode_open

from .raw import RawPeer
from .world import World, settle, tasks

Setting = Callable[[str, str], Any]

PATIENCE = 600  # seconds of virtual time; what takes longer hangs


def test_thousands_of_idle_connections_do_not_ask_in_the_same_second() -> None:
    """Signs of life of 2,000 connections made at once are spread over 12 of 30 seconds, and each is enough. Row: N6."""
    chance = random.Random(3)
    pairs = []
    for number in range(2000):
        nonces = chance.randbytes(8), chance.randbytes(8)
        ends = [Connection(side, b"%016d" % (number + 1), nonce) for side, nonce in zip(Side, nonces, strict=True)]
        for end in ends:
            end.start(0.0)
        exchange(ends)
        pairs.append(ends)
    due = Counter(int(end.next_deadline() or 0) for ends in pairs for end in ends)
    assert min(due) >= 23
    assert max(due) <= 36
    assert max(due.values()) < 2 * 4000 / 12
    for ends in pairs[:50]:
        for now in range(200):
            for end in ends:
                end.handle_timeout(float(now))
            exchange(ends, float(now))
        assert [end.report for end in ends] == [None, None]


def exchange(ends: list[Connection], now: float = 0.0) -> None:
    """Frames cross until none is left."""
    while any(end.has_frames() for end in ends):
        for here, there in (ends, ends[::-1]):
            while (frame := here.poll_transmit()) is not None:
                here.mark_written()
                there.receive_frame(frame, now)


@pytest.mark.parametrize("lend", [False, True])
def test_who_insists_on_one_channel_while_the_other_is_full_gets_it(world: World, lend: bool) -> None:
    """A hash join: all of B is wanted before anything of A, over one link, and A is full. Rows: N1, N4."""
    count = 300

    async def main() -> None:
        a, b = channel(BUFFERED, 4), channel(BUFFERED, 4)
        async with world.linked({"a": a, "b": b}) as (_, link):
            ways = [await link.open(name, lend=lend) for name in ("a", "b")]
            async with tasks() as some:

                async def send(way: Any) -> None:
                    for number in range(count):
                        await way.send(b"%d" % number + b"." * 2000)

                for way in ways:
                    some.start(send, way)
                with trio.fail_after(PATIENCE) if world.host == "trio" else _nothing():
                    for source in (b, a):
                        for number in range(count):
                            assert (await source.recv()).split(b".")[0] == b"%d" % number

    world.run(main)


class _nothing:  # noqa: N801 - a context manager that is used like a function
    def __enter__(self) -> None: ...

    def __exit__(self, *exc_info: object) -> None: ...


@pytest.mark.parametrize("window", [1, 2, 7, 1000])
def test_any_window_carries_a_stream(world: World, window: int) -> None:
    """Lent slots 1, 2, 7 and many: all arrives in order, and nobody waits for ever. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, window)
        async with world.linked({"ch": ch}) as (_, link):
            way = await link.open("ch", lend=True)
            async with tasks() as some:

                async def send() -> None:
                    for number in range(500):
                        await way.send(b"%d" % number)

                some.start(send)
                assert [await ch.recv() for _ in range(500)] == [b"%d" % number for number in range(500)]

    world.run(main)


@pytest.mark.parametrize("opens", [200, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_handles_that_leave_data_unread_give_back_what_they_were_granted(mem_world: World, opens: int) -> None:
    """Opened with slots, sent to, given up unread, again and again: then a stream goes at full rate. Rows: N4, X3."""

    async def main() -> None:
        left, good = channel(BUFFERED, 3), channel(BUFFERED, 64)
        async with mem_world.linked({"left": left, "good": good}) as (server, link):
            for number in range(opens):
                handle = await link.open("left", lend=True)
                assert handle.try_send(b"x" * 1000) is None
                if number % 2:
                    handle.try_send(b"y" * 1000)
                handle.detach()
                await settle()
                while len(left):
                    left.try_recv()
            home = server.links[0].wire
            assert home._lender.budget.promised == 0
            assert link.snapshot().requests_in_flight == 0
            way = await link.open("good", lend=True)
            before = link.snapshot().frames_read
            async with tasks() as some:

                async def send() -> None:
                    for _ in range(2000):
                        await way.send(b"z" * 1000)

                some.start(send)
                for _ in range(2000):
                    await good.recv()
            assert link.snapshot().frames_read - before < 1000  # grants, and few answers: most went without asking

    mem_world.run(main)


def test_a_flood_of_empty_frames_leaves_others_their_turns(mem_world: World) -> None:
    """While one peer floods with frames that mean nothing, the calls of another go on. Row: N1."""

    async def main() -> None:
        async with serve(mem_world.uri, {"jobs": channel(UNLIMITED)}):
            peer = RawPeer(mem_world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, encode_open(OpenRequest("jobs")))
            async with dial(mem_world.uri) as link, tasks() as some:

                async def flood() -> None:
                    while True:
                        for _ in range(50):
                            peer.vtable.send_frame(peer.conn, *ignorable(peer), 0)
                        await trio.lowlevel.checkpoint()

                some.start(flood)
                jobs = await link.open("jobs")
                for number in range(50):
                    await jobs.send(b"%d" % number)
                    assert await jobs.recv() == b"%d" % number
                some.cancel()
            peer.close()

    mem_world.run(main)


def ignorable(peer: RawPeer) -> tuple[bytes, tuple[bytes, ...]]:
    """The next frame that a newer peer may send and an older one ignores."""
    from kcoro_core.wire.frame import Frame

    frame = Frame(0x8001, 0, 0, 0, peer.seq[0], ())
    peer.seq[0] += 1
    return frame.header, frame.parts
