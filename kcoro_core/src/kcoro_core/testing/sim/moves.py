# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What tasks of a simulation do, as a table: each move is a function, its weight, and the outcomes it is meant to have.

A new operation of links is one function here: it makes the call, and enters into the ledger what it was told. Outcomes
are counted as ``move outcome``; those that a move names have to be seen in every campaign.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from ...cancel import CancelToken
from ...clauses import After, Clause, Recv, Send
from ...errors import (
    ChannelClosed,
    DeadlineExceeded,
    KcoroError,
    LinkLost,
    MessageTooLong,
    NoBuffers,
    OperationCancelled,
    Outcome,
    WouldBlock,
)
from ...link.bound import Redelivered
from ...run import sleep
from ...select import select
from ...semantics import BIASED, RAISE, RETURN, SKIP, UNBIASED
from .ledger import Way
from .node import CALL

if TYPE_CHECKING:
    from .node import Node
    from .play import Simulation

__all__ = ["MOVES", "Move", "Task"]

_OUTCOMES: Final[dict[type[KcoroError], str]] = {
    WouldBlock: "would block",
    DeadlineExceeded: "deadline",
    OperationCancelled: "cancelled",
    ChannelClosed: "closed",
    LinkLost: "lost",
    NoBuffers: "no buffers",
    MessageTooLong: "too long",
}

_TAKEN: Final[dict[type[object], str]] = {Send: "sent", Recv: "received"}


@frozen
class Move:
    """One row of the table: what is done, how often relative to the others, and what has to come of it sometimes."""

    name: str
    weight: int
    act: Callable[[Task], Awaitable[None]]
    sometimes: tuple[str, ...]


MOVES: Final[dict[str, Move]] = {}
"""The table of moves by name, in the order in which they stand below."""


def move(name: str, weight: int, *sometimes: str) -> Callable[[Callable[[Task], Awaitable[None]]], Any]:
    """Enter a function into the table."""

    def enter(act: Callable[[Task], Awaitable[None]]) -> Callable[[Task], Awaitable[None]]:
        MOVES[name] = Move(name, weight, act, sometimes)
        return act

    return enter


class Task:
    """One task of a side, which makes one move after the other until the line is healed."""

    def __init__(self, play: Simulation, node: Node, number: int) -> None:
        self.play = play
        self.node = node
        self.name = f"{node.name}.{number}"
        self.rng = play.rng

    async def run(self) -> None:
        """Make moves; each ends, at the latest, when all channels are closed."""
        names, weights = list(MOVES), [one.weight for one in MOVES.values()]
        while not self.play.healed:
            self.node.renew_closed()
            chosen = MOVES[self.rng.choices(names, weights)[0]]
            try:
                await chosen.act(self)
            except tuple(_OUTCOMES) as error:
                self.judge(chosen.name, error)
            except Exception as error:  # noqa: BLE001 - no move lets any other out: it is what is looked for
                self.play.failed(f"{self.name}, {chosen.name}", error)
            if self.rng.random() < 0.2:
                await sleep(self.rng.choice((0.0, 0.01, 0.1)))

    def count(self, what: str) -> None:
        """One more of these."""
        self.play.count(what)

    def judge(self, what: str, error: KcoroError) -> None:
        """An operation has failed in a way that is known; count it."""
        self.count(f"{what} {_OUTCOMES[type(error)]}")

    # -- parts of moves

    async def end(self) -> tuple[Any, str, Way | None]:
        """A channel of its own side, or a handle on one of another: the end, the channel's name, the way to it."""
        if self.rng.random() < 0.3:
            name = self.rng.choice(list(self.node.specs))
            return self.node.channels[name], name, None
        name = self.rng.choice(self.node.far)
        handle, way = await self.node.handle(name)
        return handle, name, way

    def limits(self) -> dict[str, Any]:
        """A timeout and a token, sometimes."""
        limits: dict[str, Any] = {}
        if self.rng.random() < 0.5:
            limits["timeout"] = self.rng.choice((0, 0.01, 0.2, 3.0))
        if self.rng.random() < 0.2:
            limits["cancel"] = token = CancelToken()
            self.play.later(self.rng.choice((0.0, 0.01, 0.3)), token.trigger)
        return limits

    @contextlib.contextmanager
    def scope(self) -> Any:
        """The host's own cancellation, sometimes."""
        with self.play.host.open_cancel_scope() as scope:
            if self.rng.random() < 0.15:
                self.play.later(self.rng.choice((0.0, 0.01, 0.3)), scope.cancel)
            yield
        if scope.cancelled_caught:
            self.count("scope cancelled")

    def sent(self, number: int, error: BaseException | None) -> None:
        """Enter what a sender was told."""
        ledger = self.play.ledger
        if error is None:
            ledger.tell(number, "done")
        elif not isinstance(error, KcoroError):
            ledger.tell(number, "doubt" if ledger.offers[number].way is not None else "kept")
        elif error.outcome is Outcome.IN_DOUBT:
            ledger.tell(number, "doubt")
            self.count("send in doubt")
        else:
            ledger.tell(number, "kept")
        if isinstance(error, LinkLost) and (way := self.lost_way(error) or ledger.offers[number].way) is not None:
            self.play.claim(way, error)

    def lost_way(self, error: LinkLost) -> Way | None:
        """The way whose elements the error of a select counts: that of the clause which has it."""
        end = getattr(error.clause, "channel", None)
        return next((way for way, handle in self.node.handles.items() if handle is end), None)

    def place(self, channel: str, way: Way | None) -> str:
        """Which channel of that name: several diallers have one, and a link tells which of them it is."""
        return channel if way is None or self.node.server is None else f"{channel} over link {way[0]}"

    def got(self, value: Any, channel: str) -> None:
        """Enter what was received."""
        for node in (self.play.server, *self.play.diallers):
            node.live()  # a link that has ended may have put something back
        self.play.ledger.receive(self.play.number_in(value), self.name, channel, isinstance(value, Redelivered))


