# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Lanes: what keeps the order that counts on a medium whose streams overtake each other.

Each frame goes with one number of four bytes: how many frames of its side have to have been handed out before it.
Frames of one lane come in order anyway; so the number only has to say behind which fence a frame stands, and of a fence
that everything stands in front of it.

    sent      A0   B1   FENCE2   B3   A4          A and B are lanes, the numbers count all frames
    goes with  0    0        2    3    3          A0 and B1 in any order, then FENCE2, then B3 and A4 in any order

Rule 1: a frame may be handed out once at least as many were as it says; nothing else is looked at.
Rule 2: so a fence, which says its own number, comes behind all of the smaller ones, and those behind it say one more.

Numbers are modulo 2^32, compared as in RFC 1982. Normative twin: docs/spec/quic.md.
"""

from __future__ import annotations

from typing import Final

from ..transport import FENCE

__all__ = ["LaneReader", "LaneWriter"]

_MASK: Final = 0xFFFF_FFFF
_HALF: Final = 1 << 31


class LaneWriter:
    """The sending side of one connection: ``count`` frames were sent so far."""

    def __init__(self, count: int = 0) -> None:
        self.count = self._behind = count

    def after(self, lane: int) -> int:
        """The number that goes with the next frame, of ``lane``, which may carry FENCE; the frame counts as sent."""
        if lane & FENCE:
            after = self.count
            self._behind = (after + 1) & _MASK
        else:
            after = self._behind
        self.count = (self.count + 1) & _MASK
        return after


class LaneReader:
    """The receiving side of one connection: ``count`` frames were handed out so far."""

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def may_take(self, after: int) -> bool:
        """Whether a frame that goes with this number may be handed out."""
        return (self.count - after) & _MASK < _HALF

    def took(self) -> None:
        """A frame was handed out."""
        self.count = (self.count + 1) & _MASK
