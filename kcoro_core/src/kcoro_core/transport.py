# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The transport contract: what a medium implements so that links run over it; non-blocking, level-triggered.

A transport is a handful of plain functions over objects of its own (a connection, a listener). Nothing here parks,
owns a thread or a loop: whoever drives a link asks ``poll_handle`` what to wait for and then calls ``pump``.

Rule 1: ``send_frame`` takes a frame whole or not at all; a frame that was accepted is never torn.
Rule 2: ``recv_frame`` never allocates more than its ``limit`` allows, and refuses before it reads the body.
Rule 3: every EAGAIN-like answer (False, None) is followed by a wake-up that ``poll_handle`` has announced.
Rule 4: so is a ``tx_backlog`` of COMMIT_BYTES and more, when it falls below: whoever drives a link stops there, since
nothing can overtake what a medium holds.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

__all__ = [
    "COMMIT_BYTES",
    "FENCE",
    "READ",
    "TRANSPORT_API",
    "WRITE",
    "Capability",
    "Certificates",
    "Identity",
    "PollSpec",
    "RawFrame",
    "TransportInfo",
    "Vtable",
]

TRANSPORT_API: Final = 1
"""Counts incompatible changes of the transport contract; a plugin of another number is refused by name."""

COMMIT_BYTES: Final = 131_072
"""How many bytes a medium is given that it has not passed on, by ``tx_backlog``; a frame more at most."""

FENCE: Final = 1 << 32
"""Bit of a frame's ``lane``, beside the channel's id: it arrives behind every frame that was sent before it, and in
front of every one behind it, whatever their lanes. Only media with STREAMS have to look at it."""

READ: Final = 1
"""Bit of ``PollSpec.want``: wake me when the file descriptor is readable."""
WRITE: Final = 2
"""Bit of ``PollSpec.want``: wake me when the file descriptor is writable."""


class Capability(enum.Flag):
    """What a medium promises; a link refuses, at open, whatever needs more than the transport declares."""

    ORDERED = enum.auto()
    """Frames arrive in the order in which they were sent. Streams have it; plain datagrams do not."""
    RELIABLE = enum.auto()
    """Every accepted frame arrives, or the connection ends. Without it only lossy channels are possible."""
    MESSAGE = enum.auto()
    """The medium keeps the borders of frames itself, as datagrams do; streams need a length, which frames have."""
    STREAMS = enum.auto()
    """Loss or stall on one channel does not hold up another, as with QUIC streams: frames of one lane arrive in order,
    those of different lanes as they come, but for what a FENCE says. ORDERED is meant lane by lane then."""
    POINT_TO_POINT = enum.auto()
    """Exactly one peer is at the other end. Multicast lacks it, and can only publish."""
    PEER_IDENTITY = enum.auto()
    """``peer`` returns an identity that the medium has verified; without it a listener needs ``authorize=``."""
    CONFIDENTIAL = enum.auto()
    """Nobody but the peer can read the bytes: encryption, or a medium that does not leave the machine."""
    DATAGRAMS = enum.auto()
    """Beside its frames the connection carries datagrams, of which any may be lost, doubled or late: for elements of
    channels whose openers have agreed to that (RFC 9221). The plugin implements ``DatagramHooks`` then."""


class Certificates(enum.Enum):
    """Who shows a certificate over a medium, so that whoever starts both sides can make them.

    Where somebody does, ``certfile``, ``keyfile`` and ``cafile`` are options of the transport, and files that these
    leave out are those of ``KCORO_TLS_CERTFILE``, ``KCORO_TLS_KEYFILE`` and ``KCORO_TLS_CAFILE``.
    """

    NONE = "none"
    """Nobody; who the peer is the medium knows otherwise, or not at all."""
    SERVER = "server"
    """Whoever listens needs one, and whoever dials verifies it; who dials is not known by it."""
    BOTH = "both"
    """Both need one, so that PEER_IDENTITY is a certificate on both sides."""


STREAM: Final = Capability.ORDERED | Capability.RELIABLE | Capability.POINT_TO_POINT


