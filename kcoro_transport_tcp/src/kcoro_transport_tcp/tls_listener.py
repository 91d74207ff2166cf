# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listening socket that hands out connections whose handshake of TLS is over, so that it is known from whom they are.

    waiting in the kernel --> shaking hands (bounded, and not for long) --> done --> accepted

Rule 1: nobody is handed out who has not shown what he has to; he is told why, logged, and gone.
Rule 2: whoever is slow makes room for the next, the oldest first, once the bound is reached.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
from collections import deque
from typing import Final

from attrs import define, field

from kcoro_core.errors import TransportError
from kcoro_core.transport import READ, WRITE, PollSpec
from kcoro_core.transports.host_port import Address, Target
from kcoro_core.transports.stream_listener import StreamListener

from .listener import bound
from .tls import TlsOptions, server_context
from .tls_link import TlsConnection, accepted

__all__ = ["TlsListener"]

log = logging.getLogger("kcoro.tls")

PATIENCE_SHARE: Final = 0.1
"""After this part of ``handshake_timeout`` whoever shakes hands may be put out for somebody who waits."""


@define(eq=False, repr=False)
class TlsListener(StreamListener):
    """One listening socket, and those who have come and not been handed out, at most as many as ``backlog`` says.

    ``selector`` has one descriptor for the socket and for all who shake hands.
    """

    options: TlsOptions
    context: ssl.SSLContext
    selector: selectors.BaseSelector = field(factory=selectors.DefaultSelector, init=False)
    shaking: dict[TlsConnection, None] = field(factory=dict, init=False)
    done: deque[TlsConnection] = field(factory=deque, init=False)
    listens: bool = field(default=False, init=False)

    @classmethod
    def at(cls, address: Address, options: TlsOptions) -> TlsListener:
        """Listen at an address of this machine."""
        context = server_context(options)
        sock = bound(address, options.backlog)
        listener = cls(sock, f"tls:{Target(sock.family, sock.getsockname())}", options, context)
        listener._watch()
        return listener

    def accept(self) -> TlsConnection | None:
        """Take one connection whose handshake is over; None: there is none.

        :raises TransportError: the listener is closed, or the kernel will accept nobody there.
        """
        self.raise_if_closed()
        while self._takes_more() and (sock := self.accept_socket()) is not None:
            if not self._has_room():
                self._put_out_oldest()
            self._begin(sock)
        self._watch()
        return self.done.popleft() if self.done else None

    def pump(self, now: float, _ready: int = READ) -> None:
        """Go on with every handshake that something has come for, and end those that take too long."""
        super().pump(now)
        if self.closed:
            return
        ready = [key.data for key, _ in self.selector.select(0) if key.data is not None]
        for conn in dict.fromkeys([*ready, *(conn for conn in self.shaking if is_due(conn, now))]):
            self._go_on(conn, now)
        self._watch()

    def poll(self) -> PollSpec:
        """Readable when somebody waits, or goes on; at once when somebody can be handed out."""
        if self.closed:
            return PollSpec()
        specs = [conn.poll() for conn in self.shaking]
        times = [*(spec.deadline for spec in specs), self.paused_until]
        if not self._takes_more():
            times.append(self._slow_at())
        deadline = min((time for time in times if time is not None), default=None)
        at_once = bool(self.done) or any(spec.ready_now for spec in specs)
        return PollSpec(fd=selector_fd(self.selector), want=READ, deadline=deadline, ready_now=at_once)

    def free(self) -> None:
        """End everybody who was not handed out."""
        for conn in (*self.shaking, *self.done):
            conn.abort()
        self.shaking.clear()
        self.done.clear()
        self.selector.close()

    # -- those who shake hands

    def _has_room(self) -> bool:
        return len(self.shaking) + len(self.done) < self.options.backlog

    def _takes_more(self) -> bool:
        """Whether there is room, or somebody who has had time enough and can make some."""
        slow_at = self._slow_at()
        return self._has_room() or (slow_at is not None and slow_at <= self.now)

    def _slow_at(self) -> float | None:
        """When the oldest has had the time that nobody takes from him."""
        oldest = next(iter(self.shaking), None)
        if oldest is None or oldest.handshake_by is None:
            return None
        return oldest.handshake_by - (1 - PATIENCE_SHARE) * self.options.handshake_timeout

    def _put_out_oldest(self) -> None:
        oldest = next(iter(self.shaking))
        log.warning("%s: nobody was let in: %s: it was slow, and others waited", self.uri, oldest.name)
        self._forget(oldest)
        oldest.abort()

    def _begin(self, sock: socket.socket) -> None:
        conn = accepted(sock, self.context, self.options.handshake_timeout)
        self.shaking[conn] = None
        self.selector.register(sock, selectors.EVENT_READ, conn)

    def _go_on(self, conn: TlsConnection, now: float) -> None:
        """Pump one of them; hand it on when it is done, let it go when it is refused."""
        try:
            conn.pump(now, READ | WRITE)
        except TransportError as error:
            if not conn.closing:
                log.warning("%s: nobody was let in: %s", self.uri, error)
                conn.leave()
        if conn.closed:
            self._forget(conn)
        elif not conn.connecting and not conn.closing:
            self._forget(conn)
            self.done.append(conn)
        else:
            self._wait_for(conn)

    def _wait_for(self, conn: TlsConnection) -> None:
        spec = conn.poll()
        events = (selectors.EVENT_READ if spec.want & READ else 0) | (selectors.EVENT_WRITE if spec.want & WRITE else 0)
        if events != self.selector.get_key(conn.sock).events:
            self.selector.modify(conn.sock, events, conn)

    def _forget(self, conn: TlsConnection) -> None:
        del self.shaking[conn]
        for key in list(self.selector.get_map().values()):
            if key.data is conn:
                self.selector.unregister(key.fileobj)

    def _watch(self) -> None:
        """Look at the listening socket only while somebody could be taken from it."""
        wanted = self.paused_until is None and self._takes_more()
        if wanted and not self.listens:
            self.selector.register(self.sock, selectors.EVENT_READ, None)
        elif self.listens and not wanted:
            self.selector.unregister(self.sock)
        self.listens = wanted


def is_due(conn: TlsConnection, now: float) -> bool:
    """Whether there is something to do for a connection that its descriptor does not show."""
    spec = conn.poll()
    return spec.ready_now or (spec.deadline is not None and spec.deadline <= now)


def selector_fd(selector: selectors.BaseSelector) -> int:
    """The descriptor that is readable when any of the selector's is: that of epoll or kqueue."""
    fileno = selector.fileno  # type: ignore[attr-defined]
    return int(fileno())
