# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Coroutines with stacks of their own, as one thread sees them: their states, who resumed whom, what they hand over.

A resume is a call: whoever resumes waits, and is where a yield, a park or the end goes back to. ``yield_to`` hands that
place on. So those that run in a thread are a chain, of which only the last moves; ``Here`` knows it.

Rule 1: no thread and no lock here. Stacks are passed in: a ``Baton`` stops one stack and lets another go on.
Rule 2: only the thread to which a coroutine belongs writes its state. Others leave or take marks in its ``Meeting``.
Rule 3: what waits on a stack refers to fibers and never to a ``Coroutine``, so that one that is dropped is found.
Rule 4: from before the first change of a state until the arrival ``switching`` is set, and nothing else may switch
here, not even a finalizer: the collector may run anywhere, and find a coroutine to destroy.

Twin: csrc/coroutine.c, where a switch of registers takes the place of the baton.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import CoroutineExit
from ..refusals import clung, early, foreign, no_result, outside, refusal
from ..semantics import COROUTINE_MOVES, CoroutineState

__all__ = ["Baton", "Fiber", "Here", "Letter", "Meeting", "Stack"]

CREATED, READY, RUNNING, SUSPENDED, PARKED, FINISHED = CoroutineState


class Baton(Protocol):
    """What one stack waits for, and another gives."""

    def give(self) -> None:
        """Let whoever waits for it go on, or the next that does."""
        ...

    def wait(self) -> BaseException | None:
        """Return once it was given; with an error, if one came in from elsewhere that is for whoever goes on now."""
        ...


class Stack(Protocol):
    """A stack that runs ``Fiber.main`` of one fiber."""

    @property
    def baton(self) -> Baton:
        """What it waits for whenever it does not run."""
        ...

    def start(self) -> None:
        """Begin, which means to wait for the baton; an error leaves nothing behind."""
        ...

    def join(self) -> None:
        """Wait until the function has returned; called when its last word has come."""
        ...


