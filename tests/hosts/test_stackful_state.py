# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the interpreter keeps of a running function is kept for each stackful one: nothing of it leaks into another."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import linecache
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kcoro_core import channel, open_scope, sleep, task_dump

from .stacking import native_run, others, stackful, together, wait

# -- exceptions


def test_the_exception_that_is_handled_is_each_ones_own() -> None:
    """Also what is raised in between gets no foreign context."""

    def handles() -> bool:
        first, second = KeyError("mine"), ValueError("inner")
        seen = []
        try:
            raise first
        except KeyError:
            others()
            seen.append(sys.exc_info()[1])
            try:
                raise second
            except ValueError:
                others()
            seen += [sys.exc_info()[1], second.__context__]
        return seen == [first] * 3 and sys.exc_info()[1] is None

    def looks() -> bool:
        seen: list[Any] = []
        for _ in range(4):
            seen.append(sys.exc_info()[1])
            others()
            fresh = LookupError()
            try:
                raise fresh
            except LookupError:
                seen.append(fresh.__context__)
        return seen == [None] * 8

    assert together(handles, looks, handles) == [True, True, True]


def test_an_exception_that_is_handled_around_its_start_is_not_seen_inside() -> None:
    def work() -> Any:
        wait(sleep(1))
        return sys.exc_info()[1]

    async def main() -> Any:
        try:
            raise KeyError
        except KeyError:
            return await stackful(work)()

    assert native_run(main) is None


def test_a_bare_raise_after_a_switch_raises_the_own_one() -> None:
    def raises(number: int) -> Callable[[], str]:
        def work() -> str:
            try:
                try:
                    raise KeyError(number)
                except KeyError:
                    others()
                    raise
            except KeyError as error:
                others()
                return repr(error)

        return work

    assert together(*map(raises, range(5))) == [f"KeyError({number})" for number in range(5)]


def test_a_traceback_names_the_calls_on_both_stacks() -> None:
    def innermost(number: int) -> int:
        wait(sleep(1))
        return 1 // number

    def on_its_stack() -> list[int]:
        return sorted([0], key=innermost)

    async def main() -> None:
        await stackful(on_its_stack)()

    with pytest.raises(ZeroDivisionError) as caught:
        native_run(main)
    names = [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-3:] == ["main", "on_its_stack", "innermost"]
    text = "".join(traceback.format_exception(caught.value))
    assert "return 1 // number" in text


# -- frames


def test_a_frame_chain_ends_at_the_base() -> None:
    """What called the step is no part of it; so nobody finds foreign frames while it waits."""

    def work() -> list[str]:
        def key(_: int) -> list[str]:
            others()
            return [frame.function for frame in inspect.stack()]

        return [0, *map(key, [0])][1]

    [names] = together(work)
    assert names == ["key", "work"]


def test_frames_of_a_waiting_one_can_be_looked_at() -> None:
    """Its call tells the innermost frame, with all locals; and what it waits in."""

    def work(gate: Any) -> int:
        secret = 42
        [found] = sorted([1], key=lambda number: wait(gate.recv()) + secret + number)
        return found

    async def main() -> list[Any]:
        gate: Any = channel()
        call: Any = stackful(work)(gate)
        before = (call.cr_frame, call.cr_await, call.cr_running)

        async def await_it() -> None:
            await call

        async with open_scope() as scope:
            scope.launch(await_it)
            await sleep(1)
            gc.collect()
            frame = call.cr_frame
            names = []
            while frame is not None:
                names.append(frame.f_code.co_name)
                local = dict(frame.f_locals)
                frame = frame.f_back
            waits = repr(call.cr_await)
            await gate.send(0)
        after = (call.cr_frame, call.cr_await, call.cr_running)
        return [before, names, local["secret"], "recv" in waits, after]

    nothing = (None, None, False)
    assert native_run(main) == [nothing, ["<lambda>", "work"], 42, True, nothing]


def test_a_frame_object_outlives_its_stack() -> None:
    """The stack is used again meanwhile, and what the frame knows was moved away in time."""

    def work() -> Any:
        local = ["kept"]
        frame = sys._getframe()
        wait(sleep(1))
        assert local
        return frame

    def fills(depth: int) -> int:
        here = [depth] * 3
        return len(here) + (fills(depth - 1) if depth else 0)

    async def main() -> Any:
        frame = await stackful(work)()
        for _ in range(20):
            await stackful(fills)(50)
        return frame.f_locals["local"], frame.f_back

    assert native_run(main) == (["kept"], None)


