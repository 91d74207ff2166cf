# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 4: the truth of poll_handle. It is level-triggered, and idle connections cost nothing."""

from __future__ import annotations

import contextlib
import time

from ...errors import KcoroError
from ...transport import READ, WRITE, Capability
from .bench import LIMIT, Bench, check, header, numbered, poll
from .case import case


@case("4.1")
def is_quiet_when_idle(bench: Bench) -> None:
    """A connection with nothing to do asks for nothing but input."""
    for conn in bench.pair():
        for _ in range(3):
            bench.vtable.recv_frame(conn, LIMIT)
            bench.vtable.pump(conn, time.monotonic(), 0)
        spec = bench.vtable.poll_handle(conn)
        check(not spec.ready_now, "ready_now without anything to be done: whoever drives this would spin")
        check(not spec.want & WRITE, "a connection with an empty backlog waits for room to write")


@case("4.2", Capability.RELIABLE)
def announces_frames(bench: Bench) -> None:
    """A frame that comes is announced: readable descriptor, or waker called and ready_now or a deadline given."""
    near, far = bench.pair()
    called: list[bool] = []
    bench.vtable.recv_frame(far, LIMIT)
    bench.vtable.set_waker(far, lambda: called.append(True))
    before = bench.vtable.poll_handle(far)
    bench.send_all(near, numbered(1, 100), far)
    ready = poll([before], 5.0) if before.fd is not None else {}
    check(ready or called, "a frame arrived, and neither the descriptor nor the waker told")
    spec = bench.vtable.poll_handle(far)
    check(
        ready or spec.ready_now or spec.deadline is not None, "the waker was called, and poll_handle announces nothing"
    )
    bench.vtable.set_waker(far, None)
    bench.receive(far, 1, near)


@case("4.3", Capability.RELIABLE)
def is_level_triggered(bench: Bench) -> None:
    """Whoever takes one frame at a time is told again and again that there are more."""
    near, far = bench.pair()
    bench.send_all(near, numbered(50, 10), far)
    taken = 0

    def one_more() -> bool:
        nonlocal taken
        taken += bench.vtable.recv_frame(far, LIMIT) is not None
        return taken == 50

    bench.until(one_more, far, what="all frames, taken one at a time")


@case("4.4", Capability.RELIABLE)
def bears_wrong_hints(bench: Bench) -> None:
    """A pump that is told of readiness which is not there does no harm, and does not wait."""
    near, far = bench.pair()
    started = time.monotonic()
    for conn in (near, far):
        for ready in (READ, WRITE, READ | WRITE, 0):
            bench.vtable.pump(conn, time.monotonic(), ready)
    check(time.monotonic() - started < 5.0, "pump waited for readiness that it had been promised")
    bench.send_all(near, numbered(1, 10), far)
    bench.receive(far, 1, near)


@case("4.5", Capability.RELIABLE)
def waits_for_the_rest(bench: Bench) -> None:
    """A large frame that arrives piece by piece keeps asking for the rest, and comes out whole and once."""
    near, far = bench.pair()
    frames = numbered(20, LIMIT)
    for frame in frames:
        bench.send_all(near, [frame], far)
        check(bench.receive(far, 1, near) == [frame], "a large frame came out changed")
    check(bench.vtable.recv_frame(far, LIMIT) is None, "a frame came out twice")


@case("4.6")
def rests_after_its_end(bench: Bench) -> None:
    """An ended connection asks for attention until its error was raised, then for nothing."""
    near, far = bench.pair()
    bench.vtable.close(near)
    bench.end_of(far, near)
    with contextlib.suppress(KcoroError):
        bench.vtable.send_frame(far, header(0), [], 0)
    spec = bench.vtable.poll_handle(far)
    check(not spec.ready_now and spec.fd is None and spec.deadline is None, f"an ended connection still says {spec}")
