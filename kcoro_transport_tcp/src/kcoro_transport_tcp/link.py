# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over TCP: how it is made, with whichever address of a name answers; the rest is core's stream.

    looking up --> connecting to the first address --> to the second ... --> open
                              |
                              +--> nobody can be reached: the end

Rule 1: nothing here waits: a name is looked up elsewhere, and a connection that is not there yet shows on its socket.
Rule 2: in clear text nothing leaves this machine, unless ``insecure`` says so.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from typing import Final

from attrs import define, field

from kcoro_core.errors import AccessDenied
from kcoro_core.transport import COMMIT_BYTES, READ, WRITE, PollSpec
from kcoro_core.transports.host_port import TCP, Address, Target, is_loopback, targets
from kcoro_core.transports.lookup import Lookup, Unknown
from kcoro_core.transports.stream import StreamConnection

__all__ = ["Connection", "Options", "check_secure", "prepare"]

IN_PROGRESS: Final = (0, errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK, errno.EINTR)
NOT_YET: Final = (errno.ENOTCONN, errno.EINVAL)


@define(kw_only=True)
class Options:
    """What ``config`` may say: a listener's queue, patience in seconds, carelessness, and who looks names up."""

    backlog: int = 64
    connect_timeout: float = 10.0
    resolver: str = ""
    insecure: bool = False


def check_secure(address: Address | Target, host: str, insecure: bool) -> None:
    """Refuse a place outside this machine for clear text.

    :raises AccessDenied: it is one, and nobody said that this is fine.
    """
    if not insecure and not is_loopback(host):
        raise AccessDenied(
            f"{address}: everybody on the way could read and change what is sent; "
            "use tls:, or pass insecure=True in a network that is yours alone"
        )


