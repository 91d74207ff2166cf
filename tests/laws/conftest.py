# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Runs every law on every host that has what it needs; prints how many laws do not apply where."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("kcoro_core.testing.laws")
