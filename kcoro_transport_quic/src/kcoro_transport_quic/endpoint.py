# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A UDP socket with the connections that use it: each packet finds its own by the connection id that it carries.

Who dials has a socket for itself. All connections of a listener share the listener's, and keep it when it closes: so
the port is free for another listener of this process at once, and for others when the last connection has ended.

Rule 1: whoever is pumped reads for all, a bounded amount; the others are told by their wakers.
Rule 2: a packet for nobody is dropped, but for the first one of somebody new, while a listener is there.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from kcoro_core.transports.host_port import Target

from .library import CID_BYTES, VERSION_1, Place, versions_told
from .udp import Udp

if TYPE_CHECKING:
    from .link import Connection

__all__ = ["Endpoint"]

READS_AT_ONCE: Final = 16
"""How many calls of the system one pump reads by, each with up to a row of datagrams."""
FIRST_BYTES: Final = 1200
"""Bytes of the smallest datagram that may begin a connection (RFC 9000, 14.1)."""

_LONG: Final = 0x80
_shared: Final[dict[tuple[int, Any], Endpoint]] = {}  # by thread and place: those with a listener, or left by one


@define(eq=False, repr=False)
class Endpoint:
    """One socket; ``arrived`` is called with the first packet of somebody new: bytes, the id it goes to, from where."""

    udp: Udp
    key: tuple[int, Any] | None = None
    users: dict[Connection, frozenset[bytes]] = field(factory=dict, init=False)
    routes: dict[bytes, Connection] = field(factory=dict, init=False)
    arrived: Callable[[Sequence[bytes], bytes, Place], object] | None = field(default=None, init=False)

    @classmethod
    def to(cls, target: Target) -> Endpoint:
        """A socket that is connected to one place."""
        sock = socket.socket(target.family, socket.SOCK_DGRAM)
        try:
            sock.connect(target.place)
            return cls(Udp(sock))
        except OSError:
            sock.close()
            raise

    @classmethod
    def at(cls, target: Target) -> Endpoint:
        """The socket of a listener; one that an earlier listener of this thread has left is taken over.

        Raises OSError as binding does, EADDRINUSE also where a listener of this process is.
        """
        key = (threading.get_ident(), target.place)
        left = _shared.get(key)
        if left is not None and left.arrived is None:
            return left
        sock = socket.socket(target.family, socket.SOCK_DGRAM)
        try:
            if target.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(target.place)
            found = cls(Udp(sock), (key[0], sock.getsockname()))
        except OSError:
            sock.close()
            raise
        _shared[(key[0], sock.getsockname())] = found
        return found

    @property
    def fd(self) -> int:
        """The descriptor to wait for."""
        return self.udp.sock.fileno()

    # -- who uses it

    def join(self, conn: Connection) -> None:
        """A connection uses it from now on."""
        self.users[conn] = frozenset()
        self.route(conn)

    def route(self, conn: Connection) -> None:
        """The connection ids of a connection have changed."""
        if conn.engine is None or conn not in self.users:
            return
        ids = frozenset(conn.engine.own_ids)
        for gone in self.users[conn] - ids:
            self.routes.pop(gone, None)
        self.routes.update(dict.fromkeys(ids, conn))
        self.users[conn] = ids

    def leave(self, conn: Connection) -> None:
        """A connection has ended; the last one closes the socket, unless a listener is there."""
        for gone in self.users.pop(conn, ()):
            self.routes.pop(gone, None)
        self.close_if_unused()

    def close_if_unused(self) -> None:
        """Close the socket if nobody is left."""
        if not self.users and self.arrived is None:
            if self.key is not None:
                _shared.pop(self.key, None)
            self.udp.sock.close()

    # -- datagrams

    def send(self, datagrams: deque[bytes], place: Place | None) -> None:
        """Send from the front, and take out what the system has taken."""
        sent = self.udp.send(datagrams, place)
        if sent == len(datagrams):
            datagrams.clear()
        for _ in range(min(sent, len(datagrams))):
            datagrams.popleft()

    def receive(self, now: float) -> None:
        """Read what waits, at most a bounded amount, and let everybody who has got something go on."""
        touched: dict[Connection, None] = {}
        for _ in range(READS_AT_ONCE):
            if self.udp.sock.fileno() < 0 or (found := self.udp.receive()) is None:
                break
            datagrams, place = found
            for conn, row in self._sorted(datagrams, place):
                conn.tell_time(now)
                conn.receive(row, place)
                touched[conn] = None
        for conn in touched:
            conn.go_on()
            conn.wake()

    def _sorted(self, datagrams: Sequence[bytes], place: Place) -> list[tuple[Connection, list[bytes]]]:
        """Datagrams by the connections that they are for, in order; those of a row mostly are for one."""
        if self.key is None:
            return [(conn, list(datagrams)) for conn in self.users]
        rows: list[tuple[Connection, list[bytes]]] = []
        for data in datagrams:
            to = destination(data)
            conn = self.routes.get(to)
            if conn is None:
                self._strange(data, to, place)
            elif rows and rows[-1][0] is conn:
                rows[-1][1].append(data)
            else:
                rows.append((conn, [data]))
        return rows

    def _strange(self, data: bytes, to: bytes, place: Place) -> None:
        """A packet for nobody that is here."""
        if self.arrived is None or len(data) < FIRST_BYTES or not data[0] & _LONG or not 8 <= len(to) <= 20:
            return
        version = int.from_bytes(data[1:5], "big")
        if version == VERSION_1:
            if not data[0] & 0x30:  # an Initial packet
                self.arrived([data], to, place)
        elif version and (source := _source(data, len(to))) is not None:
            self.udp.send([versions_told(source, to)], place)


def destination(data: bytes) -> bytes:
    """The connection id that a packet goes to (RFC 8999); empty for what is no packet."""
    if len(data) < 1 + CID_BYTES:
        return b""
    if data[0] & _LONG:
        return data[6 : 6 + data[5]]
    return data[1 : 1 + CID_BYTES]


def _source(data: bytes, to_bytes: int) -> bytes | None:
    at = 6 + to_bytes
    size = data[at]
    return data[at + 1 : at + 1 + size] if size <= 20 else None
