# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Fixtures of the tests of links; see ``world.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kcoro_core.testing.laws.links import using_setting

from .world import World


@pytest.fixture(params=["mem-trio", "mem-script", "uds-trio"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Every host and transport that a link of this project can have in one process."""
    tmp_path.chmod(0o700)
    return World(request.param, tmp_path)


@pytest.fixture
def mem_world(tmp_path: Path) -> World:
    """Trio over ``mem:``, for tests that ask that transport for faults."""
    return World("mem-trio", tmp_path)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """No signs of life: a link that has forgotten to wait for something would be woken by them, and not be found."""
    with using_setting("keepalive", "500000"):
        yield


@pytest.fixture
def setting() -> Callable[[str, str], Any]:
    """``with setting("cancel_grace", "2"):`` has a setting in force for the block."""
    return using_setting
