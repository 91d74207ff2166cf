# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The schedulers of the native engine: they step ``async def`` coroutines from C, and know nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kcoro_core.engine import ENGINE_API, Scheduler

from . import _native

__all__ = ["scheduler_factory"]


class _Factory:
    """Makes the schedulers of the native engine, as a ``kcoro_scheduler`` hook returns it."""

    engine: str = "native"
    api: int = ENGINE_API

    def __call__(self, *, now: Callable[[], float], pick: Callable[[int], int] | None = None) -> Scheduler:
        return _native.Scheduler(now=now, pick=pick)


scheduler_factory: Final = _Factory()
"""What the plugin returns from ``kcoro_scheduler``."""
