# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Frames: the 20-byte header, and how frames come out of a stream of bytes.

Rule 1: the length is checked against the limit before a byte of the payload is kept or allocated for.
Rule 2: nothing here knows what a command means; flags nobody knows are refused, commands are passed on.
Rule 3: a frame is made and taken whole; half a frame exists only inside FrameDecoder.

Unit of every length: bytes. Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final, NamedTuple

from attrs import define, field

from ..errors import ProtocolError
from ..transport import RawFrame
from .commands import Flag, command_name

__all__ = [
    "HEADER_SIZE",
    "MAX_FRAME_CEILING",
    "Frame",
    "FrameDecoder",
    "Header",
    "decode_header",
    "encode_header",
    "frame_from_raw",
    "pack_header",
]

_HEADER: Final = struct.Struct(">IHHIII")
_LENGTH: Final = struct.Struct(">I")

pack_header: Final = _HEADER.pack
"""``encode_header``, without a name for each field: it runs for each frame."""

HEADER_SIZE: Final = _HEADER.size
"""Bytes of a header, always; the payload follows at once."""

MAX_FRAME_CEILING: Final = 1 << 24
"""No side may agree to payloads above this, whatever its configuration says."""

SMALL_CHUNK: Final = 4096
"""Bytes; what comes in smaller pieces is put together as it comes."""

_KNOWN_FLAGS: Final = sum(Flag)
_FOREIGN_FLAGS: Final = 0xFFFF & ~_KNOWN_FLAGS


class Header(NamedTuple):
    """The six fields of a header, checked by decode_header; all unsigned."""

    length: int
    command: int
    flags: int
    channel_id: int
    request_id: int
    seq: int


def _joined(parts: tuple[bytes, ...]) -> bytes:
    # A part may be a view of a long element; whoever wants the payload in one piece gets bytes.
    return parts[0] if len(parts) == 1 and type(parts[0]) is bytes else b"".join(parts)


@define(init=False)
class Frame:
    """One frame: its header fields and its payload, in parts so that a large element is never copied to be framed.

    ``command`` is a Command where that is known, else the plain number. Two frames are equal when their bytes are.
    Nobody changes one; that attrs forbids it would cost more than the rest of making it, and one is made each time.
    """

    command: int
    flags: int = 0
    channel_id: int = 0
    request_id: int = 0
    seq: int = 0
    parts: tuple[bytes, ...] = field(default=(), eq=_joined)
    length: int = field(default=-1, eq=False, repr=False)
    """Bytes that follow the header: those of all parts."""

    def __init__(
        self,
        command: int,
        flags: int = 0,
        channel_id: int = 0,
        request_id: int = 0,
        seq: int = 0,
        parts: tuple[bytes, ...] = (),
        length: int = -1,
    ) -> None:
        """``length`` is passed by those who know it; else it is counted."""
        self.command = command
        self.flags = flags
        self.channel_id = channel_id
        self.request_id = request_id
        self.seq = seq
        self.parts = parts
        self.length = sum(map(len, parts)) if length < 0 else length

    @property
    def payload(self) -> bytes:
        """What follows the header, in one piece."""
        parts = self.parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def header(self) -> bytes:
        """The 20 bytes that go in front of the parts."""
        return pack_header(self.length, self.command, self.flags, self.channel_id, self.request_id, self.seq)

    def encode(self) -> bytes:
        """The whole frame in one piece: for tests and for media that keep message borders."""
        return b"".join((self.header, *self.parts))

    def __str__(self) -> str:
        name = command_name(self.command)
        return f"{name} channel {self.channel_id} request {self.request_id} seq {self.seq}, {self.length} bytes"


def encode_header(length: int, command: int, flags: int, channel_id: int, request_id: int, seq: int) -> bytes:
    """Return the 20 bytes of a header; integers are unsigned and big-endian.

    ======  ====  ==========================================================
    offset  size  field
    ======  ====  ==========================================================
    0       4     length of what follows the header, extensions included
    4       2     command
    6       2     flags
    8       4     channel id, 0 = the connection itself
    12      4     request id, 0 = none
    16      4     seq, counted per channel and direction
    ======  ====  ==========================================================
    """
    return pack_header(length, command, flags, channel_id, request_id, seq)


def decode_header(header: bytes, limit: int) -> Header:
    """Return the fields of 20 bytes; refuse a length above ``limit`` bytes and flags nobody knows.

    Raises ProtocolError; nothing was allocated for the payload then, and the stream cannot be read any further.
    """
    fields = Header._make(_HEADER.unpack(header))
    if fields.length > limit:
        raise _too_long(fields.length, limit)
    if fields.flags & ~_KNOWN_FLAGS:
        raise ProtocolError(f"{command_name(fields.command)} carries unknown flags {fields.flags & ~_KNOWN_FLAGS:#06x}")
    return fields


