# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Request mode and flow mode are observationally equal to a local channel: random programs, in all modes (row N4).

What a link makes of a program has to be an outcome that some order of its steps has locally; and what a channel of this
process makes of it, too, so that the outcomes it is compared with are those of the real one. Programs use the exact
forms (``timeout=0``, not ``try_*``), and tell nobody of a close past the channel: differences D1 to D4 of the manual.

A failure names its seed; ``python -m tests.link.test_equality SEED`` plays it again.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from kcoro_core import BUFFERED, RENDEZVOUS, UNLIMITED, ChannelClosed, WouldBlock, channel, dial, serve, sleep
from kcoro_core.hosts import script
from kcoro_core.testing.laws.harness import Tasks
from kcoro_core.testing.laws.links import using_setting

from .programs import HOME, LINKS, Outcome, Program, Step, Task, allows, outcomes, random_program

MODES: dict[str, dict[str, Any] | None] = {
    "local": None,
    "request": {},
    "lend": {"lend": True},
    "prefetch": {"prefetch": 2},
    "both": {"lend": True, "prefetch": 1},
}


class Play:
    """One run of a program, on links or beside its channel."""

    def __init__(self, program: Program, ch: Any, ends: dict[str, Any]) -> None:
        self.results: list[list[object]] = [[] for _ in program.tasks]
        self._program = program
        self._ch = ch
        self._ends = ends
        self._words = {
            step.what: channel(UNLIMITED) for task in program.tasks for step in task.steps if step.verb == "tell"
        }

    async def run(self, number: int, task: Task) -> None:
        """Take the steps of one task, and note what each gave."""
        end = self._ch if task.place == HOME else self._ends[task.place]
        for step in task.steps:
            self.results[number].append(await self._take(end, step))

    async def _take(self, end: Any, step: Step) -> object:
        act: dict[str, Callable[[], Awaitable[object]]] = {
            "send": lambda: end.send(b"%d" % step.what),
            "try send": lambda: end.send(b"%d" % step.what, timeout=0),
            "recv": end.recv,
            "try recv": lambda: end.recv(timeout=0),
        }
        if step.verb == "tell":
            for _ in range(sum(Step("hear", step.what) == one for task in self._program.tasks for one in task.steps)):
                self._words[step.what].try_send(None)
            return "told"
        if step.verb == "hear":
            await self._words[step.what].recv()
            return "heard"
        if step.verb == "close":
            end.close()
            return "closed it"
        try:
            value = await act[step.verb]()
        except WouldBlock:
            return "block"
        except ChannelClosed:
            return "closed"
        return "sent" if value is None else int(value)  # type: ignore[call-overload]


def made(capacity: int | None) -> Any:
    """The channel of a program."""
    if capacity is None:
        return channel(UNLIMITED)
    return channel(BUFFERED, capacity) if capacity else channel(RENDEZVOUS)


def play(program: Program, options: dict[str, Any] | None, seed: int) -> Outcome:
    """What one schedule makes of a program over links that open with ``options``; None: without links."""
    found: list[Outcome] = []

    async def main() -> None:
        ch = made(program.capacity)
        async with AsyncExitStack() as stack:
            ends = dict.fromkeys(LINKS, ch)
            if options is not None:
                server = await stack.enter_async_context(serve("mem:equal", {"ch": ch}))
                for place in LINKS:
                    link = await stack.enter_async_context(dial(server.uri))
                    ends[place] = await link.open("ch", **options)
            running = Play(program, ch, ends)
            async with Tasks() as some:
                for number, task in enumerate(program.tasks):
                    some.start(running.run, number, task)
                await sleep(0.5)  # virtual: whatever can still happen without time has happened
                results = tuple(map(tuple, running.results))
                some.cancel()
            left = []
            while True:
                try:
                    left.append(int(await ch.recv(timeout=0)))
                except (WouldBlock, ChannelClosed):
                    break
            found.append(Outcome(results, tuple(left)))

    script.run(main, seed=seed)
    return found[0]


def check(seed: int, schedules: int = 1) -> None:
    """One program, in every mode: nothing comes of it that a local channel does not allow."""
    program = random_program(seed)
    for mode, options in MODES.items():
        for schedule in range(schedules):
            got = play(program, options, seed + schedule)
            assert allows(program, got), (
                f"seed {seed}, {mode}, schedule {schedule}: {got} is no outcome of a local channel for {program}; "
                f"again: python -m tests.link.test_equality {seed}"
            )


@pytest.mark.parametrize("block", range(10))
def test_some_programs_mean_the_same_in_every_mode(block: int) -> None:
    """A hundred programs. Row: N4."""
    for seed in range(block * 10, block * 10 + 10):
        check(seed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(100))
def test_ten_thousand_programs_mean_the_same_in_every_mode(block: int) -> None:
    """The campaign of continuous integration. Row: N4."""
    for seed in range(block * 100, block * 100 + 100):
        check(seed)


def test_the_comparison_can_fail() -> None:
    """An outcome that no order of the steps has is none. Row: N4."""
    program = Program(1, (Task(LINKS[0], (Step("send", 0), Step("send", 1))), Task(HOME, (Step("recv"),) * 2)))
    allowed = outcomes(program)
    right = Outcome((("sent", "sent"), (0, 1)), ())
    overtaken, stuck = Outcome((("sent", "sent"), (1, 0)), ()), Outcome((("sent",), (0,)), ())
    for wrong in (overtaken, stuck, right._replace(left=(1,))):
        assert wrong not in allowed
        assert not allows(program, wrong)
    assert right in allowed
    assert allows(program, right)
    assert play(program, {"lend": True}, 0) in allowed


@pytest.mark.parametrize("seed", range(20))
def test_both_ways_to_ask_agree(seed: int) -> None:
    """What is allowed is what some order of the steps has, and a changed outcome is not. Row: N4."""
    program = random_program(seed)
    allowed = outcomes(program)
    for outcome in sorted(allowed, key=repr)[:50]:
        assert allows(program, outcome)
        for changed in (outcome._replace(left=(*outcome.left, 99)), outcome._replace(results=outcome.results[::-1])):
            assert allows(program, changed) == (changed in allowed)


if __name__ == "__main__":
    with using_setting("keepalive", "500000"):
        for argument in sys.argv[1:]:
            first, _, last = argument.partition("-")
            for number in range(int(first), int(last or first) + 1):
                check(number, 5)
