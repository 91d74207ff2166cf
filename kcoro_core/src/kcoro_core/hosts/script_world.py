# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Descriptors and signals by script: a program or a test says when they are ready; callbacks run between two steps.

Any number will do for a descriptor; nothing here touches a real one, or a real signal handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .port import AGAIN, Handle

__all__ = ["ScriptedWorld"]


class ScriptedWorld:
    """What is ready, who wants to know, and which callbacks are due: ``calls``, in the order in which they fell due."""

    def __init__(self, call: Callable[[Callable[[], object]], Any]) -> None:
        self._call = call
        self._ready: set[tuple[int, int]] = set()
        self._watches: list[_Watch] = []
        self._caught: list[_Caught] = []

    def set_ready(self, fd: int, want: int, ready: bool) -> None:
        """Make ``fd`` ready for ``want`` from now on, or not ready any more."""
        if not ready:
            self._ready.discard((fd, want))
            return
        self._ready.add((fd, want))
        for watch in self._watches:
            if watch.key == (fd, want):
                self._call(watch.fire)

    def fd_ready(self, fd: int, want: int) -> bool:
        """Whether ``fd`` is ready for ``want`` at this instant."""
        return (fd, want) in self._ready

    def wait_fd(self, fd: int, want: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` when ``fd`` is ready, as long as it asks for that."""
        watch = _Watch(self, fd, want, fn)
        self._watches.append(watch)
        if self.fd_ready(fd, want):
            self._call(watch.fire)
        return watch

    def send_signal(self, signum: int) -> None:
        """Let a signal arrive for everybody who has asked for it; RuntimeError when nobody has."""
        caught = [c for c in self._caught if c.signum == signum]
        if not caught:
            raise RuntimeError(f"signal {signum} arrived, and nobody in this run has asked for it")
        for one in caught:
            self._call(one.fire)

    def on_signal(self, signum: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` at each arrival."""
        caught = _Caught(self, signum, fn)
        self._caught.append(caught)
        return caught


class _Watch:
    """One wait for a descriptor."""

    def __init__(self, world: ScriptedWorld, fd: int, want: int, fn: Callable[[], object]) -> None:
        self.world, self.key, self.fn = world, (fd, want), fn

    def fire(self) -> None:
        """Call back, unless it was taken back or the descriptor is not ready any more."""
        if not self.world.fd_ready(*self.key) or self not in self.world._watches:
            return
        if self.fn() is not AGAIN:
            self.cancel()
        elif self.world.fd_ready(*self.key):
            self.world._call(self.fire)

    def cancel(self) -> bool:
        """Take it back; False when it has been called."""
        if self not in self.world._watches:
            return False
        self.world._watches.remove(self)
        return True


class _Caught:
    """One callback for a signal."""

    def __init__(self, world: ScriptedWorld, signum: int, fn: Callable[[], object]) -> None:
        self.world, self.signum, self.fn = world, signum, fn

    def fire(self) -> None:
        """Call back, unless it was taken back."""
        if self in self.world._caught:
            self.fn()

    def cancel(self) -> bool:
        """Stop; False when it had been stopped before."""
        if self not in self.world._caught:
            return False
        self.world._caught.remove(self)
        return True