def frame_from_raw(raw: RawFrame, limit: int) -> Frame:
    """Check what a transport delivered and return it as a frame. Raises ProtocolError naming what was wrong."""
    header, payload = raw.header, raw.payload
    if len(header) != HEADER_SIZE:
        raise ProtocolError(f"a header has {HEADER_SIZE} bytes, not {len(header)}")
    length, command, flags, channel_id, request_id, seq = _HEADER.unpack(header)
    if length > limit or flags & _FOREIGN_FLAGS:
        decode_header(header, limit)  # says what is wrong; without a detour for each frame that is right
    if length != len(payload):
        raise ProtocolError(f"the header announces {length} bytes, {len(payload)} came")
    return Frame(command, flags, channel_id, request_id, seq, (payload,), length)


class FrameDecoder:
    """Cuts a stream of bytes into frames: feed what was read, take frames until None, feed again.

    Keeps at most one unfinished frame (header and ``limit`` bytes) and what was fed last; a frame that is too
    long is refused as soon as its header is complete.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes | bytearray] = deque()  # as they were fed, but that small ones share a bytearray
        self._start = 0  # what was taken of the first
        self._bytes = 0  # what was not taken of all
        self._header = b""  # of a frame whose payload is not here
        self.drained = True
        """Whether it is known that there is no whole frame here."""
        self.missing = HEADER_SIZE
        """Bytes without which there is no other frame: if that is much, it is worth reading at once."""

    @property
    def buffered(self) -> int:
        """Bytes that were fed and not yet taken; at the end of a stream anything but 0 means a torn frame."""
        return self._bytes + len(self._header)

    def feed(self, data: bytes) -> None:
        """Add what was read from the stream, of any size.

        Raises ValueError, and changes nothing, while complete frames may be waiting: otherwise a reader that feeds
        faster than it takes would grow without bound.
        """
        if not self.drained:
            raise ValueError("take frames until None before feeding more bytes")
        if not data:
            return
        self.drained = False
        self._bytes += len(data)
        if self._chunks and len(data) < SMALL_CHUNK:
            self._gather(data)
        else:
            self._chunks.append(data)

    def next_raw(self, limit: int) -> RawFrame | None:
        """Take the next whole frame, or None when more bytes are needed.

        Raises ProtocolError when a payload longer than ``limit`` is announced; no payload is consumed, so that the
        call raises again: after a length that lies there is no next frame to find.
        """
        header = self._header
        if not header:
            if not self._start and self._bytes >= HEADER_SIZE:
                # Where frames come one by one, one read has brought one frame.
                first = self._chunks[0]
                if len(first) == self._bytes and type(first) is bytes:
                    size = len(first) - HEADER_SIZE
                    if size <= limit and _LENGTH.unpack_from(first)[0] == size:
                        self._chunks.clear()
                        self._bytes = 0
                        self.drained = True
                        self.missing = HEADER_SIZE
                        return RawFrame(first[:HEADER_SIZE], first[HEADER_SIZE:])
            if self._bytes < HEADER_SIZE:
                self.drained = True
                self.missing = HEADER_SIZE - self._bytes
                return None
            first, start = self._chunks[0], self._start
            body = start + HEADER_SIZE
            if len(first) >= body and type(first) is bytes:
                # Mostly a frame lies whole in what one read has brought.
                end = body + _LENGTH.unpack_from(first, start)[0]
                if end <= len(first) and end - body <= limit:
                    self._bytes -= end - start
                    self._start = end
                    if end == len(first):
                        self._chunks.popleft()
                        self._start = 0
                        self.drained = not self._bytes
                        self.missing = HEADER_SIZE
                    return RawFrame(first[start:body], first[body:end])
            header = self._take(HEADER_SIZE)
        length: int = _LENGTH.unpack_from(header)[0]
        if length > limit or self._bytes < length:
            self._header = header
            if length > limit:
                raise _too_long(length, limit)
            self._wait_for(length)
            return None
        self._header = b""
        return RawFrame(header, self._take(length) if length else b"")

    def _wait_for(self, size: int) -> None:
        self.drained = True
        self.missing = size - self._bytes

    def _gather(self, data: bytes) -> None:
        """Many small chunks must not cost more than their bytes."""
        last = self._chunks[-1]
        if isinstance(last, bytearray):
            last += data
        else:
            self._chunks.append(bytearray(data))

    def _take(self, size: int) -> bytes:
        """The next bytes, copied once: they are put together here if they came in several chunks."""
        first, start = self._chunks[0], self._start
        end = start + size
        self._bytes -= size
        if end <= len(first):
            self._start = end
            if end == len(first):
                self._chunks.popleft()
                self._start = 0
            piece = first[start:end]
            return piece if isinstance(piece, bytes) else bytes(piece)
        pieces: list[memoryview] = []
        while size:
            view = memoryview(self._chunks[0])[self._start : self._start + size]
            size -= len(view)
            self._start += len(view)
            pieces.append(view)
            if self._start == len(self._chunks[0]):
                self._chunks.popleft()
                self._start = 0
        return b"".join(pieces)

    def next_frame(self, limit: int) -> Frame | None:
        """Take the next frame with its header checked, or None; raises as next_raw and decode_header do."""
        raw = self.next_raw(limit)
        return None if raw is None else frame_from_raw(raw, limit)


def _too_long(length: int, limit: int) -> ProtocolError:
    return ProtocolError(f"a frame announces {length} bytes, the limit is {limit}")
