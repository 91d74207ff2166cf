# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A process whose end can be waited for on any host: by its descriptor where the system gives one, else by a thread."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from ..errors import WrongLoop
from ..hosts.port import READ, Handle, Host, current_host
from ..parking import park
from ..reference.waiter import Operation

__all__ = ["Child"]


class Child:
    """One process, in a session of its own, with nothing to read; whoever starts it waits for its end."""

    def __init__(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> None:
        """``environment`` is what it has beside what this process has."""
        self._process: subprocess.Popen[Any] = subprocess.Popen(  # noqa: S603 - the command is our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **environment},
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send_signal(self, signum: int) -> None:
        """Send it a signal; harmless when it has ended."""
        self._process.send_signal(signum)

    async def wait(self) -> int:
        """Wait for its end; gives its exit code, a signal as a negative number. Any number of tasks may wait."""
        while (code := self._process.poll()) is None:
            host = current_host()
            op = Operation(host)
            watch = _told(host, self._process, op.complete)
            await park(host, op, watch.cancel, None, None)
        return code


def _told(host: Host, process: subprocess.Popen[Any], fn: Callable[[], object]) -> Handle:
    """Have ``fn`` called on the loop's thread once the process has ended."""
    if not hasattr(os, "pidfd_open"):
        return _Thread(host, process, fn)
    return _Descriptor(host, process.pid, fn)


class _Descriptor:
    """A watch of the descriptor of a process, which is readable once it has ended."""

    def __init__(self, host: Host, pid: int, fn: Callable[[], object]) -> None:
        self._fd: int | None = os.pidfd_open(pid)
        self._watch = host.wait_fd(self._fd, READ, fn)

    def cancel(self) -> bool:
        """Watch no more, and close the descriptor."""
        active = self._watch.cancel()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        return active


class _Thread:
    """A thread that waits for a process, where there is nothing better; it ends with the process."""

    def __init__(self, host: Host, process: subprocess.Popen[Any], fn: Callable[[], object]) -> None:
        self._fn: Callable[[], object] | None = fn
        self._host = host
        self._process = process
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._process.wait()
        with suppress(WrongLoop):  # the run has ended, and nobody waits any more
            self._host.call_from_thread(self._tell)

    def _tell(self) -> None:
        if self._fn is not None:
            self._fn()

    def cancel(self) -> bool:
        """Tell nobody; the thread goes on."""
        active, self._fn = self._fn is not None, None
        return active
