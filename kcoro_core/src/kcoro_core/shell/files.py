# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Reading and writing descriptors of any sort (files, pipes, terminals) while the loop goes on.

Rule 1: every call that may block runs in a thread. Readiness would not do: a pipe that others read, too, may be empty
again when we come, and files are always ready and then wait for the disk.
Rule 2: a cancelled wait leaves its thread behind, which ends with the process; what it reads is nobody's.
Rule 3: what waits to be written is bounded; whoever brings more waits.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import trio

from .formats import InputError

__all__ = ["Input", "Output", "OutputError", "size_of"]

T = TypeVar("T")

CHUNK_BYTES: Final = 1 << 16
STANDARD: Final = "-"


class OutputError(Exception):
    """The output takes no more; ``closed`` when whoever read it has gone."""

    def __init__(self, text: str, closed: bool) -> None:
        super().__init__(text)
        self.closed = closed


def size_of(paths: Sequence[str]) -> int | None:
    """Bytes of all inputs together, None when one of them is no regular file. OSError when one is not there."""
    states = [os.fstat(0) if path == STANDARD else os.stat(path) for path in paths]
    return sum(state.st_size for state in states) if all(stat.S_ISREG(state.st_mode) for state in states) else None


class Input:
    """One input, by its path or ``-``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = 0 if path == STANDARD else -1

    async def read(self) -> bytes:
        """The next bytes, empty at the end. Raises InputError."""
        try:
            if self._fd < 0:
                self._fd = await _in_thread(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
            chunk = await _in_thread(_read, self._fd)
        except OSError as error:
            raise InputError(f"cannot read {self}: {error.strerror}") from error
        if not chunk and self._path != STANDARD:
            os.close(self._fd)
        return chunk

    def __str__(self) -> str:
        return "standard input" if self._path == STANDARD else self._path


class Output:
    """Where elements are written, each as it comes, and many at once when they come faster.

    ``run`` is a task of its own, so that an element is received while another is written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = 1
        self._waiting = bytearray()
        self._waiting_elements = 0
        self._news = trio.Event()
        self._room = trio.Event()
        self._ended = False
        self.error: OutputError | None = None
        self.written = 0

    def __str__(self) -> str:
        return "standard output" if self._path == STANDARD else self._path

    async def open(self) -> None:
        """Make the file, or empty it. Raises OutputError."""
        if self._path == STANDARD:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = await _in_thread(os.open, self._path, flags, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write {self}: {error.strerror}", closed=False) from error

    async def put(self, data: bytes) -> None:
        """One element to write; waits while much is waiting. After an error it waits to be cancelled by ``run``."""
        while len(self._waiting) >= CHUNK_BYTES or self.error is not None:
            self._room = trio.Event()
            await self._room.wait()
        self._waiting += data
        self._waiting_elements += 1
        self._news.set()

    def end(self) -> None:
        """No more will come: ``run`` ends when everything is written."""
        self._ended = True
        self._news.set()

    async def run(self, scope: trio.CancelScope) -> None:
        """Write until ``end``; when that fails, keep the error and cancel ``scope``."""
        try:
            while await self._more():
                data, self._waiting = self._waiting, bytearray()
                elements, self._waiting_elements = self._waiting_elements, 0
                self._room.set()
                await _in_thread(self._write, data, elements)
            if self._path != STANDARD:
                await _in_thread(os.close, self._fd)
        except OSError as error:
            self.error = OutputError(f"cannot write {self}: {error.strerror}", isinstance(error, BrokenPipeError))
            scope.cancel()

    def _write(self, data: bytearray, elements: int) -> None:
        _write(self._fd, data)
        self.written += elements  # here, in the thread: a wait that is cancelled does not hear of it

    async def _more(self) -> bool:
        while not self._waiting:
            if self._ended:
                return False
            self._news = trio.Event()
            await self._news.wait()
        return True


async def _in_thread(fn: Callable[..., T], *args: object) -> T:
    return await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=True)


def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, CHUNK_BYTES)
        except BlockingIOError:  # whoever shares this description has made it non-blocking
            _wait(fd, select.POLLIN)


def _write(fd: int, data: bytearray) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            _wait(fd, select.POLLOUT)


def _wait(fd: int, want: int) -> None:
    poller = select.poll()
    poller.register(fd, want)
    poller.poll()
