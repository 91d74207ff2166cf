# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Plays a program on the script host, and judges all that it sees.

Rule 1: no value is lost or doubled (``books.py``), no answer of the engine is wrong at its instant (``monitor.py``).
Rule 2: an operation raises only what its circumstances justify: no early timeout, no cancel without a set token.
Rule 3: when nothing can run any more, nobody waits who could go on (``quiet.py``); after the finale nobody waits.

The finale: once the program is quiet, every channel is closed and the token set, so that every program ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from ... import plugins
from ...cancel import CancelToken
from ...channel import Channel
from ...clauses import After, Clause, Recv, Send, Triggered
from ...errors import ChannelClosed, DeadlineExceeded, KcoroError, OperationCancelled, WouldBlock
from ...hosts.script import Deadlock, ScriptHost, StepLimit
from ...run import sleep
from ...select import Selected, select, try_select
from ...semantics import RETURN, SKIP
from .books import Books
from .explorer import raise_interrupt
from .monitor import MonitoringFactory
from .programs import ChannelSpec, Choice, Move, Program
from .quiet import all_closed, complaints

__all__ = ["INJECTIONS", "Injection", "Play"]

INJECTIONS: Final = ("close", "cancel", "token", "task")
"""What can be injected, see ``Injection``."""

_QUIET: Final = 1e6
"""When the finale begins, in virtual seconds: long after every other timer."""

_MAX_STEPS: Final = 20_000
_SCHEDULES: Final = len(INJECTIONS) * _MAX_STEPS + 1


@attrs.frozen
class Injection:
    """Something that happens from outside right before one step: ``close``, ``cancel``, ``token`` or ``task``.

    It hits the first channel, the token, or (``task``) cancels the host's scope around one task.
    """

    what: str
    step: int

    def __str__(self) -> str:
        return f"{self.what}@{self.step}"

    @classmethod
    def parse(cls, text: str) -> Injection:
        """``close@7``; ValueError for anything else."""
        what, _, step = text.partition("@")
        if what not in INJECTIONS or not step.isdecimal():
            raise ValueError(f"an injection looks like close@7 ({', '.join(INJECTIONS)}), not {text!r}")
        return cls(what, int(step))


