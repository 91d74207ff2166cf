# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What can be set about the native loop, seen by what it changes; of stacks in ``test_native_stacks.py``. Row: CF4."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kcoro_core import config, run
from kcoro_core.hosts.port import current_host


@pytest.fixture
def set_slice(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment whose settings hold for one test."""
    yield monkeypatch
    monkeypatch.undo()
    config.reload()


async def turns_until_a_call() -> int:
    """How many turns a task that is always runnable gets before a call that came from outside is made."""
    host, called = current_host(), list[int]()
    host.call_from_thread(lambda: called.append(1))
    turns = 0
    while not called:
        await host.pause()
        turns += 1
    return turns


@pytest.mark.parametrize("steps", [1, 7, 61, 500])
def test_the_loop_looks_at_the_world_after_a_slice_of_steps(set_slice: pytest.MonkeyPatch, steps: int) -> None:
    """Nobody waits longer than for that, whoever else is runnable all the time. Row: CF4."""
    set_slice.setenv("KCORO_LOOP_SLICE", str(steps))
    config.reload()
    assert run(turns_until_a_call, host="native") == steps


def test_without_a_setting_a_slice_has_sixty_one_steps() -> None:
    """As the manual says. Row: CF4."""
    assert run(turns_until_a_call, host="native") == 61
