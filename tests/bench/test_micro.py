# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the micro-benchmarks make of their samples: percentiles, ratios of medians, and equal work. Row: Q8."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite, as ``bench/run.py`` imports it."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("micro")


@pytest.fixture
def programs(micro: Any) -> Any:
    """What the suite runs."""
    return importlib.import_module("micro_programs")


class FakeCandidate:
    """A candidate whose operations all take so many microseconds, but for those that warm up, which take for ever."""

    def __init__(self, micro: Any, each: float, total: int = 7) -> None:
        laps = [1e3] * micro.WARM + [each * micro.BATCH / 1e6] * micro.FEW_BATCHES
        self._taken = micro.Taken(100, total, 5.0, 5.0, 0, laps=laps)

    def take(self, *_program: object) -> Any:
        """The same every time."""
        return self._taken


def group(micro: Any) -> list[Any]:
    """Two lines that are compared."""
    return [micro.Line("by hand", "hand"), micro.Line("by machine", "machine", columns=("native",))]


def test_percentiles_are_of_batches_and_the_nearest_rank(micro: Any) -> None:
    """Five of a hundred batches may take longer than the 95th says, and one than the 99th. Row: Q8."""
    spread = micro.Percentiles.of([float(value) for value in range(100, 0, -1)])
    assert (spread.p50, spread.p95, spread.p99, spread.count) == (50, 95, 99, 100)
    few = micro.Percentiles.of([float(value) for value in range(1, 8)])
    assert (few.p50, few.p95, few.p99) == (4, 7, 7)
    alone = micro.Percentiles.of([3.0])
    assert (alone.p50, alone.p95, alone.p99, alone.count) == (3, 3, 3, 1)
    with pytest.raises(ValueError, match="no batch was timed"):
        micro.Percentiles.of([])


def test_what_warms_up_is_not_counted_and_times_are_of_one_operation(micro: Any) -> None:
    """A ratio is the median of another over that of native, or of another line's native. Row: Q8."""
    at_hand = {"native": FakeCandidate(micro, 2.0), "trio": FakeCandidate(micro, 9.0)}
    first, second = micro.compare(group(micro), at_hand, 3, True)
    assert first.cells["native"].p99 == pytest.approx(2)
    assert first.cells["trio"].p50 == pytest.approx(9)
    assert first.cells["native"].count == 3 * micro.FEW_BATCHES
    assert {name: ratio.median for name, ratio in first.ratios.items()} == pytest.approx({"trio": 4.5, "machine": 1})
    assert (second.cells["trio"], second.ratios.keys()) == (None, {"hand"})


def test_a_column_that_is_not_installed_is_named(micro: Any) -> None:
    """It has neither percentiles nor a ratio. Row: Q8."""
    first, second = micro.compare(group(micro), {"trio": FakeCandidate(micro, 9.0)}, 3, True)
    assert first.verdict == "reference is not installed and native is not installed"
    assert second.verdict == "native is not installed"
    assert first.cells["native"] is None
    assert not first.ratios


def test_a_full_run_takes_two_hundred_batches_and_more(micro: Any) -> None:
    """Or the 99th percentile would be the worst one or two; with seven rounds, as is the default. Row: Q8."""
    assert 7 * micro.BATCHES >= 200


def test_a_column_that_does_other_work_is_an_error(micro: Any) -> None:
    """A time without the work says nothing, so that there is no figure. Row: Q8."""
    at_hand = {"native": FakeCandidate(micro, 2.0), "trio": FakeCandidate(micro, 9.0, total=8)}
    with pytest.raises(Exception, match="by hand, trio got 100 that add up to 8"):
        micro.compare(group(micro), at_hand, 3, True)


def test_a_batch_is_timed_only_if_it_is_a_full_one(programs: Any) -> None:
    """The rest is done, too. Row: Q8."""
    watch = importlib.import_module("native_programs").Watch(by_batch=True)
    assert [len(numbers) for numbers in watch.batches(250)] == [100, 100, 50]
    assert len(watch.laps) == 2


def test_the_native_rows_are_measured_as_a_whole(programs: Any) -> None:
    """To read the clock of the processor a hundred times would show in the fastest of them."""
    watch = importlib.import_module("native_programs").Watch()
    assert [len(numbers) for numbers in watch.batches(250)] == [100, 100, 50]
    assert watch.laps == []


class FakePeer:
    """A library that does what the programs ask for at once, and says how often it did."""

    def __init__(self) -> None:
        self.done = 0

    async def sleep(self, seconds: float) -> None:
        """A turn of nobody."""
        assert seconds == 0

    def brief(self) -> Any:
        """A timer."""

        def set_and_take_back() -> None:
            self.done += 1

        return set_and_take_back

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[Any]:
        """A link."""

        async def ask(payload: bytes) -> bytes:
            self.done += 1
            return payload

        yield ask


@pytest.mark.parametrize("program", ["timer", "call"])
def test_a_program_does_what_it_counts(programs: Any, program: str) -> None:
    """As many times as it was told to. Row: Q8."""
    peer, watch = FakePeer(), importlib.import_module("native_programs").Watch(by_batch=True)
    assert asyncio.run(getattr(programs, program)(peer, 300, watch)) == (300, sum(range(300)))
    assert (peer.done, len(watch.laps)) == (300, 3)
