# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``sim-datagram:NAME?loss=0.1&seed=7``: the simulated line as datagrams, which are lost, doubled and mixed up.

Each frame is one datagram of at most 65,507 bytes. News of the connection itself (that it exists, that it has ended) is
never lost but with the whole line. Links refuse it, because they need order; see ``wire/datagram.py`` for what is
possible over it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import TransportError
from ..hookspecs import hookimpl
from ..transport import TRANSPORT_API, Capability, Identity, PollSpec, RawFrame, TransportInfo
from .faults import TO_DIALER, TO_LISTENER

if TYPE_CHECKING:
    from .sim_network import Listener, Medium, Network
    from .sim_pair import Connection

__all__ = ["TO_DIALER", "TO_LISTENER", "network"]

MAX_DATAGRAM: Final = 65507
"""The largest datagram, header of the frame included, in bytes: that of UDP over IPv4."""

INFO: Final = TransportInfo(
    name="sim-datagram",
    schemes=("sim-datagram",),
    api=TRANSPORT_API,
    capabilities=Capability.MESSAGE | Capability.POINT_TO_POINT | Capability.PEER_IDENTITY | Capability.CONFIDENTIAL,
    max_frame=MAX_DATAGRAM,
)


@functools.cache
def _medium() -> Medium:
    """Made when it is first asked for: every process loads this plugin, and few simulate."""
    from .sim_network import Medium

    return Medium("sim-datagram", max_datagram=MAX_DATAGRAM)


def network(name: str, **impairments: float) -> Network:
    """What is between the ends of ``sim-datagram:name``: to be made worse, interrupted, cut and healed by a test.

    ``impairments`` are the fields of ``Impairments``, as in ``network("jobs", latency=0.02, loss=0.01, seed=7)``.
    """
    return _medium().network(name, **impairments)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """The simulated datagrams."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    """Ask a listener of this thread for a connection; a missing one shows as a refusal, after the latency."""
    return _medium().connect(uri, config)


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Take a name of this process; an empty one asks for a fresh name."""
    return _medium().listen(uri, config)


@hookimpl
def kcoro_accept(listener: Listener) -> Connection | None:
    """The oldest connection that waits."""
    if listener.closed:
        raise TransportError(f"the listener of {listener.uri} is closed")
    return listener.pending.popleft() if listener.pending else None


@hookimpl
def kcoro_send_frame(conn: Connection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Queue a frame; ``pump`` sends it."""
    return conn.send(header, parts)


@hookimpl
def kcoro_recv_frame(conn: Connection, limit: int) -> RawFrame | None:
    """Take the datagram that has arrived first."""
    return conn.receive(limit)


@hookimpl
def kcoro_pump(endpoint: Connection | Listener, now: float, ready: int) -> None:
    """Let the simulation catch up with ``now``; a listener needs no pumping."""
    endpoint.pump(now)


@hookimpl
def kcoro_poll_handle(endpoint: Connection | Listener) -> PollSpec:
    """What is there now, and when the next packet leaves or arrives."""
    return endpoint.poll()


@hookimpl
def kcoro_tx_backlog(conn: Connection) -> int:
    """Bytes that have not left this end."""
    return conn.tx.queue_bytes if conn.end is None else 0


@hookimpl
def kcoro_peer(conn: Connection) -> Identity:
    """This process itself."""
    return Identity("process", verified=True, uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


@hookimpl
def kcoro_set_waker(endpoint: Connection | Listener, callback: Callable[[], object] | None) -> None:
    """Who is told."""
    endpoint.waker = callback


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    """The address with its name and its impairments, also when the name was chosen here."""
    return listener.uri


@hookimpl
def kcoro_close(endpoint: Connection | Listener) -> None:
    """End in good order; what was sent still arrives."""
    endpoint.close()


@hookimpl
def kcoro_abort(conn: Connection) -> None:
    """End at once; what has not left is lost."""
    conn.abort()
