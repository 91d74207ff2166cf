# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the script host adds to the port: seeds, virtual time, deadlocks by name, and runs that always end."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core import (
    CancelToken,
    Recv,
    Send,
    channel,
    open_scope,
    portal,
    run,
    select,
    sleep,
)
from kcoro_core.errors import DeadlineExceeded, WrongLoop
from kcoro_core.hosts.port import here
from kcoro_core.hosts.script import MAX_STEPS, Deadlock, ScriptHost, StepLimit, factory
from kcoro_core.hosts.script_run import SLOWEST_STEP
from kcoro_core.reference.waiter import Operation


async def race(log: list[str]) -> None:
    """Three tasks whose interleaving depends on the seed."""

    async def runner(name: str) -> None:
        for _ in range(3):
            log.append(name)
            await sleep(0)

    async with open_scope() as scope:
        for name in "abc":
            scope.launch(runner, name)


def interleaving(seed: int) -> tuple[str, str]:
    """What happened under a seed, and its trace hash."""
    host, log = ScriptHost(seed=seed), list[str]()
    host.run(race, log)
    return "".join(log), host.trace_hash()


# -- seeds


def test_a_seed_decides_the_whole_run() -> None:
    """The same seed gives the same interleaving and trace; different interleavings have different traces. Row: X10."""
    runs = [interleaving(seed) for seed in range(50)]
    assert runs == [interleaving(seed) for seed in range(50)]
    assert len({log for log, _ in runs}) > 25
    assert len({log for log, _ in runs}) <= len({trace for _, trace in runs})


def test_the_trace_tells_who_waited_who_was_claimed_and_when_time_passed() -> None:
    """Each entry is an event, the number of a task, and a detail. Row: X10."""

    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            await channel().recv(timeout=3)

    host = ScriptHost()
    host.run(main)
    assert host.trace == [
        ("start", 1, 0),
        ("park", 1, 0),
        ("timers", 0, 3.0),
        ("unpark", 1, -3),
        ("resume", 1, -3),
        ("end", 1, False),
    ]
    assert host.steps == 2


def test_run_by_name_takes_main_arguments_and_result() -> None:
    """``run(main, host="script")`` is the same host; its clock cannot be replaced. Row: X10."""

    async def main(value: int) -> int:
        await sleep(1)
        return value + 1

    assert run(main, 1, host="script") == 2
    assert run(main, 1, host="script", strict_checkpoints=True) == 2
    with pytest.raises(ValueError, match="leave clock out"):
        run(main, 1, host="script", clock=object())


# -- virtual time


def test_an_hour_takes_no_time_and_is_exact() -> None:
    """Time stands still while tasks run and jumps to the next timer when none can. Row: X10."""

    async def main() -> list[float]:
        host, seen = here.host, list[float]()
        assert host is not None
        for seconds in (3600, 0.25, 0, 86400):
            await sleep(seconds)
            seen.append(host.now())
        return seen

    assert run(main, host="script") == [3600, 3600.25, 3600.25, 90000.25]  # or the test has run out of time


def test_an_hour_with_four_hundred_waiters_costs_no_step() -> None:
    """Waiting for ever, with a deadline, a token or a select: nobody is woken until the hour is over. Row: SC6."""

    async def main() -> int:
        host, token, quiet = here.host, CancelToken(), channel()
        assert isinstance(host, ScriptHost)
        async with open_scope() as scope:
            for _ in range(100):
                scope.launch(quiet.recv)
                scope.launch(quiet.recv, 7200)
                scope.launch(quiet.recv, None, token)
                scope.launch(select, Recv(quiet), Recv(channel()))
            await sleep(1)
            before = host.steps
            await sleep(3600)
            woken = host.steps - before
            scope.cancel()
        return woken

    assert run(main, host="script") == 1  # the step of main itself


def test_in_a_hurry_time_passes_while_tasks_run() -> None:
    """With ``hurry`` a deadline may come before a partner that is runnable; later ones than a minute never do."""

    async def main(timeout: float) -> str:
        ch = channel()
        async with open_scope() as scope:
            scope.launch(ch.send, 1)
            try:
                await ch.recv(timeout=timeout)
            except DeadlineExceeded:
                scope.cancel()
                return "late"
        return "in time"

    def outcomes(timeout: float, hurry: float) -> set[str]:
        return {ScriptHost(seed=seed, hurry=hurry).run(main, timeout) for seed in range(40)}

    assert outcomes(1, hurry=0) == {"in time"}
    assert outcomes(1, hurry=0.5) == {"in time", "late"}
    assert outcomes(SLOWEST_STEP * 2, hurry=0.5) == {"in time"}


