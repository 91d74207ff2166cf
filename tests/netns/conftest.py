# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Tests that need two network namespaces: where a system has none to give, each is skipped and says why."""

from __future__ import annotations

import functools
import sys

import pytest

from .ground import why_not


@functools.cache
def reason() -> str | None:
    return why_not() if sys.platform == "linux" else "network namespaces are a matter of Linux"


@pytest.fixture
def namespaces() -> None:
    if (missing := reason()) is not None:
        pytest.skip(missing)
