# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Values that reach nobody: each is reported once, with its reason, and nothing else is (row CH6)."""

from __future__ import annotations

import gc
import itertools
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ...cancel import CancelToken
from ...errors import ChannelClosed, DeadlineExceeded, OperationCancelled, WouldBlock
from ...semantics import BUFFERED, CONFLATED, DROP_OLDEST, RENDEZVOUS, UNLIMITED, Undelivered
from .harness import Harness
from .registry import TRY_IS_LOCAL, Group, law
from .shapes import FULL_WAITS, HOLDING, LOSSY, Shape, shape

Reports = list[tuple[Any, Undelivered]]
OWN_END: Final = "a remote handle that goes away leaves its channel alone"


@contextmanager
def unraisable() -> Iterator[list[BaseException | None]]:
    """What reaches the unraisable hook during the block; without tracebacks, whose frames would hold on to channels."""
    seen: list[BaseException | None] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda args: seen.append(args.exc_value and args.exc_value.with_traceback(None))
    try:
        yield seen
    finally:
        sys.unraisablehook = before


@law("CH6.cancel-reports-the-queue", Group.CHANNEL, over=HOLDING)
async def cancel_reports_the_queue(h: Harness, made: Shape) -> None:
    """``ch.cancel`` reports what is queued, the oldest first, with CANCELLED. Rows: CH6, CH9."""
    reports: Reports = []
    ch = await h.channel(made, on_undelivered=lambda value, why, of: reports.append((value, why)))
    for i in range(int(min(made.limit, 3))):
        await ch.send(i)
    h.home(ch).cancel()
    await h.settle()
    assert reports == [(i, Undelivered.CANCELLED) for i in range(int(min(made.limit, 3)))]
    state = h.home(ch).snapshot()
    assert (state.dropped, state.received, state.length) == (len(reports), 0, 0)


@law("CH6.the-books-are-right-inside-the-hook", Group.CHANNEL, over=HOLDING, local=TRY_IS_LOCAL)
async def the_books_are_right_inside_the_hook(h: Harness, made: Shape) -> None:
    """The hook sees the channel after the change: elements that are being given up are not received. Rows: CH6, M1."""
    seen: list[tuple[int, int]] = []
    ch = await h.channel(made, lambda value, why, of: seen.append((of.snapshot().received, len(of))))
    for i in range(int(min(made.limit, 3))):
        await ch.send(i)
    ch.cancel()
    assert seen == [(0, 0)] * int(min(made.limit, 3))


@law("CH6.a-send-that-raised-is-not-reported", Group.CHANNEL, over=FULL_WAITS)
async def a_send_that_raised_is_not_reported(h: Harness, made: Shape) -> None:
    """A send that raised left the value with its caller: it is never reported, however it ended. Rows: CH6, CH7."""
    reports: Reports = []
    ch = await h.channel(made, on_undelivered=lambda value, why, of: reports.append((value, why)))
    for i in range(int(made.limit)):
        await ch.send(i)
    token = CancelToken()
    async with h.tasks() as tasks:
        calls = [
            tasks.start(ch.send, "tried", timeout=0),
            tasks.start(ch.send, "late", timeout=h.tick),
            tasks.start(ch.send, "cancelled", cancel=token),
        ]
        await h.settle()
        token.trigger()
        await h.ticks(2)
        calls.append(tasks.start(ch.send, "closed"))
        await h.settle()
        with h.cancel_scope() as scope:
            scope.cancel()
            await ch.send("host")
        h.home(ch).close()
    assert [call.outcome for call in calls] == [WouldBlock, DeadlineExceeded, OperationCancelled, ChannelClosed]
    assert [value async for value in ch] == list(range(int(made.limit)))
    assert reports == []


@law("CH6.a-hook-that-raises-changes-nothing", Group.CHANNEL, over=LOSSY)
async def a_hook_that_raises_changes_nothing(h: Harness, made: Shape) -> None:
    """Whatever the hook raises goes to the unraisable hook, and no outcome is changed by it. Rows: CH6."""
    errors: Iterator[type[BaseException]] = itertools.cycle((ZeroDivisionError, SystemExit))

    def broken(value: object, why: Undelivered, of: object) -> None:
        raise next(errors)(value)

    ch = await h.channel(made, on_undelivered=broken)
    with unraisable() as seen:
        for i in range(int(made.limit) + 2):
            await ch.send(i)
        await h.settle()
        assert [type(error) for error in seen] == [ZeroDivisionError, SystemExit]
        h.home(ch).cancel()
        await h.settle()
    assert len(seen) == 2 + int(made.limit)
    assert h.home(ch).snapshot().dropped == 2 + int(made.limit)


