# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over a stream socket, whatever its family: whole frames in, whole frames out, never blocking.

    connecting --pump--> open --close--> closing --pump--> closed
        |                 |                                   ^
        +--- refused -----+------ other side ended, abort ----+

A transport package derives its connection from ``StreamConnection``, says how connecting goes on, and uses the two
hooks of the data path as they stand here.

Rule 1: a frame that was accepted goes out whole, or the connection has ended; the rest of a partial write stays first.
Rule 2: bytes are read only when no whole frame is left in the decoder, so that it holds one frame and one read at most.
Rule 3: ``end`` is set once; every data call raises that object from then on.
Rule 4: where bytes travel (``lingers``), a closed socket is kept until the other side has ended, too, or a while: the
kernel answers what comes behind a close with a reset, and that would overtake the last frames.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from attrs import define, field

from ..errors import ProtocolError, TransportError
from ..hookspecs import hookimpl
from ..transport import COMMIT_BYTES, READ, WRITE, Identity, PollSpec, RawFrame
from ..wire.frame import FrameDecoder

__all__ = ["BACKLOG_BYTES", "NOBODY", "READ_BYTES", "StreamConnection", "kcoro_recv_frame", "kcoro_send_frame"]

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
READS_WHEN_CLOSED: Final = 16
"""How many times a pump reads what nobody wants any more."""
LINGER_SECONDS: Final = 1.0
"""How long a closed socket waits for the other side to end, where it does."""

NOBODY: Final = Identity("none")
"""The other end, as long as no medium has said who that is."""


