# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a scenario found: figures for people and baselines, checks for the verdict.

Rule 1: a check compares what was seen with a bound that no noise of a machine can reach; anything else is a figure.
Rule 2: a scenario without a check has failed.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

__all__ = ["Book", "Check", "jain", "percentile"]


@frozen
class Check:
    """One sentence that has to hold, and what was seen."""

    sentence: str
    seen: str
    holds: bool


@define
class Book:
    """The records of one scenario. ``exact`` are the figures that a seed repeats in virtual time."""

    scenario: str
    figures: dict[str, float] = field(factory=dict)
    checks: list[Check] = field(factory=list)

    def figure(self, name: str, value: float) -> None:
        """Note a figure; its name has the unit."""
        self.figures[name] = round(float(value), 6)

    def check(self, sentence: str, holds: bool, seen: Any = "") -> None:
        """Note whether this held."""
        self.checks.append(Check(sentence, str(seen), bool(holds)))

    @property
    def passed(self) -> bool:
        """Whether everything held, and anything was checked at all."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For programs and baselines."""
        checks = [{"sentence": c.sentence, "seen": c.seen, "holds": c.holds} for c in self.checks]
        return {"passed": self.passed, "figures": self.figures, "checks": checks}


def jain(shares: list[float]) -> float:
    """Jain's index of fairness: 1 when all shares are equal, 1/n when one has everything."""
    total, squares = sum(shares), sum(share * share for share in shares)
    return total * total / (len(shares) * squares) if squares else 0.0


def percentile(values: list[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]
