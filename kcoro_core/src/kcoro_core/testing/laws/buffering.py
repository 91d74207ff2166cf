# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a channel holds, in which order it gives it out, and what it drops when it is full (rows CH2 to CH5)."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from ...errors import WouldBlock
from ...semantics import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    SUSPEND,
    UNLIMITED,
    Undelivered,
)
from .harness import Harness, collect
from .registry import TRY_IS_LOCAL, Group, law
from .shapes import ALL, HOLDING, KEEPING, LOSSY, Shape, shape

CAPACITIES: Final = {str(n): n for n in (1, 2, 5, 64)}


@law("CH2.capacity-is-exact", Group.CHANNEL, over=CAPACITIES)
async def capacity_is_exact(h: Harness, capacity: int) -> None:
    """A BUFFERED channel takes exactly its capacity, not one more, and one more for each that leaves. Rows: CH2."""
    ch = await h.channel(shape(BUFFERED, capacity=capacity))
    for i in range(capacity):
        await ch.send(i, timeout=0)
    assert (await h.outcome(ch.send, "too many", timeout=0)).outcome is WouldBlock
    assert await ch.recv() == 0
    await ch.send(capacity, timeout=0)
    assert (await h.outcome(ch.send, "too many", timeout=0)).outcome is WouldBlock
    assert [await ch.recv() for _ in range(capacity)] == list(range(1, capacity + 1))
    assert (await h.outcome(ch.recv, timeout=0)).outcome is WouldBlock


@law("CH2.first-in-first-out", Group.CHANNEL, over=KEEPING)
async def first_in_first_out(h: Harness, made: Shape) -> None:
    """One sender's elements reach one receiver all, once, and in the order in which they were sent. Rows: CH2, CH11."""
    ch = await h.channel(made)
    got: list[int] = []

    async def produce() -> None:
        for i in range(200):
            await ch.send(i)
        h.home(ch).close()

    async with h.tasks() as tasks:
        tasks.start(produce)
        tasks.start(collect, ch, got)
    assert got == list(range(200))


@law("CH3.keeps-the-newest", Group.CHANNEL)
async def keeps_the_newest(h: Harness) -> None:
    """A CONFLATED channel keeps the newest element only, its sends never wait, and it counts the others. Rows: CH3."""
    ch = await h.channel(shape(CONFLATED))
    for i in range(3):
        await ch.send(i, timeout=0)
    assert await ch.recv() == 2
    assert (await h.outcome(ch.recv, timeout=0)).outcome is WouldBlock
    assert h.home(ch).snapshot().dropped == 2


@law("CH3.last-value-survives-close", Group.CHANNEL)
async def last_value_survives_close(h: Harness) -> None:
    """The newest element of a CONFLATED channel can still be received after the close. Rows: CH3, CH9."""
    ch = await h.channel(shape(CONFLATED))
    await ch.send("old")
    await ch.send("new")
    h.home(ch).close()
    assert [value async for value in ch] == ["new"]


@law("CH4.never-full", Group.CHANNEL)
async def never_full(h: Harness) -> None:
    """An UNLIMITED channel takes what is sent without a reader, and gives it out in order. Rows: CH4."""
    ch = await h.channel(shape(UNLIMITED))
    for i in range(1000):
        await ch.send(i, timeout=0)
    assert [await ch.recv(timeout=0) for _ in range(1000)] == list(range(1000))


@law("CH4.a-hundred-thousand", Group.CHANNEL, local="over a link UNLIMITED waits for the byte window of the home")
async def a_hundred_thousand(h: Harness) -> None:
    """100,000 sends without a reader succeed, and after the drain nothing is held any more. Rows: CH4."""
    ch = await h.channel(shape(UNLIMITED))
    for i in range(100_000):
        ch.try_send(i)
    assert h.home(ch).snapshot().peak_length == len(ch) == 100_000
    assert all(ch.try_recv() == i for i in range(100_000))
    assert len(ch) == 0


@frozen
class Survival:
    """What is left of the five elements a to e, and what became of the others."""

    made: Shape
    left: str
    lost: str
    refused: str = ""
    why: Undelivered = Undelivered.OVERFLOW


SURVIVALS: Final = {
    str(s.made): s
    for s in (
        Survival(shape(RENDEZVOUS), left="", lost="", refused="abcde"),
        Survival(shape(BUFFERED, SUSPEND), left="abc", lost="", refused="de"),
        Survival(shape(BUFFERED, DROP_OLDEST), left="cde", lost="ab"),
        Survival(shape(BUFFERED, DROP_LATEST), left="abc", lost="de"),
        Survival(shape(CONFLATED), left="e", lost="abcd", why=Undelivered.CONFLATED),
        Survival(shape(UNLIMITED), left="abcde", lost=""),
    )
}


