# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What commands that look for faults from seeds have in common: their progress, and how they tell what was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..testing.explore import Exploration, Finding

__all__ = ["Progress", "findings", "print_findings"]

_PLAIN_EVERY: Final = 20.0
_TERMINAL_EVERY: Final = 0.2


def findings(found: tuple[Finding, ...]) -> list[dict[str, str]]:
    """What was found, as ``--json`` prints it."""
    return [{"kind": finding.kind, "text": finding.text} for finding in found]


def print_findings(report: Mapping[str, Any]) -> None:
    """What was found, what ran then, and the command that repeats it; nothing of it if nothing was."""
    for finding in report["found"]:
        print(f"{finding['kind']}: {finding['text'].rstrip()}")
    if report["about"]:
        print(report["about"])
    if report["command"]:
        print(f"repeat it with: {report['command']}")


class Progress:
    """One line on stderr that is written over on a terminal; elsewhere a plain line now and then.

    ``what`` is what is counted, in the plural.
    """

    def __init__(self, what: str, *, shown: bool) -> None:
        self._what = what
        self._out = sys.stderr
        self._shown = shown
        self._terminal = self._out.isatty()
        self._every = _TERMINAL_EVERY if self._terminal else _PLAIN_EVERY
        self._next = time.monotonic() + self._every

    def __call__(self, so_far: Exploration) -> None:
        """Show it, if that is due."""
        if not self._shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        line = f"{so_far.schedules} {self._what}, {so_far.distinct} distinct, {so_far.seconds:.0f} s"
        self._out.write(f"\r{line}" if self._terminal else f"{line}\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._shown and self._terminal:
            self._out.write("\r\x1b[K")
