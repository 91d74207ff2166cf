# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 13: nothing stays behind. Descriptors, threads, memory and the caller's own objects are given back."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any, Final

from ...transport import Capability, TransportInfo
from .bench import Bench, check, error_of, numbered
from .case import case

DESCRIPTORS: Final = "/proc/self/fd"
MOST_BYTES: Final = 600_000
"""What the objects of closed connections may keep: their own size, and none of what went through them."""


def can_count(info: TransportInfo) -> bool:
    """Whether this system shows the descriptors of a process."""
    return os.path.isdir(DESCRIPTORS)


def descriptors_left_by(action: Callable[[], object], times: int) -> int:
    """How many more descriptors are open when ``action`` was done so often; once more before, to warm up."""
    action()
    before = len(os.listdir(DESCRIPTORS))
    for _ in range(times):
        action()
    return len(os.listdir(DESCRIPTORS)) - before


@case("13.1", applies=can_count)
def forgets_refused_dials(bench: Bench) -> None:
    """Thirty refused connections leave no descriptor open, whether they are closed or aborted afterwards."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    bench.vtable.close(listener)

    def refused() -> None:
        for end in (bench.vtable.close, bench.vtable.abort):
            conn = bench.dial(uri)
            bench.hears_end(conn)
            end(conn)

    left = descriptors_left_by(refused, 15)
    check(left <= 0, f"{left} descriptors of refused connections stayed open")


@case("13.2", applies=can_count)
def forgets_refused_listeners(bench: Bench) -> None:
    """Addresses in use and options that nobody knows cost no descriptor."""
    uri = bench.vtable.local_uri(bench.listen())

    def refused() -> None:
        error_of(lambda: bench.listen(uri))
        for open_it in (bench.vtable.listen, bench.vtable.connect):
            with contextlib.suppress(ValueError):
                open_it(uri, {**bench.config, "no-such-option": 1})

    left = descriptors_left_by(refused, 20)
    check(left <= 0, f"{left} descriptors stayed open although nothing was opened")


@case("13.3", applies=can_count)
def forgets_listeners(bench: Bench) -> None:
    """Twenty listeners that came and went, with guests that nobody accepted, leave no descriptor open."""
    scheme = bench.uri.partition(":")[0]

    def come_and_go() -> None:
        listener = bench.listen(f"{scheme}:")
        near = bench.dial(bench.vtable.local_uri(listener))
        bench.vtable.close(listener)
        bench.hears_end(near)
        bench.vtable.abort(near)

    left = descriptors_left_by(come_and_go, 20)
    check(left <= 0, f"{left} descriptors of listeners stayed open")


@case("13.4", Capability.RELIABLE)
def keeps_no_payload(bench: Bench) -> None:
    """Of connections that have ended nothing is kept that went through them, while somebody keeps their objects."""
    bench.talk(*bench.pair())
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for end in (bench.vtable.abort, bench.vtable.close) * 5:
            near, far = bench.pair()
            bench.fill(near, numbered(1, 30_000)[0])
            bench.send(far, numbered(1, 30_000)[0])
            end(near)
            bench.vtable.abort(far)
            bench.vtable.abort(near)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    check(grown < MOST_BYTES, f"ten connections that have ended keep {grown} bytes")


@case("13.5", Capability.RELIABLE)
def does_not_grow(bench: Bench) -> None:
    """A connection through which much has gone needs no more memory than a new one."""
    near, far = bench.pair()
    [frame] = numbered(1, 2000)

    def pass_some() -> None:
        for _ in range(50):
            bench.send_all(near, [frame], far)
            bench.receive(far, 1, near)

    pass_some()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(6):
            pass_some()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    check(grown < 400_000, f"300 frames of 2000 bytes went through, and {grown} bytes more are in use")


@case("13.6")
def starts_no_threads(bench: Bench) -> None:
    """When connections and listeners have ended no thread is left that was not there before."""
    bench.talk(*bench.pair())
    before = set(threading.enumerate())
    for _ in range(3):
        near, far = bench.pair()
        bench.talk(near, far)
        bench.vtable.abort(near)
        bench.vtable.abort(far)
    left = {thread for thread in threading.enumerate() if thread.is_alive()} - before
    check(not left, f"threads were left behind: {', '.join(thread.name for thread in left)}")


class Waker:
    """A callback that can be seen to go away."""

    def __call__(self) -> None:
        """Nobody cares."""


@case("13.7")
def lets_the_waker_go(bench: Bench) -> None:
    """A waker that was taken back is kept by nobody."""
    near, far = bench.pair()
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    for endpoint in (near, far, listener):
        waker = Waker()
        gone = weakref.ref(waker)
        bench.vtable.set_waker(endpoint, waker)
        bench.vtable.set_waker(endpoint, None)
        del waker
        gc.collect()
        check(gone() is None, "a waker that was taken back is still kept")


@case("13.8", Capability.RELIABLE)
def leaves_no_cycles_of_errors(bench: Bench) -> None:
    """An error that is raised again and again does not grow by it."""
    near, far = bench.pair()
    bench.vtable.abort(near)
    bench.end_of(far)
    error: Any = None
    for _ in range(200):
        error = error_of(lambda: bench.vtable.recv_frame(far, 10))
    frames = 0
    trace = error.__traceback__
    while trace is not None:
        frames, trace = frames + 1, trace.tb_next
    check(frames < 50, f"the error of an ended connection drags {frames} frames of the stack along")
