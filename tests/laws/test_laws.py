# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every law, with each of its cases, on every host that offers what the law needs."""

from __future__ import annotations

import pytest

from kcoro_core.testing.laws import LAWS, Harness, Law, hosts


def _runs() -> list[object]:
    return [
        pytest.param(harness, law, case, id=f"{law.id}-{label}-{harness.name}" if label else f"{law.id}-{harness.name}")
        for harness in hosts()
        for law in LAWS
        if not harness.missing(law) and (harness.name != "trio-real" or law.needs)
        for label, case in law.cases.items()
    ]


@pytest.mark.parametrize(("harness", "law", "case"), _runs())
def test_law(harness: Harness, law: Law, case: object) -> None:
    """The law holds on this host."""
    harness.check(law, case)
