# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Servers and diallers: addresses, bounds, and failures of accepting and connecting (rows N1, N8, W3)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trio

from kcoro_core import (
    UNLIMITED,
    AccessDenied,
    AlreadyExists,
    Identity,
    Joined,
    LinkLost,
    Lost,
    NotSupported,
    TransportError,
    channel,
    dial,
    plugins,
    serve,
    sleep,
)
from kcoro_core.link import dial as dialling
from kcoro_core.transport import PollSpec, Vtable
from kcoro_core.transports.faults import TO_DIALER
from kcoro_core.transports.mem import faults
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.frame import decode_header

from .raw import LARGEST, RawPeer
from .world import World, settle, tasks

Setting = Callable[[str, str], Any]


def test_the_server_tells_who_joined_and_who_left(world: World) -> None:
    """events gives Joined with a link that works, later Lost with its report; links lists those that live. Row: N1."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel()}) as server:
            async with dial(world.uri) as link:
                joined = await server.events.recv()
                assert isinstance(joined, Joined)
                assert server.links == (joined.link,)
                assert joined.link.peer.identity.pid == os.getpid()
                assert joined.link.peer.identity.verified
                assert link.peer.software == "kcoro_core"
                assert link.peer.node_id == joined.link.peer.node_id != ""
            lost = await server.events.recv()
            assert isinstance(lost, Lost)
            assert (lost.link, lost.report.orderly, server.links) == (joined.link, True, ())

    world.run(main)


def test_an_address_is_free_again_behind_the_block(world: World) -> None:
    """One server at an address at a time; the next may have it as soon as the block is left. Row: N8."""

    async def main() -> None:
        for _ in range(3):
            async with serve(world.uri):
                with pytest.raises(AlreadyExists):
                    async with serve(world.uri):
                        pass
                async with dial(world.uri):
                    pass
        with pytest.raises(TransportError):
            async with dial(world.uri):
                pass

    world.run(main)


def test_an_empty_address_asks_for_a_fresh_one(world: World) -> None:
    """serve with a bare scheme chooses an address and tells it; a name behind '#' is no part of it. Row: N8."""

    async def main() -> None:
        async with serve(f"{world.scheme}:") as a, serve(f"{world.scheme}:") as b:
            assert a.uri != b.uri
            async with dial(f"{b.uri}#jobs") as link:
                assert link.uri == b.uri

    world.run(main)


@pytest.mark.parametrize("call", [dial, serve])
@pytest.mark.parametrize(
    ("uri", "options", "error"),
    [
        ("no scheme", {}, ValueError),
        ("carrier-pigeon:jobs", {}, NotSupported),
        ("mem:a/b", {}, ValueError),
        ("mem:jobs", {"colour": "red"}, ValueError),
        ("uds:" + "x" * 200, {}, ValueError),
    ],
)
def test_a_bad_address_or_option_starts_nothing(call: Any, uri: str, options: dict[str, Any], error: type) -> None:
    """Each is a documented error of dial and serve alike, before anything is started. Rows: N1, T5."""

    async def main() -> None:
        with pytest.raises(error):
            async with call(uri, **options):
                pass

    trio.run(main)


def test_nobody_there_is_a_transport_error(world: World) -> None:
    """dial raises what the medium says, unchanged, when nobody listens. Row: N1."""

    async def main() -> None:
        with pytest.raises(TransportError):
            async with dial(world.uri):
                pass

    world.run(main)


def test_the_number_of_links_is_bounded_and_the_next_one_waits(world: World) -> None:
    """Beyond max_links a peer waits in the listener's queue, and is served when a link has ended. Row: W3."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel()}, max_links=2) as server:
            async with tasks() as some:

                async def stay(seconds: float) -> None:
                    async with dial(world.uri):
                        await sleep(seconds)

                calls = [some.start(stay, seconds) for seconds in (1, 2, 0)]
                await settle()
                assert len(server.links) == 2
                await sleep(0.9)
                assert len(server.links) == 2
            assert [call.outcome for call in calls] == ["done"] * 3

    world.run(main)


