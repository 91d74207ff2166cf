# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A program that owns a real link and does with it what bytes decide, and the books that it keeps of its elements.

The books are the law: whatever the peer sends, every call ends with a named error or a result, an element of this
program is received, reported or left once and never twice, and nobody waits for a link that is over.

What it can do stands in ACTS, each under a number of its own, so that kept inputs mean the same when acts are added.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from kcoro_core import BUFFERED, CONFLATED, RENDEZVOUS, SUSPEND, UNLIMITED, CancelToken, Channel, channel, parking
from kcoro_core.clauses import Clause, Recv, Send
from kcoro_core.errors import KcoroError, Outcome
from kcoro_core.hosts.port import Nursery
from kcoro_core.link.bound import Redelivered
from kcoro_core.link.calls import CallFuture
from kcoro_core.link.link import Link
from kcoro_core.link.remote import RemoteChannel
from kcoro_core.run import sleep
from kcoro_core.select import Selector, select
from kcoro_core.semantics import DROP_OLDEST, Undelivered
from kcoro_core.testing.explore.books import check_snapshot

from .choices import Choices

MARK = b"\xfe\xed"
MOST_CALLS = 30
SHAPES = (
    (BUFFERED, 4, SUSPEND),
    (RENDEZVOUS, None, SUSPEND),
    (UNLIMITED, None, SUSPEND),
    (CONFLATED, None, SUSPEND),
    (BUFFERED, 2, DROP_OLDEST),
)
OPENED: tuple[dict[str, Any], ...] = ({}, {"lend": True}, {"prefetch": 3}, {"lend": True, "prefetch": 2, "weight": 4})


