# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hosts of core as a plugin, and the stacks of the reference engine, which need threads as hosts do."""

from __future__ import annotations

from typing import Any

from ..engine import CoroutineFactory
from ..hookspecs import hookimpl


@hookimpl
def kcoro_host(name: str) -> Any:
    """The trio host or the script host; imported when asked for."""
    if name == "trio":
        from .trio import factory as trio_factory

        return trio_factory
    if name == "script":
        from .script import factory as script_factory

        return script_factory
    return None


@hookimpl
def kcoro_coroutine(engine: str) -> CoroutineFactory | None:
    """Coroutines of the engine named ``reference``; its other parts know no thread and stand in ``reference``."""
    if engine != "reference":
        return None
    from .strands import coroutine_factory

    return coroutine_factory
