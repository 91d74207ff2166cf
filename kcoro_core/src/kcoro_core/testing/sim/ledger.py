# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The ledger of one simulation: what became of every element, by what its sender and its receivers were told.

Each element is a number, offered once. Its sender was told that it is done, kept, or in doubt; it has arrived if
somebody received it, a hook reported it, or it is left in a channel at the end.

Rule 1: done arrives exactly once, kept never, in doubt at most once. An element that was reported IN_DOUBT on its way
to a receiver may have been received as well; that is what the word means.
The same holds for calls, and how often their handler has come to its end.
Rule 2: what an end of a link counts holds: of the elements that a handle has sent at least ``acked``, and at most
``acked + in_doubt`` have arrived.
Rule 3: where what a lost link leaves in doubt goes back to the head, an element may arrive again, each time but one
with the mark, and no more often than links have counted; nothing is reported in doubt there.
Rule 4: between one sender and one receiver of a channel order holds, unless something on its way back has disturbed it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from attrs import define, field

from ...semantics import Undelivered

__all__ = ["NOBODYS", "Claim", "Ledger", "Way"]

NOBODYS: Final = 0
"""The number of what is no element of anybody: it is carried to see whether a link works, and not accounted for."""

# How often what a sender or caller was told so may have arrived, or been carried out.
_ARRIVALS: Final = {"done": (1,), "kept": (0,), "doubt": (0, 1)}

Way = tuple[int, str]
"""A link by its number, and the name of the channel that was reached over it."""


@define
class Claim:
    """What the end of a link said of one channel."""

    way: Way
    acked: int
    in_doubt: int
    source: str


@define
class Offer:
    """One element: who offered it in which channel, and what came of it for the sender."""

    sender: str
    channel: str
    way: Way | None
    told: str = "pending"


