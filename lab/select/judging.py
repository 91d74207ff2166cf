# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What has to hold of elements that many wanted."""

from __future__ import annotations

from collections import Counter

from ..book import Book

__all__ = ["judge"]


def judge(book: Book, taken: list[bytes], wanted: set[bytes]) -> None:
    """Each of ``wanted`` was taken once, and nothing else was."""
    several = sum(count - 1 for count in Counter(taken).values())
    book.figure("elements", len(taken))
    book.check("no element was taken twice", not several, several)
    book.check("no element was lost", wanted <= set(taken), len(wanted - set(taken)))
    book.check("no element came out of nothing", set(taken) <= wanted, len(set(taken) - wanted))
