# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Functions with stacks of their own: who runs when, what goes along, and what each has for itself (row C1)."""

from __future__ import annotations

import contextvars
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ...coroutine import Coroutine
from ...semantics import CoroutineState
from .harness import Harness
from .registry import Group, LawFunction, Need, law

ALONE: Final = [Need.NO_HOST]
MANY: Final = 10_000
PAGES: Final = Path("/proc/self/statm")


def coroutine_law(law_id: str, over: Mapping[str, Any] | None = None) -> Callable[[LawFunction], LawFunction]:
    """Register a law of this group."""
    return law(law_id, Group.COROUTINE, needs=ALONE, over=over)


def run_out(co: Coroutine) -> list[Any]:
    """What it yields until it ends, and its result behind that."""
    got = []
    while co.state is not CoroutineState.FINISHED:
        got.append(co.resume())
    return got


@coroutine_law("C1.ping-pong")
async def ping_pong(h: Harness) -> None:
    """Two coroutines that yield in turn interleave line by line, and whoever resumes them waits meanwhile. Rows: C1."""
    log: list[str] = []

    def player(name: str) -> str:
        for stroke in range(3):
            log.append(f"{name}{stroke}")
            Coroutine.yield_()
        return f"{name} is done"

    ping, pong = Coroutine(player, "ping"), Coroutine(player, "pong")
    results = []
    for stroke in range(4):
        results.append(ping.resume())
        log.append(f"between{stroke}")
        results.append(pong.resume())
    assert log == [
        *("ping0", "between0", "pong0"),
        *("ping1", "between1", "pong1"),
        *("ping2", "between2", "pong2"),
        "between3",
    ]
    assert results == [None] * 6 + ["ping is done", "pong is done"]


@coroutine_law("C1.values-go-both-ways")
async def values_both_ways(h: Harness) -> None:
    """A resume gets what is yielded, a yield what the next resume gives, and the last resume the result. Rows: C1."""

    def adder(start: int, step: int) -> int:
        total = start
        while (given := Coroutine.yield_(total)) is not None:
            total += step * given
        return -total

    co = Coroutine(adder, 100, 2)
    assert [co.resume(), co.resume(1), co.resume(10), co.resume()] == [100, 102, 122, -122]
    assert co.result() == -122


@coroutine_law("C1.any-depth")
async def any_depth(h: Harness) -> None:
    """A yield stops every call that it is in: recursion, generators, calls from C, special methods. Rows: C1."""

    def down(depth: int) -> None:
        if depth:
            down(depth - 1)
        Coroutine.yield_(("up", depth))

    def generator() -> Iterator[int]:
        yield 1
        Coroutine.yield_("inside of a generator")
        yield 2

    class Odd:
        def __index__(self) -> int:
            return int(Coroutine.yield_("from __index__"))

    def body() -> list[Any]:
        down(2)
        in_order = sorted([3, 1, 2], key=lambda number: Coroutine.yield_(number) or number)
        return [in_order, list(generator()), [7, 8, 9][Odd()]]

    co = Coroutine(body)
    assert [co.resume() for _ in range(3)] == [("up", 0), ("up", 1), ("up", 2)]
    assert [co.resume() for _ in range(4)] == [3, 1, 2, "inside of a generator"]
    assert [co.resume(), co.resume(1)] == ["from __index__", [[1, 2, 3], [1, 2], 8]]


