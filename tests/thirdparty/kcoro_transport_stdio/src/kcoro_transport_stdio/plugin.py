# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The fourteen functions that kcoro calls; each says in ``kcoro_core/hookspecs.py`` what it may and must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import TRANSPORT_API, Capability, Identity, PollSpec, RawFrame, TransportInfo

from .dial import dial
from .link import Connection
from .listener import Listener

INFO: Final = TransportInfo(
    name="stdio",
    schemes=("stdio",),
    api=TRANSPORT_API,
    capabilities=Capability.ORDERED | Capability.RELIABLE | Capability.POINT_TO_POINT,
)
DEFAULT_BACKLOG: Final = 64


def backlog_of(config: Mapping[str, Any]) -> int:
    """The one option there is: how many connections may wait to be accepted."""
    unknown = sorted(set(config) - {"backlog"})
    if unknown:
        raise ValueError(f"stdio: knows no option {', '.join(unknown)}; it knows: backlog")
    return int(config.get("backlog", DEFAULT_BACKLOG))


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    backlog_of(config)
    return dial(uri)


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    return Listener(uri, backlog_of(config))


@hookimpl
def kcoro_accept(listener: Listener) -> Connection | None:
    return listener.accept()


@hookimpl
def kcoro_send_frame(conn: Connection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    return conn.send(header, parts)


@hookimpl
def kcoro_recv_frame(conn: Connection, limit: int) -> RawFrame | None:
    return conn.receive(limit)


@hookimpl
def kcoro_pump(endpoint: Connection | Listener, now: float, ready: int) -> None:
    if isinstance(endpoint, Connection):
        endpoint.pump(now, ready)
    else:
        endpoint.pump(now)


@hookimpl
def kcoro_poll_handle(endpoint: Connection | Listener) -> PollSpec:
    return endpoint.poll()


@hookimpl
def kcoro_tx_backlog(conn: Connection) -> int:
    return 0 if conn.end is not None and not conn.tx else len(conn.tx)


@hookimpl
def kcoro_peer(conn: Connection) -> Identity:
    return Identity("none")


@hookimpl
def kcoro_set_waker(endpoint: Connection | Listener, callback: Callable[[], object] | None) -> None:
    """Not needed: everything shows on a descriptor."""


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    return listener.uri


@hookimpl
def kcoro_close(endpoint: Connection | Listener) -> None:
    endpoint.close()


@hookimpl
def kcoro_abort(conn: Connection) -> None:
    conn.abort()
