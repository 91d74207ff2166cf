# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs about timers and tokens, and what the reference engine shows of one; the twin of harness_time.c."""

from __future__ import annotations

import functools
from random import Random
from typing import Any

from kcoro_core.reference.cancel import Subscription, Token
from kcoro_core.reference.timer import Timer, TimerQueue

THINGS = 24
START, STOP, EXPIRE, NEXT = range(4)
GROW, LISTEN, IGNORE, SET = range(4)
Steps = list[list[int]]


def timer_steps(seed: int) -> Steps:
    """A program: starts, cancels and turns over spans from nothing to years."""
    coin = Random(seed)
    reach = coin.choice([4, 20, 40, 50])
    return [
        [
            coin.choices([START, STOP, EXPIRE, NEXT], [5, 1, 2, 2])[0],
            coin.randrange(THINGS),
            coin.randrange(16),
            coin.randrange(reach),
            coin.randrange(6),
            coin.randrange(THINGS),
            *(0, 0, 0, 0),
        ]
        for _ in range(coin.randint(1, 60))
    ]


def token_steps(seed: int) -> Steps:
    """A program: a tree that grows, listeners that meddle, and tokens that are set."""
    coin = Random(seed)
    return [
        [
            coin.choices([GROW, LISTEN, IGNORE, SET], [5, 6, 1, coin.choice([0.5, 1.5])])[0],
            *(coin.randrange(THINGS), coin.randrange(50), 0, coin.randrange(60), coin.randrange(THINGS)),
            *(0, 0, 0, 0),
        ]
        for _ in range(coin.randint(1, 50))
    ]


class Clock:
    """Timers of the reference engine under a program."""

    def __init__(self) -> None:
        self.trace: list[int] = []
        self.queue = TimerQueue()
        self.timers: list[Timer | None] = [None] * THINGS
        self.plans = [(0, 0)] * THINGS
        self.now = 0

    def start(self, index: int, delay: int) -> None:
        """Start a timer, unless it waits."""
        timer = self.timers[index]
        if timer is not None and timer.fn is not None:
            self.trace.append(0)
            return
        self.timers[index] = self.queue.at(self.now + delay, functools.partial(self.fire, index))
        self.trace.append(1)

    def cancel(self, index: int) -> None:
        """Take a timer back."""
        timer = self.timers[index]
        self.trace.append(int(timer is not None and timer.cancel()))

    def fire(self, index: int) -> None:
        """It fires, and may meddle with another."""
        self.trace.append(1000 + index)
        then, other = self.plans[index]
        if then == 1:
            self.start(other, 0)
        elif then == 2:
            self.cancel(other)

    def step(self, step: list[int]) -> None:
        """One step."""
        action, index, mantissa, exponent, then, other, *_ = step
        timer = self.timers[index]
        if action == START and (timer is None or timer.fn is None):
            self.plans[index] = then % 4, other
            self.start(index, mantissa << exponent)
        elif action == STOP:
            self.cancel(index)
        elif action == EXPIRE:
            self.now += mantissa << exponent
            self.trace.append(self.queue.expire(self.now))
        elif action == NEXT:
            deadline = self.queue.next_deadline()
            self.trace += [-1 if deadline is None else int(deadline), len(self.queue)]


class Forest:
    """Tokens of the reference engine under a program."""

    def __init__(self) -> None:
        self.trace: list[int] = []
        self.tokens: list[Token] = []
        self.listeners: list[Subscription] = []
        self.grow(0)

    def grow(self, parent: int) -> None:
        """One more token."""
        if len(self.tokens) < THINGS:
            self.tokens.append(Token(self.tokens[parent % len(self.tokens)] if self.tokens else None))
            self.trace.append(int(self.tokens[-1].is_set))

    def ignore(self, index: int) -> None:
        """Take a callback back."""
        self.trace.append(int(self.listeners[index % len(self.listeners)].cancel()))

    def set(self, index: int, reason: Any) -> None:
        """Set a token."""
        token = self.tokens[index % len(self.tokens)]
        was_set = token.is_set
        token.trigger(reason)
        self.trace.append(int(not was_set))

    def listen(self, index: int, then: int, other: int) -> None:
        """Add a callback."""
        if len(self.listeners) == THINGS:
            return
        token = self.tokens[index % len(self.tokens)]
        fn = functools.partial(self.heard, len(self.listeners), then, other)
        self.listeners.append(Subscription(token, fn) if token.is_set else token.subscribe(fn))
        self.trace.append(int(not token.is_set))

    def heard(self, index: int, then: int, other: int) -> None:
        """A callback, which may meddle."""
        self.trace += [1000 + index, *(int(token.is_set) for token in self.tokens)]
        if then == 1:
            self.ignore(other)
        elif then == 2:
            self.set(other, None)
        elif then == 3:
            self.grow(other)

    def step(self, step: list[int]) -> None:
        """One step."""
        action, index, reason, _, then, other, *_ = step
        if action == GROW:
            self.grow(index)
        elif action == LISTEN:
            self.listen(index, then % 6, other)
        elif action == IGNORE and self.listeners:
            self.ignore(index)
        elif action == SET:
            self.set(index, reason + 1)


def timers_on_reference(steps: Steps) -> list[int]:
    """The trace of a program about timers."""
    clock = Clock()
    for step in steps:
        clock.step(step)
    return clock.trace


def tokens_on_reference(steps: Steps) -> list[int]:
    """The trace of a program about tokens."""
    forest = Forest()
    for step in steps:
        forest.step(step)
    return forest.trace + [token.reason or 0 for token in forest.tokens]
