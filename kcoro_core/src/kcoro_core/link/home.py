# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's end of a link: carries the peer's requests out on channels of this process.

A request that would wait parks an operation in the channel like any local one; its parker is not a host but the answer
that goes back. So a peer's send and a task's send stand in one queue, and the channel knows no difference.

Rule 1: each request gets exactly one answer, and each operation that is parked here has a request that waits for it.
Rule 2: an element that travels stays on the books (``hand_out``) until the peer has it, returns it, or is lost.
Rule 3: nothing of a peer's outlives its link: what was parked is withdrawn, what travelled is put back or reported.
Rule 4: no method suspends, and none raises for what a peer has sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import define, field

from ..channel import Channel
from ..engine import CLOSED, OK, WOULD_BLOCK, ChannelCore
from ..errors import MessageTooLong
from ..reference.waiter import Operation
from ..semantics import CANCELLED, TIMED_OUT, WAITING, Kind, Undelivered
from ..semantics import CLOSED as CLAIM_CLOSED
from ..transport import Identity
from ..wire import events
from ..wire.codes import WireCode, code_of
from ..wire.connection import Connection
from ..wire.messages import FOREVER_MS, Attributes, ChannelInfo, OpenFlag, OpenRequest, Rights
from .closing import closing_of, reason_of
from .exports import Export, Exports
from .identity import Authorize, allowed

__all__ = ["Home", "Redelivered"]


class Redelivered(bytes):
    """An element that was on its way to a peer and came back; the next receiver is told that order may have changed."""

    __slots__ = ()


@define(eq=False)
class _Handle:
    """A channel of ours that the peer has opened."""

    id: int
    name: str
    channel: Channel[Any]
    core: ChannelCore
    max_message: int
    travelling: dict[int, bytes] = field(factory=dict)
    told_closed: bool = False
    watch: Callable[[], object] | None = None

    def release(self) -> None:
        """Nobody has to be told of a close any more."""
        if self.watch is not None:
            self.channel._close_watchers.pop(self.watch, None)


@define(eq=False)
class _Parked:
    """One request of the peer that waits in a channel; the parker of its operation."""

    home: Home
    handle: _Handle
    request_id: int
    deadline: float

    def unpark(self, op: Operation) -> None:
        """The channel has decided; runs in the step of whoever decided it."""
        self.home.decided(self, op)


