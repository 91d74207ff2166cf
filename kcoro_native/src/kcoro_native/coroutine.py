# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The coroutines of the native engine: functions on stacks of their own, switched in C; see ``kcoro_core.Coroutine``.

They know no loop and no task: what waits in one for a channel stops its whole thread, as in any plain function. For
functions that wait beside tasks there is ``kcoro_native.stackful``.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from kcoro_core.coroutine import Coroutine
from kcoro_core.engine import ENGINE_API, CoroutineFactory
from kcoro_core.errors import NotSupported

from . import _native
from .stacks import use_settings

__all__ = ["NativeCoroutine", "coroutine_factory"]


class NativeCoroutine(_native.Coroutine, Coroutine):
    """A function with a stack of its own, of the native engine; ``kcoro_core.Coroutine`` says what holds."""

    __slots__ = ()

    __repr__ = Coroutine.__repr__


_make: Final = _native.Coroutine.__new__


class _Factory:
    """Makes the coroutines of the native engine, as a ``kcoro_coroutine`` hook returns it."""

    engine: str = "native"
    api: int = ENGINE_API
    switcher: str = _native.compiled()["switcher"]
    current: Final = _native.Coroutine.current
    yield_: Final = _native.Coroutine.yield_
    yield_to: Final = _native.Coroutine.yield_to
    park: Final = _native.Coroutine.park

    @staticmethod
    def alive() -> list[tuple[Coroutine, FrameType | None]]:
        """Those that have begun and not ended, each with its innermost frame where that can be known, for dumps."""
        return [(co, co.frame) for co in _native.Coroutine.alive()]

    def __call__(self, fn: Callable[..., Any], args: tuple[Any, ...], name: str | None) -> NativeCoroutine:
        return _make(NativeCoroutine, fn, args, name)


class _None(_Factory):
    """What stands there on a version of Python, or a machine, where nothing has a stack of its own; it says why."""

    switcher = "none"

    def __init__(self, why: str) -> None:
        self._why = why

    def __call__(self, fn: Callable[..., Any], args: tuple[Any, ...], name: str | None) -> NativeCoroutine:
        raise NotSupported(self._why)


_factory: Final = _Factory()


def coroutine_factory() -> CoroutineFactory:
    """What the plugin returns from ``kcoro_coroutine``: never an error, for the engine is whole without them."""
    why = _native._no_stackful()
    use_settings()
    return _factory if why is None else _None(why)


# Before the interpreter ends: those of the main thread that wait clean up while everything is still there.
atexit.register(_native._end_coroutines)
