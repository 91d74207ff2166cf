# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the extension's objects keep alive, and what they let go: nothing leaks, and nothing goes too early."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.engine import OK, WOULD_BLOCK
from kcoro_core.reference.waiter import NOBODY
from kcoro_core.semantics import ClosedRule, Kind, Overflow, Undelivered


class Element:
    """Something that can be watched, and that can refer to others."""

    other: Any = None


class Owner:
    """A parker that remembers whom it was told of."""

    def __init__(self) -> None:
        self.woken: list[Any] = []

    def unpark(self, op: Any) -> None:
        self.woken.append(op)


def channel(native: Any, capacity: int | None = None, hook: Any = None) -> Any:
    """Rendezvous without a capacity, else buffered."""
    kind = Kind.RENDEZVOUS if capacity is None else Kind.BUFFERED
    return native.ChannelCore(kind, capacity, Overflow.SUSPEND, hook)


# ---------------------------------------------------------------------------------------------------------------------
# What the collector sees
# ---------------------------------------------------------------------------------------------------------------------


def of_an_element(native: Any, element: Element) -> Any:
    core = channel(native, 1)
    element.other = core
    assert core.send_now(element) is OK
    return core


def of_an_element_around_the_end_of_the_ring(native: Any, element: Element) -> Any:
    core = channel(native, 2)
    core.send_now(1)
    core.send_now(2)
    core.recv_now()
    element.other = core
    core.send_now(element)
    return core


def of_a_waiter(native: Any, element: Element) -> Any:
    core = channel(native)
    op = native.Operation(Owner(), True, element)
    op.task = element.other = core
    core.enqueue(op)
    return core


def of_an_arm(native: Any, element: Element) -> Any:
    core = channel(native)
    select = native.SelectOperation(ClosedRule.RAISE, 1)
    select.task = core
    core.enqueue(native.Arm(select, 0, True, element))
    return core


def of_a_hook(native: Any, element: Element) -> Any:
    core: Any = channel(native, 1, lambda value, why: (core, element))
    return core


def of_a_reason(native: Any, element: Element) -> Any:
    core = channel(native, 1)
    element.other = core
    core.close(element)
    return core


def of_a_result(native: Any, element: Element) -> Any:
    op = native.Operation(Owner())
    element.other = op
    op.complete(element)
    return op


def of_an_error(native: Any, element: Element) -> Any:
    op = native.Operation(Owner())
    error = ValueError(element)
    element.other = op
    op.win()
    op.fail(error)
    return op


def of_a_parker(native: Any, element: Element) -> Any:
    owner = Owner()
    op = native.Operation(owner)
    owner.woken += [op, element]
    return op


def of_an_iterator(native: Any, element: Element) -> Any:
    core = of_a_waiter(native, element)
    iterator = core.waiting(True)
    op = next(iterator)
    op.task = iterator
    return core


CYCLES = [
    *(of_an_element, of_an_element_around_the_end_of_the_ring, of_a_waiter, of_an_arm, of_a_hook, of_a_reason),
    *(of_a_result, of_an_error, of_a_parker, of_an_iterator),
]


@pytest.mark.parametrize("make", CYCLES, ids=lambda make: make.__name__)
def test_the_collector_finds_a_cycle(native: Any, make: Callable[[Any, Element], Any]) -> None:
    """And takes it apart, whatever it leads through."""
    element = Element()
    gone, thing = weakref.ref(element), make(native, element)
    whole = weakref.ref(thing)
    del element
    gc.collect()
    assert gone() is not None
    del thing
    gc.collect()
    assert (gone(), whole()) == (None, None)


def test_a_cycle_that_is_collected_wakes_nobody_and_reports_nothing(native: Any) -> None:
    seen: list[Any] = []
    core = channel(native, 1, lambda *news: seen.append(news))
    element = Element()
    element.other = core
    core.send_now(element)
    owner = Owner()
    op = native.Operation(owner, True, 2)
    op.task = core
    core.enqueue(op)
    del core, element
    gc.collect()
    assert (seen, owner.woken, op.claim) == ([], [], -1)
    assert not channel(native).withdraw(op)


