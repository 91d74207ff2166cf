# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The programs of two machines, which know nothing of each other but an address, and print what they saw as JSON.

``python -m tests.netns.programs home SCHEME`` serves on its machine, prints the address, and ends with its input.
``python -m tests.netns.programs exchange|drain|send ADDRESS`` dials it. Started by ``test_links.py``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio
import trio.testing
from lab.netns.pair import ADDRESSES

from kcoro_core import BUFFERED, Channel, LinkLost, Lost, Outcome, Server, channel, dial, serve

ELEMENTS = 200
TASKS = 20


def element(name: str, i: int) -> bytes:
    """One of a numbered row, of a size of its own."""
    return f"{name} {i} ".encode() + b"." * (i * 37 % 2500)


def number(value: bytes) -> int:
    """Which one it is; ValueError: what has come is not what was sent."""
    name, i, _ = value.split(b" ", 2)
    if value != element(name.decode(), int(i)):
        raise ValueError(f"{value[:40]!r} has changed on its way")
    return int(i)


def options(scheme: str) -> dict[str, Any]:
    """What it takes to serve and dial beyond this machine; a line of our own has no strangers on it."""
    return {"insecure": True} if scheme == "tcp" else {}


def tell(what: Any) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def collect(source: Any, into: list[int]) -> None:
    """Whatever comes, until the channel ends."""
    async for value in source:
        into.append(number(value))  # noqa: PERF401 - the caller looks at it before the channel ends


async def fill(out: Channel[bytes]) -> None:
    """Offer the row, then close."""
    for i in range(ELEMENTS):
        await out.send(element("out", i))
    out.close()


async def watch(server: Server) -> None:
    """Tell when a link is lost, and why."""
    async for news in server.events:
        if isinstance(news, Lost):
            tell({"lost": type(news.report.cause).__name__, "orderly": news.report.orderly})


async def home(scheme: str) -> None:
    """Serve a channel for each way."""
    into, out = channel(BUFFERED, capacity=64), channel(BUFFERED, capacity=64)
    got: list[int] = []
    export = {"into": into.sender(), "out": out.receiver()}
    uri = f"{scheme}:{ADDRESSES[1]}:0"
    async with serve(uri, export, lambda *_: True, **options(scheme)) as server, trio.open_nursery() as nursery:
        tell(server.uri)
        nursery.start_soon(collect, into, got)
        nursery.start_soon(fill, out)
        nursery.start_soon(watch, server)
        await trio.to_thread.run_sync(sys.stdin.read)
        tell(got)
        nursery.cancel_scope.cancel()


async def exchange(uri: str) -> None:
    """Send a row and receive a row, over slots that were lent and ahead of asking."""
    got: list[int] = []
    async with dial(uri, **options(uri.partition(":")[0])) as link:
        into, out = await link.open("into", lend=True), await link.open("out", prefetch=16)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, out, got)
            for i in range(ELEMENTS):
                await into.send(element("into", i))
        await into.info()  # answered behind everything that was sent
    tell(got)


async def drain(uri: str) -> None:
    """Take leave while tasks have sent and nothing is answered yet."""
    async with dial(uri, **options(uri.partition(":")[0])) as link, trio.open_nursery() as nursery:
        into = await link.open("into")
        for i in range(TASKS):
            nursery.start_soon(into.send, element("into", i))
        await trio.testing.wait_all_tasks_blocked()
        report = await link.drain(30)
    tell({"finished": report.finished, "in doubt": report.in_doubt, "in time": report.in_time})


async def send(uri: str) -> None:
    """Send one after the other, and tell what became of each, until the link is lost."""
    sent: list[int] = []
    async with dial(uri, **options(uri.partition(":")[0])) as link:
        into = await link.open("into")
        tell("linked")
        try:
            while True:
                await into.send(element("into", len(sent)))
                sent.append(len(sent))
        except LinkLost as error:
            tell({"acked": sent, "in doubt": [len(sent)] if error.outcome is Outcome.IN_DOUBT else []})


if __name__ == "__main__":
    trio.run({"home": home, "exchange": exchange, "drain": drain, "send": send}[sys.argv[1]], sys.argv[2])
