# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where one connection is in its life, shared by all of its parts: what may be asked, and what is still answered.

Rule 1: a part asks before it does anything, so that what raises has changed nothing.
Rule 2: only the connection itself moves it on, by the table in ``states.py``.
"""

from __future__ import annotations

from ..errors import LinkLost
from .states import MOVES, State, Step, move

__all__ = ["Life"]


class Life:
    """The state of one connection, and what follows from it."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.CONNECTING

    def step(self, step: Step) -> None:
        """Move on, as the table allows. Raises ValueError otherwise."""
        self.state = move(MOVES, self.state, step)

    @property
    def answering(self) -> bool:
        """Whether an answer, or news, still has somebody to hear it."""
        return self.state is State.OPEN

    def check_started(self) -> None:
        """Raise ValueError while the medium is not up."""
        if self.state is State.CONNECTING:
            raise ValueError("start the connection before frames are given to it")

    def check_open(self) -> None:
        """Raise unless something new can be asked: ValueError before the handshake is over, LinkLost behind the end."""
        if self.state is State.OPEN:
            return
        if self.state in (State.CONNECTING, State.HELLO):
            raise ValueError("the handshake is not over; wait for Established")
        raise LinkLost("the connection is ending or over; nothing was sent")
