# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The channel laws, unchanged, on handles at the other end of a link (row N1b).

The same law functions as in ``test_laws.py``; only the harness differs. Laws that cannot hold across a link stand in a
table with their reasons, whose length is printed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest

from kcoro_core.testing.laws import LAWS, Group, Harness, Law, Need, local_only
from kcoro_core.testing.laws.crossing import CrossingLinkHarness
from kcoro_core.testing.laws.links import LinkHarness, ScriptLinkHarness, TrioLinkHarness
from kcoro_core.testing.laws.registry import KNOWN_HERE

from .asyncio_harness import JumpingHarness

TORN = "?short_reads=0.5&short_writes=0.5&seed=1"
"""Half of all reads and writes of the simulated line give or take only a part."""

CROSSING = ("stdio",)
"""Media that carry bytes while nobody in this process works."""

NOT_CROSSED = "no bytes are under way in the clock of a loop of asyncio, nor of a script, so it cannot wait for them"
"""Why laws over such a medium run on trio alone."""

SELECTING = (Group.SELECT, Group.CLAUSE)

NOT_MIXED = dict.fromkeys(
    (
        "SE2.biased-has-no-memory",
        "SE3.unbiased-is-fair",
        "SE3.contending-selects-are-fair",
        "SE3.round-robin-bounds-runs",
    ),
    KNOWN_HERE,
)
"""Laws of select that hold where all clauses are here, or all at the other end of links, and why not in a mixture."""

MOST_SELECTS_LEFT_OUT = 4
MOST_LEFT_OUT = 19
"""Channel laws that may stay local; a new one that does has to be argued for here as well."""


class AsyncioLinkHarness(LinkHarness):
    """Both ends on asyncio, on a clock that jumps; keeps the links honest about the port of hosts."""

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME})

    def __init__(self, scheme: str, *, mixed: bool = False) -> None:
        super().__init__(scheme, mixed=mixed)
        self.name = f"{scheme}-asyncio{'-mixed' * mixed}"  # type: ignore[misc]

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run on a new loop."""
        JumpingHarness().start(main)


def harnesses(config: pytest.Config, *, mixed: bool = False) -> list[LinkHarness]:
    """Over the transport that the command line names, else over those of this project."""
    uri = config.getoption("kcoro_transport", None)
    found: list[LinkHarness] = []
    for scheme in ("mem", "uds", "sim") if uri is None else (uri.partition(":")[0],):
        if scheme == "sim" and uri is None:
            # Of the in-process ones mem has been on every host; here every frame is torn.
            found.append(ScriptLinkHarness(scheme, seed=0, address=TORN, mixed=mixed))
            continue
        if scheme in CROSSING:
            found += [CrossingLinkHarness(scheme, strict=strict, mixed=mixed) for strict in (True, False)]
            continue
        found += [
            TrioLinkHarness(scheme, strict=True, mixed=mixed),
            TrioLinkHarness(scheme, strict=False, mixed=mixed),
            AsyncioLinkHarness(scheme, mixed=mixed),
        ]
        if scheme in ("mem", "sim"):  # those without a descriptor, which a scripted host does not have
            found.append(ScriptLinkHarness(scheme, seed=0, mixed=mixed))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case of each channel law on each harness."""
    if "law" in metafunc.fixturenames:
        runs = [
            pytest.param(harness, law, case, id="-".join(filter(None, (law.id, label, harness.name))))
            for mixed in (False, True)
            for harness in harnesses(metafunc.config, mixed=mixed)
            for law in LAWS
            if not harness.missing(law) and (law.id not in NOT_MIXED if mixed else True)
            if law.group in SELECTING or (law.group is Group.CHANNEL and not mixed)
            for label, case in law.cases.items()
        ]
        metafunc.parametrize(("harness", "law", "case"), runs)


def test_law(harness: Harness, law: Law, case: object) -> None:
    """The law holds across this link as it does inside a process. Rows: N1b, N5, X1, T6."""
    harness.check(law, case)


def test_each_law_that_stays_local_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Every law either runs over links or has a reason; the table is printed with its length. Row: N1b."""
    table = local_only(LAWS)
    channel_laws = {law.id for law in LAWS if law.group is Group.CHANNEL}
    left_out = {law_id: why for law_id, why in table.items() if law_id in channel_laws}
    with capsys.disabled():
        print(f"\n{len(left_out)} of {len(channel_laws)} channel laws do not apply across a link:")  # noqa: T201
        for law_id, why in left_out.items():
            print(f"  {law_id}: {why}")  # noqa: T201
        print(f"over {', '.join(CROSSING)} laws run on trio alone: {NOT_CROSSED}")  # noqa: T201
    assert all(len(why.split()) > 3 for why in left_out.values())
    assert len(left_out) <= MOST_LEFT_OUT


def test_each_law_of_select_that_stays_local_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Laws of select and of its clauses, and those that hold in no mixture; the table is printed. Rows: N5, X1."""
    table = local_only(LAWS)
    laws = {law.id for law in LAWS if law.group in SELECTING}
    left_out = {law_id: why for law_id, why in table.items() if law_id in laws}
    with capsys.disabled():
        print(f"\n{len(left_out)} of {len(laws)} laws of select do not apply across a link:")  # noqa: T201
        for law_id, why in (left_out | {f"{law_id} (mixed)": why for law_id, why in NOT_MIXED.items()}).items():
            print(f"  {law_id}: {why}")  # noqa: T201
    assert laws >= set(NOT_MIXED)
    assert len([law_id for law_id in left_out if law_id.startswith("SE")]) <= MOST_SELECTS_LEFT_OUT
