# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs of channel operations, and what the reference engine shows of one; the twin of harness.c."""

from __future__ import annotations

import errno
from random import Random
from typing import Any

from attrs import define, field

from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.errors import ChannelClosed
from kcoro_core.reference.channel import Channel
from kcoro_core.reference.waiter import Operation
from kcoro_core.semantics import (
    CLAIMING,
    WAITING,
    Kind,
    Overflow,
    Undelivered,
    legal_combinations,
)

CHANNELS = 3
WORDS = 8
(TRY_SEND, TRY_RECV, WAIT, LOOK, END, BEGIN_CLAIM, ANSWER, CLOSE, CANCEL, COUNT, ASK) = range(11)
STEP, WOKEN, LOST, STATE = range(1000, 1004)
CALLS = 64
# How often each step is drawn; closes are rare, for little happens after them.
WEIGHTS = {
    TRY_SEND: 8, TRY_RECV: 8, WAIT: 14, LOOK: 6, END: 3, BEGIN_CLAIM: 2, ANSWER: 3, CLOSE: 0.3, CANCEL: 0.2,
    COUNT: 1, ASK: 3,
}  # fmt: skip
SHAPES = [*legal_combinations(), (Kind.RENDEZVOUS, Overflow.SUSPEND), (Kind.BUFFERED, Overflow.SUSPEND)]


@define
class Program:
    """Channels of certain shapes, what their hooks do, and steps of eight numbers each."""

    head: list[int]
    steps: list[list[int]]

    @classmethod
    def random(cls, seed: int, length: int = 60) -> Program:
        """The program of this seed; the same for ever."""
        coin = Random(seed)
        count = coin.randint(1, CHANNELS)
        head = [count, coin.choice([0, 0, 1, 2])]
        for kind, overflow in coin.choices(SHAPES, k=count):
            head += [kind.value, coin.randint(1, 3) if kind is Kind.BUFFERED else 0, overflow.value]
        return cls(head, [_step(coin) for _ in range(coin.randint(1, length))])


def _step(coin: Random) -> list[int]:
    action = coin.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    third = {END: 3, COUNT: 4}.get(action, 2)
    return [action, coin.randrange(60), coin.randrange(third)] + [coin.randrange(60) for _ in range(WORDS - 3)]


@define(eq=False)
class Call:
    """One call that waits."""

    id: int
    op: Any
    arms: list[tuple[Channel, Any]]
    left: bool = False


def code(answer: Any) -> int:
    """What the twin returns for an answer of the core surface."""
    if answer is WOULD_BLOCK:
        return -errno.EAGAIN
    return -errno.EPIPE if answer is CLOSED else 0


