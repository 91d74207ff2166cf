# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The reference engine as a plugin: it registers through the same hooks as any other engine (row H1)."""

from __future__ import annotations

from typing import Final

from ..engine import ENGINE_API, ChannelFactory, OnUndelivered, SchedulerFactory
from ..engine import SelectFactory as SelectFactoryProtocol
from ..hookspecs import hookimpl
from ..semantics import Kind, Overflow
from .channel import Channel
from .scheduler import scheduler_factory
from .select import SelectFactory

NAME: Final = "reference"


class _Channels:
    """Makes the reference engine's channels."""

    engine = NAME
    api = ENGINE_API

    def __call__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None
    ) -> Channel:
        return Channel(kind, capacity, overflow, on_undelivered)


_channels = _Channels()
_select = SelectFactory(NAME, ENGINE_API)


@hookimpl
def kcoro_channel(engine: str) -> ChannelFactory | None:
    """Channels of the engine named ``reference``."""
    return _channels if engine == NAME else None


@hookimpl
def kcoro_select(engine: str) -> SelectFactoryProtocol | None:
    """Operations of the engine named ``reference``."""
    return _select if engine == NAME else None


@hookimpl
def kcoro_scheduler(engine: str) -> SchedulerFactory | None:
    """Schedulers of the engine named ``reference``."""
    return scheduler_factory if engine == NAME else None
