# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Around the count: signals while this process is busy itself, batches, files that change meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio.testing

from kcoro_core import Signal, run
from kcoro_core.demo import program
from kcoro_core.demo.files import Skipped, Source, discover
from kcoro_core.demo.program import Interrupted, Options


@pytest.mark.parametrize("steps", [1, 100])
def test_a_signal_ends_work_of_the_coordinator_itself_after_a_few_steps(steps: int) -> None:
    """Row: X20."""
    done: list[int] = []

    async def main() -> None:
        with Signal(signal.SIGINT) as stop:
            signal.raise_signal(signal.SIGINT)  # to this thread; another would be told later
            await trio.testing.wait_all_tasks_blocked()  # the loop hears of a signal a turn or two after it has come
            await program._drive((done.append(step) for step in range(steps)), stop)

    with pytest.raises(Interrupted) as caught:
        run(main)
    assert caught.value.signum == signal.SIGINT
    assert len(done) <= program.LOOK_UP_EVERY


def test_without_a_signal_all_steps_are_driven() -> None:
    async def main() -> list[int]:
        with Signal(signal.SIGINT) as stop:
            return await program._drive(range(100), stop)

    assert run(main) == list(range(100))


def test_a_signal_that_the_starter_wants_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in program._signals()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} == set(program._signals())


@pytest.mark.parametrize(
    ("size", "workers", "limit"),
    [(10, 2, program.SMALLEST_BATCH_BYTES), (48 << 17, 2, 1 << 17), (1 << 40, 2, program.LARGEST_BATCH_BYTES)],
)
def test_every_worker_gets_several_batches_of_a_size_within_bounds(size: int, workers: int, limit: int) -> None:
    assert program._batch_bytes(Options(workers=workers), [Source("x", size)]) == limit


def test_files_that_changed_or_went_since_they_were_found_are_named(tmp_path: Path) -> None:
    for name in ("same", "longer", "later", "gone"):
        (tmp_path / name).write_text("tea")
    sources = [item for item in discover([str(tmp_path)]) if not isinstance(item, Skipped)]
    (tmp_path / "longer").write_text("tea tea")
    os.utime(tmp_path / "later", ns=(0, 0))
    (tmp_path / "gone").unlink()
    assert sorted(Path(path).name for path in program._changed(sources)) == ["gone", "later", "longer"]
