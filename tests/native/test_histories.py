# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls of many tasks on shared channels have an order in which each of them means what the reference says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kcoro_core.semantics import Kind

from .histories import order_of, read
from .library import CORE, CSRC, HERE, PORT, PORT_FLAGS, build, run

HEAD = f"H {list(Kind).index(Kind.BUFFERED)} 1 0\n"
# Calls that could not have been made one after the other, whatever their order.
IMPOSSIBLE = {
    "an element is lost": "O 1 2 0 0 0 0 1 7\nO 3 4 1 -11 0 0 0 0\n",
    "an element is doubled": "O 1 2 0 0 0 0 1 7\nO 3 4 0 0 7 0 0 0\nO 5 6 0 0 7 0 0 0\n",
    "an element comes before it was sent": "O 1 2 1 0 7 0 0 0\nO 3 4 0 0 0 0 1 7\n",
    "there is room for one and two are in": "O 1 2 1 0 0 0 1 7\nO 3 4 1 0 0 0 1 8\n",
    "the younger one comes first": "O 1 2 0 0 0 0 1 7\nO 3 10 0 0 0 0 1 8\nO 5 6 0 0 8 0 0 0\nO 7 8 0 0 7 0 0 0\n",
    "a try finds no room where there is some": "O 1 2 1 -11 0 0 1 7\n",
    "a select sends twice": "O 1 2 0 0 0 0 1 7 1 1 8\nO 3 4 1 0 7 0 0 0\nO 5 6 1 0 8 1 0 0\n",
    "a select that skips ends while one is open": "O 1 4 2 -32 0 0 0 0 1 0 0\nO 2 3 0 0 0\n",
    "a select that skips waits though all are closed": "O 1 2 0 0 0\nO 3 4 0 0 1\nO 5 6 3 -11 0 0 0 0 1 0 0\n",
    "a call by a set token takes something": "O 1 2 0 1 2\nO 3 4 4 0 0 0 1 7\n",
    "a token ends a call before it is triggered": "O 1 2 4 -125 0 0 0 0\nO 3 4 0 1 2\n",
    "a token ends the call of another": "O 1 6 8 -125 0 0 0 0\nO 2 3 0 1 2\nO 4 5 0 0 0\n",
    "a clause about a token comes before its trigger": "O 1 2 0 1 0 0 0 0 2 0 0\nO 3 4 0 1 2\n",
    "a trigger leaves a clause waiting": "O 1 6 0 1 7 2 0 0 0 0 0\nO 2 3 0 1 2\nO 4 5 0 0 0 0 1 7\n",
    "a trigger leaves a call waiting": "O 1 6 4 0 7 0 0 0\nO 2 3 0 1 2\nO 4 5 0 0 0 0 1 7\n",
    "a send succeeds behind a close": "O 1 2 0 0 0\nO 3 4 0 0 0 0 1 7\n",
}


@pytest.fixture(scope="module")
def histories(build_dir: Path) -> Path:
    """The program that makes histories."""
    sources = [HERE / "histories.c", *CORE, *PORT]
    return build(build_dir / "histories", sources, "-O1", *PORT_FLAGS, f"-I{CSRC}")


def refused(program: Path, seed: int, count: int, workers: int) -> list[int]:
    """Which histories have no order; and they are as many as they should be, with calls at once in many of them."""
    done = run(program, str(seed), str(count), str(workers))
    assert (done.returncode, done.stderr) == (0, "")
    made = list(read(done.stdout))
    assert len(made) == count
    if workers > 1:
        assert sum(any(call.ended > call.began + 1 for call in history.calls) for history in made) > count // 10
    return [at for at, history in enumerate(made) if order_of(history) is None]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_calls_of_many_tasks_have_an_order(workers: int, histories: Path) -> None:
    """Of two to four tasks: each kind of channel, plain calls, tries, selects, tokens, a close.

    Rows: SC3, SE1, SE4, SE5, CH8, CH9.
    """
    assert refused(histories, seed=workers, count=200, workers=workers) == []


@pytest.mark.long
@pytest.mark.parametrize("workers", [2, 3])
def test_thousands_of_histories_have_an_order(workers: int, histories: Path) -> None:
    """The same, for longer. Rows: SC3, SE1, SE5, CH9."""
    assert refused(histories, seed=100 + workers, count=4000, workers=workers) == []


@pytest.mark.parametrize("wrong", IMPOSSIBLE)
def test_what_could_not_have_happened_is_refused(wrong: str) -> None:
    """And the same calls are not, where their times overlap or their outcomes are others."""
    (history,) = read(HEAD + IMPOSSIBLE[wrong])
    assert order_of(history) is None


@pytest.mark.parametrize(
    "possible",
    [
        "O 1 2 0 0 0 0 1 7\nO 3 4 1 0 7 0 0 0\n",
        "O 1 3 1 0 7 0 0 0\nO 2 4 0 0 0 0 1 7\n",
        "O 1 2 0 0 0 0 1 7\nO 3 5 0 0 0 0 1 8\nO 4 6 0 0 7 0 0 0\nO 7 8 0 0 8 0 0 0\n",
        "O 1 4 0 1 7 1 0 0 0 0 0\nO 2 3 0 0 0 0 1 7\n",
        "O 1 4 0 -32 0 0 0 0\nO 2 3 0 0 0\n",
        "O 1 4 2 -32 0 0 0 0 1 0 0\nO 2 3 0 0 0\nO 2 3 0 0 1\n",
        "O 1 4 4 -125 0 0 0 0\nO 2 3 0 1 2\n",
        "O 1 4 0 1 0 0 0 0 2 0 0\nO 2 3 0 1 2\n",
        "O 1 5 4 0 7 0 0 0\nO 2 4 0 1 2\nO 3 6 0 0 0 0 1 7\n",
        "O 1 2 0 0 0\nO 3 6 2 1 7 0 0 0 1 0 0\nO 4 5 0 0 0 1 1 7\n",
    ],
)
def test_what_could_have_happened_has_an_order(possible: str) -> None:
    """Calls that overlap may have happened in either order; one that waits is decided by another."""
    (history,) = read(HEAD + possible)
    assert order_of(history) is not None
