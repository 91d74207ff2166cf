# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's half of a connection: hears requests, hands them on as events, and carries the answers.

Rule 1: each request gets exactly one answer; what breaks a limit that both sides know ends the connection.
Rule 2: what can be refused without asking the owner (no right, too long, not known here) is refused here.
Rule 3: a pushed element is on the ledger of its channel until the peer settles it; only then its slot is free.
Rule 4: nothing of the peer's waits here beyond max_inflight_requests, receive_budget and max_channels.
"""

from __future__ import annotations

import enum

from attrs import define, evolve

from ..errors import NotSupported, ProtocolError
from .ahead import Ahead
from .codes import WireCode
from .commands import COMMANDS, Command, Flag, command_name, is_call
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
    ParkedRequest,
    RecvRequested,
    SendRequested,
)
from .fields import Fields
from .frame import Frame
from .handles import Handle, Handler, HandleTable
from .hello import Limits, charge
from .lender import Lender
from .messages import (
    Attributes,
    ChannelInfo,
    Closing,
    Listed,
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
from .order import is_newer, next_serial
from .outbox import Entry, Outbox
from .states import ChannelStep, HandleState

__all__ = ["Asked", "Home", "Stage"]

_AHEAD = int(Flag.AHEAD)
_OK = encode_reply(WireCode.OK)


class Stage(enum.Enum):
    """How far a request of the peer has come."""

    WAITING = "waiting"
    """It was handed on; the owner owes an answer."""
    ANSWERED = "answered"
    """Its REPLY is queued; it is over when that is written."""
    PUSHED = "pushed"
    """Its REPLY, queued or written, carries an element that is not settled."""


_NOBODY = Handle(0, mine=False)


@define(eq=False)
class Asked(Entry):
    """One request of the peer, from its frame until it is over: the message that answers it, which is queued then."""

    wants: int = 0  # the command that the peer has sent
    handle: Handle = _NOBODY
    charge: int = 0
    answer_cost: int = 0
    stage: Stage = Stage.WAITING
    slot: bool = False  # a SEND that has used a lent slot
    asks: bool = False  # a SEND without one, where slots are lent
    refused_open: bool = False  # its REPLY is the last frame of the handle
    receives: bool = False  # a push answers it
    mask: int = 0  # of a registration

    @property
    def ends_with_handle(self) -> bool:
        """Whether its opener waits for nothing any more once it has given the handle up."""
        return self.receives or self.wants is Command.SELECT_REGISTER


class Home:
    """Requests of the peer, from the frame to the written answer, and elements until they are settled."""

    def __init__(self, outbox: Outbox, handles: HandleTable, lender: Lender, ahead: Ahead) -> None:
        self.ignored_cancels = 0
        self.refused_late = 0  # requests that came behind the last one of a drain
        self._last_id: int | None = None
        self._admits_up_to: int | None = None
        self.answer_bytes = 0  # charge of results that are not written
        self._outbox = outbox
        self._handles = handles
        self._lender = lender
        self._ahead = ahead
        self._asked: dict[int, Asked] = {}
        self._bytes = 0
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
        asked = self.admit(handle, frame)
        if isinstance(wanted, NotSupported):
            self.turn_down(asked, WireCode.ENOTSUP, str(wanted.args[0]))
            return
        if self._handles.count(mine=False) > self._limits.max_channels:
            self.turn_down(asked, WireCode.ENOBUFS, f"{self._limits.max_channels} channels are open on this link")
            return
        if wanted.weight != 1:
            self._outbox.weigh(handle.id, wanted.weight)
        if asked.stage is Stage.WAITING:
            events.append(OpenRequested(asked.request_id, handle.id, wanted))

    def on_send(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """An element of the peer."""
        timeout_ms, element = decode_timeout(fields), fields.rest()
        size = fields.dropped or len(element)
        slot = handle.lent is not None and handle.lent.hear_send()
        asked = self.admit(handle, frame, Rights.SEND, self.cost(len(element)))
        asked.slot = slot
        if size > handle.attributes.max_message:
            self.turn_down(asked, WireCode.EMSGSIZE, f"{size} bytes")
        if asked.stage is Stage.WAITING:
            if handle.lent is not None and not slot:
                asked.asks = True
                handle.lent.waiting += 1
            events.append(SendRequested(asked.request_id, handle.id, timeout_ms, element, slot))

    def on_call(self, handle: Handle, frame: Frame, fields: Fields, limit: int, events: list[Event]) -> None:
        """The peer calls what this side makes of a command."""
        payload = fields.rest()
        size = fields.dropped or len(payload)
        asked = self.admit(handle, frame, cost=self.cost(len(payload)))
        if size > limit:
            self.turn_down(asked, WireCode.EMSGSIZE, f"{size} bytes")
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
        asked = self.admit(handle, frame, Rights.RECV)
        ahead = bool(frame.flags & _AHEAD)
        if ahead:
            self._ahead.hear(handle)
        asked.receives = True
        if asked.stage is Stage.WAITING:
            events.append(RecvRequested(asked.request_id, handle.id, timeout_ms, ahead))

    def on_info(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer wants to know the state."""
        fields.end()
        asked = self.admit(handle, frame)
        if asked.stage is Stage.WAITING:
            events.append(InfoRequested(asked.request_id, handle.id))

    def on_list(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer wants to know what it may open."""
        after = decode_list(fields)
        asked = self.admit(handle, frame)
        if asked.stage is Stage.WAITING:
            events.append(ListRequested(asked.request_id, after))

    def on_close(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer closes the channel."""
        closing = decode_closing(fields)
        if next_serial(closing.last_seq) != frame.seq:
            raise ProtocolError(f"CLOSE with seq {frame.seq} says that {closing.last_seq} was the last before it")
        asked = self.admit(handle, frame, Rights.CLOSE)
        if asked.stage is Stage.WAITING:
            events.append(CloseRequested(asked.request_id, handle.id, closing))

    def on_cancel(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The peer gives a request up; if the answer is on its way already, that one counts."""
        fields.end()
        asked = self.unanswered(handle, frame.request_id)
        if asked is None:
            self.ignored_cancels += 1
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
            self._forget_push(request_id)
        # Cancels come first: what is put back at the head must not meet a receiver that has just left.
        unanswered = [self._asked[request_id] for request_id in sorted(handle.unanswered)]
        events.extend(CancelRequested(asked.request_id, handle.id, asked.wants) for asked in unanswered)
        if left:
            ids = tuple(request_id for request_id, _, _ in left)
            events.append(ElementsReturned(handle.id, ids, any(written for _, written, _ in left)))
        events.append(Detached(handle.id))
        self._maybe_detached(handle)

    def refuse_unknown(self, handle: Handle | None, frame: Frame) -> None:
        """Answer ENOTSUP to a request that this version does not carry out. Raises NotSupported if it cannot be."""
        name = command_name(frame.command)
        if handle is not None and handle.state is not HandleState.OPEN:
            raise ProtocolError(f"{name} on channel {handle.id}, which is {handle.state.value}")
        if not frame.request_id or (handle is not None and handle.mine):
            raise NotSupported(f"{name} is not known here, may not be ignored, and cannot be answered")
        if len(self._asked) >= self._limits.max_inflight_requests or frame.request_id in self._asked:
            raise ProtocolError(f"{name}: request {frame.request_id} is in flight, or one too many")
        # Counted like any request until its answer is written, so that a flood of these is bounded as well.
        handle = handle or _NOBODY
        parts = (encode_reply(WireCode.ENOTSUP, f"{name} is not built"),)
        asked = Asked(Command.REPLY, handle.id, frame.request_id, parts, 0, self._answer_written, handle=handle)
        asked.stage = Stage.ANSWERED
        self._asked[asked.request_id] = asked
        self._outbox.put(asked)

    # --- the owner's answers -----------------------------------------------------------------------------------------

    def is_waiting(self, request_id: int) -> bool:
        """Whether the owner owes an answer to this request of the peer."""
        asked = self._asked.get(request_id)
        return asked is not None and asked.stage is Stage.WAITING

    def accept(self, request_id: int, attributes: Attributes) -> bool:
        """Answer OPEN with what the channel truly is."""
        size = min(attributes.max_message, self._limits.max_message)
        attributes = evolve(attributes, max_message=size)
        payload = encode_attributes(attributes)
        asked = self._waiting(request_id, Command.OPEN)
        asked.handle.attributes = attributes
        asked.handle.step(ChannelStep.ACCEPT)
        return self._answer(asked, (_OK, payload))

    def done(self, request_id: int) -> bool:
        """Answer SEND, CLOSE or a claim that carried an element: it is done."""
        asked = self._waiting(request_id, Command.SEND, Command.CLOSE, Command.SELECT_CLAIM)
        if asked.receives:
            raise ValueError(f"request {request_id} of the peer claims an element; push it")
        return self._answer(asked, (_OK,), used=asked.slot)

    def answer(self, request_id: int, result: bytes) -> bool:
        """Answer a call with its result."""
        asked = self._waiting(request_id)
        if not is_call(asked.wants) or len(result) > self._limits.max_message:
            raise ValueError(f"request {request_id} is no call, or {len(result)} bytes do not fit into a frame")
        asked.answer_cost = charge(len(result))
        self.answer_bytes += asked.answer_cost
        return self._answer(asked, (_OK, result))

    def names(self, request_id: int, names: list[Listed], more: bool) -> bool:
        """Answer LIST with a page."""
        return self._answer(self._waiting(request_id, Command.LIST), (_OK, encode_listed(names, more)))

    def inform(self, request_id: int, info: ChannelInfo) -> bool:
        """Answer INFO."""
        return self._answer(self._waiting(request_id, Command.INFO), (_OK, encode_info(info)))

    def push(self, request_id: int, element: bytes, redelivered: bool) -> bool:
        """Answer RECV, or a claim, with an element, which stays on the ledger; False: the receiver is gone."""
        asked = self._waiting(request_id, Command.RECV, Command.SELECT_CLAIM)
        if not asked.receives:
            raise ValueError(f"request {request_id} of the peer is no receive")
        if len(element) > self._limits.max_message:
            raise ValueError(f"an element of {len(element)} bytes is longer than this link carries")
        if asked.handle.state is HandleState.DETACHING:
            return self._answer(asked, ())
        handle = asked.handle
        asked.stage = Stage.PUSHED
        handle.unanswered.pop(asked.request_id, None)
        handle.ledger.push(asked.request_id)
        asked.parts, asked.flags = (_OK, element), Flag.REDELIVERED if redelivered else 0
        asked.on_written = self._push_written
        self._outbox.put(asked)
        return True

    def _push_written(self, asked: Asked) -> None:
        asked.handle.ledger.written(asked.request_id)

    def refuse(self, request_id: int, code: WireCode, text: str) -> bool:
        """Answer any request with an error."""
        if code is WireCode.OK:
            raise ValueError("a refusal needs an error number")
        return self.turn_down(self._waiting(request_id), code, text)

    def unanswered(self, handle: Handle, request_id: int) -> Asked | None:
        """A request on this handle to which the owner owes an answer."""
        asked = self._asked.get(request_id)
        return asked if asked is not None and asked.handle is handle and asked.stage is Stage.WAITING else None

    def notify(self, request_id: int, payload: bytes) -> bool:
        """Tell a standing registration something; False when it stands no more, or its handle is being given up."""
        asked = self._asked.get(request_id)
        if asked is None or asked.stage is not Stage.WAITING or asked.handle.state is not HandleState.OPEN:
            return False
        self._outbox.put(Entry(Command.SELECT_NOTIFY, asked.handle.id, asked.request_id, (payload,)))
        return True

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

    def parked(self) -> tuple[ParkedRequest, ...]:
        """The connection is over: requests that wait here for nobody. All are forgotten."""
        waiting = [asked for asked in self._asked.values() if asked.stage is Stage.WAITING]
        self._asked.clear()
        return tuple(ParkedRequest(asked.request_id, asked.handle.id, asked.wants) for asked in waiting)

    # --- inside ------------------------------------------------------------------------------------------------------

    def admit(self, handle: Handle, frame: Frame, right: Rights | None = None, cost: int = 0) -> Asked:
        """Enter a request of the peer; it is refused already when the handle has not the right."""
        command = COMMANDS.get(frame.command, frame.command)
        # An element that came back may wait for its neighbours: under its id another would take its place on the books.
        request_id = frame.request_id
        if not request_id or request_id in self._asked or request_id in handle.ledger:
            raise ProtocolError(f"{command_name(command)}: request id {frame.request_id} is 0, or in flight")
        if len(self._asked) >= self._limits.max_inflight_requests:
            raise ProtocolError(f"{command_name(command)}: more than {len(self._asked)} requests are in flight")
        if command is not Command.OPEN and handle.state is not HandleState.OPEN:
            raise ProtocolError(f"{command_name(command)} on channel {handle.id}, which is {handle.state.value}")
        asked = Asked(Command.REPLY, handle.id, request_id, (), 0, self._answer_written, command, handle, cost)
        self._asked[request_id] = asked
        self._bytes += cost
        handle.unanswered[request_id] = None
        if self._is_late(request_id):
            self.refused_late += 1
            self.turn_down(asked, WireCode.EPIPE, "the link is being drained")
        elif right is not None and not int(handle.attributes.rights) & int(right):
            self.turn_down(asked, WireCode.EACCES, f"this handle has no right to {str(right.name).lower()}")
        return asked

    def stop_admitting(self) -> int:
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
        if self._bytes + cost > self._limits.receive_budget:
            raise ProtocolError(
                f"{self._bytes + cost} bytes of requests wait, {self._limits.receive_budget} were agreed"
            )
        return cost

    def _waiting(self, request_id: int, *commands: Command) -> Asked:
        asked = self._asked.get(request_id)
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
        return self._answer(asked, (encode_reply(code, text),))

    def _answer(self, asked: Asked, parts: tuple[bytes, ...], used: bool = False) -> bool:
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
        self._maybe_detached(handle)
        return heard

    def _answer_written(self, asked: Asked) -> None:
        """The peer's request is over."""
        self._asked.pop(asked.request_id, None)
        self._bytes -= asked.charge
        self.answer_bytes -= asked.answer_cost
        if asked.refused_open:
            self._handles.remove(asked.handle)

    def _forget_push(self, request_id: int) -> None:
        asked = self._asked.pop(request_id, None)
        if asked is not None:
            self._outbox.withdraw(asked)

    def _returned(self, handle: Handle, request_ids: tuple[int, ...], events: list[Event]) -> None:
        if request_ids:
            events.append(ElementsReturned(handle.id, request_ids, redelivered=True))

    def _maybe_detached(self, handle: Handle) -> None:
        if handle.state is HandleState.DETACHING and not handle.unanswered:
            handle.step(ChannelStep.DETACHED)
            self._outbox.put(Entry(Command.DETACH, handle.id, on_written=lambda _: self._gone(handle)))

    def _gone(self, handle: Handle) -> None:
        self._handles.remove(handle)
        self._lender.grants.forget(handle.id)


def _read_open(fields: Fields) -> OpenRequest | NotSupported:
    """What the peer wants, or why this version has not got it. Raises ProtocolError when it is malformed."""
    try:
        return decode_open(fields)
    except NotSupported as error:
        return error
