# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults that show when a stranger writes to the medium: cases 10, over sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import attrs

from kcoro_core.errors import ProtocolError, TransportError
from kcoro_core.transport import PollSpec, RawFrame
from kcoro_core.transports.stream import StreamConnection
from kcoro_core.wire.frame import FrameDecoder

from .planting import SOCKETS, Change, Fault, accepted, accepting, kept, leaked, over_sockets, polling

held: list[Any] = []


def forgets_half_frames(conn: StreamConnection, limit: int) -> Any:
    frame = SOCKETS.recv_frame(conn, limit)
    if frame is None and conn.decoder.buffered:
        conn.decoder = FrameDecoder()
    return frame


def takes_one_of_many(conn: StreamConnection, limit: int) -> Any:
    frame = SOCKETS.recv_frame(conn, limit)
    if frame is not None:
        conn.decoder, conn.starved = FrameDecoder(), True
    return frame


def reads_before_it_refuses(conn: StreamConnection, limit: int) -> Any:
    frame = SOCKETS.recv_frame(conn, 1 << 40)
    if frame is not None and len(frame.payload) > limit:
        raise ProtocolError("too long")
    return frame


def believes_lengths(conn: StreamConnection, limit: int) -> Any:
    try:
        return SOCKETS.recv_frame(conn, limit)
    except ProtocolError:
        bytearray(64 << 20)
        raise


def hands_out_the_rest(conn: StreamConnection, limit: int) -> Any:
    try:
        return SOCKETS.recv_frame(conn, limit)
    except TransportError:
        if not conn.decoder.buffered:
            raise
        conn.decoder = FrameDecoder()
        return RawFrame(bytes(20), b"half a frame")


def spins_on_half_frames(endpoint: Any, spec: PollSpec) -> PollSpec:
    half = isinstance(endpoint, StreamConnection) and endpoint.decoder.buffered
    return attrs.evolve(spec, ready_now=True) if half else spec


def garbage_is(reaction: Callable[[], object]) -> Change:
    def recv_frame(conn: StreamConnection, limit: int) -> Any:
        try:
            return SOCKETS.recv_frame(conn, limit)
        except ProtocolError:
            reaction()
            raise

    return {"recv_frame": recv_frame}


def the_end_of_all() -> None:
    for conn in accepted:
        SOCKETS.abort(conn)


def an_error_of_its_own() -> None:
    raise IndexError("no such command")


def has_spoken(conn: StreamConnection) -> bool | None:
    """None: it has left."""
    try:
        return bool(conn.sock.recv(1, socket.MSG_PEEK)) or None
    except BlockingIOError:
        return False


def waits_for_the_first_word(listener: Any) -> Any:
    """From the second guest on, whoever is first in the queue has to speak before anybody is accepted."""
    if not held and (conn := SOCKETS.accept(listener)) is not None:
        accepted.append(conn)
        if len(accepted) == 1:
            return conn
        held.append(conn)
    return held.pop() if held and has_spoken(held[0]) else None


def is_shocked(conn: StreamConnection) -> StreamConnection:
    if has_spoken(conn) is None:
        SOCKETS.abort(conn)
        raise ConnectionResetError
    return conn


def leaks(conn: StreamConnection) -> StreamConnection:
    leaked.append(os.dup(0))
    return conn


FAULTS: dict[str, list[Fault]] = {
    "10.1": [("half a frame is forgotten", over_sockets({"recv_frame": forgets_half_frames}))],
    "10.2": [("of many frames one is taken", over_sockets({"recv_frame": takes_one_of_many}))],
    "10.3": [("a long frame is read before it is refused", over_sockets({"recv_frame": reads_before_it_refuses}))],
    "10.4": [("memory is taken for what is announced", over_sockets({"recv_frame": believes_lengths}))],
    "10.5": [("half a frame comes out at the end", over_sockets({"recv_frame": hands_out_the_rest}))],
    "10.6": [("half a frame keeps everybody awake", over_sockets(polling(spins_on_half_frames, SOCKETS)))],
    "10.7": [("garbage is an error of another kind", over_sockets(garbage_is(an_error_of_its_own)))],
    "10.8": [
        (
            "garbage is the end of all",
            over_sockets({**accepting(kept, SOCKETS), **garbage_is(the_end_of_all)}),
        )
    ],
    "10.9": [("who says nothing holds up the others", over_sockets({"accept": waits_for_the_first_word}))],
    "10.10": [("who has left is an error of accept", over_sockets(accepting(is_shocked, SOCKETS)))],
    "10.11": [("each guest leaks a descriptor", over_sockets(accepting(leaks, SOCKETS)))],
}  # fmt: skip
