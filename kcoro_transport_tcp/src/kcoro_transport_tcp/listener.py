# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listening TCP socket: at an address of this machine, on a port that the kernel chooses where none is named."""

from __future__ import annotations

import errno
import socket

from attrs import define

from kcoro_core.errors import AccessDenied, AlreadyExists, NotFound
from kcoro_core.transports.host_port import TCP, Address, Target, targets
from kcoro_core.transports.stream_listener import StreamListener

from .link import Connection

__all__ = ["Listener", "bound"]


def bound(address: Address, backlog: int) -> socket.socket:
    """A non-blocking socket that listens at ``address``.

    :raises AlreadyExists: somebody else does. NotFound: this machine has no such address. AccessDenied: the port needs
        a right. ValueError: it is a name, which may have several addresses.
    """
    places = targets(address, TCP)
    if not places:
        raise ValueError(
            f"{address}: a server listens at a numeric address of its machine, such as 127.0.0.1, or 0.0.0.0 for all"
        )
    sock = socket.socket(places[0].family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # The port of a server that has just ended can be used again; not that of one that runs.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if places[0].family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(places[0].place)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _explained(error, address) from error
    return sock


@define(eq=False, repr=False)
class Listener(StreamListener):
    """One listening socket, and under which scheme those who come are named."""

    scheme: str = "tcp"

    @classmethod
    def at(cls, address: Address, backlog: int) -> Listener:
        """Listen at an address of this machine."""
        sock = bound(address, backlog)
        return cls(sock, f"{address.scheme}:{Target(sock.family, sock.getsockname())}", address.scheme)

    def accept(self) -> Connection | None:
        """Take one connection that waits; None: none does.

        :raises TransportError: the listener is closed, or the kernel will accept nobody there.
        """
        sock = self.accept_socket()
        return None if sock is None else Connection.accepted(sock, self.scheme)


def _explained(error: OSError, address: Address) -> Exception:
    """The error of the taxonomy for what the system said about an address."""
    text = f"{address}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        return AlreadyExists(f"{text}; stop the other server or take another port")
    if error.errno == errno.EADDRNOTAVAIL:
        return NotFound(f"{text}; this machine has no such address")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied(f"{text}; take a port of 1024 or above")
    return error
