# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The peer's requests that are under way at this side: each is admitted within the bounds, and answered once.

Every part of the protocol that hears requests (``home.py``, ``calls.py``, ``remote_select.py``, ``listing.py``) admits
them here, so that they are counted together, from their frame until their answer is written.

Rule 1: what breaks a limit that both sides know ends the connection.
Rule 2: a request has one answer; one that nobody hears, since its handle was given up, is not sent.
Rule 3: nothing of the peer's waits here beyond max_inflight_requests and receive_budget.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from ..errors import NotSupported, ProtocolError
from .codes import WireCode
from .commands import COMMANDS, Command, command_name
from .events import ParkedRequest
from .frame import Frame
from .handles import Handle, HandleTable
from .hello import Limits, charge
from .lender import Lender
from .messages import Rights, encode_reply
from .order import is_newer
from .outbox import Entry, Outbox
from .states import ChannelStep, HandleState

__all__ = ["Admission", "Asked", "Stage"]


class Stage(enum.Enum):
    """How far a request of the peer has come."""

    WAITING = "waiting"
    """It was handed on; the owner owes an answer."""
    ANSWERED = "answered"
    """Its REPLY is queued; it is over when that is written."""
    PUSHED = "pushed"
    """Its REPLY, queued or written, carries an element that is not settled."""


_NOBODY: Final = Handle(0, mine=False)
_DEFAULTS: Final = Limits()


class Asked(Entry):
    """One request of the peer, from its frame until it is over: the message that answers it, which is queued then."""

    answer_cost: int = 0
    stage: Stage = Stage.WAITING
    slot: bool = False  # a SEND that has used a lent slot
    asks: bool = False  # a SEND without one, where slots are lent
    refused_open: bool = False  # its REPLY is the last frame of the handle
    receives: bool = False  # a push answers it
    mask: int = 0  # of a registration

    def __init__(
        self,
        handle: Handle,
        request_id: int,
        on_written: Callable[[Asked], object],
        wants: int = 0,
        charge: int = 0,
        parts: tuple[bytes, ...] = (),
    ) -> None:
        """``wants`` is the command that the peer has sent."""
        # What Entry sets, in line.
        self.command = Command.REPLY
        self.channel_id = handle.id
        self.request_id = request_id
        self.parts = parts
        self.flags = 0
        self.on_written = on_written
        self.wants = wants
        self.handle = handle
        self.charge = charge

    @property
    def ends_with_handle(self) -> bool:
        """Whether its opener waits for nothing any more once it has given the handle up."""
        return self.receives or self.wants is Command.SELECT_REGISTER


