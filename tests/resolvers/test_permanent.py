# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What no waiting mends is raised at the first attempt, however patient whoever dials is; everything else is not.

Row: X17.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kcoro_core import AccessDenied, TransportError, dial, plugins, serve
from kcoro_transport_quic.quic import is_permanent as is_permanent_in_quic
from kcoro_transport_tcp.tls import is_permanent as is_permanent_in_tls

from ..transports.certificates import Party, party, trusted_file
from ..transports.quic_ends import Alone

FOR_EVER = 3600.0
LITTLE = 1.0
"""Seconds in which there are several attempts: the first pauses are of milliseconds."""
ANOTHER = ("elsewhere.example",)


class Attempts:
    """Counts how often somebody has begun to connect."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = plugins.transport

        def counted(uri: str) -> Any:
            vtable = real(uri)

            def connect(uri: str, config: Any) -> Any:
                self.count += 1
                return vtable.connect(uri, config)

            return attrs.evolve(vtable, connect=connect)

        monkeypatch.setattr(plugins, "transport", counted)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    return Attempts(monkeypatch)


async def dialled(uri: str, patience: float, options: Party) -> None:
    with trio.fail_after(30):
        async with dial(uri, authorize=lambda *_: True, patience=patience, **options):
            pass


def trusting(scheme: str, **who: Any) -> Party:
    """The options of whoever dials; a client of ``quic:`` has no certificate."""
    made = party(**who)
    return made if scheme == "tls" else {"cafile": made["cafile"]}


def server_of(scheme: str, **who: Any) -> Party:
    made = party("server", **who)
    return made if scheme == "tls" else made | {"cafile": ""}


# -- a real server, refused by whoever dials, or refusing him


SERVERS: dict[str, dict[str, Any]] = {
    "of an authority that nobody trusts": {"by": "theirs"},
    "of another name": {"hosts": ANOTHER},
    "whose certificate has expired": {"expired": True},
}


@pytest.mark.parametrize("scheme", ["tls", "quic"])
@pytest.mark.parametrize("who", SERVERS)
def test_a_server_that_is_refused_is_dialled_once(scheme: str, who: str, attempts: Attempts) -> None:
    """Row: X17."""

    async def main() -> None:
        async with serve(f"{scheme}:", authorize=lambda *_: True, **server_of(scheme, **SERVERS[who])) as server:
            await dialled(server.uri, FOR_EVER, trusting(scheme))

    with pytest.raises(TransportError, match="certificate") as caught:
        trio.run(main)
    assert caught.value.permanent
    assert attempts.count == 1


CLIENTS: dict[str, Party] = {
    "without a certificate": {"certfile": "", "keyfile": "", "cafile": trusted_file("ours")},
    "of an authority that nobody trusts": party(by="theirs"),
    "whose certificate has expired": party(expired=True),
}


@pytest.mark.parametrize("who", CLIENTS)
def test_whoever_is_refused_by_the_server_does_not_ask_again(who: str, attempts: Attempts) -> None:
    """Which he hears when his own handshake is over already. Row: X17."""

    async def main() -> None:
        async with serve("tls:", authorize=lambda *_: True, **party("server")) as server:
            await dialled(server.uri, FOR_EVER, CLIENTS[who])

    with pytest.raises(TransportError, match=r"our certificate|wants a certificate") as caught:
        trio.run(main)
    assert caught.value.permanent
    assert attempts.count == 1


# -- somebody who is no kcoro program


@contextmanager
def serving(each: Callable[[socket.socket], None]) -> Iterator[int]:
    """A thread that handles whoever comes, one after the other; its port."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port: int = listener.getsockname()[1]
        leaving = threading.Event()

        def run() -> None:
            while True:
                conn, _ = listener.accept()
                with conn, suppress(OSError):
                    if leaving.is_set():
                        return
                    each(conn)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield port
        finally:
            leaving.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


def speaks_tls_of_another_kind(conn: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made = party("server")
    context.load_cert_chain(made["certfile"], made["keyfile"])
    with context.wrap_socket(conn, server_side=True) as tls:
        tls.recv(100)


def speaks_no_tls(conn: socket.socket) -> None:
    conn.recv(10_000)
    conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


OTHERS: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "does not name our protocol": (speaks_tls_of_another_kind, "ALPN"),
    "does not speak TLS": (speaks_no_tls, "does not speak TLS"),
}


@pytest.mark.parametrize("who", OTHERS)
def test_a_server_of_something_else_is_dialled_once(who: str, attempts: Attempts) -> None:
    """Row: X17."""
    each, says = OTHERS[who]
    with serving(each) as port, pytest.raises(TransportError, match=says) as caught:
        trio.run(dialled, f"tls:127.0.0.1:{port}", FOR_EVER, party())
    assert caught.value.permanent
    assert attempts.count == 1


