# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What comes in: which part of a connection a frame belongs to, and what may be sent at all.

Each part fills in tables: commands of the home, commands of the opener, commands of the connection itself (channel 0),
and extensions. A frame that finds no entry is answered, skipped, or a breach; a part only sees frames that may come.

What has come in pieces reaches its part in one, as if it had come in one frame.

Rule 1: a number that is not built and may not be ignored is never silently dropped.
Rule 2: behind our own BYE no request and no DATA is taken up, since nobody is left to work on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import ProtocolError
from .admission import Admission
from .commands import (
    ALLOWED_FLAGS,
    BUILT,
    CALL_FLAGS,
    IGNORABLE,
    IN_PIECES,
    Command,
    Flag,
    command_name,
    is_call,
    is_request,
)
from .events import Event
from .fields import Fields
from .frame import Frame
from .handles import Handle, Handler, HandleTable
from .home import Home
from .life import Life
from .order import Order
from .pieces import Pieces
from .states import State

__all__ = ["ControlHandler", "ExtensionReader", "Routes"]

_MASK: Final = 0xFFFF_FFFF
_PIECE: Final = int(Flag.FIRST | Flag.MORE)

ControlHandler = Callable[[Frame, float, list[Event]], None]
"""What takes a frame of channel 0, at a time: adds what happened to the list, or raises ProtocolError."""

ExtensionReader = Callable[[Handle, Fields, list[Event]], None]
"""What takes an extension off the front of a payload."""


class Routes:
    """The tables of one connection, and the way of a frame through them."""

    def __init__(
        self, life: Life, order: Order, handles: HandleTable, home: Home, admission: Admission, pieces: Pieces
    ) -> None:
        self.from_opener: dict[int, Handler] = {}
        self.from_home: dict[int, Handler] = {}
        self.control: dict[int, ControlHandler] = {}
        self.extensions: list[tuple[int, ExtensionReader]] = []  # in the order of their flags
        self._life = life
        self._order = order
        self._handles = handles
        self._home = home
        self._admission = admission
        self._pieces = pieces
        self._begun = pieces.begun

    def clear(self) -> None:
        """Nothing is heard any more."""
        for table in (self.from_opener, self.from_home, self.control):
            table.clear()

    def take(self, frame: Frame, now: float, events: list[Event]) -> None:
        """Hand one frame of an established connection to its part."""
        if not frame.channel_id:
            self._order.read(frame.seq)
            whole = self._join(frame, events)
            if whole is not None:
                self.take_control(whole, now, events)
            return
        handle = self._handles.find(frame.channel_id)
        if handle is None:
            self._take_unbound(frame, events)
            return
        order = handle.order
        if frame.seq == order.expected:  # Order.read, in line: this runs for each frame
            order.expected = (frame.seq + 1) & _MASK
        else:
            order.read(frame.seq)
        if self._begun:
            self._pieces.check(frame)
        command = frame.command
        handler = (self.from_home if handle.mine else self.from_opener).get(command)
        if handler is None:
            self._take_unexpected(handle, frame)
            return
        fields = Fields(frame.parts[0], command)  # what comes from a medium is in one piece
        if frame.flags or self._begun:
            whole_message = self._unwrap(handle, frame, fields, events)
            if whole_message is None:
                return
            frame, fields = whole_message
        if self._life.state is not State.OPEN and self._is_not_taken_up(handle, frame):
            return
        handler(handle, frame, fields, events)

    def _unwrap(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> tuple[Frame, Fields] | None:
        """Read what rides along; a message in pieces is put together. None: more of it is to come."""
        if frame.flags:
            _check_flags(frame)
            for flag, read in self.extensions:
                if frame.flags & flag:
                    read(handle, fields, events)
        if frame.flags & _PIECE or (self._begun and self._pieces.is_piece(frame)):
            return self._pieces.take(handle, frame, fields)
        return frame, fields

    def _is_not_taken_up(self, handle: Handle, frame: Frame) -> bool:
        return self._life.state is State.CLOSING and not handle.mine and _is_taken_up(frame.command)

    def take_control(self, frame: Frame, now: float, events: list[Event]) -> None:
        """Hand a frame of channel 0, whose number was read, to its part."""
        handler = self.control.get(frame.command)
        if handler is None:
            self._take_unknown(None, frame)
        else:
            handler(frame, now, events)

    def _join(self, frame: Frame, events: list[Event]) -> Frame | None:
        """A frame of channel 0 as it is, or the message of which it is the last piece; None for any other piece."""
        if self._begun:
            self._pieces.check(frame)
        if not (self._begun and self._pieces.is_piece(frame)) and not (
            frame.flags & _PIECE and frame.command in IN_PIECES
        ):
            return frame
        fields = Fields(frame.payload, command_name(frame.command))
        if frame.flags & Flag.FIRST:
            self._pieces.read_total(None, fields, events)
        whole = self._pieces.take(None, frame, fields)
        return None if whole is None else whole[0]

    def _take_unexpected(self, handle: Handle, frame: Frame) -> None:
        """A command that the other end of this channel may not send, or that nobody here knows."""
        if frame.command not in BUILT and not is_call(frame.command):
            self._take_unknown(handle, frame)
            return
        _check_flags(frame)
        raise ProtocolError(f"{command_name(frame.command)} comes from the wrong end of channel {handle.id}")

    def _take_unbound(self, frame: Frame, events: list[Event]) -> None:
        """A frame on a channel that is not open."""
        if self._life.state is State.CLOSING or (frame.command not in BUILT and frame.command & IGNORABLE):
            return
        _check_flags(frame)
        if frame.command == Command.OPEN:
            self._home.on_open(frame, Fields(frame.payload, "OPEN"), events)
        elif frame.command == Command.CANCEL and self._handles.was_theirs(frame.channel_id):
            self._admission.ignored_cancels += 1  # crossed our refusal of the OPEN
        else:
            raise ProtocolError(f"{command_name(frame.command)} on channel {frame.channel_id}, which is not open")

    def _take_unknown(self, handle: Handle | None, frame: Frame) -> None:
        if frame.command in BUILT:
            raise ProtocolError(f"{command_name(frame.command)} on channel 0, or in the middle of a connection")
        if not frame.command & IGNORABLE and self._life.state is State.OPEN:
            self._admission.refuse_unknown(handle, frame)


def _is_taken_up(command: int) -> bool:
    """Whether somebody works on it, so that nothing of it may be taken up behind our BYE."""
    return is_request(command) or command == Command.DATA


def _check_flags(frame: Frame) -> None:
    allowed = CALL_FLAGS if is_call(frame.command) else ALLOWED_FLAGS.get(frame.command, 0)
    foreign = frame.flags & ~allowed
    if foreign:
        raise ProtocolError(f"{command_name(frame.command)} carries the flags {foreign:#x}, which it does not take")
