# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults that the in-process transport can be asked for: refuse, cut, stall, a small buffer (row T6).

A fault belongs to an address, so that it works whoever makes the connection::

    with mem.faults("jobs") as faults:
        faults.cut(TO_LISTENER, after_bytes=137)    # the next connection ends inside the frame that holds byte 137
        async with dial("mem:jobs") as link: ...

Rule 1: what a fault does is decided by bytes and frames alone, never by time or chance.
Rule 2: a cut connection delivers every frame that arrived whole before the cut, and nothing behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from attrs import define, field

__all__ = ["TO_DIALER", "TO_LISTENER", "Cut", "Direction", "Faults"]

Direction = Literal["to listener", "to dialer"]
"""Which way the bytes go that a fault is about."""
TO_LISTENER: Final = "to listener"
"""What the connecting side sends to the accepting one."""
TO_DIALER: Final = "to dialer"
"""What the accepting side sends to the connecting one."""


@define
class Cut:
    """Where the stream of one direction ends: behind that many bytes, or behind that many frames."""

    after_bytes: int | None = None
    after_frames: int | None = None


@define(eq=False)
class Faults:
    """What goes wrong at one ``mem:`` address; a context manager that forgets all of it at its end.

    ``refuse`` has new connections refused. ``buffer_bytes`` is the room of each direction of a new connection.
    """

    name: str
    forget: Callable[[str], object] = field(repr=False)
    refuse: bool = False
    buffer_bytes: int = 65536
    cuts: dict[Direction, Cut] = field(factory=dict)
    stalled: set[Direction] = field(factory=set)
    # Connections that were made while these faults were in force, so that resume and cut_now reach them.
    connections: list[Any] = field(factory=list, repr=False)

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.forget(self.name)
        for direction in tuple(self.stalled):
            self.resume(direction)

    def cut(self, direction: Direction, *, after_bytes: int | None = None, after_frames: int | None = None) -> None:
        """End the next connection once that much has passed in ``direction``; both sides see it broken.

        A frame that crosses the border was accepted, and never arrives. Applies to one connection.
        """
        self.cuts[direction] = Cut(after_bytes, after_frames)

    def cut_now(self) -> None:
        """End every connection of this address at once; what has not been received yet still can be."""
        for connection in tuple(self.connections):
            connection.pair.cut("cut on request")
        self.connections.clear()

    def stall(self, direction: Direction) -> None:
        """Hold back everything that is sent in ``direction``, until ``resume``; the sender's buffer fills up."""
        self.stalled.add(direction)

    def resume(self, direction: Direction) -> None:
        """Let pass what was held back, in order."""
        self.stalled.discard(direction)
        for connection in self.connections:
            connection.pair.release(direction)
