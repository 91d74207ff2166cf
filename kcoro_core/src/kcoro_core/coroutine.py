# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Coroutines with stacks of their own: plain functions that stop in the middle of any call, and go on later::

    CREATED --resume--> RUNNING --yield_, yield_to--> SUSPENDED --resume--> RUNNING
                                --park--> PARKED --unpark--> READY --resume--> RUNNING
                                --its body ends--> FINISHED

Here stands the face that programs use; an engine does the rest (``CoroutineFactory`` in ``engine.py``), and
``refusals.py`` has the words of its errors.

Rule 1: whoever resumes a coroutine waits until it yields, parks or ends; there is no scheduler here. It stays RUNNING
meanwhile, if it is a coroutine itself.
Rule 2: an unpark is never lost: one that comes before the park makes the park return at once. Several are one.
Rule 3: a coroutine belongs to the thread that first resumes it; any thread may unpark it.
Rule 4: a call that is refused changes nothing.

Twin: kcoro/coroutine.h of libkcoro, whose 0, -EAGAIN and -EINVAL are here a return, WouldBlock and WrongState.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from . import plugins
from .errors import WrongState
from .refusals import outside

if TYPE_CHECKING:
    from .engine import CoroutineFactory
    from .semantics import CoroutineState

__all__ = ["Coroutine"]


class Coroutine:
    """A function with a stack of its own. Made CREATED; ``resume`` begins it, in a copy of the context of now.

    ``fn(*args)`` may yield and park from any depth of calls, through functions that know nothing of it. Its own calls
    are static, for they are about whoever runs: ``Coroutine.yield_``, ``yield_to``, ``park`` and ``current``.

    One that nobody refers to any more is destroyed, when it waits. What its own body refers to counts: a body that
    keeps its own coroutine in a variable keeps it alive.

    :raises TypeError: ``fn`` is not callable, or ``name`` no text.
    :raises NotSupported: the engine that KCORO_ENGINE names has no coroutines here.
    """

    __slots__ = ()

    def __new__(cls, fn: Callable[..., Any], /, *args: Any, name: str | None = None) -> Coroutine:
        if cls is not Coroutine:
            raise TypeError(f"{cls.__qualname__} is made by its engine; Coroutine(fn, *args) makes one")
        if not callable(fn):
            raise TypeError(f"the body of a coroutine is a function, not {fn!r}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a coroutine is a text, not {name!r}")
        return plugins.coroutine()(fn, args, name)

    def __init__(self, fn: Callable[..., Any], /, *args: Any, name: str | None = None) -> None:
        """Nothing is left to do: the engine has made it, ready to be resumed."""

    # -- from outside

    def resume(self, value: Any = None) -> Any:
        """Have it run until it yields, parks or ends; ``state`` says which.

        ``value`` is what the call returns in which it waits. The first resume begins the body and takes none.

        :returns: what it yields; None when it has parked; what its body returned.
        :raises WouldBlock: it is PARKED; somebody has to ``unpark`` it first.
        :raises WrongState: it is RUNNING or FINISHED.
        :raises WrongLoop: it belongs to another thread.
        :raises ValueError: a value for a body that has not begun.
        :raises BaseException: what its body raised; it is FINISHED then.
        """
        raise NotImplementedError

    def throw(self, error: BaseException) -> Any:
        """As ``resume``, and the call in which it waits raises ``error``; so also a parked one is called off.

        A body that has not begun never does: the coroutine is FINISHED then, and ``error`` is raised here.

        :raises WrongState: it is RUNNING or FINISHED.
        :raises WrongLoop: it belongs to another thread.
        :raises TypeError: ``error`` is no exception.
        """
        raise NotImplementedError

    def unpark(self) -> bool:
        """Let a parked coroutine go on, or have its next park return at once. From any thread and any coroutine.

        :returns: True: it was PARKED and is READY now, so that somebody has to resume it. False: it was not parked,
            and will not stop at its next park.
        """
        raise NotImplementedError

    def destroy(self) -> None:
        """End it: ``CoroutineExit`` is raised in its body where it waits, and its ``finally`` blocks run.

        A body that has not begun never does. One that has ended is left as it is.

        :raises RuntimeError: the body has yielded or parked instead of ending, and waits there; destroy it again.
        :raises WrongState: it is RUNNING.
        :raises WrongLoop: it belongs to another thread, and its body waits.
        :raises BaseException: what its body raised instead; it is FINISHED all the same.
        """
        raise NotImplementedError

    # -- from the body

    @staticmethod
    def current() -> Coroutine | None:
        """The coroutine that runs in this thread, or None.

        :raises WrongState: those of two engines run here, one inside of the other.
        """
        running = _running()
        return None if running is None else running.current()

    @staticmethod
    def yield_(value: Any = None) -> Any:
        """Give ``value`` to whoever resumed this coroutine, and let that go on.

        :returns: what the next resume was given.
        :raises WrongState: outside of a coroutine.
        """
        return _own("yield_").yield_(value)

    @staticmethod
    def yield_to(other: Coroutine, value: Any = None) -> Any:
        """Go on in ``other``, which is given ``value``; it comes back to whoever resumed this one.

        :returns: what the next resume of this one was given.
        :raises WouldBlock: ``other`` is PARKED.
        :raises WrongState: ``other`` is RUNNING or FINISHED; or outside of a coroutine.
        :raises WrongLoop: ``other`` belongs to another thread.
        :raises ValueError: a value for a body that has not begun.
        """
        return _own("yield_to").yield_to(other, value)

    @staticmethod
    def park() -> Any:
        """Give None to whoever resumed this coroutine, and wait until somebody unparks and resumes it.

        :returns: what that resume was given; None, at once, when it had been unparked before it could stop.
        :raises WrongState: outside of a coroutine.
        """
        return _own("park").park()

    # -- what it is

    @property
    def state(self) -> CoroutineState:
        """Where it is, as it was a moment ago where other threads have it."""
        raise NotImplementedError

    def result(self) -> Any:
        """What its body returned; what its body raised is raised again.

        :raises WouldBlock: it has not ended.
        :raises WrongState: it was destroyed, so that its body has returned nothing.
        """
        raise NotImplementedError

    @property
    def id(self) -> int:
        """Its number, from 1, never given twice by an engine in a process."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Its name, for people; that of its function, if it was not given one. It may be renamed at any time."""
        raise NotImplementedError

    @name.setter
    def name(self, name: str) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<coroutine {self.id} {self.name!r} {self.state.name.lower()}>"


