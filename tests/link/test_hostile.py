# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Peers that break the protocol: they lose their own link, with a farewell where possible, and nothing else (row W1).

What each malformed frame leads to is tested without a medium in ``tests/wire``; here it is the server that goes on.
"""

from __future__ import annotations

import gc
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import trio

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    UNLIMITED,
    LinkLost,
    NotSupported,
    ProtocolError,
    channel,
    dial,
    serve,
    sleep,
)
from kcoro_core.transports.faults import TO_DIALER
from kcoro_core.transports.mem import faults
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.frame import Frame, encode_header
from kcoro_core.wire.hello import MAGIC, Hello, Limits, encode_hello
from kcoro_core.wire.messages import FOREVER_MS, OpenRequest, encode_open, encode_timeout

from .raw import RawPeer
from .world import World, settle

Setting = Callable[[str, str], Any]

OPEN = encode_open(OpenRequest("jobs"))
FOREVER = encode_timeout(FOREVER_MS)
HELLO = encode_hello(Hello(b"n" * 16, b"c" * 8))


async def works(world: World) -> None:
    """Another peer is served as if nothing had happened."""
    async with dial(world.uri) as link:
        jobs = await link.open("jobs")
        await jobs.send(b"fine")
        assert await jobs.recv() == b"fine"


GREETINGS = {
    "wrong-magic": Frame(Command.HELLO, parts=(HELLO.replace(MAGIC, b"\x89KCORO\r\r"),)),
    "other-version": Frame(
        Command.HELLO, parts=(encode_hello(Hello(b"n" * 16, b"c" * 8, version_min=7, version_max=9)),)
    ),
    "empty-hello": Frame(Command.HELLO),
    "truncated-hello": Frame(Command.HELLO, parts=(HELLO[:30],)),
    "not-a-hello": Frame(Command.OPEN, 0, 1, 1, 0, (OPEN,)),
    "unknown-flags": Frame(Command.HELLO, 0x4000, parts=(HELLO,)),
    "seq": Frame(Command.HELLO, seq=5, parts=(HELLO,)),
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_a_bad_greeting_is_refused_with_a_farewell(world: World, greeting: str) -> None:
    """Whoever does not shake hands properly is told why and disconnected; the server goes on. Row: W1."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}) as server:
            peer = RawPeer(world.uri)
            await peer.send_raw(GREETINGS[greeting])
            for _ in range(5):
                await peer.pump()
            expected = WireCode.ENOTSUP if greeting == "other-version" else WireCode.EPROTO
            assert (peer.farewell(), peer.ended) == (expected, True)
            assert server.links == ()
            await works(world)
            peer.close()

    world.run(main)


async def flood_of_requests(peer: RawPeer) -> None:
    for i in range(2, 40):
        await peer.send(Command.RECV, 1, i, FOREVER)


async def more_than_the_budget(peer: RawPeer) -> None:
    for i in range(2, 14):
        await peer.send(Command.SEND, 1, i, FOREVER, b"x" * 4000)