# ---------------------------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------------------------


@move("send", 40, "done", "deadline", "cancelled", "closed", "lost", "would block")
async def _send(task: Task) -> None:
    end, channel, way = await task.end()
    number = task.play.ledger.offer(task.name, channel, way)
    value, limits = task.play.element(number), task.limits()
    with task.scope():
        try:
            await end.send(value, **limits)
        except BaseException as error:
            task.sent(number, error)
            raise
        task.sent(number, None)
        task.count("send done")


@move("recv", 40, "done", "deadline", "cancelled", "closed", "lost", "would block")
async def _recv(task: Task) -> None:
    end, channel, way = await task.end()
    limits = task.limits()
    with task.scope():
        try:
            value = await end.recv(**limits)
        except BaseException:
            if way is not None:
                task.play.ledger.disturb(channel)  # what was on its way goes back to the head
            raise
        task.got(value, task.place(channel, way))
        task.count("recv done")


@move("try_send", 4, "would block")
async def _try_send(task: Task) -> None:
    end, channel, way = await task.end()
    number = task.play.ledger.offer(task.name, channel, way)
    try:
        end.try_send(task.play.element(number))
    except BaseException as error:
        task.sent(number, error)
        raise
    task.sent(number, None)
    task.count("try_send done")


@move("try_recv", 4, "done", "would block")
async def _try_recv(task: Task) -> None:
    end, channel, _ = await task.end()
    task.got(end.try_recv(), channel)
    task.count("try_recv done")


@move("info", 3, "done")
async def _info(task: Task) -> None:
    name = task.rng.choice(task.node.far)
    handle, _ = await task.node.handle(name)
    info = await handle.info(**task.limits())
    # What came back from the way to a receiver goes to the head even where its place was taken meanwhile.
    if info.capacity is not None and name not in task.play.ledger.disturbed:
        task.play.expect(info.length <= info.capacity, f"{handle!r} holds {info.length} of {info.capacity}")
    task.count("info done")


