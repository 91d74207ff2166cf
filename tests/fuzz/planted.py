# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Defects that are put in on purpose: the kept inputs of a target find each, and so does a campaign without them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from attrs import evolve, field, frozen

from kcoro_core.link.bound import Bound
from kcoro_core.link.calls import Calling
from kcoro_core.link.parked import ParkedRequests
from kcoro_core.semantics import Undelivered
from kcoro_core.wire import hello as hello_of
from kcoro_core.wire import messages
from kcoro_core.wire.datagram import DatagramReceiver
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.frame import HEADER_SIZE, FrameDecoder
from kcoro_core.wire.home import Home
from kcoro_core.wire.ledger import Ledger
from kcoro_core.wire.lossy import Lossy


@frozen
class Plant:
    """One defect: ``owner.name`` is replaced by ``instead``; ``target`` must notice."""

    target: str
    owner: Any
    name: str
    instead: Callable[..., Any]
    before: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "before", vars(self.owner)[self.name])

    def plant(self) -> None:
        """Put the defect in."""
        setattr(self.owner, self.name, self.instead)

    def remove(self) -> None:
        """Take it out again."""
        setattr(self.owner, self.name, self.before)


def _mask_of_any_size(items: dict[int, bytes]) -> int:
    return int.from_bytes(items.get(1, b""), "big")


def _text_unchecked(self: Any, size: int, name: str, limit: int = 0) -> str:
    text: str = self.raw(size, name).decode()
    return text


def _feed_without_the_torn_header(self: Any, data: bytes) -> None:
    if self._bytes < HEADER_SIZE and not self._header:
        self._chunks.clear()
        self._start = self._bytes = 0
    _feed(self, data)


def _taken_unchecked(fields: Fields) -> list[int]:
    return [number for (number,) in struct.iter_unpack(">I", fields.rest())]


def _settled_unchecked(self: Any, request_id: int) -> int:
    self._written.pop(request_id, None)
    return int(self._pushed.pop(request_id))


def _advance_without_a_window(self: Any, steps: int) -> None:
    self._missing += steps - 1
    self._settled = self._settled << min(steps, 1 << 12) | 1


def _frame_of_any_channel(self: Any, frame: Any) -> Any:
    return _receive(self, evolve(frame, channel_id=self.channel_id))


def _reported_twice(self: Any, elements: Any) -> int:
    copies = [self.travelling[one.request_id] for one in elements]
    requeued = _bound_lost(self, elements)
    for element in copies:
        self.core.report(element, Undelivered.IN_DOUBT)
    return int(requeued)


def _withdrawn_by_halves(self: Any, request_id: int) -> bool:
    parked, _ = self._parked.pop(request_id, (None, None))
    return parked is not None


_feed = FrameDecoder.feed
_receive = DatagramReceiver.receive
_bound_lost = Bound.lost


OUTDATED = ("AttributeError", "NameError")
"""What a defect raises itself that was written for other code; that it is noticed shows nothing."""


PLANTS = {
    "torn-header": Plant("frames", FrameDecoder, "feed", _feed_without_the_torn_header),
    "hello-mask": Plant("handshake", hello_of, "_capabilities", _mask_of_any_size),
    "payload-text": Plant("payloads", Fields, "text", _text_unchecked),
    "taken-size": Plant("payloads", messages, "decode_taken", _taken_unchecked),
    "datagram-window": Plant("datagrams", DatagramReceiver, "_advance", _advance_without_a_window),
    "datagram-channel": Plant("datagrams", DatagramReceiver, "receive", _frame_of_any_channel),
    "lossy-unfit": Plant("lossy", Lossy, "_is_fit", lambda self, handle, frame: True),
    "settled-unasked": Plant("connection", Ledger, "_settle", _settled_unchecked),
    "link-reported-twice": Plant("link", Bound, "lost", _reported_twice),
    "link-waiter-left": Plant("link", ParkedRequests, "withdraw", _withdrawn_by_halves),
    "link-call-unended": Plant("link", Calling, "lost", lambda self, ending: None),
    "detach-unheard": Plant("connection", Home, "on_detach", lambda self, handle, frame, fields, events: None),
}
"""By name."""
