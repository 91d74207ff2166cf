# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What busy tasks of the native host do not do: ask for memory to send or receive, or call a hook.

Memory that is kept for the next one is not asked for again, so each count is taken after a first round of the same.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    CONFLATED,
    DROP_OLDEST,
    UNLIMITED,
    Recv,
    Selector,
    channel,
    open_scope,
    plugins,
    run,
    sleep,
)
from kcoro_core import select as select_once

from ..native.extension import build_module, load_module
from ..native.library import HERE, compiler

ROUNDS = 1000  # more than the quantum, so that turns are among them
PROFILED = 200
NEVER = 1 << 30  # allocations; that one would fail

Turns = Iterator[Any]
Way = Callable[[Any, Turns], Awaitable[None]]


async def there_and_back(ch: Any, turns: Turns) -> None:
    for each in turns:
        await ch.send(each)
        assert await ch.recv() is each


async def sends(ch: Any, turns: Turns) -> None:
    for each in turns:
        await ch.send(each)


async def receives(ch: Any, turns: Turns) -> None:
    for each in turns:
        assert await ch.recv() is each


async def iterates(ch: Any, turns: Turns) -> None:
    for each in turns:
        assert await anext(ch) is each


async def tries(ch: Any, turns: Turns) -> None:
    for each in turns:
        ch.try_send(each)
        got = ch.try_recv()  # in the assert, pytest would make a method object
        assert got is each


async def overflows(ch: Any, turns: Turns) -> None:
    for each in turns:
        await ch.send(None)
        await ch.send(each)
        assert await ch.recv() is each


async def selects_once(ch: Any, turns: Turns) -> None:
    other: Any = channel()
    for each in turns:
        assert (await select_once(Recv(other), Recv(ch))).value is each


async def selects(ch: Any, turns: Turns) -> None:
    selector = Selector(Recv(channel()), Recv(ch))
    for each in turns:
        assert (await selector.wait()).value is each


async def sends_in_time(ch: Any, turns: Turns) -> None:
    for each in turns:
        await ch.send(each, timeout=5)


async def asks_for_a_host(ch: Any, turns: Turns) -> None:
    for _ in turns:
        plugins.host("script")


# A way to make a channel, who is looked at, and who is at the other end.
PLAIN: dict[str, tuple[Callable[[], Any], Way, Way | None]] = {
    "at once": (lambda: channel(BUFFERED, capacity=8), there_and_back, None),
    "tries": (lambda: channel(BUFFERED, capacity=8), tries, None),
    "unlimited": (lambda: channel(UNLIMITED), there_and_back, None),
    "conflated": (lambda: channel(CONFLATED), overflows, None),
    "drops": (lambda: channel(BUFFERED, capacity=1, overflow=DROP_OLDEST), overflows, None),
    "parks to send": (channel, sends, receives),
    "parks to receive": (channel, receives, sends),
    "parks to iterate": (channel, iterates, sends),
    "room for three": (lambda: channel(BUFFERED, capacity=3), sends, receives),
}
SELECTS: dict[str, tuple[Callable[[], Any], Way, Way | None]] = {
    "a select": (channel, selects_once, sends),
    "a selector": (channel, selects, sends),
}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module that counts how often memory is asked for."""
    if compiler() is None:
        pytest.skip("there is no C compiler (cc, or what CC names), so nothing can count allocations")
    return load_module("failing", build_module(tmp_path_factory.mktemp("counting"), "failing", [HERE / "failing.c"]))


def looked_at(
    make: Callable[[], Any],
    way: Way,
    partner: Way | None,
    begin: Callable[[], None],
    end: Callable[[], Any],
    host: str,
    rounds: int,
) -> Any:
    """What ``end`` says of the second time that a way is gone, with its partner, over a channel."""

    async def main() -> Any:
        said: Any = None
        ch = make()
        for _ in range(2):
            elements = [object() for _ in range(rounds)]
            looked, at = way(ch, iter(elements)), iter(elements)
            async with open_scope() as scope:
                if partner is not None:
                    scope.launch(partner, ch, at)
                    await sleep(0)
                begin()
                try:
                    await looked
                finally:
                    said = end()
        return said

    gc.collect()
    gc.disable()  # what it does in between is not the way's
    try:
        return run(main, host=host)
    finally:
        gc.enable()


def asked(counting: Any, make: Callable[[], Any], way: Way, partner: Way | None) -> int:
    """How often memory was asked for."""

    def end() -> int:
        count: int = counting.asked()
        assert not counting.end()
        return count

    return looked_at(make, way, partner, lambda: counting.begin(NEVER), end, "native", ROUNDS)  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", PLAIN)
def test_a_plain_send_or_recv_asks_for_no_memory(counting: Any, case: str) -> None:
    """Of libkcoro and of Python, whether it completes at once or parks; so it builds no object for its result."""
    assert asked(counting, *PLAIN[case]) == 0


@pytest.mark.parametrize("case", SELECTS)
def test_a_select_makes_what_tells_who_won(counting: Any, case: str) -> None:
    """So the count sees what is made."""
    assert asked(counting, *SELECTS[case]) >= ROUNDS


def test_a_send_with_a_deadline_makes_a_timer(counting: Any) -> None:
    assert asked(counting, channel, sends_in_time, receives) >= ROUNDS


# -- hooks


def hooks_called(make: Callable[[], Any], way: Way, partner: Way | None, host: str) -> tuple[int, int]:
    """How many functions of pluggy were called, and how many functions of Python and C in all."""
    counts = [0, 0]

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            counts[0] += frame.f_globals.get("__name__", "").startswith("pluggy")
        counts[1] += event in ("call", "c_call")

    def end() -> None:
        sys.setprofile(None)

    looked_at(make, way, partner, lambda: sys.setprofile(profile), end, host, PROFILED)
    return counts[0], counts[1]


@pytest.mark.parametrize("host", ["native", "trio"])
@pytest.mark.parametrize("case", [*PLAIN, *SELECTS])
def test_elements_move_without_a_hook(case: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send, recv, try and select, at once and parked, on channels of the native engine. Row: H2."""
    monkeypatch.setenv("KCORO_ENGINE", "native")
    make, way, partner = (PLAIN | SELECTS)[case]
    assert make()._engine.name == "native"
    hooks, calls = hooks_called(make, way, partner, host)
    assert calls > PROFILED
    assert hooks == 0


def test_the_profile_sees_a_hook_when_there_is_one() -> None:
    """Otherwise the test above could not fail."""
    assert hooks_called(channel, asks_for_a_host, None, "native")[0] >= PROFILED
