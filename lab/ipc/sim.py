# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One program over a line as bad as can be, and over one that breaks (row L2).

Where lines cannot be made bad (mem, uds) the same program runs over a good one. What happens is decided by the seed:
the runner runs each scenario over ``sim:`` twice, and both have to give the same figures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kcoro_core import BUFFERED, ChannelClosed, LinkLost, TransportError, channel, open_scope, sleep
from kcoro_core.hosts.port import current_host
from kcoro_core.link.answering import Call

from ..book import Book
from ..places import Place

__all__ = ["SCENARIOS"]

BAD = (
    "latency=20ms&jitter=10ms&bandwidth=1MB&loss=0.05&duplicate=0.05&reorder=0.05&partition=0.002&partition_for=500ms"
    "&short_reads=0.3&short_writes=0.3"
)
FAULTS = ("latency", "jitter", "bandwidth", "loss", "duplicate", "reorder", "partition", "short_reads", "short_writes")
ECHO = 64


def element(number: int) -> bytes:
    """One of many sizes, with its number in front."""
    return b"%d," % number + b"x" * (number * 7919 % 3000)


async def echo(call: Call) -> bytes:
    """The payload again."""
    return call.payload


async def bad_line(place: Place, book: Book) -> None:
    """Both directions and calls at once: everything arrives once, in order, and every kind of fault has happened."""
    number = 150 if place.quick else 600
    wanted = [element(n) for n in range(number)]
    there, here = channel(BUFFERED, 16, name="there"), channel(BUFFERED, 16, name="here")
    got_there: list[bytes] = []
    got_here: list[bytes] = []
    answers: list[bytes] = []
    async with place.pair({"there": there, "here": here}, BAD, handlers={ECHO: echo}) as ends:
        began = current_host().now()
        sending, receiving = await ends.link.open("there", lend=True), await ends.link.open("here")

        async def send_there() -> None:
            for one in wanted:
                await sending.send(one)
            sending.close()

        async def send_here() -> None:
            for one in wanted:
                await here.send(one)
            here.close()

        async def call() -> None:
            for one in wanted[::10]:
                answers.append(await ends.link.rpc_send(ECHO, 0, one).wait())  # noqa: PERF401 - one after the other

        async with open_scope() as scope:
            scope.launch(send_there)
            scope.launch(send_here)
            scope.launch(call)
            scope.launch(collect, there, got_there)
            scope.launch(collect, receiving, got_here)
        seconds = current_host().now() - began
        counts = place.counts()
    book.figure("seconds", seconds)
    for kind in FAULTS if place.virtual else ():
        book.figure(f"times of {kind}", counts[kind])
    book.check("everything sent over the link arrived once, in order", got_there == wanted, len(got_there))
    book.check("everything received over the link came once, in order", got_here == wanted, len(got_here))
    book.check("every call was answered", answers == wanted[::10], len(answers))
    if place.virtual:
        book.check("every kind of fault has happened", all(counts[kind] for kind in FAULTS), dict(counts))


async def collect(source: object, into: list[bytes]) -> None:
    """Everything until the close."""
    assert hasattr(source, "__aiter__")
    async for one in source:
        into.append(one)  # noqa: PERF401 - whoever waits for a number of them looks meanwhile


async def broken_line(place: Place, book: Book) -> None:
    """The line breaks while many sends are under way: what arrived lies between what is known and what may have."""
    rounds, senders = (3 if place.quick else 20), 8
    acked = in_doubt = arrived = wrong = 0
    for number in range(rounds):
        jobs = channel(BUFFERED, 4, name="jobs")
        got: list[bytes] = []
        async with place.pair({"jobs": jobs}, "latency=1ms&jitter=1ms") as ends:
            handle = await ends.link.open("jobs", lend=True)

            async def feed(name: int, handle: object = handle) -> None:
                assert hasattr(handle, "send")
                for n in range(10_000):
                    try:
                        await handle.send(b"%d of %d" % (n, name))
                    except (LinkLost, ChannelClosed):
                        return

            async with open_scope() as scope:
                for name in range(senders):
                    scope.launch(feed, name)
                taker = scope.launch(collect, jobs, got)
                while len(got) < 20 + number * 3:
                    await sleep(0.0005)
                ends.peer.pump.abort(TransportError("cut by the lab"))
                while ends.link.report is None or ends.peer.report is None:
                    await sleep(0.0005)
                jobs.close()
                del taker
            report = ends.link.report
            known, unsure = report.acked["jobs"], report.in_doubt["jobs"]
        wrong += not known <= len(got) <= known + unsure or len(set(got)) != len(got) or report.orderly
        acked, in_doubt, arrived = acked + known, in_doubt + unsure, arrived + len(got)
    book.figure("acknowledged", acked)
    book.figure("in doubt", in_doubt)
    book.figure("arrived", arrived)
    book.check(
        "what arrived lies between acknowledged and in doubt, each time", not wrong, f"{rounds} cuts, {wrong} wrong"
    )
    book.check("something had arrived before each cut", arrived >= rounds * 20, arrived)


SCENARIOS: dict[str, Callable[[Place, Book], Awaitable[None]]] = {"bad-line": bad_line, "broken-line": broken_line}
"""By name, in the order in which they run."""
