# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Both ledgers of a link that is cut while elements go both ways, and what must hold between them.

The dialling side sends elements to the channel ``in`` with several tasks, receives those of ``out`` with several
others, and calls, until the link ends. Its ledger says what became of each there, the serving side's what arrived.
Each mode does that in another way: asking for each element, over slots that were lent, with elements sent ahead, both;
and each of these with plain calls, or with selects in which a send and a receive stand beside each other.
"""

from __future__ import annotations

from collections import Counter
from zlib import crc32

from attrs import define, field

from kcoro_core import (
    Channel,
    ChannelClosed,
    Link,
    LinkLost,
    Outcome,
    Recv,
    Send,
    TransportError,
    channel,
    dial,
    select,
)
from kcoro_core.hosts.port import current_host

ELEMENTS = 40
CALLS = 10
COMMAND = 64
MODES = tuple((selects, lend, prefetch) for selects in (False, True) for prefetch in (0, 3) for lend in (False, True))
"""Whether sends and receives are clauses, whether slots are asked for, how many elements may be sent ahead."""
TASKS = 4


@define
class Ledger:
    """What the dialling side knows at the end."""

    done: list[str] = field(factory=list)
    in_doubt: list[str] = field(factory=list)
    not_done: list[str] = field(factory=list)
    lost: list[str] = field(factory=list)  # their send had completed, over a lent slot; reported when the link was lost
    received: list[str] = field(factory=list)
    called: dict[str, str] = field(factory=dict)  # what became of each call
    errors: list[LinkLost] = field(factory=list)

    def failed(self, name: str, error: LinkLost) -> None:
        """A send has ended with the link: what its error says of it."""
        (self.in_doubt if error.outcome is Outcome.IN_DOUBT else self.not_done).append(name)


async def exchange(uri: str, label: str, mode: int = 0) -> Ledger:
    """Send, receive and call until everything is through, or the link is lost."""
    ledger = Ledger()
    try:
        async with dial(uri) as link:
            await _use(link, label, ledger, *MODES[mode])
    except (LinkLost, TransportError):
        pass  # cut in the handshake, or in an open: nothing was sent, which the ledger says
    return ledger


async def _use(link: Link, label: str, ledger: Ledger, selects: bool, lend: bool, prefetch: int) -> None:
    into = await link.open(f"in {label}", lend=lend, on_undelivered=lambda one, why, of: ledger.lost.append(_name(one)))
    out = await link.open(f"out {label}", prefetch=prefetch)

    never: Channel[bytes] = channel()

    async def send(names: list[str]) -> None:
        while names:
            name = names.pop(0)
            try:
                await into.send(_element(name))
            except LinkLost as error:
                ledger.failed(name, error)
                ledger.errors.append(error)
                return
            ledger.done.append(name)

    async def receive() -> None:
        try:
            async for element in out:
                ledger.received.append(_name(element))
        except LinkLost:
            return

    async def send_or_receive(names: list[str], receives_first: bool) -> None:
        receiving = True
        while names or receiving:
            clauses = [Send(into, _element(names[0]))] if names else []
            clauses.insert(0 if receives_first else 1, Recv(out if receiving else never))
            try:
                won = await select(*clauses)
            except ChannelClosed:
                receiving = False
            except LinkLost as error:
                if names:
                    ledger.failed(names[0], error)
                if error.clause.channel is into:  # else it counts the sends of the other handle
                    ledger.errors.append(error)
                return
            else:
                if isinstance(won.clause, Send):
                    ledger.done.append(names.pop(0))
                else:
                    ledger.received.append(_name(won.value))

    async def call() -> None:
        for i in range(CALLS):
            name = f"{label} call {i}"
            try:
                answer = await link.rpc_send(COMMAND, 0, name.encode()).wait()
            except LinkLost as error:
                ledger.called[name] = error.outcome.value
                return
            ledger.called[name] = "done" if answer == name.encode() else "another one's answer"

    async with current_host().open_nursery() as nursery:
        for task in range(TASKS):
            names = [f"{label} {task} {i}" for i in range(ELEMENTS // TASKS)]
            if selects:
                nursery.start_soon(send_or_receive, names, task % 2 == 0)
            else:
                nursery.start_soon(send, names)
                nursery.start_soon(receive)
        nursery.start_soon(call)


def _element(name: str) -> bytes:
    return name.encode() + b"." * (crc32(name.encode()) % 97)


def _name(element: bytes) -> str:
    return element.rstrip(b".").decode()


@define
class Books:
    """What the serving side knows at the end: ``arrived`` through "in"; of "out" what is left, and what was reported.

    ``marked`` of those left may have been received: they were put back because nobody knew. ``called``: handled.
    """

    arrived: list[str]
    left: list[str]
    reported: list[str]
    called: list[str]
    marked: list[str] = field(factory=list)


def check(ledger: Ledger, books: Books, sent: list[str]) -> None:
    """Compare both ledgers; ``sent`` is what there was in "out"."""
    done, doubt, lost = set(ledger.done), set(ledger.in_doubt), set(ledger.lost)
    arrived = set(books.arrived)
    assert len(books.arrived) == len(arrived), "doubled on the way in"
    assert len(ledger.lost) == len(lost), "reported twice"
    assert lost <= done, "reported, although its send had not completed"
    assert done - lost <= arrived, "acknowledged, but never arrived"
    assert arrived <= done | doubt, "arrived, although it was said not to have been done"
    for error in ledger.errors:
        assert (error.acked, error.in_doubt) == (len(done - lost), len(doubt | lost)), "the error counts something else"
        assert error.acked <= len(arrived) <= error.acked + error.in_doubt
    got, left, reported = set(ledger.received), set(books.left), set(books.reported)
    assert len(got) == len(ledger.received), "doubled on the way out"
    assert not got & (left - set(books.marked)), "received, and still at home"
    assert not reported & left, "in doubt, and still at home"
    assert got | left | reported == set(sent), "lost without a word"
    check_calls(ledger.called, books.called)


def check_calls(called: dict[str, str], handled: list[str]) -> None:
    """Each call was handled at most once, and what its caller was told is true."""
    assert max(Counter(handled).values(), default=1) == 1, "handled twice"
    assert set(called.values()) <= {"done", "in doubt", "not done"}
    assert {name for name, how in called.items() if how == "done"} <= set(handled), "answered, but never handled"
    assert set(handled) <= {name for name, how in called.items() if how != "not done"}, "handled, and said not to be"