class Letter:
    """What goes along with a switch: a value, or an error to be raised there."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error

    def open(self) -> Any:
        """The value; or raises the error."""
        if self.error is None:
            return self.value
        try:
            raise self.error
        finally:
            del self  # or the error would hold this frame, and this frame the error


class Meeting:
    """Where park and unpark meet, whichever thread they come from, without a lock.

    Each side leaves its mark first and looks for the other's then, so that one of them sees both; and a mark can be
    taken once only.
    """

    __slots__ = ("_parking", "_permit")

    def __init__(self) -> None:
        # Both hold at most one mark that counts. Appending and popping are single steps, also without a GIL.
        self._permit: deque[None] = deque()
        self._parking: deque[None] = deque()

    @property
    def waits(self) -> bool:
        """Whether somebody has parked, and nobody has unparked it."""
        return bool(self._parking)

    def park(self) -> bool:
        """Announce a park; False when it must not stop, because it was unparked before."""
        if self._take_permit():
            return False
        self._parking.append(None)
        if self._permit and self.call_off():
            self._take_permit()
            return False
        return True

    def unpark(self) -> bool:
        """Take the mark of a park; False when there was none, and the next park finds a permit."""
        if not self.call_off():
            self._permit.append(None)
            if not self.call_off():
                return False
            self._take_permit()
        return True

    def call_off(self) -> bool:
        """Take the mark of a park, if there is one; True for exactly one of those who try."""
        return _took(self._parking)

    def _take_permit(self) -> bool:
        had = _took(self._permit)
        if had:
            self._permit.clear()  # several are one, also those that come now: their park has not returned yet
        return had


def _took(marks: deque[None]) -> bool:
    try:
        marks.pop()
    except IndexError:
        return False
    return True


class Here:
    """One thread: who of its coroutines runs, and what is under way between two of them."""

    def __init__(self, baton: Baton, stack: Callable[[Fiber], Stack], alive: Callable[[], bool]) -> None:
        self.baton = baton
        self.stack = stack
        self.alive = alive
        self.current: Fiber | None = None
        self.switching = False
        # Coroutines that were dropped where nothing could be switched; they are destroyed after the next switch.
        self.dropped: deque[Any] = deque()
        self._letter = Letter()
        self._ended: Stack | None = None

    def go(self, me: Fiber | None, to: Fiber | None, letter: Letter) -> Any:
        """Stop ``me`` and let ``to`` go on, None being the thread itself; returns, or raises, when ``me`` goes on."""
        own = self.baton if me is None else me.stack_in_use().baton
        self.depart(me, to, letter)
        here = self
        try:
            interrupted = own.wait()
            here = self if me is None else me.home()  # it may be another's by now, if this thread has ended
            if interrupted is not None:
                here._letter = Letter(error=interrupted)
            return here.arrive()
        finally:
            here.switching = False  # also when a signal handler has raised in between

    def depart(self, me: Fiber | None, to: Fiber | None, letter: Letter) -> None:
        """Let ``to`` go on. Whoever calls this waits, or ends, at once."""
        assert self.switching
        self._letter = letter
        if me is not None and me.state is not RUNNING:
            me.handle = None  # perhaps the last reference; it goes to ``dropped`` then, as we are switching
        self._ended = me.stack if me is not None and me.state is FINISHED else None
        self.current = to
        (self.baton if to is None else to.stack_in_use().baton).give()

    def arrive(self) -> Any:
        """What has come along, on the side that goes on."""
        letter, self._letter = self._letter, Letter()
        ended, self._ended = self._ended, None
        self.switching = False
        if ended is not None:
            ended.join()
        while self.dropped:
            self.dropped.popleft().end_unseen()
        return letter.open()


class Fiber:
    """What there is of a coroutine besides the object that programs have: its body, its state, its place in the chain.

    ``handle`` is that object while the coroutine runs, and None while it waits.
    """

    __slots__ = (
        "_unbound",
        "body",
        "context",
        "handle",
        "here",
        "id",
        "meeting",
        "moved",
        "name",
        "outcome",
        "resumer",
        "stack",
    )

    def __init__(self, number: int, fn: Callable[..., Any], args: tuple[Any, ...], name: str | None) -> None:
        self.id = number
        self.name = name if name is not None else getattr(fn, "__qualname__", type(fn).__qualname__)
        self.body: tuple[Callable[..., Any], tuple[Any, ...]] | None = (fn, args)
        self.context = contextvars.copy_context()
        self.moved = CREATED
        self.meeting = Meeting()
        self.outcome: Letter | None = None
        self.resumer: Fiber | None = None
        self.here: Here | None = None
        self.stack: Stack | None = None
        self.handle: Any = None
        # Whoever takes this mark decides whether the body begins: of two threads, one.
        self._unbound: deque[None] = deque([None])

    @property
    def state(self) -> CoroutineState:
        """PARKED becomes READY by the mark that an unpark has taken, so that no other thread writes a state."""
        return READY if self.moved is PARKED and not self.meeting.waits else self.moved

    # -- from outside

    def resume(self, here: Here, handle: Any, value: Any) -> Any:
        """Run until it yields, parks or ends."""
        self._admit("resume", here, value)
        return self._enter(here, handle, Letter(value))

    def throw(self, here: Here, handle: Any, error: BaseException) -> Any:
        """Run, beginning with that error."""
        self._admit("throw", here)
        if self.moved is CREATED:
            self._never_begin(Letter(error=error))
            raise error
        return self._enter(here, handle, Letter(error=error))

    def destroy(self, here: Here, handle: Any) -> None:
        """End it, by a CoroutineExit where it waits."""
        if self.moved is CREATED and self._never_begin(None):
            return
        if self.here is not None and self.here is not here and not self.here.alive():
            self.here = here  # nobody else can end it any more
        if self.moved is FINISHED:
            return
        self._admit("destroy", here)
        self._enter(here, handle, Letter(error=CoroutineExit()))
        if self.moved is not FINISHED:
            raise clung(self)

    def result(self) -> Any:
        """What the body returned, or raises what it raised."""
        if self.moved is not FINISHED or self.outcome is None:
            raise no_result(self)
        return self.outcome.open()

    # -- from the body

    def yield_(self, value: Any) -> Any:
        """Go back to whoever resumed this one."""
        return self._leave(SUSPENDED, value)

    def park(self) -> Any:
        """Go back to whoever resumed this one, and wait to be unparked."""
        return self._leave(PARKED, None) if self.meeting.park() else None

    def yield_to(self, other: Fiber, handle: Any, value: Any) -> Any:
        """Go on in ``other``, which takes over whoever resumed this one."""
        here = self.home()
        other._admit("yield_to", here, value)
        other._bind(here)
        here.switching = True
        other.resumer, self.resumer = self.resumer, None
        self.moved = SUSPENDED
        other._run(handle)
        return here.go(self, other, Letter(value))

    def main(self) -> None:
        """What its stack runs: the body, once it was resumed for the first time."""
        self.stack_in_use().baton.wait()
        outcome = self._body()
        here = self.home()
        here.switching = True
        self.outcome = outcome
        self.moved = FINISHED
        to, self.resumer = self.resumer, None
        here.depart(self, to, Letter() if self.outcome is None else self.outcome)

    # -- inside

    def _admit(self, verb: str, here: Here, value: Any = None) -> None:
        """Raise unless that may be done with it, from here and now."""
        if self.here is not None and self.here is not here:
            raise foreign(self)
        state = self.state
        if state not in COROUTINE_MOVES[verb][0]:
            raise refusal(verb, self, state)
        if state is CREATED and value is not None:
            raise early(self)

    def _enter(self, here: Here, handle: Any, letter: Letter) -> Any:
        self._bind(here)
        here.switching = True
        self.meeting.call_off()
        self.resumer = here.current
        self._run(handle)
        return here.go(self.resumer, self, letter)

    def _run(self, handle: Any) -> None:
        self.handle = handle
        self.moved = RUNNING

    def _leave(self, state: CoroutineState, value: Any) -> Any:
        here = self.home()
        here.switching = True
        to, self.resumer = self.resumer, None
        self.moved = state
        return here.go(self, to, Letter(value))

    def _bind(self, here: Here) -> None:
        """Make it one of this thread, with a stack, unless it is already."""
        if self.here is here:
            return
        if self.here is not None or not _took(self._unbound):
            raise foreign(self)  # another thread has begun it since we looked
        self.here, self.stack = here, here.stack(self)
        try:
            self.stack.start()
        except BaseException:
            self.here = self.stack = None
            self._unbound.append(None)
            raise

    def _never_begin(self, outcome: Letter | None) -> bool:
        """End it before its body begins; False when another thread has begun it meanwhile."""
        if not _took(self._unbound):
            return False
        self.outcome = outcome
        self.moved = FINISHED
        self.body = None
        return True

    def _body(self) -> Letter | None:
        """Run the body; what came of it, or None when it was destroyed."""
        assert self.body is not None
        (fn, args), self.body = self.body, None
        try:
            self.home().arrive()
            return Letter(self.context.run(fn, *args))
        except CoroutineExit:
            return None
        except BaseException as error:  # noqa: BLE001 - it goes to whoever resumed this one
            return Letter(error=error)

    def home(self) -> Here:
        """The thread that it belongs to; only what has begun has one."""
        assert self.here is not None
        return self.here

    def stack_in_use(self) -> Stack:
        """Its stack; only what has begun has one."""
        assert self.stack is not None
        return self.stack

    def lose(self) -> None:
        """Note that its stack is gone, and with it what its body owned."""
        if self.moved is not CREATED:
            self.moved = FINISHED


def running(here: Here, verb: str) -> Fiber:
    """The coroutine that runs in this thread, for a call that only its body may make."""
    if here.current is None:
        raise outside(verb)
    return here.current
