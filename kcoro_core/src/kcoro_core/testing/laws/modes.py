# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The three modes of select, closed clauses, and selectors that are used again (rows SE2, SE3, SE5, SE8)."""

from __future__ import annotations

import gc
from collections import Counter
from itertools import groupby
from typing import Any, Final

from ...cancel import CancelToken
from ...clauses import After, Recv, Send, Triggered
from ...errors import ChannelClosed
from ...hosts.port import current_host
from ...reference.timer import Timer
from ...select import Selector, select
from ...semantics import (
    BIASED,
    BUFFERED,
    RENDEZVOUS,
    RETURN,
    ROUND_ROBIN,
    SKIP,
    UNBIASED,
    UNLIMITED,
    ClosedRule,
    Direction,
    SelectMode,
)
from .harness import Harness, raises
from .registry import KNOWN_HERE, Group, law
from .selecting import channels
from .shapes import ALL, Shape, shape

# Chi-square for two degrees of freedom is above this in one of 100,000 fair runs; the seeds are fixed anyway.
FAIR: Final = 23.03
SEEDS: Final = {f"seed-{seed}": seed for seed in (1, 2, 3)}
MODES: Final = {mode.name: mode for mode in SelectMode}


def chi_square(counts: list[int]) -> float:
    """How far counts are from equal shares."""
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


@law("SE2.lowest-ready-index", Group.SELECT)
async def lowest_ready_index(h: Harness) -> None:
    """BIASED, the default, takes the lowest index that is ready, always. Rows: SE2."""
    chs = await channels(h, 4, shape(UNLIMITED))
    for _ in range(50):
        for ch in chs[1:]:
            await ch.send("v")
    assert {(await select(*(Recv(ch) for ch in chs))).index for _ in range(50)} == {1}
    assert {(await select(*(Recv(ch) for ch in chs), mode=BIASED, timeout=0)).index for _ in range(50)} == {2}


@law("SE3.unbiased-is-fair", Group.SELECT, over=SEEDS)
async def unbiased_is_fair(h: Harness, seed: int) -> None:
    """UNBIASED gives each ready clause an equal chance, also behind clauses that are never ready. Rows: SE3."""
    current_host().random.seed(seed)
    chs = await channels(h, 5, shape(UNLIMITED))
    wins: Counter[int] = Counter()
    for ch in chs[2:]:
        await ch.send("v")
    clauses = [Recv(ch) for ch in chs]
    for _ in range(1_000 if h.remote else 10_000):
        won = await select(*clauses, mode=UNBIASED)
        wins[won.index] += 1
        await chs[won.index].send("v")
    assert set(wins) == {2, 3, 4}
    assert chi_square(list(wins.values())) < FAIR


@law("SE3.contending-selects-are-fair", Group.SELECT, over=SEEDS)
async def contending_selects_are_fair(h: Harness, seed: int) -> None:
    """Several UNBIASED selects on the same channels each get their share of each channel. Rows: SE3."""
    current_host().random.seed(seed)
    chs = await channels(h, 3, shape(UNLIMITED))
    rounds = 150 if h.remote else 600
    for ch in chs:
        for i in range(3 * rounds):
            await ch.send(i)
    wins: list[Counter[int]] = [Counter() for _ in range(3)]

    async def take(own: Counter[int]) -> None:
        for _ in range(rounds):
            own[(await select(*(Recv(ch) for ch in chs), mode=UNBIASED)).index] += 1

    async with h.tasks() as tasks:
        for own in wins:
            tasks.start(take, own)
    for own in wins:
        assert chi_square([own[i] for i in range(3)]) < FAIR


@law("SE3.round-robin-bounds-runs", Group.SELECT)
async def round_robin_bounds_runs(h: Harness) -> None:
    """Under ROUND_ROBIN no clause wins twice in a row while another is ready, and none waits a full round.

    Rows: SE3.
    """
    chs = await channels(h, 5, shape(UNLIMITED))
    ready = (1, 2, 4)
    for i in ready:
        for _ in range(100):
            await chs[i].send("v")
    selector = Selector(*(Recv(ch) for ch in chs), mode=ROUND_ROBIN)
    wins = [(await selector.wait()).index for _ in range(120)]
    assert max(len(list(run)) for _, run in groupby(wins)) == 1
    assert all(set(wins[i : i + 3]) == set(ready) for i in range(118))
    await chs[0].send("late")
    assert 0 in [(await selector.wait()).index for _ in range(4)]


