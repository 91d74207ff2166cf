# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The coroutines of the native engine beyond the laws: what a private stack forbids, and how a process ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import Coroutine, WrongState, plugins, sleep
from kcoro_native import _native
from kcoro_native.coroutine import coroutine_factory
from kcoro_native.stackful import stackful, wait

from .stacking import MOST_BYTES, native_run

STATUS = Path("/proc/self/statm")
PAGE_BYTES = 4096


@pytest.fixture(autouse=True)
def made_by_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coroutines are of this engine, whatever the environment says."""
    monkeypatch.setattr(plugins, "coroutine", lambda: plugins.engine("native").coroutine)


def test_it_is_switched_in_c() -> None:
    """Rows: C1, C4."""
    made = Coroutine(len, "four")
    assert isinstance(made, _native.Coroutine)
    assert coroutine_factory().switcher == _native.compiled()["switcher"] != "none"


def test_nothing_yields_in_a_finalizer_or_in_a_function_that_traces() -> None:
    refused: list[str] = []

    def yields(*event: Any) -> None:
        sys.setprofile(None)
        try:
            Coroutine.yield_()
        except RuntimeError as error:
            refused.append(str(error))

    class Yields:
        __del__ = yields

    def body() -> str:
        thing = Yields()
        del thing
        sys.setprofile(yields)
        len("")
        return "went on"

    Yields.__del__.__code__ = Yields.__del__.__code__.replace(co_name="__del__")
    assert Coroutine(body).resume() == "went on"
    assert len(refused) == 2
    assert "a finalizer" in refused[0]


def test_wait_is_not_for_coroutines() -> None:
    """Inside of a stackful function as well: it would leave the stack of whoever resumed."""

    def work() -> int:
        co = Coroutine(wait, sleep(1))
        with pytest.raises(RuntimeError, match="wait"):
            co.resume()
        wait(sleep(1))
        return 1

    async def main() -> int:
        return await stackful(work)()

    assert native_run(main) == 1


def test_a_stackful_function_does_not_yield_for_the_coroutine_that_runs_its_loop() -> None:
    """It has another stack, which that coroutine does not own; those that it resumes itself yield as ever."""

    def work() -> int:
        assert Coroutine.current() is None
        for refused in (Coroutine.yield_, Coroutine.park, lambda: Coroutine.yield_to(Coroutine(wait))):
            with pytest.raises(WrongState, match="none runs in this thread"):
                refused()
        return Coroutine(Coroutine.yield_, 1).resume() + wait(stackful(lambda: 2)())

    def body() -> int:
        me = Coroutine.current()
        got = native_run(stackful(work))
        assert Coroutine.current() is me
        return Coroutine.yield_(got)

    co = Coroutine(body)
    assert co.resume() == 3
    assert co.resume(4) == 4


def test_the_frame_of_one_that_waits_can_be_looked_at() -> None:
    """And that of one that does not is None."""

    def body() -> None:
        local = "seen"
        sorted([1], key=lambda _: Coroutine.yield_(local))

    co: Any = Coroutine(body)
    assert co.frame is None
    co.resume()
    names = []
    frame = co.frame
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    if names[0] == "yield_":  # with another engine in the process it asks in Python whose coroutine runs
        del names[0]
    assert names == ["<lambda>", "body"]
    co.destroy()
    assert co.frame is None


def test_a_name_that_no_utf8_can_say_is_a_name_all_the_same() -> None:
    """As a file name of the system may be, half of a surrogate: it begins, and is told by it. Row: C1."""
    co = Coroutine(Coroutine.yield_, 1, name="half \ud800")
    assert co.resume() == 1
    assert "half \\ud800" in repr(co)
    co.destroy()

    def work() -> int:
        wait(sleep(0))
        return 1

    work.__qualname__ = "half \ud800"
    assert native_run(stackful(work)) == 1


@pytest.mark.skipif(not STATUS.exists(), reason="there is no /proc to read the memory of this process from")
def test_ten_thousand_wait_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """One page of stack each, and the object. Row: C10."""

    def resident() -> int:
        return int(STATUS.read_text().split()[1]) * PAGE_BYTES

    make = coroutine_factory()
    yields = make.yield_
    crowd = [make(yields, (), None) for _ in range(100)]
    for co in crowd:
        co.resume()
    gc.collect()
    before = resident()
    crowd = [make(yields, (), None) for _ in range(10_000)]
    for co in crowd:
        co.resume()
    each = (resident() - before) / 10_000
    for co in crowd:
        co.destroy()
    with capsys.disabled():
        print(f"\nbytes of memory for each coroutine of Python that waits: {each:.0f}")  # noqa: T201 - a figure
    assert each <= MOST_BYTES


ENDS = """
import threading
from kcoro_core import Coroutine

def body(name):
    try:
        Coroutine.yield_()
    finally:
        print("cleans up", name)

def clings():
    try:
        Coroutine.yield_()
    finally:
        Coroutine.yield_()

kept = [Coroutine(body, number) for number in range(3)] + [Coroutine(clings)]
for co in kept:
    co.resume()
elsewhere = Coroutine(body, "elsewhere")
thread = threading.Thread(target=elsewhere.resume)
thread.start()
thread.join()
"""


def test_a_process_that_ends_ends_those_that_wait() -> None:
    """In the main thread; what clings is told, what belonged to another thread stays as it is. Row: C6."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", ENDS],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KCORO_ENGINE": "native"},
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["cleans up 0", "cleans up 1", "cleans up 2"]
    assert "went on after CoroutineExit" in done.stderr
