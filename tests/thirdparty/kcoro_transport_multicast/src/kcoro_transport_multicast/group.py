# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The two ends of a group: one that sends packets to it, and one for each sender that a listener has heard.

Rule 1: a frame is one packet; it is sent at once or not at all, and nothing is held back.
Rule 2: what a listener has read and nobody has taken is bounded; what comes above that is dropped, as by the kernel.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

from kcoro_core.errors import MessageTooLong, NotSupported, ProtocolError, TransportError
from kcoro_core.transport import READ, WRITE, PollSpec, RawFrame

from .address import Address

__all__ = ["HEADER_BYTES", "MAX_PACKET", "Heard", "Listener", "Sender"]

HEADER_BYTES: Final = 20
MAX_PACKET: Final = 1472
"""The largest packet that an Ethernet carries in one piece, in bytes, the header of the frame included."""
MOST_SENDERS: Final = 64
"""Senders that a listener tells apart; packets of others are dropped."""
MOST_WAITING: Final = 1024
"""Packets of one sender that wait to be taken."""
PACKETS_AT_ONCE: Final = 256
AT_REST: Final = PollSpec()


class Sender:
    """The end that publishes: nothing ever comes back."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.end: TransportError | None = None
        self.full = False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address.interface))
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)

    def send(self, header: bytes, parts: Sequence[bytes]) -> bool:
        """Send one packet; False: the system has no room for it now."""
        if self.end is not None:
            raise self.end.with_traceback(None)
        packet = b"".join((header, *parts))
        if len(packet) > MAX_PACKET:
            raise MessageTooLong(
                f"a packet of {self.address} holds {MAX_PACKET} bytes, and this frame has {len(packet)}"
            )
        try:
            self.sock.sendto(packet, self.address.place)
        except BlockingIOError:
            self.full = True
            return False
        except OSError as error:
            self.finish(f"{self.address}: {error.strerror}")
            assert self.end is not None
            raise self.end from error
        return True

    def receive(self, limit: int) -> RawFrame | None:
        """Nothing comes back."""
        if self.end is not None:
            raise self.end.with_traceback(None)
        return None

    def pump(self) -> None:
        """There may be room again."""
        self.full = False

    def poll(self) -> PollSpec:
        """Room, if there was none."""
        return PollSpec(fd=self.sock.fileno(), want=WRITE) if self.full and self.end is None else AT_REST

    def finish(self, reason: str) -> None:
        """End; there is nobody to be told."""
        if self.end is None:
            self.end = TransportError(reason)
            self.sock.close()


class Heard:
    """The packets of one sender, as one listener has heard them."""

    def __init__(self, source: tuple[str, int]) -> None:
        self.source = source
        self.end: TransportError | None = None
        self.waiting: deque[bytes] = deque()

    def put(self, packet: bytes) -> None:
        """Keep a packet until it is taken, if there is room."""
        if self.end is None and len(self.waiting) < MOST_WAITING:
            self.waiting.append(packet)

    def send(self, header: bytes, parts: Sequence[bytes]) -> bool:
        """Nobody can answer a group.

        :raises NotSupported: always.
        """
        raise NotSupported("multicast: publishes only; whoever listens cannot answer")

    def receive(self, limit: int) -> RawFrame | None:
        """The oldest packet that waits."""
        if self.end is not None:
            raise self.end.with_traceback(None)
        if not self.waiting:
            return None
        if len(self.waiting[0]) - HEADER_BYTES > limit:
            raise ProtocolError(f"a packet of {len(self.waiting[0])} bytes came, and {limit} are acceptable")
        packet = self.waiting.popleft()
        return RawFrame(packet[:HEADER_BYTES], packet[HEADER_BYTES:])

    def pump(self) -> None:
        """The listener reads for all."""

    def poll(self) -> PollSpec:
        """What the listener has read for it."""
        return PollSpec(ready_now=bool(self.waiting))

    def finish(self, reason: str) -> None:
        """Hear no more."""
        self.end = self.end or TransportError(reason)
        self.waiting.clear()


class Listener:
    """A member of a group; several processes may be, each of them hears everything."""

    def __init__(self, address: Address, receive_bytes: int | None) -> None:
        self.address = address
        self.closed = False
        self.heard: dict[tuple[str, int], Heard] = {}
        self._new: deque[Heard] = deque()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if receive_bytes is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.sock.bind(address.place)
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, address.membership)
        except BaseException:
            self.sock.close()
            raise
        self._waiting = PollSpec(fd=self.sock.fileno(), want=READ)

    def accept(self) -> Heard | None:
        """A sender that has not been heard before."""
        if self.closed:
            raise TransportError(f"the listener at {self.address} is closed")
        return self._new.popleft() if self._new else None

    def pump(self) -> None:
        """Read packets, a bounded number of them, for whoever has sent them."""
        for _ in range(0 if self.closed else PACKETS_AT_ONCE):
            try:
                packet, source = self.sock.recvfrom(MAX_PACKET + 1)
            except OSError:  # nothing there, or an error of an earlier packet, which is lost like others
                return
            if HEADER_BYTES <= len(packet) <= MAX_PACKET:
                self._take(packet, source)

    def _take(self, packet: bytes, source: tuple[str, int]) -> None:
        if source not in self.heard:
            if len(self.heard) >= MOST_SENDERS:
                return
            self.heard[source] = Heard(source)
            self._new.append(self.heard[source])
        self.heard[source].put(packet)

    def poll(self) -> PollSpec:
        """Readable when there are packets; ready when somebody new has been heard."""
        if self.closed:
            return AT_REST
        return PollSpec(fd=self.sock.fileno(), want=READ, ready_now=True) if self._new else self._waiting

    def close(self) -> None:
        """Leave the group."""
        self.closed = True
        self._new.clear()
        self.sock.close()
