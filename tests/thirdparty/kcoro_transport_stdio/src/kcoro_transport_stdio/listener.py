# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A listener waits at a socket of its machine, to which the command's ``relay.py`` brings those who come.

Whoever dials is given the command that the listener was given, or one that leads there from the same machine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import socket
import sys
import tempfile

from kcoro_core.errors import AccessDenied, AlreadyExists, TransportError
from kcoro_core.transport import READ, PollSpec

from . import relay
from .address import command_of, path_of
from .link import Connection

__all__ = ["Listener"]


class Listener:
    """One socket in the file system, in a folder that only this user can enter unless a path was named."""

    def __init__(self, uri: str, backlog: int) -> None:
        self.closed = False
        self._folder: str | None = None  # which this listener has made, and removes
        self.path = path_of(uri) or self._fresh_path()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        try:
            self._bind(backlog)
        except OSError as error:
            self.sock.close()
            self._remove_folder()
            if error.errno == errno.EADDRINUSE:
                raise AlreadyExists(
                    f"somebody listens at {self.path}; stop that server or take another path"
                ) from error
            raise AccessDenied(f"{self.path}: {error.strerror}") from error
        given = command_of(uri) if uri.partition(":")[2] else []
        here = [sys.executable, "-I", "-S", str(relay.__file__), self.path]
        self.uri = f"stdio:{shlex.join(given if len(given) > 1 else here)}"
        self._waiting = PollSpec(fd=self.sock.fileno(), want=READ)

    def _fresh_path(self) -> str:
        self._folder = tempfile.mkdtemp(prefix="kcoro-stdio-")
        return f"{self._folder}/socket"

    def _bind(self, backlog: int) -> None:
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            self._folder = folder
        if self._is_stale():
            os.unlink(self.path)
        before = os.umask(0o077)
        try:
            self.sock.bind(self.path)
        finally:
            os.umask(before)
        self.sock.listen(backlog)

    def _is_stale(self) -> bool:
        """Whether a server that was killed has left its socket behind; a socket of another kind is no guest of it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            return probe.connect_ex(self.path) == errno.ECONNREFUSED

    def accept(self) -> Connection | None:
        """Who has waited longest; None: nobody waits."""
        if self.closed:
            raise TransportError(f"the listener at {self.path} is closed")
        try:
            sock, _ = self.sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        return Connection(sock)

    def pump(self, now: float) -> None:
        """Nothing depends on the time."""

    def poll(self) -> PollSpec:
        """Readable when somebody waits."""
        return PollSpec() if self.closed else self._waiting

    def close(self) -> None:
        """Stop, and free the address; whoever was not accepted is reset by the kernel."""
        if not self.closed:
            self.closed = True
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self._remove_folder()
            self.sock.close()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)
