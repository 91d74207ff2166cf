# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's half of a connection: hears requests, hands them on as events, and carries the answers.

Each request is admitted, counted and answered once in ``admission.py``.

Rule 1: what can be refused without asking the owner (no right, too long, too many channels) is refused here.
Rule 2: a pushed element is on the ledger of its channel until the peer settles it; only then its slot is free.
Rule 3: a handle that is given up takes along what it has asked for, and brings back what it has not confirmed.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import evolve

from ..errors import NotSupported, ProtocolError
from .admission import Admission, Asked, Stage
from .ahead import Ahead
from .codes import WireCode
from .commands import Command, Flag, is_call
from .events import (
    CallRequested,
    CancelRequested,
    CloseRequested,
    Detached,
    ElementsReturned,
    ElementTaken,
    Event,
    Fate,
    InfoRequested,
    ListRequested,
    LostElement,
    OpenRequested,
    RecvRequested,
    SendRequested,
)
from .fields import Fields
from .frame import Frame
from .handles import Handle, Handler, HandleTable
from .hello import Limits, charge
from .lender import Lender
from .lossy import Lossy
from .messages import (
    Attributes,
    ChannelInfo,
    Closing,
    Listed,
    OpenFlag,
    OpenRequest,
    Rights,
    decode_closing,
    decode_id,
    decode_list,
    decode_open,
    decode_taken,
    decode_timeout,
    encode_attributes,
    encode_closing,
    encode_info,
    encode_listed,
    encode_reply,
)
from .order import next_serial
from .outbox import Entry, Outbox
from .prediction import Prediction
from .states import ChannelStep, HandleState

__all__ = ["Home"]

_AHEAD = int(Flag.AHEAD)
_OK = encode_reply(WireCode.OK)
_HINT: Final = struct.Struct(">I")
"""The time hint in front of the element of a SEND, as ``decode_timeout`` reads it."""


