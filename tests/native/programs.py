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
(LEND, FILL, REPLACED, HOLD_BACK, ANSWERED, END_LENDING, KEEP, TAKE_AHEAD, SETTLE_AHEAD, END_KEEPING) = range(13, 23)
(HAND_OUT, SETTLE, TRY_AND_ASK, WANT, ASK_ABOUT_SHARE) = range(23, 28)
STEP, WOKEN, LOST, STATE, TOLD = range(1000, 1005)  # what a trace shows
CALLS = 64
ARMS = 4
EVENTS = 2
ELEMENT_OF_EVENTS = 500
# How often each step is drawn; closes are rare, for little happens after them.
WEIGHTS: dict[int, float] = {
    TRY_SEND: 8, TRY_RECV: 8, WAIT: 14, LOOK: 6, END: 3, BEGIN_CLAIM: 2, ANSWER: 3, CLOSE: 0.3, CANCEL: 0.2,
    COUNT: 1, ASK: 3, SELECT: 16, HAPPEN: 0.3,
}  # fmt: skip
# With the ends of links; in every second program.
SHARED = WEIGHTS | {
    LEND: 16, FILL: 16, REPLACED: 0.5, HOLD_BACK: 2, ANSWERED: 6, END_LENDING: 5, KEEP: 12, TAKE_AHEAD: 7,
    SETTLE_AHEAD: 5, END_KEEPING: 4, HAND_OUT: 5, SETTLE: 4, TRY_AND_ASK: 18, WANT: 1,
    ASK_ABOUT_SHARE: 3, CLOSE: 0.6, CANCEL: 0.6, TRY_SEND: 3, TRY_RECV: 6, WAIT: 6, SELECT: 6,
}  # fmt: skip
SHAPES = [*legal_combinations(), (Kind.RENDEZVOUS, Overflow.SUSPEND), (Kind.BUFFERED, Overflow.SUSPEND)]
# Where links may have a share.
SUITED = [(Kind.BUFFERED, Overflow.SUSPEND), (Kind.UNLIMITED, Overflow.SUSPEND), (Kind.CONFLATED, Overflow.SUSPEND)]


@define
class Program:
    """Channels of certain shapes, what their hooks do, and steps of WORDS numbers each."""

    head: list[int]
    steps: list[list[int]]

    @classmethod
    def random(cls, seed: int, length: int = 60, shares: bool = True) -> Program:
        """The program of this seed, of which ``shares`` may have the ends of links; the same for ever."""
        coin = Random(seed)
        is_shared = coin.random() < 0.5 and shares
        count = coin.randint(1, 2 if is_shared else CHANNELS)
        head = [count, coin.choice([0, 0, 1, 2])]
        for kind, overflow in coin.choices(SHAPES + SUITED * 2 * is_shared, k=count):
            head += [kind.value, coin.randint(1, 3) if kind is Kind.BUFFERED else 0, overflow.value]
        weights = SHARED if is_shared else WEIGHTS
        return cls(head, [_step(coin, weights) for _ in range(coin.randint(1, length + is_shared * length // 2))])


def _step(coin: Random, weights: dict[int, float]) -> list[int]:
    action = coin.choices(list(weights), list(weights.values()))[0]
    third = {END: 3, COUNT: 4}.get(action, 2)
    return [action, coin.randrange(60), coin.randrange(third)] + [coin.randrange(60) for _ in range(WORDS - 3)]
