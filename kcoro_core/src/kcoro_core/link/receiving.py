# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How a handle receives: what lies here ahead, else by asking the home for one element.

Rule: elements come in the order of the home, whichever way they come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

from ..channel import end_of_iteration
from ..errors import ChannelClosed, WouldBlock
from ..semantics import CLOSED as CLAIM_CLOSED
from ..semantics import WAITING
from .asking import Here
from .sending import Sending

if TYPE_CHECKING:
    from ..cancel import CancelToken

__all__ = ["Receiving"]


class Receiving(Sending):
    """The receiving half of a handle."""

    __slots__ = ()

    def ahead_has_news(self, over: bool) -> None:
        """An element lies here that was not asked for, or (``over``) none will any more: for the clauses of selects."""

    # -- receiving

    def recv_here(self) -> bytes | None:
        """Take an element that lies here ahead; None where there is none. The caller has made sure that it may."""
        return None if self._prefetch is None else self._prefetch.take()

    def _ask_for_element(self, _: None, timeout_ms: int) -> int | Here:
        prefetch = self._prefetch
        if prefetch is not None:
            if (element := prefetch.take()) is not None:
                return Here(element)
            if timeout_ms and (number := prefetch.adopt()):
                return number
        return self._link.wire.recv(self._id, timeout_ms)

    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> bytes:
        """Take the oldest element at the home, as ``Channel.recv`` does; at once if it lies here ahead.

        Raises as ``send`` does; whatever is raised, nothing was taken. ChannelClosed: closed and drained.
        """
        self._check_attached()

        value = await self._ask(self._ask_for_element, None, False, timeout, cancel)
        self._received += 1
        return cast(bytes, value)

    def try_recv(self) -> bytes:
        """Receive without asking the home, what lies here ahead: use ``recv(timeout=0)`` to ask it.

        :raises WouldBlock: nothing does, as always without ``prefetch``; the home may have something.
        """
        self._check_usable()
        if (element := self.recv_here()) is not None:
            self._received += 1
            return element
        if self._drained:
            raise self._failed(CLAIM_CLOSED, self.closed_error())
        raise self._failed(WAITING, WouldBlock(f"not without asking: use recv(timeout=0) on {self!r}"))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ChannelClosed as closed:
            end = end_of_iteration(closed)
            raise end from end.__cause__
