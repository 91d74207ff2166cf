# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Each case of the kit can fail: transports with one planted fault, and the case that finds it (row T4).

A fault is one function of a transport that was changed; ``planted_*.py`` have a table each, from the number of a case
to the faults that it has to find.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kcoro_core.testing.transport_kit import Bench, all_cases, backlog, bench
from kcoro_core.testing.transport_kit.medium import Medium
from kcoro_core.transport import Vtable
from kcoro_core.transports import mem

from . import (
    planted_basics,
    planted_connections,
    planted_datagrams,
    planted_ends,
    planted_frames,
    planted_leaks,
    planted_polls,
    planted_promises,
    planted_strangers,
)
from .planting import GOOD, SOCKETS, Fault, forget, planted

TABLES = (
    planted_basics,
    planted_connections,
    planted_datagrams,
    planted_ends,
    planted_frames,
    planted_leaks,
    planted_polls,
    planted_promises,
    planted_strangers,
)
FAULTS: dict[str, list[Fault]] = {number: faults for table in TABLES for number, faults in table.FAULTS.items()}
MEDIA = {"mem": Medium(), "sim": Medium(), "tcp": Medium(stream=True, frames=True, network=True, door=True)}


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bench, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(backlog, "AT_ONCE_SECONDS", 0.1)
    yield
    forget()
    for listener in tuple(mem._listeners.values()):
        listener.close()


def verdict(case: Any, vtable: Vtable, scheme: str) -> Exception | None:
    """What one case says about a transport."""
    try:
        with Bench(vtable, scheme, {}) as made:
            case.body(made)
    except Exception as error:  # noqa: BLE001 - any error is a verdict
        return error
    return None


def test_every_case_has_a_fault_that_it_finds() -> None:
    """Row: T4."""
    assert sorted(FAULTS) == sorted(case.number for case in all_cases())
    assert sum(len(table.FAULTS) for table in TABLES) == len(FAULTS)


@pytest.mark.parametrize("number", [case.number for case in all_cases()])
def test_a_planted_fault_is_found_by_its_case(number: str) -> None:
    """And the case passes on the transport without the fault, unless it does not apply to that. Row: T4."""
    [case] = [case for case in all_cases() if case.number == number]
    for what, change in FAULTS[number]:
        vtable, scheme = planted(change)
        assert case.why_not(vtable.info, MEDIA[scheme]) is None
        assert verdict(case, vtable, scheme) is not None, what
        good = SOCKETS if scheme == "tcp" else GOOD
        assert case.why_not(good.info, MEDIA[scheme]) is not None or verdict(case, good, scheme) is None
