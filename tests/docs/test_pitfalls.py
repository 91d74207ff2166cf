# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``docs/PITFALLS.md`` names a test for each pitfall, and each of them exists. Rows: Q9, X3."""

from __future__ import annotations

import pytest

from .blocks import DOCS, ROOT
from .collecting import check_collected

LINES = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (DOCS / "PITFALLS.md").read_text().splitlines()
    if line.startswith("| ") and line[2].isdigit()
]
PROOFS = {line[0]: line[-1].strip(" `") for line in LINES}
NOT_BUILT = "none: not built"


def test_every_pitfall_has_its_line() -> None:
    """Row: X3."""
    assert list(PROOFS) == [f"{number}" for number in range(1, 32)]
    assert [line[0] for line in LINES if len(line) != 5 or not all(line)] == []


def test_only_what_belongs_to_nothing_that_is_built_has_no_test() -> None:
    """TLS is to come; whoever builds it answers its line. Row: X3."""
    assert [number for number, proof in PROOFS.items() if proof == NOT_BUILT] == ["19"]
    assert [path for path in ROOT.glob("kcoro_transport_*/src/*/plugin.py") if '"tls"' in path.read_text()] == []


@pytest.mark.timeout(600)  # collects every test that is named
def test_every_test_that_is_named_exists_and_is_collected() -> None:
    """Row: Q9."""
    check_collected(proof for proof in PROOFS.values() if proof != NOT_BUILT)
