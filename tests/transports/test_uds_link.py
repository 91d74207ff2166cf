# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over a Unix socket: torn writes, hostile bytes, full queues, and every way to end (row T2)."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from kcoro_core.errors import ProtocolError, TransportError
from kcoro_core.testing.transport_kit.bench import header, numbered
from kcoro_core.transport import READ, WRITE, PollSpec
from kcoro_transport_uds import plugin
from kcoro_transport_uds.link import BACKLOG_BYTES, READ_BYTES, Connection
from kcoro_transport_uds.listener import PAUSE_SECONDS, Listener

BOTH = READ | WRITE


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = plugin.kcoro_listen("uds:", {})
    yield listener
    listener.close()


@pytest.fixture
def raw(listener: Listener) -> Iterator[socket.socket]:
    """A peer that speaks bytes and no frames."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(listener.place.path)
        sock.settimeout(10)
        yield sock


@pytest.fixture
def conn(raw: socket.socket, listener: Listener) -> Iterator[Connection]:
    """Our end of the connection with that peer."""
    conn = listener.accept()
    assert conn is not None
    yield conn
    conn.abort()


def encoded(count: int, size: int) -> bytes:
    return b"".join(frame.header + frame.payload for frame in numbered(count, size))


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
            got += raw.recv(777)
            conn.pump(0.0, WRITE)
    while len(got) < 40 * (20 + size):
        conn.pump(0.0, WRITE)
        got += raw.recv(777)
    assert bytes(got) == encoded(40, size)
    assert conn.backlog_bytes == 0


def test_what_waits_for_the_kernel_is_bounded(conn: Connection, raw: socket.socket) -> None:
    [frame] = numbered(1, 5000)
    while plugin.kcoro_send_frame(conn, frame.header, [frame.payload], 0):
        pass
    assert BACKLOG_BYTES - 5020 < conn.backlog_bytes <= BACKLOG_BYTES
    assert plugin.kcoro_tx_backlog(conn) == conn.backlog_bytes


def test_writing_is_waited_for_only_while_something_waits(conn: Connection, raw: socket.socket) -> None:
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=READ)
    plugin.kcoro_send_frame(conn, header(0), [], 0)
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=BOTH)
    conn.pump(0.0, WRITE)
    assert conn.poll().want == READ


def test_a_peer_that_left_can_still_be_heard(conn: Connection, raw: socket.socket) -> None:
    """Its last frames are received although our own can not be sent any more."""
    raw.sendall(encoded(3, 10))
    raw.close()
    plugin.kcoro_send_frame(conn, header(0), [], 0)
    conn.pump(0.0, WRITE)
    with pytest.raises(TransportError, match="does not take frames any more") as first:
        plugin.kcoro_send_frame(conn, header(0), [], 0)
    conn.pump(0.0, READ)
    assert [plugin.kcoro_recv_frame(conn, 100) for _ in range(3)] == numbered(3, 10)
    assert plugin.kcoro_recv_frame(conn, 100) is None
    with pytest.raises(TransportError) as second:
        conn.pump(0.0, READ)
    assert second.value is first.value


# -- receiving


@pytest.mark.parametrize("step", [1, 19, 20, 21, 4096])
def test_frames_come_out_whole_however_they_arrive(conn: Connection, raw: socket.socket, step: int) -> None:
    data = encoded(5, 30)
    got = []
    for start in range(0, len(data), step):
        raw.sendall(data[start : start + step])
        conn.pump(0.0, READ)
        while (frame := plugin.kcoro_recv_frame(conn, 100)) is not None:
            got.append(frame)
    assert got == numbered(5, 30)


def test_a_length_that_lies_costs_nothing(conn: Connection, raw: socket.socket) -> None:
    """Four gigabytes announced: refused by the header alone, again and again, and nothing more is read."""
    raw.sendall(b"\xff\xff\xff\xff" + bytes(16) + b"x" * 1000)
    tracemalloc.start()
    conn.pump(0.0, READ)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="4294967295"):
            plugin.kcoro_recv_frame(conn, 1 << 24)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * READ_BYTES
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=0)
    conn.pump(0.0, READ)
    assert conn.decoder.buffered == 1020


def test_a_reader_that_does_not_take_frames_makes_nobody_read_more(conn: Connection, raw: socket.socket) -> None:
    raw.setblocking(False)
    data = encoded(100, 4000)
    while data:
        try:
            data = data[raw.send(data) :]
        except BlockingIOError:
            break
        conn.pump(0.0, READ)
    assert data, "the peer could send everything although nobody took a frame"
    assert conn.decoder.buffered <= READ_BYTES
    assert conn.poll().ready_now
    assert not conn.poll().want & READ


def test_an_end_inside_a_frame_is_told_as_such(conn: Connection, raw: socket.socket) -> None:
    raw.sendall(encoded(2, 30)[:75])
    raw.close()
    conn.pump(0.0, READ)
    assert plugin.kcoro_recv_frame(conn, 100) == numbered(1, 30)[0]
    assert plugin.kcoro_recv_frame(conn, 100) is None
    with pytest.raises(TransportError, match="broke inside a frame"):
        conn.pump(0.0, READ)


def test_a_reset_is_an_end_like_any_other(conn: Connection, raw: socket.socket) -> None:
    """The peer closed without reading what we sent."""
    plugin.kcoro_send_frame(conn, header(4), [b"lost"], 0)
    conn.pump(0.0, WRITE)
    raw.close()
    with pytest.raises(TransportError, match="the connection broke: Connection reset"):
        conn.pump(0.0, READ)


# -- connecting


@pytest.fixture
def busy() -> Iterator[tuple[str, socket.socket]]:
    """A server that does not accept, with its queue full."""
    with tempfile.TemporaryDirectory(prefix="kc-") as home, socket.socket(socket.AF_UNIX) as server:
        path = f"{home}/busy.sock"
        server.bind(path)
        server.listen(0)
        callers: list[socket.socket] = []
        while True:
            caller = socket.socket(socket.AF_UNIX)
            caller.setblocking(False)
            callers.append(caller)
            if caller.connect_ex(path) == errno.EAGAIN:
                break
        yield path, server
        for caller in callers:
            caller.close()


def test_a_full_queue_is_tried_again_until_there_is_room(busy: Any) -> None:
    """Nothing can be sent meanwhile, and the next try has a time."""
    path, server = busy
    conn = plugin.kcoro_connect(f"uds:{path}", {})
    assert conn.poll().ready_now
    conn.pump(100.0, 0)
    assert plugin.kcoro_send_frame(conn, header(0), [], 0) is False
    assert conn.poll() == PollSpec(deadline=100.005)
    conn.pump(100.001, BOTH)
    assert conn.poll() == PollSpec(deadline=100.005)
    conn.pump(100.005, 0)
    assert conn.poll() == PollSpec(deadline=pytest.approx(100.015))
    assert plugin.kcoro_peer(conn).kind == "none"
    server.accept()[0].close()
    conn.pump(100.02, 0)
    assert plugin.kcoro_send_frame(conn, header(0), [], 0) is True
    assert plugin.kcoro_peer(conn).uid == os.getuid()
    conn.abort()


def test_a_queue_that_stays_full_ends_the_patience(busy: Any) -> None:
    path, _ = busy
    conn = plugin.kcoro_connect(f"uds:{path}", {"connect_timeout": 2.0})
    conn.pump(100.0, 0)
    while (now := conn.poll().deadline or 0.0) < 102.0:
        conn.pump(now, 0)
    assert now < 102.2
    with pytest.raises(TransportError, match=r"has not accepted anybody for 2.0 s; it is overloaded"):
        conn.pump(now, 0)
    conn.abort()


# -- accepting


class Short:
    """A listening socket in a process that has no descriptor to spare."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def accept(self) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