# -- generators


def test_a_generator_goes_on_in_another_function() -> None:
    """And one that waits inside is left in the middle."""

    def numbers() -> Iterator[int]:
        for number in range(100):
            others()
            try:
                yield number
            except KeyError:
                yield -number

    async def main() -> list[list[int]]:
        shared: list[Iterator[int]] = []
        taken: list[list[int]] = [[], []]

        def begin() -> None:
            shared.append(numbers())
            taken[0].append(next(shared[-1]))

        def go_on() -> None:
            taken[1].append(next(shared[0]))
            taken[1].append(shared[0].throw(KeyError))  # type: ignore[attr-defined]

        await stackful(begin)()
        await stackful(go_on)()
        await stackful(begin)()
        return taken

    assert native_run(main) == [[0, 0], [1, -1]]


# -- recursion


def dive(depth: int) -> int:
    return 0 if depth == 0 else 1 + dive(depth - 1)


def nest(depth: int, bottom: Callable[[], object]) -> int:
    """Each level a sort in C."""
    if depth == 0:
        bottom()
        return 0
    [level] = sorted([depth - 1], key=lambda level: nest(level, bottom))
    return 1 + level


def test_recursion_is_counted_for_each() -> None:
    """900 deep in each of five, and no more than the limit in one."""
    assert sys.getrecursionlimit() == 1000

    def work() -> int:
        def deep(depth: int) -> int:
            if depth == 0:
                others()
                return 0
            return 1 + deep(depth - 1)

        return deep(900)

    def too_deep() -> str:
        others()
        with pytest.raises(RecursionError):
            dive(1100)
        others()
        with pytest.raises(RecursionError):
            dive(1100)
        return "caught"

    assert together(work, work, too_deep, work, work, work) == [900, 900, "caught", 900, 900, 900]


def test_a_raised_limit_holds_on_every_stack() -> None:
    """Also on one that had begun before; frames of Python need no C stack."""
    before = sys.getrecursionlimit()

    def begun() -> int:
        others()
        return dive(15_000)

    def raises() -> int:
        sys.setrecursionlimit(16_000)
        others()
        return dive(15_000)

    try:
        assert together(begun, raises) == [15_000, 15_000]
    finally:
        sys.setrecursionlimit(before)


def test_calls_of_c_end_in_a_recursion_error() -> None:
    """Before the stack does, with the limits as they are."""

    def work() -> str:
        others()
        with pytest.raises(RecursionError):
            nest(100_000, others)
        others()
        return "caught"

    assert together(work, work) == ["caught", "caught"]


def test_a_deep_nest_of_c_waits_at_its_bottom() -> None:
    def work() -> int:
        nest(100, others)
        return 1

    assert together(work, work, work) == [1, 1, 1]


def test_the_repr_of_a_deep_nest_is_a_recursion_error() -> None:
    def work() -> str:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(RecursionError):
            repr(deep)
        others()
        return "caught"

    assert together(work, work) == ["caught", "caught"]


# -- memory


def test_a_deep_tuple_is_freed_while_others_run() -> None:
    """The trashcan of a stack is its own."""

    def work() -> int:
        deep: Any = ()
        for _ in range(200_000):
            deep = (deep,)
        others()
        del deep
        others()
        return 1

    assert together(work, work, work) == [1, 1, 1]


def test_locals_of_a_waiting_one_stay_through_a_collection() -> None:
    class Thing:
        pass

    alive: list[weakref.ref[Thing]] = []

    def work() -> bool:
        thing = Thing()
        thing.itself = thing  # type: ignore[attr-defined]
        alive.append(weakref.ref(thing))
        sorted([1], key=lambda _: others())  # type: ignore[arg-type, return-value]
        gc.collect()
        others()
        return alive[0]() is not None and thing.itself is thing  # type: ignore[attr-defined]

    def collects() -> int:
        for _ in range(5):
            gc.collect()
            others()
        return 1

    assert together(work, collects) == [True, 1]
    gc.collect()
    assert alive[0]() is None


