# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``tcp:``, each one line over ``link.py`` or ``listener.py``; nothing is decided here.

Those that take and give frames are those of core's stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, Identity, PollSpec, TransportInfo

from . import link
from .address import parse, targets
from .link import Connection, Options, check_secure
from .listener import Listener
from .options import read

INFO: Final = TransportInfo(name="tcp", schemes=("tcp",), api=TRANSPORT_API, capabilities=STREAM)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """TCP in clear text: neither who is there is known, nor is anything secret."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    """Begin to connect; how it ends shows when pumped. Raises ValueError for no address, AccessDenied for a far one."""
    options, address = read(Options, "tcp", config), parse(uri)
    return link.dial(address, options)


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Listen at an address of this machine; an empty one asks for any free port that only this machine reaches."""
    options, address = read(Options, "tcp", config), parse(uri)
    for target in targets(address):
        check_secure(address, target.host, options.insecure)
    return Listener.at(address, options.backlog)


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
    """Nobody: TCP does not tell who is there."""
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