BREACHES: dict[str, Callable[[RawPeer], Any]] = {
    "flood-of-requests": flood_of_requests,
    "more-than-the-budget": more_than_the_budget,
    "frame-too-long": lambda peer: peer.send(Command.SEND, 1, 2, FOREVER, b"x" * 10_000),
    "unknown-channel": lambda peer: peer.send(Command.SEND, 3, 2, FOREVER, b"v"),
    "even-channel": lambda peer: peer.send(Command.OPEN, 2, 2, OPEN),
    "channel-used-twice": lambda peer: peer.send(Command.OPEN, 1, 2, OPEN),
    "reply-to-nothing": lambda peer: peer.send(Command.REPLY, 1, 2, bytes(4)),
    "taken-nothing": lambda peer: peer.send(Command.TAKEN, 1, 0, struct.pack(">I", 9)),
    "putback-nothing": lambda peer: peer.send(Command.PUTBACK, 1, 9),
    "request-zero": lambda peer: peer.send(Command.RECV, 1, 0, FOREVER),
    "truncated-request": lambda peer: peer.send(Command.RECV, 1, 2, b"\0\0"),
    "seq-gap": lambda peer: peer.send_raw(Frame(Command.RECV, 0, 1, 2, 7, (FOREVER,))),
    "unknown-flag": lambda peer: peer.send(Command.RECV, 1, 2, FOREVER, flags=0x8000),
    "second-hello": lambda peer: peer.send(Command.HELLO, 0, 0, HELLO),
    "unasked-pong": lambda peer: peer.send(Command.PONG, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_ends_the_link_of_whoever_breaks_it(world: World, setting: Setting, breach: str) -> None:
    """After a breach: BYE with EPROTO, nothing parked at the home, the server and other links go on. Rows: W1, W3."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with serve(world.uri, {"jobs": channel(UNLIMITED), "hole": ch}) as server:
            async with dial(world.uri) as good:
                peer = RawPeer(world.uri)
                await peer.shake(
                    Limits(max_frame=8192, max_message=4096, max_inflight_requests=20, receive_budget=40_000)
                )
                await peer.send(Command.OPEN, 1, 1, encode_open(OpenRequest("hole")))
                await BREACHES[breach](peer)
                for _ in range(5):
                    await peer.pump()
                assert (peer.farewell(), peer.ended) == (WireCode.EPROTO, True)
                assert len(server.links) == 1
                state = ch.snapshot()
                assert (state.waiting_senders, state.waiting_receivers) == (0, 0)
                assert (await good.open("jobs")).can_send
            await works(world)
            peer.close()

    with setting("receive_budget", "40000"), setting("max_message", "4096"), setting("max_frame", "8192"):
        world.run(main)


def test_unknown_things_that_may_be_ignored_are_ignored(world: World) -> None:
    """A command with the top bit is skipped, another unknown one is answered ENOTSUP; the link lives. Rows: W1, W2."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}):
            peer = RawPeer(world.uri)
            await peer.shake()
            await peer.send(0x8123, 0, 0, b"whatever")
            await peer.send(70, 0, 5, b"experimental")
            await peer.send(Command.OPEN, 1, 6, OPEN)
            await peer.pump()
            assert [(number, payload[:4]) for number, payload in peer.replies()] == [
                (5, struct.pack(">i", -WireCode.ENOTSUP)),
                (6, bytes(4)),
            ]
            peer.close()

    world.run(main)


@pytest.mark.parametrize(
    "first", [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", encode_header(len(HELLO), 0, 0, 0, 0, 0) + HELLO[:9]]
)
def test_half_made_connections_are_dropped_after_the_handshake_limit(tmp_path: Any, first: bytes) -> None:
    """Who says nothing, nonsense or half a greeting is gone after hello_timeout; others are served. Row: W1."""
    tmp_path.chmod(0o700)
    world = World("uds-trio", tmp_path)

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}) as server:
            async with await trio.open_unix_socket(str(tmp_path / "s")) as stream:
                if first:
                    await stream.send_all(first)
                await settle()
                await works(world)
                began = trio.current_time()
                said = bytearray()
                async for data in stream:
                    said += data
                assert trio.current_time() - began <= 5.1
                assert said[:1] == b"\0"  # it said hello before it heard anything
            assert server.links == ()

    world.run(main)


def test_a_length_that_lies_is_refused_before_anything_is_allocated(tmp_path: Any) -> None:
    """A header that announces 4 GiB ends the connection at once, and costs no memory. Rows: W1, W3."""
    tmp_path.chmod(0o700)
    world = World("uds-trio", tmp_path)

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}):
            tracemalloc.start()
            async with await trio.open_unix_socket(str(tmp_path / "s")) as stream:
                await stream.send_all(encode_header(0xFFFF_FFFF, 0, 0, 0, 0, 0) + b"x" * 1000)
                with trio.fail_after(1):
                    said = b"".join([data async for data in stream])
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert b"announces 4294967295 bytes" in said
            assert peak < 1 << 20
            await works(world)

    world.run(main)


