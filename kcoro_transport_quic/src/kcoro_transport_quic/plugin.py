# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``quic:``; nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import (
    STREAM,
    TRANSPORT_API,
    Capability,
    Certificates,
    Identity,
    PollSpec,
    RawFrame,
    TransportInfo,
)
from kcoro_core.transports.host_port import parse
from kcoro_core.transports.options import read

from . import link
from .link import NOBODY, Connection
from .listener import Listener
from .quic import QuicOptions, check_identity

__all__ = [
    "kcoro_abort",
    "kcoro_accept",
    "kcoro_close",
    "kcoro_connect",
    "kcoro_datagram_limit",
    "kcoro_listen",
    "kcoro_local_uri",
    "kcoro_peer",
    "kcoro_poll_handle",
    "kcoro_pump",
    "kcoro_recv_datagram",
    "kcoro_recv_frame",
    "kcoro_send_datagram",
    "kcoro_send_frame",
    "kcoro_set_waker",
    "kcoro_transport_info",
    "kcoro_tx_backlog",
]

INFO: Final = TransportInfo(
    name="quic",
    schemes=("quic",),
    api=TRANSPORT_API,
    capabilities=STREAM | Capability.STREAMS | Capability.CONFIDENTIAL | Capability.DATAGRAMS,
    certificates=Certificates.SERVER,
)

Endpoint = Connection | Listener
"""Either of the two."""


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """QUIC with TLS 1.3: the server is known to who dials, the client to nobody."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    """Begin to connect; how it ends shows when pumped. Raises ValueError for no address, or files that are none."""
    options = read(QuicOptions, "quic", config)
    check_identity(options, config, serves=False)
    return link.dial(parse(uri), options)


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Listen at an address of this machine; an empty one asks for any free port that only this machine reaches."""
    options = read(QuicOptions, "quic", config)
    check_identity(options, config, serves=True)
    return Listener.at(parse(uri), options)


@hookimpl
def kcoro_accept(listener: Listener) -> Connection | None:
    """The oldest connection whose handshake is over; None: there is none."""
    return listener.accept()


@hookimpl
def kcoro_send_frame(conn: Connection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Accept a frame whole, or answer False; it goes out with the next pump."""
    return conn.send_frame(header, parts, lane)


@hookimpl
def kcoro_recv_frame(conn: Connection, limit: int) -> RawFrame | None:
    """Take the next frame whose turn it is; None: none is whole yet."""
    return conn.recv_frame(limit)


@hookimpl
def kcoro_pump(endpoint: Endpoint, now: float, ready: int) -> None:
    """Connect, read, write, do what is due; raises TransportError at the end."""
    endpoint.pump(now, ready)


@hookimpl
def kcoro_poll_handle(endpoint: Endpoint) -> PollSpec:
    """The socket, which those who came through one listener share, and when something is due."""
    return endpoint.poll()


@hookimpl
def kcoro_tx_backlog(conn: Connection) -> int:
    """Bytes that are not in the network yet."""
    return conn.backlog


@hookimpl
def kcoro_peer(conn: Connection) -> Identity:
    """Nobody: no library verifies a client, and whoever dials has named the server."""
    return NOBODY


@hookimpl
def kcoro_set_waker(endpoint: Endpoint, callback: Callable[[], object] | None) -> None:
    """Called when another one that was pumped has read something for this one."""
    endpoint.waker = callback


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    """The address, also when it was chosen here."""
    return listener.uri


@hookimpl
def kcoro_close(endpoint: Endpoint) -> None:
    """End in good order: what was accepted goes out first."""
    endpoint.close()


@hookimpl
def kcoro_abort(conn: Connection) -> None:
    """End at once; what was not written yet is lost."""
    conn.abort()


@hookimpl
def kcoro_send_datagram(conn: Connection, header: bytes, parts: Sequence[bytes]) -> bool:
    """Accept a datagram, or answer False; it goes out as a DATAGRAM frame, once."""
    return conn.send_datagram(header, parts)


@hookimpl
def kcoro_recv_datagram(conn: Connection) -> RawFrame | None:
    """Take the oldest datagram that has come; None: there is none."""
    return conn.recv_datagram()


@hookimpl
def kcoro_datagram_limit(conn: Connection) -> int:
    """What fits into one packet, if the other side takes DATAGRAM frames at all."""
    return conn.datagram_limit()
