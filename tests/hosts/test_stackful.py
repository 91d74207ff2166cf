# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Stackful functions on the native host: they wait from any depth, and are tasks like any other."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kcoro_core import BUFFERED, ChannelClosed, Recv, Send, WrongLoop, channel, open_scope, run, select, sleep
from kcoro_core.cancel import CancelToken
from kcoro_core.errors import DeadlineExceeded, OperationCancelled
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.scopes import Cancelled
from kcoro_core.hosts.script_task import Deadlock
from kcoro_native.stackful import Direct, direct, entered, stackful, wait

from .stacking import native_run

# -- waiting


def test_it_waits_where_it_is_called_and_returns_its_value() -> None:
    """Rows: C1, C9."""

    def add(jobs: Any, more: int) -> int:
        return sum(wait(jobs.recv()) for _ in range(3)) + more

    async def main() -> int:
        jobs: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(add), jobs, 100)
            for number in range(3):
                await jobs.send(number)
        return task.result()

    assert native_run(main) == 103


def test_it_can_be_awaited_inside_of_an_async_function() -> None:
    def read(jobs: Any, *, times: int) -> list[int]:
        return [wait(jobs.recv()) for _ in range(times)]

    async def main() -> list[int]:
        jobs: Any = channel(BUFFERED, capacity=4)
        for number in range(4):
            await jobs.send(number)
        return await stackful(read)(jobs, times=4)

    assert native_run(main) == [0, 1, 2, 3]


def test_the_key_of_a_sort_and_the_function_of_a_substitution_wait() -> None:
    """Below functions of C that know nothing of it. Row: C1."""

    def work(answers: Any) -> tuple[list[int], str]:
        ordered = sorted([3, 1, 2], key=lambda number: wait(answers.recv()) * number)
        return ordered, re.sub("[ab]", lambda match: str(wait(answers.recv())) + match[0], "abc")

    async def main() -> tuple[list[int], str]:
        answers: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), answers)
            for number in (-1, -1, -1, 7, 8):
                await answers.send(number)
        return task.result()

    assert native_run(main) == ([3, 2, 1], "7a8bc")


def test_a_callback_of_a_c_library_waits() -> None:
    """Here qsort, by ctypes. Row: C1."""
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    compared = 0

    def work(turn: Any) -> list[int]:
        def compare(one: Any, other: Any) -> int:
            nonlocal compared
            compared += 1
            wait(turn.recv())
            return int(one[0]) - int(other[0])

        numbers = (ctypes.c_int * 4)(4, 2, 3, 1)
        ctypes.CDLL(None).qsort(numbers, 4, ctypes.sizeof(ctypes.c_int), compare_type(compare))
        return list(numbers)

    async def main() -> list[int]:
        turn: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), turn)
            while not task.done:
                try:
                    await turn.send(None, timeout=0.01)
                except DeadlineExceeded:
                    pass
        return task.result()

    assert native_run(main) == [1, 2, 3, 4]
    assert compared >= 4


def test_fifty_callbacks_end_in_any_order() -> None:
    """Their stacks are left and come back to out of the order of their beginning. Row: C1."""

    def work(number: int, go: Any, log: list[int]) -> int:
        [key] = sorted([number], key=lambda each: wait(go.recv()) + each)
        log.append(number)
        return key

    async def main() -> list[int]:
        log: list[int] = []
        gates: list[Any] = [channel() for _ in range(50)]
        async with open_scope() as scope:
            tasks = [scope.launch(stackful(work), number, gates[number], log) for number in range(50)]
            await sleep(0)
            for number in sorted(range(50), key=lambda each: each * 7 % 50):
                await gates[number].send(0)
        assert [task.result() for task in tasks] == list(range(50))
        return log

    assert native_run(main) == sorted(range(50), key=lambda each: each * 7 % 50)


def test_select_sleep_and_an_async_function_are_waited_for() -> None:
    async def twice(value: int) -> int:
        await sleep(0.25)
        return value * 2

    def work(one: Any, other: Any) -> list[Any]:
        host = current_host()
        before = host.now()
        won = wait(select(Recv(one), Send(other, "sent")))
        doubled = wait(twice(21))
        return [won.index, won.value, doubled, host.now() - before]

    async def main() -> list[Any]:
        one: Any = channel()
        other: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), one, other)
            assert await other.recv() == "sent"
        return task.result()

    assert native_run(main) == [1, None, 42, 0.25]


