# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every law of the port runs on each host; a host that is not installed here is found in its folder."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from kcoro_core import plugins
from kcoro_core.hosts import script
from kcoro_core.hosts import trio as trio_host
from kcoro_core.hosts.port import WRITE, Host, current_host

THIRD_PARTY = Path(__file__).resolve().parents[1] / "thirdparty" / "kcoro_host_asyncio" / "src"

Main = Callable[[Host], Awaitable[Any]]


class HostUnderTest:
    """One host: how to run a program on it, and how to make the world happen to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        # A wait that must end by itself: exact where time is virtual, generous where it is not.
        self.soon = 0.05 if name == "asyncio" else 1.0

    def run(self, main: Main) -> Any:
        """``await main(host)`` in a new run."""

        async def start() -> Any:
            return await main(current_host())

        if self.name == "script":
            return script.factory.run(start)
        if self.name in ("trio", "native"):
            clock = trio.testing.MockClock(autojump_threshold=0)
            return (trio_host.factory if self.name == "trio" else plugins.host("native")).run(start, clock=clock)
        if str(THIRD_PARTY) not in sys.path:
            sys.path.insert(0, str(THIRD_PARTY))
        importlib.import_module("kcoro_host_asyncio.plugin")
        return importlib.import_module("kcoro_host_asyncio.host").factory.run(start)

    def make_readable(self, host: Host, fd: int) -> None:
        """Have ``fd``, the reading end of ``pipe``, become readable."""
        if isinstance(host, script.ScriptHost):
            host.set_readable(fd)
        else:
            os.write(self._other[fd], b"x")

    def make_writable(self, host: Host, fd: int) -> None:
        """Have ``fd``, the writing end of a pipe, be writable; a real one that is empty is already."""
        if isinstance(host, script.ScriptHost):
            host.set_writable(fd)
        assert host.fd_ready(fd, WRITE)

    def pipe(self) -> tuple[int, int]:
        """A reading and a writing descriptor, closed after the test."""
        if self.name == "script":
            return 1001, 1002
        reading, writing = os.pipe()
        self._other[reading] = writing
        return reading, writing

    def raise_signal(self, host: Host, signum: int) -> None:
        """Let a signal arrive in this process."""
        if isinstance(host, script.ScriptHost):
            host.send_signal(signum)
        else:
            signal.raise_signal(signum)

    _other: dict[int, int]


HOSTS = [
    "trio",
    "script",
    "asyncio",
    *(point.name for point in importlib.metadata.entry_points(group="kcoro", name="native")),
]


@pytest.fixture(params=HOSTS)
def on(request: pytest.FixtureRequest) -> Any:
    """The host under test."""
    under_test = HostUnderTest(request.param)
    under_test._other = {}
    yield under_test
    for reading, writing in under_test._other.items():
        os.close(reading)
        os.close(writing)


async def until(host: Host, condition: Callable[[], object]) -> None:
    """Give the other tasks turns until something holds."""
    while not condition():
        await host.pause()
