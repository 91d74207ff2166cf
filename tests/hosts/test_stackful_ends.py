# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How stackful functions end that nobody steps to their end: closed, dropped, left behind, or with the process."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

from kcoro_core import channel, open_scope, sleep

from .stacking import SANITIZING, native_run, others, stackful, wait

PRELUDE = """
import sys, threading, gc
from kcoro_core import channel, open_scope, run, sleep
from kcoro_native.stackful import stackful, wait

def waits(gate):
    try:
        wait(gate.recv())
    finally:
        print("left")

kept = []

async def leave_one_waiting():
    call = stackful(waits)(channel())
    kept.append(call)
    call.send(None)
    print("waiting")
"""


def child(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that begins with PRELUDE."""
    command = [sys.executable, "-X", "faulthandler", "-c", PRELUDE + program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


# -- closed


def test_closing_raises_generator_exit_where_it_waits() -> None:
    log: list[str] = []

    def work() -> None:
        try:
            sorted([1], key=lambda _: others())  # type: ignore[arg-type, return-value]
        except GeneratorExit:
            log.append("exit")
            raise

    async def main() -> None:
        call: Any = stackful(work)()
        call.send(None)
        call.close()
        call.close()
        with pytest.raises(RuntimeError, match="awaited once"):
            call.send(None)

    native_run(main)
    assert log == ["exit"]


def test_one_that_has_not_begun_never_does() -> None:
    log: list[int] = []

    async def main() -> None:
        call: Any = stackful(log.append)(1)
        call.close()
        with pytest.raises(RuntimeError, match="awaited once"):
            await call
        thrown: Any = stackful(log.append)(1)
        with pytest.raises(KeyError):
            thrown.throw(KeyError("before"))

    native_run(main)
    assert log == []


def test_one_that_waits_while_it_is_closed_is_told() -> None:
    """And can be closed again."""
    log: list[str] = []

    def work() -> None:
        try:
            others()
        finally:
            others()
            log.append("not reached by the first close")

    async def main() -> None:
        call: Any = stackful(work)()
        call.send(None)
        with pytest.raises(RuntimeError, match="was closed, and waits all the same"):
            call.close()
        call.close()

    native_run(main)
    assert log == []


def test_what_is_thrown_reaches_the_awaited_first() -> None:
    async def awaited() -> str:
        try:
            await sleep(1)
        except KeyError:
            return "caught by the innermost"
        return "?"

    def work() -> str:
        return wait(awaited())

    async def main() -> str:
        call: Any = stackful(work)()
        call.send(None)
        with pytest.raises(StopIteration) as stopped:
            call.throw(KeyError())
        return str(stopped.value.value)

    assert native_run(main) == "caught by the innermost"


# -- dropped


def test_one_that_is_dropped_while_it_waits_is_closed() -> None:
    """Its finally block runs, and what it holds goes. By the collector as well."""
    log: list[str] = []

    class Thing:
        pass

    alive: list[weakref.ref[Thing]] = []

    def work(keeper: list[Any]) -> None:
        thing = Thing()
        alive.append(weakref.ref(thing))
        try:
            others()
        finally:
            log.append(type(thing).__name__)

    async def main() -> None:
        call: Any = stackful(work)([])
        call.send(None)
        del call
        assert log == ["Thing"]

        async def around() -> None:
            await stackful(work)([])

        cycle: list[Any] = [around()]
        cycle[0].send(None)
        cycle.append(cycle)
        del cycle
        gc.collect()

    native_run(main)
    assert log == ["Thing", "Thing"]
    assert [ref() for ref in alive] == [None, None]


def test_one_that_clings_when_it_is_dropped_is_reported_and_left() -> None:
    told: list[Any] = []

    def work() -> None:
        try:
            others()
        finally:
            others()

    async def main() -> None:
        call: Any = stackful(work)()
        call.send(None)
        del call

    hook, sys.unraisablehook = sys.unraisablehook, lambda args: told.append(args.exc_value)
    try:
        native_run(main)
    finally:
        sys.unraisablehook = hook
    assert [str(error) for error in told if "waits all the same" in str(error)]


def test_one_that_is_dropped_in_another_thread_is_reported_and_left() -> None:
    """It belongs to its thread; the process goes on."""
    told: list[Any] = []
    log: list[str] = []

    def work() -> None:
        try:
            others()
        finally:
            log.append("left")

    async def main() -> None:
        calls: list[Any] = [stackful(work)()]
        calls[0].send(None)
        thread = threading.Thread(target=calls.clear)
        thread.start()
        thread.join()

    hook, sys.unraisablehook = sys.unraisablehook, lambda args: told.append(args.exc_value)
    try:
        native_run(main)
    finally:
        sys.unraisablehook = hook
    assert log == []
    assert len(told) == 1
    assert "goes on only there" in str(told[0])


def test_one_that_is_left_by_a_thread_that_has_ended_is_harmless() -> None:
    done = child(
        """
thread = threading.Thread(target=lambda: run(leave_one_waiting, host="native"))
thread.start()
thread.join()
del kept[:]
gc.collect()
run(leave_one_waiting, host="native")
kept.pop().close()
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["waiting", "waiting", "left"]
    assert "goes on only there" in done.stderr


def test_a_thread_that_has_the_place_of_one_that_ended_is_another_all_the_same() -> None:
    """The interpreter gives the memory of a thread that has ended to the next: that is not how they are told apart."""
    done = child(
        """
async def step_all():
    for call in list(kept):
        try:
            call.send(None)
        except RuntimeError as error:
            assert "another thread" in str(error)
            refused.append(call)

def at_once(main):
    gate = threading.Barrier(16)
    threads = [threading.Thread(target=lambda: (gate.wait(), run(main, host="native"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

refused = []
for _ in range(4):
    at_once(leave_one_waiting)
    at_once(step_all)
print(len(refused))
sys.stdout.flush()
import os; os._exit(0)
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == str(16 * (16 + 32 + 48 + 64))


# -- with the process


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "import os; os._exit(0)"], ids=["falls-off", "exit", "at-once"])
def test_a_process_ends_with_some_that_wait(end: str) -> None:
    """In order, without a word."""
    done = child(f'run(leave_one_waiting, host="native")\nsys.stdout.flush()\n{end}')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[0] == "waiting"


def test_an_error_that_ends_the_process_is_told_with_its_traceback() -> None:
    done = child(
        """
def fails():
    wait(sleep(0))
    sorted([1], key=lambda number: 1 // 0)

run(stackful(fails), host="native")
"""
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "in fails" in done.stderr


def test_ctrl_c_reaches_it() -> None:
    """Raised where it computes, below functions of C."""
    done = child(
        """
import signal
def computes():
    def key(number):
        signal.raise_signal(signal.SIGINT)
        for _ in range(10):
            pass
        return number
    try:
        sorted([1, 2], key=key)
    except KeyboardInterrupt:
        print("interrupted")

run(stackful(computes), host="native")
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_a_small_stack_that_calls_of_c_use_up() -> None:
    """A RecursionError where the interpreter counts calls of C; else the process ends at the guard page."""
    done = child(
        """
def nest(depth):
    return sorted([depth], key=nest_more)
def nest_more(depth):
    return nest(depth + 1)
sys.setrecursionlimit(1000000)
def too_deep():
    try:
        nest(0)
    except RecursionError:
        print("caught")
    wait(sleep(0))

run(stackful(too_deep, stack_size=256 << 10), host="native")
"""
    )
    if sys.version_info >= (3, 12):
        assert (done.returncode, done.stdout, done.stderr) == (0, "caught\n", "")
    else:
        assert done.returncode == (1 if SANITIZING else -signal.SIGSEGV)


def test_many_small_stacks_are_left_and_come_back_to() -> None:
    """More of them than guard pages would allow in one go is for the test of memory."""

    async def main() -> int:
        gate: Any = channel()
        async with open_scope() as scope:
            tasks = [scope.launch(stackful(lambda: wait(gate.recv()), stack_size=256 << 10)) for _ in range(2000)]
            for number in range(2000):
                await gate.send(number)
        return sum(task.result() for task in tasks)

    assert native_run(main) == sum(range(2000))
