# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whom ``tls:`` talks to, with real certificates, and who is refused before any frame of a channel (row X18)."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from kcoro_core import BUFFERED, channel, dial, serve
from kcoro_core.errors import AccessDenied, KcoroError, TransportError
from kcoro_core.testing.transport_kit.bench import header, poll
from kcoro_core.transport import READ, WRITE, Identity
from kcoro_core.transports.stream import BACKLOG_BYTES
from kcoro_transport_tcp import tls_plugin
from kcoro_transport_tcp.tls import distinguished
from kcoro_transport_tcp.tls_link import TlsConnection
from kcoro_transport_tcp.tls_listener import TlsListener

from .certificates import ITSELF, Party, party, trusted_file

SERVER = party("server")
NAMELESS = {"certfile": "", "keyfile": "", "cafile": trusted_file("ours")}


def meet(client: Party, server: Party = SERVER) -> tuple[TlsConnection, TlsConnection | None, list[str]]:
    """Let a client and a server of ours meet until both have decided; both ends, and the client's error."""
    listener = tls_plugin.kcoro_listen("tls:", server)
    try:
        near = tls_plugin.kcoro_connect(listener.uri, client)
        far = None
        errors: list[str] = []
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up and not errors and (far is None or near.connecting):
            far = far or listener.accept()
            turn(near, listener, errors=errors)
        while listener.shaking and time.monotonic() < give_up:
            near.abort()
            turn(listener, errors=[])
        return near, far, errors
    finally:
        listener.close()


def turn(*endpoints: Any, errors: list[str]) -> None:
    specs = [endpoint.poll() for endpoint in endpoints]
    poll(specs, 0 if any(spec.ready_now for spec in specs) else 0.05)
    for endpoint in endpoints:
        try:
            endpoint.pump(time.monotonic(), READ | WRITE)
        except TransportError as error:
            errors.append(str(error))


def test_both_ends_know_whose_certificate_was_verified() -> None:
    near, far, errors = meet(party("worker"))
    assert errors == []
    assert far is not None
    server, worker = near.peer, far.peer
    assert (server.kind, server.verified, server.subject) == ("certificate", True, "CN=server,OU=tests,O=example")
    assert (worker.kind, worker.verified, worker.subject) == ("certificate", True, "CN=worker,OU=tests,O=example")
    assert set(worker.names) == {"DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"}
    assert near.tls.version() == far.tls.version() == "TLSv1.3"
    near.abort()
    far.abort()


REFUSED: dict[str, tuple[Party, Party, str]] = {
    "a client without a certificate": (NAMELESS, SERVER, "wants a certificate"),
    "a client of another authority": (party(by="theirs"), SERVER, "does not trust the authority"),
    "a client whose certificate has expired": (party(expired=True), SERVER, "has expired"),
    "a server of another authority": (party(), party("server", by="theirs"), "unable to get local issuer certificate"),
    "a server that vouches for itself": (party(), party("server", by=ITSELF), "signed certificate"),
    "a server whose certificate has expired": (party(), party("server", expired=True), "certificate has expired"),
    "a server of another name": (party(), party("server", hosts=("elsewhere.example",)), "127.0.0.1"),
    "a server of another name than was asked for": ({**party(), "server_name": "x.example"}, SERVER, "x.example"),
}


@pytest.mark.parametrize("who", REFUSED)
def test_who_is_refused_hears_why_and_nobody_hands_him_out(who: str) -> None:
    """Row: X18."""
    client, server, words = REFUSED[who]
    near, far, errors = meet(client, server)
    assert far is None
    assert words in errors[0]
    assert errors[0].startswith("tls:127.0.0.1:")
    assert not near.peer.verified or who.startswith("a client")
    near.abort()


def test_a_certificate_that_vouches_for_itself_is_refused() -> None:
    """Even one that names itself as its own authority: nobody has named it here. Row: X18."""
    client = {**party(), "certfile": trusted_file("alone"), "keyfile": ""}
    with pytest.raises(ValueError, match="no certificate with its key"):
        meet(client)
    near, far, errors = meet(party(by=ITSELF))
    assert far is None
    assert "does not trust the authority" in errors[0]
    near.abort()


def test_a_client_without_a_certificate_may_come_where_that_is_optional_and_is_nobody() -> None:
    near, far, errors = meet(NAMELESS, {**SERVER, "client_certs": "optional"})
    assert errors == []
    assert far is not None
    assert far.peer == Identity("none")
    assert near.peer.verified
    near.abort()
    far.abort()


