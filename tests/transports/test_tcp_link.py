# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over TCP: how it is made, what it is set to, hostile bytes, and every way to end (row T2)."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from kcoro_core import BUFFERED, channel, dial, serve
from kcoro_core.errors import NotSupported, ProtocolError, TransportError
from kcoro_core.testing.transport_kit.bench import header, numbered
from kcoro_core.transport import COMMIT_BYTES, READ, WRITE, PollSpec
from kcoro_core.transports.stream import BACKLOG_BYTES, LINGER_SECONDS
from kcoro_transport_tcp import plugin
from kcoro_transport_tcp.link import Connection
from kcoro_transport_tcp.listener import Listener

BOTH = READ | WRITE


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = plugin.kcoro_listen("tcp:", {})
    yield listener
    listener.close()


@pytest.fixture
def raw(listener: Listener) -> Iterator[socket.socket]:
    """A peer that speaks bytes and no frames."""
    with socket.create_connection(listener.sock.getsockname(), timeout=10) as sock:
        yield sock


@pytest.fixture
def conn(raw: socket.socket, listener: Listener) -> Iterator[Connection]:
    """Our end of the connection with that peer."""
    readable(listener.sock)
    conn = listener.accept()
    assert conn is not None
    yield conn
    conn.abort()


def readable(sock: socket.socket) -> None:
    """Wait until it is: loopback is quick, and no promise."""
    assert select.select([sock], [], [], 10)[0], "nothing came"


def some(raw: socket.socket, conn: Connection) -> bytes:
    """A few bytes, once they are there, or once the other end can write more."""
    came, _, _ = select.select([raw], [conn.sock], [], 10)
    return raw.recv(777) if came else b""


def encoded(count: int, size: int) -> bytes:
    return b"".join(frame.header + frame.payload for frame in numbered(count, size))


def until_ended(conn: Connection) -> None:
    """Pump until that raises."""
    for _ in range(1000):
        conn.pump(0.0, WRITE)


# -- sending


