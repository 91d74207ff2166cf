# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The states of coroutines: which call is refused in which, park and unpark, and the thread of each (rows C5, C8)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ... import plugins
from ...coroutine import Coroutine
from ...errors import WouldBlock, WrongLoop, WrongState
from ...semantics import COROUTINE_MOVES, CoroutineState
from .coroutines import coroutine_law
from .harness import Harness, raises

CREATED, READY, RUNNING, SUSPENDED, PARKED, FINISHED = CoroutineState
# Longer than any of these waits could take on a busy machine: a law that hangs ends as one that failed.
PATIENCE: Final = 60.0

Use = Callable[[Coroutine], object]


class Thrown(Exception):
    """What laws throw into coroutines, and nobody else."""


def parks(then: Use = lambda me: None) -> str:
    """A body that parks, yields, and hands its own coroutine to ``then`` when it was resumed with one."""
    if (me := Coroutine.park()) is not None:
        then(me)
    Coroutine.yield_()
    return "result"


def in_state(state: CoroutineState, use: Use) -> Coroutine:
    """A coroutine that ``use`` was called with while it was in that state."""
    co = Coroutine(parks, use)
    if state is not CREATED:
        co.resume()
    if state in (READY, RUNNING, SUSPENDED, FINISHED):
        co.unpark()
    if state is RUNNING:
        co.resume(co)  # its body calls ``use``
        return co
    if state in (SUSPENDED, FINISHED):
        co.resume()
    if state is FINISHED:
        co.resume()
    assert co.state is state
    use(co)
    return co


def yield_to(co: Coroutine) -> None:
    Coroutine(Coroutine.yield_to, co).resume()


USES: Final[dict[str, Use]] = {
    "resume": lambda co: co.resume(),
    "throw": lambda co: co.throw(Thrown()),
    "yield_to": yield_to,
    "destroy": lambda co: co.destroy(),
}
CASES: Final = {f"{verb}-{state.name}": (verb, state) for verb in USES for state in CoroutineState}


@coroutine_law("C5.each-call-in-each-state", over=CASES)
async def each_call_in_each_state(h: Harness, case: tuple[str, CoroutineState]) -> None:
    """A call is obeyed in the states that the table of moves names, else it is refused without effect. Rows: C5."""
    verb, state = case
    may = state in COROUTINE_MOVES[verb][0]
    refusal = WouldBlock if state is PARKED else WrongState

    def use(co: Coroutine) -> None:
        with raises(Thrown) if verb == "throw" and may else raises(refusal) if not may else accepted() as caught:
            USES[verb](co)
        if not may:
            assert co.state is state
            text = str(caught[0])
            assert state.name in text
            assert COROUTINE_MOVES[verb][1].name in text
            assert verb in text
            assert repr(co.name) in text

    co = in_state(state, use)
    after = AFTER[verb].get(state, state if not may else None)
    if state is RUNNING:
        assert co.state is SUSPENDED  # as if nothing had been
    else:
        assert co.state is after


# What becomes of ``parks`` when a call is obeyed.
AFTER: Final = {
    "resume": {CREATED: PARKED, READY: SUSPENDED, SUSPENDED: FINISHED},
    "yield_to": {CREATED: PARKED, READY: SUSPENDED, SUSPENDED: FINISHED},
    "throw": {CREATED: FINISHED, READY: FINISHED, SUSPENDED: FINISHED, PARKED: FINISHED},
    "destroy": dict.fromkeys((CREATED, READY, SUSPENDED, PARKED, FINISHED), FINISHED),
}


@contextmanager
def accepted() -> Iterator[list[BaseException]]:
    """For a call that must raise nothing."""
    yield []


