# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Handles on channels that live at the other end of a link, with the methods of a channel.

The home holds the truth: every operation asks it and waits for the answer, so that a send, a receive and a close mean
what they mean locally. Links copy, so elements are bytes. How a handle waits, sends and receives is said in ``asking``,
``sending`` and ``receiving``; here is the whole, its news and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from ..engine import CLOSED, OK, WOULD_BLOCK, ChannelSnapshot, Sentinel
from ..errors import KcoroError
from ..hosts.port import find_host
from ..wire.messages import Attributes, ChannelInfo, Closing
from .closing import closing_of
from .receiving import Receiving
from .selecting import End

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from .link import Link

__all__ = ["RemoteChannel"]


class AnyEngine:
    """The engine of a handle: none of this process, so it fits to all."""

    name: ClassVar[None] = None


class RemoteChannel(Receiving):
    """A channel at the other end of a link; ``link.open(name)`` makes it.

    Every error of ``send`` leaves the value with the caller and every error of ``recv`` has taken nothing, unless its
    ``outcome`` is IN_DOUBT. After the link was lost every call raises LinkLost; after either side left in good order,
    ChannelClosed. Leaving a ``with`` block gives the handle up (``detach``) and closes nothing at the home.
    """

    __slots__ = ("_core", "_order")

    is_remote: ClassVar[bool] = True
    _engine: ClassVar = AnyEngine()

    def __init__(self, link: Link, name: str, channel_id: int, attributes: Attributes) -> None:
        super().__init__(link, name, channel_id, attributes)
        self._core = End(self)  # for the clauses of a select
        self._order = link.wire.order(channel_id)  # None if the link ended meanwhile

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
            last_seq_written=None if self._order is None else self._order.last_written,
            last_seq_read=None if self._order is None else self._order.last_read,
        )

    async def info(self, timeout: float | None = None, cancel: CancelToken | None = None) -> ChannelInfo:
        """State and counters of the channel, true at its home at one instant."""
        self._check_attached()
        info = await self._ask(self._ask_for_info, None, False, timeout, cancel, counted=False)
        return cast(ChannelInfo, info)

    def _ask_for_info(self, *_: object) -> int:
        return self._link.wire.info(self._id)

    # -- for a select

    def _recv_here(self) -> Any:
        """What a receive is sure of without asking: an element, CLOSED, or WOULD_BLOCK for nothing."""
        self._check_attached()
        if not self._link.closed and (element := self.recv_here()) is not None:
            self._received += 1
            return element
        return CLOSED if self._drained or self._link.closed else WOULD_BLOCK

    def ahead_has_news(self, over: bool) -> None:
        """Those clauses that stand on this side look, or go to the home."""
        if over:
            self._core.comes_no_more()
        else:
            self._core.looks_ready()

    def _comes_ahead(self) -> bool:
        """Whether a receive is under way already whose element will be known here."""
        return self._prefetch is not None and self._prefetch.brings()

    def _send_here(self, element: bytes) -> Sentinel:
        """The same for a send: OK when it is done, against a lent slot."""
        self._check_attached()
        if self.closed or self._link.closed:
            return CLOSED
        if not (self.can_send and len(element) <= self.max_message and self.send_here(element)):
            return WOULD_BLOCK
        self._sent += 1
        return OK

    def _shut_error(self) -> KcoroError:
        """A new error that says why nothing can be had of this channel any more."""
        try:
            self._link.check_usable(self, self._id)
        except KcoroError as error:
            return error
        return self.closed_error()

    def _selected(self, sending: bool) -> None:
        """A clause of this handle has won."""
        self._sent += sending
        self._received += not sending

    def _heard_drained(self, sending: bool) -> None:
        """The home told a clause that nothing will come any more."""
        self._drained = self._drained or not sending

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

    async def destroy(self, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """Cancel the channel at its home, wait until that is done, and give the handle up.

        What is queued goes to ``on_undelivered`` there. A channel that a peer has made is gone with it, and its name
        is free; any other stays under its name, closed.

        Raises as ``close`` does, and as every wait; unless it returns, the handle is kept.
        """
        self._check_attached()
        await self._ask(self._ask_to_close, closing_of(None, cancel=True), False, timeout, cancel, counted=False)
        self.detach()

    def _ask_to_close(self, closing: Closing, _: int) -> int:
        return self._link.wire.close(self._id, closing)

    def detach(self) -> None:
        """Give the handle up: what waits on it ends with ChannelClosed, and the channel at the home goes on.

        A send that waits may still turn out to be done. Harmless the second time, and after the link has ended.
        """
        self._enter(find_host())
        if not self._detached:
            self._detached = True
            if self._prefetch is not None:
                self._prefetch.end()
            self._link.opener.detach(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    # -- news from the link

    def _heard(self, closing: Closing) -> None:
        self._closing = closing

    def link_ended(self) -> None:
        """The link is over, and everybody who waits for an answer is told; called before those who only stand here."""
