# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Both ledgers of a link that is cut while elements go both ways, and what must hold between them.

The dialling side sends elements to the channel ``in`` with several tasks, and receives those of ``out`` with several
others, until the link ends. Its ledger says of each element what its own calls said; the serving side's what arrived.
"""

from __future__ import annotations

from collections import Counter
from zlib import crc32

from attrs import define, field

from kcoro_core import Link, LinkLost, Outcome, TransportError, dial
from kcoro_core.hosts.port import current_host

ELEMENTS = 40
TASKS = 4


@define
class Ledger:
    """What the dialling side knows at the end."""

    done: list[str] = field(factory=list)
    in_doubt: list[str] = field(factory=list)
    not_done: list[str] = field(factory=list)
    received: list[str] = field(factory=list)
    errors: list[LinkLost] = field(factory=list)


async def exchange(uri: str, label: str) -> Ledger:
    """Send and receive until everything is through, or the link is lost."""
    ledger = Ledger()
    try:
        async with dial(uri) as link:
            await _use(link, label, ledger)
    except (LinkLost, TransportError):
        pass  # cut in the handshake, or in an open: nothing was sent, which the ledger says
    return ledger


async def _use(link: Link, label: str, ledger: Ledger) -> None:
    into, out = await link.open(f"in {label}"), await link.open(f"out {label}")

    async def send(names: list[str]) -> None:
        while names:
            name = names.pop(0)
            try:
                await into.send(name.encode() + b"." * (crc32(name.encode()) % 97))
            except LinkLost as error:
                (ledger.in_doubt if error.outcome is Outcome.IN_DOUBT else ledger.not_done).append(name)
                ledger.errors.append(error)
                return
            ledger.done.append(name)

    async def receive() -> None:
        try:
            async for element in out:
                ledger.received.append(element.rstrip(b".").decode())
        except LinkLost:
            return

    async with current_host().open_nursery() as nursery:
        for task in range(TASKS):
            nursery.start_soon(send, [f"{label} {task} {i}" for i in range(ELEMENTS // TASKS)])
            nursery.start_soon(receive)


def check(ledger: Ledger, arrived: list[str], sent: list[str], left: list[str], reported: list[str]) -> None:
    """Compare both ledgers: ``arrived`` through "in"; of "out" what was ``sent``, is ``left``, and was ``reported``."""
    done, doubt = set(ledger.done), set(ledger.in_doubt)
    assert max(Counter(arrived).values(), default=1) == 1, "doubled on the way in"
    assert done <= set(arrived), "acknowledged, but never arrived"
    assert set(arrived) <= done | doubt, "arrived, although it was said not to have been done"
    for error in ledger.errors:
        assert (error.acked, error.in_doubt) == (len(done), len(doubt)), "the error counts something else"
        assert error.acked <= len(arrived) <= error.acked + error.in_doubt
    got = set(ledger.received)
    assert len(got) == len(ledger.received), "doubled on the way out"
    assert not got & set(left), "received, and still at home"
    assert not set(reported) & set(left), "in doubt, and still at home"
    assert got | set(left) | set(reported) == set(sent), "lost without a word"
