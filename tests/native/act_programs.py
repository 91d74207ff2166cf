# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs of acts, and whether the scheduler of libkcoro does what the reference engine does.

``python -m tests.native.act_programs SEED [WORKERS [LENGTH]]`` shows the program of a seed, and what it brings on both.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, evolve, field

from kcoro_core.semantics import Kind, Overflow, legal_combinations
from kcoro_core.testing.laws.shapes import shape

from .acts import ARMS, PARENTS, About, Act, Arm, Op, Patience, Program, Quiet, on_native
from .acts_on_reference import on_reference, orders_of, unordered
from .library import CORE, CSRC, HERE, PORT, PORT_FLAGS, build

__all__ = ["build_runner", "differing", "differing_by_threads", "is_one_of", "random_program"]

WEIGHTS = {Op.SEND: 30, Op.RECV: 30, Op.SELECT: 22, Op.STOP: 12, Op.CLOSE: 2, Op.CANCEL: 1}
# In half of the programs. A trigger ends one wait after the other: with others at once it is not one instant for all.
OF_TOKENS = {Op.TRIGGER: 4, Op.WAIT: 3}
OF_HALVES = {Op.OPEN: 4, Op.SHUT: 3}  # in a third of them
PATIENCE = {Patience.TRY: 3, Patience.LATE: 1, Patience.FOREVER: 9}
WITH_FAR = PATIENCE | {Patience.FAR: 3}  # in some programs, for the runner has to look again and again until all wait
# Kinds on which senders wait are drawn more often: more can happen there.
SHAPES = [*legal_combinations(), *[(Kind.RENDEZVOUS, Overflow.SUSPEND), (Kind.BUFFERED, Overflow.SUSPEND)] * 2]
TOGETHER = 2  # how often acts of one program come at once, at most: each time doubles the orders


@define
class _Drawing:
    coin: Random
    channels: int
    forms: dict[Patience, int]
    rules: int
    tokens: bool
    halves: bool
    acts: list[Act] = field(factory=list)
    calls: list[int] = field(factory=list)  # of the steps so far
    number: int = 0
    opened: list[Act] = field(factory=list)

    def step(self, count: int) -> None:
        """Draw a step of so many acts."""
        begin = len(self.acts)
        for left in reversed(range(count)):
            self.acts.append(evolve(self.act(alone=count == 1), with_next=left > 0))
        self.calls += [at for at in range(begin, len(self.acts)) if self.acts[at].op.is_call]

    def act(self, alone: bool) -> Act:
        weights = WEIGHTS | (OF_TOKENS if self.tokens and alone else {}) | (OF_HALVES if self.halves else {})
        op = self.coin.choices(list(weights), list(weights.values()))[0]
        if op is Op.STOP and not self.calls:
            op = Op.SEND
        if op is Op.STOP:
            return Act(op, value=self.coin.choice(self.calls[-4:]))
        if op is Op.TRIGGER:
            return Act(op, value=self.coin.choice([0, 1, 1, 2, 2, 3]))
        if op is Op.OPEN or (op is Op.SHUT and not self.opened):
            return self.half()
        if op is Op.SHUT:
            return evolve(self.coin.choice(self.opened), op=op)
        if op is Op.WAIT:
            return Act(op, token=self.coin.randrange(len(PARENTS)))
        return self.call(op, self.patience(alone), alone)

    def call(self, op: Op, patience: Patience, alone: bool) -> Act:
        if op is Op.SELECT:
            arms = tuple(self.arm(alone) for _ in range(self.coin.randint(1, ARMS)))
            # Where one trigger would end a call and be its clause as well, no law says which.
            token = -1 if any(arm.about is About.TRIGGERED for arm in arms) else self.token()
            return Act(op, patience=patience, rule=self.coin.randrange(self.rules), arms=arms, token=token)
        value = self.value() if op is Op.SEND else self.coin.randrange(3) if op in (Op.CLOSE, Op.CANCEL) else 0
        token = self.token() if op.is_call else -1
        return Act(op, self.coin.randrange(self.channels), value, patience, token=token)

    def half(self) -> Act:
        """Open one."""
        number, sends = len(self.opened), self.coin.random() < 0.5
        self.opened.append(Act(Op.OPEN, self.coin.randrange(self.channels), 2 * number + sends))
        return self.opened[-1]

    def patience(self, alone: bool) -> Patience:
        """A deadline that is past at once has no place of its own among others that come at once."""
        drawn = self.coin.choices(list(self.forms), list(self.forms.values()))[0]
        return drawn if alone or drawn is not Patience.LATE else Patience.FOREVER

    def arm(self, alone: bool) -> Arm:
        """A clause; a time, as a deadline, stands alone."""
        about = self.coin.choices(list(About), [10, 10, 1, 1] if self.tokens else [1, 1, 0, 0])[0]
        if about is About.TRIGGERED:
            return Arm(about, self.coin.randrange(len(PARENTS)))
        if about is About.AFTER and alone:
            return Arm(about)
        sends = about is About.SEND
        return Arm(About(sends), self.coin.randrange(self.channels), self.value() if sends else 0)

    def token(self) -> int:
        return self.coin.randrange(len(PARENTS)) if self.tokens and self.coin.random() < 0.4 else -1

    def value(self) -> int:
        self.number += 1
        return self.number


