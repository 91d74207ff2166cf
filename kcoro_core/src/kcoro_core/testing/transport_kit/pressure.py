# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 3: back-pressure. A peer that does not read costs a bounded amount, and nothing is lost by it."""

from __future__ import annotations

import time
from typing import Any

from ...transport import READ, Capability
from .bench import HEADER_BYTES, LIMIT, Bench, check, numbered, poll
from .case import case

[FRAME] = numbered(1, 4096)
FRAME_BYTES = HEADER_BYTES + len(FRAME.payload)


@case("3.1", Capability.RELIABLE)
def is_bounded(bench: Bench) -> None:
    """When the other side does not read, send_frame answers False after a bounded number of bytes."""
    near, _ = bench.pair()
    taken = bench.fill(near, FRAME)
    check(taken, "an idle connection took nothing")
    check(not bench.send(near, FRAME), "a full connection took another frame")
    backlog = bench.vtable.tx_backlog(near)
    check(0 <= backlog <= taken * FRAME_BYTES, f"tx_backlog is {backlog} after {taken * FRAME_BYTES} bytes")


@case("3.2", Capability.RELIABLE)
def loses_nothing(bench: Bench) -> None:
    """What was taken until the first False arrives, and not a frame more."""
    near, far = bench.pair()
    taken = bench.fill(near, FRAME)
    got = bench.receive(far, taken, near)
    check(all(frame == FRAME for frame in got), "a frame changed under pressure")
    check(bench.vtable.recv_frame(far, LIMIT) is None, "a frame that was refused arrived all the same")


@case("3.3", Capability.RELIABLE)
def announces_room(bench: Bench) -> None:
    """After a False, poll_handle announces the moment at which there is room again."""
    near, far = bench.pair()
    taken = bench.fill(near, FRAME)
    received = len(bench.receive(far, 1)) + drained(bench, far)
    spec = bench.vtable.poll_handle(near)
    told = spec.ready_now or spec.deadline is not None or (spec.fd is not None and poll([spec], 5.0))
    check(told, "the other side has read, and nobody announces the room")
    bench.until(lambda: bench.send(near, FRAME), near, what="room after the other side has read")
    bench.flush(near)
    bench.receive(far, taken + 1 - received, near)


def drained(bench: Bench, conn: Any) -> int:
    """Receive what is there now, without anybody else doing anything; how many frames that was."""
    frames = before = 0
    while True:
        bench.vtable.pump(conn, time.monotonic(), READ)
        while bench.vtable.recv_frame(conn, LIMIT) is not None:
            frames += 1
        if frames == before:
            return frames
        before = frames


@case("3.4", Capability.RELIABLE)
def empties_its_backlog(bench: Bench) -> None:
    """tx_backlog goes back to 0 once the other side has read everything."""
    near, far = bench.pair()
    taken = bench.fill(near, FRAME)
    bench.receive(far, taken, near)
    bench.until(lambda: bench.vtable.tx_backlog(near) == 0, near, far, what="an empty backlog")


@case("3.5", Capability.RELIABLE)
def takes_one_large_frame(bench: Bench) -> None:
    """A connection that holds nothing back takes a single frame, however large."""
    near, far = bench.pair()
    size = 3 << 20
    if bench.vtable.info.max_frame is not None:
        size = bench.vtable.info.max_frame - HEADER_BYTES
    [frame] = numbered(1, size)
    check(bench.send(near, frame), f"an idle connection refused a frame of {size} bytes")
    bench.flush(near)
    [got] = bench.receive(far, 1, near, limit=size)
    check(got == frame, "a large frame changed on its way")
