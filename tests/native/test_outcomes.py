# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every row of the outcome table, asked of libkcoro. Rows: E1."""

from __future__ import annotations

import ctypes
import errno

import pytest

from kcoro_core.semantics import DONE, DROPS, WAITS, Direction, Kind, Row, Situation, WaitForm, outcome_rows

FORMS = list(WaitForm)
SITUATIONS = list(Situation)


def expected(row: Row) -> tuple[int, int]:
    """The result of the row in C, and how many elements were dropped."""
    if row.answer in (DONE, DROPS):
        return 0, int(row.answer == DROPS)
    if isinstance(row.answer, str):
        assert row.answer == WAITS
        return -errno.EAGAIN, 0
    return -row.answer.errno, 0


def answered(harness: ctypes.CDLL, row: Row) -> tuple[int, int]:
    """What libkcoro says."""
    capacity = 2 if row.kind is Kind.BUFFERED else 0
    shape = (ctypes.c_int32 * 3)(row.kind.value, capacity, row.overflow.value)
    dropped = ctypes.c_int32()
    sending, form, situation = row.operation is Direction.SEND, FORMS.index(row.form), SITUATIONS.index(row.situation)
    return harness.run_outcome(shape, int(sending), form, situation, ctypes.byref(dropped)), dropped.value


def test_every_row_of_the_outcome_table_holds(harness: ctypes.CDLL) -> None:
    """Kind, policy, direction, form and situation decide the answer, as in the reference. Rows: E1, CH7, CH9."""
    rows = list(outcome_rows())
    assert len(rows) > 100
    assert [row for row in rows if answered(harness, row) != expected(row)] == []


@pytest.mark.parametrize("answer", [DONE, WAITS, DROPS])
def test_the_table_has_every_kind_of_answer(answer: str) -> None:
    """Or little would have been asked."""
    assert any(row.answer == answer for row in outcome_rows())