@define
class Ledger:
    """The account of one simulation; elements are numbers from 1."""

    offers: dict[int, Offer] = field(factory=dict)
    received: dict[int, list[str]] = field(factory=lambda: defaultdict(list))
    reported: dict[int, list[Undelivered]] = field(factory=lambda: defaultdict(list))
    left: Counter[int] = field(factory=Counter)
    calls: dict[int, Offer] = field(factory=dict)
    # How often the handler has come to the end of a call.
    carried_out: Counter[int] = field(factory=Counter)
    # Channels to whose head goes back what a lost link leaves in doubt, and how often that has happened.
    requeues: frozenset[str] = frozenset()
    requeued: int = 0
    # How often an element has arrived with the mark of one that came back.
    marked: Counter[int] = field(factory=Counter)
    # Elements that were replaced before they left the side of their sender.
    never_left: set[int] = field(factory=set)
    claims: list[Claim] = field(factory=list)
    # Ways with more than one handle, one after the other: the end of a link counts for the last one.
    given_up: set[Way] = field(factory=set)
    # Channels in which something may have gone back to the head: order is not looked at any more.
    disturbed: set[str] = field(factory=set)
    order: dict[tuple[str, str], list[int]] = field(factory=lambda: defaultdict(list))

    def call(self, caller: str) -> int:
        """A new call of a handler on another side."""
        number = len(self.calls) + 1
        self.calls[number] = Offer(caller, "call", None)
        return number

    def offer(self, sender: str, channel: str, way: Way | None) -> int:
        """A new element."""
        number = len(self.offers) + 1
        self.offers[number] = Offer(sender, channel, way)
        return number

    def tell(self, number: int, told: str) -> None:
        """What its sender was told: ``done``, ``kept`` or ``doubt``."""
        if self.offers[number].told != "doubt":  # told first, when the link was lost before its task went on
            self.offers[number].told = told

    def receive(self, number: int, receiver: str, channel: str, marked: bool = False) -> None:
        """Somebody has received it; ``marked``: as one that came back."""
        self.received[number].append(receiver)
        self.marked[number] += marked
        if channel.partition(" ")[0] not in self.disturbed:
            self.order[channel, receiver].append(number)

    def report(self, number: int, why: Undelivered, marked: bool = False) -> None:
        """The hook of its channel has told that it reaches nobody."""
        self.reported[number].append(why)
        self.marked[number] += marked

    def leave(self, number: int, marked: bool = False) -> None:
        """It is left in its channel at the end."""
        self.left[number] += 1
        self.marked[number] += marked

    def disturb(self, channel: str) -> None:
        """Something may go back to the head of that channel, and then comes later than what was behind it."""
        self.disturbed.add(channel)

    def has_arrived(self, number: int) -> bool:
        """Whether the home has accepted it, as far as anybody can know."""
        if number in self.never_left:
            return False
        return bool(self.received.get(number) or self.reported.get(number) or self.left[number])

    # -- the end

    def complaints(self) -> Iterator[str]:
        """Everything that does not add up."""
        known = set(self.offers)
        for number in {*self.received, *self.reported, *self.left} - known - {NOBODYS}:
            yield f"element {number} was never offered"
        again = 0
        for number in known:
            yield from self._complaints_of(number)
            again += max(0, self._ends(number) - 1) if self.offers[number].channel in self.requeues else 0
        if again > self.requeued:
            yield f"elements have arrived again {again} times, and went back to the head {self.requeued} times"
        for claim in self.claims:
            if claim.way not in self.given_up:
                yield from self._check(claim)
        yield from self._check_order()
        yield from self._check_calls()

    def _complaints_of(self, number: int) -> Iterator[str]:
        offer = self.offers[number]
        got, left, reported = self.received.get(number, []), self.left[number], self.reported.get(number, [])
        ends = [*(f"received by {who}" for who in got), *(f"reported {why.value}" for why in reported)]
        ends += ["left in its channel"] * left
        text = f"element {number} of {offer.sender}, channel {offer.channel}, told {offer.told}: {ends or 'lost'}"
        arrivals = self._ends(number)
        if offer.channel in self.requeues and arrivals:
            if Undelivered.IN_DOUBT in reported:
                yield f"{text}, and its channel requeues"
            if arrivals - self.marked[number] <= 1:
                arrivals = 1  # in doubt, each time but one, for whoever gave it out
        if arrivals not in _ARRIVALS.get(offer.told, ()):
            yield text

    def _ends(self, number: int) -> int:
        """How often it has arrived; received and reported in doubt is one end, seen from both sides."""
        got, reported = self.received.get(number, []), self.reported.get(number, [])
        doubtful = reported == [Undelivered.IN_DOUBT] and len(got) == 1
        return len(got) + self.left[number] + len(reported) - doubtful

    def _check(self, claim: Claim) -> Iterator[str]:
        sent = [number for number, offer in self.offers.items() if offer.way == claim.way]
        arrived = sum(map(self.has_arrived, sent))
        if not claim.acked <= arrived <= claim.acked + claim.in_doubt:
            yield (
                f"{claim.source} says of link {claim.way[0]}, {claim.way[1]!r}: {claim.acked} acked and "
                f"{claim.in_doubt} in doubt; {arrived} have arrived"
            )

    def _check_calls(self) -> Iterator[str]:
        for number, call in self.calls.items():
            times = self.carried_out[number]
            if times not in _ARRIVALS.get(call.told, ()):
                yield f"call {number} of {call.sender}, told {call.told}: carried out {times} times"

    def _check_order(self) -> Iterator[str]:
        for (channel, receiver), numbers in self.order.items():
            by_sender: dict[str, list[int]] = defaultdict(list)
            for number in numbers:
                if number in self.offers:
                    by_sender[self.offers[number].sender].append(number)
            for sender, seen in by_sender.items():
                if seen != sorted(seen):
                    yield f"channel {channel}: {receiver} got the elements of {sender} as {seen}"
