# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Opening by name: what is exported, to whom, with which rights (rows N8, W2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_OLDEST,
    RENDEZVOUS,
    UNLIMITED,
    AccessDenied,
    Channel,
    DeadlineExceeded,
    Identity,
    NoBuffers,
    NotFound,
    NotSupported,
    WrongLoop,
    channel,
    dial,
    plugins,
    serve,
)
from kcoro_core.transport import Capability

from .world import World, settle

Setting = Callable[[str, str], Any]

OPERATIONS = ("send", "recv", "close")
EXPORTS = {
    "channel": (lambda ch: ch, {"send", "recv", "close"}),
    "sender": (lambda ch: ch.sender(), {"send"}),
    "receiver": (lambda ch: ch.receiver(), {"recv"}),
}


async def attempt(handle: Any, operation: str) -> bool:
    """Whether the home lets this handle do that."""
    try:
        if operation == "send":
            await handle.send(b"v", timeout=0)
        elif operation == "recv":
            await handle.recv(timeout=0)
        else:
            handle.close()
    except AccessDenied:
        return False
    return True


@pytest.mark.parametrize("exported", EXPORTS)
def test_an_export_gives_the_rights_of_its_end_and_no_others(world: World, exported: str) -> None:
    """A Channel may be sent to, received from and closed, a Sender sent to, a Receiver received from. Rows: N8, CH9."""
    make, rights = EXPORTS[exported]

    async def main() -> None:
        ch = channel(UNLIMITED)
        ch.try_send(b"first")
        async with world.linked({"jobs": make(ch)}) as (_, link):
            jobs = await link.open("jobs")
            told = {"send": jobs.can_send, "recv": jobs.can_recv, "close": jobs.can_close}
            assert {name for name, may in told.items() if may} == rights
            assert {name for name in OPERATIONS if await attempt(jobs, name)} == rights
            await settle()
        assert ch.closed == ("close" in rights)

    world.run(main)


def test_a_name_that_is_not_exported_is_not_found(world: World) -> None:
    """Opening an unknown name raises NotFound, and the link goes on. Row: N8."""

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            with pytest.raises(NotFound, match="'results'"):
                await link.open("results")
            await (await link.open("jobs")).send(b"v")

    world.run(main)


def test_a_handle_tells_what_the_channel_truly_is(world: World) -> None:
    """Kind, capacity and policy come from the home with the answer to OPEN. Rows: N8, CH13."""
    made: dict[str, Channel[bytes]] = {}

    async def main() -> None:
        made.update(
            a=channel(RENDEZVOUS), b=channel(BUFFERED, 7, DROP_OLDEST), c=channel(CONFLATED), d=channel(UNLIMITED)
        )
        async with world.linked(dict(made)) as (_, link):
            for name, ch in made.items():
                handle = await link.open(name)
                assert (handle.kind, handle.capacity, handle.overflow) == (ch.kind, ch.capacity, ch.overflow)
            rooms = [(await (await link.open(name)).info()).capacity for name in made]
            assert rooms == [0, 7, 1, None]

    world.run(main)


def test_both_sides_may_export(world: World) -> None:
    """The side that was dialled opens what the dialling side exports, over the same connection. Rows: N1, N8."""

    async def main() -> None:
        back = channel(UNLIMITED)
        async with serve(world.uri) as server, dial(world.uri, {"back": back.sender()}):
            joined = await server.events.recv()
            handle = await joined.link.open("back")
            await handle.send(b"hello")
            assert await back.recv() == b"hello"

    world.run(main)


def test_authorize_decides_for_each_name_and_operation(world: World) -> None:
    """What the rule denies is not granted; a name of which everything is denied cannot be opened. Row: N8."""
    asked: list[tuple[str, str, str]] = []

    def rule(identity: Identity, name: str, operation: str) -> bool:
        asked.append((identity.kind, name, operation))
        return (name, operation) in {("jobs", "recv"), ("results", "send")}

    async def main() -> None:
        export = {name: channel(UNLIMITED) for name in ("jobs", "results", "secret")}
        async with world.linked(export, authorize=rule) as (_, link):
            jobs = await link.open("jobs")
            assert (jobs.can_send, jobs.can_recv, jobs.can_close) == (False, True, False)
            assert (await link.open("results")).can_send
            with pytest.raises(AccessDenied, match="secret"):
                await link.open("secret")
        kind = "process" if world.scheme == "mem" else "uid"
        assert set(asked) == {(kind, name, operation) for name in export for operation in OPERATIONS}

    world.run(main)


