# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What acts bring on the reference engine: its public face, in tasks of the script host, on a clock that jumps."""

from __future__ import annotations

import errno
import gc
import itertools
from collections.abc import Iterator
from typing import Any

from attrs import define, evolve, field

from kcoro_core import After, CancelToken, Recv, Send, Triggered, channel, select
from kcoro_core.errors import ChannelClosed, DeadlineExceeded, OperationCancelled, WouldBlock
from kcoro_core.hosts import script
from kcoro_core.hosts.port import CancelScope, Nursery, current_host
from kcoro_core.run import sleep
from kcoro_core.semantics import ClosedRule, Undelivered
from kcoro_core.testing.laws.harness import using_engine

from .acts import BOOKS, PARENTS, About, Act, Arm, End, Lost, Op, Patience, Program, Quiet

__all__ = ["on_reference", "orders_of"]

_TICK = 1e-3
_TIMEOUTS = {Patience.TRY: 0.0, Patience.LATE: _TICK / 2, Patience.FOREVER: None, Patience.FAR: 3600.0}
_WHY = list(Undelivered)
_CODES = {WouldBlock: -errno.EAGAIN, DeadlineExceeded: -errno.ETIME, ChannelClosed: -errno.EPIPE}
_CODES[OperationCancelled] = -errno.ECANCELED


@define(eq=False)
class World:
    """One program while it runs; ``ended`` and ``lost`` are what the step has brought so far."""

    channels: list[Any] = field(factory=list)
    tokens: list[CancelToken] = field(factory=list)
    halves: dict[int, Any] = field(factory=dict)
    scopes: dict[int, CancelScope] = field(factory=dict)
    ended: list[End] = field(factory=list)
    lost: list[Lost] = field(factory=list)

    def make(self, program: Program) -> None:
        """The tokens, and the channels with a hook that writes down."""
        for parent in PARENTS:
            self.tokens.append(CancelToken(self.tokens[parent] if parent >= 0 else None))
        for number, shape in enumerate(program.shapes):

            def hook(value: int, why: Undelivered, of: object, number: int = number) -> None:
                self.lost.append(Lost(number, value, _WHY.index(why)))

            self.channels.append(channel(shape.kind, shape.capacity, shape.overflow, hook))

    async def call(self, act: Act) -> tuple[int, int]:
        """Make a call; which clause won, and what was received."""
        how: dict[str, Any] = {"timeout": _TIMEOUTS[act.patience]}
        if act.token >= 0:
            how["cancel"] = self.tokens[act.token]
        if act.op is Op.SEND:
            await self.channels[act.channel].send(act.value, **how)
            return -1, 0
        if act.op is Op.RECV:
            return -1, await self.channels[act.channel].recv(**how)
        if act.op is Op.WAIT:
            await self.tokens[act.token].wait()
            return -1, 0
        won = await select(*map(self.clause, act.arms), closed=ClosedRule(act.rule), **how)
        if won.error is not None:
            raise won.error
        return won.index, won.value or 0

    def clause(self, arm: Arm) -> Any:
        """The clause of select that an arm stands for."""
        if arm.about is About.TRIGGERED:
            return Triggered(self.tokens[arm.subject])
        if arm.about is About.AFTER:
            return After(_TICK / 2)
        ch = self.channels[arm.subject]
        return Send(ch, arm.value) if arm.about is About.SEND else Recv(ch)

    async def begin(self, number: int, act: Act) -> None:
        """Make a call and keep how it ended."""
        code, index, value = -errno.ECANCELED, -1, 0
        with current_host().open_cancel_scope() as self.scopes[number]:
            try:
                index, value = await self.call(act)
                code = 0
            except (WouldBlock, DeadlineExceeded, ChannelClosed, OperationCancelled) as error:
                code = _CODES[type(error)]
                if act.op is Op.SELECT and error.index is not None:
                    index = error.index
        self.ended.append(End(number, code, index, value))
        del self.scopes[number]

    async def act(self, nursery: Nursery, number: int, act: Act) -> None:
        """One act; then everything is quiet again."""
        if act.op.is_call:
            nursery.start_soon(self.begin, number, act)
        elif act.op is Op.STOP:
            if act.value in self.scopes:
                self.scopes[act.value].cancel()
        elif act.op is Op.TRIGGER:
            self.tokens[act.value].trigger()
        elif act.op is Op.OPEN:
            ch = self.channels[act.channel]
            self.halves[act.value] = ch.sender() if act.value % 2 else ch.receiver()
        elif act.op is Op.SHUT:
            if half := self.halves.pop(act.value, None):
                half.close()
        elif act.op is Op.RELEASE:
            self.release(act.channel)
        else:
            ch = self.channels[act.channel]
            (ch.close if act.op is Op.CLOSE else ch.cancel)(act.value or None)
        if not act.op.is_call:
            self.ended.append(End(number, 0))
        await sleep(_TICK)

    def release(self, number: int) -> None:
        """Forget a channel; an error that was raised may be a circle that holds it, and then what is queued waits."""
        count = len(self.lost) + len(self.channels[number])
        self.channels[number] = None
        if len(self.lost) < count:
            gc.collect()

    def quiet(self) -> Quiet:
        """What has come since it was asked last, and how all stands."""
        books = {number: _books(ch) for number, ch in enumerate(self.channels) if ch is not None}
        seen = Quiet(tuple(sorted(self.ended)), tuple(self.lost), len(self.scopes), books)
        self.ended, self.lost = [], []
        return seen


def _books(ch: Any) -> tuple[int, ...]:
    state = ch.snapshot()
    reason = ch.reason if isinstance(ch.reason, int) else 0  # a half says in words which it was
    return *(int(getattr(state, name)) for name in BOOKS[:-1]), reason


async def _run(program: Program, orders: tuple[tuple[int, ...], ...]) -> list[Quiet]:
    world, seen = World(), []
    world.make(program)
    async with current_host().open_nursery() as nursery:
        for order in orders:
            for number in order:
                await world.act(nursery, number, program.acts[number])
            seen.append(world.quiet())
    return seen


def on_reference(program: Program, orders: tuple[tuple[int, ...], ...] | None = None) -> list[Quiet]:
    """What the program shows, each step's acts one after the other: in ``orders``, or in that of the program."""
    with using_engine("reference"):
        return script.run(_run, program, orders or tuple(map(tuple, program.steps())))  # type: ignore[no-any-return]


def orders_of(program: Program) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every order in which the acts may have happened that come at once."""
    return itertools.product(*(itertools.permutations(step) for step in program.steps()))


def unordered(seen: list[Quiet]) -> list[Quiet]:
    """Without what two acts at once leave open: the order of reports, and whether a clause that a select has skipped
    came to a closed channel early enough to stand in its books, where nobody serves it."""
    return [evolve(quiet, lost=tuple(sorted(quiet.lost)), books=_served(quiet.books)) for quiet in seen]


def _served(books: dict[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    return {at: book if not book[2] else (*book[:3], *book[5:]) for at, book in books.items()}
