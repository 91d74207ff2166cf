# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Channels that share one link: none can stop another, however they depend on each other. Rows: N3, W3."""

from __future__ import annotations

import pytest

from kcoro_core import BUFFERED, RENDEZVOUS, channel

from .world import World, settle, tasks

LONG = 300_000  # more than the medium holds, and many turns


@pytest.mark.parametrize("lend", [False, True])
def test_a_consumer_may_insist_on_one_channel_while_another_is_full(world: World, lend: bool) -> None:
    """A hash join: all of B is read before anything of A, and A has many times what it holds. Rows: N3, N4."""

    async def main() -> None:
        first, second = channel(BUFFERED, 2), channel(BUFFERED, 2)
        async with world.linked({"a": first, "b": second}) as (_, link):
            one, other = await link.open("a", lend=lend), await link.open("b", lend=lend)
            async with tasks() as some:
                for number in range(12):
                    some.start(one.send, bytes([number]) * LONG)
                for number in range(12):
                    some.start(other.send, bytes([number]) * LONG)
                await settle()
                got = [(await second.recv())[0] for _ in range(12)]
                got += [(await first.recv())[0] for _ in range(12)]
        assert sorted(got[:12]) == sorted(got[12:]) == list(range(12))

    world.run(main)


def test_both_sides_may_be_full_at_once(world: World) -> None:
    """Each side sends 6 MB to the other at once: both go on reading while they cannot write. Row: N1."""

    async def main() -> None:
        here, there = channel(BUFFERED, 1), channel(BUFFERED, 1)
        async with world.linked({"here": here, "there": there}) as (_, link):
            out, back = await link.open("here"), await link.open("there")
            async with tasks() as some:
                calls = [some.start(out.send, bytes(LONG)) for _ in range(20)]
                for _ in range(20):
                    some.start(there.send, bytes(LONG))
                takes = [some.start(back.recv) for _ in range(20)]
                await settle()
                for _ in range(20):
                    assert len(await here.recv()) == LONG
            assert all(call.outcome == "done" for call in (*calls, *takes))

    world.run(main)


def test_a_small_message_passes_a_long_one_that_has_begun(world: World) -> None:
    """It arrives before messages that were sent on another channel before it, and are not through yet. Row: N3."""

    async def main() -> None:
        bulk, small = channel(BUFFERED, 64), channel(RENDEZVOUS)
        async with world.linked({"bulk": bulk, "small": small}) as (_, link):
            large, little = await link.open("bulk"), await link.open("small")
            async with tasks() as some:
                for _ in range(6):
                    some.start(large.send, bytes(1 << 20))
                some.start(little.send, b"now")
                assert await small.recv() == b"now"
                arrived = len(bulk)
                for _ in range(6):
                    await bulk.recv()
            assert arrived == 0

    world.run(main)
