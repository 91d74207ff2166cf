# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Values that may be lost as QUIC datagrams, with either library on either side, over real sockets (T2, T8, N2)."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.lowlevel

from kcoro_core import CONFLATED, MessageTooLong, channel, dial, serve
from kcoro_core.transport import RawFrame
from kcoro_transport_quic.beside import MOST_ARRIVED, MOST_WAITING, PACKET_ROOM, Beside
from kcoro_transport_quic.endpoint import Endpoint

from .lossy import line_to, losing, nothing
from .quic_ends import CLIENT, LIBRARIES, SERVER, Alone, end, need, pair, turn, until

EITHER = [(client, server) for client in LIBRARIES for server in LIBRARIES]
HEADER_BYTES = 20


def anybody(*_: Any) -> bool:
    return True


def datagram(size: int, mark: int = 0) -> RawFrame:
    header = (size - HEADER_BYTES).to_bytes(4, "big") + bytes(12) + mark.to_bytes(4, "big")
    return RawFrame(header, bytes([mark % 251]) * (size - HEADER_BYTES))


# -- links


@pytest.mark.parametrize(("client", "server"), EITHER)
def test_values_go_as_datagrams_over_a_line_that_loses_and_the_newest_arrives(client: str, server: str) -> None:
    """In order, each once, the others counted; the line has lost some. Rows: T2, T8, N2."""
    need(client, server)
    pose, got, first = channel(CONFLATED), list[int](), trio.Event()

    async def main() -> None:
        async with (
            serve("quic:", {"pose": pose.receiver()}, anybody, **SERVER, library=server) as served,
            line_to(served.uri) as line,
            dial(f"quic:127.0.0.1:{line.port}", **CLIENT, library=client) as link,
        ):
            with trio.fail_after(50):
                handle = await link.open("pose", lossy=True)

                async def read() -> None:
                    async for value in handle:
                        got.append(int(value[:3]))
                        first.set()

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(read)
                    await pose.send(b"000")
                    await first.wait()
                    coin = losing(0.3, 7)
                    line.drop = lambda to_server, size: not to_server and coin(to_server, size)
                    for number in range(1, 150):
                        await pose.send(b"%03d" % number + bytes(number * 7))
                        while len(pose):  # the line is full, or the one before it is not written
                            await trio.lowlevel.checkpoint()
                    line.drop = nothing
                    pose.close("landed")
                here, there = handle.snapshot(), pose.snapshot()
                written = served.links[0].snapshot().datagrams_written
        assert got == sorted(set(got))
        assert got[-1] == 149
        assert here.lost > 0
        assert len(got) + here.lost + here.dropped + there.dropped == 150
        assert written > 50, "they went as frames"

    trio.run(main)


