# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Our own requests in flight: ids, a bound, and what is known of each at any moment.

Rule 1: ids grow by one modulo 2^32; 0 and ids in flight are skipped.
Rule 2: beyond the bound nothing is queued: NoBuffers, before any effect.
Rule 3: an id stays taken until its answer came, even when nobody waits for it any more; so a late answer is known from
a forged one, and a peer that never answers cannot make this table grow.

  QUEUED --written--> WRITTEN --cancel--> CANCELLING --grace over--> ABANDONED
  an answer ends each of the last three; an element moves a receive to ARRIVED until it is taken, or put back:
  ARRIVED --putback--> RETURNING --written--> over
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Final

from ..errors import NoBuffers, ProtocolError
from .commands import Command
from .lending import Window
from .order import next_serial
from .outbox import Entry

__all__ = ["Request", "RequestMap", "RequestState"]

_MASK: Final = 0xFFFF_FFFF


class RequestState(enum.Enum):
    """What is known of a request of ours."""

    QUEUED = "queued"
    """Not written, or not all of it: the former can be withdrawn without a trace."""
    WRITTEN = "written"
    """On its way or at the home; the answer is awaited."""
    CANCELLING = "cancelling"
    """CANCEL is behind it; the answer still decides, for a while."""
    ABANDONED = "abandoned"
    """Nobody waits for the answer any more; it will be dropped and counted."""
    ARRIVED = "arrived"
    """A receive whose element is here and not settled."""
    RETURNING = "returning"
    """A receive whose element goes back; the home counts it until its PUTBACK is written."""


class Request(Entry):
    """One request of ours: the message that asks, until it is over. ``deadline`` is when a cancelled one is given up.

    ``receives``: its success brings an element, to be settled. ``sends``: an element went with it.
    """

    receives: bool = False
    state: RequestState = RequestState.QUEUED
    deadline: float | None = None
    cancel_entry: Entry | None = None
    window: Window | None = None
    """Of the slots that its channel has, if it is a send."""

    def __init__(
        self,
        command: int,
        channel_id: int,
        request_id: int,
        parts: tuple[bytes, ...],
        flags: int,
        on_written: Callable[[Request], object] | None,
        charge: int,
        sends: bool,
    ) -> None:
        # What Entry sets, in line.
        self.command = command
        self.channel_id = channel_id
        self.request_id = request_id
        self.parts = parts
        self.flags = flags
        self.on_written = on_written
        self.charge = charge
        self.sends = sends

    @property
    def ends_with_handle(self) -> bool:
        """Whether it is over the moment its handle is given up: it waits for what that handle brings."""
        return self.receives or self.command is Command.SELECT_REGISTER


class RequestMap:
    """All requests in flight of one connection, by id."""

    def __init__(self, first_id: int = 1) -> None:
        self._requests: dict[int, Request] = {}
        self.find: Final = self._requests.get
        """The request of that id, if it is not over, or None."""
        self._next = first_id
        self.limit = 0
        self.late_replies = 0

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests.values())

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._requests

    def is_open(self, request_id: int) -> bool:
        """Whether this request is not over, and its element, if it has one, not settled."""
        request = self._requests.get(request_id)
        return request is not None and request.state is not RequestState.RETURNING

    def check_room(self) -> None:
        """Raise NoBuffers when as many requests are in flight as both sides agreed to."""
        if len(self._requests) >= self.limit:
            raise NoBuffers(f"{self.limit} requests are in flight on this link; wait for some to end")

    def add(
        self,
        command: int,
        channel_id: int,
        parts: tuple[bytes, ...],
        flags: int = 0,
        on_written: Callable[[Request], object] | None = None,
        charge: int = 0,
        sends: bool = False,
    ) -> Request:
        """Make a request with the next free id. Raises NoBuffers, without effect, when there is no room for it."""
        if len(self._requests) >= self.limit:
            self.check_room()
        number = self._next
        while number == 0 or number in self._requests:
            number = next_serial(number)
        self._next = (number + 1) & _MASK
        request = Request(command, channel_id, number, parts, flags, on_written, charge, sends)
        self._requests[number] = request
        return request

    def mine(self, request_id: int) -> Request:
        """The request that our owner names. Raises ValueError when it is over, or never was."""
        request = self._requests.get(request_id)
        if request is None or request.state in _OF_NOBODY:
            raise ValueError(f"request {request_id} is not in flight")
        return request

    def answered(self, request_id: int, channel_id: int) -> Request:
        """The request that the peer answers. Raises ProtocolError for an answer to what nobody asked."""
        request = self._requests.get(request_id)
        if (
            request is None
            or request.channel_id != channel_id
            or not request.written  # the home has not got it whole
            or request.state in _ANSWERED
        ):
            raise ProtocolError(f"REPLY to request {request_id} on channel {channel_id}, which nobody asked")
        return request

    def remove(self, request_id: int) -> None:
        """The request is over; its id may be used again."""
        del self._requests[request_id]

    def clear(self) -> list[Request]:
        """Take all out, in the order in which they were made."""
        requests = list(self._requests.values())
        self._requests.clear()
        return requests


_ANSWERED = (RequestState.ARRIVED, RequestState.RETURNING)
_OF_NOBODY = (RequestState.ABANDONED, RequestState.RETURNING)
