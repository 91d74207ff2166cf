# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The coordinator's loop, with workers that are tasks of this process: the count is exact whatever they do.

What channels and select promise has its laws elsewhere; here they are used together, by one select over orders,
results, progress, exits, a timeout and a signal (row X20).
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from kcoro_core import After, CancelToken, Clause, Triggered
from kcoro_core.demo.chaos import Chaos
from kcoro_core.demo.messages import Answer, Order, Part, Progress, Taken, decode_as, encode
from kcoro_core.demo.worker import Ends

from .local import Behaviour, Died, eager, ledger_of, plant, play


def test_the_count_is_exact_and_every_worker_ends_when_the_channels_close(tmp_path: Path) -> None:
    """Row: X20."""
    expected = plant(tmp_path)
    played = play(ledger_of(tmp_path))
    assert played.tally.words == expected
    assert (played.tally.files, played.tally.skipped) == (12, [])
    assert sum(share.jobs for share in played.tally.shares.values()) == len(played.tally.ledger.jobs) > 2
    assert played.left_waiting == []
    assert (played.tally.ledger.reissued, played.tally.ledger.doubles, played.crew.started) == (0, 0, 2)


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_any_number_of_workers_gives_the_same_count(tmp_path: Path, workers: int) -> None:
    expected = plant(tmp_path)
    played = play(ledger_of(tmp_path), workers=workers)
    assert played.tally.words == expected
    assert played.crew.started == workers


def test_progress_never_goes_back_and_ends_with_everything(tmp_path: Path) -> None:
    plant(tmp_path, words=2000)
    ledger = ledger_of(tmp_path, batch_bytes=10**6)
    states = play(ledger).states
    sizes = [state.size for state in states]
    assert len(ledger.jobs) == 1
    assert sizes == sorted(sizes)
    assert sizes[-1] == states[-1].total_size > 0
    assert len(set(sizes)) == 1 + len(ledger.jobs[0].sources)


@pytest.mark.parametrize("seed", range(8))
def test_chaos_kills_as_planned_and_the_count_is_exact(tmp_path: Path, seed: int) -> None:
    """A job that went with its worker is given out again, and none counts twice."""
    expected = plant(tmp_path)
    ledger = ledger_of(tmp_path, most_issues=20)
    played = play(ledger, chaos=Chaos(seed, 4, messages=len(ledger.jobs)))
    assert played.tally.words == expected
    assert 1 <= len(played.crew.killed) <= 4
    assert len(played.crew.killed) <= played.crew.started <= 2 + len(played.crew.killed)
    ends = [share.end for share in played.tally.shares.values() if share.end]
    assert ends == ["killed by --chaos"] * len(played.crew.killed)


def test_chaos_of_one_seed_kills_the_same(tmp_path: Path) -> None:
    """The plan depends on the seed and on what is heard, not on a clock."""
    plans = []
    for seed in (5, 5, 6, 7, 8):
        chaos = Chaos(seed, 4, messages=20)
        plans.append([chaos.victim(range(9)) for _ in range(100)])
    assert plans[0] == plans[1]
    assert len({tuple(plan) for plan in plans}) > 1
    assert all(plan[0] is not None and len({v for v in plan if v is not None}) == 4 for plan in plans)


async def dies_before_saying_so(worker: int, ends: Ends) -> None:
    """The first worker takes an order and is gone; nobody knows who had it."""
    if worker == 1:
        await ends.jobs.recv()
        return
    await eager(worker, ends)


async def dies_with_an_order(worker: int, ends: Ends) -> None:
    """The first worker says that it has an order, says half of the answer, and is gone."""
    if worker == 1:
        order = decode_as(await ends.jobs.recv(), Order)
        await ends.results.send(encode(Taken(order.job, order.issue, worker)))
        await ends.results.send(encode(Part(order.job, order.issue, worker, 0, {"lost": 1})))
        return
    await eager(worker, ends)


async def answers_everything_twice(worker: int, ends: Ends) -> None:
    class Twice:
        async def send(self, value: bytes) -> None:
            await ends.results.send(value)
            await ends.results.send(value)

    await eager(worker, Ends(ends.jobs, Twice(), ends.progress))


