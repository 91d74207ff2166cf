# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where events from outside enter: an adapter offers them to a channel, and has no way to wait (row N9).

An adapter turns something that does not know channels into elements of one: a callback of a library, a subscription,
packets from a network that nobody can slow down. Whoever calls it cannot wait; if it did, the source would stand still,
or pile up where nobody sees it.

Rule 1: an adapter never waits, not even for a moment; ``offer`` is all there is.
Rule 2: what happens when nobody reads is decided where the channel is made: which element goes, oldest or latest.
Rule 3: what was dropped is counted, and reported by ``on_undelivered`` where somebody asked for it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from .channel import Channel
from .errors import ChannelClosed
from .semantics import CONFLATED, SUSPEND

__all__ = ["Intake"]

T = TypeVar("T")


class Intake(Generic[T]):
    """The sending end of a channel for an adapter: it takes each element at once, and drops by its policy.

    The channel is BUFFERED with DROP_OLDEST or DROP_LATEST, or CONFLATED: one that never makes its sender wait. Belongs
    to the loop of the channel; from another thread call ``offer`` through a ``portal``.

    :raises ValueError: the channel could make its sender wait, or hold more and more; the text names the policies.
    """

    def __init__(self, channel: Channel[T]) -> None:
        if channel.overflow is SUSPEND and channel.kind is not CONFLATED:
            raise ValueError(
                f"an adapter cannot wait, and {channel!r} would make it, or grow without bound; "
                "make the channel BUFFERED with overflow=DROP_OLDEST or DROP_LATEST, or CONFLATED"
            )
        self.channel = channel

    def offer(self, value: T) -> bool:
        """Hand in an element, at once. False: the channel is closed, nothing was taken, and the source may be left.

        True says that the channel has it, or that its policy has dropped this one or another; ``dropped`` tells.

        :raises WrongLoop: another thread or run called; nothing was touched.
        """
        try:
            self.channel.try_send(value)
        except ChannelClosed:
            return False
        return True

    @property
    def dropped(self) -> int:
        """How many elements the policy has dropped so far, because nobody read in time."""
        return self.channel.snapshot().dropped
