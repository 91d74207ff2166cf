# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Remote select on the wire: both ends' books of registrations and claims, and the payloads of commands 32 to 35.

    opener                                        home
    SELECT_REGISTER serial, mask  -->             a clause stands in the queue of the channel
                                  <--             SELECT_NOTIFY events, token: it has the turn
    SELECT_CLAIM token, [element] -->             judged by the state at its arrival
                                  <--             REPLY: granted (with the element), or EAGAIN: denied
    SELECT_CANCEL                 -->  <-- REPLY  the registration is over

Rule 1: a registration is a request that stays unanswered as long as it stands; so both ends count it alike, and every
bound of requests bounds it. Its answer is never a success.
Rule 2: a NOTIFY promises nothing. What is true is the answer to the claim, one REPLY like any other.
Rule 3: a claim that takes is settled like a receive (TAKEN, PUTBACK), one that gives is charged like a send.
Rule 4: registrations and claims that take end at the opener the moment its handle is given up, as receives do.
Rule 5: what crosses a withdrawal is dropped; a NOTIFY behind the answer to its registration ends the connection.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final

from ..errors import ProtocolError
from .admission import Admission, Stage
from .codes import WireCode
from .commands import Command
from .events import CancelRequested, ClaimRequested, Event, Notified, RegisterRequested
from .fields import Fields
from .frame import Frame
from .handles import Handle, Handler
from .messages import Rights
from .outbox import Entry, Outbox
from .requests import Request, RequestState
from .states import HandleState

if TYPE_CHECKING:
    from .opener import Opener

__all__ = ["HomeSelects", "OpenerSelects", "Readiness", "encode_claim", "encode_notify", "encode_register"]

_REGISTER: Final = struct.Struct(">QB")
_NOTIFY: Final = struct.Struct(">BI")
_CLAIM: Final = struct.Struct(">IIB")


class Readiness(enum.IntFlag):
    """What a registration wants to hear of, as a mask; the bits of the two directions are those of the rights."""

    SEND_READY = 1
    """A receiver waits, or there is room: a claim that gives an element may be granted."""
    RECV_READY = 2
    """An element or a sender waits: a claim that takes one may be granted."""
    CLOSED = 4
    """Nothing that the mask asks for can come any more; with RECV_READY in the mask: closed and drained."""


EVERYTHING: Final = int(Readiness.SEND_READY | Readiness.RECV_READY | Readiness.CLOSED)


def encode_register(serial: int, mask: Readiness) -> bytes:
    """The payload of SELECT_REGISTER; the serial orders the selects of one node."""
    return _REGISTER.pack(serial, mask)


def encode_notify(events: Readiness, token: int) -> bytes:
    """The payload of SELECT_NOTIFY; a token names the turn, and is 0 for CLOSED."""
    return _NOTIFY.pack(events, token)


def encode_claim(registration: int, token: int, event: Readiness) -> bytes:
    """The payload of SELECT_CLAIM but for the element that a claim for SEND_READY carries behind it."""
    return _CLAIM.pack(registration, token, event)


