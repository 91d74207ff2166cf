# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Close: drain first, then ChannelClosed, for every kind, form and waiter (rows CH9, CH10)."""

from __future__ import annotations

from typing import Final

from ...cancel import CancelToken
from ...errors import ChannelClosed
from ...semantics import RENDEZVOUS, UNLIMITED
from .harness import Call, Harness, collect, raises
from .registry import REASON_TRAVELS, Group, law
from .shapes import ALL, FULL_WAITS, HOLDING, Shape, shape

CROWD: Final = 100


@law("CH9.drains-in-order", Group.CHANNEL, over=HOLDING)
async def drains_in_order(h: Harness, made: Shape) -> None:
    """After close receivers get what is queued, in order, and then ChannelClosed; senders get it at once. Rows: CH9."""
    ch = await h.channel(made)
    for i in range(5):
        await h.outcome(ch.send, i, timeout=0)
    left = len(h.home(ch))
    h.home(ch).close()
    await h.settle()
    assert (await h.outcome(ch.send, "late")).outcome is ChannelClosed
    got = [await ch.recv() for _ in range(left)]
    assert got == sorted(got)
    for timeout in (0, h.tick, None):
        assert (await h.outcome(ch.recv, timeout=timeout)).outcome is ChannelClosed


@law("CH9.closed-beats-full", Group.CHANNEL, over=HOLDING)
async def closed_beats_full(h: Harness, made: Shape) -> None:
    """On a channel that is full and closed a try to send says closed, not that it would block. Rows: CH9, CH8."""
    ch = await h.channel(made)
    for i in range(3):
        await h.outcome(ch.send, i, timeout=0)
    h.home(ch).close()
    await h.settle()
    assert (await h.outcome(ch.send, "late", timeout=0)).outcome is ChannelClosed


def _crowd(h: Harness, i: int) -> dict[str, object]:
    """A quarter waits for ever, a quarter with a deadline, a quarter with a token, a quarter with both."""
    how: dict[str, object] = {}
    if i % 2:
        how["timeout"] = 100 * h.tick
    if i % 4 >= 2:
        how["cancel"] = CancelToken()
    return how


@law("CH9.wakes-every-receiver", Group.CHANNEL, over=ALL)
async def wakes_every_receiver(h: Harness, made: Shape) -> None:
    """Close wakes all of 100 parked receivers with ChannelClosed, whatever form they wait in. Rows: CH9."""
    ch = await h.channel(made)
    async with h.tasks() as tasks:
        calls = [tasks.start(ch.recv, **_crowd(h, i)) for i in range(CROWD)]
        await h.waiting(ch, receivers=CROWD)
        h.home(ch).close()
        await h.waiting(ch)
        assert {call.outcome for call in calls} == {ChannelClosed}


@law("CH9.wakes-every-sender", Group.CHANNEL, over=FULL_WAITS)
async def wakes_every_sender(h: Harness, made: Shape) -> None:
    """Close fails all of 100 parked senders, each of whom keeps its value. Rows: CH9, CH6."""
    lost: list[object] = []
    ch = await h.channel(made, on_undelivered=lambda value, why, of: lost.append(value))
    for i in range(int(made.limit)):
        await ch.send(i)
    async with h.tasks() as tasks:
        calls = [tasks.start(ch.send, "mine", **_crowd(h, i)) for i in range(CROWD)]
        await h.waiting(ch, senders=CROWD)
        h.home(ch).close()
        await h.waiting(ch)
        assert {call.outcome for call in calls} == {ChannelClosed}
    assert [value async for value in ch] == list(range(int(made.limit)))
    assert lost == []


@law("CH9.twice-is-harmless", Group.CHANNEL, over=ALL)
async def twice_is_harmless(h: Harness, made: Shape) -> None:
    """Closing or cancelling a closed channel again changes nothing, not even the reason. Rows: CH9, CH10."""
    ch = await h.channel(made)
    home = h.home(ch)
    home.close("first")
    home.close("second")
    home.cancel("third")
    assert (home.closed, home.reason) == (True, "first")
    await h.settle()
    assert (await h.outcome(ch.recv)).outcome is ChannelClosed


@law("CH10.reason-is-reachable", Group.CHANNEL, local=REASON_TRAVELS)
async def reason_is_reachable(h: Harness) -> None:
    """The very object given to close is found in the error of every operation, waiting or later. Rows: CH10."""
    reason = object()
    ch = await h.channel(shape(RENDEZVOUS))
    calls: list[Call] = []
    async with h.tasks() as tasks:
        calls += [tasks.start(ch.recv), tasks.start(ch.recv, timeout=9 * h.tick)]
        await h.settle()
        ch.close(reason)
    calls += [await h.outcome(ch.recv), await h.outcome(ch.send, "v"), await h.outcome(ch.recv, timeout=0)]
    for call in calls:
        assert isinstance(call.error, ChannelClosed)
        assert call.error.reason is reason
    assert len({id(call.error) for call in calls}) == len(calls), "errors are never shared"


@law("CH10.exception-as-reason-ends-iteration-with-it", Group.CHANNEL, local=REASON_TRAVELS)
async def exception_as_reason_ends_iteration_with_it(h: Harness) -> None:
    """``async for`` raises ChannelClosed when the reason is an exception, with that exception as cause. Rows: CH10."""
    ch = await h.channel(shape(UNLIMITED))
    broken = ValueError("the source broke")
    await ch.send("v")
    ch.close(broken)
    got: list[str] = []
    with raises(ChannelClosed) as caught:
        await collect(ch, got)
    assert got == ["v"]
    assert caught[0].__cause__ is broken


@law("CH9.cancel-gives-up-what-is-queued", Group.CHANNEL, over=ALL)
async def cancel_gives_up_what_is_queued(h: Harness, made: Shape) -> None:
    """``ch.cancel`` closes at once: nothing can be received any more, and all waiters wake. Rows: CH6, CH9."""
    ch = await h.channel(made)
    for i in range(2):
        await h.outcome(ch.send, i, timeout=0)
    h.home(ch).cancel("enough")
    await h.settle()
    assert (await h.outcome(ch.recv)).outcome is ChannelClosed
    assert (await h.outcome(ch.send, "v")).outcome is ChannelClosed
    waits = await h.channel(made)
    async with h.tasks() as tasks:
        calls = [tasks.start(waits.recv) for _ in range(3)]
        await h.settle()
        h.home(waits).cancel()
    assert {call.outcome for call in calls} == {ChannelClosed}
