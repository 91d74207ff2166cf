# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Draining: a side announces the end, takes up nothing new, and finishes what is under way until a deadline.

Rule 1: DRAIN names the last request of the peer that is still worked on; of those behind it none is, whenever it was
sent. Each of them is answered EPIPE, so whoever asked knows that it was not done.
Rule 2: ids decide, not the order of arrival: channels take turns, so a request that was named may arrive after one that
was not.
Rule 3: said once by each side; nothing else changes, and BYE follows as for any orderly end.
"""

from __future__ import annotations

from ..errors import ProtocolError
from .admission import Admission
from .commands import Command
from .events import DrainHeard, Event
from .fields import Fields
from .frame import Frame
from .messages import decode_drain, encode_drain
from .outbox import Entry, Outbox
from .routes import Routes

__all__ = ["Draining"]


class Draining:
    """The announcements of both sides of one connection."""

    def __init__(self, outbox: Outbox, admission: Admission) -> None:
        self._outbox = outbox
        self._admission = admission
        self._told = False
        self._heard = False

    def fill(self, routes: Routes) -> None:
        """Say what this part takes."""
        routes.control[Command.DRAIN] = self._on_drain

    def tell(self, deadline_ms: int) -> None:
        """Announce the end to the peer. Raises ValueError the second time."""
        if self._told:
            raise ValueError("this side has announced the end already")
        self._told = True
        last_id = self._admission.stop()
        self._outbox.put_control(Entry(Command.DRAIN, parts=(encode_drain(last_id, deadline_ms),)))

    def _on_drain(self, frame: Frame, _now: float, events: list[Event]) -> None:
        if frame.flags or frame.request_id or self._heard:
            raise ProtocolError("DRAIN is told once, without flags and without a request id")
        self._heard = True
        events.append(DrainHeard(*decode_drain(Fields(frame.payload, "DRAIN"))))