@pytest.mark.parametrize("size", [0, 1, 1000, 60_000])
def test_partial_writes_never_tear_a_frame(conn: Connection, raw: socket.socket, size: int) -> None:
    """The peer reads a few bytes at a time; what comes out is exactly what was accepted."""
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    frames = numbered(40, size)
    got = bytearray()
    for frame in frames:
        parts = [frame.payload[: size // 3], frame.payload[size // 3 :]]
        while not plugin.kcoro_send_frame(conn, frame.header, parts, 0):
            got += some(raw, conn)
            conn.pump(0.0, WRITE)
    while len(got) < 40 * (20 + size):
        conn.pump(0.0, WRITE)
        got += some(raw, conn)
    assert bytes(got) == encoded(40, size)
    assert conn.backlog_bytes == 0


def test_what_waits_for_the_kernel_is_bounded(conn: Connection, raw: socket.socket) -> None:
    [frame] = numbered(1, 5000)
    while plugin.kcoro_send_frame(conn, frame.header, [frame.payload], 0):
        pass
    assert BACKLOG_BYTES - 5020 < conn.backlog_bytes <= BACKLOG_BYTES
    assert plugin.kcoro_tx_backlog(conn) == conn.backlog_bytes


# -- receiving


@pytest.mark.parametrize("step", [19, 21, 4096])
def test_frames_come_out_whole_however_they_arrive(conn: Connection, raw: socket.socket, step: int) -> None:
    data = encoded(5, 30)
    got = []
    for start in range(0, len(data), step):
        raw.sendall(data[start : start + step])
        readable(conn.sock)
        conn.pump(0.0, READ)
        while (frame := plugin.kcoro_recv_frame(conn, 100)) is not None:
            got.append(frame)
    assert got == numbered(5, 30)


def test_a_length_that_lies_is_refused_by_its_header(conn: Connection, raw: socket.socket) -> None:
    """And nothing more is read from whoever says so."""
    raw.sendall(b"\xff\xff\xff\xff" + bytes(16))
    readable(conn.sock)
    conn.pump(0.0, READ)
    with pytest.raises(ProtocolError, match="4294967295"):
        plugin.kcoro_recv_frame(conn, 1 << 24)
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=0)


def test_an_end_inside_a_frame_names_the_peer(conn: Connection, raw: socket.socket) -> None:
    port = raw.getsockname()[1]
    raw.sendall(encoded(1, 30)[:45])
    raw.close()
    while conn.end is None:
        readable(conn.sock)
        conn.pump(0.0, READ)
        assert plugin.kcoro_recv_frame(conn, 100) is None
        if conn.decoder.buffered == 45:
            break
    readable(conn.sock)
    with pytest.raises(TransportError, match=f"tcp:127.0.0.1:{port}: the connection broke inside a frame"):
        conn.pump(0.0, READ)


def test_a_reset_is_an_end_that_names_peer_and_cause(conn: Connection, raw: socket.socket) -> None:
    port = raw.getsockname()[1]
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raw.close()
    readable(conn.sock)
    with pytest.raises(TransportError, match=f"tcp:127.0.0.1:{port}: the connection broke: Connection reset"):
        conn.pump(0.0, READ)
    with pytest.raises(TransportError, match="Connection reset"):
        plugin.kcoro_send_frame(conn, header(0), [], 0)


# -- connecting


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_both_families_carry_frames_and_both_ends_are_set_to_be_quick(host: str) -> None:
    """No waiting for more to send, little unsent in the kernel, and a look whether the other host is alive."""
    listener = plugin.kcoro_listen(f"tcp:{host}:0", {})
    near = plugin.kcoro_connect(listener.uri, {})
    readable(listener.sock)
    far = listener.accept()
    assert far is not None
    [frame] = numbered(1, 10)
    assert plugin.kcoro_send_frame(near, frame.header, [frame.payload], 0) is True
    near.pump(0.0, WRITE)
    readable(far.sock)
    far.pump(0.0, READ)
    assert plugin.kcoro_recv_frame(far, 100) == frame
    for end in (near, far):
        assert end.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert end.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == COMMIT_BYTES
        assert not end.sock.get_inheritable()
        assert plugin.kcoro_peer(end).kind == "none"
        end.abort()
    listener.close()


def test_a_refusal_names_the_address_and_what_to_look_at(listener: Listener) -> None:
    uri = listener.uri
    listener.close()
    conn = plugin.kcoro_connect(uri, {})
    with pytest.raises(TransportError, match=f"{uri}: nobody can be reached: .*refused; is the server running"):
        until_ended(conn)
    conn.abort()


def test_who_does_not_answer_is_given_up_in_time() -> None:
    """A full queue: the kernel answers nothing at all."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        callers = []
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
            callers.append(caller)
        conn = plugin.kcoro_connect(f"tcp:127.0.0.1:{server.getsockname()[1]}", {"connect_timeout": 2.0})
        assert conn.poll().ready_now
        conn.pump(100.0, 0)
        assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=WRITE, deadline=102.0)
        assert plugin.kcoro_send_frame(conn, header(0), [], 0) is False
        conn.pump(101.9, 0)
        with pytest.raises(TransportError, match=r"no answer within 2 s"):
            conn.pump(102.0, 0)
        for end in (conn, *callers):
            end.close()


def test_a_socket_that_meets_itself_has_met_nobody() -> None:
    """TCP connects a port with itself where no server is and the kernel happens to choose that port for our end."""
    conn = plugin.kcoro_connect("tcp:127.0.0.1:1", {})
    conn.sock.close()
    conn.sock = socket.socket()
    conn.sock.bind(("127.0.0.1", 0))
    conn.sock.connect(conn.sock.getsockname())
    with pytest.raises(TransportError, match="Connection refused"):
        conn.pump(0.0, WRITE)
    conn.abort()


# -- ending


def test_a_close_waits_for_the_other_end_and_drops_what_still_comes(conn: Connection, raw: socket.socket) -> None:
    """So that no reset overtakes the last frame."""
    plugin.kcoro_send_frame(conn, header(7), [b"goodbye"], 0)
    conn.close()
    assert not conn.closed
    raw.sendall(b"x" * 100_000)
    readable(conn.sock)
    conn.pump(50.0, READ)
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=READ, deadline=50.0 + LINGER_SECONDS)
    assert raw.recv(100) == header(7) + b"goodbye"
    assert raw.recv(100) == b""
    raw.close()
    while not conn.closed:
        readable(conn.sock)
        conn.pump(50.1, READ)
    assert conn.poll() == PollSpec()


def test_a_close_waits_no_longer_than_it_says(conn: Connection, raw: socket.socket) -> None:
    conn.close()
    assert conn.poll().ready_now
    conn.pump(50.0, 0)
    assert not conn.closed
    conn.pump(50.0 + LINGER_SECONDS, 0)
    assert conn.closed


def test_a_close_that_cannot_finish_can_be_given_up(conn: Connection, raw: socket.socket) -> None:
    """The peer never reads: the rest waits for room, and abort gives everything back at once."""
    [frame] = numbered(1, 4096)
    while True:
        conn.pump(0.0, WRITE)
        if not plugin.kcoro_send_frame(conn, frame.header, [frame.payload], 0):
            break
    conn.close()
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=WRITE)
    conn.abort()
    assert conn.closed
    assert conn.poll() == PollSpec()
    assert plugin.kcoro_tx_backlog(conn) == 0


# -- options, and what a link makes of it


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"nodelay": True}, "knows no option 'nodelay'; it knows: backlog, connect_timeout, insecure"),
        ({"connect_timeout": 0}, "has to be a number above 0"),
        ({"backlog": True}, "has to be a number above 0"),
        ({"insecure": 1}, "has to be True or False"),
    ],
)
def test_options_are_checked_before_anything_is_opened(config: dict[str, Any], words: str) -> None:
    for call in (plugin.kcoro_connect, plugin.kcoro_listen):
        with pytest.raises(ValueError, match=words):
            call("tcp:127.0.0.1:7", config)


def test_a_server_that_cannot_tell_who_comes_needs_a_rule() -> None:
    """Row: X18."""

    async def main() -> None:
        async with serve("tcp:", export={}):
            pytest.fail("a server listens that knows nobody and asks nobody")

    with pytest.raises(NotSupported, match="cannot tell who connects, so a server over it needs authorize="):
        trio.run(main)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_over_tcp(there: bool) -> None:
    """With a server that is there, and with one that is not."""
    jobs = channel(BUFFERED, capacity=4)

    async def main() -> None:
        async with serve("tcp:", {"jobs": jobs.receiver()}, authorize=lambda *_: True) as server:
            uri = server.uri
            if there:
                async with dial(uri) as link:
                    await jobs.send(b"first")
                    assert await (await link.open("jobs")).recv() == b"first"
        if not there:
            with pytest.raises(TransportError, match="is the server running"):
                async with dial(uri):
                    pytest.fail("nobody was there")

    trio.run(main)
