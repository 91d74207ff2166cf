# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the reference engine shows of a program; the twin of harness.c: the same steps in the same order."""

from __future__ import annotations

import errno
from typing import Any

from attrs import define, field

from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.errors import ChannelClosed
from kcoro_core.reference.channel import Channel
from kcoro_core.reference.select import poll_order
from kcoro_core.reference.waiter import Arm, Operation, SelectOperation
from kcoro_core.semantics import (
    CANCELLED,
    CLAIMING,
    TIMED_OUT,
    WAITING,
    ClosedRule,
    Kind,
    Overflow,
    SelectMode,
    Undelivered,
)

from .programs import ANSWER, ARMS, BEGIN_CLAIM, CALLS, CLOSE, END, EVENTS, LOOK, LOST, STATE, STEP, WOKEN, Program
from .shares import Share
from .standins import Event, EventOf, RecvOf, SendOf


@define(eq=False)
class Call:
    """One call that waits: a plain one in one line, or a select with its clauses in the order of their polls."""

    id: int
    op: Any
    ch: Channel | None = None
    clauses: list[Any] = field(factory=list)
    arms: list[Any] = field(factory=list)
    order: Any = ()
    left: bool = False

    def is_undecided(self) -> bool:
        """Whether the wait goes on."""
        return self.op.claim == WAITING or self.op.claim <= CLAIMING

    def result(self) -> int:
        """As ``kc_op_result``."""
        if self.is_undecided():
            return -errno.EAGAIN
        if self.op.claim in (CANCELLED, TIMED_OUT):
            return -errno.ECANCELED if self.op.claim == CANCELLED else -errno.ETIME
        return self.op.claim if self.op.error is None else -errno.EPIPE


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
    shares: list[Share] = field(factory=list)
    calls: list[Call] = field(factory=list)
    events: list[Event] = field(factory=lambda: [Event() for _ in range(EVENTS)])
    hook_depth: int = 0
    number: int = 0
    chance: int = 1
    last: int = -1

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
        self.see_value(answer)
        return answer

    def see_code(self, answer: Any) -> None:
        """What a send answered."""
        self.see(code(answer))

    def see_value(self, answer: Any) -> None:
        """What a receive answered."""
        self.see(code(answer), answer if isinstance(answer, int) else 0)

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

    def new_call(self, op: Any, ch: Channel | None = None) -> Call:
        """A call that may wait."""
        op.task = Call(len(self.calls), op, ch)
        self.calls.append(op.task)
        return op.task

    def wait(self, index: int, sending: bool) -> None:
        """A plain call: at once if that can be, else in line."""
        ch = self.channels[index]
        value = self.next_value() if sending else None
        if self.try_now(ch, sending, value) is WOULD_BLOCK:
            self.stand(ch, sending, value)

    def stand(self, ch: Channel, sending: bool, value: Any) -> None:
        """Wait in line."""
        call = self.plain_call(ch, sending, value)
        if call is not None:
            ch.enqueue(call.op)
            self.see(0)

    def plain_call(self, ch: Channel, sending: bool, value: Any) -> Call | None:
        """A call about one channel; None when there are too many."""
        return self.new_call(Operation(self, sending, value), ch) if len(self.calls) < CALLS else None

    # -- select

    def pick_next(self, n: int) -> int:
        """The next number below n of a simple sequence."""
        self.chance = (self.chance * 1103515245 + 12345) & 0x7FFFFFFF
        return self.chance % n

    def shuffle(self, order: list[int]) -> None:
        """As the twin does it, with the same sequence."""
        for k in range(len(order) - 1, 0, -1):
            other = self.pick_next(k + 1)
            order[k], order[other] = order[other], order[k]

    def clause(self, word: int) -> Any:
        """The clause that a word of a step stands for."""
        kind, which = word % 5, word // 5
        if kind == 0:
            return EventOf(self.events[which % EVENTS])
        ch = self.channels[which % len(self.channels)]
        return RecvOf(ch) if kind <= 2 else SendOf(ch, self.next_value())

    def see_result(self, call: Call) -> None:
        """What became of a select; and who won is remembered for the next."""
        self.see(call.result())
        if call.is_undecided():
            return
        self.see(call.op.claim, 0 if call.result() < 0 else call.op.value or 0)
        if call.op.claim >= 0:
            self.last = call.op.claim

    def begin_select(self, step: list[int]) -> None:
        """Clause by clause if one is ready, else in all their lines."""
        if len(self.calls) == CALLS:
            return
        count = 1 + step[5] % ARMS
        op = SelectOperation(ClosedRule(step[4] % 3), count)
        call = self.new_call(op)
        call.clauses = [self.clause(word) for word in step[6 : 6 + count]]
        call.arms = [Arm(op, i, clause.sending, clause.value) for i, clause in enumerate(call.clauses)]
        last = self.last if self.last < count else -1
        call.order = poll_order(SelectMode(step[3] % 3), count, last, self.shuffle)
        if not any(call.clauses[i].poll(call.arms[i]) or op.claim != WAITING for i in call.order):
            for clause, arm in zip(call.clauses, call.arms, strict=True):
                clause.register(arm)
            op.parker = self
        call.left = not call.is_undecided()
        self.see_result(call)

    def pick(self, number: int) -> Call | None:
        """One of the calls whose owner has not looked yet."""
        there = [call for call in self.calls if not call.left]
        return there[number % len(there)] if there else None

    def leave(self, call: Call) -> None:
        """Its owner has looked: out of every line."""
        call.left = True
        if call.ch is not None:
            self.see(call.ch.withdraw(call.op))
            return
        for clause, arm in zip(call.clauses, call.arms, strict=True):
            clause.withdraw(arm)
        self.see_result(call)

    def end(self, call: Call, how: int) -> None:
        """A deadline, a token or the owner ends it."""
        self.see((call.op.expire, call.op.revoke, call.op.give_up)[how]())

    def again(self, call: Call) -> None:
        """Look at the clauses again after a claim that was denied, and stand in line again if none is ready."""
        if call.ch is None:
            self.select_again(call)
            return
        ch, w = call.ch, call.op
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

    def select_again(self, call: Call) -> None:
        """The same for a select, whose clauses stay in their lines meanwhile."""
        for index in call.order:
            clause, arm = call.clauses[index], call.arms[index]
            if hasattr(clause, "poll_again"):
                clause.poll_again(call.op, index, arm)
            else:
                clause.poll(arm)
            if call.op.claim != WAITING:
                self.leave(call)
                return

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
        if step[0] == LOOK and not call.is_undecided():
            self.leave(call)
        elif step[0] == END:
            self.end(call, step[2])
        elif step[0] == BEGIN_CLAIM:
            self.see(call.op.begin_claim(step[3] % max(1, len(call.arms))))
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
                ch.close() if step[0] == CLOSE else ch.cancel(None, list(Undelivered)[step[3] % 6])
                self.see(0)
            case 9:
                ch.count_failure(-1 - step[2])
                self.see(0)
            case 10:
                self.ask(ch)
            case 11:
                self.begin_select(step)
            case 12:
                self.see(self.events[step[1] % EVENTS].happen())
            case 3 | 4 | 5 | 6:
                self.about_calls(step)
            case _:
                self.shares[index].run_step(step)


def on_reference(program: Program) -> list[int]:
    """The trace of a program on the reference engine."""
    count, mode, *shapes = program.head
    world = World(mode)
    for index in range(count):
        kind, capacity, overflow = shapes[3 * index : 3 * index + 3]

        def hook(value: int, why: Undelivered, index: int = index) -> None:
            world.lost(index, value, why)

        ch = Channel(Kind(kind), capacity or None, Overflow(overflow), hook)
        world.channels.append(ch)
        world.shares.append(Share(world, index, ch))
    for number, step in enumerate(program.steps):
        world.run_step(step)
        if number % 4 == 3 or number + 1 == len(program.steps):
            for ch in world.channels:
                world.show(ch)
    return world.trace
