# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Background tasks of a run of trio: they live at most as long as it, and their failures end nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ..unraisable import report_unraisable

__all__ = ["SystemTask"]


class SystemTask:
    """A background task of the run; a failure in it is reported, and never ends the run."""

    def __init__(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...], name: str | None) -> None:
        self._scope = trio.CancelScope()
        self._done = False
        trio.lowlevel.spawn_system_task(self._run, fn, args, name=name or getattr(fn, "__qualname__", repr(fn)))

    async def _run(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        if self._done:
            return  # cancelled before its first step: what it would have touched, a descriptor say, may be gone
        with self._scope:
            try:
                await fn(*args)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                report_unraisable(error, f"background task {fn!r}")
        self._done = True

    def cancel(self) -> bool:
        """End it at its next checkpoint; False when it has ended already."""
        if self._done:
            return False
        self._done = True
        self._scope.cancel()
        return True
