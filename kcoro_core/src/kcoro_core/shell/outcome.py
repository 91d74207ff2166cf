# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every way in which ``kcoro send`` and ``kcoro recv`` can end, with its exit code.

Rule: whatever was read or taken is counted once: as passed on, as in doubt, or as left over.
"""

from __future__ import annotations

import enum
from typing import Any

from attrs import define, frozen

__all__ = ["Cause", "Outcome", "Tally"]


class Cause(enum.Enum):
    """Why a command ended: its exit code, and what that means."""

    DONE = (0, "everything was passed on, and the sender has closed the channel")
    """The one good end; scripts may go on."""
    DATA = (1, "the input, the output or the sender at the other end has failed; what came before was passed on")
    """Look at the files and pipes, not at the link."""
    USAGE = (2, "the command line makes no sense, or this machine lacks what it needs")
    """Nothing was started; mend the command line first."""
    REFUSED = (3, "nobody listens there, the name or the right is missing, or the address is taken")
    """Nothing was passed on; look at the other side."""
    LOST = (4, "a link was lost: what is in doubt is counted, it may have arrived or not")
    """The other process was killed, or its machine."""
    LEFT = (5, "the other side ended first, in good order: what it accepted is counted")
    """As a pipe whose reader has gone."""
    INTERRUPTED = (128, "plus a signal: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; 141 when nobody reads the output any more")
    """In good order: the other side is told."""

    @property
    def code(self) -> int:
        """The exit code, for INTERRUPTED without the number of the signal."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """One line for the help."""
        return self.value[1]


@define(eq=False)
class Tally:
    """What went through so far. ``taken`` counts elements that came in, ``passed`` those that went out again."""

    taken: int = 0
    passed: int = 0
    size: int = 0
    in_doubt: int = 0
    left_over: int = 0
    links_lost: int = 0


@frozen
class Outcome:
    """How it ended; ``text`` is for people, empty when there is nothing to say."""

    cause: Cause
    text: str = ""
    signum: int = 0

    @property
    def code(self) -> int:
        """The exit code."""
        return self.cause.code + self.signum

    def as_json(self, tally: Tally, seconds: float) -> dict[str, Any]:
        """Everything that is known, for programs."""
        return {
            "cause": self.cause.name.lower(),
            "code": self.code,
            "elements": tally.passed,
            "bytes": tally.size,
            "seconds": round(seconds, 3),
            "in_doubt": tally.in_doubt,
            "left_over": tally.left_over,
            "error": self.text or None,
        }
