# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Links do the same on channels of either engine: a simulation of one seed leaves the same trace. Rows: N6, X12."""

from __future__ import annotations

import pytest

from kcoro_core.testing.laws.links import using_setting

from .test_campaign import simulated


def trace(engine: str, seed: int) -> str:
    """What a simulation leaves on channels of an engine, in which it finds nothing."""
    with using_setting("engine", engine):
        done = simulated(seed)
    assert done.found == []
    return done.trace_hash()


# The last ones have found something in one of the engines.
@pytest.mark.parametrize("seed", [*range(100), 809, 2891, 4553])
def test_a_simulation_leaves_one_trace_on_both_engines(seed: int) -> None:
    """Lending, sending ahead, selects of several processes, cuts: the channel below has no part in the difference."""
    assert trace("native", seed) == trace("reference", seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 1500, 50))
def test_many_simulations_leave_one_trace_on_both_engines(first: int) -> None:
    """Five hundred more."""
    for seed in range(first, first + 50):
        assert trace("native", seed) == trace("reference", seed), seed
