# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Coroutines of the reference engine: each stack is that of an OS thread, and only one of them runs at a time.

Readable rather than fast, and the same everywhere. What differs from stacks of a native engine is what a thread is:
``threading.get_ident``, ``threading.local`` and what libraries keep there (trio, for one) are others in each body.

Rule 1: a thread is started by the first resume and has ended when the coroutine is FINISHED. All are daemons, so that
none keeps a process alive.
Rule 2: whoever waits, waits in the operating system; nobody polls.
Rule 3: at the end of the interpreter what still waits is destroyed, so that ``finally`` blocks run.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final

from ..coroutine import Coroutine
from ..engine import ENGINE_API
from ..errors import WrongState
from ..reference.coroutine import FINISHED, RUNNING, Fiber, Here, Stack, running
from ..semantics import CoroutineState
from ..unraisable import report_unraisable

__all__ = ["StrandCoroutine", "coroutine_factory"]

NAME: Final = "reference"


class _Baton:
    """Given by one thread and awaited by another; a signal that arrives meanwhile goes to whoever runs."""

    __slots__ = ("_given", "_queue", "_running")

    def __init__(self, running: Callable[[], _Strand | None]) -> None:
        # A SimpleQueue may be used by finalizers in the middle of a use, and a second item does no harm.
        self._queue: SimpleQueue[None] = SimpleQueue()
        self._given = False
        self._running = running

    def give(self) -> None:
        self._given = True
        self._queue.put(None)

    def wait(self) -> BaseException | None:
        late = None
        while not self._given:
            try:
                self._queue.get()
            except BaseException as error:  # noqa: BLE001 - of a signal handler: its place is where the program runs
                if (strand := self._running()) is None or not strand.interrupt(type(error)):
                    late = error
        self._given = False
        return late


class _Strand:
    """The thread of one coroutine."""

    def __init__(self, fiber: Fiber) -> None:
        self.baton = _Baton(lambda: _strand_of(fiber.here))
        name = f"kcoro coroutine {fiber.id} {fiber.name}"
        self._thread = threading.Thread(target=_main, args=(fiber,), name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def interrupt(self, kind: type[BaseException]) -> bool:
        """Have the thread raise an exception where it is; False where Python cannot."""
        try:
            import ctypes
        except ImportError:
            return False
        ident = ctypes.c_ulong(self._thread.ident or 0)
        return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(kind)))


def _ident_of(stack: Stack | None) -> int:
    """The identifier of the thread of a stack; 0, which none has, when it has not begun."""
    assert isinstance(stack, _Strand | None)
    return 0 if stack is None else stack._thread.ident or 0


def _strand_of(here: Here | None) -> _Strand | None:
    """The stack of the coroutine that runs there."""
    fiber = None if here is None else here.current
    strand = None if fiber is None else fiber.stack
    assert isinstance(strand, _Strand | None)
    return strand


# ---------------------------------------------------------------------------------------------------------------------
# Which thread this is
# ---------------------------------------------------------------------------------------------------------------------


class _Local(threading.local):
    """Of one OS thread: the fiber that it runs, or what a thread that makes coroutines knows of them."""

    def __init__(self) -> None:
        self.fiber: Fiber | None = None
        self.root: Here | None = None


_local = _Local()


def _main(fiber: Fiber) -> None:
    _local.fiber = fiber
    fiber.main()


def _here() -> Here:
    """The thread that this code is a part of: that of whoever resumed the first of the chain."""
    fiber = _local.fiber
    if fiber is not None:
        assert fiber.here is not None
        return fiber.here
    if _local.root is None:
        _local.root = _new_root()
    return _local.root


def _new_root() -> Here:
    def current() -> _Strand | None:
        return _strand_of(here)

    here = Here(_Baton(current), _Strand, threading.current_thread().is_alive)
    return here


def _moving() -> Here:
    """``_here``, for a call that switches.

    :raises WrongState: a signal handler of a thread whose coroutine runs meanwhile on a stack of its own.
    """
    here = _here()
    if here.current is not _local.fiber or here.switching:
        raise WrongState("a signal handler cannot switch while a coroutine runs; it may call unpark()")
    return here


# ---------------------------------------------------------------------------------------------------------------------
# What programs have
# ---------------------------------------------------------------------------------------------------------------------

_numbers = itertools.count(1)
# Those that exist, for the end of the interpreter and for children of a fork.
_all: weakref.WeakValueDictionary[int, StrandCoroutine] = weakref.WeakValueDictionary()
_over = False