@define(eq=False)
class World:
    """The reference engine under a program, and its trace."""

    hook_mode: int
    trace: list[int] = field(factory=list)
    channels: list[Channel] = field(factory=list)
    calls: list[Call] = field(factory=list)
    hook_depth: int = 0
    number: int = 0

    def see(self, *what: int) -> None:
        """Write down."""
        self.trace += map(int, what)

    def unpark(self, op: Any) -> None:
        """This is the parker of all calls."""
        error = -errno.EPIPE if isinstance(op.error, ChannelClosed) else 0
        value = op.value if op.error is None and op.claim >= 0 else None
        self.see(WOKEN, op.task.id, op.claim, error, value or 0)

    # -- without waiting

    def next_value(self) -> int:
        """A value that has not been used."""
        self.number += 1
        return self.number

    def try_send(self, ch: Channel, value: int) -> Any:
        """Try to send."""
        answer = ch.send_now(value)
        self.see(code(answer))
        return answer

    def try_recv(self, ch: Channel) -> Any:
        """Try to receive."""
        answer = ch.recv_now()
        self.see(code(answer), answer if isinstance(answer, int) else 0)
        return answer

    def try_now(self, ch: Channel, sending: bool, value: Any) -> Any:
        """Try in one direction."""
        return self.try_send(ch, value) if sending else self.try_recv(ch)

    def lost(self, index: int, value: int, why: Undelivered) -> None:
        """The hook of a channel, which may use channels."""
        self.see(LOST, index, value, list(Undelivered).index(why))
        if self.hook_mode == 0 or self.hook_depth == 3:
            return
        self.hook_depth += 1
        if self.hook_mode == 1:
            self.try_recv(self.channels[index])
        else:
            self.try_send(self.channels[(index + 1) % len(self.channels)], self.next_value())
        self.hook_depth -= 1

    # -- waiting

    def new_call(self, op: Any, arms: list[tuple[Channel, Any]]) -> None:
        """A call that has not ended at once."""
        op.task = Call(len(self.calls), op, arms)
        self.calls.append(op.task)

    def wait(self, index: int, sending: bool) -> None:
        """A plain call: at once if that can be, else in line."""
        ch = self.channels[index]
        value = self.next_value() if sending else None
        if self.try_now(ch, sending, value) is not WOULD_BLOCK or len(self.calls) == CALLS:
            return
        op = Operation(self, sending, value)
        self.new_call(op, [(ch, op)])
        ch.enqueue(op)
        self.see(0)

    def pick(self, number: int) -> Call | None:
        """One of the calls whose owner has not looked yet."""
        there = [call for call in self.calls if not call.left]
        return there[number % len(there)] if there else None

    def leave(self, call: Call) -> None:
        """Its owner has looked: out of every line."""
        call.left = True
        for ch, arm in call.arms:
            self.see(ch.withdraw(arm))

    def end(self, call: Call, how: int) -> None:
        """A deadline, a token or the owner ends it."""
        self.see((call.op.expire, call.op.revoke, call.op.give_up)[how]())

    def again(self, call: Call) -> None:
        """Look at the clauses again after a claim that was denied, and stand in line again if none is ready."""
        [(ch, w)] = call.arms
        self.leave(call)
        call.left = False
        answer = self.try_now(ch, w.sending, w.value)
        if answer is WOULD_BLOCK:
            ch.enqueue(w)
            self.see(0)
        elif answer is CLOSED:
            self.see(w.shut(ChannelClosed()))
        else:
            self.see(w.complete(None if answer is OK else answer))

    def answer(self, call: Call, granted: bool) -> None:
        """A clause of another process was granted, or denied."""
        if call.op.claim > CLAIMING:
            return
        if granted:
            self.see(call.op.win_claim())
            self.leave(call)
            return
        waits = call.op.end_claim()
        self.see(waits)
        if waits:
            self.again(call)

    # -- books

    def ask(self, ch: Channel) -> None:
        """Questions without an effect."""
        room = ch.there(True)
        self.see(ch.send_must_wait(), ch.recv_must_wait(), -1 if room == float("inf") else room)
        self.see(ch.there(False), ch.is_drained())

    def show(self, ch: Channel) -> None:
        """State and counters."""
        s = ch.snapshot()
        self.see(STATE, s.length, s.peak_length, s.closed, s.waiting_senders, s.waiting_receivers, s.sent, s.received)
        self.see(s.dropped, s.handoffs, s.failed_would_block, s.failed_deadline, s.failed_cancelled, s.failed_closed)

    # -- programs

    def about_calls(self, step: list[int]) -> None:
        """Steps that need a call which waits."""
        call = self.pick(step[1])
        if call is None:
            return
        undecided = call.op.claim == WAITING or call.op.claim <= CLAIMING
        if step[0] == LOOK and not undecided:
            self.leave(call)
        elif step[0] == END:
            self.end(call, step[2])
        elif step[0] == BEGIN_CLAIM:
            self.see(call.op.begin_claim(len(call.arms)))
        elif step[0] == ANSWER:
            self.answer(call, step[2] != 0)

    def run_step(self, step: list[int]) -> None:
        """One step."""
        index = step[1] % len(self.channels)
        ch = self.channels[index]
        self.see(STEP)
        match step[0]:
            case 0:
                self.try_send(ch, self.next_value())
            case 1:
                self.try_recv(ch)
            case 2:
                self.wait(index, step[2] != 0)
            case 7 | 8:
                (ch.close if step[0] == CLOSE else ch.cancel)(None)
                self.see(0)
            case 9:
                ch.count_failure(-1 - step[2])
                self.see(0)
            case 10:
                self.ask(ch)
            case _:
                self.about_calls(step)


def on_reference(program: Program) -> list[int]:
    """The trace of a program on the reference engine."""
    count, mode, *shapes = program.head
    world = World(mode)
    for index in range(count):
        kind, capacity, overflow = shapes[3 * index : 3 * index + 3]

        def hook(value: int, why: Undelivered, index: int = index) -> None:
            world.lost(index, value, why)

        world.channels.append(Channel(Kind(kind), capacity or None, Overflow(overflow), hook))
    for number, step in enumerate(program.steps):
        world.run_step(step)
        if number % 4 == 3 or number + 1 == len(program.steps):
            for ch in world.channels:
                world.show(ch)
    return world.trace
