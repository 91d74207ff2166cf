# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a program writes that has only a trio stream: a length of 4 bytes in front of each message, 64 KiB reads.

Each message is one ``send_all``, as it is with a stream that several tasks share. Nothing is checked, nothing is
bounded, one message has one reader: that is what a link is measured against, not what it does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

READ_BYTES = 65536

Answer = Callable[[bytes], bytes | None]
"""What a server says to a message; None is nothing."""


class Plain:
    """Messages over a stream; for one task that sends and one that receives."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def send(self, message: bytes) -> None:
        """Write one message."""
        await self._stream.send_all(len(message).to_bytes(4, "big") + message)

    async def receive(self) -> list[bytes]:
        """Every message that is whole after one read or more; empty at the end of the stream."""
        found: list[bytes] = []
        while not found:
            data = await self._stream.receive_some(READ_BYTES)
            if not data:
                break
            self._buffer += data
            self._cut(found)
        return found

    def _cut(self, found: list[bytes]) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) >= start + 4:
            end = start + 4 + int.from_bytes(buffer[start : start + 4], "big")
            if len(buffer) < end:
                break
            found.append(bytes(buffer[start + 4 : end]))
            start = end
        del buffer[:start]

    async def ask(self, message: bytes) -> None:
        """Send a message and wait for its answer; for a task that is alone."""
        await self.send(message)
        await self.receive()


class Shared:
    """One stream for many tasks that ask: a lock around writing, a task that reads, answers in order."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._plain = Plain(stream)
        self._lock = trio.Lock()
        self._waiting: deque[trio.Event] = deque()

    async def read(self) -> None:
        """Wake whoever an answer is for; cancel it when nobody asks any more."""
        while answers := await self._plain.receive():
            for _ in answers:
                self._waiting.popleft().set()

    async def ask(self, message: bytes) -> None:
        """Send a message and wait for its answer."""
        answered = trio.Event()
        async with self._lock:
            self._waiting.append(answered)
            await self._plain.send(message)
        await answered.wait()


async def connect(path: str) -> Plain:
    """A stream to a server at a path."""
    return Plain(await trio.open_unix_socket(path))


async def serve(path: str, answer: Answer, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Answer whoever connects, for ever."""

    async def handle(stream: trio.SocketStream) -> None:
        plain = Plain(stream)
        while messages := await plain.receive():
            for message in messages:
                if (said := answer(message)) is not None:
                    await plain.send(said)

    sock = trio.socket.socket(trio.socket.AF_UNIX)
    await sock.bind(path)
    sock.listen(64)
    await _accept(trio.SocketListener(sock), handle, task_status)


async def _accept(
    listener: trio.SocketListener,
    handle: Callable[[trio.SocketStream], Awaitable[None]],
    task_status: trio.TaskStatus[None],
) -> None:
    async def forgiving(stream: trio.SocketStream) -> None:
        try:
            async with stream:
                await handle(stream)
        except trio.BrokenResourceError:
            pass  # the other side has what it wanted

    await trio.serve_listeners(forgiving, [listener], task_status=task_status)  # type: ignore[arg-type]
