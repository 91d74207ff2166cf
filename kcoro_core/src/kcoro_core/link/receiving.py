# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How a handle receives: by asking the home for one element after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

from ..channel import end_of_iteration
from ..errors import ChannelClosed, WouldBlock
from ..parking import check_timeout
from ..semantics import CLOSED as CLAIM_CLOSED
from ..semantics import WAITING
from ..wire.messages import FOREVER_MS, milliseconds
from .sending import Sending

if TYPE_CHECKING:
    from ..cancel import CancelToken

__all__ = ["Receiving"]


class Receiving(Sending):
    """The receiving half of a handle."""

    __slots__ = ()

    # -- receiving

    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> bytes:
        """Take the oldest element at the home, as ``Channel.recv`` does.

        Raises as ``send`` does; whatever is raised, nothing was taken. ChannelClosed: closed and drained.
        """
        self._check_attached()

        def ask() -> int:
            return self._link.wire.recv(self._id, hint)

        hint = FOREVER_MS if timeout is None else milliseconds(check_timeout(timeout))
        value = await self._ask(ask, False, timeout, cancel)
        self._received += 1
        return cast(bytes, value)

    def try_recv(self) -> bytes:
        """Receive without asking the home, which nothing can: use ``recv(timeout=0)`` to ask it.

        :raises WouldBlock: always, unless the channel is known to be closed and drained.
        """
        self._check_usable()
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
