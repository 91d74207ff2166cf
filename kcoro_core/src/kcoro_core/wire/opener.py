# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The opener's half of a connection: asks, cancels, hears answers, confirms elements.

Rule 1: nothing is queued that the home would have to refuse for size, right, close or bound: it fails here, unsent.
Rule 2: a cancelled request that was written asks, and the answer decides: if success crosses the cancel, success wins.
Rule 3: an element that arrives is settled exactly once: taken, put back, or given back by DETACH.
Rule 4: what the home may count as in flight is never more than was agreed: acknowledgements go first when it is near.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ..errors import AccessDenied, ChannelClosed, MessageTooLong, NoBuffers, ProtocolError
from ..semantics import Kind
from .acks import Acks
from .ahead import Ahead
from .borrower import Borrower, Sent
from .codes import WireCode
from .commands import Command, Flag, is_call
from .events import (
    CallAnswered,
    ChannelCloseHeard,
    DataInDoubt,
    Detached,
    ElementReceived,
    Event,
    Fate,
    InfoReceived,
    LostRequest,
    NamesReceived,
    Opened,
    ReplyReceived,
    RequestInDoubt,
)
from .fields import Fields
from .frame import Frame
from .handles import Handle, Handler, HandleTable
from .hello import Agreement, charge
from .lending import Window
from .lossy import Lossy
from .messages import (
    FOREVER_MS,
    Closing,
    OpenFlag,
    OpenRequest,
    Rights,
    decode_attributes,
    decode_closing,
    decode_info,
    decode_listed,
    decode_reply,
    encode_closing,
    encode_open,
    encode_reply,
    encode_timeout,
)
from .order import next_serial
from .outbox import Entry, Outbox
from .prediction import Prediction
from .requests import Request, RequestMap, RequestState
from .states import ChannelStep, HandleState

__all__ = ["Opener"]

_AHEAD: Final = int(Flag.AHEAD)
_DONE: Final = encode_reply(WireCode.OK)
_FOREVER: Final = encode_timeout(FOREVER_MS)
_NO_SLOT: Final = Sent(False)
_REDELIVERED: Final = int(Flag.REDELIVERED)
_BARE: Final = (Command.SEND, Command.CLOSE, Command.SELECT_CLAIM)
"""Requests whose success says no more than that, unless they bring an element."""
_WRITTEN: Final = RequestState.WRITTEN
_SEND: Final = Command.SEND
_FATES: Final = {
    RequestState.QUEUED: Fate.NOT_DONE,
    RequestState.WRITTEN: Fate.IN_DOUBT,
    RequestState.CANCELLING: Fate.IN_DOUBT,
    RequestState.ARRIVED: Fate.DONE,
}


