# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What rides along: small things that a side owes its peer and that the next frame of their channel carries.

A rider has a flag and an extension in front of the payload. What finds no frame to ride on is written as a frame of its
own, at the latest at the end of the loop turn in which it was owed.

Rule 1: extensions stand in the order of the bits of their flags; whoever makes the list of riders keeps that order.
Rule 2: nothing is paid before its frame is written: a frame that was only offered may be offered again.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Protocol

from attrs import frozen

from .frame import Frame
from .handles import Handle
from .order import Order
from .outbox import Entry

__all__ = ["Alone", "Rider"]


@frozen
class Alone:
    """A frame that a rider needs for itself; ``written`` is called once, when the medium has taken it."""

    frame: Frame
    order: Order
    written: Callable[[], None]


class Rider(Protocol):
    """One kind of what rides along."""

    @property
    def flag(self) -> int:
        """Which flag announces the extension."""
        ...

    @property
    def owing(self) -> Sized:
        """What is owed, on whatever channel, and mostly nothing: the same container for ever, asked for each frame."""
        ...

    def load(self, handle: Handle, /) -> bytes:
        """The extension for the next frame of this channel; empty when nothing is owed on it."""
        ...

    def carried(self, handle: Handle, /) -> None:
        """The frame with the extension that ``load`` gave last for this channel was written."""
        ...

    def first(self, entry: Entry, /) -> Alone | None:
        """What must be written before this entry, if there is such a thing."""
        ...

    def alone(self) -> Alone | None:
        """What waits with no frame to ride on, or None."""
        ...
