# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where a suspended coroutine stands: follows its chain of awaits, for reports of tasks that wait.

Nothing here runs or changes a coroutine; what cannot be followed (a foreign awaitable) ends the chain.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from inspect import isasyncgen
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

__all__ = [
    "Place",
    "caller_place",
    "calling_place",
    "frames",
    "made_by_kcoro",
    "place_of",
    "running_place",
    "shown",
    "standing",
]

_PACKAGE: Final = str(Path(__file__).resolve().parent.parent)
_FACE: Final = str(Path(_PACKAGE, "channel.py"))
_HOSTS: Final = str(Path(_PACKAGE, "hosts"))
# What steps an async generator, in 'async for' or 'async with', and tells nobody which one.
_STEPS: Final = frozenset({"async_generator_asend", "async_generator_athrow"})
# Frames around a task of the program, which wait for nothing themselves.
_STARTERS: Final = frozenset({"Scope._run", "ScriptHost._drive", "SystemTask._run", "_call"})


class Place(NamedTuple):
    """A line of a program, and the function that it is in."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"at {self.file}:{self.line} in {self.function}()"


def frames(awaitable: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, the outermost first."""
    while awaitable is not None:
        if type(awaitable).__name__ in _STEPS:
            awaitable = next((held for held in gc.get_referents(awaitable) if isasyncgen(held)), None)
        frame = _first(awaitable, "cr_frame", "gi_frame", "ag_frame")
        if isinstance(frame, FrameType):
            yield frame
        elif frame is not None:
            return  # a thing of the program that answers to every name, and would do so for ever
        awaitable = _first(awaitable, "cr_await", "gi_yieldfrom", "ag_await")


def _first(thing: Any, *names: str) -> Any:
    """The first of these attributes that it has; None, where it has none or does not let itself be asked."""
    try:
        for name in names:
            if (found := getattr(thing, name, None)) is not None:
                return found
    except Exception:  # noqa: BLE001 - it is code of the program, which may raise anything
        return None
    return None


def standing(coroutine: Any, libraries: tuple[str, ...] = ()) -> tuple[str | None, Place | None]:
    """What a task waits in, and the line of the program that called it; None where that is not known.

    ``libraries`` are folders of packages that are not the program either, such as that of the loop. A wait in one of
    them is told by its function, a wait in kcoro by the operation and what it is about.
    """
    caller: FrameType | None = None
    called: FrameType | None = None
    operation: FrameType | None = None
    for frame in frames(coroutine):
        if not frame.f_code.co_filename.startswith((_PACKAGE, *libraries)):
            caller, called, operation = frame, None, None
        elif frame.f_code.co_qualname not in _STARTERS:
            called = called or frame
            if operation is None and _is_operation(frame):
                operation = frame
    where = None if caller is None else place_of(caller)
    if operation is not None:
        return f"in {operation.f_code.co_name}() of {shown(operation.f_locals['self'])}", where
    return None if called is None else f"in {_call(called)}", where


def shown(thing: object) -> str:
    """Its repr; where that fails, of which class it is and what was raised, so that a report tells all the rest."""
    try:
        return repr(thing)
    except Exception as error:  # noqa: BLE001 - it is code of the program, which may raise anything
        return f"<{type(thing).__name__}, whose repr raises {type(error).__name__}>"


def _call(frame: FrameType) -> str:
    clauses = ", ".join(map(shown, frame.f_locals.get("clauses", ())))  # of a select that its host waits for
    return f"{frame.f_code.co_name.strip('_')}({clauses})"


def _is_operation(frame: FrameType) -> bool:
    """Whether it is a method of a thing that a program waits for, and not of the host, which only parks."""
    filename = frame.f_code.co_filename
    return filename.startswith(_PACKAGE) and not filename.startswith(_HOSTS) and "self" in frame.f_locals


def place_of(frame: FrameType) -> Place:
    """The line of the program at which a frame stands."""
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def running_place(libraries: tuple[str, ...] = ()) -> Place | None:
    """The line of the program that has called into kcoro: the innermost frame that is not in this package."""
    return calling_place(sys._getframe(1), libraries)


def calling_place(frame: FrameType | None, libraries: tuple[str, ...] = ()) -> Place | None:
    """The line of the program that a frame was called from, directly or through packages that are not the program."""
    while frame is not None and frame.f_code.co_filename.startswith((_PACKAGE, *libraries)):
        frame = frame.f_back
    return None if frame is None else place_of(frame)


def caller_place() -> str:
    """``running_place`` as a text, also where there is none."""
    return str(running_place() or "somewhere")


def made_by_kcoro() -> bool:
    """Whether the channel that is being made is for kcoro itself: who called ``channel`` is in this package too."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != _FACE:
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename == _FACE:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_PACKAGE)
