# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A worker: takes orders from one channel, counts, answers on another, and tells on a third how far it is.

``work`` knows nothing of links: its three ends are local channels or remote ones. Run as a program
(``python -m kcoro_core.demo.worker URI NUMBER``) it dials the coordinator and ends with it: when the coordinator closes
its channels, and when the link is lost. If the coordinator was killed, it also removes the folder of the socket.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from attrs import Factory, define

from ..errors import ChannelClosed, LinkLost, TransportError
from ..link.dial import dial
from ..run import run, sleep
from .files import Unfit, blocks
from .messages import REASON_CHARACTERS, Answer, Order, Part, Progress, Taken, decode_as, encode, portions
from .rule import rule_of
from .words import WordCounter

__all__ = ["Ends", "Inlet", "Outlet", "main", "work"]

ORPHAN_SECONDS: Final = 1.0


class Inlet(Protocol):
    """Where bytes come from: a channel, local or remote, or its receiving half."""

    async def recv(self) -> bytes:
        """The next message; ChannelClosed after the last."""
        ...


class Outlet(Protocol):
    """Where bytes go: a channel, local or remote, or its sending half."""

    async def send(self, value: bytes) -> None:
        """Hand over a message."""
        ...


@define(eq=False)
class Ends:
    """The three channels as a worker sees them."""

    jobs: Inlet
    results: Outlet
    progress: Outlet


@define(eq=False)
class _Count:
    """What has been counted for one order."""

    words: Counter[str] = Factory(Counter)
    files: int = 0
    size: int = 0
    skipped: list[tuple[int, str]] = Factory(list)


async def work(worker: int, ends: Ends, tell_every: float = 0.1) -> None:
    """Answer orders until the coordinator closes a channel; tells its progress every ``tell_every`` seconds."""
    teller = _Teller(worker, ends.progress, tell_every)
    try:
        while True:
            order = decode_as(await ends.jobs.recv(), Order)
            await ends.results.send(encode(Taken(order.job, order.issue, worker)))
            started = time.perf_counter()
            count = await _count(order, teller)
            await _answer(worker, order, count, time.perf_counter() - started, ends.results)
    except ChannelClosed:
        return


class _Teller:
    """Sends the progress, but not too often; gives the link a turn whenever it does not."""

    def __init__(self, worker: int, outlet: Outlet, every: float) -> None:
        self._worker = worker
        self._outlet = outlet
        self._every = every
        self._next = time.perf_counter() + every

    async def tell(self, order: Order, size: int) -> None:
        """``size`` bytes of this order are counted."""
        now = time.perf_counter()
        if now < self._next:
            await sleep(0)
            return
        self._next = now + self._every
        await self._outlet.send(encode(Progress(order.job, order.issue, self._worker, size)))


async def _count(order: Order, teller: _Teller) -> _Count:
    count = _Count()
    read = 0
    for position, path in enumerate(order.paths):
        counter = WordCounter()
        before = read
        try:
            for block in blocks(path):
                counter.feed(block)
                read += len(block)
                await teller.tell(order, read)
        except Unfit as reason:
            count.skipped.append((position, str(reason)[:REASON_CHARACTERS]))
            continue
        count.words.update(counter.finish())
        count.files += 1
        count.size += read - before
    return count


async def _answer(worker: int, order: Order, count: _Count, seconds: float, results: Outlet) -> None:
    *parts, last = portions(count.words)
    for index, words in enumerate(parts):
        await results.send(encode(Part(order.job, order.issue, worker, index, words)))
    skipped = tuple(count.skipped)
    answer = Answer(order.job, order.issue, worker, len(parts), last, count.files, count.size, seconds, skipped)
    await results.send(encode(answer))


async def _attend(uri: str, worker: int) -> None:
    async with dial(uri, authorize=rule_of(uri)) as link:
        await work(worker, Ends(await link.open("jobs"), await link.open("results"), await link.open("progress")))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one coordinator; exit code 0 when it had no more work, 3 when it went away without a word."""
    parser = argparse.ArgumentParser(prog="python -m kcoro_core.demo.worker", description=__doc__)
    parser.add_argument("uri", help="where the coordinator listens")
    parser.add_argument("number", type=int, help="the number of this worker, chosen by the coordinator")
    parser.add_argument("--host", default="trio", help="what runs its tasks")
    parser.add_argument("--folder", help="removed when the coordinator was killed, and cannot do it itself")
    parser.add_argument("--coordinator", type=int, help="process id of the coordinator, which is our parent")
    args = parser.parse_args(argv)
    # Ctrl-C is the coordinator's business; it ends the link, and with it this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 0
    try:
        run(_attend, args.uri, args.number, host=args.host)
    except* (LinkLost, TransportError) as lost:
        sys.stderr.write(f"{lost.exceptions[0]}\n")
        code = 3
    if code and args.folder and args.coordinator and _has_died(args.coordinator):
        shutil.rmtree(args.folder, ignore_errors=True)
    return code


def _has_died(parent: int) -> bool:
    """Whether the process that started this one is gone; its sockets close a moment before its children see it."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getppid() != parent


if __name__ == "__main__":
    sys.exit(main())
