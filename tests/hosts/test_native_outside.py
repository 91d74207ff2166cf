# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the native host promises towards the world outside of its loop: threads, signals, and other processes."""

from __future__ import annotations

import contextvars
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from kcoro_core import (
    channel,
    run,
    sleep,
)
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.script import Deadlock
from kcoro_native import _native
from kcoro_native.threads import MOST_THREADS, to_thread

# -- calls that block


def test_a_call_in_a_thread_gives_its_result_and_its_error() -> None:
    """Other tasks run meanwhile; context variables are seen, and what the call sets stays its own."""
    var = contextvars.ContextVar("var", default="none")
    ticked = threading.Event()

    def blocking(text: str) -> str:
        assert ticked.wait(50)
        if text == "fail":
            raise LookupError(threading.current_thread() is threading.main_thread())
        seen = var.get()
        var.set("changed in the thread")
        return f"{text} {seen}"

    async def main() -> list[Any]:
        var.set("mine")
        ticks = 0
        async with current_host().open_nursery() as nursery:

            async def tick() -> None:
                nonlocal ticks
                while True:
                    ticks += 1
                    if ticks > 3:
                        ticked.set()
                    await sleep(0.001)

            nursery.start_soon(tick)
            result = await to_thread(blocking, "done")
            ticked.clear()
            with pytest.raises(LookupError, match="False"):
                await to_thread(blocking, "fail")
            nursery.cancel_scope.cancel()
        return [result, var.get()]

    assert run(main, host="native") == ["done mine", "mine"]


def test_a_call_that_has_begun_is_waited_for_whatever_is_cancelled() -> None:
    """Its effect is never left behind unseen; the cancellation is met afterwards."""
    log: list[str] = []
    begun, cancelled = threading.Event(), threading.Event()

    def blocking() -> None:
        begun.set()
        assert cancelled.wait(50)
        log.append("the call ended")

    async def main() -> bool:
        host = current_host()
        with host.open_cancel_scope() as scope:

            def cancel_within() -> None:
                assert begun.wait(50)
                scope.cancel()
                cancelled.set()

            host.call_at(host.now() + 0.01, cancel_within)
            await to_thread(blocking)
            log.append("so did the wait")
            await host.cancel_point()
            log.append("not reached")
        return scope.cancelled_caught

    assert run(main, host="native")
    assert log == ["the call ended", "so did the wait"]


def test_more_calls_than_threads_take_turns() -> None:
    """No more than MOST_THREADS run at once, and all are done."""
    running, most, lock = 0, 0, threading.Lock()

    def blocking() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    async def main() -> None:
        async with current_host().open_nursery() as nursery:
            for _ in range(3 * MOST_THREADS):
                nursery.start_soon(to_thread, blocking)

    run(main, host="native")
    assert 1 < most <= MOST_THREADS


def test_idle_threads_of_the_pool_hide_no_deadlock() -> None:
    """They could wake nobody."""

    async def main() -> None:
        await to_thread(int)
        await channel().recv()

    with pytest.raises(Deadlock):
        run(main, host="native")


# -- signals


def interrupt_soon() -> None:
    """Ctrl-C in a moment, from another thread, as a terminal would send it; a busy machine has to wait by then."""
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()


def test_ctrl_c_reaches_the_main_task_where_it_waits() -> None:
    """It is raised there once; the task may handle it, and the old handler is back afterwards."""

    async def main() -> str:
        try:
            interrupt_soon()
            await channel().recv()
        except KeyboardInterrupt:
            return "handled"
        return "?"

    assert run(main, host="native") == "handled"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_leaves_a_task_that_never_waits() -> None:
    """Code of the program is interrupted at once, as in any Python program."""

    async def main() -> None:
        interrupt_soon()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pass

    with pytest.raises(KeyboardInterrupt):
        run(main, host="native")


def test_ctrl_c_while_the_main_task_waits_for_children_cancels_them() -> None:
    """The children end first, and the interrupt leaves together with what they raised."""
    ended: list[str] = []

    async def child() -> None:
        try:
            await sleep(60)
        finally:
            ended.append("child")

    async def main() -> None:
        interrupt_soon()
        async with current_host().open_nursery() as nursery:
            nursery.start_soon(child)

    with pytest.RaisesGroup(KeyboardInterrupt):
        run(main, host="native")
    assert ended == ["child"]


# -- other processes

FORKS = """
import os, sys, kcoro_core as k

async def main():
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        print("child exited with", os.waitstatus_to_exitcode(status))
        await k.sleep(0.001)
        print("parent goes on")
        return
    try:
        await k.sleep(1)
    except RuntimeError as error:
        print(error, flush=True)
        os._exit(7)

k.run(main, host="native")
"""


def test_a_fork_inside_a_run_is_told_so_in_the_child() -> None:
    """The child gets an error that says what to do; the parent's loop is untouched."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert "forked inside a running loop" in done.stdout, done
    assert done.stdout.splitlines()[-2:] == ["child exited with 7", "parent goes on"]


# -- what it says of itself


def test_doctor_says_what_a_native_loop_waits_with() -> None:
    """The engine, its compiled parts, and the poller that a loop of this process really has. Row: CF5."""
    env = os.environ | {"KCORO_ENGINE": "native"}
    doctor = [sys.executable, "-m", "kcoro_core", "doctor"]
    told = json.loads(subprocess.run([*doctor, "--json"], env=env, capture_output=True, text=True, check=False).stdout)
    compiled = _native.compiled()["pollers"]
    assert told["engine"] == {"name": "native", "why": "named by KCORO_ENGINE or the configuration"}
    assert told["compiled"]["native"]["pollers"] == compiled
    assert told["pollers"]["native"] == {
        "name": _native.Loop()._poller,
        "why": f"the first of {', '.join(compiled)} that this system gives",
    }
    assert _native.Loop()._poller in compiled
    lines = subprocess.run(doctor, env=env, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line for line in lines if line.startswith(f"poller        native: {_native.Loop()._poller} (the first of ")]
