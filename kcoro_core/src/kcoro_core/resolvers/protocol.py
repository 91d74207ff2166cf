# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a resolver is asked, and what it is.

Rule 1: a resolver is called in a thread of its own and may wait there, but for no longer than it is told.
Rule 2: whatever it answers is checked by whoever asks (``transports/lookup.py``): how much it is, and what.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen

__all__ = ["Place", "Question", "Resolver"]

Place = tuple[str, int]
"""A numeric host and a port."""


@frozen
class Question:
    """A name that somebody dials. Either ``port`` is known, or ``service`` names what is looked for.

    ``protocol`` is ``"tcp"`` or ``"udp"``, ``seconds`` how long the answer may take.
    """

    host: str
    port: int
    service: str = ""
    protocol: str = "tcp"
    seconds: float = 10.0

    def __str__(self) -> str:
        return f"{self.host}:{self.service or self.port}"


class Resolver(Protocol):
    """One way to find addresses; what ``kcoro_resolver`` returns. Several threads may ask it at the same time."""

    name: str

    def resolve(self, question: Question) -> Iterable[Place]:
        """The places to try, in this order; none at all: it does not know the name.

        Whatever it raises is told to whoever dials, with its name, and the next resolver is asked. So the text says
        what was asked of whom. A TransportError that is ``permanent`` says that no waiting makes this name known here;
        whoever has the patience to dial again does not, once all resolvers have said that.
        """
        ...
