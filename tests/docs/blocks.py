# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The code blocks of the manual as data: where each stands, what language it is in, and what is to be done with it.

A fenced block is run unless the comment above it says otherwise. The comments:

``<!-- not run: REASON -->``   an exception; it is counted, and its reason printed
``<!-- file: NAME -->``        the block is a file, for the console blocks that follow
``<!-- real time -->``         the block needs the real clock; without it time jumps whenever nothing can run

A ``text`` block right behind a ``python`` block is what that block prints; ``...`` in it stands for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>\S*)")
COMMENT = re.compile(r"^<!-- (?P<order>not run|file|real time)(?:: (?P<text>.+))? -->$")


@frozen
class Block:
    """One fenced block: its page, the line of its first line of code, its language, and its text."""

    page: Path
    line: int
    language: str
    text: str
    order: str = ""
    argument: str = ""

    @property
    def where(self) -> str:
        """``docs/select.md:12``, as editors understand it."""
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page.name}:{self.line}"

    @property
    def reason(self) -> str:
        """Why it is not run; empty for a block that is."""
        return self.argument if self.order == "not run" else ""


def pages() -> list[Path]:
    """Every page whose blocks are run: the manual, and what stands beside the code."""
    manual = [path for path in DOCS.rglob("*.md") if not {"_build", "news.d"} & set(path.parts)]
    return sorted([*manual, ROOT / "README.md", *ROOT.glob("kcoro_*/README.md"), *ROOT.glob("bench/README.md")])


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """The fenced blocks of a page in order; Sphinx directives, ```` ```{name} ````, are no code."""
    return list(_blocks(page, (page.read_text() if text is None else text).splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    order = argument = ""
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if comment := COMMENT.match(line):
            order, argument = comment["order"], comment["text"] or ""
        elif fence := FENCE.match(line):
            body = _until(numbered, fence["ticks"])
            code = "\n".join(row.removeprefix(fence["indent"]) for row in body)
            if not fence["language"].startswith("{"):
                yield Block(page, number + 1, fence["language"], code + "\n", order, argument)
            order = argument = ""
        elif line.strip():
            order = argument = ""


def _until(numbered: Iterator[tuple[int, str]], ticks: str) -> list[str]:
    body = []
    for _, line in numbered:
        if line.strip() == ticks:
            break
        body.append(line)
    return body
