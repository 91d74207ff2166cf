# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The conformance kit for transports: numbered cases, run from pytest or by ``kcoro conformance URI`` (row T4).

A case drives a transport through its ``Vtable`` alone, and sleeps on exactly what ``poll_handle`` says: a wake-up that
was not announced is a failure, not a delay. No case knows a medium; one that needs a capability says so.

A plugin author's test file::

    import pytest
    from kcoro_core.testing.transport_kit import applicable, run_case

    @pytest.mark.parametrize("case", applicable("uds:"), ids=str)
    def test_conformance(case):
        run_case(case, "uds:")
"""

from __future__ import annotations

from . import (
    backlog,
    connections,
    datagrams,
    endings,
    frames,
    identity,
    leaks,
    listeners,
    many,
    parting,
    polling,
    pressure,
    promises,
    publishing,
    sizes,
    steps,
    strangers,
    time_of_day,
    waking,
)
from .bench import Bench, KitFailure
from .case import Case, KitAdvice, Level, Result, all_cases, applicable, run_all, run_case

__all__ = [
    "Bench",
    "Case",
    "KitAdvice",
    "KitFailure",
    "Level",
    "Result",
    "all_cases",
    "applicable",
    "run_all",
    "run_case",
]

# The modules above have registered their cases by being imported.
MODULES = (
    (connections, listeners),
    (frames, sizes),
    (pressure, backlog),
    (polling, waking),
    (endings, parting, steps),
    (identity, promises, strangers),
    (time_of_day, many, leaks, publishing),
    (datagrams,),
)
