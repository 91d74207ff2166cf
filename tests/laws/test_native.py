# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every law that is not about trio itself, on the native host, with each of its cases.

All of them on a clock that jumps. On the real one those that let threads run, and those about time, waiting and
cancellation.
"""

from __future__ import annotations

import pytest

from kcoro_core.testing.laws import LAWS, Harness, Law

from .native_harness import NativeHarness, NativeRealHarness

TABLES = {"E1.outcome-table", "CH1.overlapping-waits-meet", "M3.each-failure-counts-one"}
TIMELY = {"CH1", "CH7", "CH8", "CH9", "CH11", "K3", "SE1", "SE4", "X20"}


def _applies(harness: Harness, law: Law) -> bool:
    if harness.missing(law):
        return False
    return harness.virtual or bool(law.needs) or (law.id not in TABLES and bool(TIMELY.intersection(law.rows)))


def _runs() -> list[object]:
    return [
        pytest.param(harness, law, case, id=f"{law.id}-{label}-{harness.name}" if label else f"{law.id}-{harness.name}")
        for harness in (NativeHarness(strict=False), NativeHarness(strict=True), NativeRealHarness())
        for law in LAWS
        if _applies(harness, law)
        for label, case in law.cases.items()
    ]


@pytest.mark.parametrize(("harness", "law", "case"), _runs())
def test_law(harness: Harness, law: Law, case: object) -> None:
    """The law holds on the native host. Row: C9."""
    harness.check(law, case)