@pytest.mark.parametrize("max_links", [0, -1, 1.5, "many"])
def test_a_bound_that_makes_no_sense_is_refused(max_links: Any) -> None:
    """max_links is a whole number of at least 1. Row: W3."""

    async def main() -> None:
        with pytest.raises(ValueError, match="max_links"):
            async with serve("mem:", max_links=max_links):
                pass

    trio.run(main)


def test_a_failure_of_accepting_does_not_end_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors, or a defect of the transport: the server pauses and goes on. Row: N1."""
    real = plugins.transport(world.uri)
    failures = [OSError(errno.EMFILE, "Too many open files"), RuntimeError("a defect"), OSError(errno.ECONNABORTED, "")]

    def accept(listener: Any) -> Any:
        if failures:
            raise failures.pop()
        return real.accept(listener)

    broken = attrs.evolve(real, accept=accept)
    monkeypatch.setattr(plugins, "transport", lambda uri: broken)

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}), dial(world.uri) as link:
            await (await link.open("jobs")).send(b"v")

    world.run(main)
    assert not failures


def test_a_defect_on_one_link_ends_that_link_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transport that raises what it must not ends its link, and the unraisable hook is told; others live. Row: N6."""
    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: seen.append(args.exc_value))
    real = plugins.transport(world.uri)
    bad: list[Any] = []

    def recv_frame(conn: Any, limit: int) -> Any:
        if conn in bad:
            raise ZeroDivisionError("a defect")
        return real.recv_frame(conn, limit)

    broken = attrs.evolve(real, recv_frame=recv_frame)
    monkeypatch.setattr(plugins, "transport", lambda uri: broken)

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}) as server, dial(world.uri) as good:
            async with dial(world.uri) as link:
                jobs = await link.open("jobs")
                bad.append(link._conn)
                with pytest.raises(LinkLost, match="a defect"):
                    await jobs.recv()
            await settle()
            assert len(server.links) == 1
            await (await good.open("jobs")).send(b"v")

    world.run(main)
    assert [type(error) for error in seen] == [ZeroDivisionError]


def test_a_stranger_is_turned_away_before_he_is_heard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default only processes of the same user may connect; others get AccessDenied. Row: N8."""
    real = plugins.transport(world.uri)
    strangers = attrs.evolve(real, peer=lambda conn: Identity("uid", verified=True, uid=os.getuid() + 1))
    claims = attrs.evolve(real, peer=lambda conn: Identity("uid", verified=False, uid=os.getuid()))

    async def main() -> None:
        for vtable in (strangers, claims):
            async with serve(world.uri, {"jobs": channel()}) as server:
                monkeypatch.setattr(server, "_vtable", vtable)
                with pytest.raises(AccessDenied, match="own user only"):
                    async with dial(world.uri):
                        pass
                monkeypatch.setattr(server, "_vtable", real)
                async with dial(world.uri) as link:
                    await link.open("jobs")

    world.run(main)


def test_a_stranger_is_never_told_that_he_is_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one whose HELLO was there first hears HELLO and a goodbye with EACCES, and no CONFIRM between. Row: N8."""
    real = plugins.transport(world.uri)
    strangers = attrs.evolve(real, peer=lambda conn: Identity("uid", verified=True, uid=os.getuid() + 1))

    async def main() -> None:
        async with serve(world.uri, max_links=1) as server:
            async with dial(world.uri):  # the only place is taken: whoever comes now is accepted later
                peer = RawPeer(world.uri)
                wire = Connection(Side.CONNECTING, b"n" * 16, b"c" * 8)
                wire.start(0.0)
                hello = wire.poll_transmit()
                assert hello is not None
                await peer.send_raw(hello)
                monkeypatch.setattr(server, "_vtable", strangers)
            await peer.pump()
            heard = [decode_header(raw.header, LARGEST).command for raw in peer.heard]
            assert (heard, peer.farewell()) == ([Command.HELLO, Command.BYE], WireCode.EACCES)
            assert server.links == ()
            peer.close()

    world.run(main)