class Home:
    """Requests of one peer on the channels that are exported to it."""

    def __init__(
        self,
        wire: Connection,
        exports: Exports,
        authorize: Authorize,
        flush: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._wire = wire
        self._exports = exports
        self._authorize = authorize
        self._flush = flush
        self._now = now
        self._identity = Identity("none")
        self._max_message = 0
        self._handles: dict[int, _Handle] = {}
        self._parked: dict[int, tuple[_Parked, Operation]] = {}
        self.handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.OpenRequested: self._on_open,
            events.SendRequested: self._on_send,
            events.RecvRequested: self._on_recv,
            events.InfoRequested: self._on_info,
            events.CloseRequested: self._on_close,
            events.CancelRequested: self._on_cancel,
            events.ElementTaken: self._on_taken,
            events.ElementsReturned: self._on_returned,
        }

    def agree(self, identity: Identity, max_message: int) -> None:
        """The handshake is over: who the peer is, and how large an element may be."""
        self._identity = identity
        self._max_message = max_message

    @property
    def open_channels(self) -> int:
        """How many handles the peer has on channels of this side."""
        return len(self._handles)

    @property
    def waiting(self) -> int:
        """How many requests of the peer wait in channels of this side."""
        return len(self._parked)

    # -- opening

    def _on_open(self, asked: events.OpenRequested) -> None:
        export = self._exports.get(asked.wanted.name)
        if export is None:
            self._wire.refuse(asked.request_id, WireCode.ENOENT, f"nothing is exported as {asked.wanted.name!r}")
            return
        rights = allowed(self._authorize, self._identity, export.name, export.rights)
        if not rights:
            self._wire.refuse(asked.request_id, WireCode.EACCES, f"you may not use {export.name!r}")
        elif (misfit := _misfit(asked.wanted, export.channel)) is not None:
            self._wire.refuse(asked.request_id, *misfit)
        else:
            self._bind(asked, export, rights)

    def _bind(self, asked: events.OpenRequested, export: Export, rights: Rights) -> None:
        channel = export.channel
        handle = _Handle(asked.channel_id, export.name, channel, channel._core, self._max_message)
        capacity = channel.capacity if channel.kind is not Kind.UNLIMITED else None
        attributes = Attributes(channel.kind, channel.overflow, capacity, rights, self._max_message)
        if not self._wire.accept(asked.request_id, attributes):
            return
        self._handles[handle.id] = handle
        if channel.closed:
            self._tell_closed(handle)
        else:
            handle.watch = partial(self._channel_closed, handle)
            channel._on_close(handle.watch)

    def detached(self, channel_id: int) -> None:
        """The peer gave a handle up; its requests were cancelled and its elements returned before."""
        handle = self._handles.pop(channel_id, None)
        if handle is not None:
            handle.release()

    # -- sending

    def _on_send(self, asked: events.SendRequested) -> None:
        handle = self._handles[asked.channel_id]
        answer = handle.core.send_now(asked.element)
        if answer is OK:
            self._wire.done(asked.request_id)
        elif answer is CLOSED:
            self._refuse_closed(handle, asked.request_id)
        elif asked.timeout_ms == 0:
            self._refuse_try(handle, asked.request_id, "no receiver waits and there is no room")
        else:
            self._park(handle, asked, True, asked.element)

    # -- receiving

    def _on_recv(self, asked: events.RecvRequested) -> None:
        handle = self._handles[asked.channel_id]
        value = handle.core.recv_now()
        if value is WOULD_BLOCK:
            if asked.timeout_ms == 0:
                self._refuse_try(handle, asked.request_id, "there is nothing to receive")
            else:
                self._park(handle, asked, False, None)
        elif value is CLOSED:
            self._refuse_closed(handle, asked.request_id)
        else:
            self._push(handle, asked.request_id, value)

    def _push(self, handle: _Handle, request_id: int, value: object) -> None:
        """Send an element that was just received from the channel; what cannot travel goes back to the head."""
        handle.core.hand_out()
        unfit = _unfit(value, handle.max_message)
        if unfit is not None:
            handle.core.settle(1, [value])
            self._wire.refuse(request_id, code_of(unfit), str(unfit.args[0]))
            return
        element = value if isinstance(value, bytes) else bytes(value)  # type: ignore[call-overload]
        if self._wire.push(request_id, bytes(element), isinstance(element, Redelivered)):
            handle.travelling[request_id] = element
        else:
            handle.core.settle(1, [element])

    def _on_taken(self, news: events.ElementTaken) -> None:
        handle = self._handles[news.channel_id]
        del handle.travelling[news.request_id]
        handle.core.settle()

    def _on_returned(self, news: events.ElementsReturned) -> None:
        handle = self._handles[news.channel_id]
        elements = [handle.travelling.pop(request_id) for request_id in news.request_ids]
        handle.core.settle(len(elements), _marked(elements) if news.redelivered else elements)

    # -- parking

    def _park(
        self, handle: _Handle, asked: events.SendRequested | events.RecvRequested, sending: bool, value: object
    ) -> None:
        patience = math.inf if asked.timeout_ms == FOREVER_MS else (asked.timeout_ms - 1) / 1000
        parked = _Parked(self, handle, asked.request_id, self._now() + patience)
        op = handle.channel._engine.select.operation(parked, sending, value)
        self._parked[asked.request_id] = (parked, op)
        handle.core.enqueue(op)

    def decided(self, parked: _Parked, op: Operation) -> None:
        """A parked operation was matched, or its channel closed: answer."""
        del self._parked[parked.request_id]
        if op.error is not None:
            self._refuse_closed(parked.handle, parked.request_id)
        elif op.sending:
            self._wire.done(parked.request_id)
        else:
            self._push(parked.handle, parked.request_id, op.value)
        self._flush()

    def _withdraw(self, request_id: int) -> _Handle | None:
        """Take a parked request out of its channel; None when it is not parked."""
        parked, op = self._parked.pop(request_id, (None, None))
        if parked is None or op is None:
            return None
        parked.handle.core.withdraw(op)
        # CANCEL does not say why; the time hint does, to the millisecond in which it was rounded up.
        parked.handle.core.count_failure(TIMED_OUT if self._now() >= parked.deadline else CANCELLED)
        return parked.handle

    def _on_cancel(self, asked: events.CancelRequested) -> None:
        if self._withdraw(asked.request_id) is not None:
            self._wire.refuse(asked.request_id, WireCode.ECANCELED)

    # -- asking and closing

    def _on_info(self, asked: events.InfoRequested) -> None:
        now = self._handles[asked.channel_id].channel.snapshot()
        self._wire.inform(
            asked.request_id,
            ChannelInfo(
                kind=now.kind,
                overflow=now.overflow,
                closed=now.closed,
                capacity=now.capacity,
                length=now.length,
                peak_length=now.peak_length,
                waiting_senders=now.waiting_senders,
                waiting_receivers=now.waiting_receivers,
                sent=now.sent,
                received=now.received,
                dropped=now.dropped,
            ),
        )

    def _on_close(self, asked: events.CloseRequested) -> None:
        channel = self._handles[asked.channel_id].channel
        reason = reason_of(asked.closing)
        if asked.closing.cancel:
            channel.cancel(reason)
        else:
            channel.close(reason)
        self._wire.done(asked.request_id)

    def _tell_closed(self, handle: _Handle) -> None:
        """Tell the peer once that the channel is closed, in front of the first answer that says so."""
        if not handle.told_closed:
            handle.told_closed = True
            self._wire.tell_closed(handle.id, closing_of(handle.channel.reason))

    def _channel_closed(self, handle: _Handle) -> None:
        self._tell_closed(handle)
        self._flush()

    def _refuse_closed(self, handle: _Handle, request_id: int) -> None:
        handle.core.count_failure(CLAIM_CLOSED)
        self._tell_closed(handle)
        self._wire.refuse(request_id, WireCode.EPIPE, "the channel is closed")

    def _refuse_try(self, handle: _Handle, request_id: int, text: str) -> None:
        handle.core.count_failure(WAITING)
        self._wire.refuse(request_id, WireCode.EAGAIN, text)

    # -- the end

    def leave(self, text: str) -> None:
        """This side says goodbye: tell each request that waits that it will not be done."""
        for request_id in list(self._parked):
            self._withdraw(request_id)
            self._wire.refuse(request_id, WireCode.EPIPE, text)

    def lost(self, report: events.LossReport) -> None:
        """The connection is over: withdraw what waits, settle what travelled."""
        for asked in report.parked:
            self._withdraw(asked.request_id)
        for handle in self._handles.values():
            handle.release()
            self._settle(handle, [one for one in report.elements if one.channel_id == handle.id])
        self._handles.clear()

    def _settle(self, handle: _Handle, lost: Sequence[events.LostElement]) -> None:
        back: list[bytes] = []
        gone: list[bytes] = []
        for one in lost:
            element = handle.travelling.pop(one.request_id)
            if one.fate is events.Fate.IN_DOUBT:
                gone.append(element)
            else:
                back.append(Redelivered(element) if one.returned else element)
        if lost:
            handle.core.settle(len(lost), back)
        for element in gone:
            handle.core.report(element, Undelivered.IN_DOUBT)


