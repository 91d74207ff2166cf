# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A proxy between two real Unix sockets that forwards bytes and breaks the connection where it is told to.

    with FaultProxy("uds:/run/me/server.sock", tmp_path / "proxy.sock") as proxy:
        proxy.cut(TO_LISTENER, after_bytes=137)     # of the next connection
        async with dial(proxy.uri) as link: ...

Rule 1: it knows nothing of frames; a cut comes after exactly so many bytes of one direction, wherever that is.
Rule 2: bytes before the cut have been handed to the receiving side's kernel; bytes behind it are never read.
Rule 3: leaving the block ends every thread and socket of it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

from attrs import define, field

from ..transports.faults import TO_DIALER, TO_LISTENER, Direction

__all__ = ["TO_DIALER", "TO_LISTENER", "FaultProxy"]

READ_BYTES = 65536


@define(eq=False)
class _Flow:
    """One direction of one connection. ``left`` is how many bytes may still pass; None means no cut."""

    direction: Direction
    source: socket.socket
    target: socket.socket
    left: int | None
    passed: int = 0

    def forward(self, gate: threading.Event) -> bool:
        """Pass one piece on, once the gate is open; False at the end of the stream, or when the cut is reached."""
        size = READ_BYTES if self.left is None else min(READ_BYTES, self.left)
        data = self.source.recv(size) if size else b""
        if not data:
            return False
        gate.wait()
        self.passed += len(data)  # before whoever gets it can ask
        self.target.sendall(data)
        if self.left is not None:
            self.left -= len(data)
        return self.left != 0


@define(eq=False)
class _Connection:
    """Two sockets and the threads of their two flows; broken as a whole."""

    ends: tuple[socket.socket, socket.socket]
    flows: dict[Direction, _Flow] = field(factory=dict)
    threads: list[threading.Thread] = field(factory=list)

    def sever(self) -> None:
        """Break it for both sides; whoever is in a call of it returns."""
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Wait for the threads and give back the sockets."""
        self.sever()
        for thread in self.threads:
            thread.join()
        for end in self.ends:
            end.close()


class FaultProxy:
    """Listens at ``path`` and forwards to ``target``, a ``uds:`` address; a context manager."""

    def __init__(self, target: str, path: str | Path) -> None:
        self.uri = f"uds:{path}"
        self._target = target.partition(":")[2]
        self._path = str(path)
        self._cuts: dict[Direction, int] = {}
        self._connections: list[_Connection] = []
        self._open: dict[Direction, threading.Event] = {TO_LISTENER: threading.Event(), TO_DIALER: threading.Event()}
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> FaultProxy:
        for gate in self._open.values():
            gate.set()
        self._listener.bind(self._path)
        self._listener.listen()
        self._acceptor.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._acceptor.join()
        self._listener.close()
        os.unlink(self._path)
        for gate in self._open.values():
            gate.set()
        for connection in self._connections:
            connection.finish()

    # -- faults

    def cut(self, direction: Direction, *, after_bytes: int) -> None:
        """Break the next connection behind exactly that many bytes of one direction; for both sides."""
        with self._lock:
            self._cuts[direction] = after_bytes

    def cut_now(self) -> None:
        """Break every connection."""
        with self._lock:
            for connection in self._connections:
                connection.sever()

    def stall(self, direction: Direction) -> None:
        """Let nothing that is sent from now on pass in one direction, until ``resume``."""
        self._open[direction].clear()

    def resume(self, direction: Direction) -> None:
        """Go on where ``stall`` stopped."""
        self._open[direction].set()

    def passed_bytes(self, direction: Direction) -> int:
        """How much has passed in one direction of the latest connection."""
        with self._lock:
            return self._connections[-1].flows[direction].passed if self._connections else 0

    # -- the threads

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self._target)
            except OSError:
                near.close()
                far.close()
                continue
            self._join(near, far)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        connection = _Connection((near, far))
        with self._lock:
            cuts, self._cuts = self._cuts, {}
            for flow in (
                _Flow(TO_LISTENER, near, far, cuts.get(TO_LISTENER)),
                _Flow(TO_DIALER, far, near, cuts.get(TO_DIALER)),
            ):
                connection.flows[flow.direction] = flow
                thread = threading.Thread(target=self._run, args=(connection, flow), name=flow.direction, daemon=True)
                connection.threads.append(thread)
            self._connections.append(connection)
        for thread in connection.threads:
            thread.start()

    def _run(self, connection: _Connection, flow: _Flow) -> None:
        with contextlib.suppress(OSError):
            while flow.forward(self._open[flow.direction]):
                pass
        # The end of one direction is the end of both, as it is for the links that are tested through here.
        connection.sever()
