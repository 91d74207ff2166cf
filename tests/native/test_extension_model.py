# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The extension against the reference engine: random programs leave the same trace, with the objects of Python."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from .extension import instead_of_the_reference
from .on_reference import on_reference
from .programs import Program

PROGRAMS = 10_000
BLOCKS = 4


def on_extension(native: Any, program: Program) -> list[int]:
    """The trace of a program on the extension."""
    with instead_of_the_reference(native):
        return on_reference(program)


def differences(native: Any, seeds: range, length: int = 60) -> list[int]:
    """The seeds whose programs tell the engines apart."""
    programs = [Program.random(seed, length) for seed in seeds]
    expected = [on_reference(program) for program in programs]
    with instead_of_the_reference(native):
        found = [on_reference(program) for program in programs]
    return [seed for seed, left, right in zip(seeds, expected, found, strict=True) if left != right]


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_programs_leave_the_same_trace_through_the_extension(native: Any, block: int) -> None:
    """Results, wake-ups, reports and counters, in the same order.

    Rows: CH1, CH2, CH3, CH4, CH5, CH11, CH12, M1, SE1, SE2, SE6, X20.
    """
    share = PROGRAMS // BLOCKS
    seeds = range(block * share, (block + 1) * share)
    assert differences(native, seeds) == []
    gc.collect()


@pytest.mark.long
def test_many_long_programs_leave_the_same_trace_through_the_extension(native: Any) -> None:
    """The same for some minutes. Rows: CH11, SE1."""
    for block in range(50):
        assert differences(native, range(10**6 + 1000 * block, 10**6 + 1000 * (block + 1)), length=150) == []


def test_the_programs_really_run_on_the_extension(native: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that counts wrongly changes a trace."""

    class Wrong:
        def __init__(self, core: Any) -> None:
            self._core = core

        def __getattr__(self, name: str) -> Any:
            return getattr(self._core, name)

        def withdraw(self, w: Any) -> bool:
            return not self._core.withdraw(w)

    class Planted:
        Operation, SelectOperation, Arm = native.Operation, native.SelectOperation, native.Arm

        @staticmethod
        def ChannelCore(*args: Any) -> Any:  # noqa: N802 - it stands for the type
            return Wrong(native.ChannelCore(*args))

    assert differences(Planted, range(50))
    assert not differences(native, range(50))
