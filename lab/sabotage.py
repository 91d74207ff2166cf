# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into production objects, to show that the labs can fail. Production code knows nothing of this.

Rule: a fault is planted for the length of a block, and everything is as it was afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

from kcoro_core.link.hints import Hint
from kcoro_core.reference import channel as reference_channel
from kcoro_core.reference.waiter import Arm, Operation
from kcoro_core.semantics import WAITING, limit_of
from kcoro_core.wire.outbox import Entry, Outbox

__all__ = ["FAULTS", "planted"]

_next = Outbox._next


def _first_comes_first(box: Any) -> Entry:
    """Whoever has frames keeps the turn for as long as he has some."""
    for lane in list(box._ring.values())[:1]:
        box._in_turn = True
        lane.deficit = math.inf
    return _next(box)


def _generous(kind: Any, capacity: int | None) -> float:
    """A channel takes four times what it has room for."""
    return 4 * limit_of(kind, capacity)


def _stays(core: Any, waiter: Any) -> bool:
    """A waiter that is withdrawn stays in its queue."""
    return True


def _blind(waiter: Any, value: Any = None) -> bool:
    """Whatever became of an operation before, it is won again, and the value goes to nobody."""
    op = getattr(waiter, "op", waiter)
    if op.claim == WAITING:
        op.claim = getattr(waiter, "index", 0)
        op.finish(value)
    return True


def _grants(stack: ExitStack) -> None:
    """A claim of a select over a link that came too late is granted all the same, with what another has got."""
    granted, last = Hint.granted, WeakKeyDictionary[Any, Any]()

    def remembered(hint: Hint, request_id: int, value: Any) -> None:
        if not hint.sending:
            last[hint.registration.bound.channel] = value
        granted(hint, request_id, value)

    def again(hint: Hint, request_id: int) -> None:
        hint.release()
        granted(hint, request_id, last.get(hint.registration.bound.channel, b"nothing"))

    stack.enter_context(mock.patch.object(Hint, "granted", remembered))
    stack.enter_context(mock.patch.object(Hint, "deny", again))


def _fairness(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(Outbox, "_next", _first_comes_first))


def _credits(stack: ExitStack) -> None:
    stack.enter_context(mock.patch.object(reference_channel, "limit_of", _generous))


def _claim(stack: ExitStack) -> None:
    """What is withdrawn stays, and what is over is won again."""
    stack.enter_context(mock.patch.object(reference_channel.Channel, "withdraw", _stays))
    for waiter in (Operation, Arm):
        stack.enter_context(mock.patch.object(waiter, "complete", _blind))
    _grants(stack)


FAULTS: dict[str, Callable[[ExitStack], None]] = {
    "fairness": _fairness,
    "credits": _credits,
    "claim": _claim,
    "grants": _grants,
}
"""What can be planted: turns that never end, room that is not there, a claim that is won twice, here or at a home."""


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Plant this fault, if any, for the length of the block."""
    with ExitStack() as stack:
        if name is not None:
            FAULTS[name](stack)
        yield
