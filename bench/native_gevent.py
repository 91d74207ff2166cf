# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The same work for gevent, whose tasks are greenlets and not coroutines: what of it gevent has."""

from __future__ import annotations

from typing import Any

import gevent
from gevent.pool import Group
from gevent.queue import Channel, Queue
from native_programs import BATCH, CROWD, Answer, Watch


def rendezvous(n: int, _watch: Watch) -> Answer:
    """A question over one channel and an answer over another, ``n`` times."""
    questions, answers = Channel(), Channel()
    total = 0

    def server() -> None:
        for _ in range(n):
            answers.put(questions.get() + 1)

    task = gevent.spawn(server)
    for i in range(n):
        questions.put(i)
        total += answers.get()
    task.get()
    return n, total


def _pump(n: int, queue: Any, producers: int, consumers: int) -> Answer:
    def produce(first: int) -> None:
        for i in range(first, n, producers):
            queue.put(i)

    def consume() -> int:
        mine = 0
        for _ in range(n // consumers):
            mine += queue.get()
        return mine

    senders = [gevent.spawn(produce, first) for first in range(producers)]
    receivers = [gevent.spawn(consume) for _ in range(consumers)]
    gevent.joinall(senders, raise_error=True)
    return n // consumers * consumers, sum(receiver.get() for receiver in receivers)


def buffered(n: int, _watch: Watch) -> Answer:
    """One producer, one consumer, room for 128."""
    return _pump(n, Queue(128), 1, 1)


def fan_in(n: int, _watch: Watch) -> Answer:
    """Eight producers and one consumer at a channel without room."""
    return _pump(n, Channel(), CROWD, 1)


def fan_out(n: int, _watch: Watch) -> Answer:
    """One producer and eight consumers at a channel without room."""
    return _pump(n, Channel(), 1, CROWD)


def spawn(n: int, _watch: Watch) -> Answer:
    """Greenlets that end at once, started and joined a hundred at a time."""
    count = total = 0

    def child(i: int) -> None:
        nonlocal count, total
        count, total = count + 1, total + i

    for first in range(0, n, BATCH):
        group = Group()
        for i in range(first, first + BATCH):
            group.spawn(child, i)
        group.join(raise_error=True)
    return count, total