def test_a_direct_channel_waits_by_itself() -> None:
    def work(source: Direct[int], sink: Direct[int]) -> int:
        sink.send(source.recv())
        with pytest.raises(DeadlineExceeded):
            source.recv(timeout=1.0)
        for value in source:
            sink.send(value)
        return 1

    async def main() -> list[int]:
        source: Any = channel()
        sink: Any = channel(BUFFERED, capacity=10)
        async with open_scope() as scope:
            scope.launch(stackful(work), direct(source), direct(sink))
            await source.send(1)
            await sleep(2)
            await source.send(2)
            await source.send(3)
            source.close()
        sink.close()
        return [value async for value in sink]

    assert native_run(main) == [1, 2, 3]


def test_a_scope_is_entered_inside_of_one() -> None:
    def work() -> list[int]:
        async def one() -> int:
            await sleep(1)
            return 1

        def other() -> int:
            wait(sleep(2))
            return 2

        with entered(open_scope()) as scope:
            tasks = [scope.launch(one), scope.launch(stackful(other))]
        return [task.result() for task in tasks]

    async def main() -> list[int]:
        return await stackful(work)()

    assert native_run(main) == [1, 2]


def test_an_error_in_an_entered_scope_leaves_as_a_group() -> None:
    async def fail() -> None:
        raise KeyError("child")

    def work() -> None:
        with entered(open_scope()) as scope:
            scope.launch(fail)

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await stackful(work)()
        assert isinstance(caught.value.exceptions[0], KeyError)

    native_run(main)


def test_one_inside_of_another_waits_for_itself() -> None:
    """wait() belongs to the innermost."""

    def inner(gate: Any) -> int:
        return wait(gate.recv()) + 1

    def outer(gate: Any) -> int:
        return wait(stackful(inner)(gate)) + wait(gate.recv())

    async def main() -> int:
        gate: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(outer), gate)
            await gate.send(10)
            await gate.send(100)
        return task.result()

    assert native_run(main) == 111


def test_wait_inside_of_an_async_function_that_is_waited_for() -> None:
    """The stack is left as a whole, also with a coroutine's frame in the middle of it."""

    def deep(gate: Any) -> int:
        return wait(gate.recv())

    async def middle(gate: Any) -> int:
        return deep(gate) + await gate.recv()

    def work(gate: Any) -> int:
        return wait(middle(gate))

    async def main() -> int:
        gate: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), gate)
            await gate.send(1)
            await gate.send(2)
        return task.result()

    assert native_run(main) == 3


# -- ends


def test_its_error_goes_to_its_scope() -> None:
    """And cancels the siblings."""

    def fail(gate: Any) -> None:
        [1].sort(key=lambda number: wait(gate.recv()))
        raise KeyError("mine")

    async def sibling() -> None:
        await sleep(1000)

    async def main() -> None:
        gate: Any = channel()
        tasks: list[Any] = []

        async def program() -> None:
            async with open_scope() as scope:
                scope.launch(sibling)
                tasks.append(scope.launch(stackful(fail), gate))
                await gate.send(0)

        with pytest.raises(ExceptionGroup) as caught:
            await program()
        assert [repr(error) for error in caught.value.exceptions] == ["KeyError('mine')"]
        assert isinstance(tasks[0].error, KeyError)

    native_run(main)


def test_cancelling_its_scope_raises_where_it_waits() -> None:
    """The host's own exception, and finally blocks run; what it was in goes on nowhere."""
    log: list[Any] = []

    def work(gate: Any) -> None:
        try:
            [1].sort(key=lambda number: wait(gate.recv()))
        except BaseException as error:
            log.append(type(error))
            raise
        finally:
            log.append("finally")

    async def main() -> None:
        gate: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), gate)
            await sleep(1)
            scope.cancel()
        with pytest.raises(OperationCancelled):
            task.result()
        assert len(gate) == 0

    native_run(main)
    assert log == [Cancelled, "finally"]


def test_a_token_ends_its_wait_alone() -> None:
    def work(gate: Any, token: CancelToken) -> str:
        try:
            return str(wait(gate.recv(cancel=token)))
        except OperationCancelled:
            return "token"

    async def main() -> str:
        gate: Any = channel()
        token = CancelToken()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), gate, token)
            await sleep(1)
            token.trigger("enough")
        return task.result()

    assert native_run(main) == "token"


def test_a_closed_channel_is_told_where_it_waits() -> None:
    def work(gate: Any) -> str:
        with pytest.raises(ChannelClosed):
            wait(gate.recv())
        return "closed"

    async def main() -> str:
        gate: Any = channel()
        async with open_scope() as scope:
            task = scope.launch(stackful(work), gate)
            await sleep(1)
            gate.close()
        return task.result()

    assert native_run(main) == "closed"


