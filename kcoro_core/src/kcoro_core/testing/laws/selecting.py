# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select: exactly one clause has an effect, and the others leave no trace (rows SE1, SE4, SE6)."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Final

from ...cancel import CancelToken
from ...clauses import After, Recv, Send
from ...errors import DeadlineExceeded, KcoroError, OperationCancelled, WouldBlock
from ...hosts.port import current_host
from ...select import Selected, Selector, select, try_select
from ...semantics import BUFFERED, RENDEZVOUS, UNBIASED
from .harness import Harness, raises
from .registry import NO_SNAPSHOT, TRY_IS_LOCAL, Group, Need, law
from .shapes import ALL, KEEPING, Shape, shape


async def channels(h: Harness, count: int, made: Shape | None = None) -> list[Any]:
    """So many channels of one shape; RENDEZVOUS unless said otherwise."""
    return [await h.channel(made or shape(RENDEZVOUS)) for _ in range(count)]


@law("SE1.takes-what-is-ready", Group.SELECT, over=KEEPING)
async def takes_what_is_ready(h: Harness, made: Shape) -> None:
    """A select takes the effect of a clause that is ready at once, and tells which it was. Rows: SE1."""
    a, b = await channels(h, 2, made)
    async with h.tasks() as tasks:
        tasks.start(b.send, "v")
        await h.settle()
        won = await select(Recv(a), Recv(b))
        assert (won.index, won.value, won.error) == (1, "v", None)
        taker = tasks.start(a.recv)
        await h.waiting(a, receivers=1)
        won = await select(Recv(b), Send(a, "w"))
        assert (won.index, won.value) == (1, None)
    assert taker.value == "w"
    match won:
        case Selected(index=1, clause=Send() as clause):
            assert clause.channel is a
        case _:
            raise AssertionError(won)


@law("SE1.waits-for-the-first-to-become-ready", Group.SELECT, over=ALL)
async def waits_for_the_first_to_become_ready(h: Harness, made: Shape) -> None:
    """A select waits until a partner comes, takes its value, and withdraws its other clauses. Rows: SE1, SE4."""
    chs = await channels(h, 4, made)
    async with h.tasks() as tasks:
        call = tasks.start(select, *(Recv(ch) for ch in chs))
        for ch in chs:
            await h.waiting(ch, receivers=1)
        await chs[2].send("v")
    assert (call.value.index, call.value.value) == (2, "v")
    for ch in chs:
        await h.waiting(ch)


@law("SE1.send-clauses-wait-too", Group.SELECT)
async def send_clauses_wait_too(h: Harness) -> None:
    """Send clauses wait for a receiver; exactly one of their values is sent, the others stay the caller's.

    Rows: SE1.
    """
    a, b = await channels(h, 2)
    async with h.tasks() as tasks:
        call = tasks.start(select, Send(a, "a"), Send(b, "b"))
        await h.waiting(b, senders=1)
        assert await b.recv() == "b"
        await h.waiting(a)
        assert (await h.outcome(a.recv, timeout=0)).outcome is WouldBlock
    assert call.value.index == 1
    assert (a.snapshot().sent, b.snapshot().sent) == (0, 1)


@law("SE1.two-selects-meet", Group.SELECT)
async def two_selects_meet(h: Harness) -> None:
    """Two selects that face each other meet exactly once, on one channel, whoever came first. Rows: SE1, CH1."""
    for first_sends in (False, True):
        a, b = await channels(h, 2)
        clauses = [(Recv(a), Recv(b)), (Send(b, "b"), Send(a, "a"))]
        async with h.tasks() as tasks:
            one = tasks.start(select, *clauses[first_sends])
            await h.settle()
            two = tasks.start(select, *clauses[not first_sends])
        sender, receiver = (one, two) if first_sends else (two, one)
        channel = sender.value.clause.channel
        assert receiver.value.clause.channel is channel
        assert receiver.value.value == sender.value.clause.value
        assert sum(ch.snapshot().sent for ch in (a, b)) == 1
        for ch in (a, b):
            await h.waiting(ch)


@law("SE6.never-matches-itself", Group.SELECT, over=KEEPING)
async def never_matches_itself(h: Harness, made: Shape) -> None:
    """A select with send and receive on one channel never takes its own value on a rendezvous. Rows: SE6."""
    ch = await h.channel(made)
    for clauses in ((Recv(ch), Send(ch, "own")), (Send(ch, "own"), Recv(ch))):
        if made.kind is not RENDEZVOUS:
            assert isinstance((await select(*clauses, timeout=0)).clause, Send)
            assert await ch.recv() == "own"
            continue
        async with h.tasks() as tasks:
            call = tasks.start(select, *clauses)
            await h.waiting(ch, senders=1, receivers=1)
            assert call.waits
            await ch.send("other")
        assert (call.value.value, type(call.value.clause)) == ("other", Recv)
        async with h.tasks() as tasks:
            call = tasks.start(select, *clauses)
            await h.waiting(ch, senders=1, receivers=1)
            assert await ch.recv() == "own"
        assert isinstance(call.value.clause, Send)
        await h.waiting(ch)


