# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How coroutines end: errors that leave a body, errors thrown in, destroy, and those that nobody wants (row C6)."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ...coroutine import Coroutine
from ...errors import CoroutineExit, WouldBlock, WrongState
from .coroutine_states import FINISHED, PARKED, SUSPENDED, Thrown, beside
from .coroutines import coroutine_law
from .harness import Harness, raises


def waits(log: list[Any], park: bool = False) -> str:
    """A body that waits once, and writes down how it ended."""
    try:
        log.append("begins")
        Coroutine.park() if park else Coroutine.yield_()
        log.append("goes on")
    except BaseException as error:
        log.append(type(error))
        raise
    finally:
        log.append("cleans up")
    return "result"


@coroutine_law("C6.an-error-reaches-the-resumer")
async def error_reaches_the_resumer(h: Harness) -> None:
    """What a body raises is raised by the resume, with the lines of the body, and again by ``result``. Rows: C6."""
    error = LookupError("of the body")

    def innermost() -> None:
        raise error

    def body() -> None:
        Coroutine.yield_()
        innermost()

    co = Coroutine(body)
    co.resume()
    with raises(LookupError) as caught:
        co.resume()
    assert caught == [error]
    assert {"body", "innermost"} <= {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    assert co.state is FINISHED
    for _ in range(2):
        with raises(LookupError) as caught:
            co.result()
        assert caught == [error]


KINDS: Final = {
    each.__name__: each for each in (ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration)
}


@coroutine_law("C6.any-kind-of-error", over=KINDS)
async def any_kind(h: Harness, kind: type[BaseException]) -> None:
    """Errors of every kind leave a body unchanged, those included that end a program or a generator. Rows: C6."""
    error = kind("of the body")

    def body() -> None:
        raise error

    with raises(kind) as caught:
        Coroutine(body).resume()
    assert caught[0] is error


@coroutine_law("C6.an-error-follows-the-chain")
async def error_follows_the_chain(h: Harness) -> None:
    """An error goes to whoever resumed the coroutine, also where ``yield_to`` has handed that on. Rows: C6."""

    def fails() -> None:
        raise Thrown

    def hands_on() -> str:
        Coroutine.yield_to(Coroutine(fails))
        return "went on"

    def resumes(co: Coroutine) -> str:
        try:
            co.resume()
        except Thrown:
            return "caught"
        return "nothing came"

    middle = Coroutine(hands_on)
    assert Coroutine(resumes, middle).resume() == "caught"
    assert middle.state is SUSPENDED
    assert middle.resume() == "went on"


@coroutine_law("C6.a-result-is-there-at-the-end")
async def result_at_the_end(h: Harness) -> None:
    """``result`` says that it is too early, then gives what the body returned, as often as it is asked. Rows: C6."""
    made: object = object()

    def body() -> object:
        Coroutine.yield_("not this")
        return made

    co = Coroutine(body)
    for _ in range(2):
        with raises(WouldBlock):
            co.result()
        co.resume()
    assert co.result() is co.result() is made


@coroutine_law("C6.throw-raises-where-it-waits", over={"yields": False, "parks": True})
async def throw(h: Harness, park: bool) -> None:
    """What is thrown is raised in the call in which the body waits; it may be caught there, or come back. Rows: C6."""
    error = Thrown()
    log: list[Any] = []
    co = Coroutine(waits, log, park)
    co.resume()
    with raises(Thrown) as caught:
        co.throw(error)
    assert caught == [error]
    assert (co.state, log) == (FINISHED, ["begins", Thrown, "cleans up"])

    def catches() -> str:
        try:
            Coroutine.park() if park else Coroutine.yield_()
        except Thrown:
            return str(Coroutine.yield_("caught"))
        return "nothing came"

    co = Coroutine(catches)
    co.resume()
    assert (co.throw(Thrown()), co.state) == ("caught", SUSPENDED)
    assert co.resume("went on") == "went on"


@coroutine_law("C6.a-parked-one-that-is-called-off-needs-no-unpark")
async def called_off(h: Harness) -> None:
    """A park that an error has ended is over: a later unpark is one for the next park. Rows: C5, C6."""

    def body() -> None:
        try:
            Coroutine.park()
        except Thrown:
            Coroutine.yield_()
        Coroutine.park()
        Coroutine.yield_("did not stop")

    co = Coroutine(body)
    co.resume()
    co.throw(Thrown())
    assert co.unpark() is False
    assert co.resume() == "did not stop"
    co.destroy()


@coroutine_law("C6.throw-before-the-beginning")
async def throw_before(h: Harness) -> None:
    """A body that has not begun never does when an error is thrown in, which comes back at once. Rows: C6."""
    log: list[Any] = []
    co = Coroutine(waits, log)
    with raises(Thrown):
        co.throw(Thrown())
    with raises(Thrown):
        co.result()
    assert (co.state, log) == (FINISHED, [])


@coroutine_law("C6.destroy-runs-what-cleans-up", over={"yields": False, "parks": True})
async def destroy(h: Harness, park: bool) -> None:
    """Destroying one that waits raises CoroutineExit there, and ``finally`` blocks run, inner first. Rows: C1, C6."""
    log: list[Any] = []

    def body() -> None:
        try:
            waits(log, park)
        finally:
            log.append("outer")

    co = Coroutine(body)
    co.resume()
    co.destroy()
    assert log == ["begins", CoroutineExit, "cleans up", "outer"]
    assert co.state is FINISHED
    co.destroy()
    with raises(WrongState):
        co.result()
    assert len(log) == 4


@coroutine_law("C6.destroy-before-the-beginning")
async def destroy_before(h: Harness) -> None:
    """A body that was destroyed before it began never runs, and what it was given is let go. Rows: C1, C6."""
    log: list[Any] = []
    given = Thrown()
    gone = weakref.ref(given)
    co = Coroutine(waits, log, given)
    del given
    co.destroy()
    assert (co.state, log, gone()) == (FINISHED, [], None)
    with raises(WrongState):
        co.resume()


@coroutine_law("C6.a-body-may-return-instead-of-exiting")
async def returns_instead(h: Harness) -> None:
    """A body that returns when it is destroyed has a result; one that raises ends with that error. Rows: C6."""

    def body(end: Callable[[], str]) -> str:
        try:
            return str(Coroutine.yield_())
        except CoroutineExit:
            return end()

    co = Coroutine(body, lambda: "result")
    co.resume()
    co.destroy()
    assert co.result() == "result"

    def fails() -> str:
        raise Thrown

    co = Coroutine(body, fails)
    co.resume()
    with raises(Thrown):
        co.destroy()
    assert co.state is FINISHED
    with raises(Thrown):
        co.result()


@coroutine_law("C6.an-exit-from-inside-is-an-end")
async def exit_from_inside(h: Harness) -> None:
    """A body that raises CoroutineExit by itself has ended as by destroy, and its resumer is told nothing. Rows: C6."""

    def body() -> None:
        raise CoroutineExit

    co = Coroutine(body)
    assert (co.resume(), co.state) == (None, FINISHED)
    with raises(WrongState):
        co.result()


def clings(log: list[str], how: str) -> None:
    """A body that waits again instead of ending."""
    try:
        Coroutine.yield_()
    except CoroutineExit:
        log.append("clings")
        {"yields": Coroutine.yield_, "parks": Coroutine.park}.get(how, lambda: Coroutine.yield_to(Coroutine(len, "")))()
    finally:
        log.append("cleans up")


@coroutine_law("C6.one-that-clings-is-found", over={how: how for how in ("yields", "parks", "hands on")})
async def clinging(h: Harness, how: str) -> None:
    """Destroying a body that waits again is a RuntimeError; it waits there, and can be destroyed again. Rows: C6."""
    log: list[str] = []
    co = Coroutine(clings, log, how)
    co.resume()
    with raises(RuntimeError):
        co.destroy()
    assert co.state is (PARKED if how == "parks" else SUSPENDED)
    assert log == ["clings"]
    co.destroy()
    assert (co.state, log) == (FINISHED, ["clings", "cleans up"])


@coroutine_law("C6.a-cleaning-up-may-use-others")
async def cleaning_up_uses_others(h: Harness) -> None:
    """What cleans up may resume, unpark and destroy other coroutines, but not its own. Rows: C5, C6."""
    log: list[Any] = []
    other, parked = Coroutine(waits, log), Coroutine(Coroutine.park)
    parked.resume()

    def body() -> None:
        try:
            Coroutine.yield_()
        finally:
            other.resume()
            other.destroy()
            log.append(parked.unpark())
            me = Coroutine.current()
            assert me is not None
            with raises(WrongState):
                me.destroy()

    co = Coroutine(body)
    co.resume()
    co.destroy()
    assert log == ["begins", CoroutineExit, "cleans up", True]
    assert [co.state, other.state, parked.state.name] == [FINISHED, FINISHED, "READY"]


# ---------------------------------------------------------------------------------------------------------------------
# Those that nobody wants
# ---------------------------------------------------------------------------------------------------------------------


@coroutine_law("C6.one-that-is-dropped-cleans-up", over={"yields": False, "parks": True})
async def dropped(h: Harness, park: bool) -> None:
    """One that waits and that nobody refers to any more is destroyed, and leaves no thread. Rows: C1, C6."""
    log: list[Any] = []
    gc.collect()
    threads = threading.active_count()
    co = Coroutine(waits, log, park)
    co.resume()
    del co
    gc.collect()
    assert log == ["begins", CoroutineExit, "cleans up"]
    assert threading.active_count() == threads


@coroutine_law("C6.one-in-a-cycle-is-dropped-too")
async def dropped_in_a_cycle(h: Harness) -> None:
    """A cycle of objects with a suspended coroutine is found, if nothing on its stack is a part of it. Rows: C6."""
    log: list[Any] = []

    class Owner:
        def __init__(self) -> None:
            self.me = self
            self.co = Coroutine(waits, log)
            self.co.resume()

    Owner()
    gc.collect()
    assert log == ["begins", CoroutineExit, "cleans up"]


@coroutine_law("C6.the-last-one-to-know-it-may-be-itself")
async def dropped_by_itself(h: Harness) -> None:
    """A coroutine that only runs on because it was resumed is destroyed when it waits, by whoever goes on. Rows: C6."""
    log: list[Any] = []
    kept: list[Coroutine] = []

    def body() -> None:
        try:
            first.destroy()  # on whose stack ``yield_to`` still knew this one
            kept.clear()
            Coroutine.yield_("yields")
        finally:
            log.append(Coroutine.current() is not None)

    def hands_on() -> None:
        Coroutine.yield_to(kept[0])

    kept.append(Coroutine(body))
    first = Coroutine(hands_on)
    assert first.resume() == "yields"
    gc.collect()
    assert log == [True]


@coroutine_law("C6.an-error-of-one-that-is-dropped-is-reported")
async def dropped_with_an_error(h: Harness) -> None:
    """What a dropped body raises, or that it clings, is told to the unraisable hook, once. Rows: C6."""

    def fails() -> None:
        try:
            Coroutine.yield_()
        finally:
            raise Thrown

    with unraisable() as reported:
        for body, *args in ((fails,), (clings, [], "yields")):
            co = Coroutine(body, *args)
            co.resume()
            del co
            gc.collect()
    assert reported == [Thrown, RuntimeError]


@coroutine_law("C6.dropped-in-another-thread")
async def dropped_elsewhere(h: Harness) -> None:
    """One that another thread drops is destroyed in its own, when something is resumed there. Rows: C5, C6."""
    log: list[Any] = []

    def body() -> None:
        try:
            Coroutine.yield_()
        finally:
            log.append("cleans up")

    kept = [Coroutine(body)]
    kept[0].resume()
    with beside(kept.clear):
        pass
    Coroutine(len, "").resume()
    assert log == ["cleans up"]


@contextmanager
def unraisable() -> Iterator[list[type[BaseException]]]:
    """The kinds of errors that are reported during the block."""
    before, seen = sys.unraisablehook, []

    def hook(report: Any) -> None:
        seen.append(report.exc_type)

    sys.unraisablehook = hook
    try:
        yield seen
    finally:
        sys.unraisablehook = before