def test_a_timer_that_is_due_fires_although_tasks_run() -> None:
    """A task that only yields does not hold up a timer of this instant. Row: SC12."""

    async def main() -> int:
        host, fired, turns = here.host, list[int](), 0
        assert host is not None
        host.call_at(host.now(), lambda: fired.append(1))
        while not fired:
            await sleep(0)
            turns += 1
        return turns

    assert run(main, host="script") == 1


# -- the end


def test_a_deadlock_names_every_task_and_what_it_waits_for() -> None:
    """Channel operations, selects, children and bare parks are told with the line of the program. Rows: C8, X19."""

    async def main() -> None:
        jobs, results = channel(name="jobs"), channel(name="results")

        async def worker() -> None:
            await results.send(await jobs.recv())

        async def chooser() -> None:
            await select(Recv(results), Send(results, 1))

        async with open_scope() as scope:
            scope.launch(worker, name="worker")
            scope.launch(chooser, name="chooser")

    with pytest.raises(Deadlock) as caught:
        run(main, host="script")
    first, worker, chooser = caught.value.tasks
    assert "task 1 " in first
    assert "waits for 2 children of its nursery to end" in first
    assert "'worker' waits in recv() of <Channel 'jobs' RENDEZVOUS 0" in worker
    assert f"{__file__}:" in worker
    assert "worker()" in worker
    assert "'chooser' waits in " in chooser
    assert "Recv(<Channel 'results' RENDEZVOUS 0" in chooser
    assert str(caught.value).startswith("deadlock: every task waits, and nothing can wake any of them\n")


def test_after_a_deadlock_everything_is_cancelled_and_has_ended() -> None:
    """Finally blocks run, may wait in a shield, and their errors are noted. Row: SC7."""
    log: list[str] = []

    async def main() -> None:
        try:
            await channel().recv()
        finally:
            with here.host.open_cancel_scope(shield=True):  # type: ignore[union-attr]
                await sleep(5)
            log.append("closed")
            raise LookupError("on the way out")

    with pytest.raises(Deadlock) as caught:
        run(main, host="script")
    assert log == ["closed"]
    assert "LookupError('on the way out')" in caught.value.__notes__[0]


def test_a_task_that_refuses_to_be_cancelled_is_closed() -> None:
    """A wait in a shield that nobody can end is closed in the end: its finally blocks run. Row: SC7."""
    log: list[str] = []

    async def main() -> None:
        try:
            with here.host.open_cancel_scope(shield=True):  # type: ignore[union-attr]
                await channel().recv()
        finally:
            log.append("closed")

    with pytest.raises(Deadlock):
        run(main, host="script")
    assert log == ["closed"]


def test_a_run_without_end_stops_at_the_step_limit() -> None:
    """A spinning program ends with StepLimit, which names its tasks; everything was cancelled. Row: SC7."""
    log: list[str] = []

    async def main() -> None:
        try:
            while True:
                await sleep(0)
        finally:
            log.append("closed")

    with pytest.raises(StepLimit, match="did not end within 500 steps") as caught:
        ScriptHost(max_steps=500).run(main)
    assert "main()" in caught.value.tasks[0]
    assert log == ["closed"]
    assert MAX_STEPS >= 1_000_000


def test_a_run_that_ignores_its_limit_is_closed() -> None:
    """A task that swallows every cancellation is closed after as many steps again. Row: SC7."""

    async def main() -> None:
        while True:
            try:
                await sleep(0)
            except Exception:
                raise
            except BaseException as error:
                if isinstance(error, GeneratorExit):
                    raise

    host = ScriptHost(max_steps=50)
    with pytest.raises(StepLimit):
        host.run(main)
    assert host.steps <= 102


def test_an_error_of_main_leaves_unchanged() -> None:
    """Neither wrapped nor replaced, also when children are still to be ended. Row: K4."""
    error = LookupError("mine")

    async def main() -> None:
        here.host.spawn(channel().recv)  # type: ignore[union-attr]
        raise error

    with pytest.raises(LookupError) as caught:
        run(main, host="script")
    assert caught.value is error


