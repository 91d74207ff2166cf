# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clause of signals: Ctrl-C and its kind as one more thing that a select can take."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from ..hosts.port import Handle, current_host
from .events import EventClause

if TYPE_CHECKING:
    from ..reference.waiter import Waiter

__all__ = ["Signal"]


class Signal(EventClause):
    """Ready when the process has received one of the signals; the value is its number.

    Used as a context manager it catches from entry to exit, so that nothing is missed between two waits; used bare it
    catches only while a select waits on it. Main thread only, as everywhere in Python.
    """

    def __init__(self, *signums: int) -> None:
        super().__init__()
        if not signums:
            raise ValueError("Signal needs at least one signal number, such as signal.SIGINT")
        self.signums = tuple(signal.Signals(n) for n in signums)
        self.pending: list[int] = []
        self._installed: list[Handle] = []
        # How many blocks and waits need the handlers; the last one takes them away.
        self._users = 0
        self._waiting: dict[_SignalWait, Callable[[], object]] = {}

    def __repr__(self) -> str:
        return f"Signal({', '.join(s.name for s in self.signums)})"

    def __enter__(self) -> Self:
        if not self._users:
            host = current_host()
            try:
                for signum in self.signums:
                    self._installed.append(host.on_signal(signum, partial(self._arrived, signum)))
            except BaseException:
                self._uninstall()
                raise
        self._users += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._users -= 1
        if not self._users:
            self._uninstall()

    def _uninstall(self) -> None:
        while self._installed:
            self._installed.pop().cancel()

    def _arrived(self, signum: int) -> None:
        self.pending.append(signum)
        for fn in list(self._waiting.values()):
            if not self.pending:
                return  # somebody took it; the others go on waiting for the next
            fn()

    def _ready(self, w: Waiter) -> bool:
        return bool(self.pending)

    def _happened(self, w: Waiter) -> None:
        self._win(w)  # one that cannot be won finds the signal pending, and stays subscribed for the next

    def _result(self) -> Any:
        return self.pending.pop(0)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return _SignalWait(self, fn)


class _SignalWait:
    """One wait on a Signal; the handlers stay at least as long."""

    def __init__(self, clause: Signal, fn: Callable[[], object]) -> None:
        self.clause = clause.__enter__()
        clause._waiting[self] = fn

    def cancel(self) -> bool:
        """Stop waiting."""
        if self.clause._waiting.pop(self, None) is None:
            return False
        self.clause.__exit__()
        return True
