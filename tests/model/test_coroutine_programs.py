# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs of coroutines do on every engine what a small model says, as they do in C. Rows: C1, C5, C6.

The programs and the model are those of ``tests/native/test_coroutine_model.py``: what libkcoro answers with an errno is
an exception here, and a body that is destroyed lets its CoroutineExit out.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest

from kcoro_core import Coroutine, CoroutineState, KcoroError, plugins
from kcoro_core.testing.laws.harness import using_engine

from ..native import coroutine_programs as programs
from ..native.coroutine_programs import SLOTS, THREAD, Model, Step, random_steps

SEEDS = 1000


def engines() -> list[str]:
    """Those that are installed and can switch."""
    names = sorted({name for report in plugins.reports() for name in report.engines})
    return [name for name in names if plugins.can_switch(plugins.engine(name))]


class Run:
    """One program on the coroutines of an engine; it writes the trace that the model writes."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = iter(steps)
        self.slots: list[Coroutine | None] = [None] * SLOTS
        self.trace: list[int] = []
        self.wrong: list[str] = []

    def run(self) -> list[int]:
        self.obey(THREAD)
        for slot in range(SLOTS):
            self.call(THREAD, programs.END, lambda slot=slot: self.destroy(slot))
        assert self.wrong == []
        return self.trace

    def obey(self, party: int) -> None:
        """Take steps until there are no more; a body returns at RETURN as well."""
        for op, slot in self.steps:
            if op == programs.RETURN and party != THREAD:
                return
            self.call(party, op, lambda op=op, slot=slot: self.step(op, slot))

    def body(self, party: int) -> int:
        self.note(party, programs.BEGIN, 0)
        mine = [party] * 8
        try:
            self.obey(party)
        finally:
            if mine != [party] * 8:
                self.wrong.append(f"the variables of {party} are {mine}")
        return party + 100

    def call(self, party: int, op: int, call: Any) -> None:
        """Make a call of who runs, and note what came of it, once it returns."""
        try:
            rc = call()
        except KcoroError as error:
            rc = -error.errno
        self.note(party, op, rc)

    def note(self, party: int, op: int, rc: int) -> None:
        current = Coroutine.current()
        runs = THREAD if current is None else self.slots.index(current)
        states = [-errno.EINVAL if co is None else co.state.value for co in self.slots]
        self.trace += [party, op, rc, runs, *states]

    def step(self, op: int, slot: int) -> int:
        co = self.slots[slot]
        if op == programs.CREATE:
            self.slots[slot] = co or Coroutine(self.body, slot)
        elif op == programs.DESTROY:
            return self.destroy(slot)
        elif op == programs.YIELD:
            Coroutine.yield_()
        elif op == programs.PARK:
            Coroutine.park()
        elif op == programs.YIELD_TO and co is not None:
            Coroutine.yield_to(co)
        elif co is None:
            return -errno.EINVAL
        elif op == programs.UNPARK:
            return int(co.unpark())
        elif op == programs.RESUME:
            co.resume()
        else:  # the model has no other return for a thread
            return int(co.result())
        return 0

    def destroy(self, slot: int) -> int:
        co = self.slots[slot]
        if co is None:
            return -errno.EINVAL
        co.destroy()
        self.slots[slot] = None
        return 0


def differing(seeds: range) -> list[str]:
    """The commands that show what the programs should have done that did something else."""
    wrong = [seed for seed in seeds if Run(random_steps(seed)).run() != Model().run(random_steps(seed))]
    return [f"python -m tests.native.coroutine_programs {seed}" for seed in wrong]


@pytest.mark.parametrize("engine", engines())
def test_random_programs_do_what_the_model_says(engine: str) -> None:
    """Results, who runs, and every state, after each call; and nobody's locals change. Rows: C1, C5, C6."""
    with using_engine(engine):
        assert differing(range(SEEDS)) == []


def test_the_reference_is_among_the_engines() -> None:
    """So that the test above cannot have nothing to do."""
    assert "reference" in engines()
    assert [state.value for state in CoroutineState] == list(range(6))