class Home:
    """Requests of the peer, from the frame to the answer, and elements until they are settled."""

    def __init__(
        self,
        outbox: Outbox,
        handles: HandleTable,
        lender: Lender,
        ahead: Ahead,
        lossy: Lossy,
        admission: Admission,
        prediction: Prediction,
    ) -> None:
        self._admission = admission
        self._outbox = outbox
        self._handles = handles
        self._lender = lender
        self._ahead = ahead
        self._lossy = lossy
        self._prediction = prediction
        self._asked = admission.asked
        self._limits = Limits()

    def agree(self, limits: Limits) -> None:
        """What the peer must hold to is known."""
        self._limits = limits

    def handlers(self) -> dict[int, Handler]:
        """What the opener may send on a handle of its own; OPEN, which makes the handle, is not among them."""
        return {
            Command.SEND: self.on_send,
            Command.RECV: self.on_recv,
            Command.INFO: self.on_info,
            Command.CLOSE: self.on_close,
            Command.CANCEL: self.on_cancel,
            Command.TAKEN: self.on_taken,
            Command.PUTBACK: self.on_putback,
            Command.DETACH: self.on_detach,
        }

    # --- what is heard -----------------------------------------------------------------------------------------------

    def on_open(self, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The first frame on a new channel id."""
        handle = self._handles.open_theirs(frame.channel_id)
        handle.order.read(frame.seq)
        # What is malformed must not be entered: the report would name a request that the owner has never heard of.
        wanted = _read_open(fields)
        asked = self._admission.admit(handle, Command.OPEN, frame.request_id)
        if isinstance(wanted, NotSupported):
            self._admission.turn_down(asked, WireCode.ENOTSUP, str(wanted.args[0]))
            return
        if wanted.flags & OpenFlag.LOSSY and not self._lossy.agreed:
            self._admission.turn_down(asked, WireCode.ENOTSUP, "the two sides have not agreed on datagrams")
            return
        if self._handles.count(mine=False) > self._limits.max_channels:
            self._admission.turn_down(
                asked, WireCode.ENOBUFS, f"{self._limits.max_channels} channels are open on this link"
            )
            return
        if wanted.weight != 1:
            self._outbox.weigh(handle.id, wanted.weight)
        if asked.stage is Stage.WAITING:
            events.append(OpenRequested(asked.request_id, handle.id, wanted))

    def on_send(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """An element of the peer."""
        timeout_ms, element = decode_timeout(fields), fields.rest()
        self._take_element(handle, frame.request_id, timeout_ms, element, fields.dropped, events)
        if not frame.flags:
            self._prediction.follow(Command.SEND, handle, frame.request_id, self._hear_send)

    def _hear_send(self, handle: Handle, request_id: int, payload: bytes, events: list[Event]) -> bool:
        """A SEND behind which nothing else rides along, and which is whole. False, without effect, for any other."""
        if len(payload) < _HINT.size:
            return False
        self._take_element(handle, request_id, _HINT.unpack_from(payload)[0], payload[_HINT.size :], 0, events)
        return True

    def _take_element(
        self, handle: Handle, request_id: int, timeout_ms: int, element: bytes, dropped: int, events: list[Event]
    ) -> None:
        """Enter a SEND; ``dropped`` is the size of an element that was not kept, since it is too long."""
        lent, admission = handle.lent, self._admission
        slot = lent is not None and lent.hear_send()
        asked = admission.admit(handle, Command.SEND, request_id, Rights.SEND, admission.cost(len(element)))
        if dropped or len(element) > handle.attributes.max_message:
            admission.turn_down(asked, WireCode.EMSGSIZE, f"{dropped or len(element)} bytes")
        if lent is not None:
            asked.slot = slot
            if not slot and asked.stage is Stage.WAITING:
                asked.asks = True
                lent.waiting += 1
        if asked.stage is Stage.WAITING:
            events.append(SendRequested(request_id, handle.id, timeout_ms, element, slot))

    def on_call(self, handle: Handle, frame: Frame, fields: Fields, limit: int, events: list[Event]) -> None:
        """The peer calls what this side makes of a command."""
        payload = fields.rest()
        size = fields.dropped or len(payload)
        asked = self._admission.admit(handle, frame.command, frame.request_id, cost=self._admission.cost(len(payload)))
        if size > limit:
            self._admission.turn_down(asked, WireCode.EMSGSIZE, f"{size} bytes")
        if asked.stage is Stage.WAITING:
            events.append(CallRequested(asked.request_id, handle.id, frame.command, payload))

    def takes(self, handle: Handle | None, command: int, size: int) -> bool:
        """Whether a message of the peer is worth keeping until all of it has come; what is not is refused then."""
        if handle is None or handle.mine:
            return True
        here = handle.attributes
        may_send = command not in (Command.SEND, Command.SELECT_CLAIM) or bool(int(here.rights) & int(Rights.SEND))
        return may_send and size <= here.max_message

    def on_recv(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer wants an element."""
        timeout_ms = decode_timeout(fields)
        fields.end()
        asked = self._admission.admit(handle, Command.RECV, frame.request_id, Rights.RECV)
        ahead = bool(frame.flags & _AHEAD)
        if ahead:
            self._ahead.hear(handle)
        asked.receives = True
        if asked.stage is Stage.WAITING:
            events.append(RecvRequested(asked.request_id, handle.id, timeout_ms, ahead))

    def on_info(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer wants to know the state."""
        fields.end()
        asked = self._admission.admit(handle, frame.command, frame.request_id)
        if asked.stage is Stage.WAITING:
            events.append(InfoRequested(asked.request_id, handle.id))

    def on_list(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer wants to know what it may open."""
        after = decode_list(fields)
        asked = self._admission.admit(handle, frame.command, frame.request_id)
        if asked.stage is Stage.WAITING:
            events.append(ListRequested(asked.request_id, after))

    def on_close(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer closes the channel."""
        closing = decode_closing(fields)
        if next_serial(closing.last_seq) != frame.seq:
            raise ProtocolError(f"CLOSE with seq {frame.seq} says that {closing.last_seq} was the last before it")
        asked = self._admission.admit(handle, Command.CLOSE, frame.request_id, Rights.CLOSE)
        if asked.stage is Stage.WAITING:
            events.append(CloseRequested(asked.request_id, handle.id, closing))

    def on_cancel(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer gives a request up; if the answer is on its way already, that one counts."""
        fields.end()
        asked = self._admission.unanswered(handle, frame.request_id)
        if asked is None:
            self._admission.ignored_cancels += 1
        else:
            events.append(CancelRequested(asked.request_id, handle.id, asked.wants))

    def on_taken(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """Acknowledgements that found no other frame."""
        if frame.request_id:
            raise ProtocolError("TAKEN: the ids stand in the payload, not in the header")
        for request_id in decode_taken(fields):
            self.take(handle, request_id, events)

    def read_taken(self, handle: Handle, fields: Fields, events: list[Event]) -> None:
        """An acknowledgement that rides on another frame."""
        self.take(handle, decode_id(fields), events)

    def take(self, handle: Handle, request_id: int, events: list[Event]) -> None:
        """One pushed element was received."""
        ready = handle.ledger.take(request_id)
        del self._asked[request_id]
        events.append(ElementTaken(request_id, handle.id))
        self._returned(handle, ready, events)

    def on_putback(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """One pushed element comes back."""
        fields.end()
        ready = handle.ledger.put_back(frame.request_id)
        del self._asked[frame.request_id]
        self._returned(handle, ready, events)

    def on_detach(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer gives a handle up: what it did not confirm it has not taken, what it asked for it wants no more."""
        fields.end()
        if handle.state is not HandleState.OPEN or frame.request_id:
            raise ProtocolError(f"DETACH on channel {handle.id}: unanswered OPEN, told twice, or a request id")
        handle.step(ChannelStep.DETACH)
        self._lender.detached(handle)
        left = handle.ledger.clear()
        for request_id, _written, _returned in left:
            self._admission.forget(request_id)
        # Cancels come first: what is put back at the head must not meet a receiver that has just left.
        unanswered = [self._asked[request_id] for request_id in sorted(handle.unanswered)]
        events.extend(CancelRequested(asked.request_id, handle.id, asked.wants) for asked in unanswered)
        if left:
            ids = tuple(request_id for request_id, _, _ in left)
            events.append(ElementsReturned(handle.id, ids, any(written for _, written, _ in left)))
        events.append(Detached(handle.id))
        self._admission.release(handle)

    # --- the owner's answers -----------------------------------------------------------------------------------------

    def accept(self, request_id: int, attributes: Attributes) -> bool:
        """Answer OPEN with what the channel truly is."""
        size = min(attributes.max_message, self._limits.max_message)
        attributes = evolve(attributes, max_message=size)
        payload = encode_attributes(attributes)
        asked = self._admission.waiting(request_id, Command.OPEN)
        asked.handle.attributes = attributes
        asked.handle.step(ChannelStep.ACCEPT)
        return self._admission.reply(asked, (_OK, payload))

    def done(self, request_id: int) -> bool:
        """Answer SEND, CLOSE or a claim that carried an element: it is done. Raises ValueError for any other."""
        admission = self._admission
        asked = admission.asked.get(request_id)
        if asked is None or asked.wants is not Command.SEND or asked.stage is not Stage.WAITING:
            asked = admission.waiting(request_id, Command.SEND, Command.CLOSE, Command.SELECT_CLAIM)
        if asked.receives:
            raise ValueError(f"request {request_id} of the peer claims an element; push it")
        return admission.reply(asked, (_OK,), used=asked.slot)

    def answer(self, request_id: int, result: bytes) -> bool:
        """Answer a call with its result. Raises ValueError for what is no call, or longer than max_message bytes."""
        asked = self._admission.waiting(request_id)
        if not is_call(asked.wants) or len(result) > self._limits.max_message:
            raise ValueError(f"request {request_id} is no call, or {len(result)} bytes do not fit into a frame")
        asked.answer_cost = charge(len(result))
        self._admission.answer_bytes += asked.answer_cost
        return self._admission.reply(asked, (_OK, result))

    def names(self, request_id: int, names: list[Listed], more: bool) -> bool:
        """Answer LIST with a page."""
        return self._admission.reply(
            self._admission.waiting(request_id, Command.LIST), (_OK, encode_listed(names, more))
        )

    def inform(self, request_id: int, info: ChannelInfo) -> bool:
        """Answer INFO."""
        return self._admission.reply(self._admission.waiting(request_id, Command.INFO), (_OK, encode_info(info)))

    def push(self, request_id: int, element: bytes, redelivered: bool) -> bool:
        """Answer RECV, or a claim, with an element, which stays on the ledger; False: the receiver is gone.

        :raises ValueError: the request is no receive, or the element longer than max_message bytes.
        """
        asked = self._admission.waiting(request_id, Command.RECV, Command.SELECT_CLAIM)
        if not asked.receives:
            raise ValueError(f"request {request_id} of the peer is no receive")
        if len(element) > self._limits.max_message:
            raise ValueError(f"an element of {len(element)} bytes is longer than this link carries")
        if asked.handle.state is HandleState.DETACHING:
            return self._admission.reply(asked, ())
        handle = asked.handle
        asked.stage = Stage.PUSHED
        handle.unanswered.pop(asked.request_id, None)
        handle.ledger.push(asked.request_id)
        asked.parts, asked.flags = (_OK, element), Flag.REDELIVERED if redelivered else 0
        asked.on_written = _push_written
        self._outbox.put(asked)
        return True

    def refuse(self, request_id: int, code: WireCode, text: str) -> bool:
        """Answer any request with an error. Raises ValueError for the code OK, which is none."""
        if code is WireCode.OK:
            raise ValueError("a refusal needs an error number")
        return self._admission.turn_down(self._admission.waiting(request_id), code, text)

    def tell_closed(self, channel_id: int, closing: Closing) -> bool:
        """Tell the opener that its channel was closed; False: it was told before, or has detached."""
        handle = self._handles.find(channel_id)
        if handle is None or handle.mine or handle.state is not HandleState.OPEN or handle.closing is not None:
            return False
        handle.closing = closing
        self._lender.closed(handle)
        self._outbox.put(Entry(Command.CLOSE, handle.id, 0, (encode_closing(closing),)))
        return True

    # --- the end -----------------------------------------------------------------------------------------------------

    def lost_elements(self) -> tuple[LostElement, ...]:
        """The connection is over: what is known of each pushed element. All are forgotten."""
        lost = []
        for handle in self._handles:
            for request_id, written, returned in handle.ledger.clear():
                fate = Fate.IN_DOUBT if written and not returned else Fate.NOT_DONE
                lost.append(LostElement(request_id, handle.id, fate, returned))
        return tuple(lost)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _returned(self, handle: Handle, request_ids: tuple[int, ...], events: list[Event]) -> None:
        if request_ids:
            events.append(ElementsReturned(handle.id, request_ids, redelivered=True))


def _push_written(asked: Asked) -> None:
    asked.handle.ledger.written(asked.request_id)


def _read_open(fields: Fields) -> OpenRequest | NotSupported:
    """What the peer wants, or why this version has not got it. Raises ProtocolError when it is malformed."""
    try:
        return decode_open(fields)
    except NotSupported as error:
        return error
