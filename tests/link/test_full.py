# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A server that is full, and one whose news nobody reads: who gets in, and what is kept. Rows: W3, X3."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import UNLIMITED, channel, dial, serve, sleep
from kcoro_core.hosts.port import current_host
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.frame import Frame, encode_header
from kcoro_core.wire.messages import FOREVER_MS, OpenRequest, encode_open, encode_timeout

from .raw import RawPeer
from .world import World, settle, tasks

Setting = Callable[[str, str], Any]

OPEN = encode_open(OpenRequest("jobs"))
FOREVER = encode_timeout(FOREVER_MS)


async def silent(uri: str, count: int) -> list[RawPeer]:
    """Peers that connect and never say a word."""
    peers = [RawPeer(uri) for _ in range(count)]
    for peer in peers:
        await peer.pump()
    return peers


def test_silent_peers_hold_no_place_for_long(world: World, setting: Setting) -> None:
    """With max_links half-made links, the next peer gets in after a tenth of hello_timeout, not after all. Row: W3."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}, max_links=4) as server:
            began = current_host().now()
            peers = await silent(world.uri, 4)
            async with dial(world.uri) as link:
                assert 0.9 < current_host().now() - began < 1.2
                jobs = await link.open("jobs")
                await jobs.send(b"fine")
                assert len(server.links) == 1
                assert len(server._links) == 4
                for peer in peers:
                    await peer.pump()
                assert [peer.farewell() for peer in peers] == [WireCode.ENOBUFS, None, None, None]
                for peer in peers:
                    peer.close()

    with setting("hello_timeout", "10"):
        world.run(main)


def test_a_flood_of_silent_peers_delays_a_good_one_by_its_turn_only(world: World, setting: Setting) -> None:
    """A queue of silent peers in front is worked off one by one, each in its patience. Rows: W3, X3."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}, max_links=2) as server:
            began = current_host().now()
            peers = await silent(world.uri, 12)
            async with dial(world.uri) as link:
                assert current_host().now() - began < 7
                assert (await link.open("jobs")).can_send
            assert len(server._links) <= 2
            for peer in peers:
                peer.close()

    with setting("hello_timeout", "10"):
        world.run(main)


def test_who_has_shaken_hands_is_never_put_out(world: World, setting: Setting) -> None:
    """A full server of idle links stays theirs: the next one waits until one has ended. Row: W3."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}, max_links=2) as server:
            async with dial(world.uri) as first, tasks() as some:

                async def late() -> None:
                    async with dial(world.uri) as link:
                        assert (await link.open("jobs")).can_send

                async with dial(world.uri) as second:
                    call = some.start(late)
                    await sleep(4)
                    assert call.outcome == "waits"
                    assert (await second.open("jobs")).can_send
                await settle()
                assert (await first.open("jobs")).can_send
                assert call.outcome == "done"
            assert len(server._links) <= 2

    with setting("hello_timeout", "10"):
        world.run(main)


# -- what is kept of links that are over


async def leave_much(peer: RawPeer, elements: int, announced: int) -> None:
    """Shake hands, leave elements under way, requests parked and half a frame unread, and hang up.

    The frame has so many bytes ``announced``, which may be more than a frame may have.
    """
    await peer.shake()
    await peer.send(Command.OPEN, 1, 1, OPEN)
    for number in range(2, 2 + elements):
        await peer.send_raw(Frame(Command.RECV, 0, 1, number, number - 1, (FOREVER,)))
    half = encode_header(announced, Command.SEND, 0, 1, 9999, elements + 1) + FOREVER + bytes(60_000)
    if hasattr(peer.conn, "sock"):
        peer.conn.sock.send(half)
    await peer.pump()
    peer.close()
    await settle()


@pytest.mark.parametrize("announced", [65_000, 500_000])
@pytest.mark.parametrize("name", ["mem-trio", "uds-trio"])  # the script host keeps a trace, which grows
def test_news_that_nobody_reads_keep_next_to_nothing(name: str, announced: int, tmp_path: Path) -> None:
    """Links that are over stay in unread news: each keeps a few KiB, whatever its peer had left. Row: X3."""
    links, elements = 20, 20
    tmp_path.chmod(0o700)
    world = World(name, tmp_path)

    async def main() -> None:
        jobs = channel(UNLIMITED)
        async with serve(world.uri, {"jobs": jobs}) as server:

            async def come_and_go(count: int) -> None:
                for _ in range(count):
                    for _ in range(elements):
                        jobs.try_send(b"x" * 5000)
                    await leave_much(RawPeer(world.uri), elements, announced)
                    assert len(jobs) == 0  # all were under way, and are in doubt
                gc.collect()

            await come_and_go(3)
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            await come_and_go(links)
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(server._news) == 2 * (links + 3)
            assert (after - before) / links < 32_000

    world.run(main)
