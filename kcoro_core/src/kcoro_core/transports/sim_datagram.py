# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``sim-datagram:NAME?loss=0.1&seed=7``: the simulated line as datagrams, which are lost, doubled and mixed up.

Each frame is one datagram of at most 65,507 bytes. News of the connection itself (that it exists, that it has ended) is
never lost but with the whole line. Links refuse it, because they need order; see ``wire/datagram.py`` for what is
possible over it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..hookspecs import hookimpl
from ..transport import TRANSPORT_API, Capability, TransportInfo
from .faults import TO_DIALER, TO_LISTENER

# What the two kinds of simulated lines have in common; what is not here stands below, in the same order.
from .sim import (
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

if TYPE_CHECKING:
    from .sim_network import Listener, Medium, Network
    from .sim_pair import Connection

__all__ = [
    "TO_DIALER",
    "TO_LISTENER",
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
    "network",
]

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
