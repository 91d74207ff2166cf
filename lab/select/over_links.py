# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Selects over handles of several links that contend at one home, with each other and with selects at the home.

Rule: whoever wants an element, or a receiver, is counted where it is, and all counts have to agree in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    UNBIASED,
    Channel,
    ChannelClosed,
    Link,
    Recv,
    Send,
    channel,
    open_scope,
    select,
    sleep,
)

from ..book import Book, jain
from ..places import Place
from .judging import judge

__all__ = ["both_ways_over_links", "one_winner_over_links"]

LINKS = 3
SELECTS = 4
"""Tasks on each link, and as many at home."""
CHANNELS = 3


class Contest:
    """What all want: elements of channels at home, and of one here; and a box at home, into which all would put."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.made: list[Channel[bytes]] = [
            channel(BUFFERED, 4, name=f"c{n}") if n % 2 else channel(RENDEZVOUS, name=f"c{n}") for n in range(CHANNELS)
        ]
        self.box: Channel[bytes] = channel(RENDEZVOUS, name="box")
        self.here: Channel[bytes] = channel(BUFFERED, 1, name="here")
        self.won: Counter[tuple[str, int]] = Counter()
        self.taken: list[bytes] = []
        self.sent: list[bytes] = []
        self.collected: list[bytes] = []
        self._fresh = count()

    async def contend(self, who: tuple[str, int], ends: Sequence[Channel[bytes]], box: Channel[bytes]) -> None:
        """Take from every end, and from the channel here, or put into the box, until nothing comes any more."""
        ends = [*ends, self.here]
        while ends:
            offered = b"%d" % next(self._fresh)
            try:
                won = await select(Send(box, offered), *map(Recv, ends), mode=UNBIASED)
            except ChannelClosed as closed:
                del ends[(closed.index or 0) - 1]
                continue
            self.won[who] += 1
            if won.index == 0:
                self.sent.append(offered)
            else:
                self.taken.append(won.value)

    async def feed(self, to: Channel[bytes], n: int, pause: float) -> None:
        """Send the elements of one channel, and close it."""
        for k in range(self.number):
            await to.send(b"%d.%d" % (n, k))
            if pause:
                await sleep(pause)
        to.close()

    async def collect(self) -> None:
        """Take what is put into the box."""
        for _ in range(self.number):
            self.collected.append(await self.box.recv())

    def wanted(self) -> set[bytes]:
        """All elements; those of the channel here have the last number."""
        return {b"%d.%d" % (n, k) for n in range(CHANNELS + 1) for k in range(self.number)}


async def one_winner_over_links(place: Place, book: Book) -> None:
    """Each element, and each place in the box, goes to one select of all that want it, wherever that is."""
    contest = Contest(60 if place.quick else 1000)
    export = {str(one.name): one for one in (*contest.made, contest.box)}
    async with place.links(export, LINKS) as links, open_scope() as scope:
        scope.launch(_contend_everywhere, contest, links)
        await sleep(0.01)
        for n, one in enumerate(contest.made):
            scope.launch(contest.feed, one, n, 0.0)
        # What is ready here is taken before any home is asked, so this one is not always ready.
        scope.launch(contest.feed, contest.here, CHANNELS, 0.001)
        scope.launch(contest.collect)
    judge(book, contest.taken, contest.wanted())
    agree = Counter(contest.sent) == Counter(contest.collected)
    book.check("what was put into the box was collected once", agree, (len(contest.sent), len(contest.collected)))
    _judge_winners(place, book, contest.won)


async def _contend_everywhere(contest: Contest, links: Sequence[Link]) -> None:
    async with open_scope() as scope:
        for n, link in enumerate(links):
            handles = [await link.open(str(one.name)) for one in contest.made]
            box = await link.open("box")
            for _ in range(SELECTS):
                scope.launch(contest.contend, ("link", n), handles, box)
        for _ in range(SELECTS):
            scope.launch(contest.contend, ("home", 0), contest.made, contest.box)


def _judge_winners(place: Place, book: Book, won: Counter[tuple[str, int]]) -> None:
    book.check("selects of every link and of the home won", len(won) == LINKS + 1, dict(won))
    shares = [float(times) for (where, _), times in won.items() if where == "link"]
    book.figure("effects of selects over links", sum(shares))
    book.figure("effects of selects at home", won["home", 0])
    book.figure("evenness among the links (Jain)", jain(shares) if shares else 0)
    if place.virtual:
        book.check("the links have even shares: an index of at least 0.8", jain(shares) >= 0.8, jain(shares))


async def both_ways_over_links(place: Place, book: Book) -> None:
    """Selects of different links that would send or receive meet each other at a home where nobody else is."""
    tasks, each = 8, 25 if place.quick else 250
    made: dict[str, Channel[bytes]] = {"one": channel(BUFFERED, 2), "other": channel(RENDEZVOUS)}
    sent: list[bytes] = []
    taken: list[bytes] = []

    async def both(link: Link, n: int) -> None:
        one, other = [await link.open(name) for name in made]
        for k in range(each):
            value = b"%d.%d" % (n, k)
            ways = (Send(one, value), Recv(other)) if n % 2 else (Recv(one), Send(other, value))
            chosen = await select(*ways, mode=UNBIASED)
            if isinstance(chosen.clause, Send):
                sent.append(value)
            else:
                taken.append(chosen.value)

    async with place.links(made, LINKS) as links, open_scope() as scope:
        for n in range(tasks):
            scope.launch(both, links[n % LINKS], n)
    left = [made["one"].try_recv() for _ in range(len(made["one"]))]
    book.figure("selects", tasks * each)
    book.check("each select had one effect", len(sent) + len(taken) == tasks * each, len(sent) + len(taken))
    book.check("what was sent was received once, or is still there", Counter(sent) == Counter(taken + left), len(sent))
