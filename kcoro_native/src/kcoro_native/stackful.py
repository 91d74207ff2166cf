# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Stackful functions: plain functions that wait from any depth, beside ``async def`` tasks on the native host.

``stackful(fn)`` gives what is called like an async function: its call is awaited, or launched in a scope, and runs
``fn`` on a stack of its own. There ``wait(awaitable)`` does what ``await`` does, also below functions that know nothing
of waiting: the key of a sort, the callback of a C library. Other tasks run meanwhile.

Rule 1: it is a coroutine for whoever awaits it: the same cancellation, errors, context and order.
Rule 2: it waits on the native host only, in the thread in which it began.
Rule 3: nothing can wait in a finalizer (``__del__``) or in a function that traces: RuntimeError, before any effect.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, Generic, Literal, ParamSpec, Protocol, TypeVar

from kcoro_core.cancel import CancelToken
from kcoro_core.config import settings
from kcoro_core.errors import NotSupported

from . import _native
from ._native import wait
from .stacks import use_settings

__all__ = ["STACK_SIZE", "Direct", "direct", "entered", "stackful", "wait"]

STACK_SIZE: Final = 8 << 20
"""Bytes of address space of a stack by default; what is not used costs no memory. Use less for very many at once.

The setting ``stack_size`` makes it another."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def stackful(
    fn: Callable[P, R], /, *, stack_size: int | None = None, resume: Literal["inline", "queue"] = "queue"
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make of a plain function one that is awaited, and may ``wait`` from any depth.

    ``stack_size``, in bytes, is for the calls of C that are nested in it; those of Python need none. It is rounded up
    to a power of two, and may be 256 KiB to 512 MiB; None takes the setting of this name. With less than the default
    fewer calls of C may be nested before a RecursionError; CPython 3.11 does not know, and the process ends at the end
    of a stack.

    ``resume`` says when it goes on after another task has woken it: with ``"queue"`` in its turn, behind all that can
    run; with ``"inline"`` next, as soon as the one that woke it waits, though no more than three such steps in a row.

    :raises NotSupported: not on this version of Python, or on this machine.
    :raises ValueError: ``stack_size`` is out of range, or ``resume`` is neither.
    """
    if (why := _native._no_stackful()) is not None:
        raise NotSupported(why)
    if not callable(fn):
        raise TypeError(f"stackful() needs a function, not {fn!r}")
    size = settings().stack_size if stack_size is None else stack_size
    if not _is_size(size):
        raise ValueError(f"stack_size is {_LEAST} to {_MOST} bytes, not {size!r}")
    if resume not in ("inline", "queue"):
        raise ValueError(f"resume is 'inline' or 'queue', not {resume!r}")
    qualname = str(getattr(fn, "__qualname__", fn))

    @functools.wraps(fn)
    def start(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return _native.Stackful(fn, args, kwargs, qualname, size, resume == "inline")

    return start


_LEAST: Final = 256 << 10
_MOST: Final = 512 << 20
use_settings()


def _is_size(size: object) -> bool:
    return isinstance(size, int) and _LEAST <= size <= _MOST


class _Channel(Protocol[T]):
    """Channels, their halves, and remote handles, as far as ``Direct`` needs them."""

    async def send(self, value: T, timeout: float | None = None, cancel: CancelToken | None = None) -> None: ...
    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> T: ...


class Direct(Generic[T]):
    """A channel as stackful functions use it; made by ``direct``."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def __repr__(self) -> str:
        return f"<direct {self._channel!r}>"

    def send(self, value: T, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """As the ``send`` of the channel, awaited."""
        wait(self._channel.send(value, timeout=timeout, cancel=cancel))

    def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> T:
        """As the ``recv`` of the channel, awaited."""
        return wait(self._channel.recv(timeout=timeout, cancel=cancel))  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[T]:
        """As ``async for`` over the channel."""
        return _each(self._channel)


def direct(channel: _Channel[T] | Any) -> Direct[T]:
    """A channel, a half of one, or a remote handle, whose ``send``, ``recv`` and iteration wait by themselves."""
    return Direct(channel)


def _each(things: AsyncIterable[T]) -> Iterator[T]:
    iterator = aiter(things)
    while True:
        try:
            thing = wait(anext(iterator))
        except StopAsyncIteration:
            return
        yield thing


@contextmanager
def entered(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """For ``with`` in a stackful function what ``async with manager`` is in an async one."""
    value = wait(manager.__aenter__())
    try:
        yield value
    except BaseException as error:
        if not wait(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        wait(manager.__aexit__(None, None, None))
