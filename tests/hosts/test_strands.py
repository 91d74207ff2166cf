# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the coroutines of the reference engine do with their threads, beside the laws of all engines. Rows: C1, C5."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core import Coroutine, CoroutineExit, CoroutineState, WrongState, plugins
from kcoro_core.hosts import strands
from kcoro_core.hosts.strands import StrandCoroutine
from kcoro_core.reference.coroutine import Here

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork and signals of POSIX")


def make(fn: Callable[..., Any], *args: Any) -> StrandCoroutine:
    """A coroutine of the reference engine, whichever is the default."""
    co = plugins.engine("reference").coroutine
    assert co is not None
    made = co(fn, args, None)
    assert isinstance(made, StrandCoroutine)
    return made


def program(source: str, *, limit: float = 30) -> subprocess.CompletedProcess[str]:
    """Run a program on the reference engine."""
    preamble = "import sys, threading\nfrom kcoro_core import Coroutine, CoroutineExit\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", preamble + source],
        env={**os.environ, "KCORO_ENGINE": "reference"},
        capture_output=True,
        text=True,
        timeout=limit,
    )


def waits(log: list[str]) -> None:
    try:
        Coroutine.yield_()
    finally:
        log.append("cleans up")


# -- threads


def test_a_thread_is_there_from_the_first_resume_to_the_end() -> None:
    """None for one that has not begun, and none for one that has ended. Row: C1."""
    crowd = [make(waits, []) for _ in range(5)]
    names = {f"kcoro coroutine {co.id} {co.name}" for co in crowd}

    def count() -> int:
        return len([thread for thread in threading.enumerate() if thread.name in names])

    assert count() == 0
    for co in crowd:
        co.resume()
    assert count() == 5
    for co in crowd:
        co.destroy()
    assert count() == 0


def test_its_thread_bears_its_name_and_keeps_no_process_alive() -> None:
    """So that a debugger, or a dump of all threads, says whose it is. Row: C8."""
    co = make(threading.current_thread)
    thread = co.resume()
    assert thread.name == f"kcoro coroutine {co.id} {co.name}"
    assert thread.daemon


def test_a_thread_that_cannot_be_started_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error reaches the resume, and the same coroutine can be begun later. Row: C5."""

    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    co = make(len, "abc")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            co.resume()
    assert co.state is CoroutineState.CREATED
    assert co.resume() == 3


def test_waiting_uses_no_processor() -> None:
    """Neither who waits in a coroutine nor who has resumed one. Row: SC6."""
    done = program(
        "import time\n"
        "crowd = [Coroutine(Coroutine.park) for _ in range(20)]\n"
        "[co.resume() for co in crowd]\n"
        "started = time.process_time()\n"
        "Coroutine(time.sleep, 0.3).resume()\n"
        "print(time.process_time() - started < 0.1)\n"
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


# -- ends


def test_what_still_waits_at_the_end_of_the_interpreter_is_destroyed() -> None:
    """Its ``finally`` blocks run, and the process ends at once. Row: C1."""
    done = program(
        "def body(name):\n"
        "    try:\n"
        "        Coroutine.park()\n"
        "    finally:\n"
        "        print(name, 'cleans up')\n"
        "crowd = [Coroutine(body, name) for name in 'ab']\n"
        "[co.resume() for co in crowd]\n"
        "thread = threading.Thread(target=lambda: crowd.append(Coroutine(body, 'c')) or crowd[-1].resume())\n"
        "thread.start(); thread.join()\n"
        "print('ends')\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("ends\na cleans up\nb cleans up\nc cleans up\n", "", 0)


def test_one_that_clings_at_the_end_of_the_interpreter_is_reported_and_left() -> None:
    """The process ends all the same. Row: C6."""
    done = program(
        "def body():\n"
        "    while True:\n"
        "        try:\n"
        "            Coroutine.yield_()\n"
        "        except CoroutineExit:\n"
        "            print('clings')\n"
        "co = Coroutine(body)\n"
        "co.resume()\n"
    )
    assert (done.stdout, done.returncode) == ("clings\n", 0)
    assert "went on after CoroutineExit" in done.stderr


def test_none_is_made_any_more_when_the_interpreter_ends() -> None:
    """A thread could not be started then, and nobody would end it. Row: C1."""
    done = program(
        "import atexit\n"
        "def late():\n"
        "    try:\n"
        "        Coroutine(len, 'abc')\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n"
        "import kcoro_core.hosts.strands as strands\n"
        "atexit.unregister(strands._end_the_rest)\n"
        "atexit.register(late)\n"
        "atexit.register(strands._end_the_rest)\n"
    )
    assert (done.stdout, done.stderr) == ("the interpreter is ending: no coroutine can be made any more\n", "")


def test_one_whose_thread_has_ended_can_be_destroyed_by_any_other() -> None:
    """Its ``finally`` blocks run, in the order in which it would have gone on. Row: C5."""
    log: list[str] = []
    co = make(waits, log)
    thread = threading.Thread(target=co.resume)
    thread.start()
    thread.join()
    co.destroy()
    assert (log, co.state) == (["cleans up"], CoroutineState.FINISHED)


# -- signals


@POSIX
def test_a_signal_that_raises_raises_in_the_body_that_runs() -> None:
    """Ctrl-C ends a body without an end, though it runs in another thread than the main one. Row: C6."""
    done = program(
        "import os, signal\n"
        "timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))\n"
        "def body():\n"
        "    try:\n"
        "        timer.start()\n"
        "        while True:\n"
        "            pass\n"
        "    finally:\n"
        "        print('cleans up')\n"
        "try:\n"
        "    Coroutine(body).resume()\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
        "timer.join()\n"
        "print(threading.active_count())\n"
    )
    assert (done.stdout, done.stderr) == ("cleans up\ninterrupted\n1\n", "")


@POSIX
def test_a_signal_handler_may_unpark_and_must_not_switch() -> None:
    """While a coroutine runs, its resumer's thread is not at rest: it only looks so. Row: C5."""
    log: list[object] = []
    main = threading.get_ident()
    parked = make(Coroutine.park)
    parked.resume()
    seen: list[str] = []
    kept = [make(waits, seen)]
    kept[0].resume()

    def handler(*_: object) -> None:
        kept.clear()
        log.append(parked.unpark())
        log.append(Coroutine.current())
        try:
            parked.resume()
        except WrongState as error:
            log.append("signal handler" in str(error))

    def body() -> str:
        deadline = time.monotonic() + 20
        while len(log) < 3 and time.monotonic() < deadline:
            # To the thread that waits, and again: one that came just before it began to would not wake it.
            signal.pthread_kill(main, signal.SIGUSR1)
            time.sleep(0)
        return "went on"

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        assert make(body).resume() == "went on"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log[:3] == [True, None, True]
    assert seen == ["cleans up"]  # what the handler has dropped, once it could be
    parked.destroy()


