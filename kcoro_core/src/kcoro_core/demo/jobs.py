# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The ledger of jobs: what waits, what is out and with whom, what is answered; no input, output or clock.

A job is given out as an *issue* with a number of its own. An issue ends when its job is answered, when it came back
undelivered, when the worker that has it is lost, or when nobody showed a sign of life for it for too long; a job whose
issues have all ended without an answer waits again, before all others.

Rule 1: the first answer to a job counts, whichever issue it answers; every later one is a double and is dropped.
Rule 2: a job is out, waiting or answered at every moment, and ``done`` means that each is answered.
Rule 3: which worker took an issue is known only once it said so. When a worker is lost, issues that nobody has claimed
may have gone with it: they are given out again, and rule 1 makes that harmless.

``now`` is in seconds, on any clock that does not go backwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import define, frozen

from .files import Source

__all__ = ["Issue", "Job", "Ledger", "TooManyIssues"]


@frozen
class Job:
    """A batch of files to count."""

    number: int
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes to read, as found at the beginning."""
        return sum(source.size for source in self.sources)


@define(eq=False)
class Issue:
    """One giving-out of a job to a worker."""

    number: int
    job: Job
    sign_of_life: float
    """When it was given out, taken, or last heard of."""
    worker: int | None = None
    """Who took it; None until somebody said so."""


class TooManyIssues(Exception):
    """A job was given out so often without an answer that it is probably what kills the workers."""

    def __init__(self, job: Job, times: int) -> None:
        super().__init__(job, times)
        self.job = job
        self.times = times


class Ledger:
    """Every job of one run.

    An issue ends after ``patience`` seconds without a sign of life. No job is given out more than ``most_issues``
    times.
    """

    def __init__(self, batches: Iterable[tuple[Source, ...]], *, patience: float = 15.0, most_issues: int = 8) -> None:
        self.patience = patience
        self.most_issues = most_issues
        self.jobs = [Job(number, sources) for number, sources in enumerate(batches)]
        self.issued = 0
        """Issues given out so far: of these ``reissued`` were not the first of their job."""
        self.reissued = 0
        self.doubles = 0
        """Answers that were dropped."""
        self._waiting = deque(self.jobs)
        self._out: dict[int, Issue] = {}
        self._came_back = -1  # what is known to have reached nobody, before its give_out
        self._times = [0] * len(self.jobs)
        self._answered: set[int] = set()

    @property
    def answered(self) -> int:
        """How many jobs are answered."""
        return len(self._answered)

    @property
    def done(self) -> bool:
        """Whether every job is answered."""
        return len(self._answered) == len(self.jobs)

    @property
    def holders(self) -> list[int]:
        """The workers that are known to have a job, in order of their numbers."""
        return sorted({issue.worker for issue in self._out.values() if issue.worker is not None})

    # -- giving out

    def next(self) -> tuple[int, Job] | None:
        """The job to offer now and the number that its issue would have; None when nothing waits. Changes nothing."""
        return (self.issued, self._waiting[0]) if self._waiting else None

    def give_out(self, job: Job, now: float) -> Issue:
        """What ``next`` offered has been handed over; other jobs may have come back since, and stand in front of it.

        It waits again if it came back itself, and is nobody's if it was answered.

        :raises TooManyIssues: this job has been handed over once too often; the ledger is of no further use.
        """
        issue = Issue(self.issued, job, now)
        self.issued += 1
        if job not in self._waiting:
            return issue
        self._waiting.remove(job)
        self.reissued += self._times[job.number] > 0
        self._times[job.number] += 1
        self._out[issue.number] = issue
        if self._times[job.number] > self.most_issues:
            raise TooManyIssues(job, self.most_issues)
        if self._came_back == issue.number:
            self._end([issue])
        return issue

    # -- what is heard

    def take(self, number: int, worker: int, now: float) -> None:
        """``worker`` says that it has this issue."""
        if issue := self._out.get(number):
            issue.worker, issue.sign_of_life = worker, now

    def sign_of_life(self, number: int, now: float) -> None:
        """Somebody works on this issue; one that has ended stays ended."""
        if issue := self._out.get(number):
            issue.sign_of_life = now

    def answer(self, job: int) -> bool:
        """An answer is complete: True when it counts, False for a double and for a job that does not exist."""
        if not self.is_open(job):
            self.doubles += 1
            return False
        self._answered.add(job)
        self._out = {number: issue for number, issue in self._out.items() if issue.job.number != job}
        self._waiting = deque(waiting for waiting in self._waiting if waiting.number != job)
        return True

    def is_open(self, job: int) -> bool:
        """Whether an answer to this job would count."""
        return 0 <= job < len(self.jobs) and job not in self._answered

    # -- what went wrong

    def give_back(self, number: int) -> None:
        """This issue reached nobody; a link that is lost may say so before ``give_out`` is called for it."""
        if number == self.issued:
            self._came_back = number
        self._end([self._out[number]] if number in self._out else [])

    def lose(self, worker: int) -> int:
        """``worker`` is gone, with what it had and what nobody has claimed; returns how many jobs wait again."""
        return self._end([issue for issue in self._out.values() if issue.worker in (worker, None)])

    def expire(self, now: float) -> list[Issue]:
        """End what shows no sign of life; whoever took one of the issues returned is stuck or gone."""
        silent = [issue for issue in self._out.values() if now - issue.sign_of_life > self.patience]
        self._end(silent)
        return silent

    def _end(self, issues: list[Issue]) -> int:
        for issue in sorted(issues, key=lambda issue: issue.job.number, reverse=True):
            del self._out[issue.number]
            self._waiting.appendleft(issue.job)
        return len(issues)
