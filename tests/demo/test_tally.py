# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""An answer counts as a whole or not at all."""

from __future__ import annotations

from kcoro_core.demo.files import Skipped, Source
from kcoro_core.demo.jobs import Ledger
from kcoro_core.demo.messages import Answer, Part
from kcoro_core.demo.tally import Share, Tally


def tally(jobs: int = 1) -> Tally:
    book = Ledger([(Source(f"{number}", 10),) for number in range(jobs)])
    for job in book.jobs:
        book.give_out(job, 0.0)
    return Tally(book, shares={1: Share(1, 100), 2: Share(2, 200)})


def part(index: int, worker: int = 1, job: int = 0) -> Part:
    return Part(job, 0, worker, index, {"part": 1})


def answer(parts: int, worker: int = 1, job: int = 0, skipped: tuple[tuple[int, str], ...] = ()) -> Answer:
    return Answer(job, 0, worker, parts, {"last": 1}, 1, 10, 0.5, skipped)


def test_an_answer_is_the_sum_of_its_parts() -> None:
    count = tally()
    count.part(part(0))
    count.part(part(1))
    assert count.answer(answer(2))
    assert (count.words, count.files, count.size) == ({"part": 2, "last": 1}, 1, 10)
    assert (count.shares[1].jobs, count.shares[1].rate, count.shares[2].jobs) == (1, 20.0, 0)


def test_an_answer_of_which_a_part_is_missing_does_not_count() -> None:
    for arrived in ([], [0], [1], [0, 2], [0, 0], [0, 1, 1]):
        count = tally()
        for index in arrived:
            count.part(part(index))
        assert not count.answer(answer(2)), arrived
        assert not count.words
        assert not count.ledger.done


def test_parts_of_two_workers_are_never_mixed() -> None:
    count = tally()
    count.part(part(0, worker=1))
    count.part(part(1, worker=2))
    assert not count.answer(answer(2, worker=1))
    assert not count.answer(answer(2, worker=2))


def test_a_double_answer_changes_nothing() -> None:
    count = tally()
    count.part(part(0, worker=2))
    assert count.answer(answer(0))
    assert not count._assemblies
    count.part(part(0, worker=2))
    assert not count.answer(answer(1, worker=2))
    assert (count.words, count.files, count.ledger.doubles) == ({"last": 1}, 1, 1)
    assert not count._assemblies


def test_skipped_files_are_named_and_a_position_outside_the_job_is_nobody() -> None:
    count = tally(jobs=2)
    assert count.answer(answer(0, job=1, skipped=((0, "binary"), (200, "lie"))))
    assert count.skipped == [Skipped("1", "binary")]
