# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro send``: what is read goes into a channel, an element at a time, as fast as it is taken.

Rule 1: nothing is read ahead of the channel but one chunk, so that whoever writes our input is slowed, too.
Rule 2: the channel is closed at the end of the input, and with an error when the end was not reached.
Rule 3: whoever listens begins when the receivers have come, and stays until every element was confirmed, or is known to
be in doubt.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import trio
from attrs import Factory, define

from ..channel import Channel, channel
from ..clauses import After, Recv
from ..config import settings
from ..demo.state import Show
from ..errors import ChannelClosed, KcoroError, LinkLost, WouldBlock
from ..link.identity import same_user
from ..link.link import Link
from ..link.offer import limits_of
from ..link.remote import RemoteChannel
from ..link.serve import Server, serve
from ..select import select
from ..semantics import BUFFERED, RENDEZVOUS, Undelivered
from ..transport import Identity
from .attending import Broken, Plan, Teller, attend, reach
from .files import Input, size_of
from .formats import InputError
from .outcome import Cause, Outcome, Tally

__all__ = ["send"]

LOOK_SECONDS = 0.05
"""How often a sender that has sent everything looks whether the last element was confirmed."""


class Target(Protocol):
    """Where elements go: the channel itself, or a handle on it."""

    async def send(self, value: bytes) -> None:
        """Hand over an element."""
        ...

    def close(self, reason: object = None) -> None:
        """Say that no more will come."""
        ...


async def send(plan: Plan, tally: Tally, show: Show) -> Outcome:
    """Send everything; ``tally`` is kept up to date, and ``show`` told how far it is.

    :raises ValueError: the address or a file makes no sense. NotSupported: no plugin serves the scheme.
    """
    try:
        total = size_of(plan.files)
    except OSError as error:
        raise ValueError(f"cannot read {error.filename or 'standard input'}: {error.strerror}") from error
    sending = Sending(plan, tally, Teller(plan, tally, show, "sending", total))
    return await attend(sending.listening if plan.listen else sending.dialling, sending.interrupted)


@define(eq=False)
class Sending:
    """One run of ``kcoro send``."""

    plan: Plan
    tally: Tally
    teller: Teller
    why: str = "the sender has failed"
    missing: int = 0
    arrived: trio.Event = Factory(trio.Event)

    def interrupted(self, text: str) -> None:
        """The receivers are told this."""
        self.why = f"the sender was {text}"

    # -- the other side listens

    async def dialling(self) -> Outcome:
        """Over a handle."""
        link: Link | None = None
        try:
            async with reach(self.plan) as link:
                await self._to(await link.open(self.plan.name, lend=True))
        finally:
            self._book(link)
        if self.tally.in_doubt or (link.report is not None and not link.report.orderly):
            raise LinkLost("the link was lost before the other side had confirmed everything")
        return Outcome(Cause.DONE)

    async def _to(self, handle: RemoteChannel) -> None:
        try:
            await self._pour(handle, handle.max_message)
            if handle.can_close and not self.plan.leave_open:
                handle.close()
        except (InputError, trio.Cancelled) as error:
            self._break_off(handle, error)
            raise
        except ChannelClosed as error:
            # A receiver that stops says why, and then leaves at once: a send that comes later finds that it has left.
            raise ChannelClosed(str(error), reason=handle.reason or error.reason) from error

    def _book(self, link: Link | None) -> None:
        """What is known at the end: only the report of the link knows what was confirmed."""
        if link is None or link.report is None:
            return
        self.tally.in_doubt = sum(link.report.in_doubt.values())
        if self.plan.name in link.report.acked:
            self.tally.passed = link.report.acked[self.plan.name]

    # -- this side listens

    async def listening(self) -> Outcome:
        """Into a channel of our own, which receivers share."""
        kind, capacity = (BUFFERED, self.plan.capacity) if self.plan.capacity else (RENDEZVOUS, None)
        own = channel(kind, capacity, on_undelivered=self._undelivered, name=self.plan.name)
        self.missing = self.plan.receivers
        async with serve(self.plan.uri, {self.plan.name: own.receiver()}, authorize=self._arrives) as server:
            await self.arrived.wait()
            try:
                await self._pour(own, limits_of(settings()).max_message)
            except InputError as error:
                self._break_off(own, error)
                await self._until_taken(own, server)
                raise
            except trio.Cancelled:
                own.cancel(Broken(self.why))
                raise
            own.close()
            try:
                await self._until_taken(own, server)
            except trio.Cancelled:
                own.cancel(Broken(self.why))
                raise
        if self.tally.in_doubt:
            return Outcome(Cause.LOST, f"{self.tally.links_lost or 1} receivers were lost")
        return Outcome(Cause.DONE)

    def _arrives(self, identity: Identity, name: str, operation: str) -> bool:
        """Whoever opens the channel is one more receiver."""
        welcome = same_user(identity)
        self.missing -= welcome
        if self.missing <= 0:
            self.arrived.set()
        return welcome

    def _undelivered(self, value: bytes, reason: Undelivered, which: object) -> None:
        self.tally.passed -= 1
        self.tally.size -= len(value)
        if reason is Undelivered.IN_DOUBT:
            self.tally.in_doubt += 1
        else:
            self.tally.left_over += 1

    async def _until_taken(self, own: Channel[bytes], server: Server) -> None:
        """Wait until the closed channel is empty and what travels is settled; receivers may come and go meanwhile."""
        while True:
            if not len(own):
                try:
                    own.try_recv()  # empty, so this takes nothing: it tells whether something still travels
                except ChannelClosed:
                    return
                except WouldBlock:
                    pass
            with suppress(ChannelClosed):
                await select(Recv(server.events), After(LOOK_SECONDS))

    # -- both

    async def _pour(self, target: Target, limit: int) -> None:
        for path in self.plan.files:
            source, splitter = Input(path), self.plan.format.splitter(limit)
            while chunk := await source.read():
                for element in splitter.feed(chunk):
                    await self._pass(target, element)
            for element in splitter.finish():
                await self._pass(target, element)

    async def _pass(self, target: Target, element: bytes) -> None:
        self.tally.taken += 1
        await target.send(element)
        self.tally.passed += 1
        self.tally.size += len(element)
        self.teller.tell()

    def _break_off(self, target: Target, error: BaseException) -> None:
        """Tell the receivers that this is not the end; no matter if nobody can be told."""
        with suppress(KcoroError):
            target.close(Broken(str(error) if isinstance(error, InputError) else self.why))
