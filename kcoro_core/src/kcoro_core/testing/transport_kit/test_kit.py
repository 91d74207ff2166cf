# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The cases as pytest tests, over the transport that ``--kcoro-transport`` names; see ``testing/plugin.py``."""

from __future__ import annotations

from .case import Case, run_case


def test_transport(kcoro_case: Case, kcoro_transport: str) -> None:
    """One case of the kit."""
    run_case(kcoro_case, kcoro_transport)
