# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What clauses of the reference need around them, without a loop: faces of channels, and events."""

from __future__ import annotations

from typing import Any

from kcoro_core.clauses import EventClause, Recv, Send
from kcoro_core.errors import ChannelClosed
from kcoro_core.reference.channel import Channel

from .programs import ELEMENT_OF_EVENTS


class Face:
    """What channel clauses need of the channel that users see."""

    def __init__(self, core: Channel) -> None:
        self._core = core

    def _shut_error(self) -> ChannelClosed:
        return self._core.closed_error()


class OfChannel:
    """Channel clauses without a loop."""

    channel: Any

    def __init__(self, ch: Channel, value: Any = None) -> None:
        self.channel, self.value = Face(ch), value

    def register(self, w: Any) -> None:
        """As the face does it."""
        self.channel._core.enqueue(w)


class RecvOf(OfChannel, Recv):
    """Ready when there is an element."""


class SendOf(OfChannel, Send):
    """Ready when there is room."""


class Event:
    """Something that happens once."""

    def __init__(self) -> None:
        self.is_set = False
        self.waiting: dict[Subscribed, None] = {}

    def happen(self) -> bool:
        """Tell all who wait, oldest first."""
        was_set, self.is_set = self.is_set, True
        while self.waiting and not was_set:
            subscribed = next(iter(self.waiting))
            del self.waiting[subscribed]
            subscribed.fn()
        return not was_set


class Subscribed:
    """A callback that waits for an event."""

    def __init__(self, event: Event, fn: Any) -> None:
        self.event, self.fn = event, fn
        event.waiting[self] = None

    def cancel(self) -> bool:
        """Do not tell any more."""
        return self.event.waiting.pop(self, self) is None


class EventOf(EventClause):
    """Ready once the event has happened."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    def _ready(self, w: Any) -> bool:
        return self.event.is_set

    def _subscribe(self, fn: Any) -> Any:
        return Subscribed(self.event, fn)

    def _result(self) -> int:
        return ELEMENT_OF_EVENTS
