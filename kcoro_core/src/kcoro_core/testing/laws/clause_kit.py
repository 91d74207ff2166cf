# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The law kit of clauses: what every clause keeps, ours and yours (rows SE1, X20).

A clause is described by a ``ClauseCase``. Its ``make(h)`` is an async context manager, entered inside a run, that gives
a new clause that is not ready, and a function that makes it ready. To test a clause of your own, this is all::

    @asynccontextmanager
    async def pressed(h):
        button = Button()
        yield Pressed(button), button.press

    for name, check in clause_laws(ClauseCase("Pressed", pressed)):
        harness.start(partial(check, harness))

``keeps`` says whether the clause stays ready after it has won (a token does, an element does not). A clause that only
time makes ready gives None as the function, and says after how many ticks it is ready.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import frozen

from ... import plugins
from ...cancel import CancelToken
from ...clauses import Recv, Triggered
from ...errors import DeadlineExceeded, WouldBlock
from ...select import Selector, select
from ...semantics import RAISE, RENDEZVOUS
from .harness import Harness
from .shapes import shape

__all__ = ["CHECKS", "ClauseCase", "clause_laws"]

Ready = Callable[[], object] | None


@frozen
class ClauseCase:
    """A kind of clause, and how to have one that is not ready yet."""

    label: str
    make: Callable[[Harness], AbstractAsyncContextManager[tuple[Any, Ready]]]
    keeps: bool = False
    after: float = 0

    def __str__(self) -> str:
        return self.label


@frozen
class Subject:
    """One clause that is being tested."""

    h: Harness
    case: ClauseCase
    clause: Any
    ready: Ready

    async def happen(self) -> None:
        """Make the clause ready, and let everybody notice."""
        if self.ready is None:
            await self.h.ticks(self.case.after)
        else:
            self.ready()
        await self.h.settle()

    def waiter(self) -> tuple[Any, Any]:
        """The operation of a select with two clauses, of which this is the first, and the first arm."""
        factory = plugins.engine(getattr(self.clause, "engine", None)).select
        op = factory.select(RAISE, 2)
        return op, factory.arm(op, 0, getattr(self.clause, "sending", False), getattr(self.clause, "value", None))


Check = Callable[[Subject], Awaitable[None]]
CHECKS: dict[str, Check] = {}
"""Name and function of each law of the kit."""


def _check(fn: Check) -> Check:
    CHECKS[fn.__name__.replace("_", "-")] = fn
    return fn


def clause_laws(case: ClauseCase) -> Iterator[tuple[str, Callable[[Harness], Awaitable[None]]]]:
    """The laws of one clause, each to be awaited with a harness; AssertionError when the clause does not keep it."""
    for name, check in CHECKS.items():

        async def bound(h: Harness, check: Check = check) -> None:
            async with case.make(h) as (clause, ready):
                await check(Subject(h, case, clause, ready))

        bound.__doc__ = check.__doc__
        yield name, bound


@_check
async def is_not_ready_at_first(s: Subject) -> None:
    """A clause that is not ready does not decide a try."""
    assert (await s.h.outcome(select, s.clause, timeout=0)).outcome is WouldBlock


@_check
async def wins_when_it_is_ready_already(s: Subject) -> None:
    """A clause that is ready before the wait wins at once; one that time makes ready counts from the wait on."""
    if s.ready is not None:
        await s.happen()
        won = await select(s.clause, timeout=0)
        assert (won.index, won.clause) == (0, s.clause)
        return
    await s.happen()
    assert (await s.h.outcome(select, s.clause, timeout=0)).outcome is WouldBlock


@_check
async def wins_when_it_becomes_ready(s: Subject) -> None:
    """A clause that becomes ready during the wait wins, and the wait ends then."""
    async with s.h.tasks() as tasks:
        call = tasks.start(select, s.clause)
        await s.h.settle()
        assert call.waits
        await s.happen()
        assert call.outcome == "done", call
        assert call.value.index == 0


