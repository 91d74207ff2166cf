# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What may wait when an object ends on the stack of a stackful function, and what is refused."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kcoro_core import open_scope, sleep

from .stacking import native_run, stackful, wait


def test_nothing_waits_in_a_finalizer() -> None:
    """RuntimeError there, before any effect, and the program goes on."""
    told: list[Any] = []

    def waits(depth: int) -> None:
        if depth:
            return waits(depth - 1)
        return wait(sleep(1))

    class Waits:
        def __del__(self) -> None:
            wait(sleep(1))

    class WaitsDeep:
        def __del__(self) -> None:
            waits(20)

    def work() -> str:
        thing: Any = Waits()
        del thing
        thing = WaitsDeep()
        del thing
        cycle: Any = Waits()
        cycle.itself = cycle
        del cycle
        gc.collect()
        wait(sleep(1))
        return "went on"

    async def main() -> str:
        return await stackful(work)()

    hook, sys.unraisablehook = sys.unraisablehook, lambda args: told.append(args.exc_value)
    try:
        assert native_run(main) == "went on"
    finally:
        sys.unraisablehook = hook
    assert [type(error) for error in told] == [RuntimeError] * 3
    assert all("finalizer" in str(error) for error in told)


class Thing:
    """What can be in a cycle, and watched."""


def has_a_callback(callback: Callable[[], None]) -> None:
    """Leave a cycle whose end is watched."""
    thing: Any = Thing()
    thing.itself = thing
    weakref.finalize(thing, callback)


def has_a_generator(callback: Callable[[], None]) -> None:
    """Leave a cycle with a generator that has begun."""

    def generates() -> Iterator[None]:
        try:
            yield
        finally:
            callback()

    thing: Any = Thing()
    thing.itself, thing.generator = thing, generates()
    next(thing.generator)


def has_a_finalizer_of_another_name(callback: Callable[[], None]) -> None:
    """Leave a cycle with a ``__del__`` that its code does not know to be one."""

    class Closes(Thing):
        def close(self) -> None:
            callback()

        __del__ = close

    thing: Any = Closes()
    thing.itself = thing


LEAVES = [has_a_callback, has_a_generator, has_a_finalizer_of_another_name]


@pytest.mark.parametrize("leave", LEAVES, ids=lambda leave: leave.__name__)
def test_a_callback_of_the_collector_may_wait(leave: Any) -> None:
    """It is no finalizer of an object; while it waits nothing else is collected, and then it is again."""
    said: list[str] = []

    def callback() -> None:
        said.append("waits")
        wait(sleep(1))
        said.append("went on")

    def work() -> None:
        leave(callback)
        gc.collect()
        said.append("collected")

    def is_collected() -> bool:
        cycle: Any = Thing()
        cycle.itself = cycle
        watched = weakref.ref(cycle)
        del cycle
        gc.collect()
        return watched() is None

    async def main() -> tuple[bool, bool]:
        async with open_scope() as scope:
            scope.launch(stackful(work))
            await sleep(0.5)
            assert said == ["waits"]
            meanwhile = is_collected()
        return meanwhile, is_collected()

    assert native_run(main) == (False, True)
    assert said == ["waits", "went on", "collected"]


def test_a_callback_of_a_weak_reference_may_wait_where_the_object_ends() -> None:
    """Without the collector: it goes on behind the statement that freed it only when the wait is over."""
    said: list[str] = []

    def work() -> None:
        thing = Thing()
        weakref.finalize(thing, lambda: (wait(sleep(1)), said.append("waited")))
        del thing
        said.append("went on")

    async def main() -> None:
        await stackful(work)()

    native_run(main)
    assert said == ["waited", "went on"]
