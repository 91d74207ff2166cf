# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls: requests whose meaning two programs agree on; commands 64 to 127, on channel 0 or on an open handle.

Rule 1: on channel 0 both sides call; on a handle its opener does, and its home answers.
Rule 2: a call is answered by exactly one REPLY with its result, or an error; with the flag NOREPLY it has no id and no
answer, and the other side may drop it: who must know that it arrived asks for an answer.
Rule 3: a call costs what an element costs: its payload is charged until it is answered, without an answer until it is
written. So nothing is queued that the other side would have to refuse for size or bound.
Rule 4: calls of channel 0 stand in the queue of the channels, never in front: they are data, and may be large.
"""

from __future__ import annotations

from typing import Final

from ..errors import MessageTooLong, NoBuffers, ProtocolError
from .commands import FIRST_CALL, LAST_CALL, Command, Flag, command_name, is_call
from .events import CallRequested, Event
from .fields import Fields
from .frame import Frame
from .handles import Handle, HandleTable
from .hello import Limits, charge
from .home import Home
from .life import Life
from .opener import Opener
from .outbox import Entry, Outbox
from .routes import Routes
from .states import HandleState, State

__all__ = ["Calls"]

_NOREPLY: Final = int(Flag.NOREPLY)


class Calls:
    """Calls of both sides on one connection."""

    def __init__(self, life: Life, outbox: Outbox, handles: HandleTable, opener: Opener, home: Home) -> None:
        self._life = life
        self._outbox = outbox
        self._handles = handles
        self._opener = opener
        self._home = home
        self._limits = Limits()
        self._peer_budget = 0
        # Channel 0, seen as a handle that each side has at the other: requests and their answers need no second way.
        self.mine = Handle(0, mine=True, state=HandleState.OPEN)
        self.theirs = Handle(0, mine=False, state=HandleState.OPEN)
        self._untold = self._untold_bytes = 0  # calls without an answer that are not written

    def agree(self, limits: Limits, peer_budget: int) -> None:
        """The limits are known; calls can be made."""
        self._limits = limits
        self._peer_budget = peer_budget

    def fill(self, routes: Routes) -> None:
        """Say what this part takes."""
        commands = range(FIRST_CALL, LAST_CALL + 1)
        # One bound method for all of them: one for each would be a sixth of what an idle connection costs.
        routes.from_opener.update(dict.fromkeys(commands, self._on_call))
        routes.control.update(dict.fromkeys(commands, self._on_own_call))
        routes.control[Command.REPLY] = self._on_reply
        routes.control[Command.CANCEL] = self._on_cancel

    # --- commands ----------------------------------------------------------------------------------------------------

    def call(self, channel_id: int, command: int, payload: bytes) -> int:
        """Ask for a result; the id of the request."""
        handle = self._target(channel_id, command, payload)
        return self._opener.call(handle, command, payload)

    def tell(self, channel_id: int, command: int, payload: bytes) -> None:
        """Queue a call without an answer. Raises NoBuffers when too many, or too many bytes, are not written."""
        handle = self._target(channel_id, command, payload)
        cost = charge(len(payload))
        if self._untold >= self._limits.max_inflight_requests or self._untold_bytes + cost > self._peer_budget:
            raise NoBuffers(f"{self._untold} calls of {self._untold_bytes} bytes wait to be written; wait for room")
        self._untold += 1
        self._untold_bytes += cost
        self._outbox.put(Entry(command, handle.id, 0, (payload,), _NOREPLY, lambda _: self._told(cost)))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _target(self, channel_id: int, command: int, payload: bytes) -> Handle:
        if not is_call(command):
            raise ValueError(f"calls are the commands {FIRST_CALL} to {LAST_CALL}, not {command}")
        handle = self._handles.mine(channel_id) if channel_id else self.mine
        limit = self._limit(handle)
        if len(payload) > limit:
            raise MessageTooLong(f"{len(payload)} bytes; a call here carries {limit}")
        return handle

    def _limit(self, handle: Handle) -> int:
        return handle.attributes.max_message if handle.id else self._limits.max_message

    def _told(self, cost: int) -> None:
        self._untold -= 1
        self._untold_bytes -= cost

    def _on_call(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer calls."""
        if not frame.flags & _NOREPLY:
            self._home.on_call(handle, frame, fields, self._limit(handle), events)
        elif frame.request_id or (fields.dropped or fields.left) > self._limit(handle):
            raise ProtocolError(f"{command_name(frame.command)} without an answer has a request id, or is too long")
        else:
            events.append(CallRequested(0, handle.id, frame.command, fields.rest()))

    def _on_own_call(self, frame: Frame, _now: float, events: list[Event]) -> None:
        if frame.flags & ~_NOREPLY:
            raise ProtocolError(f"{command_name(frame.command)} carries the flags {frame.flags:#x}")
        if self._life.state is State.OPEN:  # behind our BYE nobody is left to work on it
            self._on_call(self.theirs, frame, Fields(frame.payload, "a call"), events)

    def _on_reply(self, frame: Frame, _now: float, events: list[Event]) -> None:
        _check_bare(frame)
        self._opener.on_reply(self.mine, frame, Fields(frame.payload, "REPLY"), events)

    def _on_cancel(self, frame: Frame, _now: float, events: list[Event]) -> None:
        _check_bare(frame)
        self._home.on_cancel(self.theirs, frame, Fields(frame.payload, "CANCEL"), events)


def _check_bare(frame: Frame) -> None:
    if frame.flags:
        raise ProtocolError(f"{command_name(frame.command)} on channel 0 takes no flags, not {frame.flags:#x}")
