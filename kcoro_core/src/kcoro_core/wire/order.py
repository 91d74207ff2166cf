# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Sequence numbers: one count per channel and direction, so that a gap, a double or a mix-up is noticed.

Rule 1: the first frame of a direction has seq 0, each next one more, modulo 2^32 (serial arithmetic as in RFC 1982).
Rule 2: a number is spent when its frame is written, not when it is queued; what is withdrawn leaves no gap.
Rule 3: on a transport that is ordered and reliable, anything but the next number is a protocol error.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from ..errors import ProtocolError

__all__ = ["Order", "is_newer", "next_serial"]

_MASK: Final = 0xFFFF_FFFF


def next_serial(serial: int) -> int:
    """The number behind ``serial``; 0 follows 2^32 - 1."""
    return (serial + 1) & _MASK


def is_newer(serial: int, than: int) -> bool:
    """Whether ``serial`` lies less than 2^31 steps ahead; exactly half a round apart neither is newer."""
    return 0 < (serial - than) & _MASK < 1 << 31


@define
class Order:
    """The two counts of one channel at one end: the next number to write, and the next to be read."""

    outgoing: int = 0
    expected: int = 0

    @property
    def last_written(self) -> int:
        """The number of the last frame that was written, once there was one."""
        return (self.outgoing - 1) & _MASK

    @property
    def last_read(self) -> int:
        """The number of the last frame that was read, once there was one."""
        return (self.expected - 1) & _MASK

    def read(self, seq: int) -> None:
        """Accept the next frame of the peer. Raises ProtocolError, and counts nothing, for any other number."""
        if seq != self.expected:
            fault = "frames are missing" if is_newer(seq, self.expected) else "it was there before"
            raise ProtocolError(f"seq {seq} where {self.expected} is next: {fault}")
        self.expected = (seq + 1) & _MASK  # next_serial, in line: this runs for each frame
