# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is particular to connections over QUIC: one socket for many, rows of datagrams, ends, and what is bounded."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

import pytest

from kcoro_core.errors import AlreadyExists, ProtocolError, TransportError
from kcoro_core.testing.transport_kit.bench import header, numbered
from kcoro_core.transport import FENCE, READ, WRITE, RawFrame
from kcoro_transport_quic import plugin
from kcoro_transport_quic.link import BACKLOG_BYTES, BATCH, LANE_BYTES, UNREAD_BYTES, Connection
from kcoro_transport_quic.listener import Listener
from kcoro_transport_quic.streams import CHANNEL_STREAMS, MOST_HELD_BYTES, Incoming, Outgoing
from kcoro_transport_quic.udp import Udp

from .quic_ends import CLIENT, SERVER, end, error_of, pair, turn, until


def send(conn: Connection, payload: bytes, lane: int = 0) -> None:
    assert conn.send_frame(header(len(payload)), [payload], lane)
    conn.pump(time.monotonic(), WRITE)


def receive(conn: Connection, *others: Any, count: int = 1) -> list[bytes]:
    got: list[bytes] = []

    def enough() -> bool:
        while len(got) < count and (frame := conn.recv_frame(1 << 20)) is not None:
            got.append(frame.payload)
        return len(got) == count

    until(enough, conn, *others)
    return got


def place_of(listener: Listener) -> Any:
    return listener.endpoint.udp.sock.getsockname()


# -- one socket for many


def test_connections_of_a_listener_share_its_socket_and_each_gets_its_own() -> None:
    near, far, listener = pair()
    others = [plugin.kcoro_connect(listener.uri, CLIENT) for _ in range(3)]
    found = [far]

    def all_here() -> bool:
        conn = listener.accept()
        found.extend([conn] if conn is not None else [])
        return len(found) == 4 and not any(conn.connecting for conn in others)

    until(all_here, listener, *others)
    clients = [near, *others]
    for i, conn in enumerate(clients):
        send(conn, bytes([i]))
    got = [receive(conn, *clients, *found)[0] for conn in found]
    assert sorted(got) == [bytes([i]) for i in range(4)]
    assert {conn.poll().fd for conn in found} == {listener.poll().fd}
    assert all(conn.poll().shared for conn in found)
    end(*clients, *found, listener)


def test_who_is_pumped_reads_for_all_and_wakes_them() -> None:
    near, far, listener = pair()
    woken: list[bool] = []
    far.waker = lambda: woken.append(True)
    send(near, b"x")
    until(lambda: woken, listener)
    assert far.poll().ready_now
    frame = far.recv_frame(10)
    assert frame is not None
    assert frame.payload == b"x"
    end(near, far, listener)


def test_a_port_is_free_for_the_next_listener_while_connections_go_on() -> None:
    near, far, listener = pair()
    assert error_of(lambda: plugin.kcoro_listen(listener.uri, SERVER)).__class__ is AlreadyExists
    listener.close()
    send(near, b"still there")
    assert receive(far, near) == [b"still there"]
    again = plugin.kcoro_listen(listener.uri, SERVER)
    assert again.endpoint is far.endpoint
    again.close()
    assert far.endpoint is not None
    end(near, far)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", int(listener.uri.rpartition(":")[2])))  # nothing holds it any more


def test_a_connection_is_found_by_its_id_from_wherever_it_sends() -> None:
    """As behind a router that has forgotten it: RFC 9000, 9. The answer follows once the path is known to be good."""
    near, far, listener = pair()
    assert near.endpoint is not None
    moved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    moved.connect(place_of(listener))
    before = near.endpoint.udp.sock
    near.endpoint.udp = Udp(moved)
    before.close()
    send(near, b"from elsewhere")
    assert receive(far, near, listener) == [b"from elsewhere"]
    end(near, far, listener)


