# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Channels that a peer makes, and names that it may open: one answer each, every bound, and how they end. Row: W2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_OLDEST,
    RENDEZVOUS,
    SUSPEND,
    UNLIMITED,
    AccessDenied,
    AlreadyExists,
    ChannelClosed,
    Identity,
    Listed,
    MessageTooLong,
    NoBuffers,
    NotFound,
    ProtocolError,
    Rights,
    channel,
    dial,
    serve,
)
from kcoro_core.link.made import MAKER_LEFT
from kcoro_core.transports.mem import faults
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.events import ListRequested
from kcoro_core.wire.fields import Fields
from kcoro_core.wire.messages import OpenFlag, OpenRequest, decode_reply, encode_open

from .raw import RawPeer
from .world import World, settle

Setting = Callable[[str, str], Any]
ALL = Rights.SEND | Rights.RECV | Rights.CLOSE


def test_what_a_peer_makes_it_has_every_right_to_and_others_find_it_by_name(world: World) -> None:
    """Made, opened, sent through, asked, listed, destroyed: a channel as any, at the side that was asked. Row: W2."""

    async def main() -> None:
        async with serve(world.uri, allow_make=2) as server, dial(world.uri) as maker, dial(world.uri) as other:
            handle = await maker.make("jobs", BUFFERED, 4, DROP_OLDEST)
            assert (handle.kind, handle.capacity, handle.overflow) == (BUFFERED, 4, DROP_OLDEST)
            assert (handle.can_send, handle.can_recv, handle.can_close) == (True, True, True)
            theirs = await other.open("jobs")
            await handle.send(b"soup")
            assert (await theirs.info()).length == 1
            assert await theirs.recv() == b"soup"
            assert await other.list() == [Listed("jobs", BUFFERED, ALL)]
            await handle.destroy()
            with pytest.raises(ChannelClosed):
                await theirs.recv()
            for link in (maker, other):
                assert await link.list() == []
                with pytest.raises(NotFound):
                    await link.open("jobs")
            assert len(server.links) == 2

    world.run(main)


def test_a_name_that_is_taken_is_refused_or_opened_if_it_is_the_same(world: World) -> None:
    """AlreadyExists by default; with exist_ok, what is there, unless it differs. Row: W2."""

    async def main() -> None:
        async with world.linked({"jobs": channel(BUFFERED, capacity=4)}, allow_make=5) as (_, link):
            with pytest.raises(AlreadyExists):
                await link.make("jobs", BUFFERED, 4)
            same = await link.make("jobs", BUFFERED, 4, SUSPEND, exist_ok=True)
            await same.send(b"x")
            for wrong in ((BUFFERED, 5, None), (RENDEZVOUS, None, None), (BUFFERED, 4, DROP_OLDEST)):
                with pytest.raises(ValueError, match="has "):
                    await link.make("jobs", *wrong, exist_ok=True)
            mine = await link.make("mine", CONFLATED, exist_ok=True)
            with pytest.raises(AlreadyExists):
                await link.make("mine", CONFLATED)
            assert mine.kind is CONFLATED

    world.run(main)


def test_how_many_a_peer_makes_is_bounded_for_each_link(world: World) -> None:
    """NoBuffers at the bound; one that is closed makes room; another link has its own count. Rows: W2, W3."""

    async def main() -> None:
        async with serve(world.uri, allow_make=2), dial(world.uri) as link, dial(world.uri) as other:
            made = [await link.make(name, RENDEZVOUS) for name in ("a", "b")]
            with pytest.raises(NoBuffers, match="made 2 channels"):
                await link.make("c", RENDEZVOUS)
            await other.make("d", RENDEZVOUS)
            made[0].detach()
            with pytest.raises(NoBuffers):
                await link.make("c", RENDEZVOUS)
            made[1].close()
            await link.make("c", RENDEZVOUS)
            assert [one.name for one in await link.list()] == ["a", "c", "d"]

    world.run(main)


def test_without_allow_make_nobody_makes_a_channel(world: World) -> None:
    """The default; also at the side that dialled. Row: W2."""

    async def main() -> None:
        async with serve(world.uri) as server, dial(world.uri) as link:
            await settle()
            for side in (link, server.links[0]):
                with pytest.raises(AccessDenied, match="may not make channels"):
                    await side.make("jobs", RENDEZVOUS)

    world.run(main)


