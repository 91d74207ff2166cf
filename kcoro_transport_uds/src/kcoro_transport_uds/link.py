# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over a Unix-domain stream socket: whole frames in, whole frames out, never blocking.

    connecting --pump--> open --close--> closing --pump--> closed
        |                 |                                   ^
        +--- refused -----+------ other side ended, abort ----+

Rule 1: a frame that was accepted goes out whole, or the connection has ended; the rest of a partial write stays first.
Rule 2: bytes are read only when no whole frame is left in the decoder, so that it holds one frame and one read at most.
Rule 3: ``end`` is set once; every data call raises that object from then on.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from attrs import define, field

from kcoro_core.errors import ProtocolError, TransportError
from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import COMMIT_BYTES, READ, WRITE, Identity, PollSpec, RawFrame
from kcoro_core.wire.frame import FrameDecoder

__all__ = ["Connection", "Options", "identity_of", "kcoro_recv_frame", "kcoro_send_frame"]

READ_BYTES: Final = 65536
"""How much is read at once ..."""
MOST_READ_BYTES: Final = 262_144
"""... and behind a read that was full, or of a frame that is larger: what a socket holds in most settings."""
BACKLOG_BYTES: Final = 2 * COMMIT_BYTES
"""How much may wait for the kernel; then ``send_frame`` answers False. A single frame may be larger. Whoever drives a
link stops before, at COMMIT_BYTES."""
JOINED_BYTES: Final = 2048
"""A frame up to this size is copied into one buffer, which costs less than handing its pieces to the kernel."""
BUFFERS_AT_ONCE: Final = 256
"""How many buffers one system call takes; far below IOV_MAX everywhere."""
FIRST_RETRY: Final = 0.005
LAST_RETRY: Final = 0.1

NOBODY: Final = Identity("none")
_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid


@define(kw_only=True)
class Options:
    """What ``config`` may say: the length of the queue of a listener, the kernel's send buffer, patience."""

    backlog: int = 64
    # Modest: what lies in the kernel cannot be overtaken, so a large buffer makes urgent frames wait.
    sndbuf_bytes: int = 131072
    connect_timeout: float = 5.0