# -- datagrams


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sends and reads rows of datagrams by one call")
def test_rows_of_datagrams_go_and_come_by_one_call() -> None:
    """GSO and GRO: a bulk transfer takes less than a quarter of the calls of one for each datagram, at both ends."""
    near, far, listener = pair()
    for _ in range(4):
        send(near, bytes(200_000))
        receive(far, near)
    assert near.endpoint is not None
    assert far.endpoint is not None
    sender, reader = near.endpoint.udp, far.endpoint.udp
    assert sender.gso
    assert sender.rows > 0
    assert sender.calls < 800_000 / 1200 / 4
    assert reader.rows_read > 0
    assert reader.reads < 800_000 / 1200 / 4
    end(near, far, listener)


def test_a_system_without_rows_is_asked_once() -> None:
    near, far, listener = pair()
    assert near.endpoint is not None
    udp = near.endpoint.udp
    asked: list[int] = []

    class Old:
        """A socket whose system knows no rows."""

        def sendmsg(self, row: list[bytes], notes: list[Any]) -> int:
            asked.extend([len(row)] if notes else [])
            if notes:
                raise OSError(5, "Input/output error")
            return before.sendmsg(row, notes)

        def __getattr__(self, name: str) -> Any:
            return getattr(before, name)

    before = udp.sock
    udp.gso = True
    udp.sock = Old()  # type: ignore[assignment]
    send(near, bytes(100_000))
    assert receive(far, near) == [bytes(100_000)]
    assert len(asked) == 1
    assert not udp.gso
    udp.sock = before
    end(near, far, listener)


def test_a_socket_that_takes_nothing_is_waited_for() -> None:
    """What the engine has made of it waits, at most a batch; nothing is lost."""
    near, far, listener = pair()
    assert near.endpoint is not None
    udp = near.endpoint.udp
    real = udp._send
    udp.__class__._send = lambda *_: (_ for _ in ()).throw(BlockingIOError(11, "full"))  # type: ignore[method-assign,assignment]
    try:
        near.send_frame(header(50_000), [bytes(50_000)], 0)
        for _ in range(10):
            near.pump(time.monotonic(), WRITE)
        assert 0 < len(near.unsent) <= BATCH
        assert near.poll().want & WRITE
        assert near.backlog > 40_000
    finally:
        udp.__class__._send = real.__func__  # type: ignore[method-assign]
    assert receive(far, near) == [bytes(50_000)]
    end(near, far, listener)


@pytest.mark.parametrize("data", [b"", b"x", bytes(1200), os.urandom(1300), b"\xc0" * 1300, b"\x40" + os.urandom(60)])
def test_what_is_no_packet_is_dropped(data: bytes) -> None:
    near, far, listener = pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, place_of(listener))
    send(near, b"goes on")
    assert receive(far, near, listener) == [b"goes on"]
    assert not listener.shaking
    end(near, far, listener)


def test_who_speaks_another_version_is_told_which_one_is_spoken() -> None:
    """RFC 9000, 6.1."""
    listener = plugin.kcoro_listen("quic:", SERVER)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        packet = b"\xc0" + b"\xfa\xce\xb0\x0c" + b"\x08" + b"to it..." + b"\x04" + b"from"
        sock.sendto(packet + bytes(1200), place_of(listener))
        turn(listener)
        answer = sock.recv(2000)
    assert answer[1:5] == bytes(4)
    assert answer[5:] == b"\x04from" + b"\x08to it..." + b"\0\0\0\1"
    assert not listener.shaking
    end(listener)


