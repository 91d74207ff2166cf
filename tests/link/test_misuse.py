# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Wrong calls on links are documented errors, known before anything was asked or started (rows E1, CH14, N8)."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import pytest
import trio
import trio.testing

from kcoro_core import (
    UNLIMITED,
    AccessDenied,
    CancelToken,
    ChannelClosed,
    DeadlineExceeded,
    Identity,
    Link,
    NotSupported,
    OperationCancelled,
    RemoteChannel,
    Server,
    WrongLoop,
    channel,
    dial,
    serve,
)
from kcoro_core.testing.laws.loops import in_other_run, in_thread

from .world import World, settle, tasks

Ask = Callable[[Link, RemoteChannel, Any], Awaitable[object]]

ASKING: Final[dict[str, Ask]] = {
    "open": lambda link, jobs, token: link.open("jobs", cancel=token),
    "send": lambda link, jobs, token: jobs.send(b"v", cancel=token),
    "recv": lambda link, jobs, token: jobs.recv(cancel=token),
    "info": lambda link, jobs, token: jobs.info(cancel=token),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("token", [threading.Event(), 5, "token"], ids=["event", "number", "text"])
def test_what_is_no_token_is_refused_before_anything_is_asked(world: World, ask: Ask, token: object) -> None:
    """``cancel=`` takes a CancelToken; with anything else the peer hears nothing. Rows: E1, K7."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            before = link.snapshot().frames_written
            with pytest.raises(ValueError, match="CancelToken"):
                await ask(link, jobs, token)
            await settle()
            assert (link.snapshot().frames_written, len(ch)) == (before, 0)

    world.run(main)


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("which", ["itself", "the one above"])
def test_a_token_of_another_run_is_refused_before_anything_is_asked(world: World, ask: Ask, which: str) -> None:
    """Whether it, or what can set it, belongs to another run: the peer hears nothing. Rows: CH14, K7."""
    parent = CancelToken()
    child = parent.child()

    async def there() -> None:
        ch = channel(UNLIMITED)
        async with serve("mem:there", {"jobs": ch}), dial("mem:there") as link:
            jobs = await link.open("jobs")
            before = link.snapshot().frames_written
            with pytest.raises(WrongLoop):
                await ask(link, jobs, parent if which == "itself" else child)
            await settle()
            assert (link.snapshot().frames_written, len(ch)) == (before, 0)

    async def main() -> None:
        async with tasks() as some:
            some.start(parent.wait)
            await settle()
            assert in_other_run(there) is None
            parent.trigger()

    world.run(main)


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("why", ["dead", "cancelled"])
def test_calls_that_fail_at_once_give_others_their_turn(ask: Ask, why: str) -> None:
    """A loop of calls on a link that has ended, or with a token that is set, starves nobody. Rows: N6, SC12."""

    async def main() -> None:
        token = CancelToken()
        async with serve("mem:starve", {"jobs": channel()}), dial("mem:starve") as link:
            jobs = await link.open("jobs")
            if why == "dead":
                await link.aclose()
            else:
                token.trigger()
            turns = 0

            async def other() -> None:
                nonlocal turns
                while turns < 5:
                    await trio.lowlevel.checkpoint()
                    turns += 1

            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
                for _ in range(1000):
                    with pytest.raises((ChannelClosed, OperationCancelled)):
                        await ask(link, jobs, token if why == "cancelled" else None)
                assert turns == 5

    trio.run(main)


# -- another run or thread

LEAVING: Final[dict[str, Callable[[Server, Link], object]]] = {
    "export": lambda server, link: server.export("more", channel()),
    "withdraw": lambda server, link: server.withdraw("jobs"),
    "stop_listening": lambda server, link: server.stop_listening(),
    "server.aclose": lambda server, link: server.aclose(),
    "link.aclose": lambda server, link: link.aclose(),
    "news": lambda server, link: server.events.try_recv(),
}


@pytest.mark.parametrize("use", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("where", ["another run", "a thread without a loop"])
def test_a_server_and_a_link_belong_to_their_run(
    world: World, use: Callable[[Server, Link], object], where: str
) -> None:
    """From elsewhere each method raises WrongLoop, and the server and its links go on as before. Rows: CH14, N1."""

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (server, link):
            await settle()

            async def there() -> None:
                result = use(server, link)
                if isinstance(result, Coroutine):
                    await result

            def outside() -> None:
                there().send(None)

            error = in_other_run(there) if where == "another run" else in_thread(outside)
            assert isinstance(error, WrongLoop)
            await settle()
            assert (len(server.links), link.closed) == (1, False)
            async with dial(world.uri) as another:
                assert sorted(server._offer.exports) == ["jobs"]
                await (await another.open("jobs")).send(b"v")

    world.run(main)


# -- arguments


async def _async_rule(identity: Identity, name: str, operation: str) -> bool:
    return False


WRONG: Final[dict[str, tuple[dict[str, Any], type[Exception], str]]] = {
    "none": ({"uri": None}, ValueError, "an address is a text like uds:/run/app.sock"),
    "bytes": ({"uri": b"mem:there"}, ValueError, "an address is a text like uds:/run/app.sock"),
    "no-colon": ({"uri": "hello"}, ValueError, "an address is a text like uds:/run/app.sock"),
    "empty": ({"uri": ""}, ValueError, "an address is a text like uds:/run/app.sock"),
    "no-scheme": ({"uri": ":there"}, ValueError, "uds:/run"),
    "unknown": ({"uri": "pigeon:there"}, NotSupported, "pip install kcoro-core kcoro-transport-NAME"),
    "list": ({"export": [channel()]}, ValueError, "maps names to channels"),
    "no-export": ({"export": None}, ValueError, "maps names to channels"),
    "half-a-letter": ({"export": {"\ud800": channel()}}, ValueError, "UTF-8"),
    "number-as-name": ({"export": {5: channel()}}, ValueError, "a text of 1 to 255 bytes"),
    "number-as-end": ({"export": {"jobs": 5}}, ValueError, "a Channel, a Sender or a Receiver"),
    "number-as-rule": ({"authorize": 5}, ValueError, "plain function"),
    "async-rule": ({"authorize": _async_rule}, ValueError, "plain function"),
}


@pytest.mark.parametrize("call", [dial, serve])
@pytest.mark.parametrize(("arguments", "error", "hint"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_told_before_anything_is_started(
    call: Any, arguments: dict[str, Any], error: type[Exception], hint: str
) -> None:
    """dial and serve say what they want, and neither listen, connect nor bind a channel. Rows: E1, N8."""
    ch = channel()

    async def main() -> None:
        async with serve("mem:there") as server:
            with pytest.raises(error) as caught:
                async with call(**{"uri": "mem:there", "export": {"jobs": ch}, **arguments}):
                    pass
            assert hint in str(caught.value)
            await settle()
            assert not server._links
        assert in_other_run(lambda: ch.send("v", timeout=1)).__class__ is DeadlineExceeded

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("name", ["", "\ud800", "a\udfffb", "x" * 256, "é" * 128, 5, None, b"jobs", []])
def test_a_name_that_cannot_travel_is_told_at_once(world: World, name: Any) -> None:
    """Names are texts of 1 to 255 bytes of UTF-8: for open, and for export. Rows: E1, N8."""

    async def main() -> None:
        async with world.linked({}) as (server, link):
            before = link.snapshot().frames_written
            with pytest.raises(ValueError, match="name of a channel"):
                await link.open(name)
            with pytest.raises(ValueError, match="name of a channel"):
                server.export(name, channel())
            assert link.snapshot().frames_written == before

    world.run(main)


def test_a_rule_that_answers_later_denies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be awaited is no yes: the peer is denied, and the unraisable hook is told. Row: N8."""
    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: seen.append(args.exc_value))

    def rule(identity: Identity, name: str, operation: str) -> Any:
        return _async_rule(identity, name, operation)

    async def main() -> None:
        async with world.linked({"jobs": channel()}, authorize=rule) as (_, link):
            with pytest.raises(AccessDenied):
                await link.open("jobs")

    world.run(main)
    assert [type(error) for error in seen] == [TypeError] * 3