class Owner:
    """One program with a channel that peers may open, and a link over which it opens theirs."""

    def __init__(self, choices: Choices, nursery: Nursery) -> None:
        self.choices = choices
        self.nursery = nursery
        self.link: Link | None = None
        kind, capacity, overflow = choices.one_of(SHAPES)
        self.jobs: Channel[bytes] = channel(kind, capacity, overflow, self._undelivered, "jobs")
        self.handles: list[RemoteChannel] = []
        self.tokens: dict[CancelToken, str] = {}  # of calls that wait
        self.numbers = 0
        self.fates: dict[int, list[str]] = {}  # of elements that were sent into ``jobs`` here
        self.sent: Counter[int] = Counter()  # elements that were sent over handles, done
        self.reported: Counter[int] = Counter()  # and those of them that came back as undelivered

    # -- elements

    def element(self) -> tuple[int, bytes]:
        """A new one, mostly short, sometimes so long that it travels in pieces."""
        self.numbers += 1
        size = self.choices.below(80)
        return self.numbers, MARK + b"%d " % self.numbers + bytes(size if size < 72 else size * 240)

    def number(self, element: bytes) -> int:
        """The number of an element of this program; 0 for one of the peer's."""
        number = bytes(element)[len(MARK) :].partition(b" ")[0]
        ours = bytes(element).startswith(MARK) and number.isdigit()
        return int(number) if ours and 0 < int(number) <= self.numbers else 0

    def book(self, element: bytes, fate: str) -> None:
        """What has become of an element that was in ``jobs``; one that came back is another story."""
        if (number := self.number(element)) and not isinstance(element, Redelivered):
            self.fates.setdefault(number, []).append(fate)

    def _undelivered(self, element: bytes, why: Undelivered, _channel: object) -> None:
        self.book(element, f"reported {why.value}")

    def _undelivered_here(self, element: bytes, _why: Undelivered, _handle: object) -> None:
        self.reported[self.number(element)] += 1

    # -- calls

    def start(
        self, what: str, call: Callable[[CancelToken], Awaitable[object]], handle: RemoteChannel | None = None
    ) -> None:
        """Make a call, of this handle if it is one, in a task of its own; only named errors may come out of it."""
        if len(self.tokens) < MOST_CALLS:
            token = CancelToken()
            self.tokens[token] = what
            self.nursery.start_soon(self._made, token, call, handle)

    async def _made(
        self, token: CancelToken, call: Callable[[CancelToken], Awaitable[object]], handle: RemoteChannel | None
    ) -> None:
        try:
            if handle is None or handle in self.handles:  # else it was given up before this task had its turn
                await call(token)
        except KcoroError:
            pass
        except ValueError as error:
            if not is_answer(error):
                raise
        finally:
            del self.tokens[token]

    def handle(self) -> RemoteChannel | None:
        """One that is open, or none."""
        return self.choices.one_of(self.handles) if self.handles else None

    def nothing(self) -> None:
        """Do nothing: a byte of an input that says so, wherever it is read, asks for little."""

    def open(self) -> None:
        """Open a channel of the peer."""
        options = self.choices.one_of(OPENED)

        async def call(token: CancelToken) -> None:
            assert self.link is not None
            handle = await self.link.open("jobs", on_undelivered=self._undelivered_here, cancel=token, **options)
            self.handles.append(handle)

        self.start("open", call)

    def send(self) -> None:
        """Send over a handle."""
        if (handle := self.handle()) is None:
            return
        number, element = self.element()
        timeout = self.choices.one_of((None, 0, 0.05))

        async def call(token: CancelToken) -> None:
            try:
                await handle.send(element, timeout, cancel=token)
            except KcoroError as error:
                self.sent[number] += error.outcome is Outcome.IN_DOUBT
                raise
            self.sent[number] += 1

        self.start("send", call, handle)

    def recv(self) -> None:
        """Receive over a handle."""
        if (handle := self.handle()) is not None:
            timeout = self.choices.one_of((None, 0, 0.05))
            self.start("recv", lambda token: handle.recv(timeout, cancel=token), handle)

    def try_here(self) -> None:
        """What a handle can do without asking."""
        if (handle := self.handle()) is None:
            return
        number, element = self.element()
        try:
            if self.choices.sometimes(2):
                handle.try_recv()
            else:
                handle.try_send(element)
                self.sent[number] += 1
        except KcoroError:
            pass

    def select(self) -> None:
        """Wait for a handle or the channel here."""
        if (handle := self.handle()) is None:
            return
        number, element = self.element()
        gives = self.choices.sometimes(2)
        clauses: list[Clause] = [Send(handle, element) if gives else Recv(handle), Recv(self.jobs)]

        async def call(token: CancelToken) -> None:
            try:
                won = await select(*clauses, cancel=token)
            except KcoroError as error:
                self.sent[number] += gives and error.outcome is Outcome.IN_DOUBT
                raise
            if won.index == 1:
                self.book(won.value, "received")
            elif gives:
                self.sent[number] += 1

        self.start("select", call, handle)

    def call(self) -> None:
        """Call something of the peer."""
        command, payload = 64 + self.choices.below(64), bytes(self.choices.below(80))

        async def call(token: CancelToken) -> None:
            assert self.link is not None
            await self.link.rpc_send(command, 0, payload).wait(cancel=token)

        self.start("call", call)

    def ask(self) -> None:
        """Ask for counters, or for names."""
        handle = self.handle()

        async def call(token: CancelToken) -> None:
            assert self.link is not None
            await (self.link.list(cancel=token) if handle is None else handle.info(cancel=token))

        self.start("ask", call, handle)

    def detach(self) -> None:
        """Give a handle up."""
        if (handle := self.handle()) is not None:
            self.handles.remove(handle)
            handle.detach()

    def close(self) -> None:
        """Have a channel of the peer closed, or cancelled."""
        if (handle := self.handle()) is not None:
            try:
                (handle.cancel if self.choices.sometimes(2) else handle.close)("enough")
            except KcoroError:
                pass

    def cancel(self) -> None:
        """Give a call up."""
        if self.tokens:
            self.choices.one_of(list(self.tokens)).trigger()

    def put(self) -> None:
        """Send into the channel here."""
        _, element = self.element()
        self.start("put", lambda token: self.jobs.send(element, self.choices.one_of((None, 0)), cancel=token))

    def take(self) -> None:
        """Receive from the channel here."""
        timeout = self.choices.one_of((None, 0, 0.05))

        async def call(token: CancelToken) -> None:
            self.book(await self.jobs.recv(timeout, cancel=token), "received")

        self.start("take", call)

    def try_at_home(self) -> None:
        """What the channel here can do at once."""
        _, element = self.element()
        try:
            if self.choices.sometimes(2):
                self.jobs.try_send(element)
            else:
                self.book(self.jobs.try_recv(), "received")
        except KcoroError:
            pass

    def close_jobs(self) -> None:
        """Close the channel here, seldom."""
        if self.choices.sometimes(4):
            (self.jobs.cancel if self.choices.sometimes(2) else self.jobs.close)("over")

    def drain(self) -> None:
        """Leave in good order, seldom."""
        if self.choices.sometimes(4):
            timeout = self.choices.one_of((0, 0.5))

            async def call(_token: CancelToken) -> None:
                assert self.link is not None
                await self.link.drain(timeout)

            self.start("drain", call)

    async def wait(self) -> None:
        """Time passes: sometimes longer than a grace, seldom longer than a silence that is borne."""
        await sleep(self.choices.one_of((0.1, 0.6, 1.1, 0.6, 0.1, 40.0)))

    # -- the end

    def check_lost(self) -> None:
        """The link is over: nobody waits for it, and it has nothing left."""
        assert self.link is not None
        local = {"put", "take"}
        waiting = sorted(what for what in self.tokens.values() if what not in local and what != "select")
        assert not waiting, f"they wait for a link that is over: {waiting}"
        state = self.link.snapshot()
        left = state.requests_in_flight, state.waiting_here, state.exported, state.tx_backlog_bytes
        assert left == (0, 0, 0, 0), f"requests, waiters, channels, bytes are left: {left}"

    def check_books(self) -> None:
        """Every call has ended: each element has one fate at most, and the counters do not lie."""
        assert not self.tokens, f"calls have not ended: {sorted(self.tokens.values())}"
        found: list[str] = []
        check_snapshot(0, self.jobs, found)
        assert not found, found
        try:
            while True:
                self.book(self.jobs.try_recv(), "left")
        except KcoroError:
            pass
        twice = {number: fates for number, fates in self.fates.items() if len(fates) > 1}
        assert not twice, f"elements with two fates: {twice}"
        for number, count in self.reported.items():
            assert count <= self.sent[number], f"element {number} is reported {count} times, sent {self.sent[number]}"


RAISERS = [raiser.__code__ for raiser in (parking.result, Selector._won, CallFuture._outcome)]
"""Where answers of a peer are raised."""


def is_answer(error: ValueError) -> bool:
    """Whether this is what the peer has answered: then it was raised where answers are, and nowhere else."""
    *_, last = traceback.walk_tb(error.__traceback__)
    return last[0].f_code in RAISERS


ACTS: dict[int, Callable[[Owner], Any]] = {
    0: Owner.open,
    1: Owner.send,
    2: Owner.recv,
    3: Owner.try_here,
    4: Owner.select,
    5: Owner.call,
    6: Owner.ask,
    7: Owner.detach,
    8: Owner.close,
    9: Owner.cancel,
    10: Owner.put,
    11: Owner.take,
    12: Owner.try_at_home,
    13: Owner.close_jobs,
    14: Owner.drain,
    15: Owner.wait,
    16: Owner.put,
    17: Owner.send,
    18: Owner.recv,
    19: Owner.take,
    31: Owner.nothing,
}
"""What a program can do, by number; numbers up to 31 are free for what comes."""
