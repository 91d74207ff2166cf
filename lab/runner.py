# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Runs labs and compares them with their baselines.

Rule 1: a scenario that raises, or ends without a check, has failed; the others still run.
Rule 2: one scenario is one run of a loop, in a place of its own, from one seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import define, field

from .book import Book
from .gates import Scenario, scenarios
from .places import place
from .sabotage import planted

__all__ = ["BASELINES", "Report", "run_lab"]

REPEATED = ("ipc/sim",)
"""Labs that are run twice over ``sim:``, quick or not; the others only when there is time."""
BASELINES = Path(__file__).resolve().parent / "baselines"


@define
class Report:
    """One lab over one transport."""

    lab: str
    transport: str
    quick: bool
    books: list[Book] = field(factory=list)

    @property
    def passed(self) -> bool:
        """Whether every scenario has."""
        return bool(self.books) and all(book.passed for book in self.books)

    @property
    def baseline(self) -> Path:
        """Where the figures of an earlier run lie."""
        length = "quick" if self.quick else "full"
        return BASELINES / f"{self.lab.replace('/', '-')}.{self.transport}.{length}.json"

    def as_json(self) -> dict[str, Any]:
        """For programs, and what a baseline holds."""
        return {"lab": self.lab, "transport": self.transport, "quick": self.quick, "passed": self.passed,
                "scenarios": {book.scenario: book.as_json() for book in self.books}}  # fmt: skip

    def lines(self) -> Iterable[str]:
        """For people: each figure beside its baseline, then what had to hold."""
        before = self._before()
        yield f"lab/{self.lab} over {self.transport}"
        for book in self.books:
            yield f"  {book.scenario}"
            for name, value in book.figures.items():
                was = before.get(book.scenario, {}).get(name)
                beside = "" if was is None else f"{was:>14g}"
                yield f"    {name:<50}{value:>14g}{beside}"
            for check in book.checks:
                yield f"    {'ok  ' if check.holds else 'FAIL'} {check.sentence}: {check.seen}"

    def _before(self) -> dict[str, dict[str, float]]:
        if not self.baseline.exists():
            return {}
        kept = json.loads(self.baseline.read_text())["scenarios"]
        return {name: book["figures"] for name, book in kept.items()}


def run_lab(lab: str, transport: str, *, seed: int, quick: bool, sabotage: str | None = None) -> Report:
    """Run every scenario of a lab over one transport."""
    report = Report(lab, transport, quick)
    for name, scenario in scenarios(lab).items():
        with planted(sabotage):
            book = _once(name, scenario, transport, seed, quick)
            if transport == "sim" and (not quick or lab in REPEATED):
                again = _once(name, scenario, transport, seed, quick)
                book.check("the seed repeats all of it", book == again, seed)
        report.books.append(book)
    return report


def _once(name: str, scenario: Scenario, transport: str, seed: int, quick: bool) -> Book:
    book = Book(name)
    try:
        with place(transport, seed, quick) as where:
            where.run(scenario, where, book)
    except Exception as error:  # noqa: BLE001 - a failure like any other; what was checked before it is kept
        book.check("it ran to its end", False, "; ".join(_leaves(error)))
    return book


def _leaves(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [text for one in error.exceptions for text in _leaves(one)][:3]
    return [f"{type(error).__name__}: {error}"]
