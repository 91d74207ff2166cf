# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Watched descriptors under trio: one task waits for each, and a task that waits for news may do that in its place.

Whoever asks over a link and waits for the answer would be woken by a task that was woken by the descriptor: two steps
and two turns of the loop for one message. So the asking task may *lead*: it waits for the descriptor itself, calls the
callbacks in its own step, and goes on when they have decided its operation (Leader/Followers: Schmidt et al., 2000).

    at first           loop <- task of the watch <- fd
    a task leads       loop <- that task <- fd
    then nobody does   loop <- the common task <- the common epoll <- fd

Rule 1: a watch is silent while a task leads, and from the end of that until the loop is about to wait: a task that asks
again and again has no system call more than its own wait.
Rule 2: trio knows one waiter for each descriptor, so watches that have been led wait in one epoll for all of them.
Rule 3: a lead ends when the operation is decided, by whomever; when it is cancelled, ``Operation.give_up`` decides.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import trio
from trio.lowlevel import enable_ki_protection, notify_closing, wait_readable, wait_writable

from ..unraisable import report_unraisable
from .port import AGAIN, READ
from .trio_tasks import SystemTask

if TYPE_CHECKING:
    from ..reference.waiter import Operation
    from .trio import TrioHost

__all__ = ["Watcher", "Watches"]

_CAN_LEAD: Final = hasattr(select, "epoll")


class Watches(trio.abc.Instrument):
    """What one run of trio watches, by descriptor and direction."""

    def __init__(self) -> None:
        self._all: dict[tuple[int, int], _Watch] = {}
        self._epoll: Any = None  # for watches that have been led
        self._silent: dict[_Watch, None] = {}  # of those the ones that nobody leads any more, and the epoll lacks

    def watch(self, fd: int, want: int, fn: Callable[[], object]) -> Watcher:
        """Call ``fn`` when the descriptor is ready; see ``Host.wait_fd``."""
        watch = self._all.get((fd, want))
        if watch is None:
            watch = self._all[fd, want] = _Watch(self, fd, want)
        return Watcher(watch, fn)

    def forget(self, watch: _Watch) -> None:
        """The next wait for this descriptor starts anew."""
        if self._all.get(watch.key) is watch:
            del self._all[watch.key]
            if watch.listens:
                self._remove(watch)
        self._silent.pop(watch, None)

    # -- watches that have been led

    def silence(self, watch: _Watch) -> None:
        """A task begins to lead: nobody else hears of the descriptor."""
        if watch.listens:
            self._remove(watch)
        else:
            self._silent.pop(watch, None)

    def release(self, watch: _Watch) -> None:
        """Nobody leads any more; another lead may begin before the loop waits."""
        if watch.watchers:
            self._silent[watch] = None
        else:
            self.forget(watch)

    def before_io_wait(self, timeout: float) -> None:
        """The loop is about to wait: have the common task hear of descriptors that nobody leads for."""
        if self._silent:
            for watch in self._silent:
                self._add(watch)
            self._silent.clear()

    def _add(self, watch: _Watch) -> None:
        # Closed, unseen by those who watch it, who are not told either; or the run is ending, and the epoll is closed.
        with contextlib.suppress(OSError, ValueError):
            self._epoll.register(watch.key[0], select.EPOLLIN)
            watch.listens = True

    def _remove(self, watch: _Watch) -> None:
        watch.listens = False
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(watch.key[0])

    def start_common_task(self) -> None:
        """Somebody leads for the first time."""
        if self._epoll is None:
            self._epoll = select.epoll()
            trio.lowlevel.add_instrument(self)
            SystemTask(self._wait_for_led, (), "kcoro watches")

    async def _wait_for_led(self) -> None:
        with self._epoll:
            while True:
                await wait_readable(self._epoll.fileno())
                for fd, _ in self._epoll.poll(0):
                    watch = self._all.get((fd, READ))
                    if watch is not None:
                        watch.tell()
                        if not watch.watchers:
                            self.forget(watch)


class _Watch:
    """The one wait that trio allows for a descriptor and a direction, shared by all who want to know of it."""

    def __init__(self, watches: Watches, fd: int, want: int) -> None:
        self.key = (fd, want)
        self.watchers: dict[Watcher, Callable[[], object]] = {}
        self.listens = False  # it stands in the common epoll
        self._watches = watches
        self._task: SystemTask | None = SystemTask(self._wait, (), f"kcoro watch of fd {fd}")
        self._led = False  # a task leads, until it has really left
        self._undecided: Operation | None = None  # what it waits for
        self._leader_waits = False

    async def _wait(self) -> None:
        fd, want = self.key
        wait = wait_readable if want == READ else wait_writable
        while self.watchers:
            try:
                await wait(fd)
            except (OSError, trio.ClosedResourceError, trio.BusyResourceError):
                # Closed, or another task of the program waits on it: whoever uses it next is told so, and whoever only
                # asks again is told the same, with a turn for the others in between.
                await trio.lowlevel.checkpoint()
            self.tell()
        self._watches.forget(self)

    def tell(self) -> None:
        """Call everybody who wants to know."""
        for watcher, fn in tuple(self.watchers.items()):
            try:
                if watcher in self.watchers and fn() is AGAIN:
                    continue
            except Exception as error:  # noqa: BLE001 - the other watchers are still to be told
                report_unraisable(error, f"a callback of fd {self.key[0]}")
            self.watchers.pop(watcher, None)

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._watches.forget(self)
        if self._task is not None:
            self._task.cancel()

    # -- leading

    @enable_ki_protection  # as the task of the watch has it: callbacks are not interrupted in the middle
    async def lead(self, host: TrioHost, op: Operation) -> None:
        """Park on ``op`` as ``Host.park`` does, and do the work of the watch meanwhile."""
        if self._led or not _CAN_LEAD:
            await host.park(op)
            return
        interrupt: BaseException | None = None
        self._begin(op)
        try:
            while self._undecided is not None and self.watchers:
                self._leader_waits = True
                await wait_readable(self.key[0])
                self._leader_waits = False
                self.tell()
        except (OSError, trio.ClosedResourceError, trio.BusyResourceError):
            pass  # decided by somebody else, or the descriptor is not ours any more
        except BaseException as error:
            if op.give_up():
                raise
            interrupt = error
        finally:
            decided = self._undecided is None
            self._led, self._undecided, self._leader_waits = False, None, False
            self._watches.release(self)
        if not decided:
            op.parker = host
            await host.park(op)
        if interrupt is not None and not isinstance(interrupt, trio.Cancelled):
            raise interrupt

    def _begin(self, op: Operation) -> None:
        self._led, self._undecided, op.parker = True, op, self
        if self._task is not None:
            self._watches.start_common_task()
            self._task.cancel()
            self._task = None
        self._watches.silence(self)

    def unpark(self, op: Operation) -> None:
        """The operation that somebody leads for is decided."""
        self._undecided = None
        if self._leader_waits:
            notify_closing(self.key[0])


class Watcher:
    """One callback of a watch, until it is taken back."""

    __slots__ = ("watch",)

    def __init__(self, watch: _Watch, fn: Callable[[], object]) -> None:
        self.watch = watch
        watch.watchers[self] = fn

    def cancel(self) -> bool:
        """Do not call; the last one ends the watch. False when it has been called."""
        if self.watch.watchers.pop(self, None) is None:
            return False
        if not self.watch.watchers:
            self.watch.end()
        return True
