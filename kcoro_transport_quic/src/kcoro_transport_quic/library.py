# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The library that speaks QUIC: qh3, or aioquic where somebody asks for it; both without sockets.

Everything that the rest of this package wants of a library stands here, and nothing else knows which one it is.

Rule 1: bytes and time go in, bytes and events come out; no thread, socket or loop of a library is ever used.
Rule 2: whatever a library raises while it works on what a peer has sent ends that connection, and nothing else.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

from attrs import define, field

__all__ = ["CID_BYTES", "DEFAULT", "VERSION_1", "Engine", "Place", "configuration", "versions_told"]

DEFAULT: Final = "qh3"
"""Eight times faster than the other one, and without dependencies."""
KNOWN: Final = ("qh3", "aioquic")
CID_BYTES: Final = 8
"""Bytes of the connection ids that this side chooses; a packet of an established connection does not say how many."""
PACE_SECONDS: Final = 0.0001
"""How far apart packets leave at most, where the library does not tell the moment of the next."""
NOT_YET: Final = "packet builder capacity exhausted"
"""What qh3 2.1 raises as a server that has more to say than three times what has come from an address that it does not
know (RFC 9000, 8.1); then it goes on well. Clients whose hello fills a single datagram, as on aioquic, meet this."""
VERSION_1: Final = 1
"""The version of QUIC that is spoken (RFC 9000)."""

Place = tuple[Any, ...]
"""An address as the calls of a socket take it."""


def _module(name: str, part: str) -> ModuleType:
    if name not in KNOWN:
        raise ValueError(f"quic: library={name!r} has to be one of {', '.join(KNOWN)}")
    # An end is no news for whoever has asked for it; without a handler Python would print it.
    logging.getLogger("quic").addHandler(logging.NullHandler())
    try:
        return importlib.import_module(f"{name}.quic.{part}")
    except ImportError as error:
        extra = f"[{name}]" if name != DEFAULT else ""
        raise ValueError(f"quic: {name} is not installed: pip install kcoro-transport-quic{extra}") from error


def configuration(library: str, **settings: Any) -> Any:
    """A configuration of the library; every field that is set here has the same name and meaning in both.

    :raises ValueError: there is no such library here.
    """
    return _module(library, "configuration").QuicConfiguration(connection_id_length=CID_BYTES, **settings)


def versions_told(packet_from: bytes, packet_to: bytes) -> bytes:
    """The packet that tells whoever speaks another version of QUIC which one is spoken here (RFC 9000, 17.2.1)."""
    ids = b"".join((bytes([len(packet_from)]), packet_from, bytes([len(packet_to)]), packet_to))
    return b"".join((bytes([0xC0]), bytes(4), ids, VERSION_1.to_bytes(4, "big")))


