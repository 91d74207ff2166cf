# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whom ``quic:`` talks to, with real certificates, and who is refused before any frame of a channel (row X18)."""

from __future__ import annotations

import ssl

import pytest
import trio

from kcoro_core import BUFFERED, channel, dial, serve
from kcoro_core.errors import NotSupported, TransportError
from kcoro_core.transport import Identity
from kcoro_transport_quic import plugin
from kcoro_transport_quic.library import NOT_YET

from .certificates import ITSELF, Party, party, trusted_file
from .quic_ends import CLIENT, LIBRARIES, SERVER, Alone, end, first_frame, frame_from, need, pair, turn, until, welcome

REFUSED: dict[str, tuple[Party, Party]] = {
    "a server of another authority": (CLIENT, party("server", by="theirs")),
    "a server that vouches for itself": (CLIENT, party("server", by=ITSELF)),
    "a server whose certificate has expired": (CLIENT, party("server", expired=True)),
    "a server of another name": (CLIENT, party("server", hosts=("elsewhere.example",))),
    "a server of another name than was asked for": ({**CLIENT, "server_name": "x.example"}, SERVER),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("who", REFUSED)
def test_who_is_refused_hears_why_and_nobody_hands_him_out(who: str, library: str) -> None:
    """Row: X18."""
    need(library)
    client, server = ({**side, "library": library} for side in REFUSED[who])
    listener = plugin.kcoro_listen("quic:", server)
    near = plugin.kcoro_connect(listener.uri, client)
    errors: list[str] = []
    until(lambda: errors, near, listener, errors=errors)
    turn(listener)
    assert listener.accept() is None
    assert errors[0].startswith("quic:127.0.0.1:")
    assert "a certificate is refused" in errors[0]
    assert not near.outgoing.lanes.count
    end(near, listener)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_name_of_the_server_may_be_another_one_than_its_address(library: str) -> None:
    need(library)
    near, far, listener = pair(
        {**CLIENT, "server_name": "localhost", "library": library}, {**SERVER, "library": library}
    )
    assert (near.end, far.end) == (None, None)
    end(near, far, listener)


# -- clients have no identity


@pytest.mark.parametrize("asked", ["required", "optional"])
def test_who_asks_for_certificates_of_clients_is_refused_before_anything_listens(asked: str) -> None:
    """Row: X18."""
    with pytest.raises(NotSupported, match="does not verify the certificate of a client"):
        plugin.kcoro_listen("quic:", {**SERVER, "client_certs": asked})
    with pytest.raises(ValueError, match="client_certs has to be"):
        plugin.kcoro_listen("quic:", {**SERVER, "client_certs": "maybe"})


def test_a_certificate_that_nobody_would_look_at_is_not_brought() -> None:
    """Row: X18."""
    with pytest.raises(NotSupported, match="use tls:"):
        plugin.kcoro_connect("quic:127.0.0.1:7000", party())


def test_a_server_without_a_rule_is_refused() -> None:
    """Row: X18."""

    async def main() -> None:
        with pytest.raises(NotSupported, match="cannot tell who connects"):
            async with serve("quic:", **SERVER):
                raise AssertionError("a server over quic: without authorize=")

    trio.run(main)


def test_nobody_is_called_verified() -> None:
    near, far, listener = pair()
    assert plugin.kcoro_peer(near) == plugin.kcoro_peer(far) == Identity("none")
    end(near, far, listener)


CLIENTS: dict[str, Party] = {
    "none": {},
    "one that vouches for itself": party(by=ITSELF),
    "one that has expired": party(expired=True),
    "one of another authority": party(by="theirs"),
    "one of another name": party(hosts=("elsewhere.example",)),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("brought", CLIENTS)
def test_why_clients_have_no_identity(library: str, brought: str) -> None:
    """A library that is told to demand a good certificate lets everybody in.

    Red? Then it has learnt to refuse, and ``client_certs`` may be worth it; until then it fails closed. Row: X18.
    """
    need(library)
    server = Alone(library, ["kcoro/1"], is_client=False, verify_mode=ssl.CERT_REQUIRED)
    server.settings.load_cert_chain(SERVER["certfile"], SERVER["keyfile"])
    server.settings.load_verify_locations(cafile=trusted_file("ours"))
    client = Alone(library, ["kcoro/1"], is_client=True, cafile=trusted_file("ours"), server_name="127.0.0.1")
    if CLIENTS[brought]:
        client.settings.load_cert_chain(CLIENTS[brought]["certfile"], CLIENTS[brought]["keyfile"])
    client.connect(server.sock.getsockname())
    for _ in range(200):
        client.turn()
        server.turn()
        if server.heard("HandshakeCompleted"):
            break
    for _ in range(5):
        client.turn()
        server.turn()
    assert server.heard("HandshakeCompleted")
    assert not server.heard("ConnectionTerminated")
    client.close()
    server.close()


# -- others than ours


@pytest.mark.parametrize("protocols", [None, ["h3"], ["h3", "http/1.1"]])
@pytest.mark.parametrize("library", LIBRARIES)
def test_who_does_not_name_our_protocol_is_refused(
    library: str, protocols: list[str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """No ALPN, or another one. Row: X18."""
    need(library)
    listener = plugin.kcoro_listen("quic:", {**SERVER, "library": library})
    client = Alone(library, protocols, is_client=True, cafile=trusted_file("ours"), server_name="127.0.0.1")
    client.connect(listener.endpoint.udp.sock.getsockname())

    def refused() -> bool:
        client.turn()
        assert listener.accept() is None
        return client.heard("ConnectionTerminated") is not None

    until(refused, listener)
    assert "nobody was let in" in caplog.text
    end(listener)
    client.close()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_server_that_does_not_name_our_protocol_is_left(library: str) -> None:
    """Row: X18."""
    need(library)
    server = Alone(library, ["h3"], is_client=False)
    server.settings.load_cert_chain(SERVER["certfile"], SERVER["keyfile"])
    near = plugin.kcoro_connect(f"quic:127.0.0.1:{server.sock.getsockname()[1]}", {**CLIENT, "library": library})
    errors: list[str] = []

    def left() -> bool:
        server.turn()
        return bool(errors)

    until(left, near, errors=errors)
    assert "kcoro/1" in errors[0] or "TLS" in errors[0]
    end(near)
    server.close()


@pytest.mark.parametrize(("ours", "theirs"), [(ours, theirs) for ours in LIBRARIES for theirs in LIBRARIES])
def test_a_client_of_another_library_shakes_hands(ours: str, theirs: str) -> None:
    """With nothing of ours in it: our server hands the connection out, and hears its first bytes. Row: T2."""
    need(ours, theirs)
    listener = plugin.kcoro_listen("quic:", {**SERVER, "library": ours})
    client = Alone(theirs, ["kcoro/1"], is_client=True, cafile=trusted_file("ours"), server_name="127.0.0.1")
    client.connect(listener.endpoint.udp.sock.getsockname())
    conn = welcome(listener, client)
    assert client.heard("HandshakeCompleted").alpn_protocol == "kcoro/1"
    stream = client.quic.get_next_available_stream_id(is_unidirectional=True)
    client.quic.send_stream_data(stream, first_frame(b"hello"))
    assert frame_from(client, conn).payload == b"hello"
    end(conn, listener)
    client.close()


@pytest.mark.parametrize(("near", "far"), [(near, far) for near in LIBRARIES for far in LIBRARIES])
def test_a_link_between_two_libraries(near: str, far: str) -> None:
    """Row: T2."""
    need(near, far)

    async def main() -> None:
        jobs = channel(BUFFERED, capacity=4)
        anybody = lambda *_: True  # noqa: E731
        async with (
            serve("quic:", {"jobs": jobs}, anybody, **SERVER, library=far) as server,
            dial(server.uri, **CLIENT, library=near) as link,
        ):
            remote = await link.open("jobs")
            for size in (0, 1, 1200, 300_000):
                await remote.send(bytes(size))
                assert len(await jobs.recv()) == size
                await jobs.send(bytes(size))
                assert len(await remote.recv()) == size

    trio.run(main)


def test_what_is_known_of_a_server_that_may_not_answer_in_full_yet() -> None:
    """The library alone, with nothing of ours, raises where a hello of one datagram lets it send too little.

    Red? Then it waits instead, and ``library.py`` need not step over that any more.
    """
    need(*LIBRARIES)
    from qh3.quic.connection import QuicConnectionError

    server = Alone("qh3", ["kcoro/1"], is_client=False)
    server.settings.load_cert_chain(SERVER["certfile"], SERVER["keyfile"])
    client = Alone("aioquic", ["kcoro/1"], is_client=True, cafile=trusted_file("ours"), server_name="127.0.0.1")
    client.connect(server.sock.getsockname())

    def turns() -> None:
        for _ in range(100):
            client.turn()
            server.turn()

    with pytest.raises(QuicConnectionError, match=NOT_YET):
        turns()
    client.close()
    server.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"certfile": ""}, "needs certfile="),
        ({"certfile": "/nowhere"}, "no certificate with its key"),
        ({"certfile": SERVER["cafile"], "keyfile": ""}, "no certificate with its key"),
        ({"library": "other"}, "has to be one of qh3, aioquic"),
        ({"datagram_size": 100}, "1200 to 65527"),
        ({"backlog": 0}, "a number above 0"),
    ],
)
def test_options_are_checked_before_anything_is_opened(change: Party, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plugin.kcoro_listen("quic:", {**SERVER, **change})


def test_authorities_that_are_none_are_told() -> None:
    with pytest.raises(ValueError, match="no certificates of authorities"):
        plugin.kcoro_connect("quic:127.0.0.1:7000", {"cafile": "/nowhere"})
    assert issubclass(TransportError, Exception)
