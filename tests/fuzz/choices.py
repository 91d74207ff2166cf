# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Bytes as a sequence of choices, so that a fuzzer of bytes can steer a conversation.

Rule: a choice reads one byte (two for more than 256 answers) and never looks ahead; when the bytes are used up every
choice is 0. So a changed byte changes one choice, and a shorter input is the start of the same story.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """What the bytes decide."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether bytes are left."""
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit - 1``."""
        number = self._byte()
        if limit > 256:
            number = number << 8 | self._byte()
        return number % limit

    def one_of(self, things: Sequence[T]) -> T:
        """One of these."""
        return things[self.below(len(things))]

    def sometimes(self, one_in: int) -> bool:
        """True for about one byte in so many, and not when the bytes are used up."""
        return bool(self) and self.below(one_in) == 0

    def some(self, most: int) -> bytes:
        """At most so many bytes as they stand in the input."""
        size = self.below(most + 1)
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0
