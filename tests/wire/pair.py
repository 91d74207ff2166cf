# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two connections joined in memory, for tests: frames cross when a test says so, time stands where it says."""

from __future__ import annotations

from typing import TypeVar

from kcoro_core.semantics import Kind, Overflow
from kcoro_core.transport import RawFrame
from kcoro_core.wire.connection import Connection, ConnectionConfig, Side
from kcoro_core.wire.events import Event, Opened, OpenRequested
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Attributes, OpenRequest, Rights

E = TypeVar("E", bound=Event)

NODES = (b"node-a-16-bytes.", b"node-b-16-bytes.")
NONCES = (b"nonce--a", b"nonce--b")
EVERY_RIGHT = Rights.SEND | Rights.RECV | Rights.CLOSE
BUFFERED_4 = Attributes(Kind.BUFFERED, Overflow.SUSPEND, 4, EVERY_RIGHT, 1 << 20)


def raw(frame: Frame) -> RawFrame:
    """What a transport makes of a frame."""
    return RawFrame(frame.header, frame.payload)


def written(connection: Connection, flush: bool = True) -> list[Frame]:
    """Write all that waits, and return it."""
    frames = []
    while (frame := connection.poll_transmit(flush)) is not None:
        connection.mark_written()
        frames.append(frame)
    return frames


def deliver(connection: Connection, frames: list[Frame], now: float = 0.0) -> list[Event]:
    """Give frames to a connection; what it said of them."""
    return [event for frame in frames for event in connection.receive(raw(frame), now)]


def only(events: list[Event], kind: type[E]) -> E:
    """The one event of this class."""
    (found,) = (event for event in events if isinstance(event, kind))
    return found


class Pair:
    """``a`` connects, ``b`` accepts; ``now`` is the clock of both."""

    def __init__(
        self, limits_a: Limits | None = None, limits_b: Limits | None = None, config: ConnectionConfig | None = None
    ) -> None:
        config = config or ConnectionConfig()
        self.now = 0.0
        self.a = Connection(Side.CONNECTING, NODES[0], NONCES[0], limits_a or Limits(), config)
        self.b = Connection(Side.ACCEPTING, NODES[1], NONCES[1], limits_b or Limits(), config)

    def start(self) -> list[Event]:
        """Shake hands."""
        self.a.start(self.now)
        self.b.start(self.now)
        return self.run()

    def a_to_b(self, flush: bool = True) -> list[Event]:
        """All that ``a`` has to write crosses; what ``b`` said."""
        return deliver(self.b, written(self.a, flush), self.now)

    def b_to_a(self, flush: bool = True) -> list[Event]:
        """All that ``b`` has to write crosses; what ``a`` said."""
        return deliver(self.a, written(self.b, flush), self.now)

    def run(self) -> list[Event]:
        """Frames cross until nothing is left to write; what both said."""
        events: list[Event] = []
        while self.a.poll_transmit() is not None or self.b.poll_transmit() is not None:
            events += self.a_to_b() + self.b_to_a()
        return events

    def open(self, attributes: Attributes = BUFFERED_4, name: str = "jobs") -> int:
        """``a`` opens a channel at ``b``; its id."""
        self.a.open(OpenRequest(name))
        asked = only(self.run(), OpenRequested)
        self.b.accept(asked.request_id, attributes)
        return only(self.run(), Opened).channel_id


def established(limits_a: Limits | None = None, limits_b: Limits | None = None) -> Pair:
    """A pair that has shaken hands."""
    pair = Pair(limits_a, limits_b)
    pair.start()
    return pair


def opened(limits_a: Limits | None = None, limits_b: Limits | None = None) -> tuple[Pair, int]:
    """A pair that has shaken hands, and a channel of four elements on it."""
    pair = established(limits_a, limits_b)
    return pair, pair.open()
