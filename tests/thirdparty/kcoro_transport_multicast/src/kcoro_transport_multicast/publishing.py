# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Publishing: elements are numbered, so that whoever listens can count what has not come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kcoro_core import MessageTooLong, plugins
from kcoro_core.wire.datagram import DatagramSender

from .group import MAX_PACKET

__all__ = ["CHANNEL_ID", "Publisher", "publish"]

CHANNEL_ID = 1
"""There is one channel for each group and port."""
LARGEST = MAX_PACKET - len(DatagramSender(CHANNEL_ID).frame(b"").encode())
"""The largest element, in bytes."""


class Publisher:
    """What ``publish`` gives; ``sent`` counts the elements that were numbered."""

    def __init__(self, uri: str) -> None:
        self._vtable = plugins.transport(uri)
        self._conn = self._vtable.connect(uri, {})
        self._numbers = DatagramSender(CHANNEL_ID)
        self.sent = 0

    def send(self, element: bytes) -> bool:
        """Send to whoever listens, at once. False: this machine had no room, and the element is lost to everybody.

        :raises MessageTooLong: the element is larger than a packet; nothing was sent, and no number was spent.
        """
        if len(element) > LARGEST:
            raise MessageTooLong(f"an element of {len(element)} bytes fits into no packet; the largest has {LARGEST}")
        frame = self._numbers.frame(element)
        self.sent += 1
        return self._vtable.send_frame(self._conn, frame.header, list(frame.parts), 0)

    def close(self) -> None:
        """Send no more."""
        self._vtable.close(self._conn)


@contextmanager
def publish(uri: str) -> Iterator[Publisher]:
    """Publish to a group for the length of the block.

    :raises ValueError: ``uri`` names no group. NotSupported: the plugin is not installed.
    """
    publisher = Publisher(uri)
    try:
        yield publisher
    finally:
        publisher.close()