def test_what_is_made_is_bounded_in_bytes(world: World, setting: Setting) -> None:
    """A full channel holds no more than the budget: so elements are short, or it is not made. Rows: W2, W3."""

    async def main() -> None:
        async with serve(world.uri, allow_make=4), dial(world.uri) as link, dial(world.uri) as other:
            handle = await link.make("jobs", BUFFERED, 100)
            assert handle.max_message == 65536 // 100 - 64
            assert (await other.open("jobs")).max_message == handle.max_message
            await handle.send(bytes(handle.max_message))
            with pytest.raises(MessageTooLong):
                await handle.send(bytes(handle.max_message + 1))
            assert (await link.make("few", BUFFERED, 2)).max_message == 1000
            with pytest.raises(NoBuffers, match="capacity of 513"):
                await link.make("many", BUFFERED, 513)
            assert (await link.make("most", BUFFERED, 512)).max_message == 64
            with pytest.raises(AccessDenied, match="without a bound"):
                await link.make("all", UNLIMITED)

    with setting("receive_budget", "65536"), setting("max_message", "1000"):
        world.run(main)


def test_what_a_peer_made_ends_with_its_link(mem_world: World) -> None:
    """In good order or not: others receive what is queued, then hear why; the name is free. Row: W2."""

    async def main(cut: bool) -> None:
        with faults("world") as line:
            async with serve(mem_world.uri, allow_make=1) as server:
                async with dial(mem_world.uri) as maker:
                    handle = await maker.make("jobs", BUFFERED, 4)
                    await handle.send(b"left behind")
                    if cut:
                        line.cut_now()
                await settle()
                async with dial(mem_world.uri) as other:
                    with pytest.raises(NotFound):
                        await other.open("jobs")
                    again = await other.make("jobs", RENDEZVOUS)
                    assert again.kind is RENDEZVOUS
                assert server.links == () or server.links[0].closed is False

    for cut in (True, False):
        mem_world.run(lambda cut=cut: main(cut))


def test_others_drain_what_its_maker_left(world: World) -> None:
    """The close comes behind what was accepted, with a reason that tells. Row: W2."""

    async def main() -> None:
        async with serve(world.uri, allow_make=1), dial(world.uri) as other:
            async with dial(world.uri) as maker:
                handle = await maker.make("jobs", BUFFERED, 4)
                theirs = await other.open("jobs")
                await handle.send(b"left behind")
            await settle()
            assert await theirs.recv() == b"left behind"
            with pytest.raises(ChannelClosed) as closed:
                await theirs.recv()
            assert closed.value.reason == MAKER_LEFT

    world.run(main)


def test_names_come_in_pages_and_only_those_that_may_be_used(world: World) -> None:
    """However many there are, sorted by their bytes; each with what the rule grants. Rows: W2, X18."""
    jobs = channel(BUFFERED, capacity=1)
    names = sorted((f"{'n' * (i % 200)}{i}\u00e9" for i in range(700)), key=str.encode)

    def rule(_identity: Identity, name: str, operation: str) -> bool:
        return not name.endswith("7\u00e9") and operation != "close"

    async def main() -> None:
        export = {name: jobs.receiver() if name.endswith("3\u00e9") else jobs for name in names}
        async with world.linked(export, authorize=rule) as (server, link):
            before = link.snapshot().frames_written
            listed = await link.list()
            pages = link.snapshot().frames_written - before
            assert [one.name for one in listed] == [name for name in names if not name.endswith("7\u00e9")]
            assert {one.kind for one in listed} == {BUFFERED}
            assert {one.rights for one in listed if one.name.endswith("3\u00e9")} == {Rights.RECV}
            assert {one.rights for one in listed if one.name.endswith("4\u00e9")} == {Rights.SEND | Rights.RECV}
            assert pages > 10
            for name in names:
                server.withdraw(name)
            assert await link.list() == []

    world.run(main)


