# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Handles on channels that live at the other end of a link, with the methods of a channel.

The home holds the truth: every operation asks it and waits for the answer, so that a send, a receive and a close mean
what they mean locally. Links copy, so elements are bytes. How a handle waits, sends and receives is said in ``asking``,
``sending`` and ``receiving``; here is the whole, its news and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self, cast

from ..engine import ChannelSnapshot
from ..hosts.port import find_host
from ..wire.messages import ChannelInfo, Closing
from .closing import closing_of
from .receiving import Receiving

if TYPE_CHECKING:
    from ..cancel import CancelToken

__all__ = ["RemoteChannel"]


class RemoteChannel(Receiving):
    """A channel at the other end of a link; ``link.open(name)`` makes it.

    Every error of ``send`` leaves the value with the caller and every error of ``recv`` has taken nothing, unless its
    ``outcome`` is IN_DOUBT. After the link was lost every call raises LinkLost; after either side left in good order,
    ChannelClosed. Leaving a ``with`` block gives the handle up (``detach``) and closes nothing at the home.
    """

    __slots__ = ()

    is_remote: ClassVar[bool] = True

    def __len__(self) -> int:
        return 0 if self._prefetch is None else len(self._prefetch)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = " detached" if self._detached else " closed" if self.closed else ""
        return f"<RemoteChannel {self.name!r} {self.kind.name}{state} over {self._link.uri}>"

    def snapshot(self) -> ChannelSnapshot:
        """The counters of this handle; ``length`` and the like are of this side, and ``info()`` asks the home."""
        would_block, deadline, cancelled, closed = self._failures
        return ChannelSnapshot(
            kind=self.kind,
            overflow=self.overflow,
            capacity=self.capacity,
            length=len(self),
            peak_length=0,
            closed=self.closed,
            waiting_senders=self._waiting[1],
            waiting_receivers=self._waiting[0],
            sent=self._sent,
            received=self._received,
            dropped=0,
            handoffs=0,
            failed_would_block=would_block,
            failed_deadline=deadline,
            failed_cancelled=cancelled,
            failed_closed=closed,
        )

    async def info(self, timeout: float | None = None, cancel: CancelToken | None = None) -> ChannelInfo:
        """State and counters of the channel, true at its home at one instant."""
        self._check_attached()
        return cast(
            ChannelInfo, await self._ask(lambda: self._link.wire.info(self._id), False, timeout, cancel, counted=False)
        )

    # -- the end

    def close(self, reason: object = None) -> None:
        """Have the home close the channel: as ``Channel.close``, once this news has arrived there.

        Returns at once; sends of this handle fail from now on, and whatever is asked through this link later finds the
        channel closed. Of ``reason`` its text travels. Harmless the second time.

        :raises AccessDenied: this handle has no right to close; use ``detach()`` to give it up.
        :raises LinkLost: the link was lost; the channel is as it was.
        :raises NoBuffers: too many requests of this link are in flight; the channel is as it was.
        """
        self._end(closing_of(reason))

    def cancel(self, reason: object = None) -> None:
        """Have the home cancel the channel: closed, and what is queued goes to ``on_undelivered`` there."""
        self._end(closing_of(reason, cancel=True))

    def _end(self, closing: Closing) -> None:
        self._check_usable()
        if self._shut is not None and self._shut.cancel >= closing.cancel:
            return
        self._link.wire.close(self._id, closing)
        self._link.pump.flush()
        self._shut = closing if self._shut is None else Closing(self._shut.reason, self._shut.text, cancel=True)

    def detach(self) -> None:
        """Give the handle up: what waits on it ends with ChannelClosed, and the channel at the home goes on.

        A send that waits may still turn out to be done. Harmless the second time, and after the link has ended.
        """
        self._enter(find_host())
        if not self._detached:
            self._detached = True
            if self._prefetch is not None:
                self._prefetch.end()
            self._link.detach(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    # -- news from the link

    def _heard(self, closing: Closing) -> None:
        self._closing = closing
