# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Slots of a channel of this side that are lent to a peer: the channel and the protocol, kept in step.

Rule 1: what the protocol has granted the channel has lent, slot for slot; both are changed in one step.
Rule 2: whatever ends the share of the peer (RETURN, DETACH, the end of the link) ends it once, and serves who waited.
Rule 3: of an UNLIMITED channel the bytes of the peer that wait in it never exceed a window; beyond, it counts as full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field

from ..channel import Channel
from ..engine import ChannelCore, Sentinel
from ..semantics import Kind
from ..wire.connection import Connection
from ..wire.events import DataReceived, SendRequested, SlotsReturned
from ..wire.hello import charge
from ..wire.slots import MAX_SLOTS, Slots

__all__ = ["Lent", "lend"]


@define(eq=False)
class Lent:
    """The share of one handle of the peer in one channel; the ``Borrower`` of that channel."""

    id: int
    channel: Channel[Any] = field(repr=False)
    wire: Connection = field(repr=False)
    owe: Callable[[], None] = field(repr=False)
    flush: Callable[[], None] = field(repr=False)
    slots: Slots = field(init=False, repr=False)
    recalled: bool = False
    ended: bool = False
    # Of an UNLIMITED channel: what each element in it costs, those that were there before nothing.
    costs: deque[int] | None = None
    held: int = 0
    full: bool = False

    @property
    def core(self) -> ChannelCore:
        """What everybody who uses the channel goes through."""
        return self.channel._core

    # -- called by the channel

    def recall(self) -> None:
        """Somebody else wants to send."""
        self.recalled = True
        if self.wire.recall(self.id):
            self.flush()

    def ask(self) -> None:
        """A try wants to know what is on its way."""
        if self.wire.ask(self.id):
            self.flush()

    def freed(self) -> None:
        """Elements were taken."""
        if self.costs is not None:
            self._note_held(self.costs)
        self._renew()

    # -- what the peer sends

    def on_data(self, news: DataReceived) -> None:
        """An element fills a lent slot."""
        core = self.core
        if news.skipped:
            core.replaced(news.skipped)
        core.fill(news.element)
        self.note_cost(len(news.element))
        self._renew()

    def on_send(self, asked: SendRequested) -> Sentinel:
        """An element comes by request: into its slot, or where it finds room."""
        slot = asked.slot and not self.core.closed  # on a closed channel it is refused, and the slot is lent still
        answer = self.core.fill(asked.element, slot)
        self.note_cost(len(asked.element))
        return answer

    def answered(self) -> None:
        """A SEND was done at once: if it had to ask, more is lent now; a receiver that waited for it frees no slot."""
        if not self.ended:
            self._renew()

    def on_returned(self, news: SlotsReturned) -> None:
        """The slots are back, or a question is answered."""
        if news.keep:
            self.core.answered()
        else:
            self.end()

    def end(self) -> None:
        """The share is over, however."""
        if not self.ended:
            self.ended = self.recalled = True
            self.costs = None  # what is admitted from here on is not held against anybody
            self.core.end_lending()

    # -- inside

    def _renew(self) -> None:
        if self.slots.due:
            count = self.wire.lend(self.id, self.core.lendable())
            if count:
                self.core.lend_slots(count)
            self.owe()

    def note_cost(self, size: int) -> None:
        """An element of the peer may have been queued."""
        costs = self.costs
        if costs is not None and len(self.core) > len(costs):
            costs.append(charge(size))
            self.held += costs[-1]
            self._note_held(costs)

    def _note_held(self, costs: deque[int]) -> None:
        while len(costs) > len(self.core):
            self.held -= costs.popleft()
        self.wire.note_held(self.id, self.held)
        full = self.held >= self.wire.lending_window
        if full is not self.full:
            self.full = full
            self.core.hold_back(full)


def lend(
    channel_id: int,
    channel: Channel[Any],
    wire: Connection,
    room: int | None,
    pump: tuple[Callable[[], None], Callable[[], None]],
) -> Lent | None:
    """Give a handle of the peer, which was just accepted, a share in a channel; None where that cannot be."""
    owe, flush = pump
    core = channel._core
    lent = Lent(channel_id, channel, wire, owe, flush)
    if not core.lend(lent):
        return None
    window = {Kind.CONFLATED: 2, Kind.UNLIMITED: MAX_SLOTS}.get(core.kind, room or 0)
    if not wire.start_lending(channel_id, window, consumes=core.kind is Kind.UNLIMITED):
        core.end_lending()
        return None
    lent.slots = wire.lent(channel_id)
    if core.kind is Kind.UNLIMITED:
        lent.costs = deque([0] * len(core))
    lent._renew()
    return lent