def test_a_run_closes_those_that_are_left() -> None:
    """A background task that waits is ended with the run, and its finally block runs. Row: SC7."""
    log: list[str] = []

    def work(gate: Any) -> None:
        try:
            wait(gate.recv())
        finally:
            log.append("finally")

    async def main() -> None:
        current_host().spawn(stackful(work), channel())
        await sleep(1)

    native_run(main)
    assert log == ["finally"]


def test_stop_iteration_is_no_end() -> None:
    """As in a coroutine it becomes a RuntimeError, or its value would be taken for a result."""

    def work() -> None:
        raise StopIteration(5)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await stackful(work)()
        assert isinstance(caught.value.__cause__, StopIteration)

    native_run(main)


def test_the_same_program_says_the_same_with_and_without_await() -> None:
    """A pipeline of three stages, of async functions and of stackful ones, in any mixture. Row: C9."""

    async def double(source: Any, sink: Any) -> None:
        async for value in source:
            await sink.send(value * 2)
        sink.close()

    def double_directly(source: Any, sink: Any) -> None:
        for value in direct(source):
            direct(sink).send(value * 2)
        sink.close()

    async def main(stages: list[Callable[..., Awaitable[None]]]) -> list[int]:
        channels: list[Any] = [channel() for _ in range(4)]
        async with open_scope() as scope:
            for number, stage in enumerate(stages):
                scope.launch(stage, channels[number], channels[number + 1])

            async def feed() -> None:
                for value in range(20):
                    await channels[0].send(value)
                channels[0].close()

            scope.launch(feed)
            return [value async for value in channels[3]]

    kinds = [double, stackful(double_directly)]
    found = {tuple(native_run(main, [kinds[i >> n & 1] for n in range(3)])) for i in range(8)}
    assert found == {tuple(range(0, 160, 8))}


# -- misuse


def test_wait_outside_of_a_stackful_function_is_refused() -> None:
    async def nothing() -> None:
        pass

    async def main() -> None:
        wait(nothing())

    def misuse() -> None:
        wait(nothing())

    for call in (misuse, lambda: native_run(main)):
        with pytest.raises(RuntimeError, match="in an async function write await"):
            call()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("thing", [5, None, [1], iter([1])], ids=repr)
def test_what_cannot_be_awaited_is_refused(thing: Any) -> None:
    def work() -> int:
        with pytest.raises(TypeError, match="something that can be awaited"):
            wait(thing)
        return 1

    async def main() -> int:
        return await stackful(work)()

    assert native_run(main) == 1


def test_another_host_is_refused_before_the_function_begins() -> None:
    begun: list[int] = []

    async def main() -> None:
        with pytest.raises(WrongLoop, match="native host only"):
            await stackful(begun.append)(1)

    run(main, host="trio")
    assert begun == []


def test_it_is_awaited_once() -> None:
    def work() -> int:
        return 1

    async def main() -> None:
        call = stackful(work)()
        assert await call == 1
        with pytest.raises(RuntimeError, match="awaited once"):
            await call

    native_run(main)


def test_one_that_is_never_awaited_is_told() -> None:
    def work() -> None:
        pass

    with pytest.warns(RuntimeWarning, match=r"<stackful '.*work' not begun> was never awaited"):
        stackful(work)()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="needs a function"):
        stackful(5)  # type: ignore[arg-type]
    for size in (-1, 0, 1000, 1 << 40, True, 1e6, "1 MiB"):
        with pytest.raises(ValueError, match="262144 to 536870912"):
            stackful(len, stack_size=size)  # type: ignore[arg-type]


def test_arguments_that_do_not_fit_are_an_error_of_the_call() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="positional argument"):
            await stackful(lambda: None)(1)  # type: ignore[call-arg]

    native_run(main)


def test_stepping_it_while_it_runs_is_refused() -> None:
    async def main() -> None:
        def work() -> None:
            with pytest.raises(ValueError, match="stepped already"):
                call.send(None)
            with pytest.raises(ValueError, match="stepped already"):
                call.close()

        call = stackful(work)()
        await call

    native_run(main)


def test_a_deadlock_tells_where_it_waits() -> None:
    """Row: DG1."""

    def waits_for_ever(gate: Any) -> None:
        [1].sort(key=lambda number: wait(gate.recv()))

    async def main() -> None:
        async with open_scope() as scope:
            scope.launch(stackful(waits_for_ever), channel(name="gate"))

    with pytest.raises(Deadlock) as caught:
        native_run(main)
    assert re.search(r"in .*recv.*gate.*, at .*test_stackful\.py:\d+ in .*<lambda>", str(caught.value))
