# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs of channel operations, as numbers: on_reference.py and harness.c run them."""

from __future__ import annotations

from random import Random

from attrs import define

from kcoro_core.semantics import Kind, Overflow, legal_combinations

CHANNELS = 3
WORDS = 10
(TRY_SEND, TRY_RECV, WAIT, LOOK, END, BEGIN_CLAIM, ANSWER, CLOSE, CANCEL, COUNT, ASK, SELECT, HAPPEN) = range(13)
STEP, WOKEN, LOST, STATE = range(1000, 1004)  # what a trace shows
CALLS = 64
ARMS = 4
EVENTS = 2
ELEMENT_OF_EVENTS = 500
# How often each step is drawn; closes are rare, for little happens after them.
WEIGHTS = {
    TRY_SEND: 8, TRY_RECV: 8, WAIT: 14, LOOK: 6, END: 3, BEGIN_CLAIM: 2, ANSWER: 3, CLOSE: 0.3, CANCEL: 0.2,
    COUNT: 1, ASK: 3, SELECT: 16, HAPPEN: 0.3,
}  # fmt: skip
SHAPES = [*legal_combinations(), (Kind.RENDEZVOUS, Overflow.SUSPEND), (Kind.BUFFERED, Overflow.SUSPEND)]


@define
class Program:
    """Channels of certain shapes, what their hooks do, and steps of WORDS numbers each."""

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
