# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Asyncio as a place for laws: once on its real clock, once on a loop whose clock jumps when everybody waits.

The host is a stranger's distribution that need not be installed: it is found in its folder.
"""

from __future__ import annotations

import asyncio
import importlib
import selectors
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from kcoro_core.testing.laws import Group, Harness, Law, Need

THIRD_PARTY = Path(__file__).resolve().parents[1] / "thirdparty" / "kcoro_host_asyncio" / "src"
CLAIMED = (Group.CHANNEL, Group.SELECT, Group.CLAUSE, Group.CORE)
"""What the host claims: scopes and trio's own manners are not asyncio's."""


class JumpingSelector(selectors.DefaultSelector):
    """Adds the time that nobody would have used to a clock, instead of waiting it out."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready now; when nothing is, the clock jumps to the next timer."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("deadlock: everybody waits, and no timer is set")
        if not ready:
            self.now += timeout or 0
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop on the clock of such a selector."""

    def __init__(self) -> None:
        self.clock = JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.clock.now


class AsyncioHarness(Harness):
    """Asyncio's own loop and clock, with generous limits."""

    name: ClassVar[str] = "asyncio-real"
    tick: ClassVar[float] = 0.05
    limit: ClassVar[float] = 30.0

    def missing(self, law: Law) -> list[str]:
        """What the host does not claim it need not keep."""
        return super().missing(law) or ([] if law.group in CLAIMED else [f"not claimed: {law.group.value}"])

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop for one law."""
        return asyncio.SelectorEventLoop()

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run the law on a new loop."""
        if str(THIRD_PARTY) not in sys.path:
            sys.path.insert(0, str(THIRD_PARTY))
        importlib.import_module("kcoro_host_asyncio.plugin")

        async def start() -> None:
            await main()

        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            runner.run(start())


class JumpingHarness(AsyncioHarness):
    """The same host on a clock that jumps: hours cost nothing, and no machine is too slow."""

    name: ClassVar[str] = "asyncio-virtual"
    offers: ClassVar = frozenset({Need.VIRTUAL_TIME})
    tick: ClassVar[float] = 1.0
    limit: ClassVar[float] = 1e7

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop for one law."""
        return JumpingLoop()
