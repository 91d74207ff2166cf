# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What stackful functions cost in memory, and that nothing of them is left when they have ended."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import channel, open_scope, sleep

from .stacking import MOST_BYTES, SANITIZING, native_run, stackful, wait

PAGE_BYTES = 4096
STATUS = Path("/proc/self/statm")
MAPS = Path("/proc/self/maps")

needs_proc = pytest.mark.skipif(not STATUS.exists(), reason="there is no /proc to read the memory of this process from")


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(STATUS.read_text().split()[1]) * PAGE_BYTES


def mappings() -> int:
    """How many mappings this process has."""
    return len(MAPS.read_text().splitlines())


@needs_proc
@pytest.mark.parametrize("stack_size", [8 << 20, 256 << 10], ids=["default", "small"])
def test_ten_thousand_wait_at_once(stack_size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """One page of stack each, and what a task and a scope's handle are. Row: C10."""
    count = 10_000

    async def main() -> float:
        gate: Any = channel()
        waits = stackful(lambda: wait(gate.recv()), stack_size=stack_size)
        async with open_scope() as scope:
            scope.launch(waits)
            await sleep(1)
            gc.collect()
            before = resident()
            for _ in range(count):
                scope.launch(waits)
            await sleep(1)
            each = (resident() - before) / count
            for _ in range(count + 1):
                await gate.send(None)
        return each

    each = native_run(main)
    with capsys.disabled():
        print(f"\nbytes of memory for each stackful task that waits, stack of {stack_size >> 10} KiB: {each:.0f}")  # noqa: T201 - a figure
    assert each <= MOST_BYTES


@needs_proc
def test_beginning_and_ending_leaves_nothing() -> None:
    """Memory and mappings are flat over many, after the first thousands. Rows: C1, C7."""

    async def main() -> tuple[int, int]:
        def deep(depth: int) -> int:
            [left] = sorted([depth - 1], key=deep) if depth else [0]
            return left

        def work(gate: Any) -> int:
            wait(gate.recv())
            return deep(20)

        gate: Any = channel()
        for round_number in range(30):
            async with open_scope() as scope:
                for _ in range(200):
                    scope.launch(stackful(work), gate)
                for _ in range(150):
                    await gate.send(None)
                scope.cancel()
            if round_number == 9:
                gc.collect()
                before = resident(), mappings()
        gc.collect()
        return resident() - before[0], mappings() - before[1]

    grown, more = native_run(main)
    assert SANITIZING or grown < 400_000  # else what is free is kept for a while
    assert more < 20


def test_references_are_as_before() -> None:
    """Those of a value that is passed, of one that is raised, and of the function."""

    class Value:
        pass

    value, error = Value(), KeyError("told")

    def returns(given: Value) -> Value:
        wait(sleep(1))
        return given

    def raises(given: Value) -> None:
        try:
            wait(sleep(1))
        finally:
            raise error

    async def main() -> None:
        for _ in range(3):
            assert await stackful(returns)(value) is value
            with pytest.raises(KeyError):
                await stackful(raises)(value)
            error.__traceback__ = None
            error.__context__ = None

    counts = [sys.getrefcount(each) for each in (value, error, returns, raises)]
    native_run(main)
    gc.collect()
    assert [sys.getrefcount(each) for each in (value, error, returns, raises)] == counts
