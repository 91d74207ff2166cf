# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hooks of ``multicast:``. It promises to keep the borders of frames, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import TRANSPORT_API, Capability, Identity, PollSpec, RawFrame, TransportInfo

from .address import parse
from .group import MAX_PACKET, Heard, Listener, Sender

INFO: Final = TransportInfo(
    name="multicast",
    schemes=("multicast",),
    api=TRANSPORT_API,
    capabilities=Capability.MESSAGE,
    max_frame=MAX_PACKET,
)
OPTIONS: Final = ("backlog", "receive_bytes")


def check(config: Mapping[str, Any]) -> None:
    """Refuse an option that nobody knows."""
    unknown = sorted(set(config) - set(OPTIONS))
    if unknown:
        raise ValueError(f"multicast: knows no option {', '.join(unknown)}; it knows: {', '.join(OPTIONS)}")


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """Neither order nor reliability, and not one peer but many."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Sender:
    """Be ready to publish; whether anybody listens cannot be known."""
    check(config)
    return Sender(parse(uri))


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Join the group; others may have, too."""
    check(config)
    return Listener(parse(uri), config.get("receive_bytes"))


@hookimpl
def kcoro_accept(listener: Listener) -> Heard | None:
    """A sender that was heard for the first time."""
    return listener.accept()


@hookimpl
def kcoro_send_frame(conn: Sender | Heard, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Publish; NotSupported for whoever listens."""
    return conn.send(header, parts)


@hookimpl
def kcoro_recv_frame(conn: Sender | Heard, limit: int) -> RawFrame | None:
    """The next packet that was heard of one sender."""
    return conn.receive(limit)


@hookimpl
def kcoro_pump(endpoint: Sender | Heard | Listener, now: float, ready: int) -> None:
    """Read packets, for a listener."""
    endpoint.pump()


@hookimpl
def kcoro_poll_handle(endpoint: Sender | Heard | Listener) -> PollSpec:
    """The listener's descriptor; a sender waits for nothing."""
    return endpoint.poll()


@hookimpl
def kcoro_tx_backlog(conn: Sender | Heard) -> int:
    """Nothing is held back."""
    return 0


@hookimpl
def kcoro_peer(conn: Sender | Heard) -> Identity:
    """Anybody can send to a group, under any address."""
    return Identity("none")


@hookimpl
def kcoro_set_waker(endpoint: Any, callback: Callable[[], object] | None) -> None:
    """Whoever pumps the listener asks its senders himself."""


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    """The group."""
    return str(listener.address)


@hookimpl
def kcoro_close(endpoint: Sender | Heard | Listener) -> None:
    """Leave the group, or publish no more."""
    if isinstance(endpoint, Listener):
        endpoint.close()
    else:
        endpoint.finish("it was closed by this side")


@hookimpl
def kcoro_abort(conn: Sender | Heard) -> None:
    """The same: nothing is held back that could be lost."""
    conn.finish("it was given up by this side")
