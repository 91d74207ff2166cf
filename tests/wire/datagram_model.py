# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a receiver of datagrams has to say, by plain words: what ``wire/datagram.py`` is compared with."""

from __future__ import annotations

from kcoro_core.semantics import Kind
from kcoro_core.wire.datagram import DELIVERED, WINDOW, Verdict


class Model:
    """Numbers without a wrap, and a set of all that came."""

    def __init__(self, kind: Kind, first: int) -> None:
        self.kind, self.first, self.newest = kind, first, first - 1
        self.came: set[int] = set()
        self.delivered: set[int] = set()

    def receive(self, number: int) -> Verdict:
        if number > self.newest:
            self.newest = number
            verdict = Verdict.NEW
        elif number <= self.newest - WINDOW:
            return Verdict.ANCIENT
        elif number in self.came or number < self.first:
            return Verdict.DOUBLE
        else:
            verdict = Verdict.STALE if self.kind is Kind.CONFLATED else Verdict.LATE
        self.came.add(number)
        if verdict in DELIVERED:
            self.delivered.add(number)
        return verdict

    @property
    def missing(self) -> int:
        return self.newest - self.first + 1 - len(self.delivered)
