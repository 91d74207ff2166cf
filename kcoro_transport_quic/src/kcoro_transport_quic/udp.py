# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A UDP socket that never waits: many datagrams by one call of the system where it can do that, both ways.

Rule 1: what the system does not take now is given back, in order; nothing is dropped here.
Rule 2: datagrams that go by one call (GSO) leave the host as the same datagrams; a system that cannot do it is asked
once, and then no more.
Rule 3: datagrams that have come as one (GRO) are parted before anybody sees them.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from attrs import define, field

from .library import Place

__all__ = ["Udp"]

BUFFER_BYTES: Final = 2 << 20
"""What is asked of the system for what has come and was not read, and for what was sent; it gives what it likes."""
READ_BYTES: Final = 65536
"""The largest datagram, or row of them, that one call reads."""

# Of linux/udp.h, which the module socket does not name.
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_LINUX: Final = sys.platform == "linux"
_MOST_AT_ONCE: Final = 64
_MOST_BYTES: Final = 65000
_SIZE: Final = struct.Struct("=H")
_SIZE_READ: Final = struct.Struct("=i")
_WITHOUT_GSO: Final = (errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE)
_FULL: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS)


@define(eq=False)
class Udp:
    """One socket. ``rows`` counts the calls that sent more than one datagram, ``calls`` all that sent.

    ``rows_read`` and ``reads`` count the same of what has come.
    """

    sock: socket.socket
    gso: bool = field(default=_LINUX, init=False)
    rows: int = field(default=0, init=False)
    calls: int = field(default=0, init=False)
    rows_read: int = field(default=0, init=False)
    reads: int = field(default=0, init=False)
    refused: str = field(default="", init=False)
    """What the host of the other end has said, which has no such port: only of a socket that is connected."""

    def __attrs_post_init__(self) -> None:
        self.sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if _LINUX:
            try:
                self.sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
            except OSError:
                pass  # each datagram by a call of its own then

    def receive(self) -> tuple[list[bytes], Place] | None:
        """Datagrams of one sender, in order; None when nothing waits."""
        try:
            data, notes, _, place = self.sock.recvmsg(READ_BYTES, 64)
        except BlockingIOError:
            return None
        except OSError as error:
            self._note(error)
            return None
        self.reads += 1
        size = next((_SIZE_READ.unpack(value)[0] for _, kind, value in notes if kind == _UDP_GRO), 0)
        if not 0 < size < len(data):
            return [data], place
        self.rows_read += 1
        return [data[i : i + size] for i in range(0, len(data), size)], place

    def send(self, datagrams: Sequence[bytes], place: Place | None) -> int:
        """Send from the front; how many were taken. ``place`` None: the socket is connected."""
        done = 0
        while done < len(datagrams):
            row = list(self._row(islice(datagrams, done, None)))
            try:
                self._send(row, place)
            except OSError as error:
                if len(row) > 1 and error.errno in _WITHOUT_GSO:
                    self.gso = False
                    continue
                if error.errno in _FULL:
                    return done
                self._note(error)  # lost, as any datagram may be
            done += len(row)
        return done

    def _row(self, datagrams: Iterator[bytes]) -> Iterator[bytes]:
        """Those from the front that go by one call: all of one size, but that the last may be shorter."""
        first = next(datagrams)
        yield first
        total = len(first)
        for _ in range(_MOST_AT_ONCE - 1 if self.gso else 0):
            data = next(datagrams, b"")
            total += len(data)
            if not data or len(data) > len(first) or total > _MOST_BYTES:
                return
            yield data
            if len(data) < len(first):
                return

    def _send(self, row: list[bytes], place: Place | None) -> None:
        notes = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(len(row[0])))] if len(row) > 1 else []
        if place is None:
            self.sock.sendmsg(row, notes)
        else:
            self.sock.sendmsg(row, notes, 0, place)
        self.calls += 1
        self.rows += len(row) > 1

    def _note(self, error: OSError) -> None:
        if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
            self.refused = error.strerror or "refused"