@law("CH5.exact-survivors", Group.CHANNEL, over=SURVIVALS)
async def exact_survivors(h: Harness, case: Survival) -> None:
    """Each policy leaves exactly its survivors, reports the rest with its reason, and counts both. Rows: CH5, CH6."""
    lost: list[tuple[str, Undelivered]] = []
    ch = await h.channel(case.made, on_undelivered=lambda value, why, of: lost.append((value, why)))
    outcomes = {value: (await h.outcome(ch.send, value, timeout=0)).outcome for value in "abcde"}
    assert [value for value, outcome in outcomes.items() if outcome is WouldBlock] == list(case.refused)
    assert [value for value, outcome in outcomes.items() if outcome == "done"] == [
        value for value in "abcde" if value not in case.refused
    ]
    await h.settle()
    assert lost == [(value, case.why) for value in case.lost]
    state = h.home(ch).snapshot()
    assert (state.sent, state.dropped, state.length) == (5 - len(case.refused), len(case.lost), len(case.left))
    assert state.failed_would_block == len(case.refused)
    h.home(ch).close()
    assert [value async for value in ch] == list(case.left)


@law(
    "CH5.try-send-follows-the-policy",
    Group.CHANNEL,
    over=SURVIVALS,
    local=TRY_IS_LOCAL,
)
async def try_send_follows_the_policy(h: Harness, case: Survival) -> None:
    """``try_send`` follows the same policy as ``send``, and reports what it drops. Rows: CH5, CH6."""
    lost: list[str] = []
    ch = await h.channel(case.made, on_undelivered=lambda value, why, of: lost.append(value))
    for value in "abcde":
        try:
            ch.try_send(value)
        except WouldBlock:
            assert value in case.refused
    assert lost == list(case.lost)
    ch.close()
    assert [value async for value in ch] == list(case.left)


@law("CH5.lossy-sends-never-wait", Group.CHANNEL, over=LOSSY)
async def lossy_sends_never_wait(h: Harness, made: Shape) -> None:
    """A send to a channel that drops completes at once, however full it is. Rows: CH3, CH5."""
    ch = await h.channel(made)
    began = h.now()
    for i in range(50):
        await ch.send(i)
    assert not h.virtual or h.now() - began < h.tick
    assert len(h.home(ch)) == made.limit


@law("CH3.conflated-is-buffered-one-drop-oldest", Group.CHANNEL)
async def conflated_is_buffered_one_drop_oldest(h: Harness) -> None:
    """CONFLATED equals BUFFERED of capacity 1 with DROP_OLDEST in all but the reason. Rows: CH3, CH5."""

    async def history(made: Shape) -> list[Any]:
        lost: list[str] = []
        ch = await h.channel(made, on_undelivered=lambda value, why, of: lost.append(value))
        seen: list[Any] = []
        for step in "srssrrsrsssc" + "rr" + "s":
            if step == "c":
                h.home(ch).close()
                await h.settle()
                continue
            call = h.outcome(ch.send, len(seen), timeout=0) if step == "s" else h.outcome(ch.recv, timeout=0)
            done = await call
            seen.append((step, done.outcome, done.value, len(h.home(ch)), tuple(lost)))
        return seen

    assert await history(shape(CONFLATED)) == await history(shape(BUFFERED, DROP_OLDEST, 1))


@law("CH13.attributes", Group.CHANNEL, over=ALL)
async def attributes(h: Harness, made: Shape) -> None:
    """A channel says its kind, capacity and policy, and is true even when it is empty. Rows: CH13."""
    ch = await h.channel(made)
    assert (ch.kind, ch.capacity, ch.overflow, ch.closed) == (made.kind, made.capacity, made.overflow, False)
    assert bool(ch) is True


@law("CH13.length", Group.CHANNEL, over=HOLDING, local="the length of a remote handle counts this side only")
async def length(h: Harness, made: Shape) -> None:
    """The length is the number of elements that can be received without a sender. Rows: CH13, CH15."""
    ch = await h.channel(made)
    for i in range(5):
        assert len(ch) == min(i, made.limit)
        await h.outcome(ch.send, i, timeout=0)
    assert bool(ch) is True


@law("CH13.iteration-ends-at-close", Group.CHANNEL, over=ALL)
async def iteration_ends_at_close(h: Harness, made: Shape) -> None:
    """``async for`` gives out elements until an orderly close, and then ends without an error. Rows: CH13, CH9."""
    ch = await h.channel(made)
    got: list[int] = []

    async with h.tasks() as tasks:
        consumer = tasks.start(collect, ch, got)
        for i in range(3):
            await h.settle()
            await ch.send(i)
        await h.settle()
        assert consumer.waits
        h.home(ch).close()
    assert (consumer.outcome, got) == ("done", [0, 1, 2])


@law("CH13.context-manager-closes", Group.CHANNEL, local="leaving the block of a remote handle detaches it")
async def context_manager_closes(h: Harness) -> None:
    """A channel used as a context manager is closed at the end of the block. Rows: CH13."""
    ch = await h.channel(shape(UNLIMITED))
    with ch as same:
        assert same is ch
        await ch.send("v")
        assert not ch.closed
    assert ch.closed
    assert [value async for value in ch] == ["v"]
