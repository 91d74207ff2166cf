# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Inside trio: its cancellation is never swallowed, its tools work on ours, and ours are its channels (row K7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ...cancel import CancelToken
from ...channel import channel
from ...clauses import Recv
from ...errors import OperationCancelled
from ...select import select
from ...semantics import BUFFERED, RENDEZVOUS
from .harness import Harness, raises
from .registry import Group, Need, law
from .shapes import ALL, Shape, shape

TRIO = [Need.TRIO]


@law("K7.a-scope-cancels-a-wait", Group.SCOPE, over=ALL, needs=TRIO)
async def a_scope_cancels_a_wait(h: Harness, made: Shape) -> None:
    """A trio scope around a receive cancels it, and nothing of it stays in the channel. Rows: K7."""
    ch = await h.channel(made)
    for timeout in (None, 1000 * h.tick):
        with trio.move_on_after(h.tick) as scope:
            await ch.recv(timeout)
        assert scope.cancelled_caught
        await h.waiting(ch)
    with trio.move_on_after(h.tick) as scope:
        await select(Recv(ch), cancel=CancelToken())
    assert scope.cancelled_caught
    await h.waiting(ch)


@law("K7.cancelled-is-never-swallowed", Group.SCOPE, needs=TRIO)
async def cancelled_is_never_swallowed(h: Harness) -> None:
    """trio.Cancelled passes through every wait as it is, and never becomes OperationCancelled or the reverse.

    Rows: K7.
    """
    ch: Any = channel()
    token = CancelToken()
    waits: list[Callable[[], Awaitable[Any]]] = [
        ch.recv,
        lambda: ch.recv(timeout=1000, cancel=token),
        lambda: select(Recv(ch)),
        lambda: select(Recv(ch), timeout=1000, cancel=token),
        token.wait,
        lambda: token.wait(1000),
    ]
    for wait in waits:
        caught: list[BaseException] = []
        with trio.CancelScope() as scope:
            async with h.tasks() as tasks:
                call = tasks.start(wait)
                await h.settle()
                scope.cancel()
        caught.append(call.error)  # type: ignore[arg-type]
        assert isinstance(caught[0], trio.Cancelled)
    token.trigger()
    with trio.CancelScope() as scope, raises(OperationCancelled):
        await ch.recv(cancel=token)
    assert not scope.cancelled_caught


@law("K7.a-claim-beats-a-cancel", Group.SCOPE, needs=TRIO)
async def a_claim_beats_a_cancel(h: Harness) -> None:
    """A value that was handed over in the tick of the cancel is returned; the next checkpoint is cancelled.

    Rows: K7.
    """
    ch = await h.channel(shape(RENDEZVOUS))
    for clause in (False, True):
        got: list[Any] = []

        async def take(clause: bool = clause, got: list[Any] = got) -> None:
            got.append((await select(Recv(ch))).value if clause else await ch.recv())
            await trio.lowlevel.checkpoint()
            got.append("never")

        async with h.tasks() as tasks:
            call = tasks.start(take)
            await h.waiting(ch, receivers=1)
            ch.try_send("v")
            tasks.cancel()
        assert got == ["v"]
        assert isinstance(call.error, trio.Cancelled)


@law("K7.every-operation-is-a-cancel-point", Group.SCOPE, needs=TRIO)
async def every_operation_is_a_cancel_point(h: Harness) -> None:
    """In a cancelled scope every operation raises trio.Cancelled, even one that could complete at once. Rows: K7."""
    ch: Any = channel(BUFFERED, 5)
    await ch.send("v")
    token = CancelToken()
    operations: list[Callable[[], Awaitable[Any]]] = [
        lambda: ch.send("w"),
        ch.recv,
        lambda: ch.recv(timeout=0),
        lambda: ch.recv(cancel=token),
        lambda: select(Recv(ch)),
        token.wait,
    ]
    before = len(ch)
    for operation in operations:
        with trio.CancelScope() as scope:
            scope.cancel()
            await operation()
            raise AssertionError("it should have been cancelled")
        assert scope.cancelled_caught
    assert len(ch) == before


@law("K7.nursery-errors-propagate", Group.SCOPE, needs=TRIO)
async def nursery_errors_propagate(h: Harness) -> None:
    """An error in a trio nursery cancels tasks that wait on channels, and leaves as trio would let it. Rows: K7."""
    ch = await h.channel(shape(RENDEZVOUS))

    async def fail() -> None:
        await h.settle()
        raise ZeroDivisionError

    with raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ch.recv)
            nursery.start_soon(fail)
            await ch.recv()
    group: Any = caught[0]
    assert [type(error) for error in group.exceptions] == [ZeroDivisionError]
    await h.waiting(ch)


@law("K7.shielded-waits-go-on", Group.SCOPE, needs=TRIO)
async def shielded_waits_go_on(h: Harness) -> None:
    """A wait inside a shielded scope is not cancelled from outside of it. Rows: K7."""
    ch = await h.channel(shape(RENDEZVOUS))
    got: list[str] = []

    async def shielded() -> None:
        with trio.CancelScope(shield=True):
            got.append(await ch.recv())

    async with h.tasks() as tasks:
        tasks.start(shielded)
        await h.waiting(ch, receivers=1)
        tasks.cancel()
        with trio.CancelScope(shield=True):
            await ch.send("v")
    assert got == ["v"]
