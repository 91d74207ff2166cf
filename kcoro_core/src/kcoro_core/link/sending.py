# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How a handle sends: against a lent slot at once, else by asking the home.

Rule 1: a send against a slot has completed: its element is delivered, or reported once, to ``on_undelivered`` of the
home's channel or, when the link is lost before the home has confirmed it, to that of this handle.
Rule 2: a send without a slot asks, whatever slots come meanwhile, and keeps its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MessageTooLong, WouldBlock
from ..semantics import CLOSED as CLAIM_CLOSED
from ..semantics import WAITING, Undelivered
from ..unraisable import report_unraisable
from .arguments import check_element
from .asking import DONE, Asking, Here

if TYPE_CHECKING:
    from ..cancel import CancelToken

__all__ = ["Payload", "Sending"]

Payload = bytes | bytearray | memoryview
"""What travels over a link: bytes, or something that is copied into bytes."""


class Sending(Asking):
    """The sending half of a handle."""

    __slots__ = ()

    # -- sending

    def send_here(self, element: bytes) -> bool:
        """Send against a lent slot; False, without effect, where there is none.

        The caller has made sure that the handle is usable. Raises what is known to be wrong with the element.
        """
        done, replaced = self._link.wire.send_data(self._id, element)
        if not done:
            return False
        self._link.pump.flush()
        if replaced is not None:
            self.undelivered(replaced, Undelivered.CONFLATED)
        return True

    def undelivered(self, element: bytes, why: Undelivered) -> None:
        """A send of this handle has completed, and its element reaches nobody, or nobody knows."""
        if self._on_undelivered is not None:
            try:
                self._on_undelivered(element, why, self)
            except BaseException as error:  # noqa: BLE001 - a hook changes no outcome
                report_unraisable(error, f"on_undelivered({element!r}, {why}, {self!r})")

    async def send(self, value: Payload, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """Have the home accept ``value``; returns when it has, as ``Channel.send`` does.

        With a lent slot it returns at once, and ``value`` is in the channel as of now (see ``Link.open``).
        ``timeout`` is in seconds, None waits for ever, 0 asks and does not wait there. Whatever is raised with
        ``outcome`` NOT_DONE, the value is still yours; IN_DOUBT means that the home did not tell in time.

        :raises TypeError: ``value`` is not bytes, bytearray or memoryview.
        :raises MessageTooLong: it exceeds ``max_message``.
        :raises WouldBlock: ``timeout`` is 0 and it would have to wait.
        :raises DeadlineExceeded: nobody took it in time.
        :raises OperationCancelled: ``cancel`` is set, or was set meanwhile.
        :raises ChannelClosed: the channel is closed, or was closed meanwhile, or a side left the link.
        :raises LinkLost: the link was lost; ``acked`` and ``in_doubt`` count the sends of this handle.
        :raises AccessDenied: this handle has no right to send.
        :raises NoBuffers: too many requests, or bytes, of this link wait at the home.
        """
        element = value if type(value) is bytes else check_element(value)
        if self._detached:
            self._check_attached()
        await self._ask(self._ask_to_send, element, True, timeout, cancel)
        self._sent += 1

    def _ask_to_send(self, element: bytes, timeout_ms: int) -> int | Here:
        if (self._closing is not None or self._shut is not None) and self.can_send:
            raise self.closed_error()
        if self._lends and self.send_here(element):
            return DONE
        return self._link.wire.send(self._id, element, timeout_ms)

    def try_send(self, value: Payload) -> None:
        """Send without asking the home, against a lent slot: use ``send(value, timeout=0)`` to ask it.

        :raises WouldBlock: there is no slot, as always without ``lend=True``; the home may still have room.
        """
        element = check_element(value)
        self._check_usable()
        if self.closed:
            raise self._failed(CLAIM_CLOSED, self.closed_error())
        if len(element) > self.max_message:
            raise MessageTooLong(f"{len(element)} bytes; {self!r} takes {self.max_message}")
        if self._lends and self.can_send and self.send_here(element):
            self._sent += 1
            return
        raise self._failed(WAITING, WouldBlock(f"not without asking: use send(value, timeout=0) on {self!r}"))
