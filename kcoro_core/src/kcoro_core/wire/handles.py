# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Handles: what both ends know of each open channel on one connection, and which channel ids are in use.

Rule 1: the connecting side's ids are odd, the accepting side's even; an id is used once in the life of a connection.
Rule 2: whoever opened is the *opener*, the other end is the *home*; the two send different commands, for ever.
Rule 3: at most max_channels handles of each side; an id behind the last one of its side is gone, or never was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from attrs import Factory, define, field

from ..errors import NoBuffers, ProtocolError
from ..semantics import Kind, Overflow
from .datagram import DatagramReceiver, DatagramSender
from .events import Event
from .fields import Fields
from .frame import Frame
from .ledger import Ledger
from .lending import Window
from .messages import Attributes, Closing, Rights
from .order import Order
from .slots import Slots
from .states import CHANNEL_MOVES, LEND_MOVES, ChannelStep, HandleState, LendState, LendStep, move

__all__ = ["Handle", "HandleTable", "Handler"]

_LAST_ID: Final = 0xFFFF_FFFF


# Until the home has answered, a handle may do nothing at all.
_NOTHING_YET: Final = Attributes(Kind.RENDEZVOUS, Overflow.SUSPEND, 0, Rights(0), 0)


_NOTHING_PUSHED: Final = Ledger()  # of all handles that this side has opened


@define(eq=False)
class Handle:
    """One channel as seen from one end of the connection; ``mine``: this end opened it."""

    id: int
    mine: bool
    state: HandleState = HandleState.ASKED
    order: Order = field(factory=Order)
    attributes: Attributes = _NOTHING_YET
    closing: Closing | None = None  # heard by the opener, or told by the home
    # At the opener: receives whose elements were taken and whose acknowledgement is not written; sends accepted.
    acks: list[int] = field(factory=list)  # short, and there are very many handles: a deque has 600 bytes when empty
    accepted: int = 0
    detach_written: bool = False
    sends_up_to: int = -1  # bytes of the longest element that may be sent on it; -1: none
    window: Window | None = None  # where slots were asked for
    with_control: bool = False  # its frames take the lane of the connection itself
    # At both: whether elements are received ahead, and whether that was recalled.
    ahead: LendState = LendState.REQUEST
    ahead_over: bool = False
    # At the home: requests of the peer without an answer; elements pushed and not settled.
    unanswered: dict[int, None] = field(factory=dict)  # an empty set takes three times as much
    ledger: Ledger = field(default=Factory(lambda self: _NOTHING_PUSHED if self.mine else Ledger(), takes_self=True))
    lent: Slots | None = None  # where slots were lent
    # Where elements may be lost: at the opener who judges what comes, until the end; at the home how many were sent.
    judge: DatagramReceiver | None = None
    numbers: DatagramSender | None = None

    def step(self, step: ChannelStep) -> None:
        """Move on, as the table allows. Raises ValueError otherwise."""
        self.state = move(CHANNEL_MOVES, self.state, step)

    def step_ahead(self, step: LendStep) -> None:
        """Move on with what is received ahead, as the table allows. Raises ValueError otherwise."""
        self.ahead = move(LEND_MOVES, self.ahead, step)
        self.ahead_over = step is LendStep.RETURN


Handler = Callable[[Handle, Frame, Fields, list[Event]], None]
"""What takes a frame on a handle: adds what happened to the list, or raises ProtocolError."""


class HandleTable:
    """All handles of one connection, by channel id."""

    def __init__(self, connecting: bool, on_gone: Callable[[int], object] = lambda channel_id: None) -> None:
        self._handles: dict[int, Handle] = {}
        self.find: Final = self._handles.get
        """The handle a frame is about, by its id, or None."""
        self.of_frame: Final = self._handles.__getitem__
        """The handle that a frame of ours belongs to: it stays until its last frame is written."""
        self._counts = {True: 0, False: 0}  # ours, the peer's: an OPEN must not cost a walk over all handles
        self._next = 1 if connecting else 2
        self._peer_last = 0 if connecting else -1
        self.limit = 0
        self._on_gone = on_gone

    def __iter__(self) -> Iterator[Handle]:
        return iter(list(self._handles.values()))

    def count(self, mine: bool) -> int:
        """How many handles one side has open or asked for."""
        return self._counts[mine]

    def open_mine(self) -> Handle:
        """A handle with the next id of this side. Raises NoBuffers at the limit."""
        if self.count(mine=True) >= self.limit:
            raise NoBuffers(f"{self.limit} channels are open on this link; detach from some")
        if self._next > _LAST_ID:
            raise NoBuffers("all channel ids of this link were used once; dial again")
        handle = self._add(Handle(self._next, mine=True))
        self._next += 2
        return handle

    def open_theirs(self, channel_id: int) -> Handle:
        """A handle for an id that the peer has chosen. Raises ProtocolError for an id that is ours, or not new."""
        if channel_id <= self._peer_last or (channel_id - self._peer_last) % 2:
            raise ProtocolError(f"OPEN on channel {channel_id}, which is not a new id of the peer")
        self._peer_last = channel_id
        return self._add(Handle(channel_id, mine=False))

    def mine(self, channel_id: int) -> Handle:
        """The open handle that our owner names as opener. Raises ValueError for any other id."""
        handle = self._handles.get(channel_id)
        if handle is None or not handle.mine or handle.state is not HandleState.OPEN:
            raise ValueError(f"channel {channel_id} is not a handle that is open here")
        return handle

    def was_theirs(self, channel_id: int) -> bool:
        """Whether the peer used this id before."""
        return channel_id <= self._peer_last and not (channel_id - self._peer_last) % 2

    def remove(self, handle: Handle) -> None:
        """The handle is gone."""
        if self._handles.pop(handle.id, None) is not None:
            self._counts[handle.mine] -= 1
        self._on_gone(handle.id)

    def clear(self) -> None:
        """The connection is over, and every handle with it."""
        self._handles.clear()
        self._counts = {True: 0, False: 0}

    def _add(self, handle: Handle) -> Handle:
        self._handles[handle.id] = handle
        self._counts[handle.mine] += 1
        return handle
