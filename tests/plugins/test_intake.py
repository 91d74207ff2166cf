# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Adapters offer and never wait (row N9)."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import trio

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    UNLIMITED,
    Channel,
    WrongLoop,
    channel,
    run,
)
from kcoro_core.intake import Intake


@pytest.mark.parametrize("made", [{"kind": BUFFERED, "capacity": 4}, {"kind": UNLIMITED}, {"kind": RENDEZVOUS}])
def test_a_channel_that_makes_senders_wait_or_grows_is_no_intake(made: dict[str, Any]) -> None:
    """And the error names the policies that do. Row: N9."""
    with pytest.raises(ValueError, match="overflow=DROP_OLDEST or DROP_LATEST, or CONFLATED"):
        Intake(channel(**made))


def test_an_adapter_has_no_way_to_wait() -> None:
    """Row: N9."""
    public = [value for name, value in inspect.getmembers(Intake) if not name.startswith("_")]
    assert not any(inspect.iscoroutinefunction(value) for value in public)
    assert not any(name in dir(Intake) for name in ("send", "recv", "wait"))


@pytest.mark.parametrize(
    ("made", "left"),
    [
        ({"kind": BUFFERED, "capacity": 3, "overflow": DROP_OLDEST}, [7, 8, 9]),
        ({"kind": BUFFERED, "capacity": 3, "overflow": DROP_LATEST}, [0, 1, 2]),
        ({"kind": CONFLATED}, [9]),
    ],
)
def test_what_nobody_reads_is_dropped_by_the_policy_counted_and_reported(made: dict[str, Any], left: list[int]) -> None:
    """Row: N9."""
    reported: list[int] = []

    async def main() -> None:
        ch: Channel[int] = channel(**made, on_undelivered=lambda value, *_: reported.append(value))
        intake = Intake(ch)
        assert all(intake.offer(n) for n in range(10))
        assert intake.dropped == 10 - len(left)
        ch.close()
        assert not intake.offer(10)
        assert [n async for n in ch] == left

    run(main)
    assert sorted(reported + left) == list(range(10))


def test_another_thread_is_told_to_use_a_portal() -> None:
    """Row: N9."""

    async def main() -> None:
        ch: Channel[int] = channel(BUFFERED, capacity=1, overflow=DROP_OLDEST)
        intake = Intake(ch)
        intake.offer(1)
        await ch.recv()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ch.recv)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(WrongLoop):
                await trio.to_thread.run_sync(intake.offer, 2)
            intake.offer(3)

    run(main)
