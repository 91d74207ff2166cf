# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What becomes of elements when their channel, their run or the interpreter ends (rows CH6, CH4)."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import pytest
import trio

import kcoro_core
from kcoro_core import BUFFERED, UNLIMITED, Undelivered, channel

PROGRAM = Path(__file__).with_name("exit_program.py")


@pytest.mark.parametrize("how", ["end", "raise"])
def test_an_interpreter_that_ends_reports_what_is_queued(how: str) -> None:
    """Once each, the oldest first, with DESTROYED; a hook that fails stops no other and no exit code. Row: CH6."""
    done = subprocess.run([sys.executable, PROGRAM, how], capture_output=True, text=True, timeout=50)
    lines = [tuple(line.split("|")) for line in done.stdout.splitlines()]
    assert [line for line in lines if line[0] == "kept"] == [("kept", "1", "DESTROYED"), ("kept", "2", "DESTROYED")]
    assert [line for line in lines if line[0] == "newest"] == [
        ("newest", "0", "CONFLATED"),
        ("newest", "1", "CONFLATED"),
        ("newest", "2", "DESTROYED"),
    ]
    assert [line for line in lines if line[0] == "failing"] == [
        ("failing", "one", "DESTROYED"),
        ("failing", "two", "DESTROYED"),
    ]
    assert [line[2] for line in lines if line[0] == "cycle"] == ["DESTROYED"]
    assert len(lines) == 8
    assert done.stderr.count("ZeroDivisionError") >= 2
    assert done.returncode == (3 if how == "raise" else 0)


def test_a_channel_outlives_the_run_in_which_it_was_filled() -> None:
    """The end of a run destroys nothing: what is queued is there for the next run, or reported at the end. Row: CH6."""
    reports: list[Any] = []
    ch: Any = channel(BUFFERED, 3, on_undelivered=lambda value, why, of: reports.append((value, why)))

    async def fill(ch: Any) -> None:
        for i in range(3):
            await ch.send(i)

    async def take(ch: Any) -> Any:
        return await ch.recv()

    trio.run(fill, ch)
    gc.collect()
    assert reports == []
    assert kcoro_core.run(take, ch) == 0
    del ch
    gc.collect()
    assert reports == [(1, Undelivered.DESTROYED), (2, Undelivered.DESTROYED)]


class Payload:
    """Something whose end can be seen."""


def test_received_and_dropped_elements_are_free() -> None:
    """A channel keeps no reference to what was received, dropped or cancelled. Rows: CH4, CH6."""
    for made, count in ((channel(UNLIMITED), 100), (channel(BUFFERED, 5, kcoro_core.DROP_OLDEST), 100)):
        seen = []
        for _ in range(count):
            payload = Payload()
            seen.append(weakref.ref(payload))
            made.try_send(payload)
        del payload
        while len(made):
            made.try_recv()
        assert [ref for ref in seen if ref() is not None] == []


def test_waiters_that_left_keep_nothing_alive() -> None:
    """Neither the channel nor its run holds a value whose sender has given up. Rows: CH6, SE4."""

    async def main() -> list[bool]:
        ch: Any = channel()
        payload = Payload()
        ref = weakref.ref(payload)
        with pytest.raises(kcoro_core.DeadlineExceeded):
            await ch.send(payload, timeout=0.001)
        with trio.move_on_after(0.001):
            await kcoro_core.select(kcoro_core.Send(ch, payload))
        del payload
        await trio.lowlevel.checkpoint()
        gc.collect()
        return [ref() is None]

    assert trio.run(main) == [True]


def test_memory_comes_back_after_the_drain() -> None:
    """100,000 elements are held by an UNLIMITED channel, and none of their memory after they were taken. Row: CH4."""
    ch = channel(UNLIMITED)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(100_000):
            ch.try_send(1_000_000 + i)
        held = tracemalloc.get_traced_memory()[0] - before
        for _ in range(100_000):
            ch.try_recv()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held > 1_000_000
    assert left < held / 100


def test_a_profile_without_a_hook_has_no_finalizer() -> None:
    """A channel that nobody wants to hear of costs nothing at its end. Row: CH6."""
    registered = len(weakref.finalize._registry)  # type: ignore[attr-defined]
    quiet = [channel(UNLIMITED) for _ in range(10)]
    assert len(weakref.finalize._registry) == registered  # type: ignore[attr-defined]
    assert len(quiet) == 10
