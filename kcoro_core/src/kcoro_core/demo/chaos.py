# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whom ``--chaos`` kills, and when: decided by a seed and by what is heard from the workers, not by a clock."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["Chaos"]


class Chaos:
    """A plan of ``kills`` kills, spread over about ``messages`` messages; the first falls on the first message."""

    def __init__(self, seed: int, kills: int, messages: int) -> None:
        self.seed = seed
        self.planned = kills
        self.killed: list[int] = []
        """The workers killed so far."""
        self._random = random.Random(seed)
        self._spacing = max(1, 2 * messages // max(1, kills))
        self._until_next = 1

    def victim(self, candidates: Sequence[int]) -> int | None:
        """Called after each message of a worker: whom of those at work to kill now, if anybody; nobody twice."""
        candidates = [candidate for candidate in candidates if candidate not in self.killed]
        if not candidates or len(self.killed) == self.planned:
            return None
        self._until_next -= 1
        if self._until_next > 0:
            return None
        self._until_next = self._random.randint(1, self._spacing)
        self.killed.append(self._random.choice(candidates))
        return self.killed[-1]
