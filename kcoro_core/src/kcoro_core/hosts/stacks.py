# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where a suspended coroutine stands: follows its chain of awaits, for reports of tasks that wait.

Nothing here runs or changes a coroutine; what cannot be followed (a foreign awaitable) ends the chain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

__all__ = ["caller_place", "frames", "made_by_kcoro", "standing"]

_PACKAGE: Final = str(Path(__file__).resolve().parent.parent)
_FACE: Final = str(Path(_PACKAGE, "channel.py"))


def frames(awaitable: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, the outermost first."""
    while awaitable is not None:
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None)
        if frame is not None:
            yield frame
        awaitable = getattr(awaitable, "cr_await", None) or getattr(awaitable, "gi_yieldfrom", None)


def standing(coroutine: Any) -> tuple[str | None, str]:
    """Where a task waits: the operation of kcoro, if it is in one, and the line of the program that called it.

    ``coroutine`` is the host's own frame around the program's, so the outermost frame does not count.
    """
    caller: FrameType | None = None
    operation: FrameType | None = None
    for depth, frame in enumerate(frames(coroutine)):
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            caller, operation = frame, None
        elif depth > 0 and operation is None and "self" in frame.f_locals:
            operation = frame
    where = "called by the host itself" if caller is None else _place(caller)
    if operation is None:
        return None, where
    return f"in {operation.f_code.co_name}() of {operation.f_locals['self']!r}", where


def _place(frame: FrameType) -> str:
    return f"at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}()"


def caller_place() -> str:
    """The line of the program that has called into kcoro: the innermost frame that is not in this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return "somewhere" if frame is None else _place(frame)


def made_by_kcoro() -> bool:
    """Whether the channel that is being made is for kcoro itself: who called ``channel`` is in this package too."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != _FACE:
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename == _FACE:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_PACKAGE)
