# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A channel as simple as it can be said: two lists of waiters and one of elements, for laws to compare against.

It waits for nobody: ``send`` and ``recv`` that cannot complete leave a waiter behind, which later calls serve.
Nothing of an engine is used here, and nothing here is fast.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import ChannelClosed, WouldBlock
from ...semantics import CONFLATED, DROP_LATEST
from .shapes import Shape

__all__ = ["Model"]

Outcome = str | type[Exception]


class Model:
    """What a channel of one shape should contain, answer and count."""

    COUNTERS: ClassVar = (
        "sent",
        "received",
        "dropped",
        "handoffs",
        "length",
        "peak_length",
        "waiting_senders",
        "waiting_receivers",
        "failed_would_block",
        "failed_closed",
    )

    def __init__(self, made: Shape) -> None:
        self.made = made
        self.elements: list[Any] = []
        self.senders: list[Any] = []
        self.receivers: list[list[Any]] = []
        self.lost: list[Any] = []
        self.closed = False
        self.sent = self.received = self.handoffs = self.peak_length = 0
        self.failed_would_block = self.failed_closed = 0

    def counters(self) -> dict[str, int]:
        """The counters of a snapshot, but those for deadlines and cancellation."""
        return {
            "sent": self.sent,
            "received": self.received,
            "dropped": len(self.lost),
            "handoffs": self.handoffs,
            "length": len(self.elements),
            "peak_length": self.peak_length,
            "waiting_senders": len(self.senders),
            "waiting_receivers": len(self.receivers),
            "failed_would_block": self.failed_would_block,
            "failed_closed": self.failed_closed,
        }

    def _accept(self, value: Any) -> bool:
        """Let the channel have a value, if it can: a receiver, room, or a policy that makes room."""
        if self.receivers:
            self.receivers.pop(0).append(value)
            self.handoffs += 1
            self.received += 1
        elif len(self.elements) < self.made.limit:
            self.elements.append(value)
        elif self.made.overflow is DROP_LATEST:
            self.lost.append(value)
        elif self.made.lossy:
            self.lost.append(self.elements.pop(0))
            self.elements.append(value)
        else:
            return False
        self.sent += 1
        self.peak_length = max(self.peak_length, len(self.elements))
        return True

    def _take(self) -> Any:
        """The next value; senders move up into the room it leaves."""
        if self.elements:
            value = self.elements.pop(0)
            if self.senders:
                self._accept(self.senders.pop(0))
        else:
            value = self.senders.pop(0)
            self.sent += 1
            self.handoffs += 1
        self.received += 1
        return value

    def try_send(self, value: Any) -> Outcome:
        """What a send that does not wait should answer."""
        if self.closed:
            self.failed_closed += 1
            return ChannelClosed
        if self._accept(value):
            return "done"
        self.failed_would_block += 1
        return WouldBlock

    def try_recv(self) -> tuple[Outcome, Any]:
        """What a receive that does not wait should answer, and the element."""
        if self.elements or self.senders:
            return "done", self._take()
        if self.closed:
            self.failed_closed += 1
            return ChannelClosed, None
        self.failed_would_block += 1
        return WouldBlock, None

    def send(self, value: Any) -> bool:
        """A send that waits; True when it completed at once."""
        if self.closed:
            self.failed_closed += 1
            return True
        if self._accept(value):
            return True
        self.senders.append(value)
        return False

    def recv(self) -> list[Any] | None:
        """A receive that waits: a list into which its element comes; None when it is closed."""
        if self.elements or self.senders:
            return [self._take()]
        if self.closed:
            self.failed_closed += 1
            return None
        self.receivers.append([])
        return self.receivers[-1]

    def close(self) -> None:
        """Senders fail, and receivers too, because they wait only where nothing is left."""
        if self.closed:
            return
        self.closed = True
        self.failed_closed += len(self.senders) + len(self.receivers)
        self.senders.clear()
        self.receivers.clear()

    def cancel(self) -> None:
        """Close, and lose what is queued."""
        self.close()
        self.lost += self.elements
        self.elements.clear()

    @property
    def why(self) -> str:
        """The reason with which a full channel of this shape loses elements."""
        return "CONFLATED" if self.made.kind is CONFLATED else "OVERFLOW"
