# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Peers that try to cost a server memory, each in its own way; they run against any address.

The server exports ``elements`` (an endless supply of large elements), ``hole`` (a RENDEZVOUS channel where nobody
receives) and ``store`` (a BUFFERED channel that stays full). What an attack may cost is said in ``docs/LIMITS.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable

from kcoro_core import TransportError, sleep
from kcoro_core.hosts.port import current_host
from kcoro_core.transport import WRITE
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.frame import Frame, encode_header
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import FOREVER_MS, OpenRequest, encode_open, encode_timeout

from .raw import RawPeer

FOREVER = encode_timeout(FOREVER_MS)
ELEMENT_BYTES = 4000
EXPORTS = ("elements", "hole", "store")


class DeafPeer(RawPeer):
    """Shakes hands, then writes and never reads again."""

    async def shake(self, limits: Limits | None = None) -> None:
        await super().shake(limits)
        self.deaf = True

    async def send_raw(self, frame: Frame) -> None:
        if not getattr(self, "deaf", False):
            await super().send_raw(frame)
            return
        for _ in range(1000):  # until there is room: the server reads whatever it cannot write
            if self.ended or self.try_to_send(frame):
                return
            await sleep(0.001)

    def try_to_send(self, frame: Frame) -> bool:
        """Hand the frame to the medium, if it takes it."""
        try:
            taken = self.vtable.send_frame(self.conn, frame.header, frame.parts, 0)
            self.vtable.pump(self.conn, current_host().now(), WRITE)
        except TransportError:
            self.ended = True
            return True
        return taken


async def joined(uri: str, *names: str) -> DeafPeer:
    """A peer that has shaken hands and opened these; channels 1, 3, ... and requests 1, 2, ..."""
    peer = DeafPeer(uri)
    await peer.shake()
    for number, name in enumerate(names):
        await peer.send(Command.OPEN, 2 * number + 1, number + 1, encode_open(OpenRequest(name)))
    await sleep(0.01)
    return peer


Attack = Callable[[str, int], Awaitable[list[RawPeer]]]
ATTACKS: dict[str, Attack] = {}


def attack(act: Attack) -> Attack:
    """One way to cost memory, at an address and of a size; returns the peers that stay connected."""
    ATTACKS[act.__name__] = act
    return act


@attack
async def stopped_reader(uri: str, size: int) -> list[RawPeer]:
    """Asks for elements without end, and reads none."""
    peer = await joined(uri, "elements")
    for number in range(2, min(size, 900)):
        await peer.send(Command.RECV, 1, number, FOREVER)
    return [peer]


