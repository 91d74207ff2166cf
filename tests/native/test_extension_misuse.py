# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whatever one does with the extension's objects, it ends with an answer or an exception, and never with a crash."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest

from kcoro_core.reference.channel import Channel
from kcoro_core.reference.waiter import NOBODY, Operation
from kcoro_core.semantics import ClosedRule, Kind, Overflow, Undelivered, legal_combinations

EXPECTED = (
    *(TypeError, ValueError, AttributeError, RuntimeError, AssertionError, OverflowError, MemoryError),
    StopIteration,
)
ANSWERED = {"claim", "value", "error", "sending", "late", "task", "parker", "index", "op", "dead", "closed", "reason"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda native: type("Mine", (native.Operation,), {})(NOBODY),
        lambda native: type("Mine", (native.Operation,), {}).__new__(native.Operation),
        lambda native: type("Mine", (native.ChannelCore,), {}),
        lambda native: type("Mine", (native.SelectOperation,), {}),
        lambda native: object.__new__(native.ChannelCore),
        lambda native: native.Operation.__new__(native.Operation),
        lambda native: copy.copy(native.Operation(NOBODY)),
        lambda native: pickle.dumps(native.ChannelCore(Kind.RENDEZVOUS, None, Overflow.SUSPEND)),
        lambda native: setattr(native.Operation, "claim", 0),
        lambda native: native.Operation(NOBODY, wrong=1),
        lambda native: native.Arm(Operation(NOBODY), 0),
        lambda native: native.ChannelCore(Kind.BUFFERED, None, Overflow.SUSPEND),
        lambda native: native.ChannelCore(Kind.UNLIMITED, None, Overflow.SUSPEND, 3),
    ],
)
def test_what_cannot_be_is_a_type_error(native: Any, wrong: Callable[[Any], object]) -> None:
    """Objects of the engine are made by calling their types, and are what they are."""
    with pytest.raises(TypeError):
        wrong(native)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda core, op: core.enqueue(Operation(NOBODY)), "kcoro_select of the same engine"),
        (lambda core, op: core.withdraw(core), "kcoro_select of the same engine"),
        (lambda core, op: core.count_failure(3), "claim word 3"),
        (lambda core, op: core.lend_slots(1), "1 slots cannot be lent, 0 are free to be"),
        (lambda core, op: core.fill(1), "only the borrower"),
        (lambda core, op: core.settle(1), "1 elements cannot be settled"),
        (lambda core, op: core.settle(-1), "-1 elements cannot be settled"),
        (lambda core, op: core.take_ahead(), "only the keeper"),
        (lambda core, op: core.report(1, "lost"), "why is one of"),
        (lambda core, op: op.finish(), "win"),
        (lambda core, op: op.fail(ValueError()), "win"),
        (lambda core, op: op.fail(3), "with an exception, not with 3"),
        (lambda core, op: op.shut(None), "with an exception, not with None"),
        (lambda core, op: op.win_claim(), "without begin_claim"),
        (lambda core, op: op.end_claim(), "without begin_claim"),
        (lambda core, op: op.begin_claim(-1), "no clause -1"),
        (lambda core, op: op.begin_claim(2**31 - 1), "no clause 2147483647"),
    ],
)
def test_misuse_says_what_was_wrong(native: Any, wrong: Callable[[Any, Any], object], words: str) -> None:
    """And changes nothing."""
    core = native.ChannelCore(Kind.RENDEZVOUS, None, Overflow.SUSPEND)
    op = native.Operation(NOBODY)
    before = core.snapshot()
    with pytest.raises((TypeError, ValueError, RuntimeError, AssertionError), match=words):
        wrong(core, op)
    assert (core.snapshot(), op.claim, op.value, op.error) == (before, -1, None, None)


def test_a_waiter_of_another_channel_is_refused(native: Any) -> None:
    """It stays where it is; twice in the same channel is once."""
    core, other = (native.ChannelCore(Kind.RENDEZVOUS, None, Overflow.SUSPEND) for _ in range(2))
    op = native.Operation(NOBODY)
    core.enqueue(op)
    core.enqueue(op)
    with pytest.raises(ValueError, match="withdraw it there first"):
        other.enqueue(op)
    assert not other.withdraw(op)
    assert list(core.waiting(False)) == [op]
    assert core.withdraw(op)


