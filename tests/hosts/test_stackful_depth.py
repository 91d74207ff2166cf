# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Each stack ends where it ends, and the interpreter knows it after any switch: too deep is a RecursionError there."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kcoro_core import Coroutine, open_scope, sleep

from .stacking import native_run, others, stackful, together, wait

if sys.version_info >= (3, 14):
    from concurrent import interpreters


@pytest.fixture(scope="module")
def deep() -> Iterator[list[Any]]:
    """Lists in lists, so many that no stack has room for a call of C for each."""
    nest: list[Any] = []
    for _ in range(200_000):
        nest = [nest]
    yield nest
    while nest:
        nest = nest.pop()


def ends(deep: list[Any]) -> str:
    """What is said where the stack that runs comes to its end; nothing of Python is called on the way there."""
    with pytest.raises(RecursionError) as caught:
        json.dumps(deep, check_circular=False)
    return str(caught.value)


def test_a_stack_ends_where_it_did_before_a_switch(deep: list[Any]) -> None:
    """On stacks of its own, and on the one of the thread: before, between, and after."""

    def work() -> None:
        for _ in range(3):
            ends(deep)
            others()

    async def main() -> None:
        ends(deep)
        async with open_scope() as scope:
            for stack_size in (8 << 20, 256 << 10, 1 << 20):
                scope.launch(stackful(work, stack_size=stack_size))
            await sleep(1)
            ends(deep)
        ends(deep)

    ends(deep)
    native_run(main)
    ends(deep)


def test_a_stack_ends_where_it_did_when_a_coroutine_comes_back(deep: list[Any]) -> None:
    """Also when another one comes back than was resumed."""

    def body() -> None:
        ends(deep)
        Coroutine.yield_()
        ends(deep)

    def hands_on(other: Coroutine) -> None:
        ends(deep)
        Coroutine.yield_to(other)
        ends(deep)

    def work() -> None:
        first = Coroutine(body)
        second = Coroutine(hands_on, first)
        for coroutine in (second, first, second):
            coroutine.resume()
            ends(deep)
            others()
            ends(deep)
        assert first.result() is second.result() is None

    together(work, work)
    ends(deep)


def test_a_signal_is_handled_on_the_stack_that_runs(deep: list[Any]) -> None:
    """Its handler comes to the end of that one."""
    handled: list[str] = []

    def work() -> None:
        others()
        signal.raise_signal(signal.SIGUSR1)
        others()
        ends(deep)

    before = signal.signal(signal.SIGUSR1, lambda *_: handled.append(ends(deep)))
    try:
        together(work)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(handled) == 1


if sys.version_info >= (3, 14):

    def test_another_interpreter_runs_on_a_stack_that_it_was_not_told_of(deep: list[Any]) -> None:
        """It has a state of its own for the thread, and finds itself outside of the stack that it knows."""
        code = "assert sorted([2, 1], key=lambda number: repr([[[number]]])) == [1, 2]"

        def work() -> None:
            other = interpreters.create()
            try:
                other.exec(code)
                others()
                ends(deep)
                other.exec(code)
            finally:
                other.close()

        together(work)
        ends(deep)

    @pytest.mark.parametrize("stack_size", [256 << 10, 1 << 20, 8 << 20])
    def test_the_interpreter_is_told_how_large_each_stack_is(deep: list[Any], stack_size: int) -> None:
        """It says how much was used: all but what it keeps for whoever handles the error."""

        def work() -> list[str]:
            wait(sleep(1))
            return [ends(deep), Coroutine(ends, deep).resume(), ends(deep)]

        async def main() -> list[str]:
            said: list[str] = await stackful(work, stack_size=stack_size)()
            return said

        used = [int(found) for text in native_run(main) for found in re.findall(r"used (\d+) kB", text)]
        whole = [stack_size >> 10, 8 << 10, stack_size >> 10]
        assert len(used) == 3
        assert all(size - 128 < kilobytes < size for kilobytes, size in zip(used, whole, strict=True))
