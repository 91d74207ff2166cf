# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Starting a program, and sleeping in it, on whichever host."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from . import plugins
from .errors import WrongLoop
from .hosts.port import Host, current_host, find_host
from .parking import check_function, check_timeout, park
from .reference.waiter import Operation

__all__ = ["run", "sleep"]

T = TypeVar("T")


def run(
    main: Callable[..., Awaitable[T]],
    *args: Any,
    host: str = "trio",
    clock: Any = None,
    strict_checkpoints: bool | None = None,
) -> T:
    """Run ``await main(*args)`` on a host and return its result; plain ``trio.run(main)`` works as well.

    ``host`` is ``"trio"``, ``"script"`` (seeded, virtual time) or one that a plugin brings. Operations that complete at
    once give the other tasks a turn after every 64th; ``strict_checkpoints=True`` makes that every one.

    :raises NotSupported: no host of that name is installed.
    :raises WrongLoop: a loop is running in this thread already.
    """
    check_function(main, "run")
    if find_host() is not None:
        raise WrongLoop("a loop is running in this thread already: await the function instead of running it")
    return plugins.host(host).run(main, *args, clock=clock, strict_checkpoints=strict_checkpoints)  # type: ignore[no-any-return]


def sleep(seconds: float) -> Awaitable[None]:
    """Sleep on the host's clock; 0 lets the other tasks run once. Works on every host, under virtual time too."""
    limit = check_timeout(seconds)
    host = current_host()
    if limit == 0:
        return host.checkpoint()
    if host.nap is not None:
        return host.nap(math.inf if limit is None else limit)
    return _sleep(host, limit)


async def _sleep(host: Host, limit: float | None) -> None:
    """A parked operation that a timer completes; what a host does that has nothing better."""
    await host.cancel_point()
    op = Operation(host)
    timer = None if limit is None else host.call_at(host.now() + limit, op.complete)
    await park(host, op, lambda: timer is not None and timer.cancel(), None, None)