class Anybody:
    """A parker, borrower, keeper and hook that does something else with the pool each time it is called."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __getattr__(self, name: str) -> Any:
        if name in ("unpark", "recall", "ask", "freed", "arrived", "drained"):
            return lambda *_: self.world.some_steps()
        raise AttributeError(name)

    def __call__(self, *news: Any) -> None:
        self.world.some_steps()


class World:
    """Objects of every kind, good and bad, and random calls of everything that they have."""

    def __init__(self, native: Any, seed: int) -> None:
        self.native, self.coin, self.depth = native, Random(seed), 0
        self.anybody = Anybody(self)
        self.seen: Counter[str] = Counter()
        self.odd: list[Any] = [
            None,
            0,
            -1,
            1,
            2**40,
            2**70,
            True,
            "x",
            b"",
            (),
            [1],
            1.5,
            ValueError("e"),
            self.anybody,
        ]
        self.odd += [NOBODY, Operation(NOBODY), *Undelivered, *ClosedRule, (1, 2)]
        self.channels = [self.channel() for _ in range(3)]
        self.pool: list[Any] = [native.Operation(self.anybody), native.SelectOperation(ClosedRule.SKIP, 2)]

    def channel(self) -> Any:
        kind, overflow = self.coin.choice([*legal_combinations()])
        hook = self.coin.choice([None, self.anybody])
        return self.native.ChannelCore(kind, 2 if kind is Kind.BUFFERED else None, overflow, hook)

    def anything(self) -> Any:
        """An argument; now and then one that fits."""
        return self.coin.choice([*self.odd, *self.pool, *self.channels, self.pool[-1]])

    def renew(self) -> None:
        """Another object in place of one."""
        native, coin = self.native, self.coin
        makers = [
            lambda: native.Operation(self.anybody, coin.random() < 0.5, self.anything()),
            lambda: native.SelectOperation(coin.choice([*ClosedRule]), coin.randint(1, 3)),
            lambda: native.Arm(coin.choice(self.pool), coin.randint(0, 2), coin.random() < 0.5, self.anything()),
            lambda: coin.choice(self.channels).waiting(coin.random() < 0.5),
        ]
        self.pool.append(coin.choice(makers)())
        if len(self.pool) > 12:
            del self.pool[coin.randrange(10)]

    def step(self) -> None:
        """One call of one method, or one attribute set, on one object."""
        coin = self.coin
        thing = coin.choice(self.pool + self.channels * 2)
        if coin.random() < 0.25:
            self.renew()
        elif coin.random() < 0.02:
            self.channels[coin.randrange(3)] = self.channel()
        elif coin.random() < 0.05:
            setattr(thing, coin.choice([*sorted(ANSWERED)]), self.anything())
        elif coin.random() < 0.01:
            gc.collect()
        elif hasattr(thing, "__next__"):
            next(thing)
        else:
            name = coin.choice([name for name in dir(thing) if not name.startswith("_")])
            method = getattr(thing, name)
            if callable(method) and name not in ANSWERED:
                self.seen[name] += 1
                method(*[self.anything() for _ in range(coin.choice([0, 1, 1, 1, 2]))])

    def some_steps(self) -> None:
        """What callbacks do, not without end."""
        if self.depth < 2:
            self.depth += 1
            self.steps(self.coin.randrange(3))
            self.depth -= 1

    def steps(self, count: int) -> None:
        """So many; what is refused is refused by an exception that fits."""
        for _ in range(count):
            try:
                self.step()
            except EXPECTED:
                self.seen["refused"] += 1


def abuse(native: Any, seeds: Iterable[int], steps: int = 400) -> Counter[str]:
    """Random calls; afterwards each channel still counts right, and lets go of everything."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        world = World(native, seed)
        world.steps(steps)
        for core in world.channels:
            shown = core.snapshot()
            assert shown.length == len(core)
            assert shown.waiting_senders == len(list(core.waiting(True)))
            core.cancel()
            assert len(core) == 0
        seen += world.seen
    return seen


def test_random_misuse_ends_with_an_answer_or_an_exception(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method is called with every kind of thing, also from callbacks in the middle of another."""
    monkeypatch.setattr(sys, "unraisablehook", lambda record: None)
    seen = abuse(native, range(400))
    missing = {name for name in dir(Channel) if not name.startswith("_") and callable(getattr(Channel, name))} - set(
        seen
    )
    assert missing <= {"closed_error"}
    assert seen["refused"] > 1000
    assert sum(seen.values()) > 10 * seen["refused"] / 9
    gc.collect()


def test_a_waiter_that_another_channel_refuses_to_ask_about_still_knows_where_it_stands(native: Any) -> None:
    """It is told why its own channel was closed, also when the other one is gone by then."""
    core, other = (native.ChannelCore(Kind.RENDEZVOUS, None, Overflow.SUSPEND) for _ in range(2))
    op = native.Operation(NOBODY)
    core.enqueue(op)
    with pytest.raises(ValueError, match="waits already"):
        other.ask(op)
    del other
    gc.collect()
    core.close("that is why")
    assert op.error.reason == "that is why"


@pytest.mark.long
def test_much_random_misuse(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a minute."""
    monkeypatch.setattr(sys, "unraisablehook", lambda record: None)
    abuse(native, [*range(10**6, 10**6 + 500), 1008523])  # the last one crashed once
