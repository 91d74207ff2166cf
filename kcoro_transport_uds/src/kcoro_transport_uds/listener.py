# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listening Unix-domain socket: it lies at a path, and hands out connections whose peer the kernel has named."""

from __future__ import annotations

import socket

from attrs import define, field

from kcoro_core.transports.stream_listener import PAUSE_SECONDS, StreamListener

from .address import Place, bind, release
from .link import Connection, Options, identity_of

__all__ = ["PAUSE_SECONDS", "Listener", "new_socket"]


def new_socket(options: Options) -> socket.socket:
    """A non-blocking stream socket, not inherited by children."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.sndbuf_bytes)
    return sock


@define(eq=False, repr=False)
class Listener(StreamListener):
    """One listening socket, and the place where it lies."""

    place: Place = field(kw_only=True)
    options: Options = field(kw_only=True)

    @classmethod
    def at(cls, path: str, options: Options) -> Listener:
        """Listen at a path, or at a fresh private one."""
        sock = new_socket(options)
        try:
            place = bind(sock, path, options.backlog)
        except BaseException:
            sock.close()
            raise
        return cls(sock, f"uds:{place.path}", place=place, options=options)

    def accept(self) -> Connection | None:
        """Take one connection that waits; None: none does.

        :raises TransportError: the listener is closed, or the kernel will accept nobody there.
        """
        sock = self.accept_socket()
        if sock is None:
            return None
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.options.sndbuf_bytes)
        return Connection(sock, peer=identity_of(sock))

    def free(self) -> None:
        """Remove the socket from its place."""
        release(self.place)