@define(eq=False, repr=False)
class StreamConnection:
    """One end of a connection. ``name`` is the other end in errors; a transport may leave it out."""

    sock: socket.socket
    name: str = field(default="", kw_only=True)
    peer: Identity = field(default=NOBODY, kw_only=True)
    lingers: bool = field(default=False, kw_only=True)
    end: TransportError | None = field(default=None, init=False)
    connecting: bool = field(default=False, init=False)
    # Receiving: whether the decoder has said that it needs more bytes; the error that made its stream unreadable.
    decoder: FrameDecoder = field(init=False, factory=FrameDecoder)
    starved: bool = field(default=True, init=False)
    read_was_full: bool = field(default=False, init=False)
    unreadable: ProtocolError | None = field(default=None, init=False)
    # Sending: what was accepted and is not in the kernel, in order; why nothing goes out any more.
    backlog: deque[bytes | memoryview] = field(init=False, factory=deque)
    backlog_bytes: int = field(default=0, init=False)
    tx_end: TransportError | None = field(default=None, init=False)
    # Ending.
    closing: bool = field(default=False, init=False)
    closed: bool = field(default=False, init=False)
    end_was_told: bool = field(default=False, init=False)
    linger_until: float | None = field(default=None, init=False)
    shut: bool = field(default=False, init=False)
    # What a connection that is open and has nothing to write waits for, made once.
    reading: PollSpec = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reading = PollSpec(fd=self.sock.fileno(), want=READ)

    # -- connecting: what a transport adds

    def connect_on(self, now: float, ready: int) -> None:
        """Go on connecting; called by each pump while ``connecting``, which it ends, or the connection."""
        raise NotImplementedError

    def connected_by_now(self) -> bool:
        """Whether connecting has ended well, which no pump may have seen yet; changes nothing else."""
        return False

    def connect_poll(self) -> PollSpec:
        """What to wait for while connecting."""
        raise NotImplementedError

    # -- sending

    def makes_room(self, size: int) -> bool:
        """Whether so much more may wait, once the kernel has taken what it takes now."""
        if self.backlog_bytes + size > BACKLOG_BYTES:
            self.flush()
            self.raise_if_unsendable()
        return not self.backlog_bytes or self.backlog_bytes + size <= BACKLOG_BYTES

    def raise_if_unsendable(self) -> None:
        """Raise the end of the connection, or of its sending side, if that has come; nothing else is done."""
        if self.end is not None:
            raise self.told(self.end)
        if self.tx_end is not None:
            raise self.tx_end.with_traceback(None)

    def flush(self) -> None:
        """Hand the kernel what it takes."""
        backlog = self.backlog
        while backlog:
            offered_all = len(backlog) <= BUFFERS_AT_ONCE
            try:
                if len(backlog) > 1:
                    size = self.sock.sendmsg(list(islice(backlog, BUFFERS_AT_ONCE)))
                else:
                    size = self.sock.send(backlog[0])
                if size == self.backlog_bytes:
                    backlog.clear()
                    self.backlog_bytes = 0
                    return
                self._sent(size)
            except BlockingIOError:
                return
            except OSError as error:
                # What the other side sent before it left can still be received, so this is not the end yet.
                self.tx_end = self.error(f"the other side does not take frames any more: {error.strerror}")
                backlog.clear()
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

    def fill(self) -> None:
        """Read once, if that can be of use."""
        size = READ_BYTES
        if self.read_was_full or self.decoder.missing > READ_BYTES:
            size = MOST_READ_BYTES if self.read_was_full else min(self.decoder.missing, MOST_READ_BYTES)
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(f"the connection broke: {error.strerror}")
            return
        self.read_was_full = len(data) >= READ_BYTES
        if data:
            self.starved = False
            self.decoder.feed(data)
        elif self.decoder.buffered:
            self.finish("the connection broke inside a frame")
        else:
            self.finish("the other side closed the connection")

    # -- driving

    def pump(self, now: float, ready: int) -> None:
        """Connect, write, read once; tell an end that was not our doing when nothing is left to be received."""
        if ready == WRITE and self.end is None and not (self.connecting or self.closing):
            self.flush()  # behind most frames
            return
        if self.connecting and self.end is None:
            self.connect_on(now, ready)
        if ready & WRITE and self.backlog and not self.closed:
            self.flush()
        if self.closing:
            self.close_when_flushed(now)
            return
        if ready & READ and self.starved and self.end is None and not self.connecting:
            self.fill()
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
            if not self.shut:
                return PollSpec(fd=self.sock.fileno(), want=write)
            waits = self.linger_until is not None
            return PollSpec(fd=self.sock.fileno(), want=READ, deadline=self.linger_until, ready_now=not waits)
        if self.end is not None:
            return PollSpec(ready_now=not self.end_was_told)
        if self.connecting:
            return self.connect_poll()
        if self.unreadable is not None:
            return PollSpec(fd=self.sock.fileno(), want=write)
        return PollSpec(fd=self.sock.fileno(), want=write | (READ if self.starved else 0), ready_now=not self.starved)

    # -- ending

    def close(self) -> None:
        """End in good order: what was accepted goes out first, now or by pumping."""
        if self.closing:
            return
        reached = self.end is None and (not self.connecting or self.connected_by_now())
        self.finish("the connection was closed by this side")
        self.closing = True
        if reached:
            self.say_goodbye()
        if not self.connecting:
            self.flush()
        self.lingers = self.lingers and reached
        self.close_when_flushed()

    def say_goodbye(self) -> None:
        """Put what a medium says at its end behind the last frame; most say nothing."""

    def abort(self) -> None:
        """End now."""
        self.finish("the connection was given up by this side")
        self.closing = True
        self.lingers = False
        self.backlog.clear()
        self.close_when_flushed()

    def close_when_flushed(self, now: float | None = None) -> None:
        """Give the socket back, once nothing waits in front of it and, where that counts, the other side has ended."""
        if self.backlog or self.closed:
            return
        self.decoder = FrameDecoder()  # half a frame may be large, and whoever keeps this object wants none of it
        if self.lingers and self.tx_end is None and not self._other_side_has_ended(now):
            return
        self.closed = True
        self.backlog_bytes = 0
        self.sock.close()

    def _other_side_has_ended(self, now: float | None) -> bool:
        """Tell the other side that nothing comes any more, and drop what it still sends; whether its end has come."""
        try:
            if not self.shut:
                self.shut = True
                self.sock.shutdown(socket.SHUT_WR)
            for _ in range(READS_WHEN_CLOSED):
                if not self.sock.recv(READ_BYTES):
                    return True
        except BlockingIOError:
            pass
        except OSError:
            return True
        if now is not None and self.linger_until is None:
            self.linger_until = now + LINGER_SECONDS
        return now is not None and self.linger_until is not None and now >= self.linger_until

    def finish(self, reason: str, permanent: bool = False) -> None:
        """Set the end, unless it has come; ``reason`` says what happened, ``permanent`` that it stays so."""
        if self.end is None:
            self.end = self.tx_end or self.error(reason, permanent)

    def error(self, reason: str, permanent: bool = False) -> TransportError:
        """An error that names the other end."""
        return TransportError(f"{self.name}: {reason}" if self.name else reason, permanent=permanent)

    def told(self, end: TransportError) -> TransportError:
        """The end is about to be raised; from now on nobody needs to be woken for it."""
        self.end_was_told = True
        return end.with_traceback(None)  # which would grow each time, and keep what callers had


# -- the hooks of the data path: here and not in plugin.py, since another call would show in each message


@hookimpl
def kcoro_send_frame(conn: StreamConnection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Accept a frame whole, or answer False; it goes out with the next pump."""
    if conn.end is not None or conn.tx_end is not None:
        conn.raise_if_unsendable()
    if conn.connecting and not conn.connected_by_now():
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
def kcoro_recv_frame(conn: StreamConnection, limit: int) -> RawFrame | None:
    """Take the oldest whole frame of those that have been read; None: none is whole yet."""
    if conn.starved and conn.end is None and conn.unreadable is None:
        return None
    if conn.closing and conn.end is not None:
        raise conn.end.with_traceback(None)
    if conn.unreadable is not None:
        raise conn.unreadable.with_traceback(None)
    try:
        frame = conn.decoder.next_raw(limit)
    except ProtocolError as error:
        conn.unreadable = error
        raise
    conn.starved = conn.decoder.drained
    if frame is None and conn.end is not None:
        raise conn.told(conn.end)
    return frame