def random_program(seed: int, length: int = 24) -> Program:
    """The program of this seed, the same for ever."""
    coin = Random(seed)
    made = coin.choices(SHAPES, k=coin.randint(1, 3))
    shapes = tuple(shape(kind, overflow, coin.randint(1, 3)) for kind, overflow in made)
    with_far = coin.random() < 0.2  # with clauses that stand in no line the runner would not know who waits
    rules, tokens = (2, False) if with_far else (3, coin.random() < 0.5)
    forms, halves = WITH_FAR if with_far else PATIENCE, coin.random() < 0.3
    drawing, together = _Drawing(coin, len(shapes), forms, rules, tokens, halves), TOGETHER
    for _ in range(coin.randint(4, length)):
        count = coin.choice([2, 2, 3]) if together and coin.random() < 0.1 else 1
        together -= count > 1
        drawing.step(count)
    return Program(shapes, tuple(drawing.acts), resume=coin.randrange(2)).ended()


@lru_cache(4000)
def _in_order(program: Program) -> list[Quiet]:
    return on_reference(program)


def is_one_of(program: Program, seen: list[Quiet]) -> bool:
    """Whether the reference shows the same, in some order of those acts that come at once."""
    if _in_order(program) == seen:
        return True
    orders = islice(orders_of(program), 1, None)
    return any(unordered(on_reference(program, order)) == unordered(seen) for order in orders)


def build_runner(folder: Path, *flags: str | Path) -> Path:
    """``acts.c`` with libkcoro, as a program."""
    return build(folder / "acts", [HERE / "acts.c", *CORE, *PORT], *PORT_FLAGS, f"-I{CSRC}", *(flags or ["-O1"]))


def differing(runner: Path, seeds: Iterable[int], workers: int, length: int = 24, **how: Any) -> list[int]:
    """The seeds whose programs bring something else on so many workers."""
    return _different(runner, {seed: random_program(seed, length) for seed in seeds}, workers, **how)


def differing_by_threads(runner: Path, seeds: Iterable[int], workers: int, length: int = 24, **how: Any) -> list[int]:
    """Likewise, where every second call is one of a thread; seeds whose programs cannot be run so are left out."""
    drawn = {seed: random_program(seed, length).by_threads() for seed in seeds}
    return _different(runner, {seed: program for seed, program in drawn.items() if program}, workers, **how)


def _different(runner: Path, programs: dict[int, Program], workers: int, **how: Any) -> list[int]:
    seen = on_native(runner, programs.values(), workers, **how)
    return [seed for (seed, program), it in zip(programs.items(), seen, strict=True) if not is_one_of(program, it)]


def _closest(program: Program, seen: list[Quiet]) -> list[Quiet]:
    """What the reference shows in that order of acts at once that stays the same for longest."""

    def alike(shown: list[Quiet]) -> int:
        pairs = zip(unordered(shown), unordered(seen), strict=True)
        return next((at for at, (one, other) in enumerate(pairs) if one != other), len(seen))

    return max((on_reference(program, order) for order in orders_of(program)), key=alike)


def _show(program: Program, seen: list[Quiet]) -> None:
    for step, quiet in zip(program.steps(), seen, strict=False):
        print(*(program.acts[at] for at in step), quiet, "", sep="\n")  # noqa: T201


def main() -> None:
    """Show one program on the reference and on a scheduler."""
    seed, workers, length = map(int, [*sys.argv[1:], *["0", "2", "24"][len(sys.argv) - 1 :]])
    program = random_program(seed, length)
    with tempfile.TemporaryDirectory() as folder:
        seen = on_native(build_runner(Path(folder)), [program], workers)[0]
    print(program.shapes, "reference", sep="\n")  # noqa: T201
    _show(program, _closest(program, seen))
    print(f"{workers} workers: {'one of the same' if is_one_of(program, seen) else 'DIFFERENT'}")  # noqa: T201
    _show(program, seen)


if __name__ == "__main__":
    main()
