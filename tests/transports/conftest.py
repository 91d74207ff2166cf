# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which transports are there to be tested: all of them, or the one that ``--kcoro-transport`` names.

An environment for one backend has only core and that backend's package installed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kcoro_core.testing.transport_kit import applicable

IMPAIRED = (
    "sim:?latency=1ms&jitter=1ms&loss=0.05&retransmit=1ms&reorder=0.1&reorder_by=1ms&duplicate=0.2"
    "&bandwidth=50MB&short_reads=0.5&short_writes=0.5&partition=0.001&partition_for=5ms"
)
"""Everything that a stream survives, in real time."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of a transport that this environment is not about."""
    named = config.getoption("kcoro_transport", default=None)
    if named is None or not collection_path.name.startswith("test_uds_"):
        return None
    return named.partition(":")[0] != "uds"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each transport, or for each case of the kit that applies to it."""
    named = metafunc.config.getoption("kcoro_transport", default=None)
    schemes = [named] if named else ["mem", "uds", "sim", IMPAIRED]
    if "case" in metafunc.fixturenames:
        pairs = [(scheme, case) for scheme in schemes for case in applicable(scheme)]
        metafunc.parametrize(("scheme", "case"), pairs, ids=str)
    elif "scheme" in metafunc.fixturenames:
        metafunc.parametrize("scheme", schemes)
