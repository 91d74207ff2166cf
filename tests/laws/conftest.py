# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Laws fail with what was compared, and the summary says how many of them do not run where, and why."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """Laws about the end of objects collect garbage; the thousands of tests that wait here need not be searched."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each host: its laws, and the reasons why others do not apply."""
    from kcoro_core.testing.laws import LAWS, hosts, local_only

    line = terminalreporter.write_line
    line(f"{len(LAWS)} laws, {sum(len(law.cases) for law in LAWS)} cases; {len(local_only(LAWS))} do not cross a link")
    for harness in hosts():
        reasons = Counter(reason for law in LAWS for reason in harness.missing(law)[:1])
        why = "; ".join(f"{count} because {reason}" for reason, count in reasons.most_common())
        line(
            f"  {harness.name}: {sum(reasons.values())} do not apply: {why}" if why else f"  {harness.name}: all apply"
        )
