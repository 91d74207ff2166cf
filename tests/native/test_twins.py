# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The C functions stand beside the methods of the reference, under the same names; what has no twin is listed here."""

from __future__ import annotations

import re

import pytest

from kcoro_core.engine import ChannelCore
from kcoro_core.reference.cancel import Token
from kcoro_core.reference.timer import TimerQueue
from kcoro_core.reference.waiter import Arm, Operation
from kcoro_core.scope import Scope

from .library import CSRC, HEADERS, INCLUDE

DECLARED = {name for path in HEADERS for name in re.findall(r"\b(kc_\w+)\(", path.read_text())}
PREFIXES = {
    Operation: ("kc_op_", "kc_waiter_"),
    Arm: ("kc_waiter_",),
    ChannelCore: ("kc_chan_",),
    Token: ("kc_token_",),
    TimerQueue: ("kc_timers_",),
    Scope: ("kc_scope_",),
}
# Methods whose C function has another name, because C has no overloading and other habits.
RENAMED = {"at": "kc_timer_start", "next_deadline": "kc_timers_next", "wait_all": "kc_scope_wait"}
# What C does not have, because it is about Python.
WITHOUT = {Scope: {"start_soon"}}


def methods(cls: type) -> set[str]:
    """The public methods of a class."""
    return {name for name, thing in vars(cls).items() if not name.startswith("_") and callable(thing)}


def twins(cls: type, name: str) -> set[str]:
    """The C functions that stand for a method."""
    return {RENAMED.get(name, prefix + name) for prefix in PREFIXES[cls]} & DECLARED


@pytest.mark.parametrize("cls", PREFIXES, ids=lambda cls: cls.__name__)
def test_each_method_of_the_reference_has_a_c_function_of_its_name(cls: type) -> None:
    """But for those that are listed; one that comes is taken off the list. Row: H1."""
    assert {name for name in methods(cls) if not twins(cls, name)} == WITHOUT.get(cls, set())


@pytest.mark.parametrize("stem", ["waiter", "channel", "lending", "select", "cancel", "timer", "scope"])
def test_a_subject_has_the_same_stem_everywhere(stem: str) -> None:
    """The Python file, the C file and the header."""
    core = CSRC.parents[1] / "kcoro_core" / "src" / "kcoro_core"
    assert any((folder / f"{stem}.py").exists() for folder in (core / "reference", core))
    assert (CSRC / f"{stem}.c").exists()
    assert (INCLUDE / "kcoro" / f"{stem}.h").exists()
