# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The plugin: names the host, and finds out by itself when a program runs under asyncio."""

from __future__ import annotations

import sys
from typing import Any

from kcoro_core.hookspecs import hookimpl
from kcoro_core.hosts.port import Host, register_detector


@hookimpl
def kcoro_host(name: str) -> Any:
    """The host named ``asyncio``."""
    if name != "asyncio":
        return None
    from .host import factory

    return factory


def detect() -> Host | None:
    """The host of the asyncio loop that runs in this thread; asyncio is not imported for programs without it."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    from .host import AsyncioHost

    return AsyncioHost()


register_detector(detect)
