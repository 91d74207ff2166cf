# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One program means the same on every host that is installed: it is run on each, and must say the same (row C9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kcoro_core import (
    BUFFERED,
    CancelToken,
    ChannelClosed,
    DeadlineExceeded,
    KcoroError,
    Recv,
    Send,
    channel,
    open_scope,
    select,
    sleep,
)

if TYPE_CHECKING:
    from kcoro_core.hosts.port import Host

    from .conftest import HostUnderTest

SAYS = [
    "squares [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]",
    "select 0 first",
    "select 1 None",
    "late DeadlineExceeded",
    "token OperationCancelled stop",
    "sibling was cancelled",
    "group ['division by zero']",
    "closed done",
]


async def program(say: list[str]) -> None:
    """A pipeline, a select, a deadline, a token, a failing child, and a close."""
    numbers, squares = channel(BUFFERED, 3), channel()

    async def square() -> None:
        async for number in numbers:
            await squares.send(number * number)
        squares.close("done")

    async with open_scope() as scope:
        scope.launch(square)
        found: list[Any] = []
        for number in range(10):
            won = await select(Send(numbers, number), timeout=5)
            assert won.index == 0
            found.append(await squares.recv(timeout=5))
        numbers.close()
    say.append(f"squares {found}")
    await two_clauses(say)
    await ends(say)
    try:
        await squares.recv()
    except ChannelClosed as error:
        say.append(f"closed {error.reason}")


async def two_clauses(say: list[str]) -> None:
    """A select takes what is there, whichever side it is on."""
    left, right = channel(BUFFERED, 1), channel(BUFFERED, 1)
    left.try_send("first")
    for _ in range(2):
        won = await select(Recv(left), Send(right, "second"), timeout=5)
        say.append(f"select {won.index} {won.value}")


async def ends(say: list[str]) -> None:
    """A wait ends by a deadline, by a token, and by the failure of a sibling."""
    never, token = channel(), CancelToken()
    try:
        await never.recv(timeout=0.01)
    except DeadlineExceeded as error:
        say.append(f"late {type(error).__name__}")

    async def trigger() -> None:
        token.trigger("stop")

    async with open_scope() as scope:
        scope.launch(trigger)
        try:
            await never.recv(cancel=token)
        except KcoroError as error:
            say.append(f"token {type(error).__name__} {token.reason}")
    try:
        async with open_scope() as scope:
            scope.launch(sibling, never, say)
            await sleep(0)
            scope.launch(fail)
    except* ZeroDivisionError as group:
        say.append(f"group {[str(error) for error in group.exceptions]}")


async def sibling(never: Any, say: list[str]) -> None:
    """Wait until somebody else fails."""
    try:
        await never.recv()
    finally:
        say.append("sibling was cancelled")


async def fail() -> None:
    """Fail."""
    _ = 1 / 0


def test_the_same_program_says_the_same_on_every_host(on: HostUnderTest) -> None:
    """A user's program gives one result, whichever loop steps its tasks. Row: C9."""

    async def main(_host: Host) -> list[str]:
        say: list[str] = []
        await program(say)
        return say

    assert on.run(main) == SAYS