# -- others than ours


def raw_client(**options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trusted_file("ours"))
    context.load_cert_chain(party()["certfile"], party()["keyfile"])
    for name, value in options.items():
        setattr(context, name, value)
    return context


def shake(listener: TlsListener, context: ssl.SSLContext) -> tuple[ssl.SSLSocket | None, str]:
    """Have a client of the standard library connect, in a thread; its socket, or what it was told."""
    told: list[str] = []
    made: list[ssl.SSLSocket] = []

    def connect() -> None:
        sock = socket.create_connection(listener.sock.getsockname(), timeout=10)
        try:
            made.append(context.wrap_socket(sock, server_hostname="localhost"))
            told.append(repr(made[0].recv(1)))
        except OSError as error:
            told.append(str(error))
            sock.close()

    thread = threading.Thread(target=connect)
    thread.start()
    while thread.is_alive():
        assert listener.accept() is None, "somebody was handed out who should not have been"
        turn(listener, errors=[])
    thread.join()
    return (made[0] if made else None), told[0]


@pytest.fixture
def listener() -> Any:
    listener = tls_plugin.kcoro_listen("tls:", SERVER)
    yield listener
    listener.close()


def test_tls_1_2_is_refused(listener: TlsListener, caplog: pytest.LogCaptureFixture) -> None:
    """Row: X18."""
    context = raw_client(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(["kcoro/1"])
    made, told = shake(listener, context)
    assert made is None
    assert "alert protocol version" in told.lower()
    assert "does not speak TLS 1.3" in caplog.text


@pytest.mark.parametrize("offered", [[], ["h2", "http/1.1"]])
def test_who_does_not_name_our_protocol_is_refused(
    listener: TlsListener, offered: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """No ALPN, or another one; it gets a goodbye of TLS and not a byte. Row: X18."""
    context = raw_client()
    if offered:
        context.set_alpn_protocols(offered)
    made, told = shake(listener, context)
    assert made is not None
    made.close()
    assert told == "b''"
    assert "does not offer kcoro/1" in caplog.text


def test_who_does_not_speak_tls_is_refused(listener: TlsListener, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(listener.sock.getsockname(), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while not caplog.records:
            assert listener.accept() is None
            turn(listener, errors=[])
    assert "does not speak TLS" in caplog.text


def test_who_says_nothing_is_put_out_in_time(listener: TlsListener, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(listener.sock.getsockname(), timeout=10):
        while not listener.shaking:
            assert listener.accept() is None
        listener.pump(100.0)
        assert listener.poll().deadline == 110.0
        listener.pump(110.0)
        assert "the TLS handshake took longer than 10 s" in caplog.text
        listener.pump(110.1)
        listener.pump(111.2)
        assert not listener.shaking


def test_a_server_puts_out_who_says_nothing_though_nobody_else_comes() -> None:
    """Its listener announces a time, and nothing but that time will wake it up."""

    async def main() -> None:
        async with serve("tls:", authorize=lambda *_: True, handshake_timeout=0.1, **SERVER) as server:
            silent = await trio.open_tcp_stream("127.0.0.1", int(server.uri.rpartition(":")[2]))
            with trio.fail_after(10):
                assert await silent.receive_some(100) == b""
            await silent.aclose()

    trio.run(main)


def test_a_flood_of_silent_clients_is_bounded_and_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    """The oldest goes first, and not before it has had its turn."""
    listener = tls_plugin.kcoro_listen("tls:", {**SERVER, "backlog": 4})
    socks = [socket.create_connection(listener.sock.getsockname(), timeout=10) for _ in range(5)]
    while len(listener.shaking) < 4:
        assert listener.accept() is None
    first = next(iter(listener.shaking))
    listener.pump(100.0)
    assert listener.accept() is None
    assert first in listener.shaking
    assert listener.poll().deadline == 101.0
    listener.pump(101.0)
    assert listener.accept() is None
    assert first not in listener.shaking
    assert len(listener.shaking) == 4
    assert "it was slow, and others waited" in caplog.text
    listener.close()
    for sock in socks:
        sock.close()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")


@needs_openssl
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["-alpn", "kcoro/1", "-cert", party()["certfile"], "-key", party()["keyfile"]], "ALPN protocol: kcoro/1"),
        (["-alpn", "kcoro/1"], "certificate required"),
        (["-alpn", "h2", "-cert", party()["certfile"], "-key", party()["keyfile"]], "No ALPN negotiated"),
        (["-alpn", "kcoro/1", "-tls1_2"], "protocol version"),
    ],
    ids=["welcome", "no certificate", "another protocol", "TLS 1.2"],
)
def test_openssl_sees_the_same(listener: TlsListener, more: list[str], words: str) -> None:
    """A foreign implementation is let in, or refused, for the reasons that are told. Row: X18."""
    host, port = listener.sock.getsockname()
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", trusted_file("ours"), *more]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    accepted: list[TlsConnection] = []
    give_up = time.monotonic() + 10
    while child.poll() is None and not accepted and time.monotonic() < give_up:
        if (conn := listener.accept()) is not None:
            accepted.append(conn)
        turn(listener, errors=[])
    for conn in accepted:
        conn.abort()
    output, _ = child.communicate(timeout=10)
    assert words in output
    assert bool(accepted) is (words == "ALPN protocol: kcoro/1")


# -- data ahead of the handshake, which could be played back


def openssl(*arguments: str) -> subprocess.Popen[str]:
    """The program as a process that says everything to one pipe, and ends when nothing more can be said to it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(["openssl", *arguments], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def visitor(host: str, port: int, *more: str) -> subprocess.Popen[str]:
    """A client that has a good certificate, and speaks our protocol."""
    known = ("-CAfile", trusted_file("ours"), "-cert", party()["certfile"], "-key", party()["keyfile"])
    return openssl("s_client", "-connect", f"{host}:{port}", "-alpn", "kcoro/1", *known, *more)


def let_in(listener: TlsListener, child: subprocess.Popen[str]) -> TlsConnection:
    give_up = time.monotonic() + 10
    while (conn := listener.accept()) is None:
        assert child.poll() is None, child.communicate()[0]
        assert time.monotonic() < give_up
        turn(listener, errors=[])
    return conn


@needs_openssl
def test_a_client_is_given_no_ticket_to_come_back_with(listener: TlsListener, tmp_path: Path) -> None:
    """Without one nothing can be sent ahead of a handshake, and no session is resumed. Row: X18."""
    kept = tmp_path / "session.pem"
    child = visitor(*listener.sock.getsockname(), "-sess_out", str(kept))
    conn = let_in(listener, child)
    conn.close()  # says goodbye, so that whatever came before that was read
    output, _ = child.communicate(timeout=10)
    assert "New, TLSv1.3" in output
    assert "Session Ticket" not in output
    assert not kept.exists()
    conn.abort()


@needs_openssl
def test_early_data_is_refused_and_nothing_of_it_is_read(listener: TlsListener, tmp_path: Path) -> None:
    """A whole frame ahead of the handshake, with a ticket of a server that takes such data, as it shows. Row: X18."""
    kept, early = tmp_path / "session.pem", tmp_path / "early"
    early.write_bytes(header(5) + b"early")
    who = ("-cert", SERVER["certfile"], "-key", SERVER["keyfile"], "-alpn", "kcoro/1")
    taker = openssl("s_server", "-accept", "127.0.0.1:0", "-early_data", "-naccept", "2", *who)
    assert taker.stdout is not None
    line = next(line for line in taker.stdout if line.startswith("ACCEPT"))
    place = ("127.0.0.1", int(line.rpartition(":")[2]))
    child = visitor(*place, "-sess_out", str(kept))
    give_up = time.monotonic() + 10
    while not (kept.exists() and kept.stat().st_size):
        assert time.monotonic() < give_up
        turn(listener, errors=[])  # nobody comes; a short wait
    child.communicate(timeout=10)
    again = ("-sess_in", str(kept), "-early_data", str(early))
    assert "Early data was accepted" in visitor(*place, *again).communicate(timeout=10)[0]
    taker.communicate(timeout=10)

    child = visitor(*listener.sock.getsockname(), *again)
    conn = let_in(listener, child)
    for _ in range(3):
        turn(conn, errors=[])
        assert tls_plugin.kcoro_recv_frame(conn, 100) is None
    conn.close()
    output, _ = child.communicate(timeout=10)
    assert "Early data was rejected" in output
    assert "New, TLSv1.3" in output
    conn.abort()


# -- ends, and hostile peers


def pair() -> tuple[TlsConnection, TlsConnection]:
    near, far, errors = meet(party())
    assert errors == []
    assert far is not None
    return near, far


def end_of(conn: TlsConnection) -> str:
    errors: list[str] = []
    give_up = time.monotonic() + 10
    while not errors and time.monotonic() < give_up:
        turn(conn, errors=errors)
    return errors[0]


def test_an_end_without_a_goodbye_is_a_broken_connection() -> None:
    """Somebody on the way may have cut it; a close is told as one."""
    near, far = pair()
    near.sock.close()
    assert "the connection broke: it ended without a goodbye of TLS" in end_of(far)
    far.abort()
    near, far = pair()
    near.close()
    assert "the other side closed the connection" in end_of(far)
    far.close()
    near.abort()


def test_a_frame_that_comes_with_the_last_of_the_handshake_is_there_at_once() -> None:
    """Nothing else will ever come, so that no descriptor would show it."""
    listener = tls_plugin.kcoro_listen("tls:", SERVER)
    near = tls_plugin.kcoro_connect(listener.uri, party())
    while near.connecting:
        if not near.shaking or near.handshake_by is None or not listener.shaking:
            assert listener.accept() is None
            turn(near, listener, errors=[])
        else:
            poll([near.poll()], 0.05)
            near.pump(time.monotonic(), READ | WRITE)
            if near.connecting:
                listener.pump(time.monotonic())
    assert tls_plugin.kcoro_send_frame(near, header(4), [b"data"], 0)
    near.pump(time.monotonic(), WRITE)
    while (far := listener.accept()) is None:
        poll([listener.poll()], 0.05)
        listener.pump(time.monotonic())
    assert tls_plugin.kcoro_recv_frame(far, 100) is not None
    for end in (near, far):
        end.abort()
    listener.close()


def test_bytes_that_somebody_has_changed_end_the_connection() -> None:
    near, far = pair()
    tls_plugin.kcoro_send_frame(near, header(4), [b"data"], 0)
    record = bytearray(near.backlog.pop())
    record[-1] ^= 1
    near.backlog.append(bytes(record))
    near.pump(0.0, WRITE)
    assert "changed on its way" in end_of(far)
    with pytest.raises(TransportError, match="changed on its way"):
        tls_plugin.kcoro_recv_frame(far, 100)
    near.abort()
    far.abort()


def test_what_waits_for_the_kernel_is_bounded() -> None:
    """In bytes as they are sent, a record of TLS more at most."""
    near, far = pair()
    while tls_plugin.kcoro_send_frame(near, header(5000), [bytes(5000)], 0):
        pass
    assert BACKLOG_BYTES - 6000 < near.backlog_bytes <= BACKLOG_BYTES + 100
    near.abort()
    far.abort()


# -- options


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"certfile": ""}, "needs certfile="),
        ({"cafile": ""}, "needs cafile="),
        ({"client_certs": "none"}, 'has to be "required" or "optional"'),
        ({"certfile": "/nowhere.pem"}, "no certificate with its key"),
        ({"cafile": "/etc/hostname"}, "holds no certificates"),
        ({"insecure": True}, "knows no option 'insecure'"),
        ({"certfile": 5}, "has to be a text"),
    ],
)
def test_options_are_checked_before_anything_is_opened(change: Party, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tls_plugin.kcoro_listen("tls:", {**SERVER, **change})


def test_a_subject_cannot_pass_for_another() -> None:
    """What is special in a value has a backslash in front."""
    assert distinguished(((("organizationName", "o"),), (("commonName", "a,O=b"),))) == "CN=a\\,O\\=b,O=o"
    assert distinguished(((("commonName", " #x "),),)) == "CN=\\ #x\\ "


# -- what a link makes of it


def only_the_worker(identity: Identity, name: str, operation: str) -> bool:
    return identity.verified and identity.subject == "CN=worker,OU=tests,O=example" and operation == "recv"


@pytest.mark.parametrize(
    ("who", "rule", "outcome"),
    [
        ("worker", only_the_worker, b"a job"),
        ("other", only_the_worker, AccessDenied),
        ("worker", None, AccessDenied),
    ],
)
def test_a_rule_decides_by_the_subject_and_without_one_nobody_comes_in(who: str, rule: Any, outcome: Any) -> None:
    """That an authority vouches for somebody does not say what he may do here. Row: X18."""
    jobs = channel(BUFFERED, capacity=1)

    async def main() -> object:
        async with serve("tls:", {"jobs": jobs}, rule, **SERVER) as server:
            await jobs.send(b"a job")
            try:
                async with dial(server.uri, **party(who)) as link:
                    assert rule is not None, "somebody heard that he is in"
                    assert link.peer.identity.subject == "CN=server,OU=tests,O=example"
                    return await (await link.open("jobs")).recv()
            except KcoroError as error:
                return type(error)

    assert trio.run(main) == outcome
