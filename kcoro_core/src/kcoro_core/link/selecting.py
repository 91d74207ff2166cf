# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Clauses on handles: what a select asks of the home of a channel, and what the home tells it (see ``claiming.py``).

Rule 1: ``recv_now`` and ``send_now`` tell only what is known on this side, as ``try_recv`` and ``try_send`` do.
Rule 2: a claim is a request like any other: it is counted, given up, in doubt and lost in the same way.
Rule 3: an element that comes for nobody goes back.
Rule 4: where elements come ahead of their receives, a clause that receives stands here, as long as one comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..engine import Sentinel
from ..errors import KcoroError, MessageTooLong, WouldBlock
from ..wire.remote_select import Readiness
from .arguments import check_element

if TYPE_CHECKING:
    from ..claiming import RemoteSelect
    from .remote import RemoteChannel

__all__ = ["Asked", "End", "Followed", "Stand"]


class End:
    """What a clause has of a handle in place of a channel of this process."""

    __slots__ = ("handle", "stands")

    def __init__(self, handle: RemoteChannel) -> None:
        self.handle = handle
        self.stands: dict[Stand, None] = {}

    @property
    def node(self) -> bytes:
        """The id of this node, which orders selects."""
        return self.handle._link.node

    @property
    def given_up(self) -> bool:
        """Whether the handle was detached."""
        return self.handle._detached

    @property
    def grace(self) -> float:
        """How long a home may take to answer, in seconds."""
        return self.handle._link.grace

    def flush(self) -> None:
        """Write what was queued for the home, all at once."""
        self.handle._link.pump.flush(crowded=False)

    def soon(self, select: RemoteSelect) -> None:
        """Have the select look once all that has arrived was heard, so that the order of its mode decides."""
        self.handle._link.opener.expect(select)

    # -- known on this side

    def recv_now(self) -> Any:
        """An element that is here, CLOSED, or WOULD_BLOCK: ask."""
        value = self.handle._recv_here()
        return self.incoming(value) if isinstance(value, bytes) else value

    def send_now(self, value: Any) -> Sentinel:
        """OK against a slot that is lent, CLOSED, or WOULD_BLOCK: ask."""
        return self.handle._send_here(self.outgoing(value))

    def looks_ready(self) -> None:
        """Something is here that was not before: those who stand may have it."""
        for stand in self.stands:
            self.soon(stand.select)

    def comes_no_more(self) -> None:
        """Nothing comes here ahead any more: those who waited for that stand at the home from now on."""
        for stand in tuple(self.stands):
            if not stand.number and self.handle._drained:
                stand.notified(Readiness.CLOSED, 0)
            elif not stand.number:
                try:
                    self._register(stand)
                except KcoroError as error:
                    stand.refuse(error)
        self.flush()

    def lost(self, error: Callable[[], KcoroError]) -> None:
        """The handle is over: those who stand on this side only have no request that would end."""
        for stand in tuple(self.stands):
            if not stand.number:
                stand.refuse(error())

    # -- at the home

    def stand(self, select: RemoteSelect, index: int, sending: bool, value: Any) -> Stand:
        """Have a clause stand at the home, until the select is over."""
        stand = Stand(self, select, index, self._fit(value) if sending else None)
        self.check_usable()
        if sending or not self.handle._comes_ahead():
            self._register(stand)
        self.stands[stand] = None
        self.handle._waiting[sending] += 1
        return stand

    def _register(self, stand: Stand) -> None:
        link = self.handle._link
        event = Readiness.RECV_READY if stand.element is None else Readiness.SEND_READY
        stand.number = link.wire.register(self.handle._id, stand.select.serial, event | Readiness.CLOSED)
        link.opener.follow(stand.number, stand)

    def ask(self, select: RemoteSelect, index: int, sending: bool, value: Any) -> Asked:
        """Make an exact try at the home."""
        element = self._fit(value) if sending else None
        self.check_usable()
        link, number = self.handle._link, self.handle._id
        asked = link.wire.recv(number, 0) if element is None else link.wire.send(number, element, 0)
        return self.asked(select, asked, sending)

    def asked(self, select: RemoteSelect, number: int, sending: bool) -> Asked:
        """A select waits for the answer to this request, which was just queued."""
        request = Asked(self, select, number, sending)
        self.handle._link.opener.follow(number, request)
        self.flush()
        return request

    def check_usable(self) -> None:
        """Raise why nothing can be asked over this handle any more: it was given up, or its link has ended."""
        if self.handle._detached:
            raise self.handle.detached_error()
        self.handle._link.check_usable(self.handle, self.handle._id)

    def _fit(self, value: Any) -> bytes:
        element = self.outgoing(value)
        if len(element) > self.handle.max_message:
            raise MessageTooLong(f"{len(element)} bytes; {self.handle!r} takes {self.handle.max_message}")
        return element

    def outgoing(self, value: Any) -> bytes:
        """What travels for a value. Raises TypeError for anything but bytes."""
        return check_element(value)

    def incoming(self, element: bytes) -> Any:
        """The value that has travelled."""
        return element


