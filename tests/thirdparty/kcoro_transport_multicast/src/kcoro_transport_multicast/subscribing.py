# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Subscribing: an adapter that feeds a channel with what is heard of a group, and counts what was missed.

Rule 1: it never waits; what nobody reads is dropped by the channel's own policy, and counted there.
Rule 2: ``missing`` is exact for each sender that was heard from its first element on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kcoro_core import BUFFERED, DROP_OLDEST, Channel, Kind, ProtocolError, channel, plugins
from kcoro_core.hosts.port import AGAIN, current_host
from kcoro_core.intake import Intake
from kcoro_core.transport import READ
from kcoro_core.wire.datagram import DatagramReceiver, check_kind
from kcoro_core.wire.frame import frame_from_raw

from .publishing import CHANNEL_ID

__all__ = ["Subscription", "subscribe"]

LIMIT = 65536


class Subscription:
    """What ``subscribe`` gives: the channel of what is heard, and the counts of what was not."""

    def __init__(self, elements: Channel[bytes], listener: Any, vtable: Any, kind: Kind) -> None:
        self.elements = elements
        self._intake = Intake(elements)
        self._listener = listener
        self._vtable = vtable
        self._kind = kind
        self._senders: list[tuple[Any, DatagramReceiver]] = []

    @property
    def missing(self) -> int:
        """Elements that were sent, up to the newest that was heard of each sender, and have not come."""
        return sum(receiver.counts().missing for _, receiver in self._senders)

    @property
    def dropped(self) -> int:
        """Elements that have come, and that nobody read in time."""
        return self._intake.dropped

    def hear(self) -> object:
        """Take what has come; called when the descriptor of the listener is readable."""
        vtable = self._vtable
        vtable.pump(self._listener, current_host().now(), READ)
        while (sender := vtable.accept(self._listener)) is not None:
            self._senders.append((sender, DatagramReceiver(CHANNEL_ID, self._kind)))
        for sender, receiver in self._senders:
            while (raw := vtable.recv_frame(sender, LIMIT)) is not None:
                try:
                    arrival = receiver.receive(frame_from_raw(raw, LIMIT))
                except ProtocolError:
                    continue  # anybody can send to a group; what makes no sense is not counted
                if arrival.element is not None:
                    self._intake.offer(arrival.element)
        return AGAIN


@contextmanager
def subscribe(
    uri: str, elements: Channel[bytes] | None = None, *, kind: Kind = BUFFERED, receive_bytes: int | None = None
) -> Iterator[Subscription]:
    """Hear a group for the length of the block, into ``elements`` or a channel of 1024 that drops the oldest.

    :raises NotSupported: ``kind`` needs an answer for each element, which a group cannot give.
    :raises ValueError: ``elements`` could make its sender wait, or ``uri`` names no group.
    """
    check_kind(kind)
    elements = channel(BUFFERED, capacity=1024, overflow=DROP_OLDEST) if elements is None else elements
    vtable = plugins.transport(uri)
    listener = vtable.listen(uri, {} if receive_bytes is None else {"receive_bytes": receive_bytes})
    try:
        subscription = Subscription(elements, listener, vtable, kind)
        watch = current_host().wait_fd(vtable.poll_handle(listener).fd or 0, READ, subscription.hear)
        try:
            yield subscription
        finally:
            watch.cancel()
    finally:
        vtable.close(listener)
        elements.close()
