# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements of a channel of this side that a peer may have ahead of its receives.

The receives of that peer stand here in their order, and not in the channel: what is queued there goes to the oldest of
them, and keeps its slot until the peer has confirmed it.

Rule 1: while one peer keeps elements, nobody else is served; the first other receiver recalls them, once.
Rule 2: from the recall on nothing is sent to those that stand; they wait in the channel, in front of that receiver, and
those that the peer does not cancel in front of its RETURN keep that place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..engine import CLOSED, WOULD_BLOCK
from ..wire.codes import WireCode

if TYPE_CHECKING:
    from .bound import Bound

__all__ = ["Kept"]


@define(eq=False)
class Kept:
    """The share of one handle of the peer; the ``Keeper`` of its channel.

    ``push(bound, request_id, value, ahead)`` answers a receive, ``park(bound, request_id)`` has one wait in the
    channel, ``is_holding()`` says that too much travels to this peer already.
    """

    bound: Bound
    push: Callable[[Bound, int, Any, bool], None] = field(repr=False)
    park: Callable[[Bound, int], None] = field(repr=False)
    is_holding: Callable[[], bool] = field(repr=False)
    flush: Callable[[], None] = field(repr=False)
    standing: dict[int, None] = field(factory=dict)
    recalled: bool = False
    ended: bool = False
    _serving: bool = False

    # -- called by the channel

    def arrived(self) -> None:
        """Elements are queued: send them to those that stand, oldest first."""
        if self._serving or self.recalled:
            return
        self._serving = True
        sent = False
        while self.standing and not self.is_holding():
            value = self.bound.core.take_ahead()
            if value is CLOSED:
                self.drained()
            if value is WOULD_BLOCK or value is CLOSED:
                break
            request_id = next(iter(self.standing))
            del self.standing[request_id]
            self.push(self.bound, request_id, value, True)
            sent = True
        self._serving = False
        if sent:
            self.flush()

    def recall(self) -> None:
        """Somebody else wants to receive."""
        if self.recalled:
            return
        self.recalled = True
        standing, self.standing = self.standing, {}
        for request_id in standing:
            self.park(self.bound, request_id)
        if self.bound.wire.recall_ahead(self.bound.id):
            self.flush()

    def drained(self) -> None:
        """The channel is closed, and nothing will come any more."""
        standing, self.standing = self.standing, {}
        for request_id in standing:
            self.bound.tell_closed()
            self.bound.wire.refuse(request_id, WireCode.EPIPE, "the channel is closed")
        if standing:
            self.flush()

    # -- called by the home

    def stand(self, request_id: int) -> bool:
        """One more receive; whether it stands still, because there was nothing for it."""
        self.standing[request_id] = None
        self.arrived()
        return request_id in self.standing

    def withdraw(self, request_id: int) -> bool:
        """A receive is given up; False when it does not stand here."""
        return self.standing.pop(request_id, self) is not self

    def end(self) -> None:
        """The share is over, however."""
        if not self.ended:
            self.ended = self.recalled = True
            self.standing.clear()
            self.bound.core.end_keeping()