class Followed:
    """A request of a select: the link tells it what became of it, as it tells a ``Pending``."""

    __slots__ = ("about", "asked_to_cancel", "channel_id", "end", "number", "select")

    def __init__(self, end: End, select: RemoteSelect, number: int) -> None:
        self.end = end
        self.about = end.handle
        self.channel_id = end.handle._id
        self.select = select
        self.number = number
        self.asked_to_cancel = False

    def succeed(self, value: Any = None) -> None:
        """The home did it."""
        raise NotImplementedError

    def refuse(self, error: Exception) -> None:
        """The home did not do it, and says why."""
        raise NotImplementedError

    def not_done(self) -> None:
        """The home has let it go, as this side asked."""
        raise NotImplementedError

    def doubt(self) -> None:
        """The home has not answered in time."""
        raise NotImplementedError

    def lose(self, error: KcoroError, in_doubt: bool) -> None:
        """The link has ended."""
        raise NotImplementedError

    def notified(self, events: int, token: int) -> None:
        """The home has news of it."""
        raise NotImplementedError


class Stand(Followed):
    """A clause that stands at its home, or (``number`` 0) on this side."""

    __slots__ = ("element", "index")

    def __init__(self, end: End, select: RemoteSelect, index: int, element: bytes | None) -> None:
        super().__init__(end, select, 0)
        self.index = index
        self.element = element

    def claim(self, token: int) -> Asked:
        """Ask for what the turn was about."""
        self.end.check_usable()
        link = self.end.handle._link
        event = Readiness.RECV_READY if self.element is None else Readiness.SEND_READY
        number = link.wire.claim(self.number, token, event, self.element)
        return self.end.asked(self.select, number, self.element is not None)

    def withdraw(self) -> None:
        """The select is over."""
        if self._leave() and self.number:
            link = self.end.handle._link
            link.forget(self.number)
            link.wire.unregister(self.number)

    def _leave(self) -> bool:
        if self not in self.end.stands:
            return False
        del self.end.stands[self]
        self.end.handle._waiting[self.element is not None] -= 1
        return True

    # -- the link tells

    def notified(self, events: int, token: int) -> None:
        """The home gives it the turn, or tells that there will be none."""
        if events & Readiness.CLOSED:
            self.end.handle._heard_drained(self.element is not None)
            self.select.ended(self.index, self.end.handle._shut_error())
        else:
            self.select.turn(self.index, token)

    def refuse(self, error: Exception) -> None:
        """The registration is over, and not by our wish."""
        self._leave()
        self.end.handle._link.forget(self.number)
        self.select.ended(self.index, error)

    def lose(self, error: KcoroError, in_doubt: bool) -> None:
        """The link has ended; nothing of this clause was under way."""
        self.refuse(error)


class Asked(Followed):
    """A claim, or an exact try, that is under way."""

    __slots__ = ("sending",)

    def __init__(self, end: End, select: RemoteSelect, number: int, sending: bool) -> None:
        super().__init__(end, select, number)
        self.sending = sending

    def give_up(self) -> bool:
        """Ask the home to let it go. True: it had not been written, and is gone."""
        self.asked_to_cancel = True
        gone = self.end.handle._link.withdraw(self.number)
        if gone:
            self.forget()
        return gone

    def forget(self) -> None:
        """Whatever the home still says of it is nobody's news."""
        self.end.handle._link.forget(self.number)

    # -- the link tells

    def succeed(self, value: Any = None) -> None:
        """The home did it."""
        self.end.handle._selected(self.sending)
        self.select.granted(None if self.sending else self.end.incoming(value))

    def refuse(self, error: Exception) -> None:
        """The home did not do it."""
        self.forget()
        if isinstance(error, WouldBlock):
            self.select.denied()
        else:
            self.select.refused(error)

    def not_done(self) -> None:
        """The home has let it go."""
        self.select.denied()

    def doubt(self) -> None:
        """The home has not answered in time."""
        self.select.doubt(self.sending)

    def lose(self, error: KcoroError, in_doubt: bool) -> None:
        """The link has ended before the answer came."""
        self.select.lost(error, in_doubt and self.sending)