@law("SE6.two-mixed-selects-meet-each-other", Group.SELECT)
async def two_mixed_selects_meet_each_other(h: Harness) -> None:
    """Two selects that both send and receive on one channel meet: one sends, the other receives. Rows: SE6, SE1."""
    ch = await h.channel(shape(RENDEZVOUS))
    async with h.tasks() as tasks:
        calls = [tasks.start(select, Recv(ch), Send(ch, name)) for name in "ab"]
    kinds = {type(call.value.clause) for call in calls}
    assert kinds == {Recv, Send}
    assert ch.snapshot().sent == 1
    await h.waiting(ch)


@law("SE6.same-clause-twice", Group.SELECT)
async def same_clause_twice(h: Harness) -> None:
    """A channel may stand in several clauses of one direction; one element wins for one of them. Rows: SE6."""
    ch = await h.channel(shape(RENDEZVOUS))
    async with h.tasks() as tasks:
        call = tasks.start(select, Recv(ch), Recv(ch), Recv(ch))
        await h.waiting(ch, receivers=3)
        await ch.send("v")
        await h.waiting(ch)
        assert (call.value.index, call.value.value) == (0, "v")


@law("SE4.endings-have-no-index", Group.SELECT)
async def endings_have_no_index(h: Harness) -> None:
    """Try, deadline and token end a select with their own error, without an index and without a waiter.

    Rows: SE4, E1.
    """
    chs = await channels(h, 3)
    token = CancelToken()
    async with h.tasks() as tasks:
        clauses = [Recv(chs[0]), Send(chs[1], "v"), Recv(chs[2])]
        calls = [
            tasks.start(select, *clauses, timeout=0),
            tasks.start(select, *clauses, timeout=2 * h.tick),
            tasks.start(select, *clauses, cancel=token),
        ]
        began = h.now()
        await h.settle()
        token.trigger("why")
    assert [call.outcome for call in calls] == [WouldBlock, DeadlineExceeded, OperationCancelled]
    for call in calls:
        assert isinstance(call.error, KcoroError)
        assert (call.error.index, call.error.clause) == (None, None)
    assert calls[1].ended_at is not None
    assert -1e-9 <= calls[1].ended_at - began - 2 * h.tick < (0.01 if h.virtual else 1.0)
    for ch in chs:
        await h.waiting(ch)


@law("SE4.a-set-token-beats-a-ready-clause", Group.SELECT)
async def a_set_token_beats_a_ready_clause(h: Harness) -> None:
    """A token that is set already ends a select before any clause is taken. Rows: SE4, CH8."""
    ch = await h.channel(shape(BUFFERED))
    await ch.send("v")
    token = CancelToken()
    token.trigger()
    assert (await h.outcome(select, Recv(ch), cancel=token)).outcome is OperationCancelled
    assert (await h.outcome(select, Recv(ch), timeout=0)).value.value == "v"


@law("SE4.a-host-cancel-leaves-no-waiter", Group.SELECT)
async def a_host_cancel_leaves_no_waiter(h: Harness) -> None:
    """A select that the host cancels withdraws every clause, and has taken nothing. Rows: SE4, K7."""
    chs = await channels(h, 3)
    async with h.tasks() as tasks:
        tasks.start(select, *(Recv(ch) for ch in chs), *(Send(ch, "v") for ch in chs), After(9 * h.tick))
        await h.waiting(chs[0], senders=1, receivers=1)
        tasks.cancel()
    for ch in chs:
        await h.waiting(ch)
        assert (await h.outcome(ch.recv, timeout=0)).outcome is WouldBlock


@law("SE4.try-select", Group.SELECT, local=TRY_IS_LOCAL)
async def trying(h: Harness) -> None:
    """``try_select`` takes what is ready and never waits, also outside of any task. Rows: SE4."""
    a, b = await channels(h, 2, shape(BUFFERED))
    with raises(WouldBlock) as caught:
        try_select(Recv(a), Recv(b))
    assert caught[0].index is None  # type: ignore[attr-defined]
    await b.send("v")
    assert try_select(Recv(a), Recv(b)).value == "v"
    taken: list[Any] = []
    current_host().call_at(h.now(), lambda: taken.append(try_select(Send(a, "w"))))
    await h.settle()
    assert taken[0].index == 0
    assert await a.recv() == "w"


