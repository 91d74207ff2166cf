# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Requests of a peer that wait in channels of this process, each as an operation in the same queue as those of tasks.

The parker of such an operation is not a host but the answer that goes back, so the channel knows no difference.

Rule 1: each operation that is parked here has a request that waits for it, and the other way round.
Rule 2: while too much travels to the peer its receives keep their places, passed over: they are being claimed, by
nobody. Then each is served as if it came now, in the order in which they stand here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from attrs import define

from ..engine import CLOSED, WOULD_BLOCK
from ..reference.waiter import Operation
from ..semantics import CANCELLED, TIMED_OUT
from ..wire import events
from ..wire.messages import FOREVER_MS
from .bound import Bound

if TYPE_CHECKING:
    from .home import Home

__all__ = ["WOULD_WAIT", "ParkedRequests"]

WOULD_WAIT = {True: "no receiver waits and there is no room", False: "there is nothing to receive"}
"""Why a try was refused, by whether it sends."""


@define(eq=False)
class _Parked:
    """One request of the peer that waits in a channel; the parker of its operation. ``deadline`` by our clock."""

    requests: ParkedRequests
    bound: Bound
    request_id: int
    deadline: float
    is_try: bool
    size: int = 0  # of the element that is offered

    def unpark(self, op: Operation) -> None:
        """The channel has decided; runs in the step of whoever decided it."""
        self.requests.decided(self, op)


class ParkedRequests:
    """What waits in channels for one peer, by the ids of its requests."""

    def __init__(self, home: Home, now: Callable[[], float]) -> None:
        self._home = home
        self._now = now
        self._parked: dict[int, tuple[_Parked, Operation]] = {}

    def __len__(self) -> int:
        return len(self._parked)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._parked))

    @property
    def receives(self) -> list[int]:
        """The ids of those that receive."""
        return [request_id for request_id, (_, op) in self._parked.items() if not op.sending]

    def park(
        self, bound: Bound, asked: events.SendRequested | events.RecvRequested, sending: bool, value: object
    ) -> None:
        """Have a request wait that cannot be carried out now; a try is refused, unless the channel can say later."""
        patience = math.inf if asked.timeout_ms == FOREVER_MS else (asked.timeout_ms - 1) / 1000
        parked = _Parked(self, bound, asked.request_id, self._now() + patience, asked.timeout_ms == 0)
        op = bound.channel._engine.select.operation(parked, sending, value)
        if sending:
            parked.size = len(op.value)
        if self._home.holding and not sending:
            op.begin_claim(0)
            bound.core.enqueue(op)
        elif not parked.is_try:
            bound.core.enqueue(op)
        elif not bound.ask(op):
            bound.refuse_try(asked.request_id, WOULD_WAIT[sending])
            return
        self._parked[asked.request_id] = (parked, op)

    def park_ahead(self, bound: Bound, request_id: int) -> None:
        """Have a receive wait in the channel, where nobody is served before the peer has returned what it has."""
        parked = _Parked(self, bound, request_id, math.inf, is_try=False)
        op = bound.channel._engine.select.operation(parked, False, None)
        self._parked[request_id] = (parked, op)
        bound.core.enqueue(op)

    def decided(self, parked: _Parked, op: Operation) -> None:
        """A parked operation was matched, or its channel closed: answer."""
        del self._parked[parked.request_id]
        if op.error is not None:
            parked.bound.refuse_closed(parked.request_id)
        elif op.claim == TIMED_OUT:  # a try that had to wait for the end of another link
            parked.bound.refuse_try(parked.request_id, WOULD_WAIT[op.sending])
        elif op.sending:
            if parked.bound.lent is not None:
                parked.bound.lent.note_cost(parked.size)
            self._home.wire.done(parked.request_id)
        else:
            self._home.push(parked.bound, parked.request_id, op.value)
        self._home.flush()

    def withdraw(self, request_id: int) -> bool:
        """Take a parked request out of its channel; False when it is not parked."""
        parked, op = self._parked.pop(request_id, (None, None))
        if parked is None or op is None:
            return False
        parked.bound.core.withdraw(op)
        # CANCEL does not say why; the time hint does, to the millisecond in which it was rounded up.
        parked.bound.core.count_failure(TIMED_OUT if self._now() >= parked.deadline else CANCELLED)
        return True

    # -- while too much travels unconfirmed

    def hold(self) -> None:
        """Have channels pass receives over; they keep their places."""
        for _, op in self._parked.values():
            if not op.sending:
                op.begin_claim(0)

    def go_on(self) -> None:
        """Serve receives that were passed over, as long as the home does not hold again."""
        held = [pair for pair in self._parked.values() if not pair[1].sending]
        for parked, op in held:
            if self._home.holding:  # enough again
                break
            if op.end_claim():
                self._serve(parked, op)

    def _serve(self, parked: _Parked, op: Operation) -> None:
        """A receive may be served again: look whether something is there that it was passed over for."""
        bound = parked.bound
        value = bound.core.recv_now()
        if value is WOULD_BLOCK and not parked.is_try:
            return
        bound.core.withdraw(op)
        if value is WOULD_BLOCK and bound.ask(op):
            return
        del self._parked[parked.request_id]
        if value is WOULD_BLOCK:
            bound.refuse_try(parked.request_id, WOULD_WAIT[False])
        elif value is CLOSED:
            bound.refuse_closed(parked.request_id)
        else:
            self._home.push(bound, parked.request_id, value)
