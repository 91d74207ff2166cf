# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 12: many connections at once share a listener, and nothing else."""

from __future__ import annotations

from typing import Any

from ...transport import Capability, RawFrame
from .bench import LIMIT, Bench, check, header, numbered
from .case import case

PAIRS = 30


def pairs(bench: Bench, count: int) -> list[tuple[Any, Any]]:
    """So many connections to one listener, made one after the other."""
    return [bench.pair() for _ in range(count)]


@case("12.1", Capability.RELIABLE)
def serves_many(bench: Bench) -> None:
    """Thirty connections talk at the same time, and each hears its own."""
    made = pairs(bench, PAIRS)
    for i, (near, _) in enumerate(made):
        for frame in (RawFrame(header(64, 100 * i + k), bytes([i]) * 64) for k in range(5)):
            check(bench.send(near, frame), "an idle connection had no room")
        bench.flush(near)
    for i, (near, far) in enumerate(made):
        got = bench.receive(far, 5, near)
        check([frame.header for frame in got] == [header(64, 100 * i + k) for k in range(5)], "frames of another")


@case("12.2", Capability.RELIABLE)
def lets_nobody_wait_for_the_slow(bench: Bench) -> None:
    """A connection whose reader has stopped takes no room from the others."""
    made = pairs(bench, 10)
    bench.fill(made[0][0], numbered(1, 4096)[0])
    for near, far in made[1:]:
        frames = numbered(10, 4096)
        bench.send_all(near, frames, far)
        check(bench.receive(far, 10, near) == frames, "a stopped reader spoils other connections")


@case("12.3", Capability.RELIABLE)
def comes_and_goes(bench: Bench) -> None:
    """A hundred connections come and go while one stays, and that one notices nothing."""
    near, far = bench.pair()
    for i in range(100):
        other, end = bench.pair()
        (bench.vtable.abort if i % 2 else bench.vtable.close)(other)
        bench.hears_end(end, other)
        bench.vtable.abort(end)
        if i % 25 == 0:
            bench.talk(near, far)
    bench.talk(near, far)


@case("12.4", Capability.RELIABLE)
def wakes_whom_it_concerns(bench: Bench) -> None:
    """A frame for one of many connections is announced there, and the others have nothing to hand out."""
    made = pairs(bench, 10)
    for near, far in made:
        bench.talk(near, far)
        bench.vtable.recv_frame(near, LIMIT)
        bench.vtable.recv_frame(far, LIMIT)
    bench.send_all(made[4][0], numbered(1, 20))
    for near, far in made[:4] + made[5:]:
        for conn in (near, far):
            check(bench.vtable.recv_frame(conn, LIMIT) is None, "a frame came out of another connection")
            check(not bench.vtable.poll_handle(conn).ready_now, "somebody else is woken for a frame")
    check(bench.receive(made[4][1], 1, made[4][0]) == numbered(1, 20), "the frame did not arrive")


@case("12.5", Capability.RELIABLE)
def crosses_many(bench: Bench) -> None:
    """Many connections that are full in one direction can all be emptied, in any order."""
    made = pairs(bench, 6)
    [frame] = numbered(1, 8192)
    taken = [bench.fill(near, frame) for near, _ in made]
    for (near, far), count in reversed(list(zip(made, taken, strict=True))):
        check(bench.receive(far, count, near) == [frame] * count, "frames were lost under the pressure of many")