def test_a_dialler_that_meets_another_protocol_says_so(tmp_path: Any) -> None:
    """dial raises ProtocolError when the other side is no kcoro, and LinkLost when it says nothing. Rows: W1, N1."""
    tmp_path.chmod(0o700)

    async def main() -> None:
        async def answer(stream: trio.SocketStream) -> None:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await stream.receive_some()

        async def say_nothing(stream: trio.SocketStream) -> None:
            await sleep(3600)

        for number, (handler, error) in enumerate(((answer, ProtocolError), (say_nothing, LinkLost))):
            path = tmp_path / f"{number}"
            sock = trio.socket.socket(trio.socket.AF_UNIX)
            await sock.bind(str(path))
            sock.listen()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, handler, [trio.SocketListener(sock)])
                began = trio.current_time()
                with pytest.raises(error):
                    async with dial(f"uds:{path}"):
                        pass
                assert trio.current_time() - began < 10
                nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_peer_of_another_version_is_refused_by_name(tmp_path: Any) -> None:
    """A mismatch of versions is NotSupported at the dialler, which says what to install. Rows: W1, Q11."""
    tmp_path.chmod(0o700)

    async def newer_server(stream: trio.SocketStream) -> None:
        await stream.send_all(GREETINGS["other-version"].encode())
        await stream.receive_some()

    async def main() -> None:
        sock = trio.socket.socket(trio.socket.AF_UNIX)
        await sock.bind(str(tmp_path / "s"))
        sock.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, newer_server, [trio.SocketListener(sock)])
            with pytest.raises(NotSupported, match="no common version"):
                async with dial(f"uds:{tmp_path}/s"):
                    pass
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_breach_behind_a_full_line_costs_no_time(mem_world: World) -> None:
    """A farewell that finds no room waits for it like any frame, and does not spin. Rows: W1, SC6."""

    async def main() -> None:
        with faults("world") as line:
            line.buffer_bytes = 600
            async with serve(mem_world.uri, {"jobs": channel(UNLIMITED)}) as server:
                peer = RawPeer(mem_world.uri)
                await peer.shake()
                line.stall(TO_DIALER)
                for i in range(1, 60):
                    await peer.send(70, 0, i)
                await peer.send_raw(Frame(Command.SEND, 0, 1, 99, 0, (b"x" * (2 << 20),)))
                await sleep(0.5)
                assert len(server._links) == 1  # its farewell still waits
                await sleep(5)
                assert not server._links
                peer.close()

    mem_world.run(main)


def test_a_farewell_does_not_cut_off_what_was_on_its_way(tmp_path: Any) -> None:
    """Each frame that the medium had accepted before a breach arrives whole, and the reason behind it. Rows: W1, T6."""
    tmp_path.chmod(0o700)
    world = World("uds-trio", tmp_path)

    async def main() -> None:
        ch = channel(UNLIMITED)
        ch.try_send(b"x" * (1 << 20))
        async with serve(world.uri, {"jobs": ch}):
            peer = RawPeer(world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, OPEN)
            await peer.send(Command.RECV, 1, 2, FOREVER)
            assert len(peer.replies()) == 1  # the element is larger than what the kernel takes
            await peer.send(Command.REPLY, 1, 9, bytes(4))
            for _ in range(100):
                await peer.pump()
            pieces = [len(payload) for _, payload in peer.replies()][1:]
            assert pieces[0] > 60_000
            assert len(set(pieces[1:])) == 1  # whole ones, but not all of them: what had not left is dropped
            assert sum(pieces) < 1 << 20
            assert len(ch) == 1  # so the element is still here
            assert peer.farewell() is WireCode.EPROTO
            peer.close()

    world.run(main)


# -- what a peer that does not read may cost


