# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``tls:``, each one line over ``tls_link.py`` or ``tls_listener.py``.

Those that take and give frames stand in ``tls_link.py`` themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, Capability, Identity, PollSpec, TransportInfo

from . import tls_link as link
from .address import parse
from .options import read
from .tls import TlsOptions
from .tls_link import TlsConnection as Connection
from .tls_listener import TlsListener as Listener

INFO: Final = TransportInfo(
    name="tls",
    schemes=("tls",),
    api=TRANSPORT_API,
    capabilities=STREAM | Capability.PEER_IDENTITY | Capability.CONFIDENTIAL,
)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """TLS 1.3 over TCP, with certificates on both sides."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    """Begin to connect; how it ends shows when pumped. Raises ValueError for no address, or files that are none."""
    return link.dial(parse(uri), read(TlsOptions, "tls", config))


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Listen at an address of this machine; an empty one asks for any free port that only this machine reaches."""
    return Listener.at(parse(uri), read(TlsOptions, "tls", config))


@hookimpl
def kcoro_accept(listener: Listener) -> Connection | None:
    """The oldest connection that waits."""
    return listener.accept()


kcoro_send_frame = link.kcoro_send_frame
kcoro_recv_frame = link.kcoro_recv_frame


@hookimpl
def kcoro_pump(endpoint: Connection | Listener, now: float, ready: int) -> None:
    """Connect, write, read once."""
    endpoint.pump(now, ready)


@hookimpl
def kcoro_poll_handle(endpoint: Connection | Listener) -> PollSpec:
    """The socket, and in which direction."""
    return endpoint.poll()


@hookimpl
def kcoro_tx_backlog(conn: Connection) -> int:
    """Bytes that the kernel has not taken yet."""
    return conn.backlog_bytes


@hookimpl
def kcoro_peer(conn: Connection) -> Identity:
    """Whom the verified certificate names; nobody before the handshake is over, or without one."""
    return conn.peer


@hookimpl
def kcoro_set_waker(endpoint: Connection | Listener, callback: Callable[[], object] | None) -> None:
    """Not needed: everything shows on the descriptor or was caused by the caller."""


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    """The address, with the port also when the kernel chose it."""
    return listener.uri


@hookimpl
def kcoro_close(endpoint: Connection | Listener) -> None:
    """End in good order."""
    endpoint.close()


@hookimpl
def kcoro_abort(conn: Connection) -> None:
    """End at once."""
    conn.abort()
