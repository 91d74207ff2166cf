# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs over links on the script host: several peers and local tasks share one channel of any kind.

They send, receive, time out, are cancelled and leave, in an order that the seed decides; at the end the books balance.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from attrs import define, field

from kcoro_core import (
    CancelToken,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    OperationCancelled,
    Outcome,
    WouldBlock,
    channel,
    dial,
    serve,
    sleep,
)
from kcoro_core.hosts import script
from kcoro_core.hosts.port import current_host
from kcoro_core.testing.laws.shapes import ALL

from .world import tasks


@define
class Storm:
    """One random program and its ledger."""

    chance: random.Random
    sent: list[bytes] = field(factory=list)
    received: list[bytes] = field(factory=list)
    reported: list[bytes] = field(factory=list)
    tried: int = 0

    async def peer(self) -> None:
        """Work over a link of its own."""
        async with dial("mem:storm") as link:
            await self.work(await link.open("jobs"))

    async def work(self, end: Any) -> None:
        """A few operations, each with what may end it."""
        for _ in range(self.chance.randint(1, 6)):
            try:
                await self.operation(end)
            except (WouldBlock, DeadlineExceeded, OperationCancelled) as error:
                if error.outcome is not Outcome.NOT_DONE:
                    raise  # while the link lives everything is answered in time
            except ChannelClosed:
                return
            if self.chance.random() < 0.2:
                await sleep(self.chance.choice([0, 0.01]))

    async def operation(self, end: Any) -> None:
        """One send or receive."""
        how: dict[str, Any] = {}
        if self.chance.random() < 0.4:
            how["timeout"] = self.chance.choice([0, 0.01, 0.5])
        if self.chance.random() < 0.3:
            how["cancel"] = token = CancelToken()
            current_host().call_at(current_host().now() + self.chance.choice([0, 0.01, 0.2]), token.trigger)
        if self.chance.random() < 0.5:
            self.received.append(bytes(await end.recv(**how)))
        else:
            self.tried += 1
            value = b"%d" % self.tried
            await end.send(value, **how)
            self.sent.append(value)

    async def run(self, ch: Channel[bytes]) -> None:
        """Peers and local tasks, a close perhaps, then everybody who still waits is cancelled."""
        async with serve("mem:storm", {"jobs": ch}), tasks() as some:
            for _ in range(self.chance.randint(1, 3)):
                some.start(self.peer)
            for _ in range(self.chance.randint(0, 2)):
                some.start(self.work, ch)
            await sleep(self.chance.choice([0.05, 1, 3]))
            if self.chance.random() < 0.5:
                ch.close()
            await sleep(1)
            some.cancel()
        ch.cancel()


def weather(seed: int) -> None:
    """Run one storm and compare its books."""
    storm = Storm(random.Random(seed))
    made = storm.chance.choice(list(ALL.values()))
    ch = channel(made.kind, made.capacity, made.overflow, lambda value, why, of: storm.reported.append(value))
    script.run(storm.run, ch, seed=seed)
    state = ch.snapshot()
    assert state.waiting_senders == state.waiting_receivers == 0
    assert state.received == len(storm.received)
    assert Counter(storm.received) + Counter(storm.reported) == Counter(storm.sent), (seed, made)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_whatever_happens_over_links_the_books_balance(first: int) -> None:
    """Received and reported elements are exactly those whose send succeeded, in 400 random programs. Rows: CH6, N1b."""
    for seed in range(first, first + 100):
        weather(seed)


@pytest.mark.long
def test_the_books_balance_in_ten_thousand_storms() -> None:
    """The same, for longer. Rows: CH6, N1b."""
    for seed in range(400, 10_400):
        weather(seed)