@coroutine_law("C1.a-resume-is-a-call")
async def resume_is_a_call(h: Harness) -> None:
    """Coroutines may resume others; each comes back to its own resumer, and ``current`` is the innermost. Rows: C1."""
    chain: list[Any] = []
    made: list[Coroutine] = []

    def body(depth: int) -> str:
        me = Coroutine.current()
        assert me is made[depth]
        if depth < 3:
            inner = Coroutine(body, depth + 1)
            made.append(inner)
            chain.append(inner.resume())
            assert Coroutine.current() is me
            chain.append(inner.resume())
        running = [each.state for each in made[: depth + 1]]
        assert running == [CoroutineState.RUNNING] * (depth + 1)
        Coroutine.yield_(f"yield {depth}")
        return f"end {depth}"

    assert Coroutine.current() is None
    made.append(Coroutine(body, 0))
    assert [made[0].resume(), Coroutine.current(), made[0].resume(), Coroutine.current()] == [
        *("yield 0", None),
        *("end 0", None),
    ]
    assert chain == ["yield 3", "end 3", "yield 2", "end 2", "yield 1", "end 1"]


@coroutine_law("C1.yield-to-hands-on-the-resumer")
async def yield_to_chains(h: Harness) -> None:
    """``yield_to`` goes on in another, which then comes back to whoever resumed the first. Rows: C1."""
    log: list[Any] = []

    def body(name: str, *others: Coroutine) -> str:
        log.extend((name, Coroutine.yield_to(other)) for other in others)
        log.append((name, Coroutine.yield_(f"{name} yields")))
        return f"{name} ends"

    last = Coroutine(body, "c")
    middle = Coroutine(body, "b", last)
    first = Coroutine(body, "a", middle, last)
    assert first.resume() == "c yields"
    assert [each.state for each in (first, middle, last)] == [CoroutineState.SUSPENDED] * 3
    assert middle.resume(1) == "b yields"  # and not to ``a``, which once went on in it
    assert first.resume(2) == "c ends"
    assert [first.resume(3), first.resume(4)] == ["a yields", "a ends"]
    assert log == [("b", 1), ("a", 2), ("c", None), ("a", 3), ("a", 4)]
    assert middle.resume() == "b ends"


@coroutine_law("C1.yield-to-gives-a-value")
async def yield_to_gives(h: Harness) -> None:
    """What ``yield_to`` is given comes out of the call in which the other waits, as from a resume. Rows: C1."""

    def taker() -> Any:
        return Coroutine.yield_("ready")

    def giver(other: Coroutine) -> None:
        Coroutine.yield_to(other, "a present")

    to = Coroutine(taker)
    assert to.resume() == "ready"
    assert Coroutine(giver, to).resume() == "a present"
    assert to.result() == "a present"


@coroutine_law("C1.a-ring-of-yield-to")
async def ring(h: Harness) -> None:
    """A ring of coroutines that only yield to the next goes round without going deeper. Rows: C1."""
    size, rounds = 5, 200
    ring: list[Coroutine] = []
    visits: list[int] = []

    def body(number: int) -> None:
        for _ in range(rounds):
            visits.append(number)
            Coroutine.yield_to(ring[(number + 1) % size])

    ring += [Coroutine(body, number) for number in range(size)]
    ring[0].resume()
    assert visits == list(range(size)) * rounds
    for co in ring:
        co.destroy()


@coroutine_law("C1.out-of-order")
async def out_of_order(h: Harness) -> None:
    """Any number may wait, deep in calls, and go on in any order, each with its own variables. Rows: C1."""

    def body(number: int, depth: int) -> int:
        mark = [number] * 10
        below = body(number, depth - 1) if depth else Coroutine.yield_(number)
        assert mark == [number] * 10
        return int(below) + 1

    crowd = [Coroutine(body, number, number % 7) for number in range(100)]
    assert [co.resume() for co in crowd] == list(range(100))
    for step in range(100):
        number = step * 37 % 100
        assert crowd[number].resume(number) == number + number % 7 + 1


