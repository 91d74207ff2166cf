# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the accepted answers add up to, and which worker did what.

Parts of an answer are kept aside until the answer is complete; only then the ledger decides whether it counts. An
answer of which a part is missing is never complete, and what is kept of it goes when another answer to the job counts.
"""

from __future__ import annotations

from collections import Counter

from attrs import Factory, define

from .files import Skipped
from .jobs import Ledger
from .messages import Answer, Part

__all__ = ["Share", "Tally"]

_Key = tuple[int, int, int]


@define(eq=False)
class Share:
    """What one worker process did of what counts."""

    worker: int
    pid: int
    jobs: int = 0
    files: int = 0
    size: int = 0
    seconds: float = 0.0
    """Time spent counting, which is less than the time it lived."""
    end: str | None = None
    """How it ended before its time; None when it stayed until the work was done."""

    @property
    def rate(self) -> float:
        """Bytes a second while counting."""
        return self.size / self.seconds if self.seconds else 0.0


@define(eq=False)
class _Assembly:
    """The words of one file, of which some parts are not here yet."""

    words: Counter[str] = Factory(Counter)
    parts: int = 0


@define(eq=False)
class Tally:
    """The result of a run, as far as it is known."""

    ledger: Ledger
    words: Counter[str] = Factory(Counter)
    files: int = 0
    size: int = 0
    skipped: list[Skipped] = Factory(list)
    shares: dict[int, Share] = Factory(dict)
    malformed: int = 0
    """Messages that were dropped because they were none."""
    _assemblies: dict[_Key, _Assembly] = Factory(dict)

    def part(self, message: Part) -> None:
        """Keep a part, if its answer could count and nothing of it is missing."""
        if not self.ledger.is_open(message.job):
            return
        key = (message.job, message.issue, message.worker)
        if message.index == 0:
            self._assemblies[key] = _Assembly()
        assembly = self._assemblies.get(key)
        if assembly is None or assembly.parts != message.index:
            self._assemblies.pop(key, None)
            return
        assembly.words.update(message.words)
        assembly.parts += 1

    def answer(self, message: Answer) -> bool:
        """Add an answer, unless it is a double or incomplete; True when it was added."""
        key = (message.job, message.issue, message.worker)
        assembly = self._assemblies.pop(key, None) or _Assembly()
        if assembly.parts != message.parts and self.ledger.is_open(message.job):
            return False
        if not self.ledger.answer(message.job):
            return False
        self._assemblies = {key: kept for key, kept in self._assemblies.items() if key[0] != message.job}
        self.words.update(assembly.words)
        self.words.update(message.words)
        self._add(message)
        return True

    def _add(self, message: Answer) -> None:
        sources = self.ledger.jobs[message.job].sources
        self.skipped += [Skipped(sources[i].path, reason) for i, reason in message.skipped if i < len(sources)]
        self.files += message.files
        self.size += message.size
        if share := self.shares.get(message.worker):
            share.jobs += 1
            share.files += message.files
            share.size += message.size
            share.seconds += message.seconds
