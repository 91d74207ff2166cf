# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A channel of this side that a peer has opened, and the elements of it that are on their way to that peer.

Rule 1: an element that travels stays on the channel's books until the peer has it, returns it, or is lost.
Rule 2: what cannot travel, because it is no bytes or too long, stays in the channel, at the head.
Rule 3: the peer is told of a close once, in front of the first answer that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..channel import Channel
from ..engine import ChannelCore
from ..errors import MessageTooLong
from ..reference.waiter import Operation
from ..semantics import CLOSED as CLAIM_CLOSED
from ..semantics import WAITING, Undelivered
from ..wire.codes import WireCode, code_of
from ..wire.connection import Connection
from ..wire.events import Fate, LostElement
from ..wire.hello import charge
from .closing import closing_of
from .kept import Kept
from .lent import Lent

if TYPE_CHECKING:
    from .feed import Feed

__all__ = ["Bound", "Redelivered", "unfit"]


class Redelivered(bytes):
    """An element that was on its way to somebody before: others may have overtaken it, or had it themselves.

    What a receiver gets, here or over a link, is one of these exactly when the element came back: because a peer
    returned it, or, with ``redelivery="requeue"``, because a link was lost before it was confirmed.
    """

    __slots__ = ()


@define(eq=False)
class Bound:
    """One handle of the peer, seen from the home. ``travelling_bytes`` counts, by ``charge``, what is not confirmed."""

    id: int
    name: str
    channel: Channel[Any]
    max_message: int
    requeues: bool
    wire: Connection = field(repr=False)
    travelling: dict[int, bytes] = field(factory=dict, repr=False)
    travelling_bytes: int = 0
    told_closed: bool = False
    watch: Callable[[], object] | None = None
    lent: Lent | None = None
    kept: Kept | None = None
    feed: Feed | None = None
    declined: bool = False  # nothing is sent ahead on this handle
    ahead: set[int] = field(factory=set, repr=False)  # those that travel and hold their slots

    @property
    def core(self) -> ChannelCore:
        """What everybody who uses the channel goes through; another one while clauses over links stand on it."""
        return self.channel._core

    # -- elements

    def push(self, request_id: int, value: object, ahead: bool = False) -> None:
        """Answer a receive with an element that was just taken out of the channel; ``ahead``: it holds its slot."""
        if ahead:
            self.ahead.add(request_id)
        else:
            self.core.hand_out()
        misfit = unfit(value, self.max_message)
        if misfit is not None:
            self._settle([request_id], [value])
            self.wire.refuse(request_id, code_of(misfit), str(misfit.args[0]))
            return
        element = value if isinstance(value, bytes) else bytes(value)  # type: ignore[call-overload]
        if not self.wire.push(request_id, element, isinstance(element, Redelivered)):
            self._settle([request_id], [element])
            return
        self.travelling[request_id] = element
        self.travelling_bytes += charge(len(element))

    def taken(self, request_id: int) -> None:
        """The peer has it."""
        self._arrived(request_id)
        self._settle([request_id])

    def returned(self, request_ids: Iterable[int], redelivered: bool) -> None:
        """These come back to the head, in this order."""
        request_ids = list(request_ids)
        elements = [self._arrived(request_id) for request_id in request_ids]
        self._settle(request_ids, [Redelivered(one) for one in elements] if redelivered else elements)

    def lost(self, elements: Sequence[LostElement]) -> int:
        """The link is lost: what was never written goes back to the head; the rest is in doubt, and goes by policy.

        It is reported, or goes back with the mark, in its old place among the others; returns how many did that.
        """
        if self.kept is not None:
            self.kept.recalled = True  # nothing that goes back is sent ahead again
        back: list[bytes] = []
        gone: list[bytes] = []
        for one in elements:
            element = self._arrived(one.request_id)
            if one.fate is Fate.NOT_DONE and not one.returned:
                back.append(element)
            elif one.fate is Fate.NOT_DONE or self.requeues:
                back.append(Redelivered(element))
            else:
                gone.append(element)
        if elements:
            self._settle([one.request_id for one in elements], back)
        for element in gone:
            self.core.report(element, Undelivered.IN_DOUBT)
        return sum(one.fate is Fate.IN_DOUBT for one in elements) - len(gone)

    def _settle(self, request_ids: Sequence[int], put_back: Sequence[Any] = ()) -> None:
        """These are with the peer, or back; in the channel, too, each in the way in which it was taken out."""
        ahead = len(self.ahead.intersection(request_ids))
        if not ahead:
            self.core.settle(len(request_ids), put_back)
            return
        self.ahead.difference_update(request_ids)
        self.core.settle_ahead(ahead, put_back)
        if ahead < len(request_ids):
            self.core.settle(len(request_ids) - ahead)

    def _arrived(self, request_id: int) -> bytes:
        element = self.travelling.pop(request_id)
        self.travelling_bytes -= charge(len(element))
        return element

    # -- refusals

    def ask(self, op: Operation) -> bool:
        """Queue a try that only the end of another link can answer; False when it would certainly have to wait."""
        of_borrower = op.sending and self.lent is not None and not self.lent.recalled
        return not of_borrower and self.core.ask(op)

    def refuse_try(self, request_id: int, text: str) -> None:
        """It would have to wait, and must not."""
        self.core.count_failure(WAITING)
        self.wire.refuse(request_id, WireCode.EAGAIN, text)

    def refuse_closed(self, request_id: int) -> None:
        """The channel is closed, for a receive also drained."""
        self.core.count_failure(CLAIM_CLOSED)
        self.tell_closed()
        self.wire.refuse(request_id, WireCode.EPIPE, "the channel is closed")

    def tell_closed(self) -> None:
        """Tell the peer, if that has not been done."""
        if not self.told_closed:
            self.told_closed = True
            if self.lent is not None:
                self.lent.recalled = True
            self.wire.tell_closed(self.id, closing_of(self.channel.reason))

    # -- news of a close

    def watch_close(self, flush: Callable[[], None]) -> None:
        """Tell the peer when the channel closes, or now if it is closed."""
        if self.channel.closed:
            self.tell_closed()
            return

        def closed() -> None:
            self.tell_closed()
            flush()

        self.watch = closed
        self.channel._on_close(closed)

    def release(self) -> None:
        """The peer has no part in the channel any more, and need not be told of a close."""
        if self.watch is not None:
            self.channel._close_watchers.pop(self.watch, None)
        if self.lent is not None:
            self.lent.end()
        if self.kept is not None:
            self.kept.end()
        if self.feed is not None:
            self.feed.stop()


def unfit(value: object, limit: int) -> Exception | None:
    """Why an element of a local sender cannot travel."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return ValueError(f"the oldest element is a {type(value).__name__}, and a link carries bytes; it stays queued")
    size = value.nbytes if isinstance(value, memoryview) else len(value)
    if size > limit:
        return MessageTooLong(f"the oldest element has {size} bytes, and this link carries {limit}; it stays queued")
    return None