@POSIX
def test_a_signal_handler_between_two_stacks_does_not_switch() -> None:
    """One that runs when a coroutine has just come back finds a switch that is not over. Row: C5."""
    log: list[object] = []
    parked = make(Coroutine.park)
    parked.resume()
    parked.unpark()

    def handler(*_: object) -> None:
        with pytest.raises(WrongState, match="signal handler"):
            parked.resume()
        log.append("was refused")

    def body() -> str:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # the main thread sees it when it goes on
        return "result"

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        assert make(body).resume() == "result"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log == ["was refused"]
    parked.destroy()


# -- fork


@POSIX
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_in_the_child_of_a_fork_all_that_had_begun_are_finished() -> None:
    """Their threads stayed with the parent; those that had not begun can be, and nothing hangs. Row: C5."""
    begun, fresh = make(waits, []), make(len, "abc")
    begun.resume()
    child = os.fork()
    if child == 0:
        good = begun.state is CoroutineState.FINISHED and fresh.resume() == 3
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert begun.state is CoroutineState.SUSPENDED
    begun.destroy()


# -- the collector in the middle of a switch


@pytest.mark.parametrize(("owner", "step"), [(Here, "depart"), (strands._Baton, "give")])
def test_one_that_the_collector_finds_during_a_switch_is_destroyed_behind_it(
    monkeypatch: pytest.MonkeyPatch, owner: Any, step: str
) -> None:
    """A switch inside of a switch would lose what the first one carries. Rows: C5, C6."""
    log: list[str] = []
    kept: list[Any] = []
    whole = getattr(owner, step)

    def collect_first(self: Any, *args: Any) -> Any:
        kept.clear()  # as the collector might, at any call
        return whole(self, *args)

    co = make(lambda: Coroutine.yield_(list(log)))
    kept.append(make(waits, log))
    kept[0].resume()
    monkeypatch.setattr(owner, step, collect_first)
    assert co.resume() in ([], ["cleans up"])
    assert log == ["cleans up"]
    assert co.resume("given") == "given"


def test_exits_are_no_exceptions_that_a_body_swallows_by_mistake() -> None:
    """``except Exception`` leaves CoroutineExit alone. Row: C6."""
    assert not issubclass(CoroutineExit, Exception)
