# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which transports are there to be tested: all of them, or the one that ``--kcoro-transport`` names.

An environment for one backend has only core and that backend's package installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

import pytest

from kcoro_core.testing.transport_kit import Case, applicable

IMPAIRED = (
    "sim:?latency=1ms&jitter=1ms&loss=0.05&retransmit=1ms&reorder=0.1&reorder_by=1ms&duplicate=0.2"
    "&bandwidth=50MB&short_reads=0.5&short_writes=0.5&partition=0.001&partition_for=5ms"
)
"""Everything that a stream survives, in real time."""


OF_PACKAGES = {
    "uds": "kcoro_transport_uds",
    "tcp": "kcoro_transport_tcp",
    "tls": "kcoro_transport_tcp",
    "quic": "kcoro_transport_quic",
}
"""Schemes of packages of their own; files named ``test_SCHEME_...`` are about that one alone."""


PLANTED = ("test_hook_harness.py", "test_kit_can_fail.py")
"""Files that plant faults into ``tcp:``, and are left out where there is none."""

QUIC_SOURCE = Path(__file__).resolve().parents[2] / "kcoro_transport_quic" / "src"
found = importlib.util.find_spec("kcoro_transport_quic")
if found is None or found.origin is None:  # not installed; the folder of the project looks like a package without code
    # Its tests can be collected, and named, where they cannot run: they are skipped then.
    sys.path.insert(0, str(QUIC_SOURCE))


def is_installed(scheme: str) -> bool:
    """Whether the package of a scheme is here; core has the others."""
    if scheme == "quic" and not list(importlib.metadata.entry_points(group="kcoro", name="quic")):
        return False
    wanted = [OF_PACKAGES[scheme]] if scheme in OF_PACKAGES else []
    wanted += ["qh3"] if scheme == "quic" else []
    wanted += ["trustme"] if scheme in ("tls", "quic") else []  # which makes the certificates of these tests
    return all(importlib.util.find_spec(name) is not None for name in wanted)


@pytest.fixture(autouse=True)
def certificates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is tested over each scheme has certificates where it needs them, children of it included."""
    chosen = getattr(request.node, "callspec", None)
    if chosen is not None and chosen.params.get("scheme") in ("tls", "quic"):
        from .certificates import environment

        for name, value in environment().items():
            monkeypatch.setenv(name, value)


def cases_of(scheme: str) -> list[Case]:
    """What applies to a transport, which is tried once for that, with certificates where it needs them."""
    if scheme != "tls":
        return applicable(scheme)
    from .certificates import environment

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            patch.setenv(name, value)
        return applicable(scheme)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of a transport that this environment is not about, or does not have."""
    named = config.getoption("kcoro_transport", default=None)
    if collection_path.name in PLANTED and not list(importlib.metadata.entry_points(group="kcoro", name="tcp")):
        return True
    about = next((scheme for scheme in OF_PACKAGES if collection_path.name.startswith(f"test_{scheme}_")), None)
    if about is None:
        return None
    return (
        (about != "quic" and not is_installed(about))
        or (named is not None and named.partition(":")[0] != about)
        or None
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each transport, or for each case of the kit that applies to it; one that is not here is a skip."""
    named = metafunc.config.getoption("kcoro_transport", default=None)
    schemes = [named] if named else ["mem", *OF_PACKAGES, "sim", IMPAIRED]
    here, absent = [s for s in schemes if is_installed(s)], [s for s in schemes if not is_installed(s)]
    skips = [
        pytest.mark.skip(reason=f"{OF_PACKAGES[scheme]} is not installed, or trustme, or qh3") for scheme in absent
    ]
    if "case" in metafunc.fixturenames:
        pairs = [pytest.param(scheme, case, id=f"{scheme}-{case}") for scheme in here for case in cases_of(scheme)]
        pairs += [pytest.param(scheme, None, marks=skip) for scheme, skip in zip(absent, skips, strict=True)]
        metafunc.parametrize(("scheme", "case"), pairs)
    elif "scheme" in metafunc.fixturenames:
        missing = [pytest.param(scheme, marks=skip) for scheme, skip in zip(absent, skips, strict=True)]
        metafunc.parametrize("scheme", [*here, *missing])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is about ``quic:`` where that is not installed."""
    if not is_installed("quic"):
        for item in items:
            if item.path.name.startswith("test_quic_"):
                item.add_marker(pytest.mark.skip(reason="kcoro_transport_quic is not installed, or trustme, or qh3"))
