# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements that lie at this side ahead of a receive, and the receives that stand at the home for more of them.

Rule 1: at most ``most`` elements lie here or are asked for ahead; each that is taken is asked for anew.
Rule 2: a receive that finds nothing here takes over the oldest that stands, so that it is served first.
Rule 3: an element is confirmed when somebody takes it. Until then it is the home's: DETACH, a recall and the end of the
link give it back, or leave it to the home to report.
Rule 4: when the home recalls, everything that nobody took or waits for goes back, and nothing is asked for ahead again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..errors import KcoroError
from ..semantics import Kind, Overflow
from ..wire.codes import WireCode

if TYPE_CHECKING:
    from ..wire.events import ReplyReceived
    from .pending import Pending
    from .receiving import Receiving
    from .selecting import Followed

__all__ = ["Prefetch"]


class Prefetch:
    """What one handle has, and has asked for, ahead of its receives."""

    __slots__ = ("_handle", "_most", "_over", "_ready", "_standing")

    def __init__(self, handle: Receiving, most: int) -> None:
        self._handle = handle
        self._most = most
        self._over = not handle.can_recv or not _is_sent_ahead(handle)
        self._ready: deque[tuple[int, bytes]] = deque()
        self._standing: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def top_up(self) -> None:
        """Ask for as many as may lie here."""
        link = self._handle._link
        try:
            while not self._over and len(self._ready) + len(self._standing) < self._most:
                self._standing[link.wire.recv(self._handle.id, ahead=True)] = None
        except KcoroError:
            pass  # too many requests, or the link ends: the next element that is taken asks again
        link.pump.owe()

    def brings(self) -> bool:
        """Whether a receive stands at the home, so that an element will come here without being asked for."""
        self.top_up()
        return bool(self._standing)

    # -- for receives

    def take(self) -> bytes | None:
        """The oldest element that lies here, or None."""
        if not self._ready:
            return None
        request_id, element = self._ready.popleft()
        self._handle._link.wire.taken(request_id)
        self.top_up()
        return element

    def adopt(self) -> int:
        """The oldest receive that stands, for a task that is going to wait; 0 when there is none."""
        if not self._standing:
            return 0
        request_id = next(iter(self._standing))
        del self._standing[request_id]
        self.top_up()
        return request_id

    # -- news from the link

    def arrived(self, request_id: int, element: bytes) -> bool:
        """An element came that no task waits for; False when it was not asked for ahead."""
        if request_id not in self._standing:
            return False
        del self._standing[request_id]
        self._ready.append((request_id, element))
        self._handle.ahead_has_news(over=False)
        return True

    def exchange(self, request_id: int, element: bytes) -> bytes:
        """An element came for a task that waits: that task gets the oldest one that is here."""
        self._ready.append((request_id, element))
        first, oldest = self._ready.popleft()
        self._handle._link.wire.taken(first)
        return oldest

    def refused(self, news: ReplyReceived) -> bool:
        """A receive that stands was refused: closed, or not to be sent ahead. Either way nothing more is asked for."""
        if news.request_id not in self._standing:
            return False
        del self._standing[news.request_id]
        if news.code == WireCode.EPIPE:
            self._handle._drained = True
        self.stop()
        return True

    def answered(self, news: ReplyReceived, op: Pending | Followed) -> bool:
        """A receive that ``op`` waits for was refused; False when that is its answer, which is for the caller to tell.

        It is not when an element came here in front of it, nor when the home only refuses to send ahead.
        """
        if news.code == WireCode.EAGAIN and (element := self.take()) is not None:
            op.succeed(element)
            return True
        if news.code != WireCode.ENOTSUP:
            return False
        self.stop()
        if op.asked_to_cancel:
            op.not_done()
        else:
            self._ask_plainly(op)
        return True

    def _ask_plainly(self, op: Pending | Followed) -> None:
        """Whoever took over a receive that was to come ahead waits by one that is not."""
        link, channel_id = self._handle._link, self._handle.id
        try:
            link.check_usable(op.about, channel_id)
            op.number = link.wire.recv(channel_id)
        except KcoroError as error:  # the link is ending, or has no room for one more request: nothing was taken
            op.refuse(error)
        else:
            link.opener.follow(op.number, op)
            link.pump.flush()

    def recalled(self) -> None:
        """The home wants back what nobody took."""
        wire = self._handle._link.wire
        self.stop()
        for request_id, _ in self._ready:
            wire.putback(request_id)
        self._ready.clear()
        wire.give_back_ahead(self._handle.id)
        self._handle._link.pump.owe()

    def end(self) -> None:
        """The handle or its link is over; what lies here is the home's."""
        self._over = True
        self._standing.clear()
        self._ready.clear()

    def stop(self) -> None:
        """Nothing more is asked for ahead, and what stands is given up."""
        self._over = True
        standing, self._standing = self._standing, {}
        for request_id in standing:
            self._handle._link.withdraw(request_id)
        self._handle.ahead_has_news(over=True)


def _is_sent_ahead(handle: Receiving) -> bool:
    """Whether a home sends elements of such a channel ahead: where one would lie in the channel otherwise."""
    return handle.kind in (Kind.BUFFERED, Kind.UNLIMITED) and handle.overflow is Overflow.SUSPEND
