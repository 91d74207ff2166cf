# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a coroutine says when it refuses a call: one place, so that every engine says it alike.

Each function makes an exception and changes nothing. What libkcoro answers with -EAGAIN is WouldBlock here, and -EINVAL
is WrongState, so that a program can tell a misuse from a ValueError that a body has raised.
"""

from __future__ import annotations

from typing import Final, Protocol

from .errors import KcoroError, WouldBlock, WrongLoop, WrongState
from .semantics import COROUTINE_MOVES, CoroutineState

__all__ = ["Named", "clung", "early", "foreign", "no_result", "outside", "refusal"]

_OUTSIDE: Final = "is for the body of a coroutine, and none runs in this thread; Coroutine(fn).resume() runs one"


class Named(Protocol):
    """What is said of a coroutine; also an engine's own record of one will do."""

    @property
    def id(self) -> int:
        """Its number, from 1."""
        ...

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def state(self) -> CoroutineState:
        """Where it is now."""
        ...


def refusal(verb: str, co: Named, state: CoroutineState) -> KcoroError:
    """Why ``verb``, a key of COROUTINE_MOVES, is refused by ``co`` that is in ``state``."""
    before, after = COROUTINE_MOVES[verb]
    start = f"cannot {verb} {_who(co)}: it is {state.name}"
    if state is CoroutineState.PARKED:
        return WouldBlock(f"{start}, and becomes {after.name} only after somebody has called its unpark()")
    able = ", ".join(each.name for each in CoroutineState if each in before)
    return WrongState(f"{start}, and only {able} becomes {after.name}")


def outside(verb: str) -> WrongState:
    """Why ``verb`` is refused where no coroutine runs."""
    return WrongState(f"{verb} {_OUTSIDE}")


def foreign(co: Named) -> WrongLoop:
    """Why a thread is refused that did not first resume ``co``."""
    return WrongLoop(f"{_who(co)} belongs to the thread that first resumed it; from here, only unpark() reaches it")


def early(co: Named) -> ValueError:
    """Why a value is refused by ``co``, whose body has not begun."""
    return ValueError(f"the first resume begins {_who(co)}, whose body is given Coroutine(fn, *args) and no value")


def clung(co: Named) -> RuntimeError:
    """What became of ``co`` that was destroyed, and waits again."""
    return RuntimeError(f"{_who(co)} was to end, but its body went on after CoroutineExit and is {co.state.name} now")


def no_result(co: Named) -> KcoroError:
    """Why ``co`` has no result: it has not ended, or it was destroyed."""
    if co.state is CoroutineState.FINISHED:
        return WrongState(f"{_who(co)} was destroyed before its body returned; it has no result")
    return WouldBlock(f"{_who(co)} has not ended: it is {co.state.name}, and has a result when it is FINISHED")


def _who(co: Named) -> str:
    return f"coroutine {co.id} {co.name!r}"
