# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who is served next: the oldest waiter that can be, and nobody overtakes it (row CH11)."""

from __future__ import annotations

from ...errors import WouldBlock
from ...semantics import BUFFERED, RENDEZVOUS
from .harness import Harness
from .registry import TIMING_IS_LOCAL, Group, law
from .shapes import ALL, FULL_WAITS, KEEPING, Shape, shape


@law("CH11.receivers-in-order", Group.CHANNEL, over=ALL)
async def receivers_in_order(h: Harness, made: Shape) -> None:
    """Waiting receivers are served in the order in which they came, whatever form they wait in. Rows: CH11."""
    ch = await h.channel(made)
    async with h.tasks() as tasks:
        calls = []
        for i in range(12):
            calls.append(tasks.start(ch.recv, timeout=100 * h.tick if i % 2 else None))
            await h.settle()
        for i in range(12):
            await ch.send(i)
    assert [call.value for call in calls] == list(range(12))


@law("CH11.senders-in-order", Group.CHANNEL, over=FULL_WAITS)
async def senders_in_order(h: Harness, made: Shape) -> None:
    """Waiting senders are served in the order in which they came, after what is queued. Rows: CH11."""
    ch = await h.channel(made)
    held = int(made.limit)
    for i in range(held):
        await ch.send(i)
    async with h.tasks() as tasks:
        for i in range(12):
            tasks.start(ch.send, held + i, timeout=100 * h.tick if i % 2 else None)
            await h.settle()
        assert [await ch.recv() for _ in range(held + 12)] == list(range(held + 12))


@law("CH11.those-who-leave-change-no-order", Group.CHANNEL, over=ALL)
async def those_who_leave_change_no_order(h: Harness, made: Shape) -> None:
    """A waiter that gave up takes nothing with it: the others are served in their old order. Rows: CH11, CH7."""
    ch = await h.channel(made)
    async with h.tasks() as tasks:
        calls = []
        for i in range(9):
            calls.append(tasks.start(ch.recv, timeout=5 * h.tick if i % 3 == 1 else None))
            await h.settle()
        await h.ticks(10)
        await h.waiting(ch, receivers=6)
        stay = [call for call in calls if call.waits]
        for i in range(6):
            await ch.send(i)
    assert [call.value for call in stay] == list(range(6))


@law(
    "CH11.no-barging-for-elements",
    Group.CHANNEL,
    over=ALL,
    local=TIMING_IS_LOCAL,
)
async def no_barging_for_elements(h: Harness, made: Shape) -> None:
    """An element sent to a waiting receiver is that receiver's: nobody else gets it in between. Rows: CH11, CH12."""
    ch = await h.channel(made)
    async with h.tasks() as tasks:
        waiting = tasks.start(ch.recv)
        await h.waiting(ch, receivers=1)
        ch.try_send("v")
        late = await h.outcome(ch.recv, timeout=0)
        await h.settle()
        assert (waiting.outcome, waiting.value, late.outcome) == ("done", "v", WouldBlock)


@law("CH11.no-barging-for-room", Group.CHANNEL, local=TIMING_IS_LOCAL)
async def no_barging_for_room(h: Harness) -> None:
    """A slot that becomes free belongs to the sender that waits for it, in the same step. Rows: CH11, CH2."""
    ch = await h.channel(shape(BUFFERED, capacity=1))
    await ch.send("first")
    async with h.tasks() as tasks:
        waiting = tasks.start(ch.send, "second")
        await h.waiting(ch, senders=1)
        assert ch.try_recv() == "first"
        assert (await h.outcome(ch.send, "barging", timeout=0)).outcome is WouldBlock
        assert await ch.recv() == "second"
        await h.settle()
        assert waiting.outcome == "done"


@law("CH11.many-to-many", Group.CHANNEL, over=KEEPING)
async def many_to_many(h: Harness, made: Shape) -> None:
    """With many senders and receivers nothing is lost or doubled, and each sender's order is kept. Rows: CH11, CH1."""
    ch = await h.channel(made)
    seen: list[tuple[int, int]] = []

    async def produce(sender: int) -> None:
        for i in range(25):
            await ch.send((sender, i))

    async def consume(own: list[tuple[int, int]]) -> None:
        async for value in ch:
            own.append(tuple(value))
            seen.append(tuple(value))

    taken: list[list[tuple[int, int]]] = [[] for _ in range(4)]
    async with h.tasks() as consumers:
        for own in taken:
            consumers.start(consume, own)
        async with h.tasks() as producers:
            for sender in range(6):
                producers.start(produce, sender)
        h.home(ch).close()
    assert sorted(seen) == [(sender, i) for sender in range(6) for i in range(25)]
    for own in taken:
        for sender in range(6):
            mine = [i for who, i in own if who == sender]
            assert mine == sorted(mine)


@law("CH11.a-value-given-is-a-value-got", Group.CHANNEL)
async def a_value_given_is_a_value_got(h: Harness) -> None:
    """A receiver that is cancelled in the tick in which it was served returns its element. Rows: CH11, K7."""
    ch = await h.channel(shape(RENDEZVOUS))
    for _ in range(50):
        got: list[str] = []

        async def take(got: list[str] = got) -> None:
            got.append(await ch.recv())

        async with h.tasks() as tasks:
            call = tasks.start(take)
            await h.waiting(ch, receivers=1)
            sent = await h.outcome(ch.send, "v", timeout=0)
            tasks.cancel()
        assert (sent.outcome == "done") == (got == ["v"]), call
