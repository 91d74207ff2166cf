# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which lane a frame takes on a medium with STREAMS, and which frames are fences there.

On such a medium frames of different channels overtake each other. Most do no harm by that: what a channel means is told
by its own frames, and numbers that both sides count are compared channel by channel. These rules keep the rest:

Rule 1: OPEN, and what follows it before its answer, takes the lane of the connection itself, so that ids grow where
they are heard. Behind the answer a channel has its own lane; one that was given up before stays where it is.
Rule 2: CONFIRM is a fence: no frame of a channel is heard before the handshake is over. BYE is one: it is the last.
Rule 3: a request is a fence if the home could count one too many without it: it hears of what is over on one channel
later than of what begins on another.
Rule 4: so is the first piece of a message, for the messages that have begun and are not finished.
"""

from __future__ import annotations

from typing import Final

from ..transport import FENCE
from .commands import Command
from .frame import Frame
from .handles import Handle, HandleTable
from .opener import Opener
from .outbox import Entry, Outbox
from .states import HandleState

__all__ = ["Fences"]

_ALWAYS: Final = (Command.CONFIRM, Command.BYE)


class Fences:
    """The lanes of one connection, for what its side writes."""

    def __init__(self, outbox: Outbox, handles: HandleTable, opener: Opener) -> None:
        self._outbox = outbox
        self._handles = handles
        self._opener = opener

    def lane(self, entry: Entry | Frame) -> int:
        """The lane of the frame that is offered; nothing changes by asking."""
        channel_id = entry.channel_id
        handle = self._handles.find(channel_id) if channel_id else None
        lane = 0 if handle is None or stays_with_control(handle) else channel_id
        fence = entry.command in _ALWAYS or (isinstance(entry, Entry) and self._counts(entry))
        return lane | FENCE if fence else lane

    def wrote(self, entry: Entry | Frame, lane: int) -> None:
        """It was written."""
        if lane & FENCE:
            self._opener.unfenced = self._outbox.unfenced = 0
        if not lane & ~FENCE and entry.channel_id and entry.command != Command.OPEN:
            handle = self._handles.find(entry.channel_id)
            if handle is not None:
                handle.with_control = True

    def _counts(self, entry: Entry) -> bool:
        """Whether the other side could count too much, if something that was written before came later."""
        return self._opener.needs_fence(entry) or self._outbox.needs_fence(entry)


def stays_with_control(handle: Handle) -> bool:
    """Whether the frames of a handle take the lane of the connection itself."""
    return handle.with_control or (handle.mine and handle.state is HandleState.ASKED)
