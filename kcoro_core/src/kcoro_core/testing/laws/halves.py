# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Halves: counted, cloned, closed on their own, and channels in the sense of trio (rows CH13, CH9)."""

from __future__ import annotations

from typing import Any

import trio

from ...channel import channel
from ...clauses import Recv, Send
from ...errors import ChannelClosed
from ...select import select
from ...semantics import BUFFERED, RENDEZVOUS, UNLIMITED, Undelivered
from .harness import Harness, collect, raises
from .registry import Group, law
from .shapes import ALL, FULL_WAITS, Shape


def made(shape: Shape, **more: Any) -> Any:
    """A channel of that shape; halves are always local."""
    return channel(shape.kind, shape.capacity, shape.overflow, **more)


@law("CH13.last-sender-out-closes", Group.LOOP, over=ALL)
async def last_sender_out_closes(h: Harness, shape: Shape) -> None:
    """The channel closes when its last sending half is closed, not before, and closing a half twice counts once.

    Rows: CH13, CH9.
    """
    ch = made(shape)
    first = ch.sender()
    second, third = first.clone(), ch.sender()
    first.close()
    first.close()
    second.close()
    assert (ch.closed, ch.open_senders) == (False, 1)
    with third as same:
        assert same is third
    assert (ch.closed, ch.reason, ch.open_senders) == (True, None, 0)


@law("CH13.last-receiver-out-cancels", Group.LOOP, over=ALL)
async def last_receiver_out_cancels(h: Harness, shape: Shape) -> None:
    """When the last receiving half is closed, parked senders fail and what is queued is reported. Rows: CH13, CH6."""
    reports: list[Any] = []
    ch = made(shape, on_undelivered=lambda value, why, of: reports.append(why))
    first, second = ch.receiver(), ch.receiver()
    for i in range(5):
        await h.outcome(ch.send, i, timeout=0)
    reports.clear()
    held = len(ch)
    first.close()
    assert not ch.closed
    async with h.tasks() as tasks:
        waiting = tasks.start(ch.send, "parked") if shape in FULL_WAITS.values() else None
        await h.settle()
        second.close()
    assert (ch.closed, reports) == (True, [Undelivered.CANCELLED] * held)
    assert waiting is None or waiting.outcome in (ChannelClosed, "done")


@law("CH13.halves-carry-elements", Group.LOOP, over=ALL)
async def halves_carry_elements(h: Harness, shape: Shape) -> None:
    """Several halves of a channel share its elements, and the receiving ones end when the last sender is gone.

    Rows: CH13.
    """
    ch = made(shape)
    got: list[int] = []

    async def produce(tx: Any, start: int) -> None:
        async with tx:
            for i in range(start, start + 10):
                await tx.send(i)
                await h.settle()

    async with h.tasks() as tasks:
        for rx in (ch.receiver(), ch.receiver()):
            tasks.start(collect, rx, got)
        await h.settle()
        tx = ch.sender()
        tasks.start(produce, tx.clone(), 0)
        tasks.start(produce, tx, 10)
    assert sorted(got) == list(range(20))


@law("CH13.a-closed-half-is-misuse", Group.LOOP)
async def a_closed_half_is_misuse(h: Harness) -> None:
    """Using a half that was closed raises ValueError, as for a file; the other halves go on. Rows: CH13."""
    ch: Any = channel(UNLIMITED)
    tx, rx = ch.sender(), ch.receiver()
    other_tx, other_rx = tx.clone(), rx.clone()
    tx.close()
    rx.close()
    assert (tx.closed, rx.closed, ch.closed) == (True, True, False)
    for call in (lambda: tx.send(1), rx.recv, rx.receive, rx.__anext__):
        assert (await h.outcome(call)).outcome is ValueError
    for sync in (lambda: tx.try_send(1), rx.try_recv, tx.clone, rx.clone, lambda: Send(tx, 1), lambda: Recv(rx)):
        with raises(ValueError):
            sync()
    await other_tx.send("v")
    assert await other_rx.recv() == "v"


@law("CH13.clauses-take-the-right-half", Group.LOOP)
async def clauses_take_the_right_half(h: Harness) -> None:
    """Clauses take a channel or a half of their own direction, and refuse the other by name. Rows: CH13, SE1."""
    ch: Any = channel(BUFFERED, 1)
    tx, rx = ch.sender(), ch.receiver()
    assert (await select(Send(tx, "v"))).index == 0
    assert (await select(Recv(rx))).value == "v"
    number: Any = 7
    for wrong in (lambda: Recv(tx), lambda: Send(rx, 1), lambda: Recv(number)):
        with raises(ValueError) as caught:
            wrong()
        assert "needs a Channel or a" in str(caught[0])


@law("CH13.trio-channels", Group.LOOP)
async def trio_channels(h: Harness) -> None:
    """Halves are trio's channels: ``receive`` ends with EndOfChannel, ``aclose`` and ``async with`` close.

    Rows: CH13, K7.
    """
    ch: Any = channel(BUFFERED, 3)
    tx, rx = ch.sender(), ch.receiver()
    assert issubclass(type(tx), trio.abc.SendChannel)
    assert issubclass(type(rx), trio.abc.ReceiveChannel)
    async with tx:
        await tx.send(1)
        await tx.send(2)
    assert tx.closed
    assert await rx.receive() == 1
    assert [value async for value in rx] == [2]
    with raises(trio.EndOfChannel):
        await rx.receive()
    await rx.aclose()
    assert rx.closed
    broken: Any = channel()
    broken.close(OSError("cut"))
    with raises(ChannelClosed):
        await broken.receiver().receive()


@law("CH13.snapshot-of-a-half", Group.LOOP)
async def snapshot_of_a_half(h: Harness) -> None:
    """A half shows the counters of its channel, and its repr says whether it is open. Rows: CH13, CH15."""
    ch: Any = channel(RENDEZVOUS, name="jobs")
    tx = ch.sender()
    assert tx.snapshot() == ch.snapshot()
    assert "'jobs'" in repr(tx)
    tx.close()
    assert "Sender closed" in repr(tx)
