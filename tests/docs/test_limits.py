# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``docs/LIMITS.md`` has every container that a peer could fill, each with a cap and a test. Rows: W3, X3, Q9."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from ..packaging.containers import containers
from ..packaging.tree import PACKAGES, Import, Module, modules
from .blocks import DOCS

PAGE = (DOCS / "LIMITS.md").read_text()
# Where a peer's bytes pass.
ROOMS = (
    "kcoro_core.wire",
    "kcoro_core.link",
    "kcoro_core.transports",
    "kcoro_core.resolvers",
    *(package for package in PACKAGES if "_transport_" in package),
)


def rows(kind: str) -> list[list[str]]:
    """The cells of one of the two tables."""
    table = re.search(rf"<!-- containers: {kind} -->\n(.*?)<!-- end of containers -->", PAGE, re.DOTALL)
    assert table is not None
    lines = [line for line in table[1].splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


FILLED = rows("filled")
EXEMPT = rows("exempt")


def found() -> set[str]:
    """Every container of the rooms."""
    heard = [module for package in PACKAGES for module in modules(package) if Import(module.name, 0).is_in(*ROOMS)]
    return {container.name for module in heard for container in containers(module)}


def missing(names: set[str]) -> list[str]:
    """Those of them that no row names, and no exemption stands for."""
    named = {row[0] for row in FILLED}
    return sorted(name for name in names - named if not any(fnmatchcase(name, pattern) for pattern, *_ in EXEMPT))


def test_every_container_that_a_peer_could_fill_stands_in_the_table() -> None:
    """Red? Add a row to ``docs/LIMITS.md``: its cap and the test that provokes it; or why no peer fills it. Row: X3."""
    assert missing(found()) == []


def test_every_row_of_the_tables_is_a_container_that_there_is() -> None:
    """What was renamed or taken out goes here, too. Row: X3."""
    names = found()
    assert [row[0] for row in FILLED if row[0] not in names] == []
    assert [pattern for pattern, *_ in EXEMPT if not any(fnmatchcase(name, pattern) for name in names)] == []


def test_every_row_has_a_cap_and_every_exemption_a_reason() -> None:
    """In words. Row: X3."""
    assert [row for row in [*FILLED, *EXEMPT] if len(row) < 2 or not row[1].strip()] == []
    assert len({row[0] for row in [*FILLED, *EXEMPT]}) == len(FILLED) + len(EXEMPT)


def test_every_row_names_a_test() -> None:
    """That it exists is looked at in ``test_proved.py``. Row: X3."""
    assert [row[0] for row in FILLED if not row[2].startswith("tests/")] == []


@pytest.mark.parametrize(
    "body",
    [
        "self.x = {}",
        "self.x = deque()",
        "self.x: dict[int, str] = make()",
        "self.x = set()",
        "self.x = [y for y in z]",
        "self.x = bytearray()",
        "self.x = OrderedDict()",
    ],
)
def test_a_planted_container_is_found(body: str) -> None:
    """Row: X3."""
    module = Module.planted("kcoro_core.wire.planted", f"class C:\n    def __init__(self):\n        {body}\n")
    assert missing({container.name for container in containers(module)}) == ["kcoro_core.wire.planted.C.x"]


@pytest.mark.parametrize("field", ["x: deque[int] = field(factory=deque)", "x: list[int]", "x = {}"])
def test_a_planted_field_is_found(field: str) -> None:
    """Row: X3."""
    module = Module.planted("kcoro_core.link.planted", f"@define\nclass C:\n    {field}\n")
    assert [container.name for container in containers(module)] == ["kcoro_core.link.planted.C.x"]