async def falls_silent(worker: int, ends: Ends) -> None:
    """The first worker takes an order and does nothing for ever."""
    if worker == 1:
        order = decode_as(await ends.jobs.recv(), Order)
        await ends.results.send(encode(Taken(order.job, order.issue, worker)))
        await trio.sleep_forever()
    await eager(worker, ends)


async def falls_silent_unseen(worker: int, ends: Ends) -> None:
    """The first worker takes an order, does not even say so, and does nothing for ever."""
    if worker == 1:
        await ends.jobs.recv()
        await trio.sleep_forever()
    await eager(worker, ends)


async def never_comes(worker: int, ends: Ends) -> None:
    """The first two workers never take anything."""
    if worker <= 2:
        await trio.sleep_forever()
    await eager(worker, ends)


async def babbles(worker: int, ends: Ends) -> None:
    """The first worker says what means nothing, or means somebody else's work, and then works."""
    if worker == 1:
        for raw in (b"", b"\xff" * 100, b'["taken",1]', b"[" * 50_000):
            await ends.results.send(raw)
            await ends.progress.send(raw)
        for message in (Taken(77, 77, 77), Progress(99, 99, 99, 10**9), Answer(99, 0, 1, 0, {"lie": 1}, 1, 1, 1.0)):
            await ends.results.send(encode(message))
    await eager(worker, ends)


