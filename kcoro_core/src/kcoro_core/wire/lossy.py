# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements that may be lost: the values of a CONFLATED channel, sent to one handle unasked, by datagram where they fit.

    OPEN with LOSSY  ->
                     <-  REPLY                                  as for every handle
                     <-  DATA number, element                   as a frame: the first one, and what is too long
                     <-  (DATA seq = number, element)           as a datagram: the others; some never come
                     <-  DATA with END number, rc, text         as a frame: how many there were, and why no more

Rule 1: the elements of a handle are numbered together, whichever way they go, and judged by number (``datagram.py``).
Rule 2: nothing is granted or confirmed. An element is the opener's as soon as the medium has taken it; of each handle
at most one waits for that.
Rule 3: a frame may repeat the newest element, with its number: whoever has it drops it as a double.
Rule 4: no datagram ends a connection, whatever is in it: what cannot be used is counted and thrown away.

Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import NotSupported, ProtocolError
from ..semantics import Kind
from ..transport import RawFrame
from .codes import WireCode
from .commands import Command, Flag
from .datagram import Arrival, DatagramReceiver, DatagramSender
from .events import Event, LossyEnded, LossyReceived
from .fields import Fields
from .frame import Frame, frame_from_raw
from .handles import Handle, Handler, HandleTable
from .messages import Attributes, decode_number, decode_reply, encode_number, encode_reply
from .outbox import Entry, Outbox
from .states import HandleState

__all__ = ["OVERHEAD", "Lossy"]

OVERHEAD: Final = 24
"""Bytes of a datagram that are not the element: its header, and the count in front of every DATA."""

_COUNT: Final = 4
_END: Final = int(Flag.END)
_MASK: Final = 0xFFFF_FFFF


