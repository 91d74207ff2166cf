# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Acts of tasks on channels, step by step, and what is true each time that everything is quiet.

A step is one act, or several that come at once; the next step comes when every task has finished or waits. So what a
step brings is the same for any number of workers. ``acts_on_reference.py`` runs such programs on the reference engine,
``acts.c`` on the scheduler of libkcoro.
"""

from __future__ import annotations

import enum
import subprocess
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import evolve, field, frozen

from kcoro_core.semantics import ClosedRule
from kcoro_core.testing.laws.shapes import Shape

__all__ = [
    "ARMS",
    "BOOKS",
    "CHANNELS",
    "PARENTS",
    "About",
    "Act",
    "Arm",
    "End",
    "Lost",
    "Op",
    "Patience",
    "Program",
    "Quiet",
    "on_native",
]

CHANNELS = 4
ARMS = 4
PARENTS = (-1, 0, 1, -1)
"""The tokens of each program: the first has a child and a grandchild, the last is alone."""
ROOTS = [token for token, parent in enumerate(PARENTS) if parent < 0]
WORDS = 20
LONGEST = 120  # seconds; programs take milliseconds, so whoever takes longer hangs
_ENDED, _LOST, _QUIET, _BOOKS = range(1000, 1004)
BOOKS = (
    *("length", "peak_length", "closed", "waiting_senders", "waiting_receivers", "sent", "received", "dropped"),
    *("handoffs", "failed_would_block", "failed_deadline", "failed_cancelled", "failed_closed"),
    "reason",
)
"""What is compared: a snapshot, and the reason of the first close."""


class Op(enum.IntEnum):
    """What an act does; those up to WAIT, which is for a token, are calls that may wait."""

    SEND, RECV, SELECT, WAIT, CLOSE, CANCEL, STOP, RELEASE, TRIGGER, OPEN, SHUT = range(11)

    @property
    def is_call(self) -> bool:
        """Whether it may wait."""
        return self <= Op.WAIT


class Patience(enum.IntEnum):
    """How long a call waits: not at all, until a deadline that is past at once, for ever, or for an hour."""

    TRY, LATE, FOREVER, FAR = range(4)


class About(enum.IntEnum):
    """What a clause is about; AFTER is a time that is past at once."""

    RECV, SEND, TRIGGERED, AFTER = range(4)


@frozen
class Arm:
    """A clause of a select; ``subject`` is a channel or a token."""

    about: About
    subject: int = 0
    value: int = 0


@frozen
class Act:
    """``value`` is what is sent, the reason of a close, the number of the act whose task a STOP cancels, or of the
    token that a TRIGGER sets; and of an OPEN or SHUT twice the number of a half, and one more if it sends.

    ``token`` is the number of the token that ends a call, or that it waits for; below 0 for none.
    """

    op: Op
    channel: int = 0
    value: int = 0
    patience: Patience = Patience.FOREVER
    rule: int = 0
    arms: tuple[Arm, ...] = ()
    with_next: bool = False
    token: int = -1
    by_thread: bool = False

    def words(self) -> list[int]:
        """As ``acts.c`` reads it."""
        head = [
            self.op,
            self.with_next | self.by_thread << 1,
            self.channel,
            self.value,
            self.patience,
            self.rule,
            len(self.arms),
        ]
        arms = [word for arm in self.arms for word in (arm.subject, arm.about, arm.value)]
        return [*map(int, head), *map(int, arms), *[0] * (WORDS - len(head) - len(arms) - 1), self.token]


@frozen
class Program:
    """Channels, of at most CHANNELS shapes, and acts; ``resume`` says when tasks run that others have woken."""

    shapes: tuple[Shape, ...]
    acts: tuple[Act, ...]
    resume: int = 0

    def steps(self) -> list[range]:
        """The numbers of the acts of each step."""
        ends = [at + 1 for at, act in enumerate(self.acts) if not act.with_next]
        return [range(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]

    def ended(self) -> Program:
        """The same with an end that leaves nobody waiting, and every element received or reported."""
        there = set(range(len(self.shapes))) - {act.channel for act in self.acts if act.op is Op.RELEASE}
        closes, releases = ([Act(op, channel) for channel in sorted(there)] for op in (Op.CLOSE, Op.RELEASE))
        shuts = [evolve(act, op=Op.SHUT, with_next=False) for act in self.acts if act.op is Op.OPEN]
        triggers = [Act(Op.TRIGGER, value=token) for token in ROOTS] if self.has_tokens else []
        return Program(self.shapes, (*self.acts, *shuts, *closes, *triggers, *releases), self.resume)

    @property
    def has_tokens(self) -> bool:
        """Whether somebody may wait for or by one."""
        return any(act.token >= 0 or any(arm.about is About.TRIGGERED for arm in act.arms) for act in self.acts)

    def by_threads(self) -> Program | None:
        """The same, every second call by a thread; None where the runner would not know when threads are quiet."""
        arms = [arm for act in self.acts for arm in act.arms]
        skips = any(act.op is Op.WAIT or ClosedRule(act.rule) is ClosedRule.SKIP for act in self.acts)
        if skips or any(arm.about > About.SEND for arm in arms):
            return None
        stopped = {act.value for act in self.acts if act.op is Op.STOP}
        can = [act.op.is_call and at not in stopped for at, act in enumerate(self.acts)]
        acts = (evolve(act, by_thread=can[at] and at % 2 == 1) for at, act in enumerate(self.acts))
        return evolve(self, acts=tuple(acts))

    def words(self) -> list[int]:
        """As ``acts.c`` reads it."""
        shapes = [(s.kind.value, s.capacity or 0, s.overflow.value) for s in self.shapes]
        head = [len(self.shapes), self.resume, len(self.acts), *(word for s in shapes for word in s)]
        return head + [word for act in self.acts for word in act.words()]


@frozen(order=True)
class End:
    """A call that has ended: its code as in kcoro/codes.h; for a select, which clause; and what was received."""

    act: int
    code: int
    index: int = -1
    value: int = 0


@frozen(order=True)
class Lost:
    """A value that reached nobody; ``why`` is the place of its reason in ``Undelivered``."""

    channel: int
    value: int
    why: int


@frozen
class Quiet:
    """What a step has brought, and how everything stands: how many tasks wait, and the books of each channel."""

    ended: tuple[End, ...]
    lost: tuple[Lost, ...]
    waiting: int
    books: dict[int, tuple[int, ...]] = field(factory=dict)


def _read_one(words: list[int]) -> Iterator[Quiet]:
    at, ended, lost, books = 0, [], [], {}
    while at < len(words):
        what = words[at]
        if what == _ENDED:
            ended.append(End(*words[at + 1 : at + 5]))
            at += 5
        elif what == _LOST:
            lost.append(Lost(*words[at + 1 : at + 4]))
            at += 4
        elif what == _BOOKS:
            books[words[at + 1]] = tuple(words[at + 2 : at + 2 + len(BOOKS)])
            at += 2 + len(BOOKS)
        else:
            assert what == _QUIET
            yield Quiet(tuple(ended), tuple(lost), words[at + 1], books)
            at, ended, lost, books = at + 2, [], [], {}


def _read(words: array[int]) -> Iterator[list[Quiet]]:
    at = 0
    while at < len(words):
        end = at + 1 + words[at]
        yield list(_read_one(words[at + 1 : end].tolist()))
        at = end


def on_native(
    runner: Path,
    programs: Iterable[Program],
    workers: int,
    longest: int = LONGEST,
    env: dict[str, str] | None = None,
) -> list[list[Quiet]]:
    """What each program shows on a scheduler with so many workers.

    :raises AssertionError: the runner died; with its words.
    :raises subprocess.TimeoutExpired: it took longer than ``longest`` seconds.
    """
    given = array("i", [word for program in programs for word in program.words()])
    done = subprocess.run([runner, str(workers)], input=given.tobytes(), capture_output=True, timeout=longest, env=env)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    assert done.stderr == b"", done.stderr.decode()
    return list(_read(array("i", done.stdout)))