def prepare(sock: socket.socket) -> None:
    """Set what every connection has: no waiting for more, little in the kernel, and a look whether the host lives."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # What lies in the kernel unsent cannot be overtaken; without this that may be megabytes.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, COMMIT_BYTES)


@define(eq=False, repr=False)
class Connection(StreamConnection):
    """One end of a connection; who dials has ``patience`` seconds, and the addresses that are still to be tried."""

    patience: float = 0.0
    resolver: str = ""
    insecure: bool = True
    untried: deque[Target] = field(factory=deque, init=False)
    lookup: Lookup | None = field(default=None, init=False)
    failure: str = field(default="no address", init=False)
    give_up_at: float | None = field(default=None, init=False)
    next_at: float | None = field(default=None, init=False)

    @classmethod
    def accepted(cls, sock: socket.socket, scheme: str) -> Connection:
        """Our end of a connection that somebody has made."""
        prepare(sock)
        return cls(sock, name=named(sock, scheme), lingers=True)

    def begin(self, address: Address) -> None:
        """Begin to connect: to the first address, or by looking them up."""
        self.connecting = True
        self.untried.extend(targets(address, TCP))
        if self.untried:
            self._try_next()
        else:
            self.sock.close()
            self.lookup = Lookup(address, TCP, self.patience, self.resolver)
            self.sock = self.lookup.sock

    # -- connecting

    def connect_on(self, now: float, ready: int) -> None:
        """Take the answer of a look-up, or see how the attempt has ended; the next one when it has failed."""
        if self.give_up_at is None:
            self.give_up_at = now + self.patience
        if self.lookup is not None:
            self._take_answer(self.lookup)
        elif self.next_at is None and self._in_progress():
            self.next_at = now + (self.give_up_at - now) / (1 + len(self.untried))
        elif self.next_at is not None and self._in_progress() and now >= self.next_at:
            self._failed(f"no answer within {self.patience:g} s")
        if self.connecting and self.end is None and now >= self.give_up_at:
            what = "the name is still being looked up" if self.lookup is not None else "nobody has answered"
            self.give_up(f"{what} after {self.patience:g} s")

    def connect_poll(self) -> PollSpec:
        """The socket of the attempt, or of the look-up; and when it has taken too long."""
        want = WRITE if self.lookup is None else READ
        deadline = self.give_up_at if self.lookup is not None else self.next_at
        return PollSpec(fd=self.sock.fileno(), want=want, deadline=deadline, ready_now=deadline is None)

    def connected_by_now(self) -> bool:
        """Whether the attempt has been answered."""
        if self.connecting and self.end is None and self.lookup is None:
            self._in_progress()
        return not self.connecting and self.end is None

    def connected(self) -> None:
        """The medium is there; frames may go."""
        self.connecting = False
        self.reading = PollSpec(fd=self.sock.fileno(), want=READ)

    def _take_answer(self, lookup: Lookup) -> None:
        answer = lookup.answer
        if answer is None:
            return
        self.lookup = None
        if isinstance(answer, Unknown):
            self.give_up(f"the name cannot be looked up: {answer.reason}", answer.permanent)
            return
        try:
            for target in answer:
                check_secure(target, target.host, self.insecure)
        except AccessDenied as error:
            self.give_up(str(error), permanent=True)
            return
        self.untried.extend(answer)
        self._try_next()

    def _try_next(self) -> None:
        """Begin to connect to the next address that the system does not refuse at once."""
        while self.untried:
            target = self.untried.popleft()
            self.next_at = None
            self.sock.close()
            try:
                self.sock = socket.socket(target.family, socket.SOCK_STREAM)
                self.sock.setblocking(False)
                prepare(self.sock)
                answer = self.sock.connect_ex(target.place)
            except OSError as error:  # no such family here, or no descriptor
                self.failure = f"{target}: {error.strerror}"
                continue
            if answer in IN_PROGRESS:
                self.failure = str(target)
                return
            self.failure = f"{target}: {os.strerror(answer)}"
        self.give_up(f"nobody can be reached: {self.failure}; is the server running?")

    def _in_progress(self) -> bool:
        """Look at the attempt; False: it has ended, well or not, and what follows has been done."""
        answer = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if answer:
            self._failed(os.strerror(answer))
            return False
        try:
            # A free port of this machine may be chosen for our own end, and then TCP connects it with itself.
            alone = self.sock.getpeername() == self.sock.getsockname()
        except OSError as error:
            if error.errno in NOT_YET:
                return True
            self._failed(error.strerror or str(error))
            return False
        if alone:
            self._failed(os.strerror(errno.ECONNREFUSED))
        else:
            self.connected()
        return False

    def _failed(self, why: str) -> None:
        self.failure = f"{self.failure}: {why}"
        self._try_next()

    def give_up(self, reason: str, permanent: bool = False) -> None:
        """End, connecting or not; ``reason`` says why, ``permanent`` that another attempt would end alike."""
        self.connecting = False
        self.finish(reason, permanent)


def dial(address: Address, options: Options) -> Connection:
    """A connection that has begun.

    :raises ValueError: there is no port. AccessDenied: it would leave this machine in clear text.
        NotSupported: there is no such resolver.
    """
    check_port(address)
    for target in targets(address, TCP):
        check_secure(address, target.host, options.insecure)
    conn = Connection(unconnected(), name=str(address), lingers=True, patience=options.connect_timeout)
    conn.insecure, conn.resolver = options.insecure, options.resolver
    conn.begin(address)
    return conn


def check_port(address: Address) -> None:
    """Refuse an address that nobody can connect to.

    :raises ValueError: it has no port, and no service that leads to one.
    """
    if not address.port and not address.service:
        example = f"{address.scheme}:127.0.0.1:7000"
        raise ValueError(f"{address}: whoever connects has to name the port of a server, as in {example}")


def unconnected() -> socket.socket:
    """A socket that stands there until the first attempt has its own."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def named(sock: socket.socket, scheme: str) -> str:
    """The other end of a socket as an address, for errors."""
    try:
        return f"{scheme}:{Target(sock.family, sock.getpeername())}"
    except OSError:  # it has left already
        return f"{scheme}: a peer that left at once"