@coroutine_law("C1.own-context")
async def own_context(h: Harness) -> None:
    """Each runs in a copy of the context in which it was made; what it sets there nobody else sees. Rows: C1, SC9."""
    var = contextvars.ContextVar[str]("var", default="nobody set it")

    def body(mark: str) -> list[str]:
        seen = [var.get()]
        var.set(mark)
        Coroutine.yield_()
        seen.append(var.get())
        inner = Coroutine(var.get)
        var.set("later")
        return [*seen, inner.resume(), var.get()]

    def make() -> list[Coroutine]:
        var.set("maker")
        return [Coroutine(body, "a"), Coroutine(body, "b")]

    for co, mark in zip(contextvars.copy_context().run(make), "ab", strict=True):
        co.resume()
        assert var.get() == "nobody set it"
        assert co.resume() == ["maker", mark, mark, "later"]
    assert var.get() == "nobody set it"


@coroutine_law("C1.own-exception")
async def own_exception(h: Harness) -> None:
    """The exception that one is handling is its own: a switch neither shows it to others nor loses it. Rows: C1."""

    def body(error: Exception) -> None:
        assert sys.exc_info() == (None, None, None)
        try:
            raise error
        except type(error):
            Coroutine.yield_(sys.exc_info()[1])
            assert sys.exc_info()[1] is error
        assert sys.exc_info()[1] is None

    errors = [LookupError("one"), ArithmeticError("two")]
    crowd = [Coroutine(body, error) for error in errors]
    outside = RuntimeError("outside")
    try:
        raise outside
    except RuntimeError:
        seen = [*(co.resume() for co in crowd), sys.exc_info()[1]]
        seen += [*(co.resume() for co in reversed(crowd)), sys.exc_info()[1]]
    assert seen == [*errors, outside, None, None, outside]


@coroutine_law("C1.a-generator-across-a-switch")
async def generator_across(h: Harness) -> None:
    """A generator may be begun in one coroutine and go on in another, and outside. Rows: C1."""

    def numbers() -> Iterator[int]:
        for number in range(6):
            try:
                raise LookupError(number)
            except LookupError:
                yield number
                assert sys.exc_info()[0] is LookupError

    shared = numbers()

    def body() -> int:
        Coroutine.yield_(next(shared))
        return next(shared)

    crowd = [Coroutine(body), Coroutine(body)]
    assert [co.resume() for co in crowd] + [next(shared)] == [0, 1, 2]
    assert [co.resume() for co in crowd] + [next(shared)] == [3, 4, 5]


@coroutine_law("C1.recursion-is-each-ones-own")
async def own_recursion(h: Harness) -> None:
    """How deep the calls of one are does not count against others, and one that goes too deep fails alone. Rows: C1."""
    limit = sys.getrecursionlimit()
    depth = limit // 2

    def deep(left: int) -> str:
        return deep(left - 1) if left else str(Coroutine.yield_(Coroutine.current()))

    def too_deep(left: int) -> str:
        return too_deep(left + 1)

    crowd = [Coroutine(deep, depth) for _ in range(4)]
    assert [co.resume() for co in crowd] == crowd  # together twice as deep as the limit
    endless = Coroutine(too_deep, 0)
    try:
        endless.resume()
    except RecursionError:
        pass
    else:
        raise AssertionError("a body without an end came to one")
    assert [co.resume(number) for number, co in enumerate(crowd)] == ["0", "1", "2", "3"]


@coroutine_law("C1.nothing-is-left-behind")
async def flat(h: Harness) -> None:
    """10,000 that are made, begun and ended leave no thread and no memory, however they end. Rows: C1."""

    def body(turns: int) -> int:
        for _ in range(turns):
            Coroutine.yield_()
        return turns

    def some(count: int) -> None:
        for number in range(count):
            co = Coroutine(body, number % 3)
            if number % 4:
                co.resume()
            if number % 2:
                co.destroy()

    some(MANY // 20)
    gc.collect()
    threads, pages = threading.active_count(), _resident()
    some(MANY)
    gc.collect()
    assert threading.active_count() == threads
    assert _resident() - pages < 512, "more than 2 MiB"


def _resident() -> int:
    """The pages of memory that this process uses; 0 where the system does not say."""
    return int(PAGES.read_text().split()[1]) if PAGES.exists() else 0
