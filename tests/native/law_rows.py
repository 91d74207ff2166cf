# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Laws for tasks on a scheduler: each over the cases that it has in ``kcoro_core.testing.laws``.

A row tells a case of a law in the language of law_scripts.py, many of them by a story. Those of law_rows_of_tables.py
take their answers from the tables of the laws; the other files are law_rows_of_channels.py, _ends.py, _select.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kcoro_core.testing.laws import LAWS
from kcoro_core.testing.laws.shapes import Shape

from .law_scripts import Script, parse
from .law_stories import Story

__all__ = ["CASES", "ROWS", "Told", "filled", "row", "scripts"]

Told = tuple[tuple[Shape, ...], str] | Story
CASES = {law.id: law.cases for law in LAWS}
ROWS: dict[str, Callable[[Any], Told]] = {}
"""How each law is told: a function from a case to channels and lines."""


def row(*laws: str) -> Callable[[Callable[[Any], Told]], Callable[[Any], Told]]:
    """Tell the laws of these ids so."""

    def register(tell: Callable[[Any], Told]) -> Callable[[Any], Told]:
        ROWS.update(dict.fromkeys(laws, tell))
        return tell

    return register


def scripts() -> Iterator[tuple[str, Script]]:
    """Every row with the name of its law and case."""
    for law, tell in ROWS.items():
        for label, case in CASES[law].items():
            told = tell(case)
            if isinstance(told, Story):
                told = (told.made,), str(told)
            yield f"{law}[{label}]" if label else law, parse(*told)


def filled(made: Shape) -> Story:
    """A story of a channel that is full; its elements count from 101."""
    story = Story(made)
    for i in range(int(made.limit)):
        story.send(101 + i)
    return story
