# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two ends of ``quic:`` for tests, driven by hand; and ends of a library alone, which know nothing of us."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.errors import KcoroError, TransportError
from kcoro_core.testing.transport_kit.bench import poll
from kcoro_core.transport import READ, WRITE
from kcoro_transport_quic import plugin
from kcoro_transport_quic.link import Connection
from kcoro_transport_quic.listener import Listener

from .certificates import Party, party, trusted_file

SERVER = party("server")
CLIENT: Party = {"cafile": trusted_file("ours")}
LIBRARIES = ("qh3", "aioquic")
PATIENCE_SECONDS = 10.0


def need(*libraries: str) -> None:
    """Skip where one of them is not installed."""
    for name in libraries:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


def turn(*endpoints: Any, errors: list[str] | None = None) -> None:
    """Wait for what they announce, for a moment, and pump them."""
    specs = [endpoint.poll() for endpoint in endpoints]
    poll(specs, 0 if any(spec.ready_now for spec in specs) else 0.01)
    for endpoint in endpoints:
        try:
            endpoint.pump(time.monotonic(), READ | WRITE)
        except TransportError as error:
            if errors is not None:
                errors.append(str(error))


def until(condition: Callable[[], object], *endpoints: Any, errors: list[str] | None = None) -> None:
    """Take turns until it holds."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, f"it did not come: {errors}"
        turn(*endpoints, errors=errors)


def pair(client: Party = CLIENT, server: Party = SERVER) -> tuple[Connection, Connection, Listener]:
    """A connection with both of its ends, and the listener; whoever dialled is first."""
    listener = plugin.kcoro_listen("quic:", server)
    near = plugin.kcoro_connect(listener.uri, client)
    found: list[Connection] = []

    def accepted() -> bool:
        conn = listener.accept()
        found.extend([conn] if conn is not None else [])
        return bool(found) and not near.connecting

    until(accepted, near, listener)
    return near, found[0], listener


def end(*endpoints: Any) -> None:
    """Give all of them up."""
    for endpoint in endpoints:
        endpoint.close() if isinstance(endpoint, Listener) else endpoint.abort()


class Alone:
    """One end of a library alone, over a socket of its own: ``protocols`` is what it names within TLS.

    ``calls`` are what the library is to call for session tickets.
    """

    def __init__(
        self,
        library: str,
        protocols: list[str] | None = None,
        calls: dict[str, Callable[..., object]] | None = None,
        **settings: Any,
    ) -> None:
        self.connection = importlib.import_module(f"{library}.quic.connection")
        make = importlib.import_module(f"{library}.quic.configuration").QuicConfiguration
        self.settings = make(alpn_protocols=protocols, **settings)
        self.calls = calls or {}
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.01)
        self.quic: Any = None
        self.events: list[Any] = []

    def connect(self, place: Any) -> None:
        """Begin to connect."""
        self.quic = self.connection.QuicConnection(configuration=self.settings, **self.calls)
        self.quic.connect(place, time.monotonic())

    def turn(self) -> None:
        """Send, receive, and take events."""
        now = time.monotonic()
        with contextlib.suppress(TimeoutError):
            data, place = self.sock.recvfrom(65536)
            if self.quic is None:  # somebody connects
                first_id = data[6 : 6 + data[5]]
                make = self.connection.QuicConnection
                self.quic = make(configuration=self.settings, original_destination_connection_id=first_id, **self.calls)
            self.quic.receive_datagram(data, place, now)
        if self.quic is not None:
            if (self.quic.get_timer() or now + 1) <= now:
                self.quic.handle_timer(now)
            for data, place in self.quic.datagrams_to_send(now):
                self.sock.sendto(data, place)
            while (event := self.quic.next_event()) is not None:
                self.events.append(event)

    def heard(self, kind: str) -> Any:
        """The first event of that name, or None."""
        return next((event for event in self.events if type(event).__name__ == kind), None)

    def close(self) -> None:
        """Give the socket back."""
        self.sock.close()


def error_of(call: Callable[[], object]) -> KcoroError | None:
    """What a call raises."""
    try:
        call()
    except KcoroError as error:
        return error
    return None


def first_frame(payload: bytes) -> bytes:
    """The first frame of a connection as it goes over a stream: of channel 0, to be handed out at once."""
    return bytes(4) + len(payload).to_bytes(4, "big") + bytes(16) + payload


def welcome(listener: Listener, client: Alone) -> Connection:
    """What the listener hands out for a client that has dialled it; both ends have shaken hands."""
    found: list[Connection] = []

    def accepted() -> bool:
        client.turn()
        found.extend(filter(None, [listener.accept()]))
        return bool(found) and client.heard("HandshakeCompleted") is not None

    until(accepted, listener)
    return found[0]


def frame_from(client: Alone, conn: Connection) -> Any:
    """The next frame that comes from it."""
    frames: list[Any] = []

    def heard() -> bool:
        client.turn()
        frames.extend(filter(None, [conn.recv_frame(100)]))
        return bool(frames)

    until(heard, conn)
    return frames[0]