class Admission:
    """The requests of one peer: ``asked``, by their ids, and what they cost.

    ``refused_late`` counts those that came behind the last one of a drain, ``ignored_cancels`` the CANCELs that crossed
    an answer; ``answer_bytes`` is what the results of calls cost that are not written.
    """

    def __init__(self, outbox: Outbox, handles: HandleTable, lender: Lender) -> None:
        self.refused_late = 0
        self.ignored_cancels = 0
        self.answer_bytes = 0
        self.asked: dict[int, Asked] = {}
        self._outbox = outbox
        self._handles = handles
        self._lender = lender
        self._bytes = 0
        self._last_id: int | None = None
        self._admits_up_to: int | None = None
        self._most, self._most_bytes = _DEFAULTS.max_inflight_requests, _DEFAULTS.receive_budget

    def agree(self, limits: Limits) -> None:
        """What the peer must hold to is known."""
        self._most, self._most_bytes = limits.max_inflight_requests, limits.receive_budget

    # --- what is heard ------------------------------------------------------------------------------------------------

    def admit(self, handle: Handle, number: int, request_id: int, right: Rights | None = None, cost: int = 0) -> Asked:
        """Enter a request of the peer for the command ``number``; it is refused when the handle has not the right."""
        command, requests = COMMANDS.get(number, number), self.asked
        # An element that came back may wait for its neighbours: under its id another would take its place on the books.
        if not request_id or request_id in requests or request_id in handle.ledger:
            raise ProtocolError(f"{command_name(command)}: request id {request_id} is 0, or in flight")
        if len(requests) >= self._most:
            raise ProtocolError(f"{command_name(command)}: more than {len(requests)} requests are in flight")
        if handle.state is not HandleState.OPEN and command is not Command.OPEN:
            raise ProtocolError(f"{command_name(command)} on channel {handle.id}, which is {handle.state.value}")
        requests[request_id] = asked = Asked(handle, request_id, self._answer_written, command, cost)
        self._bytes += cost
        handle.unanswered[request_id] = None
        if request_id - 1 == self._last_id and self._admits_up_to is None:
            self._last_id = request_id  # mostly: the next in order, and no drain
            late = False
        else:
            late = self._is_late(request_id)
        if late:
            self.refused_late += 1
            self.turn_down(asked, WireCode.EPIPE, "the link is being drained")
        elif right is not None and not int(handle.attributes.rights) & int(right):
            self.turn_down(asked, WireCode.EACCES, f"this handle has no right to {str(right.name).lower()}")
        return asked

    def stop(self) -> int:
        """Refuse every request behind the last one that was admitted; its id, 0 without one."""
        self._admits_up_to = self._last_id or 0
        return self._admits_up_to

    def _is_late(self, request_id: int) -> bool:
        if self._admits_up_to is not None:
            return not self._admits_up_to or is_newer(request_id, self._admits_up_to)
        if self._last_id is None or is_newer(request_id, self._last_id):
            self._last_id = request_id
        return False

    def cost(self, size: int) -> int:
        """What that many bytes of the peer are charged. Raises ProtocolError beyond what was agreed."""
        cost = charge(size)
        if self._bytes + cost > self._most_bytes:
            raise ProtocolError(f"{self._bytes + cost} bytes of requests wait, {self._most_bytes} were agreed")
        return cost

    def refuse_unknown(self, handle: Handle | None, frame: Frame) -> None:
        """Answer ENOTSUP to a request that this version does not carry out. Raises NotSupported if it cannot be."""
        name = command_name(frame.command)
        if handle is not None and handle.state is not HandleState.OPEN:
            raise ProtocolError(f"{name} on channel {handle.id}, which is {handle.state.value}")
        if not frame.request_id or (handle is not None and handle.mine):
            raise NotSupported(f"{name} is not known here, may not be ignored, and cannot be answered")
        if len(self.asked) >= self._most or frame.request_id in self.asked:
            raise ProtocolError(f"{name}: request {frame.request_id} is in flight, or one too many")
        # Counted like any request until its answer is written, so that a flood of these is bounded as well.
        handle = handle or _NOBODY
        parts = (encode_reply(WireCode.ENOTSUP, f"{name} is not built"),)
        asked = Asked(handle, frame.request_id, self._answer_written, parts=parts)
        asked.stage = Stage.ANSWERED
        self.asked[asked.request_id] = asked
        self._outbox.put(asked)

    # --- the owner's answers ------------------------------------------------------------------------------------------

    def is_waiting(self, request_id: int) -> bool:
        """Whether the owner owes an answer to this request of the peer."""
        asked = self.asked.get(request_id)
        return asked is not None and asked.stage is Stage.WAITING

    def unanswered(self, handle: Handle, request_id: int) -> Asked | None:
        """A request on this handle to which the owner owes an answer."""
        asked = self.asked.get(request_id)
        return asked if asked is not None and asked.handle is handle and asked.stage is Stage.WAITING else None

    def waiting(self, request_id: int, *commands: Command) -> Asked:
        """The request to which the owner owes an answer, of one of these commands. Raises ValueError if it is none."""
        asked = self.asked.get(request_id)
        if asked is None or asked.stage is not Stage.WAITING:
            raise ValueError(f"request {request_id} of the peer waits for no answer")
        if commands and asked.wants not in commands:
            raise ValueError(
                f"request {request_id} of the peer is {command_name(asked.wants)}; this is no answer to it"
            )
        return asked

    def turn_down(self, asked: Asked, code: WireCode, text: str) -> bool:
        """Answer a request with an error; False when it was answered before, or nobody hears it."""
        if asked.stage is not Stage.WAITING:
            return False
        if asked.wants is Command.OPEN:
            asked.refused_open = True
            asked.handle.step(ChannelStep.REFUSE)
        return self.reply(asked, (encode_reply(code, text),))

    def reply(self, asked: Asked, parts: tuple[bytes, ...], used: bool = False) -> bool:
        """Queue the REPLY; False for one whose handle was given up, and whose opener waits for nothing."""
        handle = asked.handle
        if handle.lent is not None and asked.wants is Command.SEND:
            self._lender.answered(handle, used, asked.asks)
        asked.stage = Stage.ANSWERED
        asked.parts = parts
        handle.unanswered.pop(asked.request_id, None)
        if handle.state is not HandleState.DETACHING:
            self._outbox.put(asked)
            return True
        heard = not asked.ends_with_handle
        if heard:
            self._outbox.put(asked)
        else:
            self._answer_written(asked)
        self.release(handle)
        return heard

    def _answer_written(self, asked: Asked) -> None:
        """The peer's request is over."""
        self.asked.pop(asked.request_id, None)
        self._bytes -= asked.charge
        self.answer_bytes -= asked.answer_cost
        if asked.refused_open:
            self._handles.remove(asked.handle)

    def forget(self, request_id: int) -> None:
        """A pushed element is over without its confirmation; its REPLY does not go out if that can still be."""
        asked = self.asked.pop(request_id, None)
        if asked is not None:
            self._outbox.withdraw(asked)

    def release(self, handle: Handle) -> None:
        """If a handle was given up, and everything on it is answered: say so, and let it go."""
        if handle.state is HandleState.DETACHING and not handle.unanswered:
            handle.step(ChannelStep.DETACHED)
            self._outbox.put(Entry(Command.DETACH, handle.id, on_written=lambda _: self._gone(handle)))

    def _gone(self, handle: Handle) -> None:
        self._handles.remove(handle)
        self._lender.grants.forget(handle.id)

    # --- the end ------------------------------------------------------------------------------------------------------

    def parked(self) -> tuple[ParkedRequest, ...]:
        """The connection is over: requests that wait here for nobody. All are forgotten."""
        waiting = [asked for asked in self.asked.values() if asked.stage is Stage.WAITING]
        self.asked.clear()
        return tuple(ParkedRequest(asked.request_id, asked.handle.id, asked.wants) for asked in waiting)
