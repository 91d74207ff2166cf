# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The micro-benchmarks that the native rows have no program for; the others are those of ``native_programs.py``.

Each does a small thing ``n`` times in batches, which ``watch`` takes down one by one, and returns how many things were
done and what they add up to.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micro_peers import Micro
    from native_programs import Answer, Watch

NUMBER = 4
"""Bytes of a number that is asked for over a link."""


async def switch(peer: Micro, n: int, watch: Watch) -> Answer:
    """A coroutine is resumed and yields, ``n`` times."""
    coroutine = peer.coroutine()

    def yields() -> None:
        give = coroutine.current().yield_
        for i in range(n):
            give(i)

    made = coroutine(yields)
    resume, total = made.resume, 0
    for numbers in watch.batches(n):
        for _ in numbers:
            total += resume()
    resume()
    return n, total


async def turns(peer: Micro, n: int, watch: Watch) -> Answer:
    """Two tasks give each other the turn, ``n`` times together."""
    sleep, total = peer.sleep, 0

    async def other() -> None:
        for _ in range(n // 2):
            await sleep(0)

    async with peer.group() as group:
        peer.start(group)(other)
        for numbers in watch.batches(n):
            for i in numbers[::2]:
                await sleep(0)
                total += i
    return n, total


async def timer(peer: Micro, n: int, watch: Watch) -> Answer:
    """A timer is set to a minute from now and taken back, ``n`` times; a turn of the loop after a hundred."""
    set_and_take_back, total = peer.brief(), 0
    for numbers in watch.batches(n):
        for i in numbers:
            set_and_take_back()
            total += i
        await peer.sleep(0)
    return n, total


async def call(peer: Micro, n: int, watch: Watch) -> Answer:
    """A call over a link inside the process, and its answer, ``n`` times."""
    total = 0
    async with peer.linked() as ask:
        for numbers in watch.batches(n):
            for i in numbers:
                total += int.from_bytes(await ask(i.to_bytes(NUMBER)))
    return n, total


async def _stackful(resume: Any, peer: Micro, n: int, watch: Watch, others: int = 0) -> Answer:
    """Two functions with stacks of their own ask and answer; ``others`` are tasks that want the turn meanwhile."""
    from kcoro_native.stackful import stackful, wait

    ask, asked = peer.channel(0)
    answer, answered = peer.channel(0)
    total, over = 0, False

    def server() -> None:
        for _ in range(n):
            wait(answer(wait(asked()) + 1))

    def client() -> None:
        nonlocal total, over
        for numbers in watch.batches(n):
            for i in numbers:
                wait(ask(i))
                total += wait(answered())
        over = True

    async def other() -> None:
        while not over:
            await peer.sleep(0)

    async with peer.group() as group:
        start = peer.start(group)
        start(stackful(server, resume=resume))
        start(stackful(client, resume=resume))
        for _ in range(others):
            start(other)
    return n, total


inline = partial(_stackful, "inline")
"""Whoever is woken is next."""

queue = partial(_stackful, "queue")
"""Whoever is woken stands in line."""
