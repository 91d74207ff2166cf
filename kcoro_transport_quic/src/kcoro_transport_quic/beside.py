# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Datagrams beside the streams of one connection: what waits for its packet, and what has come and nobody took.

    in a DATAGRAM frame (RFC 9221):  header (20)  payload

Rule 1: no library is given one that does not fit into a packet: one keeps it for ever in front of all others, the other
ends the connection.
Rule 2: what waits goes when the congestion of the line allows it; with MOST_WAITING there is no room.
Rule 3: what nobody takes is bounded; then the oldest is thrown away, as a full socket would do with the newest.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

from kcoro_core.errors import MessageTooLong
from kcoro_core.transport import RawFrame

from .library import Engine

__all__ = ["MOST_ARRIVED", "MOST_WAITING", "PACKET_ROOM", "Beside"]

MOST_WAITING: Final = 16
"""How many datagrams wait for their packets."""
MOST_ARRIVED: Final = 256
"""How many that have come wait to be taken."""
PACKET_ROOM: Final = 48
"""Bytes of a packet that are not the datagram's: header with an id of 20 bytes (25), tag (16), type and length (3)."""
SURE_BYTES: Final = 1472
"""The largest packet that every client takes: those of one library say so, and larger ones end their connection."""

_HEADER_BYTES: Final = 20
_LENGTH_BYTES: Final = 4


@define(eq=False)
class Beside:
    """Both directions of it. ``arrived`` are those that wait to be taken, ``spilt`` how many were thrown away."""

    waiting: deque[bytes] = field(factory=deque)
    arrived: deque[RawFrame] = field(factory=deque)
    spilt: int = 0

    def limit(self, engine: Engine) -> int:
        """Bytes of the largest datagram that may be put; 0 where there are none."""
        return max(0, min(engine.frame_limit(), engine.packet_bytes, SURE_BYTES) - PACKET_ROOM)

    def put(self, data: bytes, most: int) -> bool:
        """Take one that is to be sent, or refuse it for lack of room. Raises MessageTooLong above ``most`` bytes."""
        if len(data) > most:
            raise MessageTooLong(f"a datagram of this connection has at most {most} bytes, not {len(data)}")
        if len(self.waiting) >= MOST_WAITING:
            return False
        self.waiting.append(data)
        return True

    def may_go(self, engine: Engine) -> bool:
        """Whether something waits that the line has room for."""
        return bool(self.waiting) and len(self.waiting[0]) + PACKET_ROOM <= engine.room()

    def give(self, engine: Engine) -> None:
        """Give the engine what may go now."""
        if not self.waiting:
            return
        room = engine.room()
        while self.waiting and len(self.waiting[0]) + PACKET_ROOM <= room:
            room -= len(self.waiting[0]) + PACKET_ROOM
            engine.send_frame(self.waiting.popleft())

    def feed(self, data: bytes) -> None:
        """Keep one that has come; what is no frame of its length is thrown away."""
        length = int.from_bytes(data[:_LENGTH_BYTES], "big")
        if len(data) != _HEADER_BYTES + length:
            self.spilt += 1
            return
        if len(self.arrived) == MOST_ARRIVED:
            self.spilt += 1
            self.arrived.popleft()
        self.arrived.append(RawFrame(data[:_HEADER_BYTES], data[_HEADER_BYTES:]))

    def take(self) -> RawFrame | None:
        """The oldest that has come; None: there is none."""
        return self.arrived.popleft() if self.arrived else None

    def clear(self) -> None:
        """Nothing is sent or handed out any more."""
        self.waiting.clear()
        self.arrived.clear()