@law("SE1.a-snapshot-of-all-clauses", Group.SELECT, local=NO_SNAPSHOT)
async def a_snapshot_of_all_clauses(h: Harness) -> None:
    """If at every moment one of two channels has an element, a try over both never says that none has.

    Rows: SE1, SE4.
    """
    a, b = await channels(h, 2, shape(BUFFERED, capacity=1))
    await a.send("v")
    empty = 0

    async def move() -> None:
        for source, target in itertools.islice(itertools.cycle(((a, b), (b, a))), 100):
            source.try_recv()
            target.try_send("v")
            await h.settle()

    async with h.tasks() as tasks:
        mover = tasks.start(move)
        while mover.waits:
            try:
                won = await select(Recv(a), Recv(b), timeout=0)
            except WouldBlock:
                empty += 1
            else:
                won.clause.channel.try_send("v")
            await h.settle()
    assert empty == 0


class Resumes:
    """Counts how often the host is told to wake each operation."""

    def __init__(self) -> None:
        self._host: Any = current_host()
        self._unpark = self._host.unpark
        self.count: Counter[int] = Counter()
        self._kept: list[Any] = []

    def __enter__(self) -> Resumes:
        self._host.unpark = self._note
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._host.unpark = self._unpark

    def _note(self, op: Any) -> None:
        self._kept.append(op)  # kept, so that no other operation gets its id
        self.count[id(op)] += 1
        self._unpark(op)


SIZES: Final = {"3x3": (3, 3), "8x4": (8, 4), "4x8": (4, 8)}


@law("SE1.many-selects-many-channels", Group.SELECT, over=SIZES)
async def many_selects_many_channels(h: Harness, size: tuple[int, int]) -> None:
    """N selects over M channels lose and double nothing, and each wait is resumed exactly once.

    Rows: SE1, SE3, CH11.
    """
    workers, count = size
    made = list(KEEPING.values())
    chs = [await h.channel(made[i % len(made)]) for i in range(count)]
    sent: list[Any] = []
    received: list[Any] = []

    async def send(who: int) -> None:
        selector = Selector(*(Send(ch, None) for ch in chs), mode=UNBIASED)
        for i in range(30):
            for index, ch in enumerate(chs):
                selector.replace(index, Send(ch, (who, i, index)))
            won = await selector.wait()
            sent.append((who, i, won.index))

    async def receive(own: list[Any]) -> None:
        selector = Selector(*(Recv(ch) for ch in chs), mode=UNBIASED)
        while (won := await selector.wait()).value != "stop":
            own.append(won.value)
            received.append(won.value)

    taken: list[list[Any]] = [[] for _ in range(workers)]
    with Resumes() as resumes:
        async with h.tasks() as receivers:
            for own in taken:
                receivers.start(receive, own)
            async with h.tasks() as senders:
                for who in range(workers):
                    senders.start(send, who)
            for _ in taken:
                await select(*(Send(ch, "stop") for ch in chs))
    for ch in chs:  # a "stop" may have overtaken elements of other channels
        received += [await ch.recv() for _ in range(len(h.home(ch)))]
    assert Counter(received) == Counter(sent)
    assert len(sent) == 30 * workers
    assert set(resumes.count.values()) <= {1}
    for ch in chs:
        await h.waiting(ch)


@law("SE1.cancelled-selects-take-nothing", Group.SELECT)
async def cancelled_selects_take_nothing(h: Harness) -> None:
    """Selects that are cancelled at random moments lose and double nothing. Rows: SE1, SE4, K7."""
    chs = await channels(h, 3)
    sent: list[Any] = []
    received: list[Any] = []

    async def send(value: Any) -> None:
        won = await select(*(Send(ch, (value, i)) for i, ch in enumerate(chs)))
        sent.append((value, won.index))

    async def receive() -> None:
        received.append((await select(*(Recv(ch) for ch in chs))).value)

    for round_ in range(80):
        async with h.tasks() as tasks:
            for i in range(4):
                tasks.start(send, f"{round_}.{i}")
                tasks.start(receive)
                if (round_ + i) % 3 == 0:
                    await h.settle()
            tasks.cancel()
        for ch in chs:
            await h.waiting(ch)
    assert Counter(received) == Counter(sent)
    assert sent, "nobody met: the law has tested nothing"


@law("SE4.deadline-and-partner-in-one-tick", Group.SELECT, needs=[Need.VIRTUAL_TIME])
async def deadline_and_partner_in_one_tick(h: Harness) -> None:
    """When a partner comes in the tick of the deadline, either both succeed or neither does. Rows: SE4, SE1."""
    ch = await h.channel(shape(RENDEZVOUS))
    for i in range(100):
        deadline = h.now() + h.tick
        async with h.tasks() as tasks:
            call = tasks.start(select, Recv(ch), timeout=deadline - h.now())
            if i % 2:
                await h.settle()
            sender = tasks.start(_send_at, h, ch, deadline)
        assert (call.outcome == "done") == (sender.value == "done")


async def _send_at(h: Harness, ch: Any, time: float) -> Any:
    await h.ticks((time - h.now()) / h.tick)
    return (await h.outcome(ch.send, "v", timeout=0)).outcome
