# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs of coroutines do in C what a small model in Python says. Rows: C1, C5, C6."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from .coroutine_programs import Model, random_steps
from .library import CORE, CSRC, HERE, PORT, PORT_FLAGS, build

ROOM = 10_000
SEEDS = 2000


def on_native(library: ctypes.CDLL, seed: int) -> list[int]:
    """The trace of libkcoro."""
    steps = [word for step in random_steps(seed) for word in step]
    trace = (ctypes.c_int * ROOM)()
    library.run_coroutines.restype = ctypes.c_size_t
    given = (ctypes.c_int * len(steps))(*steps)
    used = library.run_coroutines(given, ctypes.c_size_t(len(steps) // 2), trace, ctypes.c_size_t(ROOM))
    return list(trace[:used])


def differing(library: ctypes.CDLL, seeds: range) -> list[str]:
    """The commands that show what the programs should have done that did something else."""
    wrong = [seed for seed in seeds if on_native(library, seed) != Model().run(random_steps(seed))]
    return [f"python -m tests.native.coroutine_programs {seed}" for seed in wrong]


@pytest.fixture(
    scope="module",
    params=["assembly", *(pytest.param(name, marks=pytest.mark.long) for name in ("ucontext", "no guards"))],
)
def library(request: pytest.FixtureRequest, build_dir: Path) -> ctypes.CDLL:
    """The library with the interpreter of programs, for each switcher and with stacks side by side."""
    flags = ["-DKC_USE_UCONTEXT"] if request.param == "ucontext" else []
    target = build_dir / f"coroutines-{request.param.replace(' ', '-')}.so"
    sources = [*CORE, *PORT, HERE / "coroutines.c"]
    found = ctypes.CDLL(str(build(target, sources, "-O1", "-shared", "-fPIC", *PORT_FLAGS, *flags, f"-I{CSRC}")))
    if request.param == "no guards":
        found.kc_stacks_use((ctypes.c_size_t * 3)(0, 4, 1024))
    return found


def test_random_programs_do_what_the_model_says(library: ctypes.CDLL) -> None:
    """Results, who runs, and every state, after each call; and nobody's locals change. Rows: C1, C5, C6."""
    assert differing(library, range(SEEDS)) == []


def test_the_programs_are_worth_running() -> None:
    """Every result and every state occurs, and coroutines resume each other three deep."""
    traces = [Model().run(random_steps(seed)) for seed in range(200)]
    calls = [tuple(trace[at : at + 9]) for trace in traces for at in range(0, len(trace), 9)]
    assert {state for call in calls for state in call[4:]} == {-22, 0, 1, 2, 3, 4, 5}
    assert {call[1] for call in calls} == set(range(11))
    assert max(call[4:].count(2) for call in calls) >= 3
