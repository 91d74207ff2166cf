# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a law is: one sentence about kcoro, a function that can find it broken, and to what it applies.

Rule 1: a law speaks through its harness and the public names only, so that it runs on every engine, host and link.
Rule 2: a law that cannot hold across a link says why, in ``local``; these reasons are counted and printed.
Rule 3: a law that needs something of its host (virtual time, threads, descriptors) names it in ``needs``.

The docstring of the function is the law. Its last line cites the rows of the feature list: ``Rows: CH1, X10.``
"""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

__all__ = [
    "LAWS",
    "REASON_TRAVELS",
    "SELECT_IS_LOCAL",
    "TIMING_IS_LOCAL",
    "TRY_IS_LOCAL",
    "Group",
    "Law",
    "Need",
    "law",
    "local_only",
]

# Why a law does not hold across a link, where several have the same reason.
TRY_IS_LOCAL: Final = "try_* on a remote handle answers only from lent slots and prefetched elements"
TIMING_IS_LOCAL: Final = "over a link the order of arrival decides, not the order of calls on two sides"
REASON_TRAVELS: Final = "an object does not travel: over a link the reason arrives as text"
SELECT_IS_LOCAL: Final = "select over a remote channel is not built yet: it raises NotSupported"

LawFunction = Callable[..., Awaitable[None]]


class Group(enum.Enum):
    """Which promise a law belongs to; a host outside core may claim some of them only."""

    CHANNEL = "channel"
    SELECT = "select"
    CLAUSE = "clause"
    CORE = "core"
    CANCEL = "cancel"
    SCOPE = "scope"
    LOOP = "loop"


class Need(enum.Enum):
    """What a law needs of where it runs, beside tasks and a clock; the value is the reason when that is missing."""

    VIRTUAL_TIME = "its waits are too long, or too exact, for a real clock"
    REAL_TIME = "it lets threads run, for which a virtual clock would not wait"
    TRIO = "it is about trio's own cancellation, tasks or interfaces"
    DESCRIPTORS = "it uses file descriptors of the operating system"
    SIGNALS = "it sends signals to its own process"
    WAKE_UPS = "it counts how often the loop woke up"


@frozen
class Law:
    """One law with its cases; ``cases`` maps a label to what the function gets as second argument."""

    id: str
    fn: LawFunction
    group: Group
    cases: Mapping[str, Any]
    needs: frozenset[Need]
    local: str | None
    sentence: str = field()
    rows: tuple[str, ...] = field()

    @sentence.default
    def _first_lines(self) -> str:
        text = " ".join((self.fn.__doc__ or "").split())
        return text.partition(" Rows:")[0]

    @rows.default
    def _cited(self) -> tuple[str, ...]:
        cited = re.search(r"Rows?: ([A-Z0-9, ]+)\.", self.fn.__doc__ or "")
        return tuple(cited[1].split(", ")) if cited else ()


LAWS: Final[list[Law]] = []
"""Every law, in the order in which its module was imported; ``testing.laws`` imports them all."""


def law(
    law_id: str,
    group: Group,
    *,
    over: Mapping[str, Any] | None = None,
    needs: Iterable[Need] = (),
    local: str | None = None,
) -> Callable[[LawFunction], LawFunction]:
    """Register a law. ``over`` gives its cases; ``local`` the reason why it does not hold across a link."""

    def register(fn: LawFunction) -> LawFunction:
        LAWS.append(Law(law_id, fn, group, {"": None} if over is None else dict(over), frozenset(needs), local))
        return fn

    return register


def local_only(laws: Iterable[Law]) -> dict[str, str]:
    """The laws that do not apply to a channel at the other end of a link, each with its reason."""
    reasons = {law.id: law.local for law in laws if law.local is not None}
    return reasons | {law.id: f"no channel law: {law.group.value}" for law in laws if law.group is not Group.CHANNEL}