@_check
async def loses_without_effect(s: Subject) -> None:
    """A clause that lost and becomes ready later is there for the next wait: its loss used up nothing."""
    token = CancelToken()
    async with s.h.tasks() as tasks:
        call = tasks.start(select, s.clause, Triggered(token))
        await s.h.settle()
        token.trigger()
        await s.h.settle()
        assert call.value.index == 1
        late = tasks.start(select, s.clause)
        await s.h.settle()
        await s.happen()
        assert late.outcome == "done", late


@_check
async def joins_an_exactly_once_select(s: Subject) -> None:
    """In one select with a channel exactly one of the two wins, and the channel is left."""
    other = await s.h.channel(shape(RENDEZVOUS))
    async with s.h.tasks() as tasks:
        call = tasks.start(select, Recv(other), s.clause)
        await s.h.settle()
        await s.happen()
        assert call.value.index == 1
        await s.h.waiting(other)
        assert (await s.h.outcome(other.send, "v", timeout=0)).outcome is WouldBlock


@_check
async def leaves_at_a_deadline(s: Subject) -> None:
    """A wait that ends by its deadline or by the host takes the clause back, and it can be waited on again."""
    short = min(s.case.after / 4, 1) if s.case.after else 1
    assert (await s.h.outcome(select, s.clause, timeout=short * s.h.tick)).outcome is DeadlineExceeded
    async with s.h.tasks() as tasks:
        call = tasks.start(select, s.clause)
        await s.h.settle()
        tasks.cancel()
    assert call.outcome not in ("done", "waits")
    async with s.h.tasks() as tasks:
        call = tasks.start(select, s.clause)
        await s.h.settle()
        await s.happen()
        assert call.outcome == "done", call


@_check
async def forgets_a_waiter(s: Subject) -> None:
    """After ``withdraw`` nothing of the clause refers to the waiter."""
    op, arm = s.waiter()
    assert not s.clause.poll(arm)
    s.clause.register(arm)
    await s.h.settle()
    s.clause.withdraw(arm)
    seen = weakref.ref(arm)
    del op, arm
    await s.h.settle()
    gc.collect()
    assert seen() is None


@_check
async def does_nothing_for_a_decided_waiter(s: Subject) -> None:
    """``poll`` with a waiter that another clause has won answers False, and takes nothing."""
    op, arm = s.waiter()
    assert op.win_arm(1)
    if s.ready is not None:
        await s.happen()
    assert not s.clause.poll(arm)
    assert op.claim == 1
    if s.ready is not None:
        assert (await select(s.clause, timeout=0)).index == 0


@_check
async def an_event_while_claiming_is_found_later(s: Subject) -> None:
    """An event that comes while the waiter cannot be won is found by the next poll."""
    op, arm = s.waiter()
    assert not s.clause.poll(arm)
    s.clause.register(arm)
    assert op.begin_claim(1)
    await s.happen()
    assert not s.clause.poll(arm)
    assert op.end_claim()
    assert s.clause.poll(arm)
    assert op.claim == 0
    s.clause.withdraw(arm)


@_check
async def serves_two_selects(s: Subject) -> None:
    """One clause in two selects: an event that stays wins for both, one that is used up wins for one of them."""
    async with s.h.tasks() as tasks:
        calls = [tasks.start(select, s.clause) for _ in range(2)]
        await s.h.settle()
        await s.happen()
        done = [call for call in calls if call.outcome == "done"]
        assert len(done) == (2 if s.case.keeps else 1), calls
        tasks.cancel()


@_check
async def can_be_waited_on_again(s: Subject) -> None:
    """A Selector may hold the clause for many waits."""
    selector = Selector(s.clause)
    for _ in range(3):
        assert (await s.h.outcome(selector.wait, timeout=0)).outcome is WouldBlock
    async with s.h.tasks() as tasks:
        call = tasks.start(selector.wait)
        await s.h.settle()
        await s.happen()
        assert call.outcome == "done", call