@coroutine_law("C5.calls-of-a-body-are-for-bodies")
async def outside(h: Harness) -> None:
    """``yield_``, ``yield_to`` and ``park`` are refused where no coroutine runs, by name. Rows: C5."""
    other = Coroutine(parks)
    calls: dict[str, Callable[[], object]] = {
        "yield_": Coroutine.yield_,
        "yield_to": lambda: Coroutine.yield_to(other),
        "park": Coroutine.park,
    }
    for verb, call in calls.items():
        with raises(WrongState) as caught:
            call()
        assert f"{verb} " in str(caught[0])
    assert other.state is CREATED


@coroutine_law("C5.a-body-is-begun-without-a-value")
async def begun_without_a_value(h: Harness) -> None:
    """The first resume takes no value, since no call waits for one; the body has not begun then. Rows: C5."""
    co = Coroutine(parks)
    with raises(ValueError):
        co.resume(1)
    with raises(ValueError):
        Coroutine(Coroutine.yield_to, co, 1).resume()
    assert co.state is CREATED
    co.resume()
    assert co.state is PARKED


@coroutine_law("C5.park-waits-for-unpark")
async def park_waits(h: Harness) -> None:
    """A park gives None to the resumer, and returns what the resume behind the unpark was given. Rows: C5."""
    co = Coroutine(Coroutine.park)
    assert (co.resume(), co.state) == (None, PARKED)
    assert (co.unpark(), co.state) == (True, READY)
    assert (co.unpark(), co.state) == (False, READY)
    assert (co.resume("given"), co.state) == ("given", FINISHED)
    assert (co.unpark(), co.state) == (False, FINISHED)


@coroutine_law("C5.an-unpark-before-the-park-is-not-lost")
async def unpark_first(h: Harness) -> None:
    """An unpark that comes too early makes the next park return at once; several are one. Rows: C5."""
    log: list[object] = []

    def body() -> None:
        Coroutine.yield_()
        log.append(Coroutine.park())
        log.append(Coroutine.park())

    co = Coroutine(body)
    assert [co.unpark(), co.unpark()] == [False, False]  # before it has begun
    co.resume()
    assert co.unpark() is False
    assert (co.resume(), co.state, log) == (None, PARKED, [None])
    assert co.unpark() is True
    co.resume("second")
    assert log == [None, "second"]


@coroutine_law("C5.racing-unparks")
async def racing_unparks(h: Harness) -> None:
    """An unpark of another thread that races with the park is never lost and never counts twice. Rows: C5."""
    rounds = 10_000 if plugins.coroutine().switcher == "threads" else 100_000
    turn, woken = threading.Semaphore(0), threading.Semaphore(0)
    stops = wakes = 0

    def body() -> str:
        for _ in range(rounds):
            turn.release()
            Coroutine.park()
        return "all came"

    def unparker() -> None:
        nonlocal wakes
        for _ in range(rounds):
            assert turn.acquire(timeout=PATIENCE)
            if co.unpark():
                wakes += 1
                woken.release()

    co = Coroutine(body)
    with switching_often(), beside(unparker):
        while co.resume() != "all came":
            stops += 1
            assert woken.acquire(timeout=PATIENCE), f"an unpark was lost, {co!r} behind {stops} stops"
            assert co.state is READY
    assert wakes == stops


@coroutine_law("C5.one-unpark-wins")
async def one_unpark_wins(h: Harness) -> None:
    """Of several threads that unpark at once one is told that it is READY now, the rest are a permit. Rows: C5."""

    def body() -> None:
        while True:
            Coroutine.park()

    co = Coroutine(body)
    with switching_often():
        for _ in range(200):
            if co.resume() is None and co.state is PARKED:
                start = threading.Barrier(3)
                told: list[bool] = []

                def unpark(start: threading.Barrier = start, told: list[bool] = told) -> None:
                    start.wait(PATIENCE)
                    told.append(co.unpark())

                with beside(unpark, unpark):
                    start.wait(PATIENCE)
                    told.append(co.unpark())
                assert sorted(told) == [False, False, True]
                assert co.state is READY
    co.destroy()


