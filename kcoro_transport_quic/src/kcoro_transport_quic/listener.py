# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listening QUIC endpoint: at an address of this machine; a connection is handed out once its handshake is over.

Rule 1: handshakes are bounded by ``backlog``, those that are over and were not accepted included; who comes then is not
heard, and asks again by itself. Whoever is slow makes room for the next, the oldest first, once he has had time enough.
Rule 2: who is not let in is told so by QUIC, and the log is told why.
"""

from __future__ import annotations

import errno
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field

from kcoro_core.errors import AccessDenied, AlreadyExists, NotFound, TransportError
from kcoro_core.transport import READ, PollSpec
from kcoro_core.transports.host_port import UDP, Address, Target, targets

from .endpoint import Endpoint
from .library import Engine, Place
from .link import Connection
from .quic import QuicOptions, server_settings

__all__ = ["Listener"]

log = logging.getLogger("kcoro.quic")

PATIENCE_SHARE: Final = 0.1
"""After this part of ``handshake_timeout`` whoever shakes hands may be put out for somebody who waits."""
RETRY_SECONDS: Final = 0.005
"""When a socket that has taken nothing is tried again for a handshake; nobody waits for it to be writable."""


@define(eq=False, repr=False)
class Listener:
    """One endpoint that takes new connections, at ``uri``, and those who have come and were not handed out."""

    endpoint: Endpoint
    uri: str
    options: QuicOptions
    settings: Any
    now: float = field(default=0.0, init=False)
    shaking: dict[Connection, float] = field(factory=dict, init=False)  # and by when it has to be over
    done: deque[Connection] = field(factory=deque, init=False)
    closed: bool = field(default=False, init=False)
    waker: Callable[[], object] | None = field(default=None, init=False)

    @classmethod
    def at(cls, address: Address, options: QuicOptions) -> Listener:
        """Listen at an address of this machine."""
        settings = server_settings(options)
        endpoint = bound(address)
        target = Target(endpoint.udp.sock.family, endpoint.udp.sock.getsockname())
        listener = cls(endpoint, f"quic:{target}", options, settings)
        endpoint.arrived = listener._arrived
        return listener

    def accept(self) -> Connection | None:
        """Take one connection whose handshake is over; None: there is none.

        :raises TransportError: the listener is closed.
        """
        if self.closed:
            raise TransportError(f"the listener at {self.uri} is closed")
        self._sort()
        return self.done.popleft() if self.done else None

    def pump(self, now: float, ready: int = READ) -> None:
        """Read, go on with every handshake, and end those that take too long."""
        self.now = max(self.now, now)
        if self.closed:
            return
        if ready & READ:
            self.endpoint.receive(self.now)
        for conn, by in list(self.shaking.items()):
            conn.tell_time(self.now)
            conn.go_on()
            if self.now >= by and conn.connecting:
                conn.give_up(f"the handshake took longer than {self.options.handshake_timeout:g} s")
        self._sort()

    def poll(self) -> PollSpec:
        """Readable when somebody comes, or goes on; at once when somebody can be handed out."""
        if self.closed:
            return PollSpec()
        times = [conn.poll().deadline for conn in self.shaking]
        times += [min(self.shaking.values(), default=None)]
        if any(conn.unsent for conn in self.shaking):
            times.append(self.now + RETRY_SECONDS)
        deadline = min((time for time in times if time is not None), default=None)
        return PollSpec(fd=self.endpoint.fd, want=READ, deadline=deadline, ready_now=bool(self.done), shared=True)

    def close(self) -> None:
        """Take nobody any more, end everybody who was not handed out, and free the address."""
        if self.closed:
            return
        self.closed = True
        self.endpoint.arrived = None
        for conn in (*self.shaking, *self.done):
            conn.abort()
        self.shaking.clear()
        self.done.clear()
        self.endpoint.close_if_unused()

    # -- those who shake hands

    def _arrived(self, datagrams: Sequence[bytes], first_id: bytes, place: Place) -> None:
        """Somebody new."""
        if len(self.shaking) + len(self.done) >= self.options.backlog and not self._put_out_oldest():
            return
        name = f"quic:{Target(self.endpoint.udp.sock.family, place)}"
        conn = Connection(name, self.endpoint, Engine.server(self.options.library, self.settings, first_id), place)
        conn.options = self.options
        conn.tell_time(self.now)
        conn.waker = self._changed
        self.endpoint.join(conn)
        self.shaking[conn] = self.now + self.options.handshake_timeout
        conn.receive(datagrams, place)
        conn.go_on()
        self._changed()

    def _changed(self) -> None:
        if self.waker is not None:
            self.waker()

    def _put_out_oldest(self) -> bool:
        """Make room, if somebody has had the time that nobody takes from him."""
        oldest = next(iter(self.shaking), None)
        if oldest is None or self.now < self.shaking[oldest] - (1 - PATIENCE_SHARE) * self.options.handshake_timeout:
            return False
        log.warning("%s: nobody was let in: %s: it was slow, and others waited", self.uri, oldest.name)
        del self.shaking[oldest]
        oldest.abort()
        return True

    def _sort(self) -> None:
        """Hand on those whose handshake is over, and forget those who were refused."""
        for conn in list(self.shaking):
            if conn.end is not None:
                log.warning("%s: nobody was let in: %s", self.uri, conn.end)
                del self.shaking[conn]
                conn.abort()
            elif not conn.connecting:
                del self.shaking[conn]
                conn.waker = None
                self.done.append(conn)


def bound(address: Address) -> Endpoint:
    """A socket at ``address``.

    :raises AlreadyExists: somebody else listens there. NotFound: this machine has no such address. AccessDenied: the
        port needs a right. ValueError: it is a name, which may have several addresses.
    """
    places = targets(address, UDP)
    if not places:
        raise ValueError(
            f"{address}: a server listens at a numeric address of its machine, such as 127.0.0.1, or 0.0.0.0 for all"
        )
    try:
        return Endpoint.at(places[0])
    except OSError as error:
        raise _explained(error, address) from error


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
