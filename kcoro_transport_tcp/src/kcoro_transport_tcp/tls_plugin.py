# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of the transport ``tls:``: those that make a connection or a listener, and the one that encrypts.

The others are those of streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, Capability, Certificates, TransportInfo
from kcoro_core.transports.host_port import parse
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
    kcoro_set_waker,
    kcoro_tx_backlog,
)

from . import tls_link as link
from .tls import TlsOptions
from .tls_link import TlsConnection as Connection
from .tls_link import kcoro_send_frame
from .tls_listener import TlsListener as Listener

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
    name="tls",
    schemes=("tls",),
    api=TRANSPORT_API,
    capabilities=STREAM | Capability.PEER_IDENTITY | Capability.CONFIDENTIAL,
    certificates=Certificates.BOTH,
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
