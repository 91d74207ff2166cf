# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The port between kcoro and whatever runs its tasks: a host parks, nobody else does.

Everything above this file works on any host that fills in these methods: trio, the seeded script host, a native loop,
asyncio. A host is made for one run of one loop in one thread and is never used again after that run has ended.

Rule 1: ``park`` returns once the operation is claimed, even when the host's own cancellation arrives after the claim.
Rule 2: only ``park``, ``pause``, ``checkpoint`` and a cancelled ``cancel_point`` may suspend a task.
Rule 3: callbacks (timers, watches, signals) run on the loop's thread, between two steps of tasks, and never raise.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from ..errors import NotSupported, WrongLoop

if TYPE_CHECKING:
    from ..engine import SchedulerStats
    from ..reference.waiter import Operation
    from ..semantics import ClosedRule
    from .seen import TaskSeen

__all__ = [
    "AGAIN",
    "NOWHERE",
    "READ",
    "WRITE",
    "CancelScope",
    "Handle",
    "Host",
    "Launcher",
    "Nursery",
    "current_host",
    "find_host",
    "here",
    "register_detector",
]

READ, WRITE = 1, 2

AGAIN: Final = object()
"""What the callback of ``wait_fd`` returns to be called the next time as well."""


class Handle(Protocol):
    """Something that was asked for and can be taken back: a timer, a watched fd, a signal handler."""

    def cancel(self) -> bool:
        """Take it back: True exactly when the callback has not run and now never will (for a watch: was active)."""
        ...


class CancelScope(Protocol):
    """The host's own cancel scope, as in trio: a context manager around a block that ``cancel`` ends."""

    cancelled_caught: bool

    def __enter__(self) -> CancelScope: ...
    def __exit__(self, *exc_info: Any) -> bool | None: ...
    def cancel(self) -> None:
        """End the block: everything awaited in it is cancelled. Harmless when repeated."""
        ...


class Nursery(Protocol):
    """Structured children: leaving the block waits for them; a failure cancels the rest, leaves as ExceptionGroup."""

    @property
    def cancel_scope(self) -> CancelScope:
        """The scope around the block and all children."""
        ...

    def start_soon(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: str | None = None) -> None:
        """Start a child; it takes its first step later."""
        ...


class Launcher(Protocol):
    """What a scope uses as its method ``launch`` while it is open."""

    @property
    def running(self) -> int:
        """How many of the children that it has launched have not ended."""
        ...

    def __call__(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: str | None = None) -> Any:
        """Start a child; returns its handle at once."""
        ...


