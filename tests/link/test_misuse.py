# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Wrong calls on links are documented errors, known before anything was asked or started (rows E1, CH14, N8)."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import pytest
import trio

from kcoro_core import (
    UNLIMITED,
    CancelToken,
    ChannelClosed,
    Link,
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
                assert sorted(server._exports) == ["jobs"]
                await (await another.open("jobs")).send(b"v")

    world.run(main)
