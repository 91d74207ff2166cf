# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A peer that speaks frame by frame, so that it can also say what no peer should."""

from __future__ import annotations

from typing import Any

from kcoro_core import TransportError, plugins, sleep
from kcoro_core.hosts.port import current_host
from kcoro_core.transport import READ, WRITE, RawFrame
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.frame import Frame, decode_header
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import decode_bye
from kcoro_core.wire.states import State

LARGEST = 1 << 24


class RawPeer:
    """A connection that was made by hand. Frames that came are kept in ``heard`` until they are looked at."""

    def __init__(self, uri: str) -> None:
        self.vtable = plugins.transport(uri)
        self.conn: Any = self.vtable.connect(uri, {})
        self.heard: list[RawFrame] = []
        self.ended = False
        self.seq: dict[int, int] = {}

    async def pump(self) -> None:
        """Move what can be moved."""
        await sleep(0.001)
        try:
            self.vtable.pump(self.conn, current_host().now(), READ | WRITE)
            while (raw := self.vtable.recv_frame(self.conn, LARGEST)) is not None:
                self.heard.append(raw)
        except TransportError:
            self.ended = True
        await sleep(0.001)

    async def shake(self, limits: Limits | None = None) -> None:
        """Shake hands as any peer does."""
        wire = Connection(Side.CONNECTING, b"n" * 16, b"c" * 8, limits or Limits())
        wire.start(0.0)
        while wire.state is State.HELLO or wire.has_frames():
            while (frame := wire.poll_transmit()) is not None:
                await self.send_raw(frame)
                wire.mark_written()
            await self.pump()
            for raw in self.heard:
                wire.receive(raw, 0.0)
            self.heard.clear()
        self.seq[0] = 2

    async def send_raw(self, frame: Frame) -> None:
        """Send a frame as it is."""
        try:
            self.vtable.send_frame(self.conn, frame.header, frame.parts, 0)
        except TransportError:
            self.ended = True
        await self.pump()

    async def send(self, command: int, channel_id: int = 0, request_id: int = 0, *parts: bytes, flags: int = 0) -> None:
        """Send a frame with the seq that is next on its channel."""
        seq = self.seq.get(channel_id, 0)
        self.seq[channel_id] = seq + 1
        await self.send_raw(Frame(command, flags, channel_id, request_id, seq, parts))

    def farewell(self) -> WireCode | None:
        """The code of the BYE that came, if one did."""
        for raw in self.heard:
            if decode_header(raw.header, LARGEST).command == Command.BYE:
                return WireCode(decode_bye(Fields(raw.payload, "BYE"))[0])
        return None

    def replies(self) -> list[tuple[int, bytes]]:
        """Request ids and payloads of the REPLYs that came."""
        headers = [(decode_header(raw.header, LARGEST), raw.payload) for raw in self.heard]
        return [(header.request_id, payload) for header, payload in headers if header.command == Command.REPLY]

    def close(self) -> None:
        """Hang up."""
        self.vtable.abort(self.conn)
