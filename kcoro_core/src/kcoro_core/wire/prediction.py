# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The frame that is likely to come next, so that it need not be taken apart (header prediction: Jacobson, RFC 1323 A).

Whoever sends one element after another over a handle gets one answer after another, and so does its home get requests:
each header is the last one with the next numbers. A frame that has these 20 bytes has passed every check of a header.

Rule 1: a prediction is a guess about one frame; whatever else comes goes the usual way, and may lead to the next guess.
Rule 2: who hears a predicted frame either does all that the usual way would have done, or nothing and answers False.
"""

from __future__ import annotations

from collections.abc import Callable

from .events import Event
from .handles import Handle
from .order import next_serial

__all__ = ["Hear", "Prediction"]

Hear = Callable[[Handle, int, bytes, list[Event]], bool]
"""What takes a predicted frame: its handle, request id and payload; False, without effect, if it is not as usual."""


class Prediction:
    """What the next frame of the peer is expected to be: this ``command``, on this channel, with this request id.

    Its seq is the next of that channel, it has no flags. ``handle`` is None as long as nothing is expected.
    """

    __slots__ = ("command", "handle", "hear", "request_id")

    hear: Hear

    def __init__(self) -> None:
        self.handle: Handle | None = None
        self.command = self.request_id = 0

    def follow(self, command: int, handle: Handle, request_id: int, hear: Hear) -> None:
        """A frame came that is often followed by one of the same kind, about the next request."""
        self.command = command
        self.handle = handle
        self.request_id = next_serial(request_id)
        self.hear = hear

    def forget(self, channel_id: int) -> None:
        """A channel is gone, and no frame of it is expected."""
        if self.handle is not None and self.handle.id == channel_id:
            self.handle = None
