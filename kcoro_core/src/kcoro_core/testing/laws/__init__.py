# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of kcoro: what every engine, host and link keeps, each as one sentence and one function.

``run_engine(name)`` runs them all for an engine, on every host of core; ``kcoro conformance engine:NAME`` prints the
result. ``tests/laws`` runs the same laws under pytest. Nothing here needs pytest.

Rule 1: one file for each subject; what a law applies to is data (see ``registry.py``), never a condition inside it.
Rule 2: a law that fails raises; there is no other way to fail, and a law never prints.
"""

from __future__ import annotations

from . import (  # noqa: F401 - for the laws that they register
    buffering,
    claims,
    clause_cases,
    closing,
    coroutine_ends,
    coroutine_states,
    coroutines,
    counters,
    halves,
    interop,
    lending,
    loops,
    meeting,
    misuse,
    modes,
    order,
    portals,
    precedence,
    scopes,
    selecting,
    table,
    timers,
    tokens,
    undelivered,
)
from .clause_kit import ClauseCase, clause_laws
from .harness import Harness, PlainHarness, ScriptHarness, TrioHarness, TrioRealHarness
from .registry import LAWS, Group, Law, Need, local_only
from .runner import LawResult, hosts, run_engine

__all__ = [
    "LAWS",
    "ClauseCase",
    "Group",
    "Harness",
    "Law",
    "LawResult",
    "Need",
    "PlainHarness",
    "ScriptHarness",
    "TrioHarness",
    "TrioRealHarness",
    "clause_laws",
    "hosts",
    "local_only",
    "run_engine",
]