def test_a_peer_that_never_reads_gets_no_more_than_the_budget(mem_world: World, setting: Setting) -> None:
    """Elements for a peer that confirms nothing stop at the budget; the rest stays in the channel. Rows: N4, X3."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        for _ in range(1000):
            ch.try_send(b"x" * 4000)
        async with serve(mem_world.uri, {"jobs": ch}) as server:
            peer = RawPeer(mem_world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, OPEN)
            for i in range(2, 900):
                await peer.send(Command.RECV, 1, i, FOREVER)
            assert 1000 - len(ch) <= 100_000 / 4000 + 1
            assert ch.snapshot().waiting_receivers > 800
            async with dial(mem_world.uri) as other:
                jobs = await other.open("jobs")
                assert await jobs.recv() == b"x" * 4000
            assert len(server.links) == 1
            peer.close()
            await settle()
            assert ch.snapshot().waiting_receivers == 0

    with setting("receive_budget", "100000"), setting("max_message", "10000"):
        mem_world.run(main)


def test_a_receive_that_comes_beyond_the_budget_is_passed_over(mem_world: World, setting: Setting) -> None:
    """New elements go to others while too much travels to a peer, however long it has waited. Rows: N4, X3."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with serve(mem_world.uri, {"jobs": ch}):
            peer = RawPeer(mem_world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, OPEN)
            for i in range(2, 7):
                await peer.send(Command.RECV, 1, i, FOREVER)
                ch.try_send(b"x" * 4000)
            await settle()
            assert len(ch) == 0
            await peer.send(Command.RECV, 1, 7, FOREVER)
            ch.try_send(b"v")
            assert ch.try_recv() == b"v"
            peer.close()

    with setting("receive_budget", "20000"), setting("max_message", "10000"):
        mem_world.run(main)


def test_a_peer_that_confirms_again_is_served_in_its_old_place(mem_world: World, setting: Setting) -> None:
    """Receives that were passed over keep their places, and go on as soon as elements are confirmed. Rows: N4, CH11."""

    async def main() -> None:
        ch = channel(BUFFERED, 100)
        async with serve(mem_world.uri, {"jobs": ch}) as server:
            peer = RawPeer(mem_world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, OPEN)
            for i in range(2, 12):
                await peer.send(Command.RECV, 1, i, FOREVER)
            for i in range(10):
                ch.try_send(b"%d" % i + b"." * 4000)
            await settle()
            await peer.send(Command.RECV, 1, 12, encode_timeout(0))
            await peer.send(Command.RECV, 1, 13, encode_timeout(0))
            for value in (b"a", b"b", b"c"):
                ch.try_send(value)
            assert 1 < len(peer.replies()[1:]) < 10
            (link,) = server.links
            confirmed: set[int] = {1}
            for _ in range(10):
                for number in [number for number, _ in peer.replies() if number not in confirmed]:
                    confirmed.add(number)
                    await peer.send(Command.TAKEN, 1, 0, struct.pack(">I", number))
                    assert link._exporting.travelling_bytes < 20_000 + 4200
                await peer.pump()
            assert peer.farewell() is None
            answered = [(number, payload[4:5]) for number, payload in peer.replies()[1:] if number <= 11]
            assert answered == [(i + 2, b"%d" % i) for i in range(10)]
            assert [dict(peer.replies())[number] for number in (12, 13)] == [bytes(4) + b"a", bytes(4) + b"b"]
            await peer.send(Command.RECV, 1, 14, encode_timeout(0))
            await peer.send(Command.RECV, 1, 15, encode_timeout(0))
            assert dict(peer.replies())[14] == bytes(4) + b"c"
            assert dict(peer.replies())[15][:4] == struct.pack(">i", -WireCode.EAGAIN)
            peer.close()

    with setting("receive_budget", "20000"), setting("max_message", "10000"):
        mem_world.run(main)


def test_hundreds_of_bad_peers_leave_nothing_behind(mem_world: World) -> None:
    """However many peers misbehave, nothing of them stays. Rows: W1, N6."""

    async def main() -> None:
        async with serve(mem_world.uri, {"jobs": channel(UNLIMITED)}) as server:

            async def misbehave(times: int) -> None:
                for i in range(times):
                    peer = RawPeer(mem_world.uri)
                    await peer.send_raw(list(GREETINGS.values())[i % len(GREETINGS)])
                    await peer.pump()
                    peer.close()
                await sleep(20)
                gc.collect()

            await misbehave(50)
            tracemalloc.start()
            await misbehave(50)
            before, _ = tracemalloc.get_traced_memory()
            await misbehave(200)
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert after - before < 50_000
            assert not server._links

    mem_world.run(main)
