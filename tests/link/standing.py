# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Peers that stand at a channel by hand: they register for its events, and do nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kcoro_core import (
    Channel,
    serve,
)
from kcoro_core.wire.commands import Command
from kcoro_core.wire.frame import decode_header
from kcoro_core.wire.messages import OpenRequest, encode_open
from kcoro_core.wire.remote_select import Readiness, encode_register

from .raw import LARGEST, RawPeer
from .world import settle

OPEN, STANDS, CLAIMS = 1, 2, 3  # request ids of a raw peer


def untouched(ch: Channel[Any]) -> bool:
    """Nobody waits, and everybody uses the channel itself again."""
    now = ch.snapshot()
    return (now.waiting_senders, now.waiting_receivers) == (0, 0) and not hasattr(ch._core, "core")


@asynccontextmanager
async def beside(uri: str, mask: int, serial: int) -> AsyncIterator[RawPeer]:
    """A peer that registers by hand at a server that is there already."""
    peer = RawPeer(uri)
    await peer.shake()
    await peer.send(Command.OPEN, 1, OPEN, encode_open(OpenRequest("jobs")))
    await peer.send(Command.SELECT_REGISTER, 1, STANDS, encode_register(serial, Readiness(mask)))
    await settle()
    yield peer
    peer.close()


@asynccontextmanager
async def standing(uri: str, ch: Channel[bytes], mask: int, serial: int = 1) -> AsyncIterator[RawPeer]:
    """The server as well; it exports the channel as "jobs"."""
    async with serve(uri, {"jobs": ch}), beside(uri, mask, serial) as peer:
        yield peer


async def notified(peer: RawPeer) -> list[bytes]:
    """The payloads of the NOTIFYs that have come."""
    await settle()
    await peer.pump()
    headers = [(decode_header(raw.header, LARGEST), raw.payload) for raw in peer.heard]
    return [payload for header, payload in headers if header.command == Command.SELECT_NOTIFY]
