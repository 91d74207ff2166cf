# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One sample of the suite ``stackful``: python stackful_programs.py WHO WHAT COUNT prints nanoseconds of the processor.

WHO is ``kcoro`` or ``greenlet``. Both do the same: a function with a stack of its own is resumed, hands a value back,
and is resumed again; or is made, runs to its end, and is let go.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

DEPTH = 5
"""Callbacks of C that lie between the function and where it yields."""


def below(depth: int, yields: Callable[[], None]) -> None:
    """Call it from below so many sorts."""

    def key(_: int) -> int:
        below(depth - 1, yields)
        return 0

    if depth:
        sorted((1,), key=key)
    else:
        yields()


Way = tuple[Callable[..., Callable[[], Any]], Callable[[], Any]]
"""What makes one, giving what resumes it; and what gives, to one that runs, the call by which it yields."""


def of_kcoro() -> Way:
    """A program that keeps the call: ``yield_ = Coroutine.current().yield_``."""
    from kcoro_core import Coroutine

    return lambda fn, *args: Coroutine(fn, *args).resume, lambda: Coroutine.current().yield_


def of_anybody() -> Way:
    """The same, by the call that is about whoever runs."""
    from kcoro_core import Coroutine

    return lambda fn, *args: Coroutine(fn, *args).resume, lambda: Coroutine.yield_


def of_greenlet() -> Way:
    """The same of greenlet."""
    import greenlet

    outside = greenlet.getcurrent()

    def make(fn: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        made = greenlet.greenlet(fn)
        started = False

        def resume() -> Any:
            nonlocal started
            if started:
                return made.switch()
            started = True
            return made.switch(*args)

        resume()  # the first one has the arguments; what is timed below is the switch itself
        return made.switch

    return make, lambda: outside.switch


def switches(make: Callable[..., Callable[[], Any]], giving: Callable[[], Any], count: int, depth: int) -> float:
    """Seconds of the processor for so many resumptions of one that yields each time."""

    def yields() -> None:
        give = giving()
        for _ in range(count + 2):
            give(None)

    resume = make(below, depth, yields)
    resume()
    began = time.process_time()
    for _ in range(count):
        resume()
    return time.process_time() - began


def lives_of_kcoro(count: int) -> float:
    """Seconds for so many that are made, run and end."""
    from kcoro_core import Coroutine

    began = time.process_time()
    for _ in range(count):
        Coroutine(nothing).resume()
    return time.process_time() - began


def lives_of_greenlet(count: int) -> float:
    """The same of greenlet."""
    import greenlet

    began = time.process_time()
    for _ in range(count):
        greenlet.greenlet(nothing).switch()
    return time.process_time() - began


def nothing() -> None:
    """A body that ends at once."""


def main(who: str, what: str, count: int) -> float:
    """Seconds for all."""
    if what == "lives":
        return {"kcoro": lives_of_kcoro, "greenlet": lives_of_greenlet}[who](count)
    ours = of_anybody if what == "static" else of_kcoro
    made = {"kcoro": ours, "greenlet": of_greenlet}[who]()
    return switches(*made, count, DEPTH if what == "deep" else 0)


if __name__ == "__main__":
    times = int(sys.argv[3])
    sys.stdout.write(f"{main(sys.argv[1], sys.argv[2], times) / times * 1e9}\n")