def test_a_context_is_the_tasks_own() -> None:
    """And what is set inside of one that is awaited is seen by who awaits it, as with an async function."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    def sets(value: str) -> Callable[[], str]:
        def work() -> str:
            assert variable.get() == "none"
            variable.set(value)
            others()
            assert variable.get() == value
            inner = contextvars.copy_context()

            def in_a_context() -> str:
                variable.set(value + "!")
                others()
                return variable.get()

            assert inner.run(in_a_context) == value + "!"
            others()
            return variable.get()

        return work

    assert together(sets("a"), sets("b"), sets("c")) == ["a", "b", "c"]

    async def main() -> str:
        def inside() -> None:
            variable.set("inside")
            wait(sleep(1))

        await stackful(inside)()
        return variable.get()

    assert native_run(main) == "inside"


# -- tracing


@pytest.mark.parametrize("install", [sys.settrace, sys.setprofile], ids=lambda install: install.__name__)
def test_nothing_waits_in_a_function_that_traces(install: Any) -> None:
    refused: list[str] = []

    def tracing(*event: Any) -> Any:
        install(None)
        try:
            wait(sleep(1))
        except RuntimeError as error:
            refused.append(str(error))

    def traced() -> int:
        return 1

    def work() -> int:
        install(tracing)
        return traced()

    async def main() -> int:
        return await stackful(work)()

    before = sys.gettrace(), sys.getprofile()
    try:
        assert native_run(main) == 1
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert len(refused) == 1
    assert "traces or profiles" in refused[0]


def test_a_trace_goes_on_over_switches() -> None:
    """Lines of a function that began under a trace are seen after others have run, and theirs as well."""
    seen: list[tuple[str, str]] = []

    def tracing(frame: Any, event: str, argument: Any) -> Any:
        seen.append((frame.f_code.co_name, event))
        return tracing

    def leaf() -> None:
        pass

    def work() -> int:
        before = sys.gettrace()
        sys.settrace(tracing)
        try:
            leaf()
            others()
            leaf()
        finally:
            sys.settrace(before)
        return 1

    def other() -> int:
        others()
        leaf()
        others()
        return 1

    assert together(work, other) == [1, 1]
    calls = [name for name, event in seen if event == "call"]
    assert calls.count("leaf") >= 2


# -- threads, other loops


def test_threads_run_while_it_waits_and_while_it_runs() -> None:
    """The lock of the interpreter is let go and taken again on any stack."""
    stop = threading.Event()
    counted = [0, 0]

    def counts(number: int) -> None:
        while not stop.is_set():
            counted[number] += 1

    threads = [threading.Thread(target=counts, args=(number,)) for number in range(2)]

    def work() -> int:
        total = 0
        for _ in range(100):
            total += sum(range(2000))
            others()
        return total

    switch = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    for thread in threads:
        thread.start()
    try:
        assert together(work, work, work) == [100 * sum(range(2000))] * 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switch)
    assert all(counted)


def test_each_thread_has_stackful_functions_of_its_own() -> None:
    found: list[Any] = []

    def program() -> None:
        def work() -> int:
            total = 0
            for _ in range(200):
                others()
                total += 1
            return total

        found.append(together(work, work))

    threads = [threading.Thread(target=program) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[200, 200]] * 4


def test_one_that_waits_cannot_be_stepped_by_another_thread() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        wait(sleep(5))

    async def main() -> None:
        call: Any = stackful(work)()

        async def await_it() -> None:
            await call

        async with open_scope() as scope:
            scope.launch(await_it)
            await sleep(1)

            def steps() -> None:
                try:
                    call.send(None)
                except RuntimeError as error:
                    errors.append(error)

            thread = threading.Thread(target=steps)
            thread.start()
            thread.join()

    native_run(main)
    assert len(errors) == 1
    assert "another thread" in str(errors[0])


def test_a_whole_asyncio_program_runs_inside() -> None:
    async def program() -> int:
        async def one(number: int) -> int:
            await asyncio.sleep(0)
            return number

        return sum(await asyncio.gather(*map(one, range(10))))

    def work() -> int:
        others()
        result = asyncio.run(program())
        others()
        return result

    assert together(work, work) == [45, 45]


# -- dumps


def test_a_dump_tells_where_a_stackful_function_waits() -> None:
    """By the line of the innermost function, however deep below its task's. Row: C8."""
    orders = channel(name="orders")

    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        else:
            wait(orders.recv())

    async def main() -> None:
        async with open_scope() as scope:
            scope.launch(stackful(deep), 5, name="deep")
            await sleep(0)
            await sleep(0)
            (told,) = [seen for seen in task_dump().tasks if seen.name == "deep"]
            scope.cancel()
        assert told.state == "parked"
        assert str(told.waits).startswith("in recv() of <Channel 'orders'")
        assert told.place is not None
        assert linecache.getline(told.place.file, told.place.line).strip() == "wait(orders.recv())"

    native_run(main)
