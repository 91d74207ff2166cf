# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Signal handlers for hosts on real loops: several callbacks for each signal, and the old handler back at the end.

The C-level handler runs between two bytecodes of the main thread, wherever that is; it only hands the callback to the
loop through ``deliver``, which must be safe to call there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from ..errors import WrongLoop

__all__ = ["catch"]

_callbacks: dict[int, list[Callable[[], object]]] = {}
_previous: dict[int, Any] = {}


class _Caught:
    """One callback for one signal."""

    def __init__(self, signum: int, fn: Callable[[], object]) -> None:
        self.signum = signum
        self.fn = fn

    def cancel(self) -> bool:
        """Stop; the last one restores the handler that was there before."""
        waiting = _callbacks.get(self.signum, [])
        if self.fn not in waiting:
            return False
        waiting.remove(self.fn)
        if not waiting:
            del _callbacks[self.signum]
            previous = _previous.pop(self.signum)
            if signal.getsignal(self.signum) is _arrived:  # else the program has set one of its own meanwhile
                signal.signal(self.signum, previous)
        return True


def _arrived(signum: int, frame: object) -> None:
    for fn in list(_callbacks.get(signum, ())):
        fn()


def catch(signum: int, fn: Callable[[], object], deliver: Callable[[Callable[[], object]], object]) -> _Caught:
    """Have ``deliver(fn)`` called at each arrival of the signal.

    :raises ValueError: the system does not let anybody catch this signal.
    :raises WrongLoop: not in the main thread, where Python handles signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise WrongLoop("signals arrive in the main thread only; wait for them in a loop that runs there")

    def forward() -> None:
        deliver(fn)

    caught = _Caught(signum, forward)
    # Nothing that may fail for lack of memory stands behind what would have to be taken back then.
    if signum not in _callbacks:
        previous = signal.getsignal(signum)
        _previous[signum] = signal.SIG_DFL if previous is None else previous
        try:
            signal.signal(signum, _arrived)
        except OSError as error:
            raise ValueError(f"{signal.Signals(signum).name} cannot be caught; SIGINT, SIGTERM, SIGHUP can") from error
    _callbacks[signum] = [*_callbacks.get(signum, ()), forward]
    return caught
