# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A request of ours while a task waits for its answer: the claim word decides, and the peer decides the claim.

It is CLAIMING from its first moment, so that nothing on this side can end it but the answer, the grace or the end of
the link. A deadline, a token or the host's cancellation is remembered, sends CANCEL once, and takes effect only when
the peer has said that nothing happened; a success that crosses the CANCEL wins.

Rule 1: a request that was not written yet is withdrawn at once, and is known not done.
Rule 2: after the grace the wait ends as it was asked to end; ``in_doubt`` then says that the peer never told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reference.waiter import Operation
from ..semantics import CANCELLED, CLAIMING, WAITING

if TYPE_CHECKING:
    from ..hosts.port import Host
    from .link import Link

__all__ = ["Pending"]


class Pending(Operation):
    """One request in flight and the task that waits for it."""

    __slots__ = ("about", "asked_to_cancel", "channel_id", "in_doubt", "link", "number")

    def __init__(self, link: Link, host: Host, number: int, sending: bool, about: object, channel_id: int) -> None:
        """``about`` is the handle, or the name that is being opened."""
        # What Operation sets, in line, since each request makes one; the claim is as after ``begin_claim(0)``.
        self.claim, self.late = CLAIMING, WAITING
        self.parker = host
        self.sending = sending
        self.value = self.error = self.task = None
        self.link = link
        self.number = number
        self.about = about
        self.channel_id = channel_id
        self.asked_to_cancel = False
        self.in_doubt = False

    def forget(self) -> None:
        """The wait is over, however; whatever the peer still says of it is nobody's news."""
        self.link.forget(self.number)

    # -- this side wants to end it

    def give_up(self) -> bool:
        """The host cancelled the task: as for any operation, but the answer is asked for first."""
        given_up = super().give_up()
        if self._ask_to_cancel():
            self.claim = CANCELLED
            return True
        return given_up

    def _end(self, how: int) -> bool:
        decided = super()._end(how)
        if self._ask_to_cancel():
            self.end_claim()
        return decided

    def _ask_to_cancel(self) -> bool:
        """Send CANCEL, once. True when the request had not been written, and is gone."""
        if self.claim > CLAIMING or self.asked_to_cancel:
            return False
        self.asked_to_cancel = True
        return self.link.withdraw(self.number)

    # -- the peer has answered

    def notified(self, events: int, token: int) -> None:
        """Nothing but a registration of a select is told anything before its answer."""
        raise AssertionError("this request is no registration")

    def succeed(self, value: object = None) -> None:
        """The peer did it: success wins over whatever this side wanted meanwhile."""
        self.claim = 0  # win_claim, for the only clause
        self.value = value
        self.parker.unpark(self)

    def refuse(self, error: Exception) -> None:
        """The peer did not do it: what this side wanted counts, if it was a cancel; else the peer's reason."""
        if self.late == CANCELLED:
            self.end_claim()
        else:
            self.win_claim()
            self.fail(error)

    def not_done(self) -> None:
        """The peer has cancelled it, as this side asked: what was remembered takes effect."""
        self.end_claim()

    def doubt(self) -> None:
        """The peer has not answered the CANCEL in time: end as this side wanted to."""
        self.in_doubt = True
        self.end_claim()

    def lose(self, error: Exception, in_doubt: bool) -> None:
        """The link has ended before the answer came."""
        self.in_doubt = in_doubt
        self.refuse(error)
