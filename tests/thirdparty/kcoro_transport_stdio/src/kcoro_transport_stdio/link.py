# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over a stream socket, wherever it leads: whole frames in, whole frames out, never waiting.

    connecting --> open --close--> closing: flush, say goodbye, wait for the other side's --> closed
        |            |                                                                          ^
        +-- refused -+--- the other side ended, abort ------------------------------------------+

Rule 1: a frame that was taken goes out whole, or the connection has ended.
Rule 2: bytes are read only while no whole frame is here, so that memory is one frame and one read.
Rule 3: ``end`` is set once, and raised by every call from then on.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Final

from kcoro_core.errors import ProtocolError, TransportError
from kcoro_core.transport import READ, WRITE, PollSpec, RawFrame

__all__ = ["Connection"]

HEADER_BYTES: Final = 20
READ_BYTES: Final = 65536
ROOM_BYTES: Final = 262_144
"""How much may wait for the kernel before send_frame answers False."""
KERNEL_BYTES: Final = 131_072
LINGER_SECONDS: Final = 1.0
"""How long a closed socket waits for the other side to end: a reset would overtake what was sent last."""
AT_REST: Final = PollSpec()


class Connection:
    """One end of a connection."""

    def __init__(self, sock: socket.socket, connecting: bool = False) -> None:
        self.sock = sock
        self.connecting = connecting
        self.end: TransportError | None = None
        self.tx = bytearray()
        self._rx = bytearray()
        self._unreadable: ProtocolError | None = None
        self._tx_end: TransportError | None = None
        self._told = False  # the end was raised once
        self._closing = self._shut = self._closed = False
        self._linger_until: float | None = None
        self._reading = PollSpec(fd=sock.fileno(), want=READ)
        sock.setblocking(False)
        # What lies in the kernel cannot be overtaken, so it is given no more than it needs.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    # -- frames

    def send(self, header: bytes, parts: Sequence[bytes]) -> bool:
        """Take a frame whole, or refuse it whole; it goes out with the next pump."""
        if self.end is not None:
            raise self._telling(self.end)
        if self._tx_end is not None:
            raise self._tx_end.with_traceback(None)
        if self.connecting and not self._is_connected():
            return False
        size = len(header) + sum(map(len, parts))
        if len(self.tx) + size > ROOM_BYTES:
            self._flush()
            if self.tx and len(self.tx) + size > ROOM_BYTES:
                return False
        self.tx += header
        for part in parts:
            self.tx += part
        return True

    def receive(self, limit: int) -> RawFrame | None:
        """The oldest whole frame; a length above ``limit`` is refused before its payload is here."""
        if self._closing and self.end is not None:
            raise self._telling(self.end)
        if self._unreadable is not None:
            raise self._unreadable.with_traceback(None)
        if len(self._rx) >= HEADER_BYTES:
            size = self._announced()
            if size > limit:
                self._unreadable = ProtocolError(f"a frame of {size} bytes was announced, {limit} are acceptable")
                raise self._unreadable
            if self._has_frame():
                whole = bytes(self._rx[: HEADER_BYTES + size])
                del self._rx[: HEADER_BYTES + size]
                return RawFrame(whole[:HEADER_BYTES], whole[HEADER_BYTES:])
        if self.end is not None:
            raise self._telling(self.end)
        return None

    def _announced(self) -> int:
        return int.from_bytes(self._rx[:4], "big")

    def _has_frame(self) -> bool:
        return len(self._rx) >= HEADER_BYTES and len(self._rx) >= HEADER_BYTES + self._announced()

    # -- driving

    def pump(self, now: float, ready: int) -> None:
        """Write and read what can be; raises the end when that was not our doing and no frame is left."""
        if self.connecting and self.end is None:
            self._is_connected()
        if ready & WRITE and self.tx and not self._closed:
            self._flush()
        if self._closing:
            self._go_on_closing(now)
            return
        if ready & READ and self._wants_bytes():
            self._fill()
        if self.end is not None and not self._has_frame():
            raise self._telling(self.end)

    def poll(self) -> PollSpec:
        """What to wait for."""
        if self._closed:
            return AT_REST
        if self._closing:
            return self._poll_closing()
        if self.end is not None:
            return PollSpec(ready_now=self._has_frame() or not self._told)
        if self.connecting:
            return PollSpec(fd=self.sock.fileno(), want=WRITE)
        if not self.tx and self._wants_bytes():
            return self._reading
        want = (WRITE if self.tx else 0) | (READ if self._wants_bytes() else 0)
        return PollSpec(fd=self.sock.fileno(), want=want, ready_now=self._unreadable is None and self._has_frame())

    def _wants_bytes(self) -> bool:
        return not (self.connecting or self.end is not None or self._unreadable is not None or self._has_frame())

    def _is_connected(self) -> bool:
        answer = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if answer:
            self.finish(f"nobody can be reached: {os.strerror(answer)}; is the server running?")
            return False
        try:
            # A free port may be chosen for our own end, and then TCP connects it with itself.
            alone = self.sock.getpeername() == self.sock.getsockname()
        except OSError:
            return False
        if alone:
            self.finish("nobody can be reached: the port is not listened at")
            return False
        self.connecting = False
        return True

    def _flush(self) -> None:
        try:
            while self.tx:
                del self.tx[: self.sock.send(self.tx)]
        except BlockingIOError:
            pass
        except OSError as error:
            # What the other side sent before it left can still be received, so this is not the end yet.
            self._tx_end = TransportError(f"the other side takes no more frames: {error.strerror}")
            self.tx.clear()

    def _fill(self) -> None:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(f"the connection broke: {error.strerror}")
            return
        self._rx += data
        if not data:
            torn = "inside a frame" if self._rx else "in good order"
            self.finish(f"the other side closed the connection {torn}")

    # -- ending

    def close(self) -> None:
        """End in good order: what was taken goes out first, by further pumps if need be."""
        if self._closing:
            return
        reached = self.end is None and (not self.connecting or self._is_connected())
        self.finish("the connection was closed by this side")
        self._closing = True
        self._rx.clear()
        if not reached:
            self.give_back()
            return
        self._flush()
        self._go_on_closing(None)

    def abort(self) -> None:
        """End now."""
        self.finish("the connection was given up by this side")
        self._closing = True
        self.give_back()

    def _go_on_closing(self, now: float | None) -> None:
        if self._closed or (self.tx and self._tx_end is None):
            return
        if self._tx_end is not None or self._other_side_has_ended():
            self.give_back()
            return
        if now is not None and self._linger_until is None:
            self._linger_until = now + LINGER_SECONDS
        if now is not None and self._linger_until is not None and now >= self._linger_until:
            self.give_back()

    def _other_side_has_ended(self) -> bool:
        """Tell it that nothing comes any more, and drop what it still sends."""
        try:
            if not self._shut:
                self._shut = True
                self.sock.shutdown(socket.SHUT_WR)
            for _ in range(16):
                if not self.sock.recv(READ_BYTES):
                    return True
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    def _poll_closing(self) -> PollSpec:
        if self.tx:
            return PollSpec(fd=self.sock.fileno(), want=WRITE)
        waits = self._linger_until is not None
        return PollSpec(fd=self.sock.fileno(), want=READ, deadline=self._linger_until, ready_now=not waits)

    def give_back(self) -> None:
        """Give back everything; called once or more often, when nothing is waited for any more."""
        self._closed = True
        self.tx.clear()
        self._rx.clear()
        self.sock.close()

    def finish(self, reason: str, permanent: bool = False) -> None:
        """Set the end, unless it has come; ``reason`` says what happened, ``permanent`` that no waiting mends it."""
        if self.end is None:
            self.end = self._tx_end or TransportError(reason, permanent=permanent)
            self.connecting = False

    def _telling(self, end: TransportError) -> TransportError:
        self._told = True
        return end.with_traceback(None)  # which would grow with each raise