class Keeping:
    """A keeper that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def arrived(self) -> None:
        self.told.append("arrived")

    def recall(self) -> None:
        self.told.append("recall")

    def drained(self) -> None:
        self.told.append("drained")


def test_a_channel_that_goes_tells_its_keeper_nothing(native: Any) -> None:
    """It goes because nobody refers to it, and not because it was closed."""
    core, keeper = channel(native, 1), Keeping()
    assert core.keep(keeper)
    del core
    gc.collect()
    assert keeper.told == []


def test_code_that_runs_while_a_cycle_is_taken_apart_may_use_the_channel(native: Any) -> None:
    """A finalizer of an element sends, receives and closes; what it finds is in order."""
    answers: list[Any] = []

    class Last(Element):
        def __del__(self) -> None:
            core = self.other
            answers.extend([core.send_now(1), core.recv_now(), len(core)])
            core.close()

    core = channel(native, 3)
    last = Last()
    last.other = core
    core.send_now(last)
    del core, last
    gc.collect()
    assert answers[0] is OK


# ---------------------------------------------------------------------------------------------------------------------
# References
# ---------------------------------------------------------------------------------------------------------------------


def through_a_queue(native: Any, value: Any) -> None:
    core = channel(native, 2)
    assert core.send_now(value) is OK
    assert core.send_now(value) is OK
    assert core.send_now(value) is WOULD_BLOCK
    assert core.recv_now() is value
    core.cancel()


def from_a_sender(native: Any, value: Any) -> None:
    core = channel(native)
    core.enqueue(native.Operation(Owner(), True, value))
    assert core.recv_now() is value


def to_a_receiver(native: Any, value: Any) -> None:
    core = channel(native)
    op = native.Operation(Owner())
    core.enqueue(op)
    assert core.send_now(value) is OK
    assert op.value is value


def from_an_arm(native: Any, value: Any) -> None:
    core, other = channel(native, 1), channel(native)
    core.send_now(0)
    select = native.SelectOperation(ClosedRule.RAISE, 2)
    arms = [native.Arm(select, 0, True, value), native.Arm(select, 1, True, value)]
    core.enqueue(arms[0])
    other.enqueue(arms[1])
    assert core.recv_now() == 0
    assert core.recv_now() is value
    assert arms[0].value is value
    assert other.withdraw(arms[1])


def shut(native: Any, value: Any) -> None:
    core = channel(native)
    op = native.Operation(Owner(), True, value)
    claimed = native.Operation(Owner(), True, value)
    dead = native.SelectOperation(ClosedRule.SKIP, 2)
    claimed.begin_claim(0)
    for waiter in (op, claimed, native.Arm(dead, 0, True, value)):
        core.enqueue(waiter)
    core.close(value)
    assert op.error.reason is value
    assert claimed.end_claim()
    assert dead.open_arms == 1


def dropped(native: Any, value: Any) -> None:
    for overflow in (Overflow.DROP_OLDEST, Overflow.DROP_LATEST):
        core = native.ChannelCore(Kind.BUFFERED, 1, overflow, lambda element, why: None)
        core.send_now(value)
        core.send_now(value)
        core.report(value, Undelivered.CLOSED)


def offered_anew(native: Any, value: Any) -> None:
    op = native.Operation(Owner(), True, value)
    op.value = None
    op.value = value
    op.task = value
    op.complete(value)
    op.finish(value)


def left_in_the_queue(native: Any, value: Any) -> None:
    core = channel(native, 5)
    core.send_now(value)
    other = channel(native)
    other.enqueue(native.Operation(Owner(), True, value))
    iterator = other.waiting(True)
    next(iterator)


def refused(native: Any, value: Any) -> None:
    core = channel(native)
    for wrong in (
        lambda: core.enqueue(value),
        lambda: core.withdraw(value),
        lambda: native.Operation(value, False, value, value),
        lambda: native.SelectOperation(value, 1),
        lambda: native.SelectOperation(ClosedRule.SKIP, 0),
        lambda: native.Arm(value, 0),
        lambda: native.ChannelCore(value, None, Overflow.SUSPEND, value),
        lambda: native.ChannelCore(Kind.BUFFERED, 0, Overflow.SUSPEND, lambda *news: value),
        lambda: native.Operation(value).finish(value),
        lambda: native.Operation(value).fail(value),
        lambda: native.Operation(value).complete(value, value),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            wrong()


WAYS = [
    *(through_a_queue, from_a_sender, to_a_receiver, from_an_arm, shut, dropped, offered_anew, left_in_the_queue),
    refused,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_element_has_as_many_references_afterwards_as_before(native: Any, way: Callable[[Any, Any], None]) -> None:
    """Row: CH4."""
    value = Element()
    way(native, value)
    gc.collect()
    before = sys.getrefcount(value)
    for _ in range(5):
        way(native, value)
    gc.collect()
    assert sys.getrefcount(value) == before


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_memory_stays_flat(native: Any, way: Callable[[Any, Any], None]) -> None:
    """Blocks of memory, and references to the types and to what both engines share. Row: CH4."""
    shared = [
        native,
        native.Operation,
        native.SelectOperation,
        native.Arm,
        native.ChannelCore,
        OK,
        WOULD_BLOCK,
        Kind.RENDEZVOUS,
    ]

    def use() -> tuple[int, list[int]]:
        for _ in range(200):
            way(native, Element())
        gc.collect()
        return sys.getallocatedblocks(), [sys.getrefcount(thing) for thing in shared]

    use()
    blocks, references = use()
    later, references_later = use()
    assert references_later == references
    assert later - blocks < 100  # a leak of one block each would be 200 and more


def test_a_sender_forgets_what_it_offered_once_somebody_has_it(native: Any) -> None:
    """Whoever keeps the operation does not keep the element. Row: CH4."""
    core = channel(native)
    element = Element()
    gone = weakref.ref(element)
    op = native.Operation(NOBODY, True, element)
    core.enqueue(op)
    del element
    core.recv_now()
    assert gone() is None
    assert op.value is None


def test_a_sender_keeps_what_it_could_not_deliver(native: Any) -> None:
    core = channel(native)
    ops = [native.Operation(NOBODY, True, value) for value in ("shut", "failed", "expired")]
    core.enqueue(ops[0])
    core.close()
    ops[1].win()
    ops[1].fail(ValueError())
    ops[2].expire()
    assert [op.value for op in ops] == ["shut", "failed", "expired"]


def test_an_arm_hears_the_reason_of_its_channel(native: Any) -> None:
    """And under SKIP that all are closed, whatever their reasons. Row: CH10."""
    for rule, text, reason in (
        (ClosedRule.RAISE, "the channel is closed: 'why'", "why"),
        (ClosedRule.SKIP, "every channel of this select is closed", None),
    ):
        core = channel(native)
        select = native.SelectOperation(rule, 1)
        core.enqueue(native.Arm(select, 0))
        core.close("why")
        assert text in str(select.error)
        assert select.error.reason == reason


def test_a_chain_of_channels_within_channels_is_freed_without_recursion(native: Any) -> None:
    """A hundred thousand, each the only element of the next; and the same with what operations got."""
    core = None
    op = None
    for _ in range(100_000):
        outer = channel(native, 1)
        outer.send_now(core)
        core = outer
        waiter = native.Operation(Owner())
        waiter.complete(op)
        op = waiter
    del outer, core, waiter, op


# ---------------------------------------------------------------------------------------------------------------------
# Code that comes back
# ---------------------------------------------------------------------------------------------------------------------


class Returning:
    """A value whose end uses the channel that it was in."""

    def __init__(self, core: Any, log: list[Any]) -> None:
        self.core, self.log = core, log

    def __del__(self) -> None:
        self.log.append((self.core.send_now(0), len(self.core), self.core.snapshot().length))
        while self.core.recv_now() == 0:
            pass


def test_the_end_of_a_dropped_element_may_use_its_channel(native: Any) -> None:
    log: list[Any] = []
    core = native.ChannelCore(Kind.BUFFERED, 2, Overflow.DROP_OLDEST)
    for _ in range(10):
        core.send_now(Returning(core, log))
    core.cancel()
    assert len(log) == 10
    assert {entry[0] for entry in log} <= {OK} | {answer for answer, _, _ in log}


def test_whoever_is_woken_may_close_the_channel_and_drop_the_last_reference(native: Any) -> None:
    class Closing:
        def __init__(self) -> None:
            self.core: Any = channel(native)

        def unpark(self, op: Any) -> None:
            core, self.core = self.core, None
            if core is not None:
                core.close("enough")

    for _ in range(10):
        owner = Closing()
        core = owner.core
        for _ in range(3):
            core.enqueue(native.Operation(owner))
        send = core.send_now
        del core
        assert send(1) is OK


def test_a_waiter_that_is_shut_while_being_claimed_may_stand_in_line_again(native: Any) -> None:
    """In the middle of the close that took it out, and be shut again there; who left before it is let go as well."""
    core = channel(native)
    claimed, first = native.Operation(NOBODY), native.Operation(NOBODY)
    gone = weakref.ref(first)
    claimed.begin_claim(0)

    class Again:
        def unpark(self, op: Any) -> None:
            core.enqueue(claimed)
            core.cancel()
            core.enqueue(claimed)

    before = sys.getrefcount(claimed)
    for op in (first, claimed, native.Operation(Again())):
        core.enqueue(op)
    del first, op
    core.close()
    assert gone() is None
    assert sys.getrefcount(claimed) == before + 1
    assert core.withdraw(claimed)
    assert not core.withdraw(claimed)
    assert sys.getrefcount(claimed) == before


def test_a_queue_that_changes_during_iteration_says_so(native: Any) -> None:
    core = channel(native)
    ops = [native.Operation(Owner()) for _ in range(4)]
    for op in ops:
        core.enqueue(op)
    assert list(core.waiting(False)) == ops
    assert list(core.waiting(True)) == []
    iterator = core.waiting(False)
    assert next(iterator) is ops[0]
    core.withdraw(ops[1])
    assert next(iterator) is ops[2]
    core.withdraw(ops[2])
    with pytest.raises(RuntimeError, match="changed during iteration"):
        next(iterator)
    assert list(iterator) == []


# ---------------------------------------------------------------------------------------------------------------------
# Callbacks that fail
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda record: seen.append(record.exc_value))
    return seen


def test_a_hook_that_raises_changes_nothing(native: Any, unraisable: list[BaseException]) -> None:
    """Row: CH6."""

    def hook(value: Any, why: Undelivered) -> None:
        raise ValueError(value)

    core = native.ChannelCore(Kind.CONFLATED, None, Overflow.SUSPEND, hook)
    assert core.send_now(1) is OK
    assert core.send_now(2) is OK
    assert core.recv_now() == 2
    assert [str(error) for error in unraisable] == ["1"]
    assert "on_undelivered(1, Undelivered.CONFLATED)" in unraisable[0].__notes__[0]


def test_a_parker_that_raises_loses_no_element(native: Any, unraisable: list[BaseException]) -> None:
    class Broken:
        def unpark(self, op: Any) -> None:
            raise ValueError("broken")

    core = channel(native)
    op = native.Operation(Broken())
    core.enqueue(op)
    assert core.send_now("x") is OK
    assert op.value == "x"
    assert [str(error) for error in unraisable] == ["broken"]


def test_ctrl_c_in_a_parker_comes_again_in_whoever_woke_it(native: Any, unraisable: list[BaseException]) -> None:
    class Interrupted:
        def unpark(self, op: Any) -> None:
            raise KeyboardInterrupt

    def send_and_go_on() -> None:
        core.send_now("x")
        for _ in range(1000):
            pass

    core = channel(native)
    op = native.Operation(Interrupted())
    core.enqueue(op)
    with pytest.raises(KeyboardInterrupt):
        send_and_go_on()
    assert (op.claim, op.value, unraisable) == (0, "x", [])


def test_a_reason_that_cannot_be_shown_ends_those_who_wait_all_the_same(native: Any) -> None:
    class Shy:
        def __repr__(self) -> str:
            raise ValueError("not shown")

    core = channel(native)
    owner = Owner()
    core.enqueue(native.Operation(owner))
    core.close(Shy())
    assert str(owner.woken[0].error) == "not shown"
