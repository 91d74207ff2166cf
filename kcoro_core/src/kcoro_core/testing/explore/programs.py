# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Small random programs over channels, as data: which channels, which tasks, and what each task does in turn.

A program says what is tried, not what comes of it: many of its operations wait for ever until the finale closes all
channels. Equal seeds give equal programs, on every interpreter.
"""

from __future__ import annotations

import random
from typing import Final

from attrs import frozen

from ...semantics import (
    BIASED,
    BUFFERED,
    RAISE,
    RETURN,
    SKIP,
    UNBIASED,
    ClosedRule,
    Kind,
    Overflow,
    SelectMode,
    legal_combinations,
)

__all__ = ["COMBINATIONS", "ChannelSpec", "Choice", "Move", "Program", "random_program"]

COMBINATIONS: Final = tuple(legal_combinations())
"""Every pair of kind and overflow policy; program n has number ``n % len(COMBINATIONS)`` as its first channel."""

MAX_CHANNELS: Final = 3
MAX_TASKS: Final = 5
MAX_MOVES: Final = 6
MAX_CLAUSES: Final = 4

# How often each move is drawn, relative to the others.
_WEIGHTS: Final = {
    "send": 50,
    "recv": 50,
    "select": 40,
    "try_send": 8,
    "try_recv": 8,
    "try_select": 6,
    "close": 4,
    "cancel": 2,
    "trigger": 3,
    "sleep": 6,
    "pause": 5,
}
_MOVES: Final = tuple(_WEIGHTS)
_CUMULATIVE: Final = tuple(sum(list(_WEIGHTS.values())[: i + 1]) for i in range(len(_WEIGHTS)))
_TIMEOUTS: Final = (None, None, None, None, None, None, None, 0, 1.0, 2.5)


@frozen
class ChannelSpec:
    """What a channel is made with."""

    kind: Kind
    overflow: Overflow
    capacity: int | None

    def __str__(self) -> str:
        size = "" if self.capacity is None else f"({self.capacity})"
        return f"{self.kind.name}{size} {self.overflow.name}"


@frozen
class Choice:
    """One clause: ``send`` or ``recv`` on a channel, ``after`` some seconds, or ``token``."""

    what: str
    channel: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        detail = {"after": f"({self.seconds})", "token": ""}.get(self.what, f"(ch{self.channel})")
        return f"{self.what}{detail}"


@frozen
class Move:
    """One operation of a task. ``token`` says whether the program's token can cancel it."""

    what: str
    choices: tuple[Choice, ...] = ()
    timeout: float | None = None
    token: bool = False
    mode: SelectMode = BIASED
    closed: ClosedRule = RAISE

    @property
    def channel(self) -> int:
        """The channel of a move that has one."""
        return self.choices[0].channel

    def __str__(self) -> str:
        words = [self.what, *map(str, self.choices)]
        if self.timeout is not None:
            words.append(f"timeout={self.timeout}")
        if self.token:
            words.append("cancel=token")
        if self.what.endswith("select"):
            words += [self.mode.name, self.closed.name]
        return " ".join(words)


@frozen
class Program:
    """Channels and tasks; ``quantum`` and ``hurry`` are for the host, as ``seed`` is."""

    seed: int
    channels: tuple[ChannelSpec, ...]
    tasks: tuple[tuple[Move, ...], ...]
    quantum: int
    hurry: float

    def __str__(self) -> str:
        lines = [f"ch{i}: {spec}" for i, spec in enumerate(self.channels)]
        for i, moves in enumerate(self.tasks):
            lines += [f"task {i}: {move}" for move in moves]
        lines.append(f"host: quantum {self.quantum}, hurry {self.hurry}")
        return "\n".join(lines)


def random_program(seed: int) -> Program:
    """The program of that number: 1 to 3 channels, 2 to 5 tasks of 1 to 6 moves."""
    rng = random.Random(seed)
    channels = tuple(_channel(rng, seed + i) for i in range(rng.randint(1, MAX_CHANNELS)))
    tasks = tuple(
        tuple(_move(rng, len(channels)) for _ in range(rng.randint(1, MAX_MOVES)))
        for _ in range(rng.randint(2, MAX_TASKS))
    )
    return Program(seed, channels, tasks, rng.choice((0, 0, 1, 3, 64)), rng.choice((0.0, 0.0, 0.0, 0.2)))


def _channel(rng: random.Random, number: int) -> ChannelSpec:
    kind, overflow = COMBINATIONS[number % len(COMBINATIONS)]
    return ChannelSpec(kind, overflow, rng.randint(1, 3) if kind is BUFFERED else None)


def _move(rng: random.Random, channels: int) -> Move:
    what = rng.choices(_MOVES, cum_weights=_CUMULATIVE)[0]
    if what == "sleep":
        return Move(what, timeout=rng.choice((0, 0.5, 1.0, 3.0)))
    if what in ("pause", "trigger"):
        return Move(what)
    if what in ("close", "cancel", "try_send", "try_recv"):
        return Move(what, (Choice(what.removeprefix("try_"), rng.randrange(channels)),))
    timeout, token = rng.choice(_TIMEOUTS), rng.random() < 0.2
    if what in ("send", "recv"):
        return Move(what, (Choice(what, rng.randrange(channels)),), timeout, token)
    choices = tuple(_choice(rng, channels) for _ in range(rng.randint(1, MAX_CLAUSES)))
    mode, closed = rng.choice((BIASED, UNBIASED)), rng.choice((RAISE, RETURN, SKIP))
    if what == "try_select":
        return Move(what, choices, mode=mode, closed=closed)
    return Move(what, choices, timeout, token, mode, closed)


def _choice(rng: random.Random, channels: int) -> Choice:
    what = rng.choice(("send", "send", "send", "recv", "recv", "recv", "after", "token"))
    if what == "after":
        return Choice(what, seconds=rng.choice((0, 1.0, 2.0)))
    return Choice(what) if what == "token" else Choice(what, rng.randrange(channels))
