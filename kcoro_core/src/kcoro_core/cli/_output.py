# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How commands print: a table for people, lines for pipes, JSON for programs.

Rule 1: without a terminal, or without rich, the same words come out as plain text.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = ["MARKS", "print_json", "print_table"]

MARKS: Final[Mapping[bool | None, str]] = {True: "ok", False: "FAIL", None: "-"}
"""How a check that held, failed, or did not apply is written."""

_COLOURS: Final = {
    "ok": "green",
    "loaded": "green",
    "FAIL": "red",
    "PASS": "green",
    "advice": "yellow",
    "failed": "red",
    "incompatible": "red",
}


def print_json(value: Any) -> None:
    """Print one JSON document, keys as given, readable by people too."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    print()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings: drawn by rich on a terminal if it is installed, else columns of text."""
    rows = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        _print_rich(columns, rows)
        return
    # A pipe has no width: the last column is never cut, so that error texts arrive whole.
    widths = [max(len(row[i]) for row in [list(columns), *rows]) for i in range(len(columns))]
    for row in [[c.upper() for c in columns], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    Console().print(table)
