# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What tasks of the native host cost in memory, and that nothing of them is left when they have ended."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import Recv, Selector, channel, open_scope, run, sleep
from kcoro_core.hosts.port import current_host
from kcoro_native import _native

PARKED = 5_000
STATUS = Path("/proc/self/statm")
PAGE_BYTES = 4096
MILLION = 1_000_000
BATCH = 1_000


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(STATUS.read_text().split()[1]) * PAGE_BYTES


@pytest.mark.parametrize(
    ("group", "most"), [(open_scope, 625), (lambda: current_host().open_nursery(), 445)], ids=["scope", "nursery"]
)
def test_a_parked_task_costs_little_beside_its_coroutine(group: Callable[[], Any], most: int) -> None:
    """Task, context, wait, and the handle in a scope; no entry of a dict, and no frame of ours."""

    async def main() -> float:
        go: Any = channel()

        async def child() -> None:
            await go.recv()

        coroutine = child()
        own = sys.getsizeof(coroutine)
        coroutine.close()
        async with group() as children:
            tracemalloc.start()
            for _ in range(PARKED):
                children.start_soon(child)
            await sleep(0)
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            for i in range(PARKED):
                await go.send(i)
        return held / PARKED - own

    assert run(main, host="native") < most


def test_a_selector_that_is_kept_holds_the_extension_once() -> None:
    """However often it has waited; else the extension could never be unloaded."""

    async def main() -> int:
        first: Any = channel()
        second: Any = channel()
        selector = Selector(Recv(first), Recv(second))
        before = sys.getrefcount(_native)

        async def feed() -> None:
            for i in range(100):
                await first.send(i)

        async with open_scope() as scope:
            scope.launch(feed)
            for _ in range(100):
                await selector.wait()
        return sys.getrefcount(_native) - before

    assert run(main, host="native") <= 2


@pytest.mark.long
def test_a_million_tasks_that_came_and_went_leave_nothing() -> None:
    """Each parks, half are cancelled and half are told; the memory of the process stays what it was. Row: SC7."""
    ended = cancelled = 0

    async def child(ch: Any) -> None:
        nonlocal ended, cancelled
        try:
            await ch.recv()
            ended += 1
        except BaseException:
            cancelled += 1
            raise

    async def batch() -> None:
        ch: Any = channel()
        async with open_scope() as scope:
            for _ in range(BATCH):
                scope.launch(child, ch)
            for i in range(BATCH // 2):
                await ch.send(i)
            scope.cancel()

    async def main() -> list[int]:
        levels = []
        for i in range(MILLION // BATCH):
            await batch()
            if i % 100 == 99:
                levels.append(resident())
        return levels

    levels = run(main, host="native")
    assert (ended, cancelled) == (MILLION // 2, MILLION // 2)
    print(f"resident after each 100,000 tasks, KiB: {[level // 1024 for level in levels]}")  # noqa: T201
    assert max(levels[1:]) - levels[1] < 256 * 1024