class StrandCoroutine(Coroutine):
    """A coroutine of the reference engine; nothing refers to it from the stack on which it waits."""

    __slots__ = ("__weakref__", "_fiber")

    _fiber: Fiber

    def __new__(cls, fn: Callable[..., Any], /, *args: Any, name: str | None = None) -> StrandCoroutine:
        if _over:
            raise RuntimeError("the interpreter is ending: no coroutine can be made any more")
        self = object.__new__(cls)
        self._fiber = Fiber(next(_numbers), fn, args, name)
        _all[self._fiber.id] = self
        return self

    def resume(self, value: Any = None) -> Any:
        return self._fiber.resume(_moving(), self, value)

    def throw(self, error: BaseException) -> Any:
        if not isinstance(error, BaseException):
            raise TypeError(f"only an exception can be thrown, not {error!r}")
        return self._fiber.throw(_moving(), self, error)

    def unpark(self) -> bool:
        return self._fiber.moved is not FINISHED and self._fiber.meeting.unpark()

    def destroy(self) -> None:
        self._fiber.destroy(_moving(), self)

    @staticmethod
    def current() -> Coroutine | None:
        fiber = _here().current
        return None if fiber is None or fiber is not _local.fiber else fiber.handle

    @staticmethod
    def yield_(value: Any = None) -> Any:
        return running(_moving(), "yield_").yield_(value)

    @staticmethod
    def yield_to(other: Coroutine, value: Any = None) -> Any:
        fiber = running(_moving(), "yield_to")
        if not isinstance(other, StrandCoroutine):
            raise TypeError(f"only a coroutine of the same engine can take over, not {other!r}")
        return fiber.yield_to(other._fiber, other, value)

    @staticmethod
    def park() -> Any:
        return running(_moving(), "park").park()

    @property
    def state(self) -> CoroutineState:
        return self._fiber.state

    def result(self) -> Any:
        return self._fiber.result()

    @property
    def id(self) -> int:
        return self._fiber.id

    @property
    def name(self) -> str:
        return self._fiber.name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a coroutine is a text, not {name!r}")
        self._fiber.name = name

    def end_unseen(self) -> None:
        """Destroy it where nobody can be told of an error."""
        try:
            self._fiber.destroy(_moving(), self)
        except BaseException as error:  # noqa: BLE001 - reported, and nobody is left to raise it to
            report_unraisable(error, f"the end of {self!r}, which nobody refers to any more")

    def __del__(self) -> None:
        fiber = getattr(self, "_fiber", None)  # one that was refused has none
        if fiber is None or fiber.here is None or fiber.moved is FINISHED:
            return
        here = _here()
        if here.switching or here.current is not _local.fiber:
            here.dropped.append(self)
        elif fiber.here is here or not fiber.here.alive():
            self.end_unseen()
        else:
            fiber.here.dropped.append(self)


@atexit.register
def _end_the_rest() -> None:
    global _over  # noqa: PLW0603 - there is one end
    _over = True
    for co in list(_all.values()):
        fiber = co._fiber
        if fiber.here is not None and fiber.moved is not RUNNING and (fiber.here is _here() or not fiber.here.alive()):
            co.end_unseen()


def _after_fork() -> None:
    """In the child there is one thread: what waited on others has nothing to wait on."""
    _local.fiber = _local.root = None
    for co in list(_all.values()):
        co._fiber.lose()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Factory:
    """The coroutines of the reference engine, as its hook gives them."""

    engine = NAME
    api = ENGINE_API
    switcher = "threads"
    current = staticmethod(StrandCoroutine.current)
    yield_ = staticmethod(StrandCoroutine.yield_)
    yield_to = staticmethod(StrandCoroutine.yield_to)
    park = staticmethod(StrandCoroutine.park)

    @staticmethod
    def alive() -> list[tuple[Coroutine, FrameType | None]]:
        """Those that have begun and not ended, each with its innermost frame, for dumps."""
        frames = sys._current_frames()
        found = [co for co in list(_all.values()) if co._fiber.here is not None and co._fiber.moved is not FINISHED]
        return [(co, frames.get(_ident_of(co._fiber.stack))) for co in found]

    def __call__(self, fn: Callable[..., Any], args: tuple[Any, ...], name: str | None) -> Coroutine:
        return StrandCoroutine(fn, *args, name=name)


coroutine_factory: Final = _Factory()
"""What ``kcoro_coroutine`` gives for the reference engine."""
