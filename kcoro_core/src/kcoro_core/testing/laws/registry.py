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
    "KNOWN_HERE",
    "LAWS",
    "NO_CHANNEL",
    "NO_SNAPSHOT",
    "REASON_TRAVELS",
    "SELECT_ASKS",
    "TIMING_IS_LOCAL",
    "TRY_IS_LOCAL",
    "Group",
    "Law",
    "Need",
    "law",
    "local_only",
]

TRY_IS_LOCAL: Final = "try_* on a remote handle answers only from lent slots and prefetched elements"
"""Why a law of ``try_*`` is local; give it as ``local`` to ``law``."""
TIMING_IS_LOCAL: Final = "over a link the order of arrival decides, not the order of calls on two sides"
"""Why a law about the exact instant of calls is local; give it as ``local``."""
REASON_TRAVELS: Final = "an object does not travel: over a link the reason arrives as text"
"""Why a law about the identity of a reason is local; give it as ``local``."""
NO_SNAPSHOT: Final = "a try over several homes asks one after the other, which is no snapshot of all of them"
"""Why a law about the one instant of a try is local; give it as ``local``."""
KNOWN_HERE: Final = "what is known on this side is taken before a home is asked, whatever the order of the mode"
"""Why a law about which of several ready clauses wins is local, or leaves mixed selects out."""
NO_CHANNEL: Final = "none of its clauses is about a channel, so there is nothing that a link could change"
"""Why a law of other clauses is local; give it as ``local``."""
SELECT_ASKS: Final = "it calls the methods of a clause itself; one on a handle is asked by select, through its link"
"""Why a law that takes the place of select is local; give it as ``local``."""

LawFunction = Callable[..., Awaitable[None]]


class Group(enum.Enum):
    """Which promise a law belongs to; a host outside core may claim some of them only."""

    CHANNEL = "channel"
    """What sends, receives, closing and overflow do; runs on remote handles too."""
    SELECT = "select"
    """What a select over several clauses decides, in its three modes."""
    CLAUSE = "clause"
    """What every clause owes a select, those of strangers included."""
    CORE = "core"
    """What an engine's surface does below the face; no host takes part."""
    CANCEL = "cancel"
    """What tokens do: trees, callbacks, and calls that were given one."""
    SCOPE = "scope"
    """What scopes and their tasks do, failures and results included."""
    LOOP = "loop"
    """What belongs to one run: threads, portals, wrong loops, checkpoints."""
    COROUTINE = "coroutine"
    """What functions with stacks of their own do; for engines that have them. No host takes part."""


class Need(enum.Enum):
    """What a law needs of where it runs, beside tasks and a clock; the value is the reason when that is missing."""

    VIRTUAL_TIME = "its waits are too long, or too exact, for a real clock"
    """A clock that jumps; without it the law is left out."""
    REAL_TIME = "it lets threads run, for which a virtual clock would not wait"
    """A clock that runs by itself, because other threads take part."""
    TRIO = "it is about trio's own cancellation, tasks or interfaces"
    """A run of trio; other hosts have nothing to show here."""
    DESCRIPTORS = "it uses file descriptors of the operating system"
    """Descriptors that the operating system knows, not scripted ones."""
    SIGNALS = "it sends signals to its own process"
    """Signals of the operating system, in the main thread."""
    WAKE_UPS = "it counts how often the loop woke up"
    """A loop that can say how often it woke up."""
    NO_HOST = "it is about functions that run on no host"
    """A thread without a loop; the function of the law is ``async`` like all, and awaits nothing."""


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
    with_channels = (Group.CHANNEL, Group.SELECT, Group.CLAUSE)
    return reasons | {law.id: f"no channel law: {law.group.value}" for law in laws if law.group not in with_channels}
