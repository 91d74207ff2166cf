# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How many functions of ours a message goes through: what a clock on a busy machine would not show, and a count does.

The bounds are a tenth above what was counted when they were set. Whoever has a reason to go beyond raises them, and
says in bench/README.md what it costs.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio

import kcoro_core
from kcoro_core import BUFFERED, Channel, channel

TIMES = 100
OURS = ("/kcoro_core/", "/kcoro_transport_uds/")


async def functions(work: Callable[[], Awaitable[object]]) -> float:
    """Calls of functions of ours, coroutines that go on included, for each time that ``work`` is done."""
    count = 0

    def saw(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and any(folder in frame.f_code.co_filename for folder in OURS)

    for _ in range(20):
        await work()
    sys.setprofile(saw)
    try:
        for _ in range(TIMES):
            await work()
    finally:
        sys.setprofile(None)
    return count / TIMES


async def sent(tmp_path: Path, burst: int, lend: bool) -> float:
    """Functions for each element that goes over a Unix socket to a channel of the same process, and is received."""
    jobs: Channel[bytes] = channel(BUFFERED, capacity=1024)
    address = f"uds:{tmp_path / 'link'}"
    async with kcoro_core.serve(address, {"jobs": jobs}), kcoro_core.dial(address) as link:
        handle = await link.open("jobs", lend=lend)

        async def once() -> None:
            for _ in range(burst):
                await handle.send(b"element")
            for _ in range(burst):
                assert await jobs.recv() == b"element"

        return await functions(once) / burst


@pytest.mark.parametrize(("burst", "lend", "most"), [(1, False, 115), (100, True, 135)], ids=["asked", "lent"])
def test_an_element_goes_through_so_many_functions(tmp_path: Path, burst: int, lend: bool, most: int) -> None:
    """Both ends together, from the call of send to the element at its home. Row: N1."""
    found = trio.run(sent, tmp_path, burst, lend)
    assert 0.7 * most < found <= most, f"{found} functions for each element"