@pytest.mark.parametrize(
    "behave",
    [
        dies_before_saying_so,
        dies_with_an_order,
        answers_everything_twice,
        falls_silent,
        falls_silent_unseen,
        never_comes,
        babbles,
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_the_count_is_exact_whatever_a_worker_does(tmp_path: Path, behave: Behaviour, workers: int) -> None:
    expected = plant(tmp_path)
    played = play(ledger_of(tmp_path, patience=5.0), behave, workers=workers)
    assert played.tally.words == expected
    assert "lost" not in played.tally.words


@pytest.mark.parametrize("behave", [dies_before_saying_so, dies_with_an_order])
def test_a_dead_workers_job_is_given_out_again_at_once(tmp_path: Path, behave: Behaviour) -> None:
    """Its end is seen, nobody waits for patience."""
    plant(tmp_path)
    played = play(ledger_of(tmp_path, patience=5.0), behave)
    assert played.seconds < 1.0
    assert played.tally.ledger.reissued >= 1


def test_workers_that_answer_before_they_die_are_replaced_for_as_long_as_there_is_work(tmp_path: Path) -> None:
    expected = plant(tmp_path, files=30)

    async def answers_once(worker: int, ends: Ends) -> None:
        class Once:
            taken = 0

            async def recv(self) -> bytes:
                if self.taken:
                    raise Died
                self.taken = 1
                return await ends.jobs.recv()

        await eager(worker, Ends(Once(), ends.results, ends.progress))

    played = play(ledger_of(tmp_path, most_issues=4), answers_once)
    assert played.tally.words == expected
    assert played.crew.started > 20


def test_double_answers_are_counted_as_such(tmp_path: Path) -> None:
    plant(tmp_path)
    played = play(ledger_of(tmp_path), answers_everything_twice, workers=1)
    assert played.tally.ledger.doubles >= len(played.tally.ledger.jobs) - 1


def test_a_worker_that_falls_silent_is_killed_after_patience_and_its_job_given_out_again(tmp_path: Path) -> None:
    """Row: X20 (the timeout is a clause)."""
    plant(tmp_path)
    played = play(ledger_of(tmp_path, patience=5.0), falls_silent)
    assert played.crew.killed == [1]
    # Twice, when the first order was out again, and not claimed yet, as the end of its first holder was seen.
    assert 1 <= played.tally.ledger.reissued <= 2
    assert 5.0 < played.seconds < 6.5
    assert played.tally.shares[1].end == "worker 1 was killed by SIGKILL, since it was silent for 5 s"


def test_messages_that_are_none_are_counted_and_dropped(tmp_path: Path) -> None:
    expected = plant(tmp_path)
    played = play(ledger_of(tmp_path), babbles)
    assert played.tally.malformed >= 5
    assert played.tally.words == expected


def test_workers_that_end_again_and_again_are_given_up_with_their_last_words(tmp_path: Path) -> None:
    plant(tmp_path)

    async def gone(worker: int, ends: Ends) -> None:
        return

    played = play(ledger_of(tmp_path, most_issues=3), gone)
    text = r"^6 workers in a row ended without an answer; the last: worker [56] ended with code 0$"
    assert re.match(text, str(played.failure))
    assert played.crew.started == 2 + 5


def test_a_job_that_kills_every_worker_is_named_and_ends_the_run(tmp_path: Path) -> None:
    plant(tmp_path, files=3)
    (tmp_path / "0" / "poison").write_text("poison")

    async def dies_of_poison(worker: int, ends: Ends) -> None:
        class Tasted:
            async def recv(self) -> bytes:
                raw = await ends.jobs.recv()
                if b"poison" in raw:
                    await ends.results.send(encode(Taken(*_job_and_issue(raw), worker)))
                    raise Died
                return raw

        await eager(worker, Ends(Tasted(), ends.results, ends.progress))

    played = play(ledger_of(tmp_path, batch_bytes=1, most_issues=4), dies_of_poison)
    assert "4 times these files were given out and no answer came" in str(played.failure)
    assert str(tmp_path / "0" / "poison") in str(played.failure)


def test_a_worker_that_never_takes_anything_does_not_hang_the_run(tmp_path: Path) -> None:
    plant(tmp_path)

    async def deaf(worker: int, ends: Ends) -> None:
        await trio.sleep_forever()

    played = play(ledger_of(tmp_path, patience=5.0, most_issues=3), deaf)
    assert "workers in a row ended without an answer" in str(played.failure)
    assert played.seconds < 30


def test_the_stop_clause_wins_over_results_that_are_ready(tmp_path: Path) -> None:
    """Row: X20."""
    plant(tmp_path)

    def at_once() -> Clause:
        token = CancelToken()
        token.trigger(signal.SIGINT)
        return Triggered(token)

    played = play(ledger_of(tmp_path), stop=at_once)
    assert played.stopped_by == signal.SIGINT
    assert played.tally.ledger.answered == 0
    assert played.left_waiting == []


def test_the_stop_clause_ends_a_run_in_which_nothing_happens(tmp_path: Path) -> None:
    plant(tmp_path)

    class Later(After):
        def _result(self) -> int:
            return 15

    async def deaf(worker: int, ends: Ends) -> None:
        await trio.sleep_forever()

    later = Later(0.1)
    played = play(ledger_of(tmp_path), deaf, stop=lambda: later)
    assert played.stopped_by == 15
    assert 0.1 <= played.seconds < 0.3


def test_time_in_which_the_coordinator_did_not_run_is_nobodys_silence(tmp_path: Path) -> None:
    expected = plant(tmp_path)

    async def sleeps_with_an_order(worker: int, ends: Ends) -> None:
        """The machine sleeps for an hour, and wakes with the clock an hour later; then the worker works on."""

        class Slow:
            async def recv(self) -> bytes:
                raw = await ends.jobs.recv()
                await ends.results.send(encode(Taken(*_job_and_issue(raw), worker)))
                await trio.sleep(1.0)
                clock = trio.lowlevel.current_clock()
                assert isinstance(clock, MockClock)
                clock.jump(3600)
                await trio.sleep(2.0)
                return raw

        await eager(worker, Ends(Slow(), ends.results, ends.progress))

    played = play(ledger_of(tmp_path, batch_bytes=10**6, patience=5.0), sleeps_with_an_order, workers=1)
    assert played.seconds > 3600
    assert (played.crew.killed, played.tally.ledger.reissued) == ([], 0)
    assert played.tally.words == expected


def _job_and_issue(raw: bytes) -> tuple[int, int]:
    order = decode_as(raw, Order)
    return order.job, order.issue
