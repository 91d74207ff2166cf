# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One side of a simulation: its channels, its links to other sides, and the handles that are open on them.

A dialler keeps dialling for as long as the simulation lasts; a server takes whoever comes. Both export their channels,
and reach those of the others by whatever link is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...cancel import CancelToken
from ...channel import Channel
from ...clauses import Triggered
from ...errors import ChannelClosed, KcoroError, LinkLost
from ...link.answering import Call
from ...link.dial import dial
from ...link.link import Link
from ...link.remote import RemoteChannel
from ...link.serve import Server
from ...run import sleep
from ...select import select
from ...semantics import BUFFERED, SUSPEND
from ..explore.programs import ChannelSpec
from .ledger import NOBODYS, Claim, Way

if TYPE_CHECKING:
    from .play import Simulation

__all__ = ["CALL", "PROOF", "Node"]

CALL = 64
"""The command that every side handles: it takes a while, and answers with the number that it was given."""

PROOF = "proof"
"""The channel over which each side shows, once the line is well again, that it works."""


class Node:
    """A side: ``name`` is s, or d0, d1, ...; ``channels`` are its own by name, in their present generation."""

    def __init__(self, play: Simulation, name: str, specs: tuple[ChannelSpec, ...], far: tuple[str, ...]) -> None:
        self.play = play
        self.name = name
        self.specs = {f"{name[0]}{i}": spec for i, spec in enumerate(specs)}
        self.far = far
        self.channels: dict[str, Channel[bytes]] = {}
        self.links: list[Link] = []
        self.had: list[Link] = []
        self.news = CancelToken()
        self.leave = CancelToken()
        self.server: Server | None = None
        self.handles: dict[tuple[int, str], RemoteChannel] = {}
        self.channels[PROOF] = play.channel(ChannelSpec(BUFFERED, SUSPEND, 8), PROOF)
        for channel in self.specs:
            self.renew(channel)

    # -- channels of its own

    def renew(self, name: str) -> None:
        """Make a channel, or another one in place of one that was closed."""
        self.channels[name] = self.play.channel(self.specs[name], name)
        if self.server is not None:
            self.server.export(name, self.channels[name], self.redelivery().get(name, "drop"))

    def renew_closed(self) -> None:
        """Make others in place of those that were closed; over the links that are up a dialler still offers the old."""
        for name in self.specs:
            if self.channels[name].closed:
                self.renew(name)

    def exports(self) -> dict[str, Channel[bytes]]:
        """What it lets the other sides open."""
        return dict(self.channels)

    def redelivery(self) -> dict[str, str]:
        """What becomes of an element that a lost link leaves in doubt, by channel; those left out are reported."""
        return {name: "requeue" for name in self.specs if name in self.play.ledger.requeues}

    # -- links

    def joined(self, link: Link) -> None:
        """A link is up."""
        self.links.append(link)
        self.had.append(link)
        self.play.number(link)
        self.news.trigger()
        self.news = CancelToken()

    def live(self) -> list[Link]:
        """The links that can be used now."""
        if any(link.closed for link in self.links):
            self.links = [link for link in self.links if not link.closed]
            for channel in (*self.specs, *self.far):
                self.play.ledger.disturb(channel)
        return self.links

    async def linked(self) -> Link:
        """Any of its links, as soon as there is one."""
        while not (live := self.live()):
            await self.news.wait()
        return self.play.rng.choice(live)

    async def handle(self, name: str) -> tuple[RemoteChannel, Way]:
        """A handle on a channel of another side, opened if it is not open."""
        link = await self.linked()
        way = self.play.number(link), name
        if way not in self.handles:
            opened = await link.open(name, timeout=self.play.rng.choice((None, None, 1.0)), **self.play.open_options())
            if way in self.handles:  # somebody else was as quick
                self.play.ledger.given_up.add(way)
                opened.detach()
            else:
                self.handles[way] = opened
        return self.handles[way], way

    def detach(self, way: Way) -> None:
        """Give a handle up."""
        self.play.ledger.given_up.add(way)
        self.play.ledger.disturb(way[1])
        self.handles.pop(way).detach()

    async def go(self) -> None:
        """Leave a link in good order."""
        if self.server is None:
            self.leave.trigger()
        elif live := self.live():
            await self.play.rng.choice(live).aclose()

    async def prove(self) -> None:
        """Carry an element there and back over any link that is up, and try again if that one was dead."""
        while True:
            link = await self.linked()
            try:
                proof = await link.open(PROOF)
                await proof.send(b"%d proof" % NOBODYS)
                await proof.recv()
            except (LinkLost, ChannelClosed):
                await sleep(0.01)  # the news of its end may be newer than what we know
                continue
            self.play.count("proof")
            return

    async def carry_out(self, call: Call) -> bytes:
        """Answer a call after a while."""
        await sleep(self.play.rng.choice((0.0, 0.0, 0.01, 0.3)))
        number = self.play.number_in(call.payload)
        self.play.ledger.carried_out[number] += 1
        return b"%d" % number

    # -- a dialler's life

    async def keep_dialling(self, uri: str) -> None:
        """Dial, use the link until it ends or is left, and dial again, until all is over."""
        while not self.play.over.is_set():
            try:
                offer: dict[str, Any] = {"export": self.exports(), "redelivery": self.redelivery()}
                async with dial(uri, handlers={CALL: self.carry_out}, **offer) as link:
                    self.joined(link)
                    self.leave = CancelToken()
                    await select(Triggered(link.pump.gone), Triggered(self.leave), Triggered(self.play.over))
                    self.play.count("left" if not link.pump.gone.is_set() else "ended")
            except KcoroError as error:
                self.play.count(f"dial {type(error).__name__}")
                self.play.expect(not isinstance(error, ValueError), f"dial raised {error!r}")
            await sleep(self.play.rng.choice((0.01, 0.01, 0.3)))

    # -- the end

    def book_ends(self) -> None:
        """Enter in the ledger what the ends of its links said."""
        for link in self.had:
            report = link.report
            if report is None:
                self.play.found.append(f"{self.name}: {link!r} has no report")
                continue
            self.play.ledger.requeued += report.requeued
            number = self.play.number(link)
            for name, acked in report.acked.items():
                if name != PROOF:
                    self.play.ledger.claims.append(
                        Claim((number, name), acked, report.in_doubt[name], f"the report of {self.name}")
                    )