def test_to_be_turned_away_behind_the_handshake_is_access_denied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other side learns late who we are: whoever opens, or waits for an open, is denied. Rows: N8, N6."""

    async def main() -> None:
        async with world.linked({"jobs": channel()}) as (server, link):
            jobs = await link.open("jobs")
            server.links[0].lifecycle.turn_away()
            async with tasks() as some:
                waiting = some.start(link.open, "jobs")
            assert waiting.outcome is AccessDenied
            with pytest.raises(AccessDenied, match="own user only"):
                await link.open("jobs")
            with pytest.raises(LinkLost, match="own user only"):
                await jobs.recv()

    world.run(main)


def test_a_server_of_another_user_is_not_talked_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialler checks who serves, unless authorize= says that the program decides. Row: N8."""
    real = plugins.transport(world.uri)
    stranger = attrs.evolve(real, peer=lambda conn: Identity("uid", verified=True, uid=os.getuid() + 1))

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel()}):
            monkeypatch.setattr(plugins, "transport", lambda uri: stranger)
            with pytest.raises(AccessDenied, match="authorize="):
                async with dial(world.uri):
                    pass
            async with dial(world.uri, authorize=lambda *asked: True) as link:
                await link.open("jobs")

    world.run(main)


def test_a_dial_that_is_given_up_leaves_nothing(mem_world: World) -> None:
    """A dial that is cancelled in its handshake ends at once, and the server forgets it. Rows: N1, K7."""

    async def main() -> None:
        with faults("world") as line:
            line.stall(TO_DIALER)
            async with serve(mem_world.uri) as server:
                with trio.move_on_after(2) as scope:
                    async with dial(mem_world.uri):
                        pass
                assert scope.cancelled_caught
                assert trio.current_time() - scope.deadline < 0.1
                await settle()
                assert not server._links

    mem_world.run(main)


def test_a_server_that_ends_drops_half_made_connections(world: World) -> None:
    """Leaving the block is bounded, whatever strangers do: two graces at most. Row: N1."""

    async def main() -> None:
        async with tasks() as some:
            peers: list[RawPeer] = []

            async def serve_a_while() -> None:
                async with serve(world.uri):
                    peers.extend(RawPeer(world.uri) for _ in range(3))
                    for peer in peers:
                        await peer.pump()

            call = some.start(serve_a_while)
            await sleep(2.5)
            assert call.outcome == "done"
            for peer in peers:
                peer.close()

    world.run(main)


# -- settings


@pytest.mark.parametrize(
    ("name", "value", "field", "agreed"),
    [
        ("max_frame", "9000", "max_frame", 9000),
        ("max_message", "9000", "max_message", 9000),
        ("max_channels", "7", "max_channels", 7),
        ("max_requests", "7", "max_inflight_requests", 7),
        ("receive_budget", "6000000", "receive_budget", 3_000_000),
        ("keepalive", "7", "keepalive_ms", 7000),
    ],
)
def test_settings_are_what_a_link_offers(
    mem_world: World, setting: Setting, name: str, value: str, field: str, agreed: int
) -> None:
    """Each limit in the configuration is what equal sides agree to; half the budget is for requests. Row: CF4."""

    async def main() -> None:
        async with mem_world.linked({"jobs": channel()}) as (_, link):
            assert link.wire.agreement is not None
            assert getattr(link.wire.agreement.limits, field) == agreed
            assert (await link.open("jobs")).max_message == (9000 if name == "max_message" else 1 << 20)

    with setting(name, value):
        mem_world.run(main)


def test_a_limit_that_cannot_be_expressed_is_refused(mem_world: World, setting: Setting) -> None:
    """A setting beyond what the protocol knows is a ValueError of dial and serve, which names it. Row: CF4."""

    async def main() -> None:
        async with serve("mem:fine"):
            for call in (lambda: dial("mem:fine"), lambda: serve("mem:other")):
                with (
                    setting("max_frame", "1000"),
                    pytest.raises(ValueError, match="max_frame is 1000, allowed"),
                ):
                    async with call():
                        pass

    mem_world.run(main)