def test_an_interrupt_ends_the_run_and_closes_its_tasks() -> None:
    """KeyboardInterrupt from a callback leaves the run; the coroutines are closed. Row: SC7."""
    log: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        assert here.host is not None
        here.host.call_at(1, interrupt)
        try:
            await sleep(2)
        finally:
            log.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run(main, host="script")
    assert log == ["closed"]
    assert here.host is None


def test_a_run_leaves_nothing_behind() -> None:
    """When a run is over, its tasks and channels are garbage, without a collection of cycles. Row: SC7."""
    alive: list[weakref.ref[Any]] = []

    async def main() -> None:
        ch = channel()
        alive.append(weakref.ref(ch))
        async with open_scope() as scope:
            scope.launch(ch.send, 1)
            await ch.recv()

    gc.disable()
    try:
        run(main, host="script")
        assert alive[0]() is None
    finally:
        gc.enable()


def test_a_host_runs_once_and_not_inside_another_run() -> None:
    """A second run, or one inside a run, is refused and says what to do. Row: CH14."""

    async def nothing() -> None: ...

    async def nested() -> None:
        with pytest.raises(WrongLoop, match="running in this thread already"):
            factory.run(nothing)

    host = ScriptHost()
    host.run(nested)
    with pytest.raises(RuntimeError, match="make another one"):
        host.run(nothing)


# -- from outside


def test_a_call_before_a_step_happens_exactly_there() -> None:
    """``at_step`` disturbs a run at a chosen step, outside any task. Row: X19."""

    def closed_after(step: int) -> int:
        host, ch, received = ScriptHost(quantum=0), channel(), list[int]()

        async def main() -> None:
            async with open_scope() as scope:

                async def producer() -> None:
                    for i in range(10):
                        await ch.send(i)

                async def consumer() -> None:
                    received.extend([i async for i in ch])

                scope.launch(consumer)
                with pytest.raises(Exception, match="closed"):
                    await producer()

        host.at_step(step, ch.close)
        host.run(main)
        return len(received)

    counts = [closed_after(step) for step in range(2, 12)]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3


def test_a_thread_can_use_a_portal_into_a_quiet_run() -> None:
    """Before it speaks of a deadlock, the host hears the threads that the program has started. Row: CH14."""

    async def main() -> int:
        ch, door = channel(), portal()
        thread = threading.Thread(target=lambda: door.send(ch, 42))
        thread.start()
        value = await ch.recv()
        thread.join()
        return int(value)

    assert run(main, host="script") == 42


def test_who_calls_in_too_late_is_told() -> None:
    """A call that was accepted in the last moment fails with WrongLoop instead of hanging. Row: CH14."""
    told: list[Callable[[], Any]] = []

    async def main() -> None:
        host = here.host
        assert host is not None

        def late() -> None:
            with pytest.raises(WrongLoop):
                host.spawn(sleep, 1)
            told.append(late)

        host.call_from_thread(late)

    run(main, host="script")
    assert len(told) == 1


def test_a_signal_that_nobody_has_asked_for_is_an_error_of_the_script() -> None:
    """A real one would have ended the process. Row: SE4."""
    with pytest.raises(RuntimeError, match="nobody in this run"):
        ScriptHost().send_signal(2)


def test_a_descriptor_stays_ready_until_the_script_says_otherwise() -> None:
    """Readiness is a level; a callback that is due is dropped when it is gone before the next step. Row: SE4."""

    async def main() -> list[str]:
        host, called = here.host, list[str]()
        assert isinstance(host, ScriptHost)
        host.set_readable(5)
        host.wait_fd(5, 1, lambda: called.append("first"))
        await sleep(0)
        host.wait_fd(5, 1, lambda: called.append("second"))
        host.set_readable(5, ready=False)
        await sleep(0)
        host.set_writable(5)
        await sleep(0)
        assert not host.fd_ready(5, 1)
        assert host.fd_ready(5, 2)
        return called

    assert run(main, host="script") == ["first"]


def test_an_operation_that_was_decided_before_its_owner_parks_does_not_wait() -> None:
    """A wake-up that comes before the park is not lost. Row: C5."""

    async def main() -> object:
        host = here.host
        assert host is not None
        op = Operation(host)
        op.complete("early")
        await host.park(op)
        return op.value

    assert run(main, host="script") == "early"