@define(eq=False)
class Engine:
    """One connection of the library. ``own_ids`` are the connection ids under which packets come to it.

    ``failure`` says what the library has raised, once; then nothing works any more. ``shaken``: the handshake is over.
    ``starved``: more has to come before more may go (NOT_YET).
    """

    library: str
    quic: Any
    settings: Any
    own_ids: set[bytes]
    failure: str = ""
    shaken: bool = False
    starved: bool = False
    batched: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.batched = hasattr(self.quic, "receive_many_datagrams")

    @classmethod
    def client(cls, library: str, settings: Any, place: Place, now: float) -> Engine:
        """An end that begins to connect to ``place``."""
        quic = _module(library, "connection").QuicConnection(configuration=settings)
        engine = cls(library, quic, settings, {quic.host_cid})
        engine._do(quic.connect, place, now)
        return engine

    @classmethod
    def server(cls, library: str, settings: Any, first_id: bytes) -> Engine:
        """An end for somebody whose first packet was sent to ``first_id``."""
        make = _module(library, "connection").QuicConnection
        quic = make(configuration=settings, original_destination_connection_id=first_id)
        return cls(library, quic, settings, {quic.host_cid, first_id})

    def receive(self, datagrams: Sequence[bytes], place: Place, now: float) -> None:
        """Take what has come."""
        self.starved = False
        if self.batched:
            self._do(self.quic.receive_many_datagrams, list(datagrams), place, now)
            return
        for data in datagrams:
            self._do(self.quic.receive_datagram, data, place, now)

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Put bytes behind those of a stream; ``end`` says that no more will follow."""
        self._do(self.quic.send_stream_data, stream, data, end)

    def new_stream(self) -> int:
        """The number of the next stream in our direction alone; it is there once something was sent on it."""
        return int(self.quic.get_next_available_stream_id(is_unidirectional=True))

    def unsent(self, stream: int | None = None) -> int:
        """Bytes of streams, or of that one, that were never sent."""
        if hasattr(self.quic, "get_send_buffer_size"):
            return int(self._do(self.quic.get_send_buffer_size, stream) or 0)
        # aioquic does not say; what it keeps is in order, and has its offsets.
        streams = self.quic._streams
        found = streams.values() if stream is None else filter(None, [streams.get(stream)])
        return sum(max(0, one.sender._buffer_stop - one.sender.next_offset) for one in found)

    @property
    def packet_bytes(self) -> int:
        """Bytes of the largest packet that this end sends."""
        return int(self.settings.max_datagram_size)

    def frame_limit(self) -> int:
        """Bytes of the largest DATAGRAM frame that the other side takes, as it has said in the handshake; 0: none.

        Neither library tells that in public; without what is looked at here nothing is sent as one.
        """
        if not hasattr(self._counts, "congestion_window"):
            return 0  # nobody could say when there is room for one
        return getattr(self.quic, "_remote_max_datagram_frame_size", None) or 0

    @property
    def _counts(self) -> Any:
        """What the library counts of what is under way; one has it in its core, the other behind its recovery."""
        return getattr(self.quic, "_core", None) or getattr(self.quic, "_loss", None)

    def room(self) -> int:
        """How many bytes of DATAGRAM frames may go now without filling the line more than its congestion allows.

        One library keeps what is above that, without a bound, and the other sends it.
        """
        counts = self._counts
        window, flying = getattr(counts, "congestion_window", 0), getattr(counts, "bytes_in_flight", 0)
        return int(window - flying - sum(map(len, getattr(self.quic, "_datagrams_pending", ()))))

    def send_frame(self, data: bytes) -> None:
        """Send one DATAGRAM frame, of at most ``frame_limit`` bytes that fit into a packet: more ends a connection."""
        self._do(self.quic.send_datagram_frame, data)

    def datagrams(self, now: float) -> list[bytes]:
        """What is to be sent now."""
        return [data for data, _ in self._do(self._datagrams, now) or ()]

    def _datagrams(self, now: float) -> Any:
        if self.starved:
            return ()
        try:
            return self.quic.datagrams_to_send(now)
        except Exception as error:
            if self.shaken or NOT_YET not in str(error):
                raise
            # The rest can go once the client has repeated itself, as whoever waits does. Not asked again until then:
            # each time the library takes for sent what it had built, and waits for longer before it sends that again.
            self.starved = True
            return ()

    def timer(self) -> float | None:
        """When ``handle_timer`` has something to do."""
        timer: float | None = self._do(self.quic.get_timer)
        return timer

    def pacing(self, now: float) -> float | None:
        """When to ask for datagrams again, if they are held back only so that they leave one by one; else None.

        Neither library tells that in public; without what is looked at here packets leave later, and nothing else.
        """
        core = getattr(self.quic, "_core", None)
        if self.failure:
            return None
        if core is None:
            return getattr(self.quic, "_pacing_at", None)
        what, at = core.get_timer() or ("", now)
        if what == "pacing":
            return float(at)
        # Another timer may be nearer, and the one that is meant is not told then.
        has_room = core.bytes_in_flight + self.quic.configuration.max_datagram_size < core.congestion_window
        return now + PACE_SECONDS if has_room and self.unsent() else None

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._do(self.quic.handle_timer, now)

    def events(self) -> Iterator[tuple[str, Any]]:
        """What has happened, by the names of the classes of events, which are the same in both."""
        while (event := self.quic.next_event()) is not None:
            kind = type(event).__name__
            self.shaken |= kind == "HandshakeCompleted"
            if kind == "ConnectionIdIssued":
                self.own_ids.add(event.connection_id)
            elif kind == "ConnectionIdRetired":
                self.own_ids.discard(event.connection_id)
            if kind != "ConnectionTerminated":
                yield kind, event
        # Told by an event only when the library has waited for what may still be on its way; we need not wait.
        ended = getattr(self.quic, "_close_event", None)
        if ended is not None:
            yield "ConnectionTerminated", ended

    def close(self, code: int, reason: str) -> None:
        """Say the end; ``datagrams`` has the packet that does."""
        self._do(self.quic.close, error_code=code, reason_phrase=reason)

    def _do(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if self.failure:
            return None
        try:
            return call(*args, **named)
        except Exception as error:  # noqa: BLE001 - a defect of the library that a peer can reach: one connection ends
            self.failure = f"{self.library} failed: {error!r}"
            return None
