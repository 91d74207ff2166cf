# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where the tests of links run: over the in-process transport on trio and the script host, and over Unix sockets.

Time is virtual everywhere, since both ends are in one process. A test is an ordinary function that gives its
``async def`` to ``world.run``; ``world.linked(...)`` serves, dials, and gives both ends.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing

from kcoro_core import Channel, Link, Server, dial, serve, sleep
from kcoro_core.hosts import script
from kcoro_core.testing.laws.harness import Tasks


class World:
    """A host and a transport."""

    def __init__(self, name: str, directory: Path) -> None:
        self.scheme, self.host = name.split("-")
        self.uri = "mem:world" if self.scheme == "mem" else f"uds:{directory}/s"

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run on a new run of the host; a test that waits for an hour of virtual time hangs, and fails."""

        async def limited() -> None:
            with trio.fail_after(3600):
                await main()

        if self.host == "script":
            script.run(main)
        else:
            trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0))

    @asynccontextmanager
    async def linked(self, export: dict[str, Any], **of_server: Any) -> AsyncIterator[tuple[Server, Link]]:
        """A server that exports these, and a link to it."""
        async with serve(self.uri, export, **of_server) as server, dial(self.uri) as link:
            yield server, link


async def settle() -> None:
    """Return when nothing more happens without time, or this task, doing something."""
    await sleep(0.001)


def tasks() -> Tasks:
    """Children: ``start`` gives a call whose outcome can be read later."""
    return Tasks()


def _core_of(ch: Channel[bytes]) -> Any:
    return getattr(ch._core, "core", ch._core)  # behind a desk, where selects of other processes stand


def queued(ch: Channel[bytes]) -> list[bytes]:
    """What lies in a channel, oldest first, whichever engine made it; looking at it changes nothing."""
    core = _core_of(ch)
    if hasattr(core, "queue"):
        return list(core.queue)
    # The collector is shown elements in the order in which they lie there.
    return [thing for thing in gc.get_referents(core) if isinstance(thing, bytes)]


def taken(ch: Channel[bytes]) -> int:
    """How much of the capacity is in use: by what is queued, by what a link keeps, and by slots that are lent."""
    core = _core_of(ch)
    return len(ch) + int(core.kept) + int(core.lent)
