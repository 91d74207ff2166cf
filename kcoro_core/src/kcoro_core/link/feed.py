# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's end of a lossy handle: takes each value of a CONFLATED channel, and sends it without being asked.

    waits in the channel --value--> sent, as a datagram if it fits --taken by the medium--> waits in the channel
             |                                    |
             +-- closed and drained: the end      +-- newest for QUIET seconds: repeated as a frame, once

Rule 1: it is one receiver among others: each value goes to one of them, in the order in which they wait.
Rule 2: it takes no value before the medium has the one before it; meanwhile newer ones replace each other in the
channel, which reports them as ever. So what waits here is one value, and it is never far behind the newest.
Rule 3: nothing is taken in the middle of a step of the channel, but by whoever finds it waiting there.
Rule 4: the newest value arrives surely, though late: once nothing newer has followed, and in front of the end, it goes
as a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..engine import CLOSED, WOULD_BLOCK
from ..semantics import WAITING
from ..wire.codes import WireCode, code_of
from ..wire.hello import charge
from ..wire.lossy import OVERHEAD
from .bound import unfit

if TYPE_CHECKING:
    from ..hosts.port import Handle
    from ..reference.waiter import Operation
    from .bound import Bound
    from .home import Home

__all__ = ["QUIET", "Feed"]

QUIET: Final = 0.25
"""Seconds without a newer value after which the newest, which may be lost, is repeated."""


class Feed:
    """One lossy handle of the peer; the parker of the operation that waits in its channel.

    ``limit()`` tells how many bytes the largest datagram has now.
    """

    def __init__(self, home: Home, bound: Bound, limit: Callable[[], int]) -> None:
        self.ended = False
        self._home = home
        self._bound = bound
        self._limit = limit
        self._op: Operation | None = None
        self._busy = False  # the medium has not taken the last one
        self._unwritten: Any = None  # that one, which goes back if it never will
        self._held_bytes = 0  # by ``charge``, of a frame that waits to be written
        self._began = False
        self._newest: bytes | None = None  # if it went as a datagram, and was not repeated
        self._sent_at = 0.0
        self._repeating = False  # a repeated one is not written
        self._quiet: Handle | None = None
        self._soon: Handle | None = None

    # -- values

    def go_on(self) -> None:
        """Take the value that is there, or wait for one; called between two steps of the channel."""
        op, core = self._op, self._bound.core
        if self.ended or self._busy or self._home.holding or (op is not None and op.claim == WAITING):
            return
        if op is not None:
            op.end_claim()
        value = core.recv_now()
        if value is WOULD_BLOCK:
            if op is None:
                self._op = self._bound.channel._engine.select.operation(self, False, None)
                core.enqueue(self._op)
            return
        if op is not None:
            core.withdraw(op)
            self._op = None
        if value is CLOSED:
            self._drained()
        else:
            self._send(value)

    def hold(self) -> None:
        """So much travels to the peer that it gets nothing more before ``go_on``: it keeps its place, passed over."""
        if self._op is not None:
            self._op.begin_claim(0)

    def unpark(self, op: Operation, /) -> None:
        """A value was handed over, or the channel closed; in the middle of a step of the channel."""
        self._op = None
        if op.error is not None:
            self._drained()
        else:
            self._send(op.value)

    def _send(self, value: Any) -> None:
        bound = self._bound
        if (error := unfit(value, bound.max_message)) is not None:
            self._put_back(value)
            self.end(code_of(error), str(error.args[0]))
            return
        element = value if isinstance(value, bytes) else bytes(value)
        # The first as a frame: datagrams could come in front of the answer to OPEN, where nobody expects them yet.
        whole = not self._began or len(element) + OVERHEAD > self._limit()
        self._began = self._busy = True
        self._unwritten = value
        self._newest = None if whole else element
        if whole:
            self._held_bytes = charge(len(element))
            self._home.carry(self._held_bytes)
        else:
            self._note_time()
        if bound.wire.send_lossy(bound.id, element, whole, self._written):
            self._home.flush()
        else:
            self.stop()  # the link is ending: nobody is left to hear it

    def _written(self) -> None:
        """The medium has taken it; maybe in the middle of a step of the channel, so that the next is taken later."""
        self._busy = False
        self._unwritten = None
        if not self.ended and self._soon is None:
            self._soon = self._home.call_later(0, self._go_on_soon)

    def _go_on_soon(self) -> None:
        self._soon = None
        self._put_down()
        self.go_on()

    def _put_down(self) -> None:
        """The frame that was held is with the medium, or goes nowhere."""
        held, self._held_bytes = self._held_bytes, 0
        if held:
            self._home.carry(-held)

    # -- the newest

    def _note_time(self) -> None:
        self._sent_at = self._home.now()
        if self._quiet is None:
            self._quiet = self._home.call_later(QUIET, self._look_quiet)

    def _look_quiet(self) -> None:
        """Timers are set once and not for each value, so this one may be early."""
        left = self._sent_at + QUIET - self._home.now()
        self._quiet = None
        if self._newest is None or self.ended:
            return
        if left > 0 or self._busy or self._repeating:
            self._quiet = self._home.call_later(max(left, QUIET / 2), self._look_quiet)
            return
        self._repeat()
        self._home.flush()

    def _repeat(self) -> None:
        element, self._newest = self._newest, None
        if element is not None:
            self._repeating = self._bound.wire.repeat_lossy(self._bound.id, element, self._repeated)

    def _repeated(self) -> None:
        self._repeating = False

    # -- the end

    def _drained(self) -> None:
        self._bound.tell_closed()
        self.end(WireCode.EPIPE, "the channel is closed")

    def end(self, code: WireCode, text: str) -> None:
        """Tell the peer that nothing follows, behind the newest value; harmless the second time."""
        if not self.ended:
            self._repeat()
            self._bound.wire.end_lossy(self._bound.id, code, text)
            self._unwritten = None  # it stands in front of that
            self.stop()
            self._home.flush()

    def stop(self) -> None:
        """The handle or the link is over, or the end was told: leave the channel. What was not written goes back."""
        self.ended = True
        op, self._op = self._op, None
        if op is not None:
            self._bound.core.withdraw(op)
        for timer in (self._quiet, self._soon):
            if timer is not None:
                timer.cancel()
        self._quiet = self._soon = self._newest = None
        self._put_down()
        unwritten, self._unwritten = self._unwritten, None
        if unwritten is not None:
            self._put_back(unwritten)

    def _put_back(self, value: Any) -> None:
        self._bound.core.hand_out()
        self._bound.core.settle(1, [value])
