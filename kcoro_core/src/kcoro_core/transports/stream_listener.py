# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listening stream socket, whatever its family: takes who waits, and looks away while descriptors are short."""

from __future__ import annotations

import errno
import socket
from typing import Final

from attrs import define, field

from ..errors import TransportError
from ..transport import READ, PollSpec
from .stream import StreamConnection

__all__ = ["PAUSE_SECONDS", "StreamListener"]

PAUSE_SECONDS: Final = 0.1
"""How long a listener looks away that cannot accept, since the process has no descriptor to spare."""
SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@define(eq=False, repr=False)
class StreamListener:
    """One listening socket at ``uri``. ``paused_until`` is set while the system has no descriptor to spare."""

    sock: socket.socket
    uri: str
    now: float = field(default=0.0, init=False)
    paused_until: float | None = field(default=None, init=False)
    closed: bool = field(default=False, init=False)

    def raise_if_closed(self) -> None:
        """Raise TransportError once the listener has been closed."""
        if self.closed:
            raise TransportError(f"the listener at {self.uri} is closed")

    def accept(self) -> StreamConnection | None:
        """Take one connection that waits; None: none does.

        :raises TransportError: the listener is closed, or the kernel will accept nobody there.
        """
        raise NotImplementedError

    def accept_socket(self) -> socket.socket | None:
        """Take one connection that waits; None: none does, or this process is short of descriptors and pauses.

        :raises TransportError: the listener is closed, or the kernel will accept nobody there.
        """
        self.raise_if_closed()
        if self.paused_until is not None:
            return None
        try:
            sock, _ = self.sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if error.errno not in SHORTAGES:
                raise TransportError(f"nobody can be accepted at {self.uri}: {error.strerror}") from error
            # Without a descriptor to spare the listener stays readable: look away for a moment instead of spinning.
            self.paused_until = self.now + PAUSE_SECONDS
            return None
        sock.setblocking(False)
        return sock

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
        """Free the address, then stop; whoever waits in the queue is reset by the kernel."""
        if not self.closed:
            self.closed = True
            self.free()
            self.sock.close()

    def free(self) -> None:
        """Give back what holds the address besides the socket, while it still listens."""
