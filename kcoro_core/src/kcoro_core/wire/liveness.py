# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""When to ask for a sign of life, and when to give a silent peer up.

Rule 1: any frame is proof of life, and so are bytes of an unfinished one, if the owner says so.
Rule 2: PING after keepalive of silence; after two unanswered ones, or after idle, the peer is dead.
Rule 3: no clock here: every time is passed in, in seconds of the owner's clock.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from ..errors import ProtocolError

__all__ = ["Liveness"]

_SIZE: Final = 8
_MOST_PINGS: Final = 2


@define(eq=False)
class Liveness:
    """The silence of one peer. ``keepalive`` and ``idle`` in seconds; keepalive is spread by its owner."""

    keepalive: float
    idle: float
    heard_at: float
    _count: int = 0
    _answered: int = 0
    _asked_at: float = 0.0
    unheard: int = 0

    def heard(self, now: float) -> None:
        """Something came."""
        self.heard_at = now
        self.unheard = 0

    def ping(self, now: float) -> bytes | None:
        """The 8 bytes of a new PING, or None while one is unanswered."""
        return self._next_ping(now) if self._answered == self._count else None

    def pong(self, payload: bytes, now: float) -> float | None:
        """Seconds since the PING that this answers, None for one that was repeated meanwhile.

        Raises ProtocolError for a PONG that nobody asked for.
        """
        number = int.from_bytes(payload, "big")
        if len(payload) != _SIZE or not self._answered < number <= self._count:
            raise ProtocolError("PONG answers no PING of ours")
        self._answered = number
        return now - self._asked_at if number == self._count else None

    def next_deadline(self) -> float:
        """When ``due`` or ``dead`` has something to say, if nothing is heard until then."""
        return min(self.heard_at + self.keepalive * (self.unheard + 1), self.heard_at + self.idle)

    def dead(self, now: float) -> bool:
        """Whether the silence has lasted too long."""
        return now >= self.heard_at + min(self.idle, self.keepalive * (_MOST_PINGS + 1))

    def due(self, now: float) -> bytes | None:
        """The 8 bytes of a PING that is due now, or None."""
        if now < self.next_deadline() or self.unheard == _MOST_PINGS:
            return None
        self.unheard += 1
        return self._next_ping(now)

    def _next_ping(self, now: float) -> bytes:
        self._count += 1
        self._asked_at = now
        return self._count.to_bytes(_SIZE, "big")