@law("SE2.biased-has-no-memory", Group.SELECT)
async def biased_has_no_memory(h: Harness) -> None:
    """What BIASED takes depends on what is ready, and not on chance, other selects, or what won before.

    Rows: SE2, SE3.
    """

    async def trace(seed: int | None) -> list[int]:
        chs = await channels(h, 3, shape(UNLIMITED))
        noise = await channels(h, 3, shape(UNLIMITED))
        selector = Selector(*(Recv(ch) for ch in chs))
        taken: list[int] = []
        for i in range(60):
            await chs[(i * 7 + i // 5) % 3].send(i)
            if seed is not None:  # what happens elsewhere, and uses up chance
                current_host().random.seed(seed + i)
                await noise[i % 3].send(i)
                await select(*(Recv(ch) for ch in noise), mode=UNBIASED)
            if i % 3:
                taken.append((await selector.wait()).index)
        return taken

    expected = await trace(None)
    assert len(set(expected)) > 1
    assert await trace(1) == await trace(2) == expected


@law("SE5.closed-clause-wins-and-raises", Group.SELECT, over=ALL)
async def closed_clause_wins_and_raises(h: Harness, made: Shape) -> None:
    """By default a closed clause is ready at its own index, and raises with index, clause and reason.

    Rows: SE5, CH10.
    """
    a, b, c = await channels(h, 3, made)
    b.close("gone")
    for clause in (Recv(b), Send(b, "v")):
        with raises(ChannelClosed) as caught:
            await select(Recv(a), clause, Recv(c))
        error: Any = caught[0]
        assert (error.index, error.clause, error.reason) == (1, clause, "gone")


@law("SE5.lowest-closed-index", Group.SELECT, local=KNOWN_HERE)
async def lowest_closed_index(h: Harness) -> None:
    """Of two closed clauses BIASED raises for the lower index. Rows: SE5, SE2."""
    a, b = await channels(h, 2)
    b.close()
    a.close()
    assert (await h.outcome(select, Recv(a), Recv(b))).error.index == 0  # type: ignore[union-attr]


@law("SE5.a-close-wakes-a-select", Group.SELECT, over={d.value: d for d in Direction})
async def a_close_wakes_a_select(h: Harness, direction: Direction) -> None:
    """A close wakes all of 100 parked selects, whose error names the clause. Rows: SE5, CH9."""
    a, b = await channels(h, 2)
    clause: Any = Recv if direction is Direction.RECV else lambda ch: Send(ch, "v")
    async with h.tasks() as tasks:
        calls = [tasks.start(select, clause(a), clause(b)) for _ in range(100)]
        await h.settle()
        b.close()
    for call in calls:
        assert isinstance(call.error, ChannelClosed)
        assert call.error.index == 1
    await h.waiting(a)
    await h.waiting(b)


@law("SE5.drains-before-closed", Group.SELECT)
async def drains_before_closed(h: Harness) -> None:
    """A receive clause on a closed channel takes what is queued first. Rows: SE5, CH9."""
    a, b = await channels(h, 2, shape(UNLIMITED))
    await b.send(1)
    await b.send(2)
    b.close()
    assert [(await select(Recv(a), Recv(b))).value for _ in range(2)] == [1, 2]
    assert (await h.outcome(select, Recv(a), Recv(b))).outcome is ChannelClosed


@law("SE5.return-gives-the-error", Group.SELECT)
async def return_gives_the_error(h: Harness) -> None:
    """Under RETURN a closed clause gives its index with the error, at once or after a wait. Rows: SE5."""
    a, b = await channels(h, 2)
    async with h.tasks() as tasks:
        call = tasks.start(select, Recv(a), Recv(b), closed=RETURN)
        await h.settle()
        b.close("why")
    later = [
        await select(*clauses, closed=RETURN, timeout=0) for clauses in ((Recv(a), Recv(b)), (Recv(a), Send(b, "v")))
    ]
    for won in (call.value, *later):
        assert isinstance(won.error, ChannelClosed)
        assert (won.value, won.error.reason, won.error.index) == (None, "why", won.index)
    assert call.value.index == 1


@law("SE5.skip-ignores-until-all-are-closed", Group.SELECT)
async def skip_ignores_until_all_are_closed(h: Harness) -> None:
    """Under SKIP closed clauses are ignored; when all are closed, ChannelClosed is raised with index None.

    Rows: SE5.
    """
    a, b = await channels(h, 2)
    a.close()
    async with h.tasks() as tasks:
        call = tasks.start(select, Recv(a), Recv(b), closed=SKIP)
        await h.waiting(b, receivers=1)
        await b.send("v")
        assert call.waits or call.value.index == 1
        last = tasks.start(select, Recv(a), Send(a, "w"), Recv(b), closed=SKIP)
        await h.waiting(b, receivers=1)
        b.close()
    assert (call.value.index, call.value.value) == (1, "v")
    for ended in (last, await h.outcome(select, Recv(a), Recv(b), closed=SKIP)):
        assert isinstance(ended.error, ChannelClosed)
        assert (ended.error.index, ended.error.clause) == (None, None)
    for ch in (a, b):
        await h.waiting(ch)


@law("SE5.skip-waits-for-other-clauses", Group.SELECT)
async def skip_waits_for_other_clauses(h: Harness) -> None:
    """Under SKIP a clause that cannot close, such as a token or a time, keeps the select waiting. Rows: SE5, X20."""
    (a,) = await channels(h, 1)
    a.close()
    token = CancelToken()
    async with h.tasks() as tasks:
        calls = [
            tasks.start(select, Recv(a), Triggered(token), closed=SKIP),
            tasks.start(select, Recv(a), After(h.tick), closed=SKIP),
        ]
        await h.settle()
        token.trigger("t")
    assert [call.value.index for call in calls] == [1, 1]


@law("SE5.a-skipped-clause-takes-nothing", Group.SELECT)
async def a_skipped_clause_takes_nothing(h: Harness) -> None:
    """Under SKIP a clause whose channel is closed sends nothing, also when that channel has room again.

    Rows: SE5, CH9.
    """
    closed, open_ = await channels(h, 2, shape(BUFFERED, capacity=1))
    await closed.send("queued")
    closed.close()
    async with h.tasks() as tasks:
        call = tasks.start(select, Send(closed, "never"), Recv(open_), closed=SKIP)
        await h.waiting(open_, receivers=1)
        assert await closed.recv() == "queued"
        assert (await h.outcome(closed.recv)).outcome is ChannelClosed
        await h.settle()
        assert call.waits
        await open_.send("v")
    assert (call.value.index, call.value.value) == (1, "v")


RULES: Final = {rule.name: rule for rule in ClosedRule}


@law("SE5.an-open-clause-is-as-good-under-any-rule", Group.SELECT, over=RULES)
async def an_open_clause_is_as_good_under_any_rule(h: Harness, rule: ClosedRule) -> None:
    """The rule for closed clauses changes nothing for clauses that are open. Rows: SE5."""
    a, b = await channels(h, 2)
    async with h.tasks() as tasks:
        call = tasks.start(select, Recv(a), Recv(b), closed=rule)
        await h.settle()
        await b.send("v")
    assert (call.value.index, call.value.value, call.value.error) == (1, "v", None)


@law("SE8.reuse-does-not-grow", Group.SELECT, over=MODES)
async def reuse_does_not_grow(h: Harness, mode: SelectMode) -> None:
    """10,000 waits on one Selector, ready or parked, leave no waiter, no object and no clause behind. Rows: SE8."""
    a, b = await channels(h, 2, shape(BUFFERED))
    selector = Selector(Recv(a), Recv(b), mode=mode)

    async def waits(count: int) -> None:
        for i in range(count):
            await (a, b)[i % 2].send(i)
            await selector.wait()
        async with h.tasks() as tasks:
            parked = tasks.start(_wait_often, selector, count)
            for i in range(count):
                await (a, b)[i % 2].send(i)
        assert parked.value == count

    await waits(50)
    await h.settle()
    before = _objects()
    await waits(200 if h.remote else 5000)
    await h.settle()
    # A link may hold a frame or a timer more or less at this moment; a leak would be one for each of the waits.
    assert abs(_objects() - before) <= (8 if h.remote else 0)
    for ch in (a, b):
        await h.waiting(ch)


def _objects() -> int:
    """How many objects of kcoro there are; a host may keep a trace of its own, which is none of its objects.

    A timer that was cancelled is left out: its queue sweeps such ones when they are many, which is a law of its own.
    """
    gc.collect()
    mine = [o for o in gc.get_objects() if type(o).__module__.startswith("kcoro")]
    return sum(not (isinstance(o, Timer) and o.fn is None) for o in mine)


async def _wait_often(selector: Selector, count: int) -> int:
    for _ in range(count):
        await selector.wait()
    return count


@law("SE8.add-replace-reset", Group.SELECT)
async def add_replace_reset(h: Harness) -> None:
    """A Selector's clauses can be added to, replaced and dropped between waits; indexes stay where they are.

    Rows: SE8.
    """
    a, b = await channels(h, 2, shape(UNLIMITED))
    selector = Selector(Recv(a))
    assert selector.add(Send(b, 1)) == 1
    assert (await selector.wait()).index == 1
    selector.replace(1, Send(b, 2))
    assert (await selector.wait()).index == 1
    assert [await b.recv(), await b.recv()] == [1, 2]
    selector.reset()
    with raises(ValueError):
        await selector.wait()
    selector.add(Recv(b))
    await b.send("v")
    assert (await selector.wait()).value == "v"


@law("SE8.one-task-at-a-time", Group.SELECT)
async def one_task_at_a_time(h: Harness) -> None:
    """A Selector that waits can be neither waited on nor changed by another task; the first is unharmed. Rows: SE8."""
    a, b = await channels(h, 2)
    selector = Selector(Recv(a))
    async with h.tasks() as tasks:
        call = tasks.start(selector.wait)
        await h.waiting(a, receivers=1)
        assert (await h.outcome(selector.wait)).outcome is ValueError
        for change in (
            selector.try_wait,
            selector.reset,
            lambda: selector.add(Recv(b)),
            lambda: selector.replace(0, Recv(b)),
        ):
            with raises(ValueError):
                change()
        await a.send("v")
    assert call.value.value == "v"


@law("SE3.round-robin-needs-a-selector", Group.SELECT)
async def round_robin_needs_a_selector(h: Harness) -> None:
    """A plain select has no memory, so ROUND_ROBIN is refused there, and the message says what to use. Rows: SE3."""
    (a,) = await channels(h, 1, shape(RENDEZVOUS))
    with raises(ValueError) as caught:
        await select(Recv(a), mode=ROUND_ROBIN)
    assert "Selector" in str(caught[0])
