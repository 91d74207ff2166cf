# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The ways of the lending model, gone again with a channel of the native engine at home: each leads to the same.

What merges two ways into one state is inside the reference engine; so all of its ways are recorded, and what is to be
seen at the end of each, by programs and by links, is the same with both engines.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kcoro_core.testing.laws.links import using_setting

from .lending_model import explore, go
from .programs import outcomes
from .test_lending_model import MODES, PROGRAMS, SHORT


def gone(name: str, mode: str) -> int:
    """Explore a program on the reference engine, and go each of its ways on the native one; how many there were."""
    program = PROGRAMS[name]
    ways: list[tuple[list[Any], object]] = []
    allowed = outcomes(program).__contains__
    with using_setting("engine", "reference"):
        explore(program, allowed, *MODES[mode], went=lambda world: ways.append((world.way, world.seen())))
    with using_setting("engine", "native"):
        for way, seen in ways:
            assert go(program, *MODES[mode], way) == seen, way
    return len(ways)


@pytest.mark.parametrize("mode", ["lend", "both"])
def test_some_ways_end_the_same_with_the_native_engine(mode: str) -> None:
    """The same steps are possible, and the outcome is the same. Rows: N4, C9."""
    ways = sum(gone(name, mode) for name in SHORT)
    sys.stdout.write(f"{ways} ways of {len(SHORT)} programs, {mode}\n")
    assert ways > 100


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in SHORT])
def test_every_way_ends_the_same_with_the_native_engine(name: str, mode: str) -> None:
    """The same for all of them, in all modes. Rows: N4, C9."""
    assert gone(name, mode)
