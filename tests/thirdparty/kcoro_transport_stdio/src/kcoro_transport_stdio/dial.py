# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Beginning to connect: a command is started, and one socket is its standard input and output.

Rule 1: a command that was given up is killed; one that was closed ends by itself, since its input does.
Rule 2: nobody waits for a command to end but at the end of this process, and then not for long.
"""

from __future__ import annotations

import atexit
import socket
import subprocess
from typing import Any, Final

from .address import command_of
from .link import Connection

__all__ = ["Command", "dial"]

LAST_SECONDS: Final = 5.0
"""How long commands may take to deliver what they hold when this process ends."""

_leaving: list[subprocess.Popen[bytes]] = []


class Command(Connection):
    """The end that has started the command."""

    process: subprocess.Popen[bytes] | None = None

    def abort(self) -> None:
        """End now, and the command with it."""
        if self.process is not None:
            self.process.kill()
        super().abort()

    def give_back(self) -> None:
        """Close our end; the command goes when it has delivered what it holds."""
        super().give_back()
        if self.process is not None:
            _leaving.append(self.process)
            self.process = None
        collect()


def dial(uri: str) -> Command:
    """A connection through a command that has been started.

    :raises ValueError: no command is named.
    """
    words = command_of(uri)
    collect()
    ours, theirs = socket.socketpair()
    conn = Command(ours)
    with theirs:
        try:
            conn.process = subprocess.Popen(words, stdin=theirs, stdout=theirs)
        except OSError as error:
            permanent = isinstance(error, (FileNotFoundError, PermissionError))
            conn.finish(f"{words[0]} cannot be started: {error.strerror}", permanent)
    return conn


def collect() -> None:
    """Take the exit codes of commands that have ended."""
    _leaving[:] = [process for process in _leaving if process.poll() is None]


@atexit.register
def _wait(*_: Any) -> None:
    for process in _leaving:
        try:
            process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