class OpenerSelects:
    """The opener's half: its registrations stand among its requests, with a claim beside them now and then."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener

    def handlers(self) -> dict[int, Handler]:
        """What the home may send beside answers."""
        return {Command.SELECT_NOTIFY: self.on_notify}

    def register(self, channel_id: int, serial: int, mask: Readiness) -> int:
        """Have a clause stand at the home; the id of the registration."""
        opener = self._opener
        handle = opener.usable(channel_id, Rights(mask & (Rights.SEND | Rights.RECV)))
        opener.requests.check_room()
        return opener.ask(handle, Command.SELECT_REGISTER, (encode_register(serial, mask),)).request_id

    def unregister(self, registration: int) -> None:
        """The select is over: take its clause back. Harmless when the registration has ended by itself."""
        opener = self._opener
        request = opener.requests.find(registration)
        if request is None or request.command is not Command.SELECT_REGISTER:
            return
        if not opener.withdraw(request) and request.state is RequestState.WRITTEN:
            request.state = RequestState.ABANDONED
            opener.follow(request, Command.SELECT_CANCEL)

    def claim(self, registration: int, token: int, event: Readiness, element: bytes | None) -> int:
        """Ask for what a NOTIFY told of; the id of the claim. Raises ValueError for what is no registration of ours."""
        opener = self._opener
        standing = opener.requests.mine(registration)
        if standing.command is not Command.SELECT_REGISTER:
            raise ValueError(f"request {registration} is no registration")
        fixed = encode_claim(registration, token, event)
        if element is not None:
            return opener.ask_to_take(standing.channel_id, Command.SELECT_CLAIM, fixed, element).request_id
        handle = opener.usable(standing.channel_id, Rights.RECV)
        return opener.ask_to_give(handle, Command.SELECT_CLAIM, fixed).request_id

    def on_notify(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """A clause may be ready."""
        told, token = fields.take(_NOTIFY)
        fields.end()
        request = self._standing(handle, frame)
        if not told or told & ~EVERYTHING:
            raise ProtocolError(f"SELECT_NOTIFY of the events {told:#x}, which nobody can ask for")
        if request.state is RequestState.WRITTEN:
            events.append(Notified(request.request_id, handle.id, int(told), int(token)))

    def _standing(self, handle: Handle, frame: Frame) -> Request:
        request = self._opener.requests.find(frame.request_id)
        if request is None or request.channel_id != handle.id or request.command is not Command.SELECT_REGISTER:
            raise ProtocolError(f"SELECT_NOTIFY for {frame.request_id}, which is no registration on this channel")
        if request.state is RequestState.QUEUED:
            raise ProtocolError(f"SELECT_NOTIFY for the registration {request.request_id}, which was not asked for yet")
        return request


class HomeSelects:
    """The home's half: registrations and claims are requests of the peer, handed on as events."""

    def __init__(self, outbox: Outbox, admission: Admission) -> None:
        self._outbox = outbox
        self._admission = admission

    def handlers(self) -> dict[int, Handler]:
        """What the opener may send."""
        return {
            Command.SELECT_REGISTER: self.on_register,
            Command.SELECT_CANCEL: self.on_cancel,
            Command.SELECT_CLAIM: self.on_claim,
        }

    def on_register(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """A clause of a select of the peer."""
        serial, mask = fields.take(_REGISTER)
        fields.end()
        asked = self._admission.admit(handle, frame.command, frame.request_id)
        lacking = mask & (Rights.SEND | Rights.RECV) & ~int(handle.attributes.rights)
        if not mask or mask & ~EVERYTHING:
            self._admission.turn_down(
                asked, WireCode.EINVAL, f"a mask of {mask:#x} asks for nothing that is known here"
            )
        elif lacking:
            self._admission.turn_down(asked, WireCode.EACCES, f"this handle has no right for the events {lacking:#x}")
        elif asked.stage is Stage.WAITING:
            asked.mask = mask
            events.append(RegisterRequested(asked.request_id, handle.id, int(serial), int(mask)))

    def on_cancel(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """A select is over; the registration may have ended by itself meanwhile."""
        fields.end()
        asked = self._admission.unanswered(handle, frame.request_id)
        if asked is None or asked.wants is not Command.SELECT_REGISTER:
            self._admission.ignored_cancels += 1
        else:
            events.append(CancelRequested(asked.request_id, handle.id, asked.wants))

    def on_claim(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """A select wants what it was told of; stale when its registration is over."""
        registration, token, event = fields.take(_CLAIM)
        if event not in (Readiness.SEND_READY, Readiness.RECV_READY):
            raise ProtocolError(f"SELECT_CLAIM of the event {event:#x}; only SEND_READY and RECV_READY can be claimed")
        gives = event == Readiness.SEND_READY
        element = fields.rest() if gives else None
        size = fields.dropped or len(element or b"")
        fields.end()
        cost = 0 if element is None else self._admission.cost(len(element))
        asked = self._admission.admit(handle, frame.command, frame.request_id, cost=cost)
        asked.receives = not gives
        standing = self._admission.unanswered(handle, registration)
        if size > handle.attributes.max_message:
            self._admission.turn_down(asked, WireCode.EMSGSIZE, f"{size} bytes")
        elif standing is None or not standing.mask & event:
            self._admission.turn_down(asked, WireCode.EAGAIN, "the registration is over")
        elif asked.stage is Stage.WAITING:
            claim = ClaimRequested(asked.request_id, handle.id, int(registration), int(token), int(event), element)
            events.append(claim)

    def notify(self, registration: int, events: Readiness, token: int) -> bool:
        """Tell a standing registration; False when it stands no more, or its handle is being given up."""
        asked = self._admission.asked.get(registration)
        if asked is None or asked.stage is not Stage.WAITING or asked.handle.state is not HandleState.OPEN:
            return False
        self._outbox.put(Entry(Command.SELECT_NOTIFY, asked.handle.id, registration, (encode_notify(events, token),)))
        return True
