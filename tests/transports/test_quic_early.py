# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Data ahead of a handshake (0-RTT) over ``quic:``, which could be played back: nobody can send any, and we do not.

The counterpart is aioquic alone: it can resume sessions and take early data, and does so with itself. Row: X18.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from kcoro_transport_quic import plugin

from .certificates import trusted_file
from .quic_ends import CLIENT, LIBRARIES, SERVER, Alone, end, first_frame, frame_from, need, turn, until, welcome

FOREIGN = "aioquic"
FRAME = first_frame(b"early")


class Sessions:
    """Tickets that servers of aioquic have given, and that clients of it have kept."""

    def __init__(self) -> None:
        self.given: dict[bytes, Any] = {}
        self.kept: list[Any] = []

    def server(self) -> Alone:
        """One that gives a ticket which allows early data, and takes such data for it."""
        calls = {
            "session_ticket_handler": lambda ticket: self.given.update({ticket.ticket: ticket}),
            "session_ticket_fetcher": self.given.get,
        }
        server = Alone(FOREIGN, ["kcoro/1"], calls, is_client=False)
        server.settings.load_cert_chain(SERVER["certfile"], SERVER["keyfile"])
        return server

    def client(self, ticket: Any = None) -> Alone:
        """One that keeps tickets, and comes with one."""
        calls = {"session_ticket_handler": self.kept.append}
        names = {"cafile": trusted_file("ours"), "server_name": "127.0.0.1"}
        return Alone(FOREIGN, ["kcoro/1"], calls, is_client=True, session_ticket=ticket, **names)


@pytest.fixture
def sessions() -> Sessions:
    """Some with one ticket, which is as good as the ticket of a server of ours would be."""
    need(FOREIGN)
    made = Sessions()
    server, client = made.server(), made.client()
    client.connect(server.sock.getsockname())
    for _ in range(100):
        client.turn()
        server.turn()
        if made.kept:
            break
    client.close()
    server.close()
    assert made.kept[0].max_early_data_size
    return made


def with_early_data(sessions: Sessions, place: Any) -> Alone:
    """A client that has a frame to send before it has heard a word."""
    client = sessions.client(sessions.kept[0])
    client.connect(place)
    client.quic.send_stream_data(client.quic.get_next_available_stream_id(is_unidirectional=True), FRAME)
    return client


def kinds(datagram: bytes) -> Iterator[str]:
    """The kinds of the packets of a datagram."""
    from aioquic.buffer import Buffer
    from aioquic.quic.packet import pull_quic_header

    buf = Buffer(data=datagram)
    while not buf.eof() and datagram[buf.tell()]:  # what is left is padding
        begin = buf.tell()
        header = pull_quic_header(buf, host_cid_length=8)
        yield header.packet_type.name
        buf.seek(begin + header.packet_length)


def first_flight(client: Alone) -> list[bytes]:
    """What it sends before it has heard a word; early data is among that."""
    flight = [data for data, _ in client.quic.datagrams_to_send(time.monotonic())]
    assert "ZERO_RTT" in [kind for data in flight for kind in kinds(data)]
    return flight


@pytest.mark.parametrize("ours", LIBRARIES)
def test_what_comes_ahead_of_the_handshake_is_not_heard_however_often_it_is_played(
    ours: str, sessions: Sessions
) -> None:
    """A server that takes early data reads the frame in the first packets; ours reads nothing, and lets nobody in."""
    need(ours)
    taker = sessions.server()
    client = with_early_data(sessions, taker.sock.getsockname())
    flight = first_flight(client)
    for data in flight:
        client.sock.sendto(data, taker.sock.getsockname())
        taker.turn()
    assert taker.heard("StreamDataReceived").data == FRAME

    listener = plugin.kcoro_listen("quic:", {**SERVER, "library": ours})
    for _ in range(3):
        for data in flight:
            client.sock.sendto(data, listener.endpoint.udp.sock.getsockname())
        for _ in range(5):
            turn(listener)
            assert listener.accept() is None
    (conn,) = listener.shaking
    assert conn.connecting
    assert not conn.incoming.inlets
    assert conn.recv_frame(100) is None
    end(listener)
    client.close()
    taker.close()


@pytest.mark.parametrize("ours", LIBRARIES)
def test_a_client_that_sends_early_data_has_it_refused_and_shakes_hands_in_full(ours: str, sessions: Sessions) -> None:
    """Its frame counts when it is sent again, in the connection that both have agreed to; and it gets no ticket."""
    need(ours)
    listener = plugin.kcoro_listen("quic:", {**SERVER, "library": ours})
    client = with_early_data(sessions, listener.endpoint.udp.sock.getsockname())
    conn = welcome(listener, client)
    told = client.heard("HandshakeCompleted")
    assert (told.early_data_accepted, told.session_resumed) == (False, False)
    assert frame_from(client, conn).payload == b"early"
    assert len(sessions.kept) == 1  # the one that it came with
    end(conn, listener)
    client.close()


@pytest.mark.parametrize("ours", LIBRARIES)
def test_who_dials_keeps_no_ticket_and_sends_nothing_early(ours: str, sessions: Sessions) -> None:
    """Though the server gives one to whoever wants it, and takes early data for it: each visit is the first."""
    need(ours)
    for _ in range(2):
        server = sessions.server()
        near = plugin.kcoro_connect(f"quic:127.0.0.1:{server.sock.getsockname()[1]}", {**CLIENT, "library": ours})

        def shaken(server: Alone = server, near: Any = near) -> bool:
            server.turn()
            return not near.connecting and server.heard("HandshakeCompleted") is not None

        until(shaken, near)
        for _ in range(3):  # tickets come after the handshake
            server.turn()
            turn(near)
        told = server.heard("HandshakeCompleted")
        assert (told.early_data_accepted, told.session_resumed) == (False, False)
        end(near)
        server.close()
