# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The coordinator: one select over everything that can happen, until every job is answered.

It knows three channels, a crew and a ledger, and neither links nor processes: a test gives it local channels and tasks.

Rule 1: results are taken before work is given out, and a signal before either.
Rule 2: whatever a worker does or does not do, the loop goes on or ends with an error that says why; it never hangs.
Rule 3: time in which this process itself did not run (stopped, or the machine asleep) is nobody's silence.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ..channel import Channel
from ..clauses import After, Clause, Recv, Send
from ..hosts.port import current_host
from ..select import Selected, select
from .chaos import Chaos
from .crew import Crew, Exit
from .files import Source
from .jobs import Job, Ledger, TooManyIssues
from .messages import Answer, Malformed, Message, Order, Part, Progress, Taken, decode, encode
from .state import Show, State
from .tally import Share, Tally

__all__ = ["Coordinator", "Lines", "WorkersFailed"]

TICK_SECONDS: Final = 0.25


@frozen
class Lines:
    """The three channels as the coordinator sees them: orders out, results and progress in."""

    jobs: Channel[bytes]
    results: Channel[bytes]
    progress: Channel[bytes]

    def close(self) -> None:
        """No more work: workers that wait for some, or still count something twice, end."""
        for line in (self.jobs, self.results, self.progress):
            line.close("all jobs are answered")


class WorkersFailed(Exception):
    """The workers cannot do this work; the text says what is known of why."""


class Coordinator:
    """Hands out the jobs of a ledger to a crew of ``workers``, and adds up their answers."""

    def __init__(
        self,
        tally: Tally,
        lines: Lines,
        crew: Crew,
        workers: int,
        show: Show,
        chaos: Chaos | None = None,
    ) -> None:
        self.tally = tally
        self.ledger: Ledger = tally.ledger
        self._lines = lines
        self._crew = crew
        self._workers = workers
        self._show = show
        self._chaos = chaos
        self._total_size = sum(job.size for job in self.ledger.jobs)
        self._answered_size = 0
        self._running: dict[int, int] = {}  # bytes of each job that is not answered yet
        self._clock = _Awake()
        self._heard_at = 0.0
        self._barren_exits = 0  # since the last answer
        self._silenced: set[int] = set()

    async def run(self, stop: Clause) -> int | None:
        """Work until all jobs are answered (returns None), or until ``stop`` wins (returns its value).

        :raises WorkersFailed: workers end without answering, again and again, or one job is the end of all of them.
        """
        for _ in range(self._workers):
            await self._start()
        while not self.ledger.done:
            signum = await self._step(stop)
            if signum is not None:
                return signum
            self._show(self.state())
        return None

    def state(self) -> State:
        """How far it is now."""
        size = self._answered_size + sum(self._running.values())
        jobs = f"{self.ledger.answered}/{len(self.ledger.jobs)} jobs, {len(self._crew.alive)} workers"
        return State("counting", size, self._total_size, jobs)

    async def _step(self, stop: Clause) -> int | None:
        clauses: list[Clause] = [stop, Recv(self._crew.exits), Recv(self._lines.results), Recv(self._lines.progress)]
        job: Job | None = None
        if offer := self.ledger.next():
            number, job = offer
            order = Order(job.number, number, tuple(source.path for source in job.sources))
            clauses.append(Send(self._lines.jobs, encode(order)))
        match await select(*clauses, After(TICK_SECONDS)):
            case Selected(index=0, value=signum):
                return int(signum)
            case Selected(index=1, value=exit_):
                await self._left(exit_)
            case Selected(index=2 | 3, value=raw):
                self._heard(raw)
            case Selected(clause=Send()) if job is not None:
                self._give_out(job)
            case _:
                self._look_around()
        return None

    # -- work

    def _give_out(self, job: Job) -> None:
        try:
            self.ledger.give_out(job, self._clock.read())
        except TooManyIssues as error:
            raise WorkersFailed(
                f"{error.times} times these files were given out and no answer came: {_name(error.job.sources)}; "
                "leave them out, or count them alone to see what happens"
            ) from error

    def _heard(self, raw: bytes) -> None:
        try:
            message = decode(raw)
        except Malformed:
            # Nothing says whom it came from. What should have come instead is given out again in time.
            self.tally.malformed += 1
            return
        self._heard_at = self._clock.read()
        self._take(message, self._heard_at)
        if self._chaos and not self.ledger.done:
            victim = self._chaos.victim([w for w in self.ledger.holders if w in self._crew.alive])
            if victim is not None:
                self.tally.shares[victim].end = "killed by --chaos"
                self._crew.kill(victim)

    def _take(self, message: Message, now: float) -> None:
        match message:
            case Taken():
                self.ledger.take(message.issue, message.worker, now)
            case Progress():
                self.ledger.sign_of_life(message.issue, now)
                if self.ledger.is_open(message.job):
                    self._running[message.job] = min(message.size, self.ledger.jobs[message.job].size)
            case Part():
                self.ledger.sign_of_life(message.issue, now)
                self.tally.part(message)
            case Answer() if self.tally.answer(message):
                self._barren_exits = 0
                self._running.pop(message.job, None)
                self._answered_size += self.ledger.jobs[message.job].size

    # -- workers

    async def _start(self) -> None:
        number, pid = await self._crew.start()
        self.tally.shares[number] = Share(number, pid)

    async def _left(self, exit_: Exit) -> None:
        by_chaos = self._chaos is not None and exit_.worker in self._chaos.killed
        if not by_chaos:
            because = f", since it was silent for {self.ledger.patience:g} s" if exit_.worker in self._silenced else ""
            self.tally.shares[exit_.worker].end = f"{exit_}{because}"
        self.ledger.lose(exit_.worker)
        self._heard_at = self._clock.read()
        self._barren_exits += not by_chaos
        if self._barren_exits > self.ledger.most_issues + self._workers:
            raise WorkersFailed(f"{self._barren_exits} workers in a row ended without an answer; the last: {exit_}")
        await self._start()

    def _look_around(self) -> None:
        """Nothing has happened for a while: whoever is silent for too long is killed, and replaced when it is gone."""
        now = self._clock.read()
        expired = self.ledger.expire(now)
        silent = {issue.worker for issue in expired if issue.worker is not None}
        if not expired and now - self._heard_at > self.ledger.patience:
            silent = set(self._crew.alive)
        if expired or silent:
            self._heard_at = now
        self._silenced |= silent
        for worker in silent:
            self._crew.kill(worker)


class _Awake:
    """A clock that counts only time in which the loop came round: a long gap counts as two ticks."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._last: float | None = None

    def read(self) -> float:
        """Seconds awake since the first reading."""
        now = current_host().now()
        self._passed += min(now - (now if self._last is None else self._last), 2 * TICK_SECONDS)
        self._last = now
        return self._passed


def _name(sources: tuple[Source, ...]) -> str:
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    return ", ".join(source.path for source in sources[:3]) + more
