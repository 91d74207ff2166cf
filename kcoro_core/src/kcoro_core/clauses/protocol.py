# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a select clause is: the public protocol (rows SE1, X20).

A clause is asked up to three things for each wait, always with the same waiter ``w``:

``poll(w)``      ready now? then ``w.win()``, move the value, ``w.finish(value)`` (or ``w.fail``, ``w.shut``)
``register(w)``  not ready: have ``w`` won and finished as soon as it is; may find it ready and finish it at once
``withdraw(w)``  the wait is over, whoever won; forget ``w``; called exactly once for each ``register``

Rule 1: ``poll`` has an effect only if ``w.win()`` returned True; a clause that lost has done nothing. It may be asked
again after ``register``, when the waiter could not be won for a while (see below).
Rule 2: none of them waits, and none uses a channel of the same select.
Rule 3: after ``withdraw`` nothing of the clause refers to ``w``: losers leave no trace.

While a clause of another process is being asked for, nobody can win ``w``: an event that comes then must be found by
the next ``poll(w)``, and a clause that was told of it must still hear of the one after.

A clause may have three attributes: ``sending`` and ``value``, which its waiter shows to partners, and ``engine``, the
name of the engine whose waiters it needs. Those of a clause without them are False, None and None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..reference.waiter import Waiter

__all__ = ["Clause"]


class Clause(Protocol):
    """What ``select`` needs of a clause; write your own by filling in these three methods."""

    sending: bool
    value: Any
    engine: str | None

    def poll(self, w: Waiter) -> bool:
        """True when the wait is decided now: this clause was ready and won, or it ended the select."""
        ...

    def register(self, w: Waiter) -> None:
        """Have ``w`` won when this clause becomes ready."""
        ...

    def withdraw(self, w: Waiter) -> None:
        """Forget ``w``."""
        ...