class Opener:
    """Requests of this side, from the command to the settled answer."""

    def __init__(
        self,
        outbox: Outbox,
        handles: HandleTable,
        borrower: Borrower,
        ahead: Ahead,
        lossy: Lossy,
        prediction: Prediction,
        grace: float,
    ) -> None:
        self.requests = RequestMap()
        self.acks = Acks(self._is_one_too_many, self._confirmed)
        self._outbox = outbox
        self._handles = handles
        self._borrower = borrower
        self._ahead = ahead
        self._lossy = lossy
        self._prediction = prediction
        self._grace = grace
        self._cancelling: OrderedDict[int, Request] = OrderedDict()
        self._at_home = 0  # requests that the home may count against us
        self._bytes_at_home = 0
        self.unfenced = 0  # over here since the last fence, so that the home may count them still
        self._peer_budget = 0

    def agree(self, agreement: Agreement) -> None:
        """The limits are known; requests can be made."""
        self._peer_budget = agreement.peer_budget
        self.requests.limit = agreement.limits.max_inflight_requests

    def handlers(self) -> dict[int, Handler]:
        """What the home may send on a handle that this side opened."""
        return {Command.REPLY: self.on_reply, Command.CLOSE: self.on_close, Command.DETACH: self.on_detach}

    # --- commands ----------------------------------------------------------------------------------------------------

    def open(self, wanted: OpenRequest) -> int:
        """Ask for a channel; the id of the request."""
        payload = encode_open(wanted)
        lossy = bool(int(wanted.flags) & int(OpenFlag.LOSSY))
        if lossy:
            self._lossy.check_agreed()
        self.requests.check_room()
        handle = self._handles.open_mine()
        if lossy:
            self._lossy.begin(handle)
        if int(wanted.flags) & int(OpenFlag.LEND):
            handle.window = Window(self._borrower.purse)
        if wanted.weight != 1:
            self._outbox.weigh(handle.id, wanted.weight)
        return self.ask(handle, Command.OPEN, (payload,)).request_id

    def send(self, channel_id: int, element: bytes, timeout_ms: int) -> int:
        """Ask the home to accept an element."""
        fixed = _FOREVER if timeout_ms == FOREVER_MS else encode_timeout(timeout_ms)
        handle = self._handles.find(channel_id)
        if handle is None or len(element) > handle.sends_up_to or handle.closing is not None:
            handle = self._sending(channel_id, element)  # which says what is wrong
        return self._ask_with_bytes(handle, Command.SEND, (fixed, element), len(element), sends=True).request_id

    def ask_to_take(self, channel_id: int, command: Command, fixed: bytes, element: bytes) -> Request:
        """Make a request that carries an element; its charge counts until the answer."""
        handle = self._sending(channel_id, element)
        return self._ask_with_bytes(handle, command, (fixed, element), len(element), sends=True)

    def call(self, handle: Handle, command: int, payload: bytes) -> int:
        """Call what the home, or for channel 0 the peer, makes of this command."""
        return self._ask_with_bytes(handle, command, (payload,), len(payload)).request_id

    def data(self, channel_id: int, element: bytes) -> Sent:
        """Send an element against a lent slot, if there is one."""
        handle = self._handles.find(channel_id)
        if handle is None or handle.window is None:
            return _NO_SLOT  # what is wrong with it, the request that follows will tell
        return self._borrower.data(self._sending(channel_id, element), element)

    def recv(self, channel_id: int, timeout_ms: int, ahead: bool = False) -> int:
        """Ask the home for an element."""
        handle = self.usable(channel_id, Rights.RECV)
        self.requests.check_room()
        if ahead:
            self._ahead.begin(handle)
        return self.ask_to_give(handle, Command.RECV, encode_timeout(timeout_ms), _AHEAD if ahead else 0).request_id

    def ask_to_give(self, handle: Handle, command: Command, payload: bytes, flags: int = 0) -> Request:
        """Make a request that brings an element."""
        self.requests.check_room()
        request = self.ask(handle, command, (payload,), flags=flags)
        request.receives = True
        return request

    def info(self, channel_id: int) -> int:
        """Ask the home for the state of a channel."""
        handle = self._handles.mine(channel_id)
        self.requests.check_room()
        return self.ask(handle, Command.INFO, ()).request_id

    def close(self, channel_id: int, closing: Closing) -> int:
        """Ask the home to close a channel."""
        handle = self.usable(channel_id, Rights.CLOSE)
        self.requests.check_room()
        self._borrower.flush(handle)
        return self.ask(handle, Command.CLOSE, (encode_closing(closing),)).request_id

    def cancel(self, request_id: int, now: float) -> bool:
        """Give a request up; True: it was not written, and is gone without a trace.

        :raises ValueError: it is not open, or its element is here, to be settled.
        """
        request = self.requests.mine(request_id)
        if request.state is RequestState.ARRIVED:
            raise ValueError(f"request {request_id} has its element; settle it with taken or putback")
        if self.withdraw(request):
            return True
        if request.state in (RequestState.QUEUED, RequestState.WRITTEN):  # queued: begun, so the rest of it goes out
            self._ask_to_cancel(request, now)
        return False

    def taken(self, request_id: int) -> None:
        """The element of this receive was received: acknowledge it on the next frame of its channel."""
        request = self._arrived(request_id)
        handle = self._handles.mine(request.channel_id)
        self.requests.remove(request_id)
        self.acks.owe(handle, request.request_id)

    def putback(self, request_id: int) -> None:
        """Nobody can receive the element of this receive any more: give it back."""
        request = self._arrived(request_id)
        self._give_back(request)

    def detach(self, channel_id: int) -> tuple[int, ...]:
        """Give a handle up; the ids of receives that end by it, cancelled."""
        handle = self._handles.mine(channel_id)
        ended = [self._end_receive(request) for request in self._of(handle) if request.ends_with_handle]
        self._borrower.detach(handle)
        handle.step(ChannelStep.DETACH)
        handle.sends_up_to = -1
        self._outbox.put(Entry(Command.DETACH, handle.id, on_written=self._detach_written))
        return tuple(number for number in ended if number)

    # --- what is heard -----------------------------------------------------------------------------------------------

    def on_reply(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """One answer."""
        plain = not frame.flags and len(frame.parts) == 1
        if plain and self._hear_done(handle, frame.request_id, frame.parts[0], events):
            self._prediction.follow(Command.REPLY, handle, frame.request_id, self._hear_done)
            return
        request = self.requests.answered(frame.request_id, handle.id)
        code, text = decode_reply(fields)
        if frame.flags & _REDELIVERED and (code or not request.receives):
            raise ProtocolError("REPLY: only an element can be redelivered")
        late = request.state is RequestState.ABANDONED
        self.requests.late_replies += late and request.command is not Command.SELECT_REGISTER
        news = self._refused(request, handle, code, text) if code else self._succeeded(request, handle, frame, fields)
        if not late:
            events.append(news)

    def _hear_done(self, handle: Handle, request_id: int, payload: bytes, events: list[Event]) -> bool:
        """Most answers: a send that nobody gave up is done. False, without effect, for any other."""
        request = self.requests.find(request_id)
        if (
            request is None
            or request.state is not _WRITTEN
            or request.command is not _SEND
            or request.channel_id != handle.id
            or payload != _DONE
        ):
            return False
        self.requests.remove(request_id)
        self._at_home -= 1
        self._bytes_at_home -= request.charge
        handle.accepted += 1
        events.append(ReplyReceived(request_id, handle.id, _SEND, 0))
        return True

    def on_close(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """News that the channel was closed at its home."""
        closing = decode_closing(fields)
        if handle.state is HandleState.ASKED or handle.closing is not None or frame.request_id:
            raise ProtocolError(
                f"CLOSE on channel {handle.id} is not news: unanswered OPEN, told twice, or a request id"
            )
        if next_serial(closing.last_seq) != frame.seq:
            raise ProtocolError(f"CLOSE with seq {frame.seq} says that {closing.last_seq} was the last before it")
        handle.closing = closing
        self._borrower.closed(handle)
        if handle.state is HandleState.OPEN:
            events.append(ChannelCloseHeard(handle.id, closing))

    def on_detach(self, handle: Handle, _frame: Frame, fields: Fields, events: list[Event]) -> None:
        """The home has answered everything on a handle that was given up."""
        fields.end()
        rest = self._of(handle)
        if not handle.detach_written or not all(request.ends_with_handle for request in rest):
            raise ProtocolError(f"DETACH on channel {handle.id}, which was not asked for or is not answered")
        for request in rest:
            self._over(request)
        handle.step(ChannelStep.DETACHED)
        if left := self._borrower.gone(handle):
            events.append(DataInDoubt(handle.id, tuple(one.element for one in left)))
        self._handles.remove(handle)
        events.append(Detached(handle.id))

    # --- time and the end --------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When the oldest cancelled request is given up."""
        request = next(iter(self._cancelling.values()), None)
        return None if request is None else request.deadline

    def expire(self, now: float, events: list[Event]) -> None:
        """Give up the cancelled requests that were not answered within the grace."""
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, request = self._cancelling.popitem(last=False)
            request.state = RequestState.ABANDONED
            events.append(RequestInDoubt(request.request_id, request.channel_id, request.command, request.sends))

    def lost(self) -> tuple[LostRequest, ...]:
        """The connection is over: what is known of each request. All are forgotten."""
        requests = [request for request in self.requests.clear() if request.state in _FATES]
        self._cancelling.clear()
        return tuple(LostRequest(a.request_id, a.channel_id, a.command, _fate(a), a.sends) for a in requests)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _is_one_too_many(self, entry: Entry) -> bool:
        return self._at_home >= self.requests.limit and entry.request_id in self.requests

    def needs_fence(self, entry: Entry) -> bool:
        """Whether this is a request that the home could find one too many, on a medium with STREAMS."""
        too_many = self._at_home + self.unfenced >= self.requests.limit
        return too_many and bool(self.unfenced) and entry.request_id in self.requests

    def _confirmed(self, count: int) -> None:
        self._at_home -= count
        self.unfenced += count

    def usable(self, channel_id: int, right: Rights) -> Handle:
        """The open handle of that id, which has the right to do this. Raises AccessDenied if it has not."""
        handle = self._handles.mine(channel_id)
        if int(right) & ~int(handle.attributes.rights):
            raise AccessDenied(f"this handle has no right to {str(right.name).lower()}")
        return handle

    def _sending(self, channel_id: int, element: bytes) -> Handle:
        handle = self.usable(channel_id, Rights.SEND)
        if handle.closing is not None:
            text = handle.closing.text
            raise ChannelClosed(text or "the channel was closed at its home", text or None)
        limit = handle.attributes.max_message
        if len(element) > limit:
            raise MessageTooLong(f"{len(element)} bytes; this channel takes {limit}")
        return handle

    def _ask_with_bytes(
        self, handle: Handle, command: int, parts: tuple[bytes, ...], size: int, sends: bool = False
    ) -> Request:
        """A request that the home holds on its budget until it is answered."""
        cost = charge(size)
        if self._bytes_at_home + cost > self._peer_budget:
            self.requests.check_room()
            raise NoBuffers(f"{self._bytes_at_home} bytes wait at the peer, which holds {self._peer_budget}")
        request = self.requests.add(command, handle.id, parts, 0, self._written, cost, sends)
        self._bytes_at_home += cost
        if handle.window is not None:
            self._borrower.flush(handle)
            if command == Command.SEND:
                request.window = handle.window
                request.window.queue_send()
        self._outbox.put(request)
        return request

    def ask(self, handle: Handle, command: int, parts: tuple[bytes, ...], cost: int = 0, flags: int = 0) -> Request:
        """Queue a request; the caller has checked all that can be checked here."""
        request = self.requests.add(command, handle.id, parts, flags, self._written, cost)
        self._outbox.put(request)
        return request

    def follow(self, request: Request, command: Command) -> None:
        """Queue a frame that names a request of ours, behind it; behind DETACH nothing may be sent."""
        handle = self._handles.find(request.channel_id)
        if not request.channel_id or (handle is not None and handle.state is not HandleState.DETACHING):
            request.cancel_entry = self._outbox.put(Entry(command, request.channel_id, request.request_id))

    def _written(self, request: Request) -> None:
        if request.state is RequestState.QUEUED:
            request.state = RequestState.WRITTEN
        self._at_home += 1
        if request.window is not None:
            request.window.wrote_send()

    def _ask_to_cancel(self, request: Request, now: float) -> None:
        request.state = RequestState.CANCELLING
        request.deadline = now + self._grace
        self._cancelling[request.request_id] = request
        self.follow(request, Command.CANCEL)  # behind DETACH the home cancels by itself what it has not answered

    def withdraw(self, request: Request) -> bool:
        """Take a request back of which nothing was written; it leaves no trace. False: it is on its way."""
        if request.state is not RequestState.QUEUED or not self._outbox.withdraw(request):
            return False
        self._withdrawn(request)
        return True

    def _withdrawn(self, request: Request) -> None:
        self._bytes_at_home -= request.charge
        self.requests.remove(request.request_id)
        handle = self._handles.find(request.channel_id)
        if request.window is not None:
            request.window.withdraw_send()
        if request.command is Command.OPEN and handle is not None:
            handle.step(ChannelStep.REFUSE)
            self._handles.remove(handle)

    def _over(self, request: Request) -> None:
        """The home has answered, and counts this request no more."""
        self.requests.remove(request.request_id)
        if request.deadline is not None:
            self._no_cancel(request)
        self._at_home -= 1
        self._bytes_at_home -= request.charge

    def _no_cancel(self, request: Request) -> None:
        if request.deadline is not None:
            self._cancelling.pop(request.request_id, None)
        if request.cancel_entry is not None:
            self._outbox.withdraw(request.cancel_entry)

    def _refused(self, request: Request, handle: Handle, code: int, text: str) -> Event:
        self._over(request)
        if request.command is Command.OPEN:
            handle.step(ChannelStep.REFUSE)
            self._handles.remove(handle)
        return ReplyReceived(request.request_id, handle.id, request.command, code, text)

    def _succeeded(self, request: Request, handle: Handle, frame: Frame, fields: Fields) -> Event:
        if request.receives:
            return self._element_came(request, handle, frame, fields)
        if request.command in _BARE:
            fields.end()
            self._over(request)
            handle.accepted += request.sends
            return ReplyReceived(request.request_id, handle.id, request.command, WireCode.OK)
        if request.command is Command.OPEN:
            return self._opened(request, handle, fields)
        if request.command is Command.INFO:
            info = decode_info(fields)
            self._over(request)
            return InfoReceived(request.request_id, handle.id, info)
        if request.command is Command.LIST:
            names, more = decode_listed(fields)
            self._over(request)
            return NamesReceived(request.request_id, tuple(names), more)
        if is_call(request.command):
            self._over(request)
            return CallAnswered(request.request_id, handle.id, request.command, fields.rest())
        raise ProtocolError(f"REPLY to the registration {request.request_id} says that it succeeded; it can only end")

    def _opened(self, request: Request, handle: Handle, fields: Fields) -> Event:
        attributes = decode_attributes(fields)
        self._lossy.opened(handle, attributes)
        self._over(request)
        handle.attributes = attributes
        if attributes.rights & Rights.SEND:
            handle.sends_up_to = attributes.max_message
        if handle.window is not None:
            handle.window.reserve = int(attributes.kind is Kind.CONFLATED)
        handle.step(ChannelStep.ACCEPT)
        if request.state is RequestState.ABANDONED:
            self.detach(handle.id)
        return Opened(request.request_id, handle.id, attributes, handle.judge is not None)

    def _element_came(self, request: Request, handle: Handle, frame: Frame, fields: Fields) -> Event:
        element = fields.rest()
        self._no_cancel(request)
        if request.state is not RequestState.ABANDONED:
            request.state = RequestState.ARRIVED
        elif handle.state is HandleState.OPEN:
            self._give_back(request)
        return ElementReceived(request.request_id, handle.id, element, bool(frame.flags & _REDELIVERED))

    def _arrived(self, request_id: int) -> Request:
        request = self.requests.mine(request_id)
        if request.state is not RequestState.ARRIVED:
            raise ValueError(f"request {request_id} has no element to settle")
        return request

    def _give_back(self, request: Request) -> None:
        # In the map until it is written: the frames of other channels may go first, and the home counts this one still.
        request.state = RequestState.RETURNING
        entry = Entry(Command.PUTBACK, request.channel_id, request.request_id, on_written=self._given_back)
        self._outbox.put(entry)

    def _given_back(self, entry: Entry) -> None:
        self.requests.remove(entry.request_id)
        self._confirmed(1)

    def _detach_written(self, entry: Entry) -> None:
        self._handles.of_frame(entry.channel_id).detach_written = True

    def _of(self, handle: Handle) -> list[Request]:
        return [request for request in self.requests if request.channel_id == handle.id]

    def _end_receive(self, request: Request) -> int:
        """End a receive because its handle goes; its id, or 0 when nobody waited for it any more."""
        if request.state in (RequestState.ABANDONED, RequestState.RETURNING):
            return 0
        self._no_cancel(request)
        if request.state is RequestState.QUEUED:
            self._outbox.withdraw(request)
            self._withdrawn(request)
        else:
            request.state = RequestState.ABANDONED
        return request.request_id


def _fate(request: Request) -> Fate:
    """What is known of a request at the end. One that did not go out whole has not arrived, cancelled or not."""
    return _FATES[request.state] if request.written else Fate.NOT_DONE