def test_a_shortage_of_descriptors_pauses_instead_of_spinning(listener: Listener) -> None:
    """The listener stays readable all the while, so that waiting for it would return at once, for ever."""
    conn = plugin.kcoro_connect(f"uds:{listener.place.path}", {})
    sock, listener.sock = listener.sock, Short(listener.sock)  # type: ignore[assignment]
    listener.pump(50.0)
    assert listener.accept() is None
    assert listener.poll() == PollSpec(deadline=50.0 + PAUSE_SECONDS)
    listener.sock = sock
    assert listener.accept() is None
    listener.pump(50.0 + PAUSE_SECONDS)
    assert listener.poll() == PollSpec(fd=sock.fileno(), want=READ)
    accepted = listener.accept()
    assert accepted is not None
    accepted.abort()
    conn.abort()


# -- ending


def test_a_close_that_cannot_finish_can_be_given_up(conn: Connection, raw: socket.socket) -> None:
    """The peer never reads: the rest waits for room, and abort gives everything back at once."""
    [frame] = numbered(1, 4096)
    while plugin.kcoro_send_frame(conn, frame.header, [frame.payload], 0):
        pass
    conn.close()
    assert conn.poll() == PollSpec(fd=conn.sock.fileno(), want=WRITE)
    conn.pump(0.0, WRITE)
    assert not conn.closed
    conn.abort()
    assert conn.closed
    assert conn.poll() == PollSpec()
    assert plugin.kcoro_tx_backlog(conn) == 0


def test_a_close_hands_over_at_once_what_the_kernel_takes(conn: Connection, raw: socket.socket) -> None:
    plugin.kcoro_send_frame(conn, header(7), [b"goodbye"], 0)
    conn.close()
    assert conn.closed
    assert raw.recv(100) == header(7) + b"goodbye"


def test_a_close_of_an_idle_connection_is_done_at_once(conn: Connection, raw: socket.socket) -> None:
    conn.close()
    assert conn.closed
    assert raw.recv(10) == b""


def test_sockets_are_not_inherited_by_children(conn: Connection, listener: Listener) -> None:
    assert not conn.sock.get_inheritable()
    assert not listener.sock.get_inheritable()


# -- options


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"sndbuf": 1}, "knows no option 'sndbuf'; it knows: backlog, connect_timeout, sndbuf_bytes"),
        ({"sndbuf_bytes": 0}, "has to be a number above 0"),
        ({"backlog": "5"}, "has to be a number above 0"),
        ({"backlog": True}, "has to be a number above 0"),
    ],
)
def test_options_are_checked_before_anything_is_opened(config: dict[str, Any], words: str) -> None:
    for call in (plugin.kcoro_connect, plugin.kcoro_listen):
        with pytest.raises(ValueError, match=words):
            call("uds:/nowhere/a.sock", config)


def test_the_send_buffer_can_be_chosen(listener: Listener) -> None:
    """The kernel keeps twice what it is asked for. Row: CF4."""
    conn = plugin.kcoro_connect(f"uds:{listener.place.path}", {"sndbuf_bytes": 32768})
    assert conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 32768
    conn.abort()


def test_the_backlog_can_be_chosen() -> None:
    """Row: CF4."""
    waiting = {}
    for backlog in (1, 8):
        listener = plugin.kcoro_listen("uds:", {"backlog": backlog})
        conns = [plugin.kcoro_connect(f"uds:{listener.place.path}", {}) for _ in range(20)]
        waiting[backlog] = sum(not conn.connecting for conn in conns)
        for conn in conns:
            conn.abort()
        listener.close()
    assert waiting[8] - waiting[1] == 7