@define(eq=False, repr=False)
class Connection:
    """One end of a connection; ``path`` is where it leads, empty on the accepting side."""

    sock: socket.socket
    path: str = ""
    patience: float = 0.0
    peer: Identity = NOBODY
    end: TransportError | None = None
    # Connecting: when to try again, and until when. Unix sockets give no event for room in a listener's queue.
    connecting: bool = False
    retry_at: float | None = None
    retry_after: float = FIRST_RETRY
    give_up_at: float | None = None
    # Receiving: whether the decoder has said that it needs more bytes; the error that made its stream unreadable.
    decoder: FrameDecoder = field(factory=FrameDecoder)
    starved: bool = True
    read_was_full: bool = False
    unreadable: ProtocolError | None = None
    # Sending: what was accepted and is not in the kernel, in order; why nothing goes out any more.
    backlog: deque[bytes | memoryview] = field(factory=deque)
    backlog_bytes: int = 0
    tx_end: TransportError | None = None
    # Ending.
    closing: bool = False
    closed: bool = False
    end_was_told: bool = False
    # What a connection that is open and has nothing to write waits for, made once.
    reading: PollSpec = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reading = PollSpec(fd=self.sock.fileno(), want=READ)

    # -- connecting

    def try_connect(self) -> None:
        """Connect now, or find out that it is worth trying again, or that it is not."""
        answer = self.sock.connect_ex(self.path)
        self.connecting = answer == errno.EAGAIN  # the listener's queue is full
        if answer == 0:
            self.peer = identity_of(self.sock)
        elif not self.connecting:
            self._finish(f"nobody can be reached at uds:{self.path}: {os.strerror(answer)}; is the server running?")

    def _retry(self, now: float) -> None:
        if self.give_up_at is None:
            self.give_up_at = now + self.patience
        if self.retry_at is not None and now < self.retry_at:
            return
        self.try_connect()
        if self.connecting and now >= self.give_up_at:
            self.connecting = False
            self._finish(
                f"the server at uds:{self.path} has not accepted anybody for {self.patience} s; it is overloaded"
            )
        self.retry_at = now + self.retry_after
        self.retry_after = min(2 * self.retry_after, LAST_RETRY)

    # -- sending

    def makes_room(self, size: int) -> bool:
        """Whether so much more may wait, once the kernel has taken what it takes now."""
        if self.backlog_bytes + size > BACKLOG_BYTES:
            self._flush()
            self.raise_if_unsendable()
        return not self.backlog_bytes or self.backlog_bytes + size <= BACKLOG_BYTES

    def raise_if_unsendable(self) -> None:
        """Raise the end of the connection, or of its sending side, if that has come; nothing else is done."""
        if self.end is not None:
            raise self.told(self.end)
        if self.tx_end is not None:
            raise self.tx_end

    def _flush(self) -> None:
        """Hand the kernel what it takes."""
        while self.backlog:
            offered_all = len(self.backlog) <= BUFFERS_AT_ONCE
            try:
                if len(self.backlog) > 1:
                    size = self.sock.sendmsg(list(islice(self.backlog, BUFFERS_AT_ONCE)))
                else:
                    size = self.sock.send(self.backlog[0])
                if size == self.backlog_bytes:
                    self.backlog.clear()
                    self.backlog_bytes = 0
                    return
                self._sent(size)
            except BlockingIOError:
                return
            except OSError as error:
                # What the other side sent before it left can still be received, so this is not the end yet.
                self.tx_end = TransportError(f"the other side does not take frames any more: {error.strerror}")
                self.backlog.clear()
                self.backlog_bytes = 0
            if offered_all:
                return  # what it left there is no room for: asking again would cost a call to hear that

    def _sent(self, size: int) -> None:
        """Take ``size`` bytes off the front of the backlog; the rest of a buffer stays first."""
        self.backlog_bytes -= size
        while size:
            first = self.backlog.popleft()
            if size < len(first):
                self.backlog.appendleft(memoryview(first)[size:])
                return
            size -= len(first)

    # -- receiving

    def _fill(self) -> None:
        """Read once, if that can be of use."""
        size = READ_BYTES
        if self.read_was_full or self.decoder.missing > READ_BYTES:
            size = MOST_READ_BYTES if self.read_was_full else min(self.decoder.missing, MOST_READ_BYTES)
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(f"the connection broke: {error.strerror}")
            return
        self.read_was_full = len(data) >= READ_BYTES
        if data:
            self.starved = False
            self.decoder.feed(data)
        elif self.decoder.buffered:
            self._finish("the connection broke inside a frame")
        else:
            self._finish("the other side closed the connection")

    # -- driving

    def pump(self, now: float, ready: int) -> None:
        """Connect, write, read once; tell an end that was not our doing when nothing is left to be received."""
        if self.connecting and self.end is None:
            self._retry(now)
        if ready & WRITE and self.backlog and not self.closed:
            self._flush()
        if self.closing:
            self._close_when_flushed()
            return
        if ready & READ and self.starved and self.end is None and not self.connecting:
            self._fill()
        if self.end is not None and self.starved:
            raise self.told(self.end)

    def poll(self) -> PollSpec:
        """What to wait for."""
        if self.closed:
            return PollSpec()
        if self.starved and not self.backlog and self.end is None and self.unreadable is None and not self.connecting:
            return self.reading
        write = WRITE if self.backlog else 0
        if self.closing:
            return PollSpec(fd=self.sock.fileno(), want=write)
        if self.end is not None:
            return PollSpec(ready_now=not self.end_was_told)
        if self.connecting:
            return PollSpec(deadline=self.retry_at, ready_now=self.retry_at is None)
        if self.unreadable is not None:
            return PollSpec(fd=self.sock.fileno(), want=write)
        return PollSpec(fd=self.sock.fileno(), want=write | (READ if self.starved else 0), ready_now=not self.starved)

    # -- ending

    def close(self) -> None:
        """End in good order: what was accepted goes out first, now or by pumping."""
        if self.closing:
            return
        self._finish("the connection was closed by this side")
        self.closing = True
        if not self.connecting:
            self._flush()
        self._close_when_flushed()

    def abort(self) -> None:
        """End now."""
        self._finish("the connection was given up by this side")
        self.closing = True
        self.backlog.clear()
        self._close_when_flushed()

    def _close_when_flushed(self) -> None:
        if not self.backlog and not self.closed:
            self.closed = True
            self.backlog_bytes = 0
            self.decoder = FrameDecoder()  # half a frame may be large, and whoever keeps this object wants none of it
            self.sock.close()

    def _finish(self, reason: str) -> None:
        if self.end is None:
            self.end = self.tx_end or TransportError(reason)

    def told(self, end: TransportError) -> TransportError:
        """The end is about to be raised; from now on nobody needs to be woken for it."""
        self.end_was_told = True
        return end


# -- the hooks of the data path: here and not in plugin.py, since another call would show in each message


@hookimpl
def kcoro_send_frame(conn: Connection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Accept a frame whole, or answer False; it goes out with the next pump."""
    if conn.end is not None or conn.tx_end is not None:
        conn.raise_if_unsendable()
    if conn.connecting:
        return False
    size = len(header) + sum(map(len, parts))
    if conn.backlog_bytes and not conn.makes_room(size):
        return False
    conn.backlog_bytes += size
    if size <= JOINED_BYTES:
        conn.backlog.append(b"".join((header, *parts)))
    else:
        conn.backlog.append(header)
        conn.backlog.extend(filter(None, parts))
    return True


@hookimpl
def kcoro_recv_frame(conn: Connection, limit: int) -> RawFrame | None:
    """Take the oldest whole frame of those that have been read; None: none is whole yet."""
    if conn.starved and conn.end is None and conn.unreadable is None:
        return None
    if conn.closing and conn.end is not None:
        raise conn.end
    if conn.unreadable is not None:
        raise conn.unreadable
    try:
        frame = conn.decoder.next_raw(limit)
    except ProtocolError as error:
        conn.unreadable = error
        raise
    conn.starved = conn.decoder.drained
    if frame is None and conn.end is not None:
        raise conn.told(conn.end)
    return frame


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
