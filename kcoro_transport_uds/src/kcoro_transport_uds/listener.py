# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listening Unix-domain socket: it lies at a path, and hands out connections whose peer the kernel has named."""

from __future__ import annotations

import errno
import socket
from typing import Final

from attrs import define

from kcoro_core.errors import TransportError
from kcoro_core.transport import READ, PollSpec

from .address import Place, bind, release
from .link import Connection, Options, identity_of

__all__ = ["Listener", "new_socket"]

PAUSE_SECONDS: Final = 0.1
SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def new_socket(options: Options) -> socket.socket:
    """A non-blocking stream socket, not inherited by children."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.sndbuf_bytes)
    return sock


@define(eq=False, repr=False)
class Listener:
    """One listening socket. ``paused_until`` is set while the system has no descriptor to spare."""

    sock: socket.socket
    place: Place
    options: Options
    now: float = 0.0
    paused_until: float | None = None
    closed: bool = False

    @classmethod
    def at(cls, path: str, options: Options) -> Listener:
        """Listen at a path, or at a fresh private one."""
        sock = new_socket(options)
        try:
            return cls(sock, bind(sock, path, options.backlog), options)
        except BaseException:
            sock.close()
            raise

    def accept(self) -> Connection | None:
        """Take one connection that waits; None: none does, or this process is short of descriptors and pauses.

        :raises TransportError: the listener is closed, or the kernel will accept nobody there.
        """
        if self.closed:
            raise TransportError(f"the listener at uds:{self.place.path} is closed")
        if self.paused_until is not None:
            return None
        try:
            sock, _ = self.sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if error.errno not in SHORTAGES:
                raise TransportError(f"nobody can be accepted at uds:{self.place.path}: {error.strerror}") from error
            # Without a descriptor to spare the listener stays readable: look away for a moment instead of spinning.
            self.paused_until = self.now + PAUSE_SECONDS
            return None
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.options.sndbuf_bytes)
        return Connection(sock, peer=identity_of(sock))

    def pump(self, now: float, _ready: int = READ) -> None:
        """Note the time; a pause may be over."""
        self.now = now
        if self.paused_until is not None and now >= self.paused_until:
            self.paused_until = None

    def poll(self) -> PollSpec:
        """Readable when somebody waits."""
        if self.closed:
            return PollSpec()
        if self.paused_until is not None:
            return PollSpec(deadline=self.paused_until)
        return PollSpec(fd=self.sock.fileno(), want=READ)

    def close(self) -> None:
        """Free the path, then stop; whoever waits in the queue is reset by the kernel."""
        if not self.closed:
            self.closed = True
            release(self.place)
            self.sock.close()
