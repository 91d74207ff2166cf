# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""First inputs of the target ``connection`` that are written as what happens in them, and not as bytes.

A story is a list of steps. It is told once by choices that answer what the story wants, and everything else in the
plainest way; what they have answered is the input.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from . import talk
from .choices import Choices
from .lies import LIES, TRUTH, double

CROSS = 200
LIAR = 64
OPEN, SEND, RECV, INFO, DETACH, SETTLE, ANSWER, LIST = 0, 1, 2, 3, 6, 7, 8, 30
"""Steps, as they stand in STEPS; with LIAR added they are those of the other side."""

_WAY = (CROSS, CROSS)
_OPENED = (LIAR + OPEN, *_WAY, ANSWER, *_WAY)
STORIES: dict[str, tuple[int, ...]] = {
    "the liar opens, receives and takes": (*_OPENED, LIAR + RECV, *_WAY, ANSWER, *_WAY, LIAR + SETTLE, *_WAY, *_WAY),
    "the liar opens, sends and leaves": (*_OPENED, LIAR + SEND, *_WAY, ANSWER, *_WAY, LIAR + DETACH, *_WAY, *_WAY),
    "the liar looks around": (LIAR + LIST, *_WAY, ANSWER, *_OPENED, LIAR + INFO, *_WAY, ANSWER, *_WAY, *_WAY),
    "we open, receive and take": (OPEN, *_WAY, LIAR + ANSWER, *_WAY, RECV, *_WAY, LIAR + ANSWER, *_WAY, SETTLE, *_WAY),
    "we look around": (LIST, *_WAY, LIAR + ANSWER, *_WAY),
}
MOST_FRAMES = 6
"""Which frames of the liar are told twice, one in each input."""


class _Telling(Choices):
    """Answers what the story wants, and remembers it as bytes; the frame of that number is told twice."""

    def __init__(self, side: int, steps: Sequence[int], doubled: int) -> None:
        super().__init__(b"")
        self._first: list[int] = [side]
        self._steps = list(steps)
        self._doubled = doubled
        self._frames = 0
        self.told = bytearray()

    def __bool__(self) -> bool:
        """Whether the story goes on."""
        return bool(self._steps)

    def below(self, limit: int) -> int:
        answer = self._first.pop() if self._first else self._answer(sys._getframe(1).f_code.co_name)
        self.told.append(answer)
        return answer % limit

    def _answer(self, asking: str) -> int:
        if asking == "step":
            return self._steps.pop(0)
        if asking == "_pass":
            self._frames += 1
            return _DOUBLE if self._frames == self._doubled else 0
        return int(asking == "sometimes")  # 1 is no, and 0 is the first of some


_DOUBLE = TRUTH + next(number for number, lie in LIES.items() if lie is double)


def told(side: int, steps: Sequence[int], doubled: int = 0) -> bytes:
    """The input in which this happens; with ``doubled`` the liar's frame of that number comes twice."""
    telling = _Telling(side, steps, doubled)
    with _choosing(telling), suppress(Exception):  # a defect that shows here shows again when the input is run
        talk.fuzz_connection(b"")
    return bytes(telling.told)


def first_stories() -> list[bytes]:
    """Each story from both sides, true and with each lie of the kind."""
    cases = ((side, steps, doubled) for steps in STORIES.values() for side in (0, 1) for doubled in range(MOST_FRAMES))
    return [told(*case) for case in cases]


@contextmanager
def _choosing(choices: Choices) -> Iterator[None]:
    before, talk.Choices = talk.Choices, lambda _: choices  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        talk.Choices = before  # type: ignore[misc]
