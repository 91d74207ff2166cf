# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How long whoever dials waits before the next attempt: twice as long each time, up to a bound, and partly by chance.

Many that lost the same server at the same instant would otherwise all come back at the same instant, too.
"""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import define

__all__ = ["FIRST_SECONDS", "MOST_SECONDS", "SHARE", "Backoff"]

FIRST_SECONDS: Final = 0.05
"""The longest pause behind the first attempt."""
MOST_SECONDS: Final = 10.0
"""The longest pause of all, whatever came before."""
SHARE: Final = 0.1
"""No pause is longer than this part of the patience, so that there are some attempts in any case."""


@define
class Backoff:
    """The pauses between attempts within ``patience``; each is drawn from the upper half of what it may be."""

    chance: Random
    patience: float
    longest: float = FIRST_SECONDS

    def pause(self) -> float:
        """The next one, in seconds."""
        longest = min(self.longest, self.patience * SHARE)
        self.longest = min(2 * self.longest, MOST_SECONDS)
        return longest * self.chance.uniform(0.5, 1.0)
