# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a word is, and how a worker counts words.

1. Text is UTF-8; bytes that are not stand for U+FFFD, which belongs to no word.
2. A *run* is as many letters, digits (``str.isalnum``) and underscores in a row as there are.
3. A word is a run of at most WORD_LIMIT characters that does not begin with a decimal digit.
4. Words that differ only in case are one word, written in lower case.

``proof.py`` implements the same four sentences by other means; the two must not share code.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import Final

__all__ = ["WORD_LIMIT", "WordCounter"]

WORD_LIMIT: Final = 256
"""The longest word, in characters. Longer runs are data (base64, say); the limit also bounds what a reader keeps."""

_WORD: Final = re.compile(r"\b[^\W\d]\w*")
_RUN: Final = re.compile(r"\w*")


class WordCounter:
    """Counts the words of one file, which comes in blocks of bytes cut anywhere; keeps at most one run between them."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._counts: Counter[str] = Counter()
        self._tail = ""

    def feed(self, block: bytes) -> None:
        """Count the words that are known to have ended within this block."""
        text = self._tail + self._decode(block)
        end = _start_of_last_run(text)
        self._counts.update(_WORD.findall(text, 0, end))
        # One character over the limit is enough to know that the run is no word, however it goes on.
        self._tail = text[end : end + WORD_LIMIT + 1]

    def finish(self) -> dict[str, int]:
        """The counts of the whole file; the last word ends with it."""
        # What the decoder may still hold is part of a character, and stands for one that belongs to no word.
        self._counts.update(_WORD.findall(self._tail))
        folded: dict[str, int] = {}
        for word, count in self._counts.items():
            if len(word) <= WORD_LIMIT:
                key = word.lower()
                folded[key] = folded.get(key, 0) + count
        return folded


def _start_of_last_run(text: str) -> int:
    """Where the run begins that reaches the end of ``text``; its length when there is none."""
    backwards = _RUN.match(text[::-1])
    return len(text) - (backwards.end() if backwards else 0)
