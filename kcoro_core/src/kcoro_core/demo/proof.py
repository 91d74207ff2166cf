# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The proof: the same files, counted in one process by a second implementation of what a word is.

It shares with the workers the list of files, how one is opened, and the definition in ``words.py``; and no line of code
that decodes, cuts or folds: text comes from a ``TextIOWrapper``, and each character that belongs to no word becomes a
space. Steps are small, so that whoever drives them can look up in between.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import Factory, define, frozen

from .files import Source, Unfit, open_file
from .words import WORD_LIMIT

__all__ = ["Difference", "Proof", "compare"]

STEP_CHARACTERS: Final = 1 << 18


class _Blanks(dict[int, int | str]):
    """A table for ``str.translate`` that fills itself: what belongs to no word becomes a space."""

    def __missing__(self, codepoint: int) -> int | str:
        character = chr(codepoint)
        value: int | str = codepoint if character.isalnum() or character == "_" else " "
        self[codepoint] = value
        return value


@define(eq=False)
class Proof:
    """A count in progress; ``steps`` drives it to its end."""

    words: Counter[str] = Factory(Counter)
    skipped: set[str] = Factory(set)
    _blanks: _Blanks = Factory(_Blanks)

    def steps(self, sources: Iterable[Source]) -> Iterator[int]:
        """Count all files, with a pause after each step of at most STEP_CHARACTERS: bytes in the files before this."""
        before = 0
        for source in sources:
            counts: Counter[str] = Counter()
            try:
                for pieces in self._read(source.path):
                    counts.update(pieces)
                    yield before
            except (Unfit, OSError):
                self.skipped.add(source.path)
                continue
            self._add(counts)
            before += source.size

    def _read(self, path: str) -> Iterator[list[str]]:
        """Runs, step by step; a run that goes on in the next step is carried over to it."""
        with open_file(path) as raw, io.TextIOWrapper(raw, "utf-8", errors="replace", newline="") as text:
            carried = ""
            while block := text.read(STEP_CHARACTERS):
                pieces = (carried + block).translate(self._blanks).split(" ")
                carried = pieces.pop()[: WORD_LIMIT + 1]
                yield pieces
            yield [carried]

    def _add(self, counts: Counter[str]) -> None:
        for run, count in counts.items():
            if 0 < len(run) <= WORD_LIMIT and not run[0].isdecimal():
                self.words[run.lower()] += count


@frozen
class Difference:
    """Where two counts disagree: empty when they are equal."""

    words: tuple[tuple[str, int, int], ...] = ()
    """(word, workers' count, proof's count) of those that differ, in the order of the alphabet."""
    skipped: tuple[str, ...] = ()
    """Files that only one of the two could read."""

    def __bool__(self) -> bool:
        return bool(self.words or self.skipped)


def compare(words: Counter[str], skipped: Iterable[str], proof: Proof) -> Difference:
    """The workers' count against the proof."""
    return Difference(
        tuple((word, words[word], proof.words[word]) for word in sorted(words.keys() | proof.words.keys())
              if words[word] != proof.words[word]),
        tuple(sorted(proof.skipped.symmetric_difference(skipped))),
    )  # fmt: skip