@law("CH6.a-hook-may-use-its-channel", Group.CHANNEL, over=LOSSY, local=TRY_IS_LOCAL)
async def a_hook_may_use_its_channel(h: Harness, made: Shape) -> None:
    """The hook may try to receive, to send and to close, and still each value is accounted for once. Rows: CH6."""
    reports: list[Any] = []
    received: list[Any] = []
    sent: list[Any] = []

    def put(of: Any, value: Any) -> None:
        sent.append(value)
        of.try_send(value)

    def re_enter(value: Any, why: Undelivered, of: Any) -> None:
        reports.append(value)
        if len(reports) < 3:
            received.append(of.try_recv())
            put(of, f"again {value}")
            put(of, f"and again {value}")
        elif len(reports) == 6:
            of.close()

    ch = await h.channel(made, on_undelivered=re_enter)
    for i in range(12):
        try:
            put(ch, i)
        except ChannelClosed:
            sent.pop()
    received += [value async for value in ch]
    assert ch.closed
    assert Counter(received) + Counter(reports) == Counter(sent)


@law("CH6.the-hook-gets-its-channel", Group.CHANNEL, local="across a link the home's hook gets the home's channel")
async def the_hook_gets_its_channel(h: Harness) -> None:
    """The third argument of the hook is the channel, so that one hook can serve many. Rows: CH6."""
    seen: list[Any] = []
    ch = await h.channel(shape(CONFLATED), lambda value, why, of: seen.append((value, why, of)))
    await ch.send(1)
    await ch.send(2)
    assert seen == [(1, Undelivered.CONFLATED, ch)]


@law("CH6.destroy-reports-the-queue", Group.CHANNEL, over=HOLDING, local=OWN_END)
async def destroy_reports_the_queue(h: Harness, made: Shape) -> None:
    """What is queued when the last reference goes is reported with DESTROYED, and the channel is None. Rows: CH6."""
    seen: list[Any] = []
    ch = await h.channel(made, lambda value, why, of: seen.append((value, why, of)))
    for i in range(2):
        await h.outcome(ch.send, i, timeout=0)
    left = len(ch)
    del seen[:]
    del ch
    gc.collect()
    assert [(why, of) for _, why, of in seen] == [(Undelivered.DESTROYED, None)] * left


@law("CH6.a-hook-keeps-no-channel-alive", Group.CHANNEL, local=OWN_END)
async def a_hook_keeps_no_channel_alive(h: Harness) -> None:
    """A channel goes away, and reports, although its own hook refers to it. Rows: CH6."""
    seen: list[Undelivered] = []

    class Owner:
        channel: Any

        def hook(self, value: Any, why: Undelivered, of: Any) -> None:
            seen.append(why)

    owner = Owner()
    owner.channel = await h.channel(shape(UNLIMITED), owner.hook)
    await owner.channel.send("v")
    alive = weakref.ref(owner)
    del owner
    gc.collect()
    assert alive() is None
    assert seen == [Undelivered.DESTROYED]


@law("CH6.destroy-after-cancel-reports-nothing-twice", Group.CHANNEL, local=OWN_END)
async def destroy_after_cancel_reports_nothing_twice(h: Harness) -> None:
    """A value that was reported once is not reported again when the channel goes away. Rows: CH6."""
    seen: Reports = []
    ch = await h.channel(shape(UNLIMITED), lambda value, why, of: seen.append((value, why)))
    await ch.send("v")
    ch.cancel()
    del ch
    gc.collect()
    assert seen == [("v", Undelivered.CANCELLED)]


