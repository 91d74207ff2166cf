# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Links over ``quic:`` on lines that lose datagrams: one channel's loss is not another's, and what waits is bounded."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.lowlevel

from kcoro_core import BUFFERED, channel, config, dial, serve
from kcoro_core.channel import Channel
from kcoro_core.errors import NoBuffers, WouldBlock
from kcoro_core.link.link import Link

from .lossy import Line, line_to, losing, nothing
from .quic_ends import CLIENT, SERVER


def anybody(*_: Any) -> bool:
    return True


@asynccontextmanager
async def linked(channels: int, capacity: int = 4) -> AsyncIterator[tuple[Line, Link, list[Channel[bytes]]]]:
    """A server with so many channels, and a link to it over a line."""
    homes = [channel(BUFFERED, capacity=capacity) for _ in range(channels)]
    export = {f"c{i}": home for i, home in enumerate(homes)}
    async with (
        serve("quic:", export, anybody, **SERVER) as server,
        line_to(server.uri) as line,
        dial(f"quic:127.0.0.1:{line.port}", **CLIENT) as link,
    ):
        with trio.fail_after(150):  # probes of a lossy line back off, each twice as long as the one before
            yield line, link, homes
        line.drop = nothing


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_on_one_channel_holds_up_no_other(seed: int) -> None:
    """What one channel has sent is lost on the line; what another one sends later is there first. Row: T2."""

    async def main() -> None:
        async with linked(2) as (line, link, (one, two)):
            remote_one, remote_two = await link.open("c0"), await link.open("c1")
            for _ in range(seed):  # wherever they stand in the life of the connection
                await remote_one.send(b"before")
                assert await one.recv() == b"before"
            async with trio.open_nursery() as nursery:
                line.drop = lambda to_server, size: to_server and size > 700
                nursery.start_soon(remote_one.send, bytes(1000))
                while not line.lost:
                    await trio.lowlevel.checkpoint()
                nursery.start_soon(remote_two.send, b"goes on")
                assert await two.recv() == b"goes on"
                with pytest.raises(WouldBlock):
                    one.try_recv()
                line.drop = nothing
                assert await one.recv() == bytes(1000)

    trio.run(main)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_on_a_line_that_loses(seed: int) -> None:
    """A tenth of all datagrams, both ways: each channel in its order, once. Row: T2."""

    async def main() -> None:
        async with linked(6) as (line, link, homes):
            line.drop = losing(0.1, seed)
            got: list[list[bytes]] = [[] for _ in homes]
            sent = [[os.urandom(n * 37 % 3000) for n in range(30)] for _ in homes]

            async def send(i: int) -> None:
                remote = await link.open(f"c{i}", lend=bool(i % 2))
                for element in sent[i]:
                    await remote.send(element)

            async def receive(i: int) -> None:
                for _ in sent[i]:
                    got[i].append(await homes[i].recv())

            async with trio.open_nursery() as nursery:
                for i in range(len(homes)):
                    nursery.start_soon(send, i)
                    nursery.start_soon(receive, i)
            assert got == sent
            assert line.lost > 5

    trio.run(main)


def test_our_credits_bound_what_a_receiver_holds() -> None:
    """The library lets a peer send on as bytes arrive; a home that nobody reads gets its budget only. Row: W3."""
    budget = 1 << 20
    refused = 0

    async def main() -> None:
        nonlocal refused
        async with linked(1) as (line, link, [_]):
            remote = await link.open("c0")
            async with trio.open_nursery() as nursery:

                async def send() -> None:
                    nonlocal refused
                    try:
                        await remote.send(bytes(65536))
                    except NoBuffers:
                        refused += 1

                for _ in range(100):
                    nursery.start_soon(send)
                await remote.info()  # answered behind everything that was sent
                assert line.to_server < budget + (1 << 18)
                nursery.cancel_scope.cancel()

    before = os.environ.get("KCORO_RECEIVE_BUDGET")
    os.environ["KCORO_RECEIVE_BUDGET"] = str(2 * budget)
    os.environ["KCORO_MAX_MESSAGE"] = "65536"
    config.reload()
    try:
        trio.run(main)
    finally:
        del os.environ["KCORO_MAX_MESSAGE"]
        if before is None:
            del os.environ["KCORO_RECEIVE_BUDGET"]
        config.reload()
    assert refused > 50
