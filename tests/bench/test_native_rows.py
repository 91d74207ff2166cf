# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native rows of the benchmarks: equal work is checked, and what is absent is not passed over."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite, as ``bench/run.py`` imports it."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("native")


def row(native: Any) -> Any:
    """A row with a must for one peer, and none for another."""
    return native.Row("row", "spawn", (100, 0), (100, 0), {"trio": (2, 3), "go": (0, 0)})


class FakeCandidate:
    """A candidate that says what it is told to."""

    def __init__(self, native: Any, name: str, count: int = 100, processor: float = 1.0, late: float = 0.0) -> None:
        self.name = name
        self._taken = native.Taken(count, 4950, 5.0, processor, 0, late)

    def take(self, *_program: object) -> Any:
        """The same every time."""
        return self._taken


def test_a_candidate_that_does_less_than_the_others_is_an_error(native: Any) -> None:
    """A time without the work says nothing, so that there is no figure."""
    at_hand = {"native": FakeCandidate(native, "native", count=99), "trio": FakeCandidate(native, "trio")}
    with pytest.raises(native.Unequal, match="native got 99 that add up to 4950"):
        native.compare(row(native), at_hand, 3, True)


def test_a_must_without_its_peer_is_missed(native: Any) -> None:
    """Only a row without a must may go unmeasured."""
    found = native.compare(row(native), {"native": FakeCandidate(native, "native")}, 3, True)
    assert [(f.name, f.verdict) for f in found] == [
        ("row: trio is not installed", "MISSED"),
        ("row: go is not installed", "not measured"),
    ]


def test_without_the_native_package_every_must_is_missed(native: Any) -> None:
    """A run of peers alone shows nothing."""
    found = native.compare(row(native), {"trio": FakeCandidate(native, "trio")}, 3, True)
    assert [f.verdict for f in found] == ["MISSED", "not measured"]


def test_a_ratio_is_the_processor_time_of_the_peer_over_ours(native: Any) -> None:
    """And the microseconds are for one element."""
    at_hand = {
        "native": FakeCandidate(native, "native", processor=0.5),
        "trio": FakeCandidate(native, "trio", processor=1.25),
    }
    figure, _ = native.compare(row(native), at_hand, 3, True)
    assert (figure.ratio.median, figure.verdict) == (2.5, "must")
    assert (figure.peer_microseconds, figure.our_microseconds) == (12_500, 5_000)


def test_a_process_that_breaks_down_is_reported_and_not_waited_for(native: Any) -> None:
    """Its program is named; what it printed stands above."""
    with native.opened("trio") as candidate, pytest.raises(RuntimeError, match="trio did not finish 'nothing'"):
        candidate.take("nothing", 1, 0)


def test_how_late_timers_are_is_told_in_milliseconds_and_ours_has_a_must(native: Any) -> None:
    """Two milliseconds, as long as nobody else uses the machine; what is absent is told. Row: SC5."""
    at_hand = {
        "native": FakeCandidate(native, "native", late=0.0015),
        "trio": FakeCandidate(native, "trio", late=0.25),
    }
    ours, trio, *absent = native.lateness(at_hand, 3, True)
    assert (ours.ratio.median, ours.verdict) == (1.5, "must")
    assert (trio.ratio.median, trio.verdict) == (250, "")
    assert [row.verdict for row in absent] == ["not measured", "not measured"]
    late, *_ = native.lateness({"native": FakeCandidate(native, "native", late=0.003)}, 3, True)
    assert late.verdict == "MISSED"
    missing, *_ = native.lateness({"trio": FakeCandidate(native, "trio")}, 3, True)
    assert (missing.name, missing.verdict) == ("lateness of timers: native is not installed", "MISSED")


def test_a_timer_that_is_set_and_taken_back_is_never_due(native: Any) -> None:
    """The program takes back what it sets, a hundred at a time, and leaves those beside it. Row: SC5."""
    programs = importlib.import_module("native_programs")
    called: list[str] = []

    class Timer:
        def cancel(self) -> None:
            called.append("taken back")

    class Peer:
        def timers(self) -> Any:
            return lambda: 1000.0, self.at

        def at(self, deadline: float, fn: Any) -> Timer:
            assert deadline >= 1060.0
            with pytest.raises(RuntimeError):
                fn()
            called.append("set")
            return Timer()

        async def sleep(self, seconds: float) -> None:
            assert seconds == 0

    answer = programs.timers(Peer(), 300, programs.Watch(), 7)
    with pytest.raises(StopIteration) as ended:
        answer.send(None)
    assert ended.value.value == (307, sum(range(300)))
    assert (called.count("set"), called.count("taken back")) == (407, 300)
