# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Addresses ``tcp:host:port``: how they are read, what is looked up, and what may leave this machine (row T2)."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kcoro_core.errors import AccessDenied, AlreadyExists, NotFound, TransportError
from kcoro_core.resolvers import system
from kcoro_core.resolvers.protocol import Place, Question
from kcoro_core.transport import READ
from kcoro_core.transports.host_port import TCP, Address, Target, is_loopback, parse, targets
from kcoro_transport_tcp import plugin
from kcoro_transport_tcp.link import Connection

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp:", "", 0),
        ("tcp::7000", "", 7000),
        ("tcp:127.0.0.1:0", "127.0.0.1", 0),
        ("tcp:[::1]:7000", "::1", 7000),
        ("tcp:[fe80::1%lo]:65535", "fe80::1%lo", 65535),
        ("tcp:jobs.example.org:7000", "jobs.example.org", 7000),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert parse(text) == Address("tcp", host, port)
    assert not parse(text).service


@pytest.mark.parametrize("service", ["kcoro", "X", "a-b-c", "1a", "fifteen-letters"])
def test_a_service_stands_in_place_of_a_port(service: str) -> None:
    """Row: X17."""
    address = parse(f"tcp:jobs.example.org:{service}")
    assert address == Address("tcp", "jobs.example.org", 0, service)
    assert str(address) == f"tcp:jobs.example.org:{service}"


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "[::1]"])
def test_what_is_never_looked_up_offers_no_service(host: str) -> None:
    """Row: X17."""
    with pytest.raises(ValueError, match="'kcoro' is a service, which a name offers"):
        parse(f"tcp:{host}:kcoro")


@pytest.mark.parametrize(
    "text",
    [
        *("tcp:7000", "tcp:host", "tcp:host:", "tcp:host:-x", "tcp:host:65536", "tcp:host:-1", "tcp:host:\u0663"),
        *("tcp:host:a--b", "tcp:host:a-", "tcp:host:a_b", "tcp:host:sixteen-letters-", "tcp:host:sixteen-letters1"),
        *("tcp:::1:7000", "tcp:[::1]", "tcp:[host]:7000", "tcp:[127.0.0.1]:1", "tcp:a b:1", "tcp://host:7000"),
        *("tcp:user@host:7000", "tcp:host/path:7000", "tcp:host?x=1:7000"),
    ],
)
def test_what_is_no_address_is_refused_with_one_that_is(text: str) -> None:
    for call in (plugin.kcoro_connect, plugin.kcoro_listen):
        with pytest.raises(ValueError, match="tcp:"):
            call(text, {})


def test_nobody_connects_to_no_port() -> None:
    with pytest.raises(ValueError, match="has to name the port of a server"):
        plugin.kcoro_connect("tcp:", {})


def test_what_is_numeric_or_this_machine_is_never_looked_up() -> None:
    assert targets(parse("tcp:localhost:7"), TCP) == [Target(V4, ("127.0.0.1", 7)), Target(V6, ("::1", 7, 0, 0))]
    assert targets(parse("tcp::7"), TCP) == [Target(V4, ("127.0.0.1", 7))]
    assert targets(parse("tcp:[::1]:7"), TCP) == [Target(V6, ("::1", 7, 0, 0))]
    assert targets(parse("tcp:jobs.example.org:7"), TCP) == []


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("fe80::1%lo", False), ("::ffff:10.0.0.1", False)),
        ("localhost", False),
    ],
)
def test_loopback_is_known_by_its_number_alone(host: str, local: bool) -> None:
    assert is_loopback(host) is local


# -- what may leave this machine


@pytest.mark.parametrize("text", ["tcp:10.0.0.1:7", "tcp:0.0.0.0:7", "tcp:[::]:7", "tcp:[2001:db8::1]:7"])
def test_clear_text_does_not_leave_this_machine(text: str) -> None:
    """Neither by connecting nor by listening, and the error has both ways out. Row: X18."""
    for call in (plugin.kcoro_connect, plugin.kcoro_listen):
        with pytest.raises(AccessDenied, match=r"use tls:, or pass insecure=True"):
            call(text, {})


def test_clear_text_leaves_where_somebody_says_that_it_may() -> None:
    listener = plugin.kcoro_listen("tcp:0.0.0.0:0", {"insecure": True})
    assert listener.uri.startswith("tcp:0.0.0.0:")
    port = listener.uri.rpartition(":")[2]
    conn = plugin.kcoro_connect(f"tcp:0.0.0.0:{port}", {"insecure": True})
    conn.abort()
    listener.close()


