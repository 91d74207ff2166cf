# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``sim:NAME?latency=20ms&loss=0.01&seed=7``: connections inside one thread, as bad as one asks for (rows N7, T6, L2).

The line is a stream, as a socket is one: frames are torn by short reads and writes and put together again, and what a
network would lose, double or mix up is late instead. Beside it go datagrams, which are really lost, doubled and mixed
up, by the same chances; ``sim-datagram:`` is the sibling that has nothing else. Time is the host's: the simulation
moves when it is pumped, and announces by ``poll_handle`` when that is worth while; so it runs in virtual time on the
script host, on trio under a mock clock, and in real time.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import TransportError
from ..hookspecs import hookimpl
from ..transport import STREAM, TRANSPORT_API, Capability, Identity, PollSpec, RawFrame, TransportInfo
from .faults import TO_DIALER, TO_LISTENER

if TYPE_CHECKING:
    from .sim_network import Listener, Medium, Network
    from .sim_pair import Connection

__all__ = ["TO_DIALER", "TO_LISTENER", "network"]

BESIDE_BYTES: Final = 1200
"""The largest datagram beside the stream, header of the frame included: about what one packet on the Internet holds."""

INFO: Final = TransportInfo(
    name="sim",
    schemes=("sim",),
    api=TRANSPORT_API,
    capabilities=STREAM | Capability.PEER_IDENTITY | Capability.CONFIDENTIAL | Capability.DATAGRAMS,
)


@functools.cache
def _medium() -> Medium:
    """Made when it is first asked for: every process loads this plugin, and few simulate."""
    from .sim_network import Medium

    return Medium("sim", beside=BESIDE_BYTES)


def network(name: str, **impairments: float) -> Network:
    """What is between the ends of ``sim:name``: to be made worse, interrupted, cut and healed by a test.

    ``impairments`` are the fields of ``Impairments``, as in ``network("jobs", latency=0.02, loss=0.01, seed=7)``.
    """
    return _medium().network(name, **impairments)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """The simulated stream."""
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
    """The oldest connection that waits, or None. Raises TransportError once the listener is closed."""
    if listener.closed:
        raise TransportError(f"the listener of {listener.uri} is closed")
    return listener.pending.popleft() if listener.pending else None


@hookimpl
def kcoro_send_frame(conn: Connection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Queue a frame; ``pump`` sends it."""
    return conn.send(header, parts)


@hookimpl
def kcoro_recv_frame(conn: Connection, limit: int) -> RawFrame | None:
    """Take a frame that has arrived whole."""
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
    """This process itself, where there is somebody."""
    if conn.pair.listener is None:
        return Identity("none")
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


@hookimpl
def kcoro_send_datagram(conn: Connection, header: bytes, parts: Sequence[bytes]) -> bool:
    """Queue a datagram; ``pump`` sends it, and it may get lost."""
    return conn.send_beside(header, parts)


@hookimpl
def kcoro_recv_datagram(conn: Connection) -> RawFrame | None:
    """Take a datagram that has arrived."""
    return conn.receive_beside()


@hookimpl
def kcoro_datagram_limit(conn: Connection) -> int:
    """The same on every simulated line."""
    return conn.pair.beside