class Play:
    """One run of a program; afterwards ``found`` lists what was wrong, and ``host`` has the trace."""

    def __init__(self, program: Program, injection: Injection | None = None) -> None:
        self.program = program
        self.found: list[str] = []
        # Each injection gets a schedule of its own: the same one again would show the same run up to the injection.
        schedule = 0 if injection is None else 1 + len(INJECTIONS) * injection.step + INJECTIONS.index(injection.what)
        seed = program.seed * _SCHEDULES + schedule
        self.host = ScriptHost(seed=seed, quantum=program.quantum, hurry=program.hurry, max_steps=_MAX_STEPS)
        self._books = Books()
        engine = plugins.engine()
        engine = attrs.evolve(engine, channel=MonitoringFactory(engine.channel, self.found))
        self._channels: list[Channel[int]] = [self._channel(engine, i, spec) for i, spec in enumerate(program.channels)]
        self._token = CancelToken()
        self._scopes = [self.host.open_cancel_scope() for _ in program.tasks]
        # What each task waits for at this moment.
        self._waiting: dict[int, Move] = {}
        if injection is not None:
            self.host.at_step(injection.step, self._injected(injection))

    def _channel(self, engine: Any, number: int, spec: ChannelSpec) -> Channel[int]:
        return Channel(engine, spec.kind, spec.capacity, spec.overflow, self._books.undelivered, f"ch{number}")

    def _injected(self, injection: Injection) -> Callable[[], object]:
        if injection.what == "close":
            return self._channels[0].close
        if injection.what == "cancel":
            return self._channels[0].cancel
        if injection.what == "token":
            return self._token.trigger
        return self._scopes[injection.step % len(self._scopes)].cancel

    # -- the run

    def run(self) -> list[str]:
        """Play it to the end; returns what was found, an empty list when all is well."""
        try:
            self.host.run(self._main)
        except (Deadlock, StepLimit) as error:
            self.found.append(str(error))
        except BaseExceptionGroup as group:
            raise_interrupt(group)
            self.found.append(f"unexpected: {group.exceptions!r}")
        else:
            self.found += self._books.settle(self._channels)
        return self.found

    async def _main(self) -> None:
        async with self.host.open_nursery() as nursery:
            for number, moves in enumerate(self.program.tasks):
                nursery.start_soon(self._task, number, moves, name=f"program {number}")
            await sleep(_QUIET)
            self.found += complaints(self._waiting, self._channels, self._token.is_set())
            for channel in self._channels:
                channel.close()
            self._token.trigger()

    async def _task(self, number: int, moves: tuple[Move, ...]) -> None:
        with self._scopes[number]:
            for move in moves:
                self._waiting[number] = move
                try:
                    await self._make(move)
                finally:
                    del self._waiting[number]

    # -- one move

    async def _make(self, move: Move) -> None:
        if move.what == "sleep":
            assert move.timeout is not None
            await sleep(move.timeout)
        elif move.what == "pause":
            await self.host.checkpoint()
        elif move.what in ("send", "recv", "select"):
            await self._attempt(move)
        elif move.what.startswith("try_"):
            self._attempt_now(move)
        elif move.what == "trigger":
            self._token.trigger()
        else:
            getattr(self._channels[move.channel], move.what)()

    async def _attempt(self, move: Move) -> None:
        start, values = self.host.now(), self._books.offer(move)
        try:
            result = await self._call(move, values)
        except KcoroError as error:
            self._books.keep(values)
            self._check_error(move, error, start)
        except BaseException:
            self._books.keep(values)  # the host's own cancellation
            raise
        else:
            self._check_result(move, result)
            self._books.succeed(move, values, result)

    def _attempt_now(self, move: Move) -> None:
        values = self._books.offer(move)
        try:
            result = self._call(move, values)
        except KcoroError as error:
            self._books.keep(values)
            self._check_error(move, error, self.host.now())
        else:
            self._check_result(move, result)
            self._books.succeed(move, values, result)

    def _call(self, move: Move, values: tuple[int, ...]) -> Any:
        """The call that a move stands for: its awaitable, or its result for a try."""
        token = self._token if move.token else None
        if move.what.endswith("select"):
            offers = iter(values)
            clauses = [self._clause(choice, offers) for choice in move.choices]
            if move.what == "try_select":
                return try_select(*clauses, mode=move.mode, closed=move.closed)
            return select(*clauses, timeout=move.timeout, cancel=token, mode=move.mode, closed=move.closed)
        call = getattr(self._channels[move.channel], move.what)
        return call(*values) if move.what.startswith("try_") else call(*values, timeout=move.timeout, cancel=token)

    def _clause(self, choice: Choice, offers: Iterator[int]) -> Clause:
        if choice.what == "send":
            return Send(self._channels[choice.channel], next(offers))
        if choice.what == "recv":
            return Recv(self._channels[choice.channel])
        return After(choice.seconds) if choice.what == "after" else Triggered(self._token)

    # -- judging

    def _check_error(self, move: Move, error: KcoroError, start: float) -> None:
        if isinstance(error, WouldBlock):
            justified = move.timeout == 0 or move.what.startswith("try_")
        elif isinstance(error, DeadlineExceeded):
            late = self.host.now() - start - (move.timeout or math.inf)
            justified = late == 0 or (late > 0 and self.program.hurry > 0)
        elif isinstance(error, OperationCancelled):
            justified = move.token and self._token.is_set()
        elif isinstance(error, ChannelClosed):
            justified = self._is_closed(move, error.index)
        else:
            justified = False
        if not justified:
            self.found.append(f"{move} raised {error!r} at {self.host.now()}, begun at {start}, without cause")

    def _check_result(self, move: Move, result: Any) -> None:
        if not isinstance(result, Selected) or result.error is None:
            return
        if move.closed is not RETURN or result.error.index != result.index or not self._is_closed(move, result.index):
            self.found.append(f"{move} returned {result}, without cause")

    def _is_closed(self, move: Move, index: int | None) -> bool:
        """Whether ChannelClosed is right: from the channel of a plain move, a clause, or (index None) all of a SKIP."""
        if index is None and move.what.endswith("select"):
            return move.closed is SKIP and all_closed(move, self._channels)
        choice = move.choices[index or 0]
        return choice.what in ("send", "recv") and self._channels[choice.channel].closed