@attack
async def flood_of_sends(uri: str, size: int) -> list[RawPeer]:
    """Sends to where nobody receives, until the server has enough; and again on a new connection."""
    for _ in range(3):
        peer = await joined(uri, "hole")
        for number in range(2, size):
            await peer.send(Command.SEND, 1, number, FOREVER, bytes(ELEMENT_BYTES))
            if peer.ended:
                break
        peer.close()
    peer = await joined(uri, "hole", "store")
    for number in range(3, size // 4):
        await peer.send(Command.SEND, 1 if number % 2 else 3, number, FOREVER, bytes(ELEMENT_BYTES))
    return [peer]


@attack
async def flood_of_opens(uri: str, size: int) -> list[RawPeer]:
    """Opens without end, long names too, and reads no answer."""
    peer = await joined(uri)
    for number in range(1, size):
        name = "elements" if number % 2 else "n" * 255
        await peer.send(Command.OPEN, 2 * number - 1, number, encode_open(OpenRequest(name)))
    return [peer]


@attack
async def replies_never_read(uri: str, size: int) -> list[RawPeer]:
    """Asks what costs an answer, on a channel and on the connection, and reads none."""
    peers: list[RawPeer] = []
    for _ in range(4):
        peer = await joined(uri, "store")
        for number in range(2, size):
            await peer.send(Command.INFO if number % 2 else 200, 1, number)
            await peer.send(Command.PING, 0, 0, bytes(8))
        peers.append(peer)
    return peers


@attack
async def half_frames(uri: str, size: int) -> list[RawPeer]:
    """Many connections, each with a frame of the largest size that never ends."""
    peers: list[RawPeer] = []
    for _ in range(4):
        peer = await joined(uri, "hole")
        limit = Limits().max_frame
        sock = getattr(peer.conn, "sock", None)
        if sock is None:  # a medium of whole frames: the largest one, which is then parked
            await peer.send(Command.SEND, 1, 2, FOREVER, bytes(ELEMENT_BYTES))
        else:
            rest = memoryview(encode_header(limit, Command.SEND, 0, 1, 2, 1) + FOREVER + bytes(limit - 1000))
            for _ in range(2000):
                try:
                    rest = rest[sock.send(rest) :]
                except BlockingIOError:
                    await sleep(0.001)
                if not rest:
                    break
        peers.append(peer)
    return peers


@attack
async def messages_that_never_end(uri: str, size: int) -> list[RawPeer]:
    """Begins a long message on each of many channels, and ends none."""
    peer = await joined(uri, *["hole"] * 40)
    total, piece = 60 * ELEMENT_BYTES, 4 + ELEMENT_BYTES
    for turn in range(size // 10):
        for number in range(40):
            first = turn == 0
            flags = Flag.FIRST | Flag.MORE if first else Flag.MORE
            parts = (struct.pack(">Q", total), FOREVER, bytes(ELEMENT_BYTES)) if first else (bytes(piece),)
            if turn < 59:
                await peer.send(Command.SEND, 2 * number + 1, 100 + number, *parts, flags=flags)
        if peer.ended:
            break
    return [peer]


@attack
async def silent_connections(uri: str, size: int) -> list[RawPeer]:
    """Connects and says nothing, or half a greeting."""
    peers: list[RawPeer] = []
    for number in range(min(size, 60)):
        peer = RawPeer(uri)
        await peer.pump()
        if number % 2:
            await peer.send_raw(Frame(Command.HELLO, parts=(bytes(3000),)))
        peers.append(peer)
    return peers


@attack
async def links_that_end(uri: str, size: int) -> list[RawPeer]:
    """Comes, leaves much behind, and goes; nobody reads the news of it."""
    for _ in range(size // 40):
        peer = await joined(uri, "elements", "hole")
        for number in range(3, 20):
            await peer.send(Command.RECV, 1, number, FOREVER)
        await peer.send(Command.SEND, 3, 30, FOREVER, bytes(ELEMENT_BYTES))
        await sleep(0.005)
        peer.close()
    return []


@attack
async def rapid_reset(uri: str, size: int) -> list[RawPeer]:
    """Opens and gives up, cancels or detaches, as fast as it can, and reads the answers."""
    peer = RawPeer(uri)
    await peer.shake()
    for number in range(1, size):
        channel = 2 * number - 1
        await peer.send(Command.OPEN, channel, number, encode_open(OpenRequest("store")))
        if number % 2:
            await peer.send(Command.CANCEL, channel, number)
        await peer.send(Command.DETACH, channel)
        peer.heard.clear()
    return [peer]


@attack
async def taken_back(uri: str, size: int) -> list[RawPeer]:
    """Gives every element but the first back, so that all of them wait for that one."""
    peer = RawPeer(uri)
    await peer.shake()
    await peer.send(Command.OPEN, 1, 1, encode_open(OpenRequest("elements")))
    await peer.send(Command.RECV, 1, 2, FOREVER)
    for number in range(3, size):
        await peer.send(Command.RECV, 1, number, FOREVER)
        await peer.pump()
        if any(request == number for request, _ in peer.replies()):
            await peer.send(Command.PUTBACK, 1, number)
        peer.heard.clear()
    return [peer]
