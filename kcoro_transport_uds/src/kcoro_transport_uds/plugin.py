# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``uds:``, each one line over ``link.py`` or ``listener.py``; nothing is decided here.

Those that take and give frames stand in ``link.py`` themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from kcoro_core.errors import NotSupported
from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, Capability, Identity, PollSpec, TransportInfo

from . import link
from .address import path_of
from .link import Connection, Options
from .listener import Listener, new_socket

INFO: Final = TransportInfo(
    name="uds",
    schemes=("uds",),
    api=TRANSPORT_API,
    capabilities=STREAM | Capability.PEER_IDENTITY | Capability.CONFIDENTIAL,
)


def _options(config: Mapping[str, Any]) -> Options:
    """Check ``config``; whatever is not there has its default."""
    known = {option.name for option in attrs.fields(Options)}
    for name, value in config.items():
        if name not in known:
            raise ValueError(f"uds: knows no option {name!r}; it knows: {', '.join(sorted(known))}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise ValueError(f"uds: {name}={value!r} has to be a number above 0")
    if not hasattr(socket, "SO_PEERCRED"):
        raise NotSupported(
            "uds: needs SO_PEERCRED, by which Linux names the user at the other end; use another transport"
        )
    return Options(**config)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """Unix-domain stream sockets."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    """Begin to connect to the socket at a path; how it ends shows when pumped. Raises ValueError for no address."""
    options, path = _options(config), path_of(uri)
    if not path:
        raise ValueError("uds: needs the path of a socket behind it, as in uds:/run/me/jobs.sock")
    conn = Connection(new_socket(options), path=path, patience=options.connect_timeout)
    conn.try_connect()
    return conn


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Listen at a path; an empty one asks for a fresh private socket."""
    return Listener.at(path_of(uri), _options(config))


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
    """The user that the kernel names."""
    return conn.peer


@hookimpl
def kcoro_set_waker(endpoint: Connection | Listener, callback: Callable[[], object] | None) -> None:
    """Not needed: everything shows on the descriptor or was caused by the caller."""


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    """The path, also when it was chosen here."""
    return listener.uri


@hookimpl
def kcoro_close(endpoint: Connection | Listener) -> None:
    """End in good order."""
    endpoint.close()


@hookimpl
def kcoro_abort(conn: Connection) -> None:
    """End at once."""
    conn.abort()
