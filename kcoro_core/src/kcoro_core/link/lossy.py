# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A handle whose values come unasked, and may be lost: the newest lies here until it is received or replaced.

It sends, closes and is given up as every handle; to receive it never asks the home. What lies here is kept by a
CONFLATED channel of this side, so that receives wait, expire and are cancelled as on any channel.

Rule 1: each value of the home is received, or reported once to ``on_undelivered`` of this handle, or counted in
``lost`` once a later one, or the end, shows that it is missing.
Rule 2: an older value never comes behind a newer one.
Rule 3: what lies here can still be received behind the end, of the channel or of the link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import evolve

from ..channel import Channel, channel
from ..engine import CLOSED, WOULD_BLOCK, ChannelSnapshot
from ..errors import ChannelClosed, KcoroError
from ..semantics import Kind, Undelivered
from ..wire.codes import WireCode, error_of
from ..wire.messages import Attributes
from .remote import RemoteChannel
from .selecting import End, Followed

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from ..claiming import RemoteSelect
    from .link import Link
    from .selecting import Asked

__all__ = ["LossyChannel"]


class LossyChannel(RemoteChannel):
    """A handle that was opened with ``lossy=True``; see ``Link.open``."""

    __slots__ = ("_latest", "_lost", "_why")

    def __init__(self, link: Link, name: str, channel_id: int, attributes: Attributes) -> None:
        super().__init__(link, name, channel_id, attributes)
        self._core = LossyEnd(self)
        self._latest: Channel[bytes] = channel(Kind.CONFLATED, on_undelivered=self._replaced, name=name)
        self._lost = 0
        self._why: tuple[int, str] | None = None  # nothing follows: what the home said

    def __len__(self) -> int:
        return len(self._latest)

    def snapshot(self) -> ChannelSnapshot:
        """The counters of this handle: ``lost`` values never came, ``dropped`` came and were replaced or given up."""
        both, here = super().snapshot(), self._latest.snapshot()
        return evolve(
            both,
            length=here.length,
            peak_length=here.peak_length,
            waiting_receivers=here.waiting_receivers,
            dropped=here.dropped,
            lost=self._lost,
            failed_would_block=both.failed_would_block + here.failed_would_block,
            failed_deadline=both.failed_deadline + here.failed_deadline,
            failed_cancelled=both.failed_cancelled + here.failed_cancelled,
            failed_closed=both.failed_closed + here.failed_closed,
        )

    # -- receiving

    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> bytes:
        """Take the newest value; waits while none lies here, and asks nobody.

        Raises as ``Channel.recv``; ChannelClosed and LinkLost once nothing lies here any more.
        """
        self._check_attached()
        try:
            value = await self._latest.recv(timeout, cancel)
        except ChannelClosed:
            raise self._shut_error() from None
        self._received += 1
        return value

    def try_recv(self) -> bytes:
        """Take the newest value if one lies here. Raises WouldBlock, or as ``recv``."""
        self._check_attached()
        try:
            value = self._latest.try_recv()
        except ChannelClosed:
            raise self._shut_error() from None
        self._received += 1
        return value

    # -- for a select

    def _recv_here(self) -> Any:
        self._check_attached()
        value = self._latest._core.recv_now()
        self._received += value is not WOULD_BLOCK and value is not CLOSED
        return value

    def _comes_ahead(self) -> bool:
        return True

    def _shut_error(self) -> KcoroError:
        if self._detached:
            return self.detached_error()
        if self._why is None:
            return super()._shut_error()
        code, text = self._why
        if code == WireCode.EPIPE:
            return self.closed_error(text)
        error = error_of(code, f"{text}: {self!r}")
        return error if isinstance(error, KcoroError) else ChannelClosed(str(error), reason=error)

    # -- news from the link

    def came(self, value: bytes, gap: int) -> None:
        """A value came, newer than all before, and ``gap`` in front of it did not."""
        self._lost += gap
        if self._detached:
            return
        self._latest._core.send_now(value)
        self.ahead_has_news(over=False)

    def ended(self, code: int, text: str, gap: int) -> None:
        """The home sends nothing more, and has said why."""
        self._lost += gap
        self._why = (code, text)
        self._no_more()

    def link_ended(self) -> None:
        """The link is over."""
        self._no_more()

    def _no_more(self) -> None:
        self._latest._core.close()
        self.ahead_has_news(over=False)  # they look, and find what lies here, or that nothing follows

    def _replaced(self, value: bytes, why: Undelivered, _channel: object) -> None:
        self.undelivered(value, why)

    # -- the end

    def detach(self) -> None:
        """Give the handle up, as every handle; the value that lies here is reported."""
        super().detach()
        self._latest._core.cancel()


class LossyEnd(End):
    """What clauses have of it: whoever receives stands on this side, and a try is answered here."""

    __slots__ = ()

    def lost(self, error: Callable[[], KcoroError]) -> None:
        """The handle is over: who stands here may have what lies here, and then hears of it."""
        for stand in tuple(self.stands):
            stand.select.look()
        super().lost(error)

    def ask(self, select: RemoteSelect, index: int, sending: bool, value: Any) -> Asked | NotHere:  # type: ignore[override]
        """Make an exact try: what could be received was looked for before."""
        return super().ask(select, index, sending, value) if sending else NotHere(self, select)


class NotHere(Followed):
    """A try to receive that finds nothing; the select is told at the end of the turn, as by a home."""

    __slots__ = ("_timer",)

    def __init__(self, end: End, select: RemoteSelect) -> None:
        super().__init__(end, select, 0)
        host = end.handle._link.host
        self._timer = host.call_at(host.now(), select.denied)

    def give_up(self) -> bool:
        """Nothing is under way."""
        return self._timer.cancel()

    def forget(self) -> None:
        """Nobody wants to know any more."""
        self._timer.cancel()