def test_a_rule_decides_who_makes_which_name(world: World) -> None:
    """The operation "make"; whoever may make a channel has every right to it. Row: X18."""
    asked: list[tuple[str, str]] = []

    def rule(_identity: Identity, name: str, operation: str) -> bool:
        asked.append((name, operation))
        return operation == "make" and name == "mine"

    async def main() -> None:
        async with world.linked({}, allow_make=2, authorize=rule) as (_, link):
            handle = await link.make("mine", BUFFERED, 1)
            await handle.send(b"x")
            with pytest.raises(AccessDenied, match="may not make 'other'"):
                await link.make("other", BUFFERED, 1)
            with pytest.raises(AccessDenied):
                await link.open("mine")
            assert asked[:2] == [("mine", "make"), ("other", "make")]

    world.run(main)


def test_each_request_for_a_channel_has_one_answer(world: World) -> None:
    """Made, refused for what is missing or wrong, or taken: exactly one REPLY, and the link goes on. Row: W2."""

    async def main() -> None:
        async with serve(world.uri, allow_make=9):
            peer = RawPeer(world.uri)
            await peer.shake()
            create = OpenFlag.CREATE
            wanted = [
                (OpenRequest("a", create, BUFFERED, None, 2), WireCode.OK),
                (OpenRequest("b", create), WireCode.EINVAL),
                (OpenRequest("c", create, BUFFERED), WireCode.EINVAL),
                (OpenRequest("d", create, RENDEZVOUS, DROP_OLDEST), WireCode.EINVAL),
                (OpenRequest("e", create, BUFFERED, None, 0), WireCode.EINVAL),
                (OpenRequest("f", create, BUFFERED, None, 1, "json"), WireCode.ENOTSUP),
                (OpenRequest("g", create, BUFFERED, None, 2**32 - 2), WireCode.ENOBUFS),
                (OpenRequest("a", create | OpenFlag.EXCL, BUFFERED, None, 2), WireCode.EEXIST),
                (OpenRequest("h", create | OpenFlag.EXCL, CONFLATED), WireCode.OK),
                (OpenRequest("i", OpenFlag.EXCL), WireCode.ENOENT),
            ]
            for i, (request, _) in enumerate(wanted):
                await peer.send(Command.OPEN, 2 * i + 1, i + 1, encode_open(request))
            await peer.send(40, 0, 90)
            await peer.send(Command.LIST, 0, 91, b"a")
            await peer.pump()
            answers = dict(peer.replies())
            assert len(peer.replies()) == len(answers) == len(wanted) + 2
            codes = [decode_reply(Fields(answers[i + 1], "REPLY"))[0] for i in range(len(wanted))]
            assert codes == [code for _, code in wanted]
            assert decode_reply(Fields(answers[90], "REPLY"))[0] == WireCode.ENOTSUP
            assert answers[91][4:] == bytes([0, CONFLATED.value, int(ALL), 1]) + b"h"
            peer.close()

    world.run(main)


def test_misuse_is_told_before_anything_is_sent(world: World) -> None:
    """A kind that is none, a name that nobody could ask for. Row: W2."""

    async def main() -> None:
        async with world.linked({}, allow_make=2) as (_, link):
            before = link.snapshot().frames_written
            for name, kind in (("", BUFFERED), ("x" * 256, BUFFERED), ("x", "BUFFERED"), ("x", None)):
                with pytest.raises(ValueError, match=r"name of a channel|kind is one"):
                    await link.make(name, kind)  # type: ignore[arg-type]
            assert link.snapshot().frames_written == before
        with pytest.raises(ValueError, match="allow_make"):
            async with serve(world.uri, allow_make=-1):
                pass

    world.run(main)


def test_a_peer_that_repeats_names_is_found_out(mem_world: World) -> None:
    """Else a list of names would never end. Row: W3."""
    jobs = channel()

    async def main() -> None:
        async with mem_world.linked({f"{i:0200}": jobs for i in range(100)}) as (server, link):
            await settle()
            (there,) = server.links
            told = there.pump.handlers[ListRequested]

            def forgetful(asked: Any) -> None:
                told(type(asked)(asked.request_id, ""))

            there.pump.handlers[ListRequested] = forgetful
            with pytest.raises(ProtocolError, match="told already"):
                await link.list()

    mem_world.run(main)
