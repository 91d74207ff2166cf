# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The language of the rows: acts and what they bring, a line for each step.

    one: send a 1 late -> one late; a.failed_deadline=1

``NAME: send CH VALUE``, ``recv CH``, ``select CLAUSE, CLAUSE``, ``wait TOKEN``; then, of a select, ``skip`` or
``return``; ``by TOKEN``; and last ``try``, ``late`` or ``far`` (see Patience). Clauses are ``send CH VALUE``,
``recv CH``, ``triggered TOKEN`` and ``after``. Without a name ``close CH``, ``cancel CH`` (which gives up what is
queued), both with a number as reason if there is one, ``release CH``, ``trigger TOKEN``, ``stop NAME``, which cancels
a task, ``open sender CH``, ``open receiver CH``, and ``shut N``, which closes a half; the first that was opened is 0.
Channels are called a, b, c, d, and tokens t0, its child t1, its grandchild t2, and t3. ``&`` stands between acts that
come at once.

Behind ``->`` stands all that the step brings: ``NAME done``, ``NAME got VALUE``, ``NAME would block``, ``NAME late``,
``NAME cancelled``, ``NAME closed``, for a select with the index of the clause behind the name; ``lost CH VALUE WHY``.
Whoever is not named still waits. Behind ``;`` stand counters. ``|`` stands between what may come of acts at once. A
call without a name has to end in its step, with success; ``-> *`` says nothing.
"""

from __future__ import annotations

import errno
import re

from attrs import define, evolve, field, frozen

from kcoro_core.semantics import ClosedRule, Undelivered
from kcoro_core.testing.laws.shapes import Shape

from .acts import BOOKS, About, Act, Arm, End, Lost, Op, Patience, Program, Quiet

__all__ = ["Script", "parse"]

_CODES = {
    "done": 0,
    "got": 0,
    "would block": -errno.EAGAIN,
    "late": -errno.ETIME,
    "cancelled": -errno.ECANCELED,
    "closed": -errno.EPIPE,
}
_OUTCOME = re.compile(rf"(\w+)(?: (\d+))? ({'|'.join(_CODES)})(?: (\d+))?")
_REASONS = [why.name.lower() for why in Undelivered]


@frozen
class Brought:
    """One thing that a step may bring."""

    ended: frozenset[End]
    lost: tuple[Lost, ...]
    books: dict[tuple[int, str], int]

    def is_seen(self, quiet: Quiet) -> bool:
        """Whether it is what was brought; counters that are not named may be anything."""
        stated = all(quiet.books[ch][BOOKS.index(name)] == value for (ch, name), value in self.books.items())
        return stated and self.ended == frozenset(quiet.ended) and self.lost == quiet.lost


@frozen
class Script:
    """A program, and for each of its steps what it may bring; None where nothing is said."""

    program: Program
    expected: tuple[tuple[Brought, ...] | None, ...]

    def wrong(self, seen: list[Quiet]) -> list[tuple[int, Quiet]]:
        """The steps that brought something else, by number."""
        pairs = zip(self.expected, seen, strict=False)
        return [
            (at, quiet)
            for at, (allowed, quiet) in enumerate(pairs)
            if allowed is not None and not any(one.is_seen(quiet) for one in allowed)
        ]


@define
class _Reader:
    acts: list[Act] = field(factory=list)
    names: dict[str, int] = field(factory=dict)
    halves: list[int] = field(factory=list)

    def act(self, text: str) -> None:
        """Read one act; one with a name can be spoken of later."""
        name, colon, rest = text.rpartition(":")
        if colon:
            self.names[name.strip()] = len(self.acts)
        op, _, words = rest.strip().partition(" ")
        self.acts.append(self._select(words) if op == "select" else self._plain(Op[op.upper()], words.split()))

    def _plain(self, op: Op, words: list[str]) -> Act:
        if op is Op.STOP:
            return Act(op, value=self.names[words[0]])
        if op in (Op.WAIT, Op.TRIGGER):
            token = int(words[0][1])
            return Act(op, token=token) if op is Op.WAIT else Act(op, value=token)
        if op is Op.OPEN:
            self.halves.append(2 * len(self.halves) + (words[0] == "sender"))
            return Act(op, _channel(words[1]), self.halves[-1])
        if op is Op.SHUT:
            return Act(op, value=self.halves[int(words[0])])
        patience, token = _patience(words), _token(words)
        return Act(op, _channel(words[0]), int(words[1]) if words[1:] else 0, patience, token=token)

    def _select(self, text: str) -> Act:
        words = text.split()
        patience, token, rule = _patience(words), _token(words), ClosedRule.RAISE
        if words[-1].upper() in ClosedRule.__members__:
            rule = ClosedRule[words.pop().upper()]
        arms = tuple(_arm(*arm.split()) for arm in " ".join(words).split(","))
        return Act(Op.SELECT, patience=patience, rule=rule.value, arms=arms, token=token)

    def brought(self, text: str, step: range) -> Brought:
        """Read one thing that a step may bring."""
        outcomes, _, counters = text.partition(";")
        ended, lost = self._without_names(step), []
        for outcome in filter(None, (part.strip() for part in outcomes.split(","))):
            if outcome.startswith("lost "):
                _, ch, value, why = outcome.split()
                lost.append(Lost(_channel(ch), int(value), _REASONS.index(why)))
            else:
                ended.add(self._end(outcome))
        return Brought(frozenset(ended), tuple(lost), dict(map(_counter, counters.split())))

    def _without_names(self, step: range) -> set[End]:
        named = set(self.names.values())
        return {End(act, 0) for act in step if act not in named}

    def _end(self, text: str) -> End:
        read = _OUTCOME.fullmatch(text)
        assert read is not None, text
        name, index, what, value = read.groups()
        return End(self.names[name], _CODES[what], -1 if index is None else int(index), int(value or 0))


def _channel(letter: str) -> int:
    return "abcd".index(letter)


def _patience(words: list[str]) -> Patience:
    return Patience[words.pop().upper()] if words[-1] in ("try", "late", "far") else Patience.FOREVER


def _token(words: list[str]) -> int:
    if "by" not in words:
        return -1
    token = int(words.pop()[1])
    words.pop()
    return token


def _arm(word: str, subject: str = "", value: str = "0") -> Arm:
    about = About[word.upper()]
    if about is About.AFTER:
        return Arm(about)
    return Arm(about, int(subject[1]) if about is About.TRIGGERED else _channel(subject), int(value))


def _counter(text: str) -> tuple[tuple[int, str], int]:
    name, _, value = text.partition("=")
    ch, _, counter = name.partition(".")
    return (_channel(ch), counter), int(value)


def parse(shapes: tuple[Shape, ...], text: str) -> Script:
    """Read the lines of a row."""
    reader, expected = _Reader(), []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        acts, _, brought = line.partition("->")
        begin = len(reader.acts)
        for act in acts.split("&"):
            reader.act(act)
        step = range(begin, len(reader.acts))
        for at in step[:-1]:
            reader.acts[at] = evolve(reader.acts[at], with_next=True)
        if brought.strip() == "*":
            expected.append(None)
        else:
            expected.append(tuple(reader.brought(one, step) for one in brought.split("|")))
    return Script(Program(shapes, tuple(reader.acts)).ended(), tuple(expected))
