# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``tcp:``: those that make a connection or a listener; the others are those of streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, TransportInfo
from kcoro_core.transports.host_port import TCP, parse, targets
from kcoro_core.transports.options import read
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

from . import link
from .link import Connection, Options, check_secure
from .listener import Listener

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
    for target in targets(address, TCP):
        check_secure(address, target.host, options.insecure)
    return Listener.at(address, options.backlog)
