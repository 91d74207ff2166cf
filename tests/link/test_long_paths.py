# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a stream against lent slots makes of a path of 50 ms: exact, in virtual time over the simulated line. Row: N4.

A window that is fixed caps the rate at a window for each round trip, however wide the path is.
"""

from __future__ import annotations

from typing import Any

import pytest

from kcoro_core import BUFFERED, UNLIMITED, CancelToken, Channel, OperationCancelled, channel, dial, open_scope, serve
from kcoro_core.hosts.script import ScriptHost
from kcoro_core.run import sleep
from kcoro_core.testing.laws.links import using_setting
from kcoro_core.transport import COMMIT_BYTES

ROUND_TRIP = 0.05
SETTLED, MEASURED = 2.0, 2.0  # seconds


def used(ch: Channel[bytes], size: int, bandwidth: int) -> float:
    """Which part of the bandwidth elements of this size make use of, frames' headers not counted."""
    arrived = 0
    stop = CancelToken()

    async def send(way: Any) -> None:
        try:
            while True:
                await way.send(bytes(size), cancel=stop)
        except OperationCancelled:
            return

    async def take() -> None:
        nonlocal arrived
        try:
            while True:
                arrived += len(await ch.recv(cancel=stop))
        except OperationCancelled:
            return

    async def main() -> float:
        uri = f"sim:long?latency={ROUND_TRIP / 2}s&bandwidth={bandwidth}"
        async with serve(uri, {"ch": ch}, authorize=lambda *_: True) as server, dial(server.uri) as link:
            way = await link.open("ch", lend=True)
            async with open_scope() as scope:
                scope.launch(take)
                scope.launch(send, way)
                await sleep(SETTLED)
                before = arrived
                await sleep(MEASURED)
                found = (arrived - before) / MEASURED / bandwidth
                stop.trigger()
        return found

    return float(ScriptHost(seed=1).run(main))


def slots(size: int, bandwidth: int) -> int:
    """The capacity that the manual names: four times what is on the path and with the medium."""
    return int(4 * (bandwidth * ROUND_TRIP + COMMIT_BYTES) / size)


@pytest.mark.parametrize(("size", "bandwidth"), [(1000, 2_000_000), (4000, 4_000_000), (16_384, 10_000_000)])
def test_a_path_of_50_ms_is_used_to_four_fifths(size: int, bandwidth: int) -> None:
    """With slots for four times what is on the way, and the settings as they are. Row: N4."""
    assert used(channel(BUFFERED, slots(size, bandwidth)), size, bandwidth) >= 0.8


@pytest.mark.parametrize(("size", "bandwidth"), [(4000, 4_000_000), (16_384, 10_000_000)])
def test_a_channel_without_a_bound_uses_such_a_path_whatever_its_width(size: int, bandwidth: int) -> None:
    """Its window is of bytes alone. Row: N4."""
    assert used(channel(UNLIMITED), size, bandwidth) >= 0.85


def test_a_window_that_cannot_grow_would_not() -> None:
    """64 KiB for each handle, which a small budget leaves: what the growth is for. Row: N4."""
    with using_setting("receive_budget", str(4 * 65_536)), using_setting("max_message", "16384"):
        assert used(channel(UNLIMITED), 4000, 4_000_000) < 0.4
