# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The channel, select and clause laws on asyncio, which keeps the host's port honest (row X14).

All of them run on a clock that jumps. On the real one run those about time, waiting and cancellation, with limits that
a slow machine keeps; the two long tables are left to the other clock, where waiting costs nothing.
"""

from __future__ import annotations

import pytest

from kcoro_core.testing.laws import LAWS, Harness, Law

from .asyncio_harness import AsyncioHarness, JumpingHarness

TABLES = {"E1.outcome-table", "CH1.overlapping-waits-meet", "M3.each-failure-counts-one"}
TIMELY = {"CH1", "CH7", "CH8", "CH9", "CH11", "K3", "SE1", "SE4", "X20"}


def _runs() -> list[object]:
    virtual, real = JumpingHarness(), AsyncioHarness()
    return [
        pytest.param(harness, law, case, id=f"{law.id}-{label}-{harness.name}" if label else f"{law.id}-{harness.name}")
        for harness in (virtual, real)
        for law in LAWS
        if not harness.missing(law)
        if harness is virtual or (law.id not in TABLES and TIMELY.intersection(law.rows))
        for label, case in law.cases.items()
    ]


@pytest.mark.parametrize(("harness", "law", "case"), _runs())
def test_law(harness: Harness, law: Law, case: object) -> None:
    """The law holds on asyncio. Row: X14."""
    harness.check(law, case)