# ---------------------------------------------------------------------------------------------------------------------
# Whose coroutine runs
# ---------------------------------------------------------------------------------------------------------------------


def _running() -> CoroutineFactory | None:
    """The factory whose coroutine runs in this thread."""
    there_are = plugins.switchers()
    if len(there_are) == 1:  # as nearly always, and then it is asked for each yield
        return there_are[0] if there_are[0].current() is not None else None
    running = [factory for factory in there_are if factory.current() is not None]
    if len(running) > 1 and len({id(factory.current()) for factory in running}) > 1:
        engines = " and ".join(sorted(factory.engine for factory in running))
        raise WrongState(f"coroutines of the engines {engines} run in this thread; call it on the one that is meant")
    return running[0] if running else None


def _own(verb: str) -> CoroutineFactory:
    running = _running()
    if running is None:
        raise outside(verb)
    return running


_ASKING: Final = {verb: Coroutine.__dict__[verb] for verb in ("current", "yield_", "yield_to", "park")}
"""The functions above, which ask whose coroutine runs."""


def _answer(there_are: list[CoroutineFactory]) -> None:
    """While there is one engine nothing is to be asked: then its own functions stand in the class."""
    for verb, asking in _ASKING.items():
        setattr(Coroutine, verb, staticmethod(getattr(there_are[0], verb)) if len(there_are) == 1 else asking)


plugins.watch_switchers(_answer)
