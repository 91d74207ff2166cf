# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Draining a link: announce the end, take up nothing new, finish what is under way, say goodbye.

Under way are: sends of the peer that wait here, its calls that are handled, elements that were handed to it and are not
confirmed, and requests of this side without an answer. A receive that waits for an element is not: it is refused at
once on the side of the peer, and ends with the goodbye on this one.

Rule 1: whatever happens, it ends at the deadline, or with the link.
Rule 2: what was finished, what was refused and what is in doubt is counted, each thing in one of the three.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from attrs import frozen

from ..cancel import CancelToken
from ..errors import DeadlineExceeded, WouldBlock
from ..hosts.port import current_host
from ..parking import check_timeout
from ..wire.commands import WAITING_ONLY
from ..wire.events import LossReport
from ..wire.messages import milliseconds
from .ending import Ending
from .report import LinkReport

if TYPE_CHECKING:
    from .link import Link

__all__ = ["DRAINING", "Drain", "DrainReport", "drain"]

DRAINING: Final = "link is being drained"
"""The reason that is found when a side has announced the end, and something new is asked."""


@frozen
class DrainReport:
    """What became of everything that was under way when a link was drained, and of what came later.

    ``finished`` was under way on either side and ended as it would have without the drain. ``refused`` counts requests
    of the peer that are known not done: receives that waited, whatever it asked too late, and what the deadline ended.
    ``in_doubt`` counts requests of this side that were not answered, and elements that the peer did not confirm.
    ``in_time``: all was finished before the deadline, and both sides said goodbye.
    """

    finished: int
    refused: int
    in_doubt: int
    in_time: bool


class Drain:
    """One link that is being drained."""

    def __init__(self, link: Link) -> None:
        self.over = CancelToken()
        self._link = link
        self._receives = link._exporting.refuse_receives(DRAINING)
        self._began_with = self._under_way()
        self._left = self._unfinished = self._unanswered = 0  # when the goodbye came, and of this side in the end
        self._said = False

    def look(self) -> None:
        """Something has happened: see whether all is finished."""
        if not self.over.is_set():
            self._receives += self._link._exporting.refuse_receives(DRAINING)
            if not self._under_way():
                self.over.trigger()

    def say_goodbye(self) -> None:
        """All is finished, or the time is over."""
        if not self._said:
            self._said = True
            self._left = self._peers()
            self._unfinished = self._under_way()
            self._link.lifecycle.say_goodbye()

    def lost(self, loss: LossReport, ending: Ending) -> None:
        """The link has ended, and what was under way is about to be given up."""
        ours = [one.request_id for one in loss.requests if one.command not in WAITING_ONLY]
        if not self._said:
            self._said = True
            self._left = self._peers()
            self._unfinished = self._left + self._link._exporting.travelling + len(ours)
        self._unanswered = sum(map(ending.is_in_doubt, ours))
        self.over.trigger()

    def report(self) -> DrainReport:
        """The link has ended: what is known."""
        end = cast(LinkReport, self._link.report)
        return DrainReport(
            self._began_with - self._unfinished,
            self._receives + self._left + self._link.wire.refused_late,
            self._unanswered + end.undelivered_in_doubt,
            not self._unfinished and end.orderly,
        )

    def _peers(self) -> int:
        return self._link._exporting.waiting + self._link._answering.running

    def _under_way(self) -> int:
        return self._peers() + self._link._exporting.travelling + self._link.wire.unanswered


async def drain(link: Link, timeout: float | None) -> DrainReport:
    """Do what ``link.drain`` says; a second one waits for the same end, with its own deadline."""
    limit = check_timeout(timeout)
    host = current_host()
    link._enter(host)
    await host.cancel_point()
    draining = link.lifecycle.draining
    if draining is None:
        link.check_usable(link)
        link.wire.drain(milliseconds(limit))
        link._answering.take_no_more()
        draining = Drain(link)
        link.lifecycle.begin_drain(draining)
        link.pump.flush()
    draining.look()
    with suppress(DeadlineExceeded, WouldBlock):
        await draining.over.wait(limit)
    with host.open_cancel_scope(shield=True):
        draining.say_goodbye()
        await link.pump.gone.wait()
    return draining.report()
