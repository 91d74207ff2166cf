# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the tests of stackful functions share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio.testing

from kcoro_core import open_scope, plugins, sleep
from kcoro_native._native import compiled
from kcoro_native.stackful import stackful, wait

from ..native.library import SANITIZING

__all__ = ["MOST_BYTES", "SANITIZING", "native_run", "others", "stackful", "together", "wait"]


BY_UCONTEXT = compiled()["switcher"] == "ucontext"
MOST_BYTES = (96 if SANITIZING else 12 if BY_UCONTEXT else 8) * 1024
"""Of memory, for each that waits; the address sanitizer keeps some of its own, and ucontext a mask of signals."""


def native_run(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """On the native host, with a clock that jumps."""
    return plugins.host("native").run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))


def others() -> None:
    """Let the other tasks run, from any depth of a stackful function."""
    wait(sleep(1))


def together(*functions: Callable[[], Any]) -> list[Any]:
    """What each returns, as stackful tasks of one scope."""

    async def main() -> list[Any]:
        async with open_scope() as scope:
            tasks = [scope.launch(stackful(function)) for function in functions]
        return [task.result() for task in tasks]

    return native_run(main)  # type: ignore[no-any-return]
