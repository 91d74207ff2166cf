# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro recv``: elements of a channel are written as they come, until the sender has closed it.

Rule 1: at most 64 KiB and one element wait to be written; a slow reader of our output slows the sender.
Rule 2: an end is good only when the channel was closed without an error and everything is written.
Rule 3: what was taken and could not be written is counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define

from ..channel import Channel, channel
from ..clauses import Recv
from ..demo.state import Show
from ..errors import ChannelClosed, KcoroError, LinkLost
from ..link.identity import same_user
from ..link.remote import RemoteChannel
from ..link.report import Lost
from ..link.serve import Server, serve
from ..select import select
from ..semantics import BUFFERED, RENDEZVOUS, Undelivered
from ..transport import Identity
from .attending import Broken, Plan, Teller, attend, reach
from .files import Output
from .outcome import Cause, Outcome, Tally

__all__ = ["receive"]


async def receive(plan: Plan, tally: Tally, show: Show) -> Outcome:
    """Write everything; ``tally`` is kept up to date, and ``show`` told how far it is.

    :raises ValueError: the address makes no sense. NotSupported: no plugin serves the scheme.
    """
    receiving = Receiving(plan, tally, Teller(plan, tally, show, "receiving"), Output(plan.files[0]))
    return await attend(receiving.listening if plan.listen else receiving.dialling, receiving.interrupted)


def senders_only(identity: Identity, name: str, operation: str) -> bool:
    """Whoever comes to a receiver that listens may send and close; to take is for the receiver itself."""
    return operation != "recv" and same_user(identity)


@define(eq=False)
class Receiving:
    """One run of ``kcoro recv``."""

    plan: Plan
    tally: Tally
    teller: Teller
    output: Output
    why: str = "the receiver has failed"

    def interrupted(self, text: str) -> None:
        """The senders are told this."""
        self.why = f"the receiver was {text}"

    # -- the other side listens

    async def dialling(self) -> Outcome:
        """From a handle, which may share the channel with other receivers."""
        async with reach(self.plan) as link:
            handle = await link.open(self.plan.name)
            await self._write(lambda: self._take(handle))
        return Outcome(Cause.DONE)

    async def _take(self, handle: RemoteChannel) -> None:
        try:
            while True:
                await self._put(await handle.recv())
        except ChannelClosed as error:
            if not handle.closed:
                raise ChannelClosed(str(error), reason="the sender left, and has not closed the channel") from error
            _check_reason(error)

    # -- this side listens

    async def listening(self) -> Outcome:
        """From a channel of our own, into which any number of senders may send until one closes it.

        :raises LinkLost: a sender was lost on the way; what the others sent has been written.
        """
        kind, capacity = (BUFFERED, self.plan.capacity) if self.plan.capacity else (RENDEZVOUS, None)
        own = channel(kind, capacity, on_undelivered=self._undelivered, name=self.plan.name)
        async with serve(self.plan.uri, export={self.plan.name: own}, authorize=senders_only) as server:
            try:
                await self._write(lambda: self._take_own(own, server))
            finally:
                own.cancel(Broken(str(self.output.error or self.why)))  # no matter behind an orderly close
        if self.tally.links_lost:
            raise LinkLost(f"{self.tally.links_lost} senders were lost")
        return Outcome(Cause.DONE)

    async def _take_own(self, own: Channel[bytes], server: Server) -> None:
        news = Recv(server.events)
        try:
            while True:
                won = await select(Recv(own), news)  # in this order: what has come is taken before a loss is heard of
                if won.index == 0:
                    await self._put(won.value)
                elif isinstance(won.value, Lost) and not won.value.report.orderly:
                    self.tally.links_lost += 1
                    if not server.links:
                        raise LinkLost("the sender was lost before it had closed the channel")
        except ChannelClosed as error:
            _check_reason(error)

    def _undelivered(self, value: bytes, reason: Undelivered, which: object) -> None:
        self.tally.left_over += 1  # the sender was told that we have it

    # -- both

    async def _put(self, element: bytes) -> None:
        self.tally.taken += 1
        await self.output.put(self.plan.format.join(element))
        self.tally.size += len(element)
        self.tally.passed = self.output.written
        self.teller.tell()

    async def _write(self, take: Callable[[], Awaitable[None]]) -> None:
        """Take and write side by side; whatever ended the taking, what was taken before it is written."""
        await self.output.open()
        failure: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.output.run, nursery.cancel_scope)
                try:
                    await take()
                except (KcoroError, Broken) as error:
                    failure = error
                self.output.end()
        finally:
            self.tally.passed = self.output.written
            self.tally.left_over = self.tally.taken - self.tally.passed
        if self.output.error is not None:
            raise self.output.error
        if failure is not None:
            raise failure


def _check_reason(error: ChannelClosed) -> None:
    """An exception as reason means that the sender has not sent everything."""
    if isinstance(error.reason, BaseException):
        raise Broken(f"the sender has not sent everything: {error.reason}") from error