@coroutine_law("C5.belongs-to-the-thread-that-began-it")
async def belongs_to_a_thread(h: Harness) -> None:
    """Only the thread of the first resume can move a coroutine; any other may unpark it, and look at it. Rows: C5."""
    made = Coroutine(parks)  # in this thread, which does not bind it

    def elsewhere() -> None:
        made.resume()
        assert made.state is PARKED

    with beside(elsewhere):
        pass
    for use in USES.values():
        held, ended = threading.Event(), threading.Event()
        co = Coroutine(parks)

        def holder(co: Coroutine = co, held: threading.Event = held, ended: threading.Event = ended) -> None:
            co.resume()
            held.set()
            ended.wait(PATIENCE)
            assert co.state is READY
            co.destroy()

        with beside(holder):
            assert held.wait(PATIENCE)
            with raises(WrongLoop):
                use(co)
            assert co.state is PARKED
            assert co.unpark() is True
            ended.set()
        assert co.state is FINISHED


@coroutine_law("C5.two-threads-begin-one-body")
async def two_threads_begin(h: Harness) -> None:
    """Of threads that resume a new coroutine at once one begins its body; the others are refused. Rows: C5."""
    with switching_often():
        for _ in range(200):
            begun: list[int] = []
            refused: list[BaseException] = []
            co = Coroutine(begun.append, 1)
            start = threading.Barrier(3)

            def begin(
                co: Coroutine = co, start: threading.Barrier = start, refused: list[BaseException] = refused
            ) -> None:
                start.wait(PATIENCE)
                try:
                    co.resume()
                except (WrongLoop, WrongState) as error:
                    refused.append(error)

            with beside(begin, begin, begin):
                pass
            assert (begun, len(refused), co.state) == ([1], 2, FINISHED)


@coroutine_law("C8.names-numbers-states")
async def names(h: Harness) -> None:
    """Each has a number of its own and a name, which with its state are what ``repr`` shows. Rows: C8."""

    def parser() -> None:
        Coroutine.park()

    plain, named = Coroutine(parser), Coroutine(parser, name="of line 7")
    assert named.id > plain.id >= 1
    assert plain.name.endswith("parser")
    assert repr(named) == f"<coroutine {named.id} 'of line 7' created>"
    named.resume()
    named.name = "renamed"
    assert repr(named) == f"<coroutine {named.id} 'renamed' parked>"
    named.unpark()
    assert repr(named) == f"<coroutine {named.id} 'renamed' ready>"
    named.resume()
    assert repr(named) == f"<coroutine {named.id} 'renamed' finished>"
    with raises(TypeError):
        named.name = 7  # type: ignore[assignment]
    assert named.name == "renamed"


@coroutine_law("C5.nonsense-is-refused")
async def nonsense(h: Harness) -> None:
    """What is no function, no name, no exception and no coroutine is refused as such, and nothing happens. Rows: C5."""
    co = Coroutine(parks)
    wrong: list[Callable[[], Any]] = [
        lambda: Coroutine("body"),  # type: ignore[arg-type]
        lambda: Coroutine(parks, name=7),  # type: ignore[arg-type]
        lambda: co.throw("error"),  # type: ignore[arg-type]
        lambda: co.throw(Thrown),  # type: ignore[arg-type]
        lambda: Coroutine(Coroutine.yield_to, "other").resume(),
    ]
    for call in wrong:
        with raises(TypeError):
            call()
    assert co.state is CREATED


# ---------------------------------------------------------------------------------------------------------------------
# Threads of laws
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def beside(*fns: Callable[[], object]) -> Iterator[None]:
    """Each function in a thread of its own, until all have ended; what one raises is raised here."""
    errors: list[BaseException] = []

    def run(fn: Callable[[], object]) -> None:
        try:
            fn()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(fn,), daemon=True) for fn in fns]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]


@contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns as often as the interpreter can, so that races are found."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
