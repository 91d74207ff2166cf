# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Each allocation of Python fails once, at every place of a scenario: a MemoryError, nothing lost, nothing leaked."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kcoro_core.engine import OK
from kcoro_core.semantics import ClosedRule, Kind, Overflow

from .extension import build_module, load_module
from .library import HERE

# More allocations than any scenario makes; it ends when none failed.
MOST = 2000
ROUNDS = 1000
NEVER = 1 << 30  # allocations; that one would fail


class Element:
    """Something that can be watched."""


class Owner:
    """A parker that tells by a number, for which there is no allocation that could fail."""

    woken = 0

    def unpark(self, op: Any) -> None:
        self.woken += 1


class Scene:
    """What a scenario made, so that it can be examined after it has failed in the middle."""

    def __init__(self, native: Any) -> None:
        self.native = native
        self.elements = [Element() for _ in range(6)]
        self.watched = [weakref.ref(element) for element in self.elements]
        self.owner = Owner()
        self.received: list[Any] = [None] * 8
        self.core: Any = None
        self.waiters: list[Any] = [None] * 3

    def receive_all(self) -> None:
        """What is there goes into a list that has room."""
        for i in range(len(self.received)):
            self.received[i] = self.core.recv_now()


def make(scene: Scene) -> None:
    scene.core = scene.native.ChannelCore(Kind.BUFFERED, 3, Overflow.SUSPEND, None)


def unlimited(scene: Scene) -> None:
    scene.core = scene.native.ChannelCore(Kind.UNLIMITED, None, Overflow.SUSPEND, None)
    for element in scene.elements:
        assert scene.core.send_now(element) is OK
    scene.receive_all()


def waiting_senders(scene: Scene) -> None:
    scene.core = scene.native.ChannelCore(Kind.RENDEZVOUS, None, Overflow.SUSPEND, None)
    for i in range(3):
        scene.waiters[i] = scene.native.Operation(scene.owner, True, scene.elements[i])
        scene.core.enqueue(scene.waiters[i])
    scene.receive_all()


def select(scene: Scene) -> None:
    scene.core = scene.native.ChannelCore(Kind.BUFFERED, 1, Overflow.SUSPEND, None)
    scene.waiters[0] = scene.native.SelectOperation(ClosedRule.SKIP, 2)
    for i in (1, 2):
        scene.waiters[i] = scene.native.Arm(scene.waiters[0], i - 1, False)
        scene.core.enqueue(scene.waiters[i])
    scene.waiters[0].parker = scene.owner
    assert scene.core.send_now(scene.elements[0]) is OK


def closing(scene: Scene) -> None:
    waiting_senders_only(scene)
    scene.core.close("a reason")


def waiting_senders_only(scene: Scene) -> None:
    scene.core = scene.native.ChannelCore(Kind.RENDEZVOUS, None, Overflow.SUSPEND, None)
    for i in range(3):
        scene.waiters[i] = scene.native.Operation(scene.owner, True, scene.elements[i])
        scene.core.enqueue(scene.waiters[i])


def shares(scene: Scene) -> None:
    scene.core = scene.native.ChannelCore(Kind.BUFFERED, 4, Overflow.SUSPEND, None)
    for element in scene.elements[:4]:
        scene.core.send_now(element)
    for i in range(3):
        scene.received[i] = scene.core.recv_now()
        scene.core.hand_out()
    scene.core.settle(3, scene.received[:3])
    scene.receive_all()


def books(scene: Scene) -> None:
    waiting_senders_only(scene)
    list(scene.core.waiting(True))
    scene.core.snapshot()
    scene.core.cancel("a reason")


SCENARIOS = [make, unlimited, waiting_senders, select, closing, shares, books]


@pytest.fixture(scope="module")
def failing(build_dir: Path, native: Any) -> Any:
    """The module that lets allocations fail."""
    return load_module("failing", build_module(build_dir, "failing", [HERE / "failing.c"]))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_each_allocation_may_fail(
    native: Any, failing: Any, scenario: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with MemoryError, or goes on; who waited is told; the elements go with the last that held them."""
    monkeypatch.setattr(sys, "unraisablehook", lambda record: None)  # pytest would keep what it is told, and its frames
    failures = 0
    gc.collect()
    gc.disable()  # a collection in the middle would fail at other places each time
    try:
        for n in range(MOST):
            scene = Scene(native)
            answer, failed = failing.call(n, lambda scene=scene: scenario(scene))
            if not failed:
                assert answer is None
                break
            failures += 1
            assert answer is None or isinstance(answer, MemoryError), (n, answer)
            if scenario is closing and scene.core is not None and scene.core.closed:
                assert scene.owner.woken == 3
                assert all(op.error is not None for op in scene.waiters)
            watched = scene.watched
            del scene, answer
            gc.collect()
            assert [ref() for ref in watched] == [None] * len(watched), n
        else:
            pytest.fail(f"the scenario makes more than {MOST} allocations")
    finally:
        gc.enable()
    assert failures > 0


class Deaf:
    """A parker that does nothing."""

    def unpark(self, op: Any) -> None:
        pass


@pytest.mark.parametrize("parks", [False, True], ids=["at once", "parks"])
def test_elements_move_without_asking_for_memory(native: Any, failing: Any, parks: bool) -> None:
    """Under every host, by what the engine keeps; an operation that ended is the next one."""
    core = native.ChannelCore(Kind.RENDEZVOUS if parks else Kind.BUFFERED, None if parks else 4, Overflow.SUSPEND, None)
    owner = Deaf()

    def at_once(elements: Iterator[Any]) -> None:
        for element in elements:
            sent = core.send_now(element)  # in an assert, pytest would make a method object
            got = core.recv_now()
            assert sent is OK
            assert got is element

    def parking(elements: Iterator[Any]) -> None:
        for element in elements:
            op = native.Operation(owner, True, element)
            core.enqueue(op)
            got = core.recv_now()
            op = native.Operation(owner, False, None)
            core.enqueue(op)
            sent = core.send_now(element)
            assert sent is OK
            assert got is op.value is element

    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            elements = iter([object() for _ in range(ROUNDS)])
            failing.call(NEVER, lambda elements=elements: (parking if parks else at_once)(elements))
    finally:
        gc.enable()
    assert failing.asked() == 0


def test_the_memory_of_libkcoro_is_counted_as_that_of_python(native: Any) -> None:
    """Whoever looks for where memory goes finds it."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        core = native.ChannelCore(Kind.BUFFERED, 1000, Overflow.SUSPEND, None)
        assert tracemalloc.get_traced_memory()[0] - before > 8 * 1000
        del core
        assert tracemalloc.get_traced_memory()[0] - before < 1000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("capacity", [2**31, 2**57, 2**64 - 1, 2**70])
def test_a_vast_capacity_costs_nothing_before_its_elements_come(native: Any, capacity: int) -> None:
    """Whoever has a channel made over a link names any capacity; and the room is given back. Row: CH2."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        core = native.ChannelCore(Kind.BUFFERED, capacity, Overflow.SUSPEND, None)
        assert core.capacity == capacity
        for i in range(5000):
            assert core.send_now(i) is OK
        assert [core.recv_now() for _ in range(5000)] == list(range(5000))
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()