def test_a_server_of_something_else_over_quic_is_dialled_once(attempts: Attempts) -> None:
    """Row: X17."""
    server = Alone("qh3", ["h3"], is_client=False)
    made = party("server")
    server.settings.load_cert_chain(made["certfile"], made["keyfile"])
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            server.turn()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with pytest.raises(TransportError, match="ALPN") as caught:
            trio.run(dialled, f"quic:127.0.0.1:{server.sock.getsockname()[1]}", FOR_EVER, trusting("quic"))
    finally:
        over.set()
        thread.join()
        server.close()
    assert caught.value.permanent
    assert attempts.count == 1


# -- names and files


def test_a_name_that_leads_outside_in_clear_text_is_dialled_once(
    attempts: Attempts, tmp_path: Path, configure: Any
) -> None:
    """Row: X17."""
    names = tmp_path / "names.toml"
    names.write_text('"jobs.example" = ["10.0.0.1"]')
    configure(resolver="file", names=names)
    with pytest.raises(TransportError, match="everybody on the way") as caught:
        trio.run(dialled, "tcp:jobs.example:7000", FOR_EVER, {})
    assert caught.value.permanent
    assert attempts.count == 1


NEVER = {
    "no file is named": {"resolver": "file"},
    "a file that is none": {"resolver": "file", "names": "/"},
    "a service, and only the system to ask": {"resolver": "system"},
    "servers that are none": {"resolver": "dns", "dns_servers": "ns.example"},
    "several that will never know it": {"resolver": "file,system"},
}


@pytest.mark.parametrize("scheme", ["tcp", "tls", "quic"])
@pytest.mark.parametrize("why", NEVER)
def test_a_name_that_nobody_here_will_ever_know_is_looked_up_once(
    why: str, scheme: str, attempts: Attempts, configure: Any
) -> None:
    """Row: X17."""
    configure(**NEVER[why])
    with pytest.raises(TransportError, match="the name cannot be looked up") as caught:
        trio.run(dialled, f"{scheme}:jobs.example:kcoro", FOR_EVER, {} if scheme == "tcp" else trusting(scheme))
    assert caught.value.permanent
    assert attempts.count == 1


@pytest.mark.parametrize("scheme", ["tls", "quic"])
def test_a_certificate_file_that_cannot_be_read_is_told_at_once(scheme: str, attempts: Attempts) -> None:
    """As misuse, before anything is sent. Row: X17."""
    with pytest.raises(ValueError, match="holds no certificates"):
        trio.run(dialled, f"{scheme}:127.0.0.1:7", FOR_EVER, {"cafile": "/nowhere/ca.pem"})
    assert attempts.count == 1


# -- what waiting may mend


MAY_COME: dict[str, dict[str, Any]] = {
    "a file that is not there": {"resolver": "file", "names": "/nowhere/names.toml"},
    "one of two who may know it": {"resolver": "system,file", "names": "/nowhere/names.toml"},
}


@pytest.mark.parametrize("why", MAY_COME)
def test_a_name_that_may_come_is_looked_up_again(why: str, attempts: Attempts, configure: Any) -> None:
    """Row: X17."""
    configure(**MAY_COME[why])
    with pytest.raises(TransportError, match="the name cannot be looked up") as caught:
        trio.run(dialled, "tcp:jobs.example:kcoro", LITTLE, {})
    assert not caught.value.permanent
    assert attempts.count > 1


def test_a_file_that_somebody_is_just_writing_is_read_again(attempts: Attempts, tmp_path: Path, configure: Any) -> None:
    """Row: X17."""
    names = tmp_path / "names.toml"
    names.write_text('"jobs.exam')
    configure(resolver="file", names=names)
    with pytest.raises(TransportError, match="is no TOML"):
        trio.run(dialled, "tcp:jobs.example:7000", LITTLE, {})
    assert attempts.count > 1


def leaves_at_once(_conn: socket.socket) -> None:
    """A server that is being started, or stopped."""


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_server_that_leaves_within_the_handshake_is_dialled_again(scheme: str, attempts: Attempts) -> None:
    """Row: X17."""
    options = party() if scheme == "tls" else {}
    with serving(leaves_at_once) as port, pytest.raises(TransportError) as caught:
        trio.run(dialled, f"{scheme}:127.0.0.1:{port}", LITTLE, options)
    assert not caught.value.permanent
    assert attempts.count > 1


def test_what_somebody_has_changed_and_what_is_too_early_may_become_better() -> None:
    """Two clocks may differ for a while. Row: X17."""
    early, late = ssl.SSLCertVerificationError(), ssl.SSLCertVerificationError()
    early.verify_code, late.verify_code = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
    assert not is_permanent_in_tls(early)
    assert is_permanent_in_tls(late)
    changed = ssl.SSLError()
    changed.reason = "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    assert not is_permanent_in_tls(changed)
    assert [is_permanent_in_quic(code) for code in (0, 1, 0x100 + 42, 0x100 + 80)] == [False, False, True, False]


def test_to_be_of_another_user_was_never_tried_again(attempts: Attempts) -> None:
    """Any other error than that of a transport is raised at once, as before. Row: X17."""
    with pytest.raises(AccessDenied, match="everybody on the way"):
        trio.run(dialled, "tcp:10.0.0.1:7000", FOR_EVER, {})
    assert attempts.count == 1