class Lossy:
    """Both ends of it, for all handles of one connection. ``agreed``: both sides can do it.

    ``written``, ``read`` and ``ignored`` count datagrams, ``missing`` elements. ``waiting``, by handle, is what the
    medium gets next, with whom to tell then.
    """

    __slots__ = ("_handles", "_outbox", "agreed", "ignored", "missing", "read", "waiting", "written")

    def __init__(self, outbox: Outbox, handles: HandleTable) -> None:
        self.agreed = False
        self.written = self.read = self.ignored = self.missing = 0
        self.waiting: dict[int, tuple[Frame, Callable[[], object]]] = {}
        self._outbox = outbox
        self._handles = handles

    def handlers(self) -> dict[int, Handler]:
        """What the home may send on a lossy handle."""
        return {Command.DATA: self.on_data}

    def check_agreed(self) -> None:
        """Raise NotSupported unless both sides can do it."""
        if not self.agreed:
            raise NotSupported(
                "lossy=True: this link carries no datagrams, since its medium or the other side lacks DATAGRAMS; "
                "open the channel without it, or connect over quic:"
            )

    # -- at the opener

    def begin(self, handle: Handle) -> None:
        """OPEN with LOSSY is about to be queued."""
        handle.judge = DatagramReceiver(handle.id, Kind.CONFLATED)

    def opened(self, handle: Handle, attributes: Attributes) -> None:
        """The answer to OPEN. Raises ProtocolError where values cannot be lost and the home says they may."""
        if handle.judge is not None and attributes.kind is not Kind.CONFLATED:
            raise ProtocolError(f"channel {handle.id} was opened LOSSY, and is {attributes.kind.name}")

    def on_data(self, handle: Handle, frame: Frame, fields: Fields, events: list[Event]) -> None:
        """An element that came as a frame, or the end."""
        if handle.state is HandleState.DETACHING:
            return
        judge = handle.judge
        if judge is None or handle.state is not HandleState.OPEN or frame.request_id:
            raise ProtocolError(f"DATA on channel {handle.id}, which is not lossy, or behind its end")
        number = decode_number(fields)
        if frame.flags & _END:
            self._on_end(handle, judge, number, fields, events)
            return
        element = fields.rest()
        if len(element) > handle.attributes.max_message:
            raise ProtocolError(f"DATA of {len(element)} bytes on channel {handle.id}, which takes fewer")
        self._came(handle, judge.take(number, element), events)

    def _on_end(
        self, handle: Handle, judge: DatagramReceiver, number: int, fields: Fields, events: list[Event]
    ) -> None:
        code, text = decode_reply(fields)
        if not code:
            raise ProtocolError(f"DATA with END on channel {handle.id} says that nothing is wrong")
        gap = judge.end(number)
        handle.judge = None
        self.missing += gap
        events.append(LossyEnded(handle.id, code, text, gap))

    def hear(self, raw: RawFrame, limit: int, events: list[Event]) -> None:
        """Take one datagram; never raises. ``limit``: payload bytes of the largest frame."""
        try:
            frame = frame_from_raw(raw, limit)
            handle = self._handles.find(frame.channel_id)
            judge = None if handle is None else handle.judge
            if handle is None or judge is None or not self._is_fit(handle, frame):
                self.ignored += 1
                return
            came = self._came(handle, judge.receive(frame), events)
        except (ProtocolError, NotSupported):
            self.ignored += 1
        else:
            self.read += came
            self.ignored += not came

    def _is_fit(self, handle: Handle, frame: Frame) -> bool:
        fits = frame.length - _COUNT <= handle.attributes.max_message
        return fits and handle.state is HandleState.OPEN and not frame.flags and not frame.request_id

    def _came(self, handle: Handle, arrival: Arrival, events: list[Event]) -> bool:
        """Hand an element on if it is new; whether it is."""
        self.missing += arrival.gap
        if arrival.element is None:
            return False
        events.append(LossyReceived(handle.id, arrival.element, arrival.gap))
        return True

    # -- at the home

    def start(self, channel_id: int) -> bool:
        """Begin, right behind accept. Raises ValueError for no open handle of the peer."""
        self._theirs(channel_id).numbers = DatagramSender(channel_id)
        return True

    def send(self, channel_id: int, element: bytes, on_written: Callable[[], object]) -> bool:
        """Send the next element as a datagram; ``on_written`` is called once, when the medium has taken it.

        False, without effect, when the handle was given up.

        :raises ValueError: the handle was not started, or its end was told, or its last one waits still.
        """
        numbers = self._numbers(channel_id)
        if numbers is None:
            return False
        if channel_id in self.waiting:
            raise ValueError(f"a datagram of channel {channel_id} waits to be written")
        self.waiting[channel_id] = (numbers.frame(element), on_written)
        return True

    def send_whole(self, channel_id: int, element: bytes, on_written: Callable[[], object]) -> bool:
        """Send the next element as a frame, which is not lost; else as ``send``."""
        numbers = self._numbers(channel_id)
        return numbers is not None and self._put(channel_id, numbers.spend(), element, on_written)

    def repeat(self, channel_id: int, element: bytes, on_written: Callable[[], object]) -> bool:
        """Send the element that was sent last once more, as a frame; else as ``send``."""
        numbers = self._numbers(channel_id)
        return numbers is not None and self._put(channel_id, (numbers.next - 1) & _MASK, element, on_written)

    def end(self, channel_id: int, code: WireCode, text: str) -> bool:
        """Say that no element follows, and why. False, and raises, as ``send``."""
        numbers = self._numbers(channel_id)
        if numbers is None:
            return False
        self._theirs(channel_id).numbers = None
        payload = (encode_number(numbers.next), encode_reply(code, text))
        self._outbox.put(Entry(Command.DATA, channel_id, 0, payload, _END))
        return True

    def _put(self, channel_id: int, number: int, element: bytes, on_written: Callable[[], object]) -> bool:
        payload = (encode_number(number), element)
        self._outbox.put(Entry(Command.DATA, channel_id, 0, payload, on_written=lambda _: on_written()))
        return True

    def _theirs(self, channel_id: int) -> Handle:
        handle = self._handles.find(channel_id)
        if handle is None or handle.mine or handle.state is HandleState.ASKED:
            raise ValueError(f"channel {channel_id} is not an open handle of the peer")
        return handle

    def _numbers(self, channel_id: int) -> DatagramSender | None:
        """Who numbers what is sent on this handle; None when the peer has given it up."""
        handle = self._theirs(channel_id)
        if handle.state is not HandleState.OPEN:
            return None
        if handle.numbers is None:
            raise ValueError(f"channel {channel_id} is not lossy, or its end was told")
        return handle.numbers

    # -- what is written

    def poll(self) -> Frame | None:
        """The datagram that the medium gets next, or None."""
        return next(iter(self.waiting.values()))[0] if self.waiting else None

    def wrote(self) -> None:
        """The medium has taken it."""
        _, on_written = self.waiting.pop(next(iter(self.waiting)))
        self.written += 1
        on_written()

    def forget(self, channel_id: int) -> None:
        """A handle is gone."""
        self.waiting.pop(channel_id, None)
