# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The reference engine's channels on trio beside trio's own memory channels: the same tasks, the same elements."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from rounds import Figure, ratio, run_rounds, timed

import kcoro_core
from kcoro_core import BUFFERED, channel

TITLE = "| trio's memory channel over ours | ratio of times | must | goal | reached | trio, us | ours, us |"
ELEMENTS, FEW_ELEMENTS = 40_000, 2_000
"""Elements through each channel, and when it is only a look."""

SHAPES = {"rendezvous": (0, 1), "fan-in of 8": (0, 8), "buffered 128": (128, 1)}
"""Capacity and number of producers; one consumer."""

MUSTS = {
    "strict": {"rendezvous": (1.0, 1.1), "fan-in of 8": (1.0, 1.1), "buffered 128": (1.0, 1.1)},
    "budgeted": {"rendezvous": (1.2, 1.4), "fan-in of 8": (1.5, 2.0), "buffered 128": (3.0, 5.0)},
}

Send = Callable[[int], Awaitable[None]]
Receive = Callable[[], Awaitable[int]]


async def _pump(send: Send, receive: Receive, producers: int, elements: int) -> None:
    async def produce() -> None:
        for i in range(elements // producers):
            await send(i)

    async def consume() -> None:
        for _ in range(elements):
            await receive()

    async with trio.open_nursery() as nursery:
        for _ in range(producers):
            nursery.start_soon(produce)
        nursery.start_soon(consume)


async def with_trio(capacity: int, producers: int, elements: int) -> None:
    """Trio's memory channel."""
    tx, rx = trio.open_memory_channel[int](capacity)
    with tx, rx:
        await _pump(tx.send, rx.receive, producers, elements)


async def with_kcoro(capacity: int, producers: int, elements: int) -> None:
    """Ours; capacity 0 is a rendezvous, as it is for trio."""
    ch = channel(BUFFERED, capacity=capacity) if capacity else channel()
    await _pump(ch.send, ch.recv, producers, elements)


def figures(rounds: int, quick: bool) -> list[Figure]:
    """Both modes of every shape, each against trio in the same rounds."""
    elements = FEW_ELEMENTS if quick else ELEMENTS
    found: list[Figure] = []
    for shape, (capacity, producers) in SHAPES.items():
        arguments = (capacity, producers, elements)
        candidates: list[Callable[[], Any]] = [
            partial(trio.run, with_trio, *arguments),
            partial(trio.run, with_kcoro, *arguments),
            partial(kcoro_core.run, with_kcoro, *arguments, strict_checkpoints=False),
        ]
        peer, strict, budgeted = run_rounds(candidates, rounds, shape, timed)
        for mode, ours in (("strict", strict), ("budgeted", budgeted)):
            must, goal = MUSTS[mode][shape]
            microseconds = [statistics.median(t) / elements * 1e6 for t in (peer, ours)]
            found.append(Figure(f"{mode}, {shape}", ratio(peer, ours), must, goal, *microseconds))
    return sorted(found, key=lambda figure: figure.name.startswith("budgeted"))
