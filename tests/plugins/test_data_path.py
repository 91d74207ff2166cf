# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""No hook is called where data flows: a profile of a busy path shows no frame of pluggy (row H2)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import trio

import kcoro_core
from kcoro_core import BUFFERED, dial, plugins, serve
from kcoro_core.testing.transport_kit import Bench
from kcoro_core.testing.transport_kit.bench import numbered


def calls_of_pluggy(busy: Callable[[], object]) -> tuple[int, int]:
    """How many Python functions of pluggy, and how many in all, were called while ``busy`` ran."""
    counts = [0, 0]

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            counts[0] += frame.f_globals.get("__name__", "").startswith("pluggy")
            counts[1] += 1

    sys.setprofile(profile)
    try:
        busy()
    finally:
        sys.setprofile(None)
    return counts[0], counts[1]


def test_the_profile_sees_a_hook_when_there_is_one() -> None:
    """Otherwise the tests below could not fail."""
    plugins.reset()
    assert calls_of_pluggy(plugins.reports)[0] > 0


@pytest.mark.parametrize("scheme", ["mem", "uds"])
def test_frames_move_without_a_hook(scheme: str) -> None:
    """Connecting included: the functions were resolved when the plugin was loaded. Row: H2."""
    vtable = plugins.transport(scheme)

    def busy() -> None:
        with Bench(vtable, scheme, {}) as bench:
            near, far = bench.pair()
            for _ in range(20):
                bench.send_all(near, numbered(50, 64), far)
                bench.receive(far, 50, near)

    hooks, calls = calls_of_pluggy(busy)
    assert calls > 1000
    assert hooks == 0


def test_elements_move_through_a_channel_without_a_hook() -> None:
    """Making the channel included, once the engine has been found. Row: H2."""
    plugins.engine()

    async def main() -> None:
        ch = kcoro_core.channel(BUFFERED, capacity=8)
        for i in range(2000):
            await ch.send(i)
            assert await ch.recv() == i

    hooks, calls = calls_of_pluggy(lambda: kcoro_core.run(main))
    assert calls > 4000
    # run(host=...) asks for the host by one hook, before any task exists.
    assert hooks < 50


@pytest.mark.parametrize("scheme", ["mem", "uds"])
def test_elements_move_over_a_link_without_a_hook(scheme: str) -> None:
    """Dialling, serving and opening included. Row: H2."""
    plugins.reports()

    async def main() -> None:
        ch = kcoro_core.channel(BUFFERED, capacity=8)
        async with serve(f"{scheme}:", export={"jobs": ch}) as server, dial(server.uri) as link:
            remote = await link.open("jobs")
            for i in range(100):
                await remote.send(b"%d" % i)
                assert await ch.recv() == b"%d" % i

    hooks, calls = calls_of_pluggy(lambda: trio.run(main))
    assert calls > 4000
    assert hooks == 0