def _marked(elements: Sequence[bytes]) -> list[bytes]:
    return [Redelivered(element) for element in elements]


def _unfit(value: object, limit: int) -> Exception | None:
    """Why an element of a local sender cannot travel."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return ValueError(f"the oldest element is a {type(value).__name__}, and a link carries bytes; it stays queued")
    size = value.nbytes if isinstance(value, memoryview) else len(value)
    if size > limit:
        return MessageTooLong(f"the oldest element has {size} bytes, and this link carries {limit}; it stays queued")
    return None


def _misfit(wanted: OpenRequest, channel: Channel[Any]) -> tuple[WireCode, str] | None:
    """Why what a peer wants is not what there is."""
    if wanted.flags & OpenFlag.CREATE and wanted.flags & OpenFlag.EXCL:
        return WireCode.EEXIST, f"{wanted.name!r} exists"
    if wanted.codec:
        return WireCode.ENOTSUP, f"elements are plain bytes here, not {wanted.codec!r}"
    there = {"kind": channel.kind, "overflow": channel.overflow, "capacity": channel.capacity}
    for name, is_there in there.items():
        asked = getattr(wanted, name)
        if asked is not None and asked != is_there:
            return WireCode.EINVAL, f"{wanted.name!r} has {name} {is_there}, not {asked}"
    return None