def test_the_handshake_limit_is_a_setting(mem_world: World, setting: Setting) -> None:
    """hello_timeout decides how long a dial waits for a silent server. Row: CF4."""

    async def main() -> None:
        with faults("world") as line:
            line.stall(TO_DIALER)
            async with serve(mem_world.uri):
                began = trio.current_time()
                with pytest.raises(LinkLost, match="handshake"):
                    async with dial(mem_world.uri):
                        pass
                assert trio.current_time() - began == pytest.approx(2, abs=0.1)

    with setting("hello_timeout", "2"):
        mem_world.run(main)


def connecting_until(at: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have media that are dialled take nothing before that time, as one does that looks up a name."""
    conns: list[Any] = []

    def transport(uri: str) -> Vtable:
        vtable = plugins.transport(uri)

        def send_frame(conn: Any, *frame: Any) -> bool:
            conns.append(conn)
            return trio.current_time() >= at and vtable.send_frame(conn, *frame)

        def poll_handle(conn: Any) -> PollSpec:
            spec = vtable.poll_handle(conn)
            return attrs.evolve(spec, deadline=at) if conn in conns and trio.current_time() < at else spec

        return attrs.evolve(vtable, send_frame=send_frame, poll_handle=poll_handle)

    monkeypatch.setattr(dialling, "plugins", SimpleNamespace(transport=transport))


@pytest.mark.parametrize("connects_after", [0.0, 1.0, 7.0])
def test_the_handshake_limit_begins_when_the_medium_has_connected(
    mem_world: World, setting: Setting, monkeypatch: pytest.MonkeyPatch, connects_after: float
) -> None:
    """A slow look-up takes nothing of the time that the peer has for its answer. Rows: N1, X17."""

    async def main() -> None:
        with faults("world") as line, setting("hello_timeout", "500"):
            async with serve(mem_world.uri, {"jobs": channel()}):
                with setting("hello_timeout", "2"):
                    began = trio.current_time()
                    connecting_until(began + connects_after, monkeypatch)
                    async with dial(mem_world.uri) as link:
                        assert trio.current_time() - began == pytest.approx(connects_after, abs=0.1)
                        await link.open("jobs")
                    line.stall(TO_DIALER)
                    began = trio.current_time()
                    connecting_until(began + connects_after, monkeypatch)
                    with pytest.raises(LinkLost, match="the peer did not finish the handshake"):
                        async with dial(mem_world.uri):
                            pass
                    assert trio.current_time() - began == pytest.approx(connects_after + 2, abs=0.1)

    mem_world.run(main)


def test_a_medium_that_never_connects_is_given_up(
    mem_world: World, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """connect_timeout bounds what a transport allows itself, and the peer is not blamed. Rows: N1, CF4."""

    async def main() -> None:
        began = trio.current_time()
        connecting_until(began + 1000, monkeypatch)
        async with serve(mem_world.uri):
            with pytest.raises(TransportError, match="the medium did not connect within 7 s"):
                async with dial(mem_world.uri):
                    pass
        assert 7 <= trio.current_time() - began <= 8.1  # with the second that a medium has to end

    with setting("connect_timeout", "7"), setting("hello_timeout", "500"):
        mem_world.run(main)


def test_the_queue_of_a_listener_is_a_setting(mem_world: World, setting: Setting) -> None:
    """backlog decides how many connections wait to be accepted; one more is refused. Row: CF4."""

    async def main() -> None:
        async with serve(mem_world.uri, max_links=1), dial(mem_world.uri), tasks() as some:
            calls = [some.start(dial(mem_world.uri).__aenter__) for _ in range(4)]
            await settle()
            outcomes = [call.outcome for call in calls]
            assert (outcomes.count("waits"), outcomes.count(TransportError)) == (2, 2)
            some.cancel()

    with setting("backlog", "2"):
        mem_world.run(main)
