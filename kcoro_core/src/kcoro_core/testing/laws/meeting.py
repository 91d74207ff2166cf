# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Rendezvous: any two waits that overlap meet, whatever their forms and whoever came first (row CH1)."""

from __future__ import annotations

import itertools
from typing import Any, Final

from attrs import frozen

from ...cancel import CancelToken
from ...errors import DeadlineExceeded, WouldBlock
from ...semantics import RENDEZVOUS, Direction, WaitForm
from .harness import Call, Harness, Tasks
from .registry import Group, law
from .shapes import ALL, Shape, shape

PATIENCE: Final = 20
"""How long a timed form waits, in ticks."""


@frozen
class Meeting:
    """Who comes first, in which form each side waits, and whether both were given a token."""

    first: Direction
    forms: tuple[WaitForm, WaitForm]
    cancellable: bool

    def __str__(self) -> str:
        first, second = self.forms
        token = "-cancellable" if self.cancellable else ""
        return f"{self.first.value}-first-{first.name}-{second.name}{token}"


MEETINGS: Final = {
    str(m): m
    for m in (
        Meeting(first, (a, b), cancellable)
        for first in Direction
        for a, b in itertools.product(WaitForm, repeat=2)
        for cancellable in (False, True)
    )
}


def waits_as(h: Harness, form: WaitForm, token: CancelToken | None) -> dict[str, Any]:
    """The keyword arguments of a call that waits in that form."""
    timeout = {WaitForm.TRY: 0, WaitForm.TIMED: PATIENCE * h.tick, WaitForm.FOREVER: None}[form]
    return {"timeout": timeout} | ({} if token is None else {"cancel": token})


def begin(tasks: Tasks, ch: Any, direction: Direction, **how: Any) -> Call:
    """Start a send of "v", or a receive."""
    return tasks.start(ch.send, "v", **how) if direction is Direction.SEND else tasks.start(ch.recv, **how)


@law("CH1.overlapping-waits-meet", Group.CHANNEL, over=MEETINGS)
async def overlapping_waits_meet(h: Harness, case: Meeting) -> None:
    """On a RENDEZVOUS channel any two overlapping waits meet, and a try succeeds whenever the partner waits.

    Rows: CH1, CH7.
    """
    ch = await h.channel(shape(RENDEZVOUS))
    token = CancelToken() if case.cancellable else None
    second = Direction.RECV if case.first is Direction.SEND else Direction.SEND
    lonely = {WaitForm.TRY: WouldBlock, WaitForm.TIMED: DeadlineExceeded, WaitForm.FOREVER: "waits"}
    async with h.tasks() as tasks:
        a = begin(tasks, ch, case.first, **waits_as(h, case.forms[0], token))
        await h.settle()
        b = begin(tasks, ch, second, **waits_as(h, case.forms[1], token))
        await h.settle()
        if case.forms[0] is not WaitForm.TRY:
            assert (a.outcome, b.outcome) == ("done", "done")
            assert {a.value, b.value} == {None, "v"}
            return
        await h.ticks(2 * PATIENCE)
        assert (a.outcome, b.outcome) == (WouldBlock, lonely[case.forms[1]])
        tasks.cancel()


@law("CH1.holds-nothing", Group.CHANNEL)
async def holds_nothing(h: Harness) -> None:
    """A RENDEZVOUS channel never holds an element: a send completes only together with its receive. Rows: CH1."""
    ch = await h.channel(shape(RENDEZVOUS))
    async with h.tasks() as tasks:
        sends = []
        for i in range(3):
            sends.append(tasks.start(ch.send, i))
            await h.settle()
        for i, send in enumerate(sends):
            assert send.waits
            assert len(h.home(ch)) == 0
            assert await ch.recv() == i
            await h.settle()
            assert send.outcome == "done"


@law("CH12.direct-hand-off", Group.CHANNEL, over=ALL)
async def direct_hand_off(h: Harness, made: Shape) -> None:
    """An element that meets a waiting receiver goes straight to it: counted as hand-off, never queued. Rows: CH12."""
    ch = await h.channel(made)
    async with h.tasks() as tasks:
        got = tasks.start(ch.recv)
        await h.waiting(ch, receivers=1)
        await ch.send("v", timeout=PATIENCE * h.tick)
    state = h.home(ch).snapshot()
    assert got.value == "v"
    assert (state.handoffs, state.length, state.peak_length) == (1, 0, 0)
