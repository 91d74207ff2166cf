# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over a Unix-domain stream socket: what the stream of core leaves open, connecting and who is there."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Final

from attrs import define, field

from kcoro_core.transport import Identity, PollSpec
from kcoro_core.transports.stream import (
    BACKLOG_BYTES,
    NOBODY,
    READ_BYTES,
    StreamConnection,
)

__all__ = [
    "BACKLOG_BYTES",
    "READ_BYTES",
    "Connection",
    "Options",
    "identity_of",
]

FIRST_RETRY: Final = 0.005
LAST_RETRY: Final = 0.1

_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid


@define(kw_only=True)
class Options:
    """What ``config`` may say: the length of the queue of a listener, the kernel's send buffer, patience."""

    backlog: int = 64
    # Modest: what lies in the kernel cannot be overtaken, so a large buffer makes urgent frames wait.
    sndbuf_bytes: int = 131072
    connect_timeout: float = 5.0


@define(eq=False, repr=False)
class Connection(StreamConnection):
    """One end of a connection; ``path`` is where it leads, empty on the accepting side.

    Unix sockets give no event for room in a listener's queue, so connecting has times to try again, and one to stop.
    """

    path: str = ""
    patience: float = 0.0
    retry_at: float | None = field(default=None, init=False)
    retry_after: float = field(default=FIRST_RETRY, init=False)
    give_up_at: float | None = field(default=None, init=False)

    def try_connect(self) -> None:
        """Connect now, or find out that it is worth trying again, or that it is not."""
        answer = self.sock.connect_ex(self.path)
        self.connecting = answer == errno.EAGAIN  # the listener's queue is full
        if answer == 0:
            self.peer = identity_of(self.sock)
        elif not self.connecting:
            self.finish(f"nobody can be reached at uds:{self.path}: {os.strerror(answer)}; is the server running?")

    def connect_on(self, now: float, _ready: int) -> None:
        """Try again when it is time."""
        if self.give_up_at is None:
            self.give_up_at = now + self.patience
        if self.retry_at is not None and now < self.retry_at:
            return
        self.try_connect()
        if self.connecting and now >= self.give_up_at:
            self.connecting = False
            self.finish(
                f"the server at uds:{self.path} has not accepted anybody for {self.patience} s; it is overloaded"
            )
        self.retry_at = now + self.retry_after
        self.retry_after = min(2 * self.retry_after, LAST_RETRY)

    def connect_poll(self) -> PollSpec:
        """Nothing but the time."""
        return PollSpec(deadline=self.retry_at, ready_now=self.retry_at is None)


def identity_of(sock: socket.socket) -> Identity:
    """Who made the other end, as the kernel says; unverified, and so nobody, when it does not say."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(raw)
    except (OSError, struct.error):
        return NOBODY
    if uid == 0xFFFFFFFF:  # the kernel's word for "unknown"
        return NOBODY
    return Identity("uid", verified=True, uid=uid, gid=gid, pid=pid)
