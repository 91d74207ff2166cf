# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The order in which a select looks at its clauses, and the engine's factory of operations.

``poll_order`` is the whole difference between the three modes; how clauses are polled, registered and withdrawn is
the same for all and lives in the face, because clauses may be anybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..semantics import BIASED, UNBIASED, SelectMode
from .waiter import Arm, Operation, SelectOperation

__all__ = ["SelectFactory", "poll_order"]


def poll_order(mode: SelectMode, clauses: int, last: int, shuffle: Callable[[list[int]], object]) -> Sequence[int]:
    """In which order the clauses are looked at; ``last`` is the index that won the previous time, -1 at first.

    UNBIASED is a real shuffle: rotating from a random start would favour a clause that follows unready ones.
    """
    if mode is BIASED:
        return range(clauses)
    if mode is UNBIASED:
        order = list(range(clauses))
        shuffle(order)
        return order
    return [*range(last + 1, clauses), *range(last + 1)]


class SelectFactory:
    """Makes the operations of the reference engine, plain ones and selects."""

    def __init__(self, engine: str, api: int) -> None:
        self.engine = engine
        self.api = api

    # The classes themselves: one is made for each wait, and a function around them would cost as much again.
    operation = Operation
    select = SelectOperation
    arm = Arm
