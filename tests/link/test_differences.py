# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What differs at home while slots are lent: D1, D3 and D4 of the manual, and what is exact instead. Row: N4.

D2 is ``test_a_try_at_home_cannot_ask_and_begins_to`` of ``test_lending.py``. Both ends are in one process, so that
"the element is on its way" lasts exactly until the test gives others a turn.
"""

from __future__ import annotations

from typing import Any

import pytest

from kcoro_core import BUFFERED, CONFLATED, ChannelClosed, WouldBlock, channel

from .world import World, settle


def test_a_try_to_receive_at_home_knows_nothing_of_what_is_on_its_way(world: World) -> None:
    """D1: the send has completed, ``try_recv`` is WouldBlock, ``recv(timeout=0)`` asks and has it. Row: N4."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", lend=True)
            await settle()
            jobs.try_send(b"1")
            with pytest.raises(WouldBlock):
                ch.try_recv()
            assert await ch.recv(timeout=0) == b"1"

    world.run(main)


@pytest.mark.parametrize("form", ["try", "timeout", "wait"])
def test_a_conflated_channel_may_give_the_value_before(world: World, form: str) -> None:
    """D1: a newer one has been sent and is on its way; it is received next, and nothing is lost. Rows: N4, CH3."""

    async def main() -> None:
        ch = channel(CONFLATED)
        async with world.linked({"news": ch}) as (_, link):
            news = await link.open("news", lend=True)
            await news.send(b"old")
            await settle()
            news.try_send(b"new")
            got = ch.try_recv() if form == "try" else await ch.recv(timeout=0 if form == "timeout" else None)
            assert got == b"old"
            assert await ch.recv(timeout=0) == b"new"

    world.run(main)


@pytest.mark.parametrize("sent", [True, False], ids=["with an element on its way", "with nothing on its way"])
def test_a_try_to_receive_behind_a_close_waits_for_the_slots(world: World, sent: bool) -> None:
    """D3: WouldBlock until they are back; ``recv(timeout=0)`` has the element, or ChannelClosed. Rows: N4, CH9."""

    async def main() -> None:
        for exact in (False, True):
            ch = channel(BUFFERED, 4)
            async with world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs", lend=True)
                await settle()
                if sent:
                    jobs.try_send(b"1")
                ch.close("enough")
                if not exact:
                    with pytest.raises(WouldBlock):
                        ch.try_recv()
                    await settle()

                async def take(ch: Any = ch, exact: bool = exact) -> Any:
                    return await ch.recv(timeout=0) if exact else ch.try_recv()

                if sent:
                    assert await take() == b"1"
                with pytest.raises(ChannelClosed, match="enough"):
                    await take()

    world.run(main)


def test_a_send_over_the_link_may_complete_behind_a_close_at_home(world: World) -> None:
    """D4: its side has not heard of it; the element is received in front of the close, and no more follow. Row: N4."""

    async def main() -> None:
        for form in ("send", "try"):
            ch = channel(BUFFERED, 4)
            async with world.linked({"jobs": ch}) as (_, link):
                jobs = await link.open("jobs", lend=True)
                await settle()
                ch.close("enough")
                if form == "send":
                    await jobs.send(b"late")
                else:
                    jobs.try_send(b"late")
                await settle()
                with pytest.raises(ChannelClosed, match="enough"):
                    await jobs.send(b"later")
                assert await ch.recv() == b"late"
                with pytest.raises(ChannelClosed, match="enough"):
                    await ch.recv()
                assert ch.snapshot().received == ch.snapshot().sent == 1

    world.run(main)
