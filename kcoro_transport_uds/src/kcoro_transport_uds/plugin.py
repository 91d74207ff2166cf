# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``uds:``: those that make a connection or a listener; the others are those of streams."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final

import attrs

from kcoro_core.errors import NotSupported
from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, Capability, TransportInfo
from kcoro_core.transports.stream_hooks import (
    kcoro_abort,
    kcoro_accept,
    kcoro_close,
    kcoro_local_uri,
    kcoro_peer,
    kcoro_poll_handle,
    kcoro_pump,
    kcoro_recv_frame,
    kcoro_send_frame,
    kcoro_set_waker,
    kcoro_tx_backlog,
)

from .address import path_of
from .link import Connection, Options
from .listener import Listener, new_socket

__all__ = [
    "kcoro_abort",
    "kcoro_accept",
    "kcoro_close",
    "kcoro_connect",
    "kcoro_listen",
    "kcoro_local_uri",
    "kcoro_peer",
    "kcoro_poll_handle",
    "kcoro_pump",
    "kcoro_recv_frame",
    "kcoro_send_frame",
    "kcoro_set_waker",
    "kcoro_transport_info",
    "kcoro_tx_backlog",
]

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
    """Unix-domain stream sockets, whose kernel names the peer."""
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
