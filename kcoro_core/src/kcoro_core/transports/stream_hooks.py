# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Hooks of a transport whose ends are a ``StreamConnection`` and a ``StreamListener``; nothing is decided here.

A plugin imports those that it does not write itself, and names them all in its ``__all__``. Left to it are
``kcoro_transport_info``, ``kcoro_connect`` and ``kcoro_listen``, which are what makes it a transport of its own. Those
that give and take frames stand in ``stream.py`` itself, since another call would show in each message.
"""

from __future__ import annotations

from collections.abc import Callable

from ..hookspecs import hookimpl
from ..transport import Identity, PollSpec
from .stream import StreamConnection, kcoro_recv_frame, kcoro_send_frame
from .stream_listener import StreamListener

__all__ = [
    "kcoro_abort",
    "kcoro_accept",
    "kcoro_close",
    "kcoro_local_uri",
    "kcoro_peer",
    "kcoro_poll_handle",
    "kcoro_pump",
    "kcoro_recv_frame",
    "kcoro_send_frame",
    "kcoro_set_waker",
    "kcoro_tx_backlog",
]

Endpoint = StreamConnection | StreamListener
"""Either of the two."""


@hookimpl
def kcoro_accept(listener: StreamListener) -> StreamConnection | None:
    """The oldest connection that waits; None: there is none."""
    return listener.accept()


@hookimpl
def kcoro_pump(endpoint: Endpoint, now: float, ready: int) -> None:
    """Connect, write, read once; raises TransportError at the end."""
    endpoint.pump(now, ready)


@hookimpl
def kcoro_poll_handle(endpoint: Endpoint) -> PollSpec:
    """The socket, and in which direction it is waited for."""
    return endpoint.poll()


@hookimpl
def kcoro_tx_backlog(conn: StreamConnection) -> int:
    """Bytes that the kernel has not taken yet."""
    return conn.backlog_bytes


@hookimpl
def kcoro_peer(conn: StreamConnection) -> Identity:
    """Who is at the other end, as far as the medium has verified it."""
    return conn.peer


@hookimpl
def kcoro_set_waker(endpoint: Endpoint, callback: Callable[[], object] | None) -> None:
    """Not needed: everything shows on the descriptor or was caused by the caller."""


@hookimpl
def kcoro_local_uri(listener: StreamListener) -> str:
    """The address, also when it was chosen here."""
    return listener.uri


@hookimpl
def kcoro_close(endpoint: Endpoint) -> None:
    """End in good order: what was accepted goes out first."""
    endpoint.close()


@hookimpl
def kcoro_abort(conn: StreamConnection) -> None:
    """End at once; what was not written yet is lost."""
    conn.abort()