# -- names


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Have every name lead to these places, or fail; or to nowhere until the end of the test."""
    held = threading.Event()

    def lead(*places: Place, error: OSError | None = None, hold: bool = False) -> None:
        def looked_up(_question: Question) -> list[Place]:
            if hold:
                held.wait()
            if error is not None:
                raise error
            return list(places)

        monkeypatch.setattr(system, "looked_up", looked_up)

    yield lead
    held.set()


def drive(conn: Connection, seconds: float = 10.0) -> None:
    """Pump with what is announced until it is connected, or has ended."""
    now = 100.0
    while conn.connecting and conn.end is None:
        spec = conn.poll()
        assert spec.fd is not None
        if not spec.ready_now:
            wait(spec.fd, spec.want, seconds)
        try:
            conn.pump(now, spec.want)
        except TransportError:
            return


def wait(fd: int, want: int, seconds: float) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLIN if want == READ else select.POLLOUT)
    assert poller.poll(seconds * 1000), "nothing shows on the descriptor that was announced"


def test_a_name_is_looked_up_and_its_answer_shows_on_a_descriptor(names: Any) -> None:
    listener = plugin.kcoro_listen("tcp:", {})
    names(listener.sock.getsockname())
    conn = plugin.kcoro_connect("tcp:jobs.example.org:7000", {})
    drive(conn)
    assert conn.end is None
    assert not conn.connecting
    conn.abort()
    listener.close()


def test_the_next_address_is_tried_when_one_refuses(names: Any) -> None:
    listener, gone = plugin.kcoro_listen("tcp:", {}), plugin.kcoro_listen("tcp:", {})
    closed = gone.sock.getsockname()
    gone.close()
    names(closed, closed, listener.sock.getsockname())
    conn = plugin.kcoro_connect("tcp:jobs.example.org:7000", {})
    drive(conn)
    assert conn.end is None
    assert conn.sock.getpeername() == listener.sock.getsockname()
    conn.abort()
    listener.close()


def test_a_name_that_nobody_knows_is_told_with_the_reason(names: Any) -> None:
    names(error=socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    conn = plugin.kcoro_connect("tcp:jobs.example.org:7000", {})
    drive(conn)
    assert "tcp:jobs.example.org:7000: the name cannot be looked up: system: jobs.example.org: Name or service" in str(
        conn.end
    )
    conn.abort()


def test_a_look_up_that_takes_too_long_is_not_waited_for(names: Any) -> None:
    """Nobody was held up by it, and nothing of it is left but its thread."""
    names(hold=True)
    conn = plugin.kcoro_connect("tcp:jobs.example.org:7000", {"connect_timeout": 3.0})
    conn.pump(100.0, 0)
    assert conn.poll().deadline == 103.0
    assert conn.poll().want == READ
    assert plugin.kcoro_send_frame(conn, bytes(20), [], 0) is False
    with pytest.raises(TransportError, match="the name is still being looked up after 3 s"):
        conn.pump(103.0, 0)
    conn.abort()
    assert conn.sock.fileno() == -1


def test_a_name_that_leads_outside_is_no_way_around_the_rule(names: Any) -> None:
    """Row: X18."""
    names(("127.0.0.1", 7), ("10.0.0.1", 7))
    conn = plugin.kcoro_connect("tcp:jobs.example.org:7", {})
    drive(conn)
    assert "10.0.0.1:7: everybody on the way could read" in str(conn.end)
    conn.abort()


# -- listening


def test_a_port_of_zero_is_chosen_and_told() -> None:
    for host in ("127.0.0.1", "[::1]"):
        listener = plugin.kcoro_listen(f"tcp:{host}:0", {})
        assert plugin.kcoro_local_uri(listener) == f"tcp:{host}:{listener.sock.getsockname()[1]}"
        listener.close()


def test_two_servers_do_not_share_a_port_and_the_next_one_gets_it_at_once() -> None:
    """Also when connections of the first have just been closed by it."""
    first = plugin.kcoro_listen("tcp:", {})
    with pytest.raises(AlreadyExists, match="stop the other server or take another port"):
        plugin.kcoro_listen(first.uri, {})
    conn = plugin.kcoro_connect(first.uri, {})
    drive(conn)
    accepted = first.accept()
    assert accepted is not None
    accepted.close()
    conn.close()
    accepted.abort()
    first.close()
    plugin.kcoro_listen(first.uri, {}).close()


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("tcp:192.0.2.1:0", NotFound, "this machine has no such address"),
        ("tcp:jobs.example.org:0", ValueError, "listens at a numeric address"),
    ],
)
def test_where_nobody_can_listen_is_told(uri: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        plugin.kcoro_listen(uri, {"insecure": True})
