# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Contended selects: many tasks want the same elements, and each element has one winner (row L3).

Selectors stand at the home of the channels and at the other ends of links, and all take from the same channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    UNBIASED,
    Channel,
    ChannelClosed,
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
from .over_links import both_ways_over_links, one_winner_over_links

__all__ = ["SCENARIOS"]

CHANNELS = 4
SELECTORS = 12


async def one_winner(place: Place, book: Book) -> None:
    """Local selects and receives over a link on the same channels: nothing is lost, nothing is taken twice."""
    number = 400 if place.quick else 4000
    made: list[Channel[bytes]] = [
        channel(BUFFERED, 4, name=f"c{n}") if n % 2 else channel(RENDEZVOUS, name=f"c{n}") for n in range(CHANNELS)
    ]
    won: Counter[str] = Counter()
    taken: list[bytes] = []
    async with place.pair({str(one.name): one for one in made}) as ends:
        handles = [await ends.link.open(str(one.name)) for one in made]

        async def local(name: str) -> None:
            open_channels = list(made)
            while open_channels:
                try:
                    chosen = await select(*map(Recv, open_channels), mode=UNBIASED)
                except ChannelClosed as closed:
                    del open_channels[closed.index or 0]
                    continue
                taken.append(chosen.value)
                won[name] += 1

        async def over_the_link(name: str, n: int) -> None:
            async for one in handles[n % CHANNELS]:
                taken.append(one)
                won[name] += 1

        async def feed(n: int) -> None:
            for k in range(number // CHANNELS):
                await made[n].send(b"%d.%d" % (n, k))
            made[n].close()

        async with open_scope() as scope:
            for n in range(SELECTORS):
                scope.launch(local, f"local {n}")
                scope.launch(over_the_link, f"remote {n}", n)
            await sleep(0.01)
            for n in range(CHANNELS):
                scope.launch(feed, n)
    wanted = {b"%d.%d" % (n, k) for n in range(CHANNELS) for k in range(number // CHANNELS)}
    judge(book, taken, wanted)
    book.figure("elements won by local selects", sum(v for k, v in won.items() if k.startswith("local")))
    book.figure("elements won over the link", sum(v for k, v in won.items() if k.startswith("remote")))
    book.figure("evenness among the winners (Jain)", jain([float(v) for v in won.values()]))
    both = {name.split()[0] for name in won}
    book.check("selects at home and receives over the link both won", both == {"local", "remote"}, sorted(both))


async def both_ways(place: Place, book: Book) -> None:
    """Selects that would send or receive, whichever is first: each takes one effect, and the sums agree."""
    tasks, each = 16, 25 if place.quick else 250
    one: Channel[bytes] = channel(BUFFERED, 2, name="one")
    other: Channel[bytes] = channel(RENDEZVOUS, name="other")
    sent: list[bytes] = []
    taken: list[bytes] = []

    async def both(n: int) -> None:
        for k in range(each):
            value = b"%d.%d" % (n, k)
            ways = (Send(one, value), Recv(other)) if n % 2 else (Recv(one), Send(other, value))
            chosen = await select(*ways, mode=UNBIASED)
            if isinstance(chosen.clause, Send):
                sent.append(value)
            else:
                taken.append(chosen.value)

    async with open_scope() as scope:
        for n in range(tasks):
            scope.launch(both, n)
    left = [one.try_recv() for _ in range(len(one))]
    book.figure("selects", tasks * each)
    book.check("each select had one effect", len(sent) + len(taken) == tasks * each, len(sent) + len(taken))
    book.check("what was sent was received once, or is still there", sorted(sent) == sorted(taken + left), len(sent))


SCENARIOS: dict[str, Callable[[Place, Book], Awaitable[None]]] = {
    "one-winner": one_winner,
    "both-ways": both_ways,
    "one-winner-over-links": one_winner_over_links,
    "both-ways-over-links": both_ways_over_links,
}
"""By name, in the order in which they run."""
