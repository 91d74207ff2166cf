# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The channel laws, unchanged, on handles of a link whose both ends run on the native host (row N1b)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest

from kcoro_core.testing.laws import LAWS, Group, Harness, Law, Need
from kcoro_core.testing.laws.links import LinkHarness

from .native_harness import NativeHarness
from .test_links import NOT_MIXED, SELECTING


class NativeLinkHarness(LinkHarness):
    """Both ends on one native loop, on a clock that jumps."""

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME, Need.DESCRIPTORS, Need.SIGNALS})

    def __init__(self, scheme: str, *, mixed: bool = False) -> None:
        super().__init__(scheme, mixed=mixed)
        self.name = f"{scheme}-native{'-mixed' * mixed}"  # type: ignore[misc]

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run on a new loop."""
        NativeHarness(strict=False).start(main)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Over the transport that the command line names, else over those of this project that need no certificates."""
    uri = metafunc.config.getoption("kcoro_transport", None)
    schemes = ("mem", "uds") if uri is None else (uri.partition(":")[0],)
    runs = [
        pytest.param(harness, law, case, id="-".join(filter(None, (law.id, label, harness.name))))
        for mixed in (False, True)
        for harness in (NativeLinkHarness(scheme, mixed=mixed) for scheme in schemes)
        for law in LAWS
        if not harness.missing(law) and (law.id not in NOT_MIXED if mixed else True)
        if law.group in SELECTING or (law.group is Group.CHANNEL and not mixed)
        for label, case in law.cases.items()
    ]
    metafunc.parametrize(("harness", "law", "case"), runs)


def test_law(harness: Harness, law: Law, case: object) -> None:
    """The law holds across a link of the native host as it does inside a process. Rows: N1b, C9."""
    harness.check(law, case)
