# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The ledger: each job is answered once and counted once, whatever happens to those who have it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kcoro_core.demo.files import Source
from kcoro_core.demo.jobs import Issue, Job, Ledger, TooManyIssues

PATIENCE = 10.0


def ledger(jobs: int = 1, most_issues: int = 8) -> Ledger:
    return Ledger([(Source(f"{n}", n),) for n in range(jobs)], patience=PATIENCE, most_issues=most_issues)


def give_out(book: Ledger, now: float = 0.0) -> Issue:
    """Hand over what is offered."""
    offer = book.next()
    assert offer is not None
    return book.give_out(offer[1], now)


def test_jobs_go_out_in_order_and_nothing_is_offered_when_all_are_out() -> None:
    book = ledger(2)
    assert [give_out(book).job.number for _ in range(2)] == [0, 1]
    assert book.next() is None
    assert not book.done


def test_next_changes_nothing_and_tells_what_give_out_does() -> None:
    book = ledger(2)
    assert book.next() == book.next() == (0, book.jobs[0])
    issue = give_out(book)
    assert (issue.number, issue.job) == (0, book.jobs[0])
    assert book.next() == (1, book.jobs[1])


def test_the_first_answer_counts_and_every_later_one_is_a_double() -> None:
    book = ledger()
    give_out(book)
    assert [book.answer(0), book.answer(0), book.answer(0)] == [True, False, False]
    assert (book.done, book.answered, book.doubles) == (True, 1, 2)


@pytest.mark.parametrize("number", [-1, 2, 10**9])
def test_an_answer_to_a_job_that_does_not_exist_is_dropped(number: int) -> None:
    book = ledger(2)
    assert not book.answer(number)
    assert book.answered == 0


def test_a_lost_worker_gives_back_what_it_had_before_all_others() -> None:
    book = ledger(3)
    for worker in (7, 8):
        book.take(give_out(book).number, worker, 0.0)
    assert book.lose(7) == 1
    assert book.next() == (2, book.jobs[0])
    assert book.holders == [8]


def test_a_lost_worker_may_have_had_what_nobody_claimed() -> None:
    book = ledger(1)
    give_out(book)
    assert book.lose(7) == 1
    assert book.next() == (1, book.jobs[0])


def test_an_answer_that_was_on_its_way_when_its_worker_was_lost_counts_and_ends_the_second_issue() -> None:
    book = ledger(1)
    book.take(give_out(book).number, 7, 0.0)
    book.lose(7)
    book.take(give_out(book).number, 8, 0.0)
    assert book.answer(0)
    assert (book.done, book.next(), book.holders) == (True, None, [])
    assert not book.answer(0)


def test_an_answered_job_that_waited_again_is_not_given_out() -> None:
    book = ledger(2)
    book.take(give_out(book).number, 7, 0.0)
    book.lose(7)
    book.answer(0)
    assert book.next() == (1, book.jobs[1])


def test_an_issue_that_came_back_is_given_out_again_with_another_number() -> None:
    book = ledger(1)
    issue = give_out(book)
    book.give_back(issue.number)
    book.give_back(issue.number)
    assert book.next() == (1, book.jobs[0])
    assert give_out(book).number == 1
    assert book.reissued == 1


def test_an_issue_that_came_back_before_it_was_given_out_waits_again() -> None:
    """The end of a link may be heard in the step that hands over, in front of whoever gave out."""
    book = ledger(1)
    book.give_back(0)
    assert book.next() == (0, book.jobs[0])
    give_out(book)
    assert book.next() == (1, book.jobs[0])
    assert book.expire(1000.0) == []


def test_who_took_an_order_has_that_job_whatever_came_back_meanwhile() -> None:
    """A job that comes back between offer and handing over stands in front, and is not what was handed over."""
    book = ledger(2)
    first = give_out(book)
    assert book.next() == (1, book.jobs[1])
    book.give_back(first.number)
    book.give_out(book.jobs[1], 0.0)
    book.take(1, 7, 0.0)
    assert book.answer(1)
    assert book.holders == []
    assert book.next() == (2, book.jobs[0])


def test_silence_longer_than_patience_ends_an_issue_and_names_its_worker() -> None:
    book = ledger(2)
    book.take(give_out(book).number, 7, 0.0)
    book.take(give_out(book).number, 8, 0.0)
    book.sign_of_life(1, 5.0)
    assert book.expire(PATIENCE) == []
    assert [issue.worker for issue in book.expire(PATIENCE + 1)] == [7]
    assert book.next() == (2, book.jobs[0])


def test_silence_of_nobody_known_names_nobody() -> None:
    book = ledger(1)
    give_out(book)
    assert [issue.worker for issue in book.expire(PATIENCE + 1)] == [None]
    assert book.next() == (1, book.jobs[0])


def test_a_job_given_out_too_often_is_refused() -> None:
    book = ledger(1, most_issues=3)
    for _ in range(3):
        book.give_back(give_out(book).number)
    with pytest.raises(TooManyIssues) as caught:
        give_out(book)
    assert (caught.value.job, caught.value.times) == (book.jobs[0], 3)


class LedgerMachine(RuleBasedStateMachine):
    """Anything in any order: a job is out, waiting or answered; each counts once; the work can always be finished."""

    def __init__(self) -> None:
        super().__init__()
        self.book = ledger(4, most_issues=10**6)
        self.now = 0.0
        self.counted: list[int] = []
        self.offered: Job | None = None

    @precondition(lambda self: self.book.next())
    @rule()
    def offer(self) -> None:
        offer = self.book.next()
        assert offer is not None
        self.offered = offer[1]

    @precondition(lambda self: self.offered)
    @rule()
    def give_out(self) -> None:
        assert self.offered is not None
        self.book.give_out(self.offered, self.now)
        self.offered = None

    @rule(number=st.integers(0, 20), worker=st.integers(1, 3))
    def take(self, number: int, worker: int) -> None:
        self.book.take(number, worker, self.now)

    @rule(number=st.integers(0, 20))
    def sign_of_life(self, number: int) -> None:
        self.book.sign_of_life(number, self.now)

    @rule(number=st.integers(0, 20))
    def give_back(self, number: int) -> None:
        self.book.give_back(number)

    @rule(worker=st.integers(1, 3))
    def lose(self, worker: int) -> None:
        self.book.lose(worker)
        assert worker not in self.book.holders

    @rule(seconds=st.floats(0, 20))
    def expire(self, seconds: float) -> None:
        self.now += seconds
        self.book.expire(self.now)

    @rule(job=st.integers(0, 3))
    def answer(self, job: int) -> None:
        if self.book.answer(job):
            self.counted.append(job)

    @invariant()
    def every_job_is_out_waiting_or_answered(self) -> None:
        waiting = [job.number for job in self.book._waiting]
        out = {issue.job.number for issue in self.book._out.values()}
        assert len(waiting) == len(set(waiting))
        assert sorted([*waiting, *out, *self.counted]) == [0, 1, 2, 3]
        assert self.book.done == (len(self.counted) == 4)

    def teardown(self) -> None:
        for _ in range(8):
            self.book.expire(self.now + 1000)
            if self.book.next():
                self.answer(give_out(self.book, self.now).job.number)
        assert self.book.done
        assert sorted(self.counted) == [0, 1, 2, 3]


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=40)