def test_a_flood_of_silent_clients_is_bounded_and_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    """The oldest goes first, and not before it has had its turn."""
    listener = plugin.kcoro_listen("quic:", {**SERVER, "backlog": 4})
    silent = [plugin.kcoro_connect(listener.uri, CLIENT) for _ in range(6)]
    now = time.monotonic()
    for conn in silent:
        conn.pump(now, WRITE)  # the first packets, and then nothing more
    listener.pump(now)
    assert len(listener.shaking) == 4
    assert len(listener.endpoint.users) == 4
    assert len(listener.endpoint.routes) <= 4 * 10
    first = next(iter(listener.shaking))
    silent[5].pump(now + 1.1, WRITE)  # asks again by itself
    listener.pump(now + 1.1)
    assert first not in listener.shaking
    assert len(listener.shaking) == 4
    assert "it was slow, and others waited" in caplog.text
    listener.pump(now + 20)
    assert not listener.shaking
    assert "took longer than 10 s" in caplog.text
    end(*silent, listener)


# -- ends


def test_an_end_without_a_goodbye_is_a_broken_connection() -> None:
    near, far, listener = pair()
    near.abort()
    errors: list[str] = []
    until(lambda: errors, far, listener, errors=errors)
    assert "error 0x1" in errors[0]
    end(far, listener)
    near, far, listener = pair()
    assert near.engine is not None
    near.engine.close(0, "")  # as if everything had been said
    near.write()
    errors.clear()
    until(lambda: errors, far, listener, errors=errors)
    assert "without a goodbye" in errors[0]
    end(near, far, listener)


def test_a_close_ends_when_the_other_side_has_everything_or_after_a_while() -> None:
    near, far, listener = pair()
    send(near, b"last")
    near.close()
    assert receive(far, near) == [b"last"]
    until(lambda: near.closed or error_of(lambda: far.recv_frame(10)), near, far)
    until(lambda: near.closed, near)
    assert "closed the connection" in str(far.end)
    end(far, listener)
    near, far, listener = pair()
    near.close()
    near.pump(1e6, READ)  # nobody answers
    assert near.poll().deadline is not None
    near.pump(1e6 + 1.1, READ)
    assert near.closed
    assert near.endpoint is None
    end(far, listener)


def test_a_name_that_nobody_knows_is_told() -> None:
    conn = plugin.kcoro_connect("quic:nowhere.invalid:7000", CLIENT)
    errors: list[str] = []
    until(lambda: errors, conn, errors=errors)
    assert "cannot be looked up" in errors[0]
    end(conn)


def test_a_host_without_such_a_port_refuses_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        uri = f"quic:127.0.0.1:{free.getsockname()[1]}"
    conn = plugin.kcoro_connect(uri, {**CLIENT, "connect_timeout": 3600})
    errors: list[str] = []
    until(lambda: errors, conn, errors=errors)
    assert "is the server running?" in errors[0]
    end(conn)


def test_who_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        conn = plugin.kcoro_connect(f"quic:127.0.0.1:{silent.getsockname()[1]}", {**CLIENT, "connect_timeout": 3})
        conn.pump(100.0, 0)
        conn.pump(102.9, 0)
        with pytest.raises(TransportError, match=r"no answer within 3 s"):
            conn.pump(103.0, 0)
        end(conn)


# -- bounds


def test_what_waits_for_the_network_is_bounded() -> None:
    near, far, listener = pair()
    sent = 0
    while near.send_frame(header(4096), [bytes(4096)], 1 + sent % 100):
        sent += 1
        near.pump(time.monotonic(), WRITE)
    assert BACKLOG_BYTES < near.backlog <= BACKLOG_BYTES + (CHANNEL_STREAMS + 1) * LANE_BYTES
    assert sum(len(data) for rows in near.outgoing.waiting.values() for data in rows) <= near.backlog
    assert receive(far, near, count=sent) == [bytes(4096)] * sent
    end(near, far, listener)


def test_what_nobody_takes_is_bounded_though_others_read_for_it() -> None:
    """One that stands still, on a socket that its listener reads: its peer is slowed down, and loses nothing."""
    near, far, listener = pair()
    sent = 0

    def sends_on() -> bool:
        nonlocal sent
        while sent < 1000 and near.send_frame(header(8192), [bytes(8192)], 0):
            sent += 1
        return far.incoming.size > UNREAD_BYTES

    until(sends_on, near, listener)
    for _ in range(5):
        sends_on()
        turn(near, listener)
    assert far.incoming.size <= UNREAD_BYTES + (2 << 20)
    assert receive(far, near, count=sent) == [bytes(8192)] * sent
    end(near, far, listener)