@move("local select", 6, "done")
async def _local_select(task: Task) -> None:
    names = task.rng.sample(list(task.node.specs), k=min(2, len(task.node.specs)))
    number = task.play.ledger.offer(task.name, names[0], None)
    clauses: list[Clause] = [After(task.rng.choice((0.0, 0.05, 1.0)))]
    clauses.append(Send(task.node.channels[names[0]], task.play.element(number)))
    clauses += [Recv(task.node.channels[name]) for name in names]
    try:
        won = await select(*clauses, **task.limits())
    except BaseException as error:
        task.sent(number, error)
        raise
    task.play.ledger.tell(number, "done" if won.index == 1 else "kept")
    if won.index > 1:
        task.got(won.value, names[won.index - 2])
    task.count("local select done")


@move("remote select", 12, "sent", "received", "neither", "deadline", "cancelled", "closed", "lost", "would block")
async def _remote_select(task: Task) -> None:
    opened = [await task.node.handle(task.rng.choice(task.node.far)) for _ in range(task.rng.choice((1, 2, 3)))]
    ends = [(end, way) for end, way in opened if task.node.handles.get(way) is end]  # others were given up meanwhile
    if not ends:
        return
    near = task.rng.choice(list(task.node.specs))
    number = task.play.ledger.offer(task.name, ends[0][1][1], ends[0][1])
    clauses: list[Clause] = [Send(ends[0][0], task.play.element(number)), *(Recv(end) for end, _ in ends)]
    clauses += [Recv(task.node.channels[near]), After(task.rng.choice((0.0, 0.1, 1.0)))]
    places = [task.place(way[1], way) for _, way in ends] + [near]
    # Without the first one nothing is sent; where the last two are ready no home is asked.
    first, last = task.rng.choice((0, 0, 1)), len(clauses) - task.rng.choice((0, 1, 2, 2))
    modes: dict[str, Any] = {
        "mode": task.rng.choice((BIASED, UNBIASED)),
        "closed": task.rng.choice((RAISE, RAISE, RETURN, SKIP)),
    }
    with task.scope():
        try:
            won = await select(*clauses[first:last], **modes, **task.limits())
            if won.error is not None:
                raise won.error
        except BaseException as error:
            for _, way in ends:
                task.play.ledger.disturb(way[1])  # what was on its way goes back to the head
            task.sent(number, error)
            raise
        task.play.ledger.tell(number, "done" if isinstance(won.clause, Send) else "kept")
        if isinstance(won.clause, Recv):
            task.got(won.value, places[first + won.index - 1])
        task.count(f"remote select {_TAKEN.get(type(won.clause), 'neither')}")


@move("call", 8, "done", "deadline", "cancelled", "lost")
async def _call(task: Task) -> None:
    link = await task.node.linked()
    number = task.play.ledger.call(task.name)
    with task.scope():
        try:
            answer = await link.rpc_send(CALL, 0, task.play.element(number)).wait(**task.limits())
        except BaseException as error:
            # A handler that has begun may still come to its end when nobody waits for it any more.
            known = isinstance(error, (LinkLost, NoBuffers)) and error.outcome is Outcome.NOT_DONE
            task.play.ledger.calls[number].told = "kept" if known else "doubt"
            raise
        task.play.ledger.calls[number].told = "done"
        task.play.expect(answer == b"%d" % number, f"call {number} was answered with {answer!r}")
        task.count("call done")


@move("detach", 3, "done")
async def _detach(task: Task) -> None:
    live = {task.play.number(link) for link in task.node.live()}
    ways = [way for way in task.node.handles if way[0] in live]
    if ways:
        task.node.detach(task.rng.choice(ways))
        task.count("detach done")


@move("close", 1, "done")
async def _close(task: Task) -> None:
    end, _, _ = await task.end()
    if task.rng.random() < 0.5:
        end.close(task.rng.choice((None, "enough", ValueError("broken"))))
    else:
        end.cancel()
    task.count("close done")


@move("leave", 1, "done")
async def _leave(task: Task) -> None:
    await task.node.go()
    task.count("leave done")


@move("drain", 1, "done")
async def _drain(task: Task) -> None:
    link = await task.node.linked()
    await link.drain(task.rng.choice((0, 0.05, 1.0)))  # without a limit it waits for whoever waits here
    task.count("drain done")


@move("pause", 5, "done")
async def _pause(task: Task) -> None:
    await task.play.host.checkpoint()
    task.count("pause done")
