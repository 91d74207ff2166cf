# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clock of laws over media that carry bytes by themselves: it jumps, and never over what is under way.

Row: N1b.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import pytest
import trio

from kcoro_core import plugins
from kcoro_core.testing.laws import crossing
from kcoro_core.testing.laws.crossing import CrossingClock, Traffic
from kcoro_core.testing.transport_kit.bench import LIMIT, header

HOUR = 3600.0
ECHO = "import sys; sys.stdout.write(sys.stdin.readline())"


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


def elapsed(main: Callable[[], Awaitable[Any]], traffic: Traffic) -> float:
    """Virtual seconds that it takes."""
    clock = CrossingClock(traffic)
    trio.run(main, clock=clock)
    return clock.current_time()


def begun(traffic: Traffic) -> Any:
    """A connection that has begun, and is counted."""
    with traffic.counted():
        vtable = plugins.transport("mem:")
        listener = vtable.listen("mem:", {})
        return vtable, listener, vtable.connect(vtable.local_uri(listener), {})


async def sleep_for_hours() -> None:
    for _ in range(10):
        await trio.sleep(HOUR)


def test_hours_cost_nothing_when_nothing_is_under_way(traffic: Traffic) -> None:
    assert elapsed(sleep_for_hours, traffic) == 10 * HOUR  # or the test has run out of time


def test_from_a_connection_that_has_begun_to_the_last_frame_something_is_under_way(traffic: Traffic) -> None:
    vtable, listener, near = begun(traffic)
    assert traffic.under_way
    assert vtable.send_frame(near, header(4), [b"data"], 0)
    assert traffic.under_way
    far = vtable.accept(listener)
    vtable.pump(near, 0.0, 0)
    assert vtable.recv_frame(far, LIMIT) is not None
    assert not traffic.under_way
    assert vtable.recv_frame(far, LIMIT) is None
    assert not traffic.under_way
    vtable.abort(near)
    vtable.close(listener)


def test_the_clock_waits_for_what_a_process_in_between_has_to_do(traffic: Traffic) -> None:
    """It starts an interpreter meanwhile, and an hour is not over before that."""
    begun(traffic)
    came: list[bytes] = []
    command = [sys.executable, "-I", "-S", "-c", ECHO]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"through another process\n")
        child.stdin.close()
        answer = child.stdout.fileno()

        async def main() -> None:
            with trio.move_on_after(HOUR):
                await trio.lowlevel.wait_readable(answer)
                came.append(os.read(answer, 100))

        virtual = elapsed(main, traffic)
    assert came == [b"through another process\n"]
    assert virtual == 0.0


def test_what_has_not_come_in_a_long_time_is_lost(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: what was lost holds up nothing that follows."""
    monkeypatch.setattr(crossing, "LOST_SECONDS", 0.5)
    begun(traffic)
    given_up: list[bool] = []
    forget = traffic.forget

    def watched() -> None:
        given_up.append(traffic.under_way)
        forget()

    monkeypatch.setattr(traffic, "forget", watched)
    began = perf_counter()
    assert elapsed(sleep_for_hours, traffic) == 10 * HOUR
    assert perf_counter() - began >= 0.5
    assert given_up == [True] + [False] * 9


def test_whoever_works_holds_the_clock(traffic: Traffic) -> None:
    """A task that goes on and on lets no time pass."""

    async def main() -> None:
        with trio.move_on_after(HOUR):
            for _ in range(1000):
                await trio.lowlevel.checkpoint()

    assert elapsed(main, traffic) == 0.0