@frozen
class TransportInfo:
    """Who a transport is: its name, the URI schemes it serves, the API it was written for, what it promises.

    ``max_frame`` is the largest frame, header included, that the medium carries; None means no limit of its own.
    ``certificates`` says who has to show one.
    """

    name: str
    schemes: tuple[str, ...]
    api: int
    capabilities: Capability
    max_frame: int | None = None
    certificates: Certificates = Certificates.NONE


@frozen
class Identity:
    """Who is at the other end, as far as the medium has verified it; ``verified`` False means that it is a claim.

    ``kind`` is ``"uid"`` (a Unix peer), ``"certificate"``, ``"process"`` (the same process) or ``"none"``. A
    certificate has a ``subject``, as in ``"CN=worker,O=example"``, and ``names``, as in ``("DNS:worker.example",)``.
    """

    kind: str
    verified: bool = False
    uid: int | None = None
    gid: int | None = None
    pid: int | None = None
    subject: str | None = None
    names: tuple[str, ...] = ()


@frozen
class PollSpec:
    """What to wait for before ``pump`` is worth calling; valid until the next call on the same object.

    ``fd`` and ``want`` (READ | WRITE) name a descriptor, ``deadline`` a time on the clock that was passed to ``pump``,
    ``ready_now`` work that is waiting although no descriptor shows it. ``shared`` says that several connections use
    the descriptor, so that each of them is pumped when it is ready.

    A transport may answer with the same object for as long as it says the same; then nobody looks at it again. Behind
    another descriptor, even of the same number, it has to be a new one.
    """

    fd: int | None = None
    want: int = 0
    deadline: float | None = None
    ready_now: bool = False
    shared: bool = False


@define
class RawFrame:
    """One frame as the medium delivered it: the 20-byte header, not yet checked, and the payload; nobody changes it."""

    header: bytes
    payload: bytes


@frozen
class Vtable:
    """A transport resolved to plain functions: no hook call is left on the data path (row H2).

    ``connect(uri, config) -> conn`` returns at once, still connecting; ``pump`` raises TransportError if it is refused.
    ``listen(uri, config) -> listener`` · ``accept(listener) -> conn | None``
    ``send_frame(conn, header, parts, lane) -> bool``: all or nothing; False means no room now.
    ``recv_frame(conn, limit) -> RawFrame | None``: None means nothing complete yet.
    ``pump(conn_or_listener, now, ready)``: do the I/O that ``ready`` (READ | WRITE bits) allows, run due timers.
    ``poll_handle(conn_or_listener) -> PollSpec`` · ``tx_backlog(conn) -> int`` bytes that were accepted and
    are not yet with the kernel, the network or, where there is neither, the peer.
    ``peer(conn) -> Identity`` · ``set_waker(conn_or_listener, callback)``: called when ``ready_now`` became true.
    ``local_uri(listener) -> str``: the address that others can connect to.
    ``close(conn_or_listener)`` orderly; ``abort(conn)`` at once; both may be repeated.
    After the end of a connection every data call raises the same TransportError.

    Only with DATAGRAMS: ``send_datagram(conn, header, parts) -> bool`` · ``recv_datagram(conn) -> RawFrame | None``
    · ``datagram_limit(conn) -> int`` bytes of the largest one that can be sent now, header included.
    """

    info: TransportInfo
    distribution: str
    connect: Callable[[str, Mapping[str, Any]], Any]
    listen: Callable[[str, Mapping[str, Any]], Any]
    accept: Callable[[Any], Any]
    send_frame: Callable[[Any, bytes, Sequence[bytes], int], bool]
    recv_frame: Callable[[Any, int], RawFrame | None]
    pump: Callable[[Any, float, int], None]
    poll_handle: Callable[[Any], PollSpec]
    tx_backlog: Callable[[Any], int]
    peer: Callable[[Any], Identity]
    set_waker: Callable[[Any, Callable[[], object] | None], None]
    local_uri: Callable[[Any], str]
    close: Callable[[Any], None]
    abort: Callable[[Any], None]
    load_seconds: float = field(default=0.0, eq=False)
    send_datagram: Callable[[Any, bytes, Sequence[bytes]], bool] | None = None
    recv_datagram: Callable[[Any], RawFrame | None] | None = None
    datagram_limit: Callable[[Any], int] | None = None
