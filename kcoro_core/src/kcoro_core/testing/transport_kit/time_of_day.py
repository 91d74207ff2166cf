# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 8: time comes from the caller alone. A clock that stands still and jumps to deadlines is as good as any."""

from __future__ import annotations

from typing import Any, Final

from ...transport import READ, Capability, PollSpec
from .bench import AT_REST, LIMIT, Bench, check, numbered
from .case import case
from .clock import JumpingClock

HOUR: Final = 3600.0
JUMPS: Final = 200
"""As many deadlines as a connection may need until it has closed."""


@case("8.1", Capability.RELIABLE)
def runs_on_any_clock(bench: Bench) -> None:
    """Connecting, talking and closing work on a clock that begins at 0 and never moves by itself."""
    bench.clock = JumpingClock(0.0)
    near, far = bench.pair()
    bench.talk(near, far)
    bench.vtable.close(near)
    bench.end_of(far, near)


@case("8.2", Capability.RELIABLE)
def runs_on_a_clock_of_another_age(bench: Bench) -> None:
    """So do they on a clock that is far ahead of that of the machine."""
    bench.clock = JumpingClock(1e9)
    near, far = bench.pair()
    bench.talk(near, far)
    bench.vtable.close(near)
    bench.end_of(far, near)


@case("8.3", Capability.RELIABLE)
def survives_an_hour(bench: Bench) -> None:
    """An hour in which nothing happens ends no connection."""
    bench.clock = clock = JumpingClock(100.0)
    near, far = bench.pair()
    bench.talk(near, far)
    clock.time += HOUR
    for conn in (near, far):
        bench.vtable.pump(conn, clock.now(), READ)
    bench.talk(near, far)


@case("8.4", Capability.RELIABLE)
def sets_no_past_deadlines(bench: Bench) -> None:
    """A deadline that has come is gone when it was pumped; what is due at once is said by ready_now."""
    bench.clock = clock = JumpingClock(100.0)
    near, far = bench.pair()
    bench.send_all(near, numbered(5, 3000), far)
    for conn in (near, far):
        for _ in range(50):
            bench.vtable.recv_frame(conn, LIMIT)
            bench.vtable.pump(conn, clock.now(), READ)
            spec = bench.vtable.poll_handle(conn)
            past = spec.deadline is not None and spec.deadline <= clock.now() and not spec.ready_now
            check(not past, f"just pumped at {clock.now()}, a connection waits for {spec.deadline}")
            clock.waited([spec.deadline] if spec.deadline is not None else [])


@case("8.5", Capability.RELIABLE)
def gives_up_on_silent_peers(bench: Bench) -> None:
    """A closed connection that holds nothing back comes to rest, though the other side never does anything."""
    bench.clock = clock = JumpingClock(100.0)
    near, far = bench.pair()
    bench.talk(near, far)
    bench.until(lambda: bench.vtable.tx_backlog(near) == 0, near, far, what="an empty backlog")
    bench.vtable.close(near)
    spec = bench.vtable.poll_handle(near)
    for _ in range(JUMPS):
        spec = bench.vtable.poll_handle(near)
        if spec == AT_REST:
            return
        _wait(clock, spec)
        bench.vtable.pump(near, clock.now(), READ if spec.want & READ else 0)
    check(False, f"after {JUMPS} deadlines a closed connection still waits for its peer: {spec}")


def _wait(clock: JumpingClock, spec: PollSpec) -> None:
    if not spec.ready_now:
        check(spec.deadline is not None, "a closed connection waits for its peer without a limit")
        clock.waited([spec.deadline or 0.0])


@case("8.6", Capability.RELIABLE)
def keeps_time_when_listening(bench: Bench) -> None:
    """A listener bears an hour without a guest, and times that do not move."""
    bench.clock = clock = JumpingClock(0.0)
    listener = bench.listen()
    for now in (0.0, 0.0, HOUR, HOUR):
        clock.time = now
        bench.vtable.pump(listener, now, READ)
        check(bench.vtable.accept(listener) is None, "a guest came that nobody is")
    near: Any = bench.dial(bench.vtable.local_uri(listener))
    bench.talk(near, bench.accept(listener, near))
