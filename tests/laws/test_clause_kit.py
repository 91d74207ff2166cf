# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The kit of clauses finds what is wrong with a clause: each fault is planted once, and seen (row X20)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from kcoro_core.testing.laws import ClauseCase, Harness, ScriptHarness, TrioHarness, clause_laws
from kcoro_core.testing.laws.clause_cases import Bell, Rung
from kcoro_core.testing.laws.clause_kit import CHECKS


class Eager(Rung):
    """Wins although nothing has happened."""

    def poll(self, w: Any) -> bool:
        """Win."""
        return w.win() and (w.finish("ding") or True)


class Blind(Rung):
    """Does not see what is there already."""

    def poll(self, w: Any) -> bool:
        """Not ready."""
        return False

    def register(self, w: Any) -> None:
        """Listen."""
        self.bell.listeners[w] = lambda: Rung.poll(self, w)


class Deaf(Rung):
    """Never tells a waiter."""

    def register(self, w: Any) -> None:
        """Listen, and do nothing."""
        self.bell.listeners[w] = lambda: None


class Clinging(Rung):
    """Keeps waiters for ever."""

    def withdraw(self, w: Any) -> None:
        """Stop listening, and remember."""
        super().withdraw(w)
        vars(self.bell).setdefault("past", []).append(w)


class Greedy(Rung):
    """Takes the ring before it has won."""

    def poll(self, w: Any) -> bool:
        """Take, then ask."""
        if not self.bell.rung:
            return False
        self.bell.rung = False
        return w.win() and (w.finish("ding") or True)


class Generous(Rung):
    """One ring wins for everybody."""

    def poll(self, w: Any) -> bool:
        """Win, and leave the ring."""
        return self.bell.rung and w.win() and (w.finish("ding") or True)


class Once(Rung):
    """Works for the first waiter only."""

    def withdraw(self, w: Any) -> None:
        """Stop listening, for good."""
        super().withdraw(w)
        self.bell.ring = lambda: None  # type: ignore[method-assign]


class Stuck(Rung):
    """Does not take its listener back."""

    def withdraw(self, w: Any) -> None:
        """Forget to stop listening."""


FAULTS = {
    Eager: {"is-not-ready-at-first", "can-be-waited-on-again"},
    Blind: {"wins-when-it-is-ready-already", "an-event-while-claiming-is-found-later"},
    Deaf: {"wins-when-it-becomes-ready", "joins-an-exactly-once-select", "loses-without-effect"},
    Clinging: {"forgets-a-waiter"},
    Greedy: {"does-nothing-for-a-decided-waiter", "an-event-while-claiming-is-found-later"},
    Generous: {"serves-two-selects"},
    Once: {"loses-without-effect", "leaves-at-a-deadline"},
    Stuck: {"forgets-a-waiter"},
}


def ring(bell: Bell) -> None:
    """Ring the bell as it is by now: a fault may have changed it."""
    bell.ring()


def case_of(kind: type[Rung]) -> ClauseCase:
    """The case of one kind of clause."""

    @asynccontextmanager
    async def make(h: Harness) -> AsyncIterator[tuple[Any, Any]]:
        bell = Bell()
        yield kind(bell), partial(ring, bell)

    return ClauseCase(kind.__name__, make)


def failures(kind: type[Rung], harness: Harness) -> set[str]:
    """The names of the laws that such a clause breaks."""
    failed = set()
    for name, check in clause_laws(case_of(kind)):
        try:
            harness.start(partial(check, harness))
        except Exception:  # noqa: BLE001 - a law that fails raises, within a group or not
            failed.add(name)
    return failed


@pytest.mark.parametrize("harness", [TrioHarness(strict=True), ScriptHarness()], ids=lambda h: h.name)
def test_a_clause_of_three_methods_passes(harness: Harness) -> None:
    """As the kit is used by a stranger: one case, a few lines. Row: X20."""
    assert failures(Rung, harness) == set()


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_faulty_clause_is_found(kind: type[Rung]) -> None:
    """By the law that names its fault, at least. Row: X20."""
    assert failures(kind, ScriptHarness()) >= FAULTS[kind]


def test_every_law_of_the_kit_can_fail() -> None:
    """A check that no fault breaks would be no check."""
    assert set().union(*FAULTS.values()) == set(CHECKS)