def test_a_peer_whose_quic_takes_no_datagrams_gets_every_value_as_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into a datagram of no length goes as a frame; nothing is lost, and nothing fails. Row: T8."""
    pose = channel(CONFLATED)
    monkeypatch.setattr(Beside, "limit", lambda beside, engine: 0)

    async def main() -> None:
        async with (
            serve("quic:", {"pose": pose}, anybody, **SERVER) as served,
            dial(served.uri, **CLIENT) as link,
        ):
            with trio.fail_after(20):
                handle = await link.open("pose", lossy=True)
                for number in range(5):
                    await pose.send(b"%d" % number)
                    assert await handle.recv() == b"%d" % number
                assert served.links[0].snapshot().datagrams_written == 0

    trio.run(main)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_that_does_not_tell_its_window_is_given_no_datagram(library: str) -> None:
    """Nobody could say when there is room for one: everything goes as frames, and nothing waits for ever. Row: T8."""
    need(library)
    near, far, listener = pair({**CLIENT, "library": library}, {**SERVER, "library": library})
    until(lambda: not far.connecting, near, far, listener)
    assert near.datagram_limit() > 0
    whole, near.engine.quic = near.engine.quic, SimpleNamespace(_remote_max_datagram_frame_size=1200, _loss=object())
    assert near.datagram_limit() == 0
    near.engine.quic = whole
    end(near, far, listener)


# -- connections


@pytest.mark.parametrize(("client", "server"), EITHER)
@pytest.mark.parametrize("size", [1200, 1452, 8952])
def test_the_largest_datagrams_pass_with_packets_of_any_size_also_on_a_bad_line(
    client: str, server: str, size: int
) -> None:
    """Whatever else is in a packet: acknowledgements with holes, frames. No library fails or keeps one. Row: T8."""
    need(client, server)
    options = {"datagram_size": size}
    near, far, listener = pair({**CLIENT, **options, "library": client}, {**SERVER, **options, "library": server})
    coin, got, frames = random.Random(size), 0, 0
    for conn in (near, far):  # packets that are lost on their way out
        conn.unsent = Leaky(coin)
    give_up = time.monotonic() + 20
    while got < 60 or frames < 20:
        assert time.monotonic() < give_up, (got, frames, near.end, far.end)
        for conn in (near, far):
            most = conn.datagram_limit()
            assert most == min(size, 1472) - PACKET_ROOM
            one = datagram(most)
            conn.send_datagram(one.header, [one.payload])
            if conn.backlog < 20_000:
                conn.send_frame((500).to_bytes(4, "big") + bytes(16), [bytes(500)], 1)
        turn(near, far, listener)
        for conn in (near, far):
            while (came := conn.recv_datagram()) is not None:
                assert len(came.payload) == conn.datagram_limit() - HEADER_BYTES
                got += 1
            while conn.recv_frame(1000) is not None:
                frames += 1
    assert [conn.engine.failure for conn in (near, far)] == ["", ""]  # type: ignore[union-attr]
    end(near, far, listener)


class Leaky(list[bytes]):
    """Packets that wait for the socket, and some that will not get there."""

    def __init__(self, coin: random.Random) -> None:
        super().__init__()
        self._coin = coin

    def extend(self, packets: Any) -> None:
        super().extend(one for one in packets if self._coin.random() > 0.3)

    def popleft(self) -> bytes:
        return self.pop(0)


def test_one_that_is_too_long_is_refused_before_a_library_sees_it() -> None:
    """One of them would keep it in front of all others, the other would end the connection. Row: T8."""
    near, far, listener = pair()
    one = datagram(near.datagram_limit() + 1)
    with pytest.raises(MessageTooLong, match=f"at most {near.datagram_limit()} bytes"):
        near.send_datagram(one.header, [one.payload])
    end(near, far, listener)


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_waits_for_its_packet_and_what_nobody_takes_is_bounded(library: str) -> None:
    """Both keep the newest or refuse, whatever the library would take. Rows: W3, X3."""
    need(library)
    near, far, listener = pair({**CLIENT, "library": library}, {**SERVER, "library": library})
    until(lambda: not far.connecting, near, far, listener)
    taken = 0
    while taken < 10_000:
        one = datagram(1000, taken)
        if not far.send_datagram(one.header, [one.payload]):
            break
        taken += 1
    assert taken == MOST_WAITING == len(far.beside.waiting)
    sent = taken
    while sent < MOST_ARRIVED + 500:
        one = datagram(1000, sent)
        if far.send_datagram(one.header, [one.payload]):
            sent += 1
        else:
            turn(near, far, listener)
    until(lambda: near.beside.spilt > 100, near, far, listener)
    assert len(near.beside.arrived) == MOST_ARRIVED
    got = []
    while (came := near.recv_datagram()) is not None:
        got.append(int.from_bytes(came.header[-4:], "big"))
    assert got == sorted(got)
    assert len(got) == MOST_ARRIVED
    assert got[0] > 100, "the oldest went"
    end(near, far, listener)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_line_that_answers_nothing_is_not_filled(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the library: what is under way stays within the window, although one of them would send it. Row: T8."""
    need(library)
    near, far, listener = pair({**CLIENT, "library": library}, {**SERVER, "library": library})
    until(lambda: not far.connecting, near, far, listener)
    packets: list[bytes] = []

    def swallow(endpoint: Endpoint, waiting: Any, place: Any) -> None:
        packets.extend(waiting)
        waiting.clear()

    one = datagram(1000)
    with monkeypatch.context() as patched:
        patched.setattr(Endpoint, "send", swallow)
        for _ in range(2000):
            far.send_datagram(one.header, [one.payload])
            far.pump(time.monotonic(), 0)
    assert sum(map(len, packets)) < 100_000
    assert len(far.beside.waiting) == MOST_WAITING
    end(near, far, listener)


@pytest.mark.parametrize("library", LIBRARIES)
def test_datagrams_of_a_stranger_that_are_no_frames_are_thrown_away(library: str) -> None:
    """Too short, of another length than they say, far too many: the connection goes on. Rows: W3, T8."""
    need(library)
    server = pair()
    near, far, listener = server
    end(near, far)
    place = ("127.0.0.1", int(listener.uri.rpartition(":")[2]))
    stranger = Alone(library, ["kcoro/1"], server_name="localhost", max_datagram_frame_size=65535)
    stranger.settings.load_verify_locations(cafile=CLIENT["cafile"])
    stranger.connect(place)
    found: list[Any] = []

    def accepted() -> bool:
        stranger.turn()
        found.extend(filter(None, [listener.accept()]))
        return bool(found) and stranger.heard("HandshakeCompleted") is not None

    until(accepted, listener)
    good = datagram(100, 5)
    for data in (b"", b"x", bytes(19), bytes(21), bytes(20) + b"x", b"\xff" * 1000, good.header + good.payload):
        stranger.quic.send_datagram_frame(data)
    come: list[RawFrame] = []

    def came() -> bool:
        stranger.turn()
        come.extend(filter(None, [found[0].recv_datagram()]))
        return bool(come)

    until(came, listener, found[0])
    assert come[0] == good
    assert found[0].beside.spilt == 6
    assert found[0].end is None
    stranger.close()
    end(found[0], listener)
