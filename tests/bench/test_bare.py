# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the benchmark of bare libraries makes of its samples."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite, as ``bench/run.py`` imports it."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("bare")


def test_bulk_is_told_as_a_rate_and_as_what_a_byte_costs_both_processes(bare: Any) -> None:
    """A message of 1 MiB in 2 ms, for which both processes worked a millisecond each."""
    rate, cost = bare.level("tls:", "bulk", [bare.Sample(0.002, 0.001, 0.001)])
    assert rate.name == "throughput, MB/s: tls:"
    assert rate.ratio.median == pytest.approx(524.288)
    assert cost.ratio.median == pytest.approx(0.002 / (1 << 20) * 1e9)


def test_pings_and_handshakes_have_their_units(bare: Any) -> None:
    """Microseconds and milliseconds."""
    (ping,) = bare.level("uds:", "ping", [bare.Sample(0.0001, 0, 0)])
    (handshake,) = bare.level("uds:", "handshake", [bare.Sample(0.002, 0, 0)])
    assert (ping.name, ping.ratio.median) == ("ping, us: uds:", pytest.approx(100))
    assert (handshake.name, handshake.ratio.median) == ("handshake, ms: uds:", pytest.approx(2))


def test_a_library_that_is_not_there_is_named(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured then, and nothing started."""
    monkeypatch.setattr(bare, "NEEDED", ("no_such_library",))
    (row,) = bare.figures(1, True)
    assert row.verdict == "needs no_such_library"