@law("CH6.a-value-moved-to-a-slot-is-not-reported", Group.CHANNEL)
async def a_value_moved_to_a_slot_is_not_reported(h: Harness) -> None:
    """A parked sender's value that moves into a slot, or to a receiver, is delivered and not reported.

    Rows: CH6, CH12.
    """
    reports: Reports = []
    ch = await h.channel(
        shape(BUFFERED, capacity=1), on_undelivered=lambda value, why, of: reports.append((value, why))
    )
    await ch.send(0)
    async with h.tasks() as tasks:
        tasks.start(ch.send, 1)
        await h.waiting(ch, senders=1)
        assert [await ch.recv(), await ch.recv()] == [0, 1]
    assert reports == []


@law("CH6.every-value-is-accounted-for", Group.CHANNEL, over=HOLDING)
async def every_value_is_accounted_for(h: Harness, made: Shape) -> None:
    """Received and reported values together are exactly those whose send returned success. Rows: CH6, M1."""
    reports: list[Any] = []
    received: list[Any] = []
    accepted: list[Any] = []
    ch = await h.channel(made, on_undelivered=lambda value, why, of: reports.append(value))

    async def produce(who: int) -> None:
        for i in range(20):
            how = {"timeout": 0} if (who + i) % 3 == 0 else {"timeout": 2 * h.tick}
            if (await h.outcome(ch.send, (who, i), **how)).outcome == "done":
                accepted.append((who, i))
            if i % 7 == who:
                await h.settle()

    async def consume() -> None:
        while True:
            call = await h.outcome(ch.recv, timeout=h.tick)
            if call.outcome != "done":
                return
            received.append(tuple(call.value))

    async with h.tasks() as tasks:
        for who in range(4):
            tasks.start(produce, who)
        tasks.start(consume)
    h.home(ch).cancel()
    await h.settle()
    assert Counter(received) + Counter(tuple(value) for value in reports) == Counter(accepted)
    state = h.home(ch).snapshot()
    assert (state.sent, state.received, state.dropped) == (len(accepted), len(received), len(reports))


@law("CH6.overflow-during-a-storm-of-cancels", Group.CHANNEL, over={**FULL_WAITS, "DROP": shape(BUFFERED, DROP_OLDEST)})
async def cancel_storm(h: Harness, made: Shape) -> None:
    """When tasks are cancelled in every state of their calls, nothing is lost, doubled or left waiting.

    Rows: CH6, K3, K7.
    """
    reports: list[Any] = []
    received: list[Any] = []
    accepted: list[Any] = []
    ch = await h.channel(made, on_undelivered=lambda value, why, of: reports.append(value))

    async def send(value: Any) -> None:
        await ch.send(value)
        accepted.append(value)

    async def recv() -> None:
        received.append(await ch.recv())

    for round_ in range(60):
        async with h.tasks() as tasks:
            for i in range(4):
                tasks.start(send, f"{round_}.{i}")
                tasks.start(recv)
                if (round_ + i) % 3 == 0:
                    await h.settle()
            tasks.cancel()
        await h.waiting(ch)
    h.home(ch).cancel()
    await h.settle()
    assert Counter(received) + Counter(reports) == Counter(accepted)
    assert received, "the storm let nobody meet: the law has tested nothing"


@law("CH6.a-host-cancel-takes-nothing", Group.CHANNEL, over=HOLDING)
async def a_host_cancel_takes_nothing(h: Harness, made: Shape) -> None:
    """A receive in a scope that is cancelled already takes nothing, although an element is there. Rows: CH6, K7."""
    ch = await h.channel(made)
    await ch.send("v")
    with h.cancel_scope() as scope:
        scope.cancel()
        await ch.recv()
    assert scope.cancelled_caught
    assert await ch.recv(timeout=0) == "v"


@law("CH6.cancelled-or-sent", Group.CHANNEL)
async def cancelled_or_sent(h: Harness) -> None:
    """A sender that is cancelled while parked has either sent its value or not: nobody gets it unless it has.

    Rows: CH6, K7.
    """
    ch = await h.channel(shape(RENDEZVOUS))
    async with h.tasks() as tasks:
        send = tasks.start(ch.send, "v")
        await h.waiting(ch, senders=1)
        tasks.cancel()
        with h.cancel_scope(shield=True):
            got = await h.outcome(ch.recv, timeout=0)
    assert (got.outcome == "done") == (send.outcome == "done")
    assert got.outcome in ("done", WouldBlock)
    await h.waiting(ch)