def test_a_rule_that_fails_denies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in authorize is a no, is told to the unraisable hook, and hurts nobody else. Row: N8."""
    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: seen.append(args.exc_value))

    def rule(identity: Identity, name: str, operation: str) -> bool:
        return {"jobs": True}[name]

    async def main() -> None:
        async with world.linked({"jobs": channel(), "other": channel()}, authorize=rule) as (_, link):
            with pytest.raises(AccessDenied):
                await link.open("other")
            assert (await link.open("jobs")).can_send

    world.run(main)
    assert [type(error) for error in seen] == [KeyError] * 3


def test_a_handle_keeps_its_rights_while_names_come_and_go(world: World) -> None:
    """Names can be added and withdrawn while the server runs; open handles stay open. Row: N8."""

    async def main() -> None:
        async with world.linked({}) as (server, link):
            server.export("jobs", channel(UNLIMITED))
            jobs = await link.open("jobs")
            server.withdraw("jobs")
            with pytest.raises(NotFound):
                await link.open("jobs")
            await jobs.send(b"v")

    world.run(main)


def test_the_number_of_open_channels_is_bounded(world: World, setting: Setting) -> None:
    """Beyond max_channels an open is refused with NoBuffers, until a handle is given up. Rows: W3, N8."""

    async def main() -> None:
        async with world.linked({"jobs": channel()}) as (_, link):
            handles = [await link.open("jobs") for _ in range(3)]
            with pytest.raises(NoBuffers, match="3 channels"):
                await link.open("jobs")
            handles.pop().detach()
            await settle()
            await link.open("jobs")

    with setting("max_channels", "3"):
        world.run(main)


def test_opening_can_wait_no_longer_than_it_is_told(mem_world: World) -> None:
    """An open whose answer does not come ends with DeadlineExceeded, and leaves no handle behind. Rows: N8, CH7."""
    from kcoro_core.transports.mem import TO_DIALER, faults

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({"jobs": channel()}) as (_, link):
                line.stall(TO_DIALER)
                with pytest.raises(DeadlineExceeded):
                    await link.open("jobs", timeout=1)
                line.resume(TO_DIALER)
                await settle()
                assert link.snapshot().opened == 0

    mem_world.run(main)


@pytest.mark.parametrize("name", ["", "x" * 256, 7, None, b"jobs"])
def test_a_name_is_a_short_text(mem_world: World, name: Any) -> None:
    """Both sides refuse the same names, before anything is started. Row: N8."""

    async def main() -> None:
        with pytest.raises(ValueError, match="1 to 255 bytes"):
            async with serve("mem:other", {name: channel()}):
                pass
        async with mem_world.linked({}) as (_, link):
            with pytest.raises(ValueError, match="1 to 255 bytes"):
                await link.open(name)

    mem_world.run(main)


def test_only_open_ends_of_here_can_be_exported(world: World) -> None:
    """A closed half or a foreign object is ValueError, a handle of another link NotSupported. Row: N8."""

    async def main() -> None:
        half = channel().sender()
        half.close()
        with pytest.raises(ValueError, match="closed"):
            async with serve(world.uri, {"jobs": half}):
                pass
        with pytest.raises(ValueError, match="Channel, a Sender or a Receiver"):
            async with serve(world.uri, {"jobs": [1]}):
                pass
        async with world.linked({"jobs": channel()}) as (server, link):
            with pytest.raises(NotSupported, match="another link"):
                server.export("again", await link.open("jobs"))

    world.run(main)


def test_a_channel_of_another_run_cannot_be_exported() -> None:
    """Exporting a channel that belongs to another run raises WrongLoop, and nothing listens. Rows: N8, CH14."""
    ch = channel()

    async def export() -> None:
        async with serve("mem:", {"jobs": ch}):
            pass

    async def other() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ch.recv()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ch.recv)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(WrongLoop):
                await trio.to_thread.run_sync(trio.run, export)
            nursery.cancel_scope.cancel()

    trio.run(other)


def test_prefetch_and_lend_are_permissions_that_a_home_may_decline(world: World) -> None:
    """A handle that was opened with them works the same; nonsense is ValueError. Row: N8."""

    async def main() -> None:
        ch = channel(BUFFERED, 2)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs", prefetch=8, lend=True)
            await jobs.send(b"v")
            assert await jobs.recv() == b"v"
            assert len(ch) == 0
            for wrong in (-1, 1.5, "8", True):
                with pytest.raises(ValueError, match="prefetch"):
                    await link.open("jobs", prefetch=wrong)  # type: ignore[arg-type]

    world.run(main)


def test_a_server_that_cannot_tell_who_connects_needs_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listening without PEER_IDENTITY and without authorize= is NotSupported; nothing listens then. Row: N8."""
    real = plugins.transport("mem:")
    blind = attrs.evolve(
        real, info=attrs.evolve(real.info, capabilities=real.info.capabilities & ~Capability.PEER_IDENTITY)
    )
    monkeypatch.setattr(plugins, "transport", lambda uri: blind)

    async def main() -> None:
        with pytest.raises(NotSupported, match="authorize="):
            async with serve("mem:blind", {"jobs": channel()}):
                pass
        jobs = {"jobs": channel(UNLIMITED)}
        async with serve("mem:blind", jobs, authorize=lambda *asked: True), dial("mem:blind") as link:
            await (await link.open("jobs")).send(b"v")

    trio.run(main)