class Host:
    """One run of one loop, as seen by kcoro; subclasses fill in the methods that raise NotImplementedError.

    Each operation that completes at once spends one ``credit``; when none is left the face awaits ``pause``, which
    gives the other tasks a turn and starts again at ``quantum``. A quantum of 0 makes every operation a full checkpoint
    (strict).
    """

    name: ClassVar[str] = "?"
    nap: Callable[[float], Awaitable[None]] | None = None
    """Awaited, sleeps for so many seconds, more than 0, and is a cancel point; None: no better than timer and park."""
    plan: Callable[[list[Any], ClosedRule], Any] | None = None
    """Gives what a Selector with these clauses waits in (``start(order)``, awaited), or None; None: it never does."""

    launcher: Callable[[Any, Any, dict[Any, None]], Launcher | None] | None = None
    """Gives what a Scope, with its nursery and idle waiters, uses as ``launch``; None, or given None: its method."""

    def __init__(self, *, quantum: int = 64, seed: int | None = None) -> None:
        self.quantum = quantum
        self.credit = quantum
        self.ended = False
        self.random = random.Random(seed)

    # -- time and tasks

    def now(self) -> float:
        """Seconds on the loop's clock; only differences mean anything."""
        raise NotImplementedError

    def current(self) -> object:
        """The running task: an opaque, hashable identity; raises WrongLoop outside any task."""
        raise NotImplementedError

    def park(self, op: Operation) -> Awaitable[object]:
        """Awaited at once, suspends the running task until ``op`` is claimed. A cancel point.

        Sets ``op.task`` and starts a new quantum.

        When the host cancels the task first, ``op.give_up()`` decides: True ends the wait with the host's own
        exception; False means that somebody has claimed it (or is about to), and the wait goes on until that is known.
        """
        raise NotImplementedError

    def park_watching(self, op: Operation, watch: Handle) -> Awaitable[object]:
        """As ``park``, for a task whose operation the callback of ``watch`` is about to decide; ``wait_fd`` gave that.

        A host that can has the task wait for the descriptor itself, and call the callback in its own step: that saves a
        step and a turn of the loop. The watch goes on in any case, for everybody else.
        """
        return self.park(op)

    def unpark(self, op: Operation) -> None:
        """Make the task parked on ``op`` runnable. Called once for each claimed operation, on the loop's thread."""
        raise NotImplementedError

    def call_at(self, deadline: float, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` once when ``now() >= deadline``; equal deadlines in the order in which they were asked for."""
        raise NotImplementedError

    def cancel_point(self) -> Awaitable[object]:
        """Awaited, raise the host's cancellation if the task was cancelled; otherwise return without suspending."""
        raise NotImplementedError

    def pause(self) -> Awaitable[object]:
        """Awaited, let the other tasks run once, shielded from cancellation, and start a new quantum."""
        raise NotImplementedError

    async def spend(self) -> None:
        """Book a call that ended at once, also by an error, so that a loop of them starves nobody.

        The two ways of an element that are taken most, ``send`` and ``recv``, have this in line.
        """
        if self.credit:
            self.credit -= 1
        else:
            await self.pause()

    async def checkpoint(self) -> None:
        """A cancel point and a turn for the others, in one."""
        await self.cancel_point()
        await self.pause()

    def tasks_seen(self) -> list[TaskSeen]:
        """Every task that has not ended, with what it waits for and where, for dumps; the oldest first.

        :raises NotSupported: the host has no list of its tasks.
        """
        raise NotSupported(f"the host {self.name!r} has no list of its tasks")

    def scheduler_stats(self) -> SchedulerStats | None:
        """The counters of the scheduler that steps its tasks; None: that is none of kcoro's."""
        return None

    # -- structure

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        """Children as trio has them; errors leave as ExceptionGroup."""
        raise NotImplementedError

    def open_cancel_scope(self, *, shield: bool = False) -> CancelScope:
        """A cancel scope as trio has it: level-triggered, swallows its own cancellation."""
        raise NotImplementedError

    def spawn(self, fn: Callable[..., Awaitable[Any]], *args: Any, name: str | None = None) -> Handle:
        """Start a background task that lives at most as long as the run; ``Handle.cancel`` ends it."""
        raise NotImplementedError

    # -- the world

    def wait_fd(self, fd: int, want: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` when ``fd`` is readable (``want`` READ = 1) or writable (WRITE = 2).

        Once; or as long as it returns AGAIN, which costs much less than to ask anew each time.
        """
        raise NotImplementedError

    def fd_ready(self, fd: int, want: int) -> bool:
        """Whether ``fd`` is readable or writable at this instant; never waits."""
        raise NotImplementedError

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` at each arrival of the signal until the handle is cancelled; the old handler then returns."""
        raise NotImplementedError

    def call_from_thread(self, fn: Callable[[], object]) -> None:
        """Have ``fn`` called on the loop's thread soon; the one method that other threads may call.

        :raises WrongLoop: the run has ended, and ``fn`` will not be called.
        """
        raise NotImplementedError


class _Here(threading.local):
    """The host of the run that is active in this thread, if any operation has asked for it yet.

    A host that ends takes itself out of here, so whoever finds one may use it without looking at ``ended``.
    """

    host: Host | None = None


here = _Here()
"""Where this thread keeps the host of its run; ``find_host()`` fills it, the end of a run empties it."""

NOWHERE = Host()
"""The home of what has not waited anywhere yet: a run that is over."""
NOWHERE.ended = True

_detectors: list[Callable[[], Host | None]] = []


def register_detector(detect: Callable[[], Host | None]) -> None:
    """Let ``detect`` make the host when an operation is called in a loop that kcoro did not start itself.

    It returns None when its loop is not the one running in this thread. Called at most once in a run of a loop.
    """
    if detect not in _detectors:
        _detectors.append(detect)


def find_host() -> Host | None:
    """The host of the loop that runs in this thread, made at the first call in a run; None outside any loop."""
    host = here.host
    if host is not None:
        return host
    for detect in _detectors:
        host = detect()
        if host is not None:
            here.host = host
            return host
    return None


def current_host() -> Host:
    """The host of the loop that runs in this thread.

    :raises WrongLoop: no loop that kcoro knows is running here.
    """
    host = find_host()
    if host is None:
        raise WrongLoop(
            "no loop is running in this thread: call this inside kcoro_core.run(main) or trio.run(main), "
            "or enter from another thread through portal()"
        )
    return host
