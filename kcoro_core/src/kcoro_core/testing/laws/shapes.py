# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The cases that most laws run over: every kind of channel with every overflow policy that it takes."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ...semantics import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    SUSPEND,
    UNLIMITED,
    Kind,
    Overflow,
    legal_combinations,
    limit_of,
)

__all__ = ["ALL", "FULL_WAITS", "HOLDING", "KEEPING", "LOSSY", "Shape", "shape"]


@frozen
class Shape:
    """A kind, its capacity and its policy."""

    kind: Kind
    overflow: Overflow = SUSPEND
    capacity: int | None = None

    def __str__(self) -> str:
        return self.kind.name if self.overflow is SUSPEND else f"{self.kind.name}-{self.overflow.name}"

    @property
    def limit(self) -> float:
        """How many elements it holds."""
        return limit_of(self.kind, self.capacity)

    @property
    def lossy(self) -> bool:
        """Whether a send to a full channel drops an element instead of waiting."""
        return self.kind is CONFLATED or self.overflow is not SUSPEND


def shape(kind: Kind, overflow: Overflow = SUSPEND, capacity: int = 3) -> Shape:
    """A shape; ``capacity`` counts for BUFFERED only."""
    return Shape(kind, overflow, capacity if kind is BUFFERED else None)


ALL: Final = {str(s): s for s in (shape(kind, overflow) for kind, overflow in legal_combinations())}
"""Every combination that ``channel()`` accepts: the cases of most laws."""

HOLDING: Final = {label: s for label, s in ALL.items() if s.limit > 0}
"""Those that hold elements, so that a send can succeed alone."""

FULL_WAITS: Final = {str(s): s for s in (shape(RENDEZVOUS), shape(BUFFERED))}
"""Those on which a sender can have to wait."""

LOSSY: Final = {str(s): s for s in (shape(CONFLATED), shape(BUFFERED, DROP_OLDEST), shape(BUFFERED, DROP_LATEST))}
"""Those that drop elements when they are full."""

KEEPING: Final = {str(s): s for s in (shape(RENDEZVOUS), shape(BUFFERED), shape(UNLIMITED))}
"""Those that never drop an element."""
