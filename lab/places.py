# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where a scenario runs: a transport, the address of a fresh listener on it, and the clock.

Rule 1: nothing but the address differs between transports.
Rule 2: over ``sim:`` time is virtual and everything is decided by the seed; elsewhere time is real.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from kcoro_core import dial, run, serve
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.script import ScriptHost
from kcoro_core.link.link import Link
from kcoro_core.transports.sim import network

__all__ = ["NETWORKS", "TRANSPORTS", "Pair", "Place", "place"]

TRANSPORTS = ("mem", "uds", "sim")
"""Over which gates run."""
NETWORKS = ("tcp", "tls", "quic", "stdio")
"""Over which they run where somebody asks for it: with the certificates of ``KCORO_TLS_CERTFILE`` and others, and for
``stdio`` with the plugin of the tutorial, ``tests/thirdparty/kcoro_transport_stdio``."""
MAX_STEPS = 50_000_000
LONGEST_SECONDS = 60.0
"""For one scenario, on its clock; it takes seconds."""


def _anybody(identity: Any, name: str, operation: str) -> bool:
    return True


@define
class Pair:
    """The two ends of one link: ``link`` dialled, ``peer`` is what the server has of it."""

    link: Link
    peer: Link


@define
class Place:
    """One transport, for one run of one scenario."""

    transport: str
    seed: int
    quick: bool
    folder: Path
    random: random.Random = field(init=False)
    _fresh: int = 0

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @property
    def virtual(self) -> bool:
        """Whether time is virtual, and figures of time exact."""
        return self.transport == "sim"

    def uri(self, impairments: str = "") -> str:
        """A fresh address; ``impairments`` are for a simulated line."""
        self._fresh += 1
        if self.transport == "uds":
            return f"uds:{self.folder}/{self._fresh}"
        if self.transport in NETWORKS:
            return f"{self.transport}:"
        query = f"?{impairments}&seed={self.seed}" if self.virtual and impairments else ""
        return f"{self.transport}:lab-{self._fresh}{query}"

    @asynccontextmanager
    async def pair(
        self, export: Mapping[str, object], impairments: str = "", handlers: Mapping[int, Any] | None = None
    ) -> AsyncIterator[Pair]:
        """A server that exports this, and a link to it."""
        options: dict[str, Any] = {"authorize": _anybody, "handlers": handlers or {}}
        async with serve(self.uri(impairments), export, **options) as server, self._dial(server.uri) as link:
            joined = await server.events.recv()
            yield Pair(link, joined.link)

    @asynccontextmanager
    async def links(self, export: Mapping[str, object], number: int) -> AsyncIterator[list[Link]]:
        """A server that exports this, and several links to it."""
        async with serve(self.uri(), export, authorize=_anybody) as server, AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self._dial(server.uri)) for _ in range(number)]

    @staticmethod
    def _dial(uri: str) -> AbstractAsyncContextManager[Link]:
        return dial(uri, authorize=_anybody)  # who is behind a command is not known

    def counts(self) -> Counter[str]:
        """How often each kind of fault has happened on the line in use; nothing where lines are good."""
        return network(f"lab-{self._fresh}").counts if self.virtual else Counter()

    def run(self, scenario: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run it on the host that fits the transport."""
        if self.virtual:
            ScriptHost(seed=self.seed, max_steps=MAX_STEPS).run(_in_time, scenario, *args)
        else:
            run(_in_time, scenario, *args)


class TooLong(Exception):
    """A scenario was given up: something in it waits for what does not come."""


async def _in_time(scenario: Callable[..., Awaitable[None]], *args: Any) -> None:
    host = current_host()
    scope = host.open_cancel_scope()
    alarm = host.call_at(host.now() + LONGEST_SECONDS, scope.cancel)
    with scope:
        await scenario(*args)
    alarm.cancel()
    if scope.cancelled_caught:
        raise TooLong(f"given up after {LONGEST_SECONDS:g} s")


@contextmanager
def place(transport: str, seed: int, quick: bool) -> Iterator[Place]:
    """A place, with a folder for sockets that is gone afterwards."""
    folder = tempfile.mkdtemp(prefix="kl-", dir="/tmp")  # short: a socket's path has at most 107 bytes
    try:
        yield Place(transport, seed, quick, Path(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