def test_channels_share_streams_by_their_ids() -> None:
    """One for control and at most 63 for channels, opened as they are used. Row: T2."""
    near, far, listener = pair()
    for channel_id in (*range(200), 10_000_001):
        send(near, channel_id.to_bytes(4, "big"), channel_id)
    assert len(near.streams) == CHANNEL_STREAMS + 1
    got = receive(far, near, count=201)
    assert sorted(int.from_bytes(payload, "big") for payload in got) == [*range(200), 10_000_001]
    assert len(far.incoming.inlets) == CHANNEL_STREAMS + 1
    end(near, far, listener)


def move(outgoing: Outgoing, incoming: Incoming) -> None:
    for stream, data in outgoing.take():
        incoming.feed(stream, data, False)


def test_a_frame_waits_for_the_fence_in_front_of_it_and_a_fence_for_everything() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    frames = [(1, 0), (2, 0), (0, FENCE), (1, 0), (2, 0)]
    taken = []
    for i, (lane, fence) in enumerate(frames):
        outgoing.put(header(1), [bytes([i])], lane | fence)
        taken.append(outgoing.take()[0])

    def got() -> list[int]:
        found = []
        while (frame := incoming.next(10)) is not None:
            found.append(frame.payload[0])
        return found

    incoming.feed(*taken[0], False)
    assert got() == [0]
    incoming.feed(*taken[2], False)  # the fence; frame 1 is still on its way
    incoming.feed(*taken[3], False)
    assert got() == []
    incoming.feed(taken[1][0], taken[1][1] + taken[4][1], False)
    assert got() == [1, 2, 3, 4] or got() == []
    assert incoming.lanes.count == 5


def test_what_waits_behind_a_fence_is_bounded() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    outgoing.put(header(0), [], 1)
    outgoing.take()  # lost, for good
    outgoing.put(header(0), [], FENCE)
    outgoing.put(header(1 << 20), [bytes(1 << 20)], 2)
    for stream, data in outgoing.take():
        incoming.feed(stream, data, False)
    assert incoming.next(1 << 20) is None
    for _ in range((MOST_HELD_BYTES >> 20) - 2):
        incoming.feed(2, bytes(1 << 20), False)
    assert sum(inlet.left for inlet in incoming.held) <= MOST_HELD_BYTES
    with pytest.raises(ProtocolError, match="bytes wait for frames"):
        incoming.feed(2, bytes(2 << 20), False)
    incoming.clear()
    assert not incoming.held
    assert not incoming.inlets


def test_a_length_that_lies_is_refused_by_its_header() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    outgoing.put(header(1001), [bytes(10)], 0)
    move(outgoing, incoming)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="1001 bytes, 1000 are acceptable"):
            incoming.next(1000)


@pytest.mark.parametrize("step", [1, 7, 24, 25, 1000])
def test_frames_come_out_whole_however_they_arrive(step: int) -> None:
    outgoing, incoming = Outgoing(), Incoming()
    frames = [RawFrame(header(len(p)), p) for p in (b"", b"x", bytes(300), *[f.payload for f in numbered(5, 40)])]
    for frame in frames:
        outgoing.put(frame.header, [frame.payload], 7)
    outgoing.put_last()
    got = []
    for stream, data in outgoing.take():
        for at in range(0, len(data), step):
            incoming.feed(stream, data[at : at + step], at + step >= len(data))
            while (frame := incoming.next(1000)) is not None:  # type: ignore[assignment]
                got.append(frame)
    assert got == frames
    assert incoming.is_complete
    assert incoming.has_all
