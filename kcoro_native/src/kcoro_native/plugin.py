# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native engine as a plugin: it registers through the same hooks as any other engine."""

from __future__ import annotations

from typing import Any, Final, cast

from kcoro_core.engine import (
    ENGINE_API,
    ChannelFactory,
    CoroutineFactory,
    OnUndelivered,
    SchedulerFactory,
    SelectFactory,
)
from kcoro_core.engine import ChannelCore as ChannelCoreOfAnyEngine
from kcoro_core.hookspecs import hookimpl
from kcoro_core.semantics import Kind, Overflow

from ._native import Arm, ChannelCore, Operation, SelectOperation, compiled
from .face import NativeChannel
from .scheduler import scheduler_factory

__all__ = ["kcoro_channel", "kcoro_coroutine", "kcoro_host", "kcoro_scheduler", "kcoro_select"]

NAME: Final = "native"


class _Channels:
    """Makes the channels of the native engine, and says as what programs have them."""

    engine = NAME
    api = ENGINE_API
    compiled: Final = compiled()
    """What was compiled in, for ``kcoro doctor``."""
    face = NativeChannel

    def __call__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None
    ) -> ChannelCoreOfAnyEngine:
        return cast(ChannelCoreOfAnyEngine, ChannelCore(kind, capacity, overflow, on_undelivered))


class _Select:
    """Makes the operations of the native engine; the types themselves, since one is made for each wait."""

    engine = NAME
    api = ENGINE_API
    operation = Operation
    select = SelectOperation
    arm = Arm


_channels = _Channels()
# Typed by the classes of the reference, whose attributes and methods these have.
_select = cast(SelectFactory, _Select())


@hookimpl
def kcoro_channel(engine: str) -> ChannelFactory | None:
    """Channels of the engine named ``native``."""
    return _channels if engine == NAME else None


@hookimpl
def kcoro_select(engine: str) -> SelectFactory | None:
    """Operations of the engine named ``native``."""
    return _select if engine == NAME else None


@hookimpl
def kcoro_scheduler(engine: str) -> SchedulerFactory | None:
    """Schedulers of the engine named ``native``."""
    return scheduler_factory if engine == NAME else None


@hookimpl
def kcoro_coroutine(engine: str) -> CoroutineFactory | None:
    """Coroutines of the engine named ``native``; NotSupported where there are none."""
    if engine != NAME:
        return None
    from .coroutine import coroutine_factory

    return coroutine_factory()


@hookimpl
def kcoro_host(name: str) -> Any:
    """The host named ``native``; its loop is imported when asked for."""
    if name != NAME:
        return None
    from .host import factory

    return factory
