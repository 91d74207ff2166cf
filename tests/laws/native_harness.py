# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native host as a place for laws: on a clock that jumps when everybody waits, strict and not, and on its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

import trio.testing

from kcoro_core import run
from kcoro_core.testing.laws import Harness, Need


class NativeHarness(Harness):
    """The native loop under trio's mock clock, whose time jumps."""

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME, Need.DESCRIPTORS, Need.SIGNALS})

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.name = "native-strict" if strict else "native"  # type: ignore[misc]

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run the law on a new loop."""
        clock = trio.testing.MockClock(autojump_threshold=0)
        run(main, host="native", clock=clock, strict_checkpoints=self.strict)


class NativeRealHarness(Harness):
    """The native loop on the real clock, for laws that let threads run."""

    name: ClassVar[str] = "native-real"
    offers: ClassVar = frozenset({Need.REAL_TIME, Need.DESCRIPTORS, Need.SIGNALS})
    tick: ClassVar[float] = 0.05
    limit: ClassVar[float] = 30.0

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run the law on a new loop."""
        run(main, host="native")
