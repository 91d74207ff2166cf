# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How a stream of bytes is cut into elements, and how elements become a stream again.

Rule 1: elements are given out as soon as they are whole, and all that came before a fault are given out before it.
Rule 2: what is held back is at most one element, never longer than the channel takes: a stream without an end of line
is refused, not collected.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from attrs import frozen

__all__ = ["BYTES", "FRAMES", "LINES", "Format", "InputError", "Splitter"]

_LENGTH: Final = struct.Struct(">I")


class InputError(Exception):
    """The input cannot be sent as it is; the text says where, and what to do. Everything before it was given out."""


class Splitter(Protocol):
    """Cuts one input into elements of at most ``limit`` bytes."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The elements that are whole now. Raises InputError behind the last good one."""
        ...

    def finish(self) -> Iterator[bytes]:
        """What the end of the input makes whole. Raises InputError when it ends inside an element."""
        ...


class _Lines:
    """Lines without their newline; the last one needs none."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._part = bytearray()
        self._number = 1

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._hold(end)
            line = bytes(self._part)
            self._part.clear()
            self._number += 1
            yield line
        self._hold(rest)

    def finish(self) -> Iterator[bytes]:
        if self._part:
            yield bytes(self._part)

    def _hold(self, piece: bytes) -> None:
        if len(self._part) + len(piece) > self._limit:
            raise InputError(
                f"line {self._number} has more than {self._limit} bytes, and the channel takes no more; "
                "fold it, send with --bytes, or raise KCORO_MAX_MESSAGE on both sides"
            )
        self._part += piece


class _Frames:
    """Elements with their length in front: four bytes, the highest first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._part = bytearray()
        self._number = 1

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._part += chunk
        start = 0
        try:
            while (end := self._end(start)) is not None:
                yield bytes(self._part[start + _LENGTH.size : end])
                start = end
                self._number += 1
        finally:
            del self._part[:start]

    def finish(self) -> Iterator[bytes]:
        if self._part:
            raise InputError(
                f"the input ends inside frame {self._number}; a frame is four bytes of length, the highest first, "
                "and that many bytes"
            )
        return iter(())

    def _end(self, start: int) -> int | None:
        """Where the frame that begins at ``start`` ends, if it is whole; its length is judged before it is there."""
        if len(self._part) - start < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._part, start)
        if length > self._limit:
            raise InputError(
                f"frame {self._number} says that it has {length} bytes, and the channel takes {self._limit}; check "
                "that the input has frames, or raise KCORO_MAX_MESSAGE on both sides"
            )
        end = start + _LENGTH.size + int(length)
        return end if len(self._part) >= end else None


class _Bytes:
    """Pieces as they come; where they are cut means nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), self._limit):
            yield chunk[start : start + self._limit]

    def finish(self) -> Iterator[bytes]:
        return iter(())


@frozen
class Format:
    """A way to cut a stream: ``unit`` is what people call an element, ``join`` what goes out for one."""

    unit: str
    splitter: Callable[[int], Splitter]
    join: Callable[[bytes], bytes]


LINES: Final = Format("line", _Lines, lambda element: element + b"\n")
"""Text, an element for each line, without its newline; one is added behind each element that is received."""
FRAMES: Final = Format("frame", _Frames, lambda element: _LENGTH.pack(len(element)) + element)
"""Anything, an element for each frame: four bytes of length, the highest first, and that many bytes."""
BYTES: Final = Format("piece", _Bytes, lambda element: element)
"""A file, or any stream of bytes: pieces of any size, put together again by one receiver."""
