# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 3, continued: what a full connection costs, what it may not do, and how it comes back."""

from __future__ import annotations

import inspect
import time
from typing import Final

from ...transport import COMMIT_BYTES, WRITE, Capability
from .bench import HEADER_BYTES, Bench, check, header, numbered, poll
from .case import case
from .pressure import FRAME, FRAME_BYTES, drained

MOST_BYTES: Final = 1 << 24
"""More than anything holds that has a bound."""
AT_ONCE_SECONDS: Final = 1.0
"""What twenty calls that wait for nobody take at most, on a machine that has other things to do as well."""
ROUNDS: Final = 3
"""Of so many times twenty the quickest counts: the machine may have had other things to do for longer."""


@case("3.6", Capability.RELIABLE)
def forgets_refused_frames(bench: Bench) -> None:
    """A refused frame is the sender's alone: it is in no backlog, and another may be sent in its place."""
    near, far = bench.pair()
    taken, refused = bench.fill(near, FRAME), 0
    while refused < 5:
        backlog = bench.vtable.tx_backlog(near)
        if bench.send(near, FRAME):  # what lies in between, such as a process, has made room by itself
            taken += 1
            check(taken * FRAME_BYTES < MOST_BYTES, "frames are taken without end although nobody reads")
            continue
        refused += 1
        check(bench.vtable.tx_backlog(near) <= backlog, "a refused frame stands in the backlog")
    bench.receive(far, taken, near)
    [other] = numbered(1, 17)
    bench.send_all(near, [other], far)
    check(bench.receive(far, 1, near) == [other], "in place of another frame comes the one that was refused")


@case("3.7", Capability.RELIABLE)
def parks_nobody(bench: Bench) -> None:
    """Towards a peer that does not read send_frame answers at once, and so does everything else."""
    near, _ = bench.pair()
    bench.fill(near, FRAME)
    took = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        for _ in range(20):
            bench.send(near, FRAME)
            bench.vtable.pump(near, bench.clock.now(), WRITE)
            bench.vtable.poll_handle(near)
        took.append(time.monotonic() - started)
    check(min(took) < AT_ONCE_SECONDS, "a call waited for a peer that does not read")


@case("3.8", Capability.RELIABLE)
def keeps_the_other_direction_open(bench: Bench) -> None:
    """While one direction is full, frames pass in the other."""
    near, far = bench.pair()
    bench.fill(near, FRAME)
    for frame in numbered(20, 1000):
        bench.send_all(far, [frame], near)
        check(bench.receive(near, 1, far) == [frame], "a frame against the stream changed")


@case("3.9", Capability.RELIABLE)
def recovers_fully(bench: Bench) -> None:
    """Filled and emptied many times, a connection holds as much as at first, and nothing was lost."""
    near, far = bench.pair()
    first = bench.fill(near, FRAME)
    bench.receive(far, first, near)
    taken = 0
    for _ in range(5):
        taken = bench.fill(near, FRAME)
        check(bench.receive(far, taken, near) == [FRAME] * taken, "frames changed under pressure")
    check(taken * 2 >= first, f"at first {first} frames found room, later {taken}")


@case("3.10", Capability.RELIABLE)
def holds_nothing_when_idle(bench: Bench) -> None:
    """The backlog of an idle connection is 0: at first, and whenever all that was sent has been read."""
    near, far = bench.pair()
    check(bench.vtable.tx_backlog(near) == 0 == bench.vtable.tx_backlog(far), "a new connection has a backlog")
    for frame in numbered(5, 5000):
        bench.send_all(near, [frame], far)
        bench.receive(far, 1, near)
        bench.until(lambda: bench.vtable.tx_backlog(near) == 0, near, far, what="an empty backlog")


@case("3.11", Capability.RELIABLE)
def bounds_empty_frames(bench: Bench) -> None:
    """Frames without a payload fill a connection as well: their headers take room."""
    near, far = bench.pair()
    [empty] = numbered(1, 0)
    taken = bench.fill(near, empty, at_most_bytes=1 << 23)
    check(len(bench.receive(far, taken, near)) == taken, "empty frames were lost under pressure")


@case("3.12", Capability.RELIABLE)
def refuses_large_frames_when_full(bench: Bench) -> None:
    """What is full takes no large frame either: only a connection that holds nothing back does."""
    near, _ = bench.pair()
    bench.fill(near, FRAME)
    if bench.vtable.tx_backlog(near) == 0:
        return  # a medium that keeps nothing itself, so that nothing is known of its room
    size = min(1 << 20, (bench.vtable.info.max_frame or 1 << 20) - HEADER_BYTES)
    check(not bench.send(near, numbered(1, size)[0]), f"a full connection took {size} bytes")


@case("3.13", Capability.RELIABLE)
def tells_when_its_backlog_falls(bench: Bench) -> None:
    """Whoever stopped at COMMIT_BYTES of backlog is woken when there is less, though no frame was refused."""
    near, far = bench.pair()
    [frame] = numbered(1, 4096)  # small enough to be all there before anything has to be acknowledged
    for _ in range(1000):
        if bench.vtable.tx_backlog(near) >= COMMIT_BYTES or not bench.send(near, frame):
            break
        bench.flush(near)
    if bench.vtable.tx_backlog(near) < COMMIT_BYTES:
        return  # it refuses before, and announces that
    woken: list[bool] = []
    bench.vtable.set_waker(near, lambda: woken.append(True))
    bench.receive(far, 1)
    drained(bench, far)
    spec = bench.vtable.poll_handle(near)
    told = woken or spec.ready_now or spec.deadline is not None or (spec.fd is not None and poll([spec], 5.0))
    check(told, "the other side has read, and nobody tells that the backlog may fall")
    bench.vtable.set_waker(near, None)
    bench.until(lambda: bench.vtable.tx_backlog(near) < COMMIT_BYTES, near, far, what="smaller backlog")


@case("3.14", Capability.RELIABLE)
def counts_what_it_holds(bench: Bench) -> None:
    """The backlog grows by no more than was sent, and an accepted frame that is not out is in it."""
    near, _ = bench.pair()
    sent = before = 0
    while bench.send(near, FRAME) and sent < 1 << 22:
        sent += FRAME_BYTES
        backlog = bench.vtable.tx_backlog(near)
        # A medium that encrypts adds to each frame.
        check(0 <= backlog <= sent + sent // 4, f"of {sent} bytes that were sent {backlog} are said to be held")
        check(backlog <= before + 2 * FRAME_BYTES, "one frame made the backlog grow by far more than itself")
        before = backlog


@case("3.15", Capability.RELIABLE)
def trickles(bench: Bench) -> None:
    """A reader that takes one frame at a time gets every frame, while the sender keeps the connection full."""
    near, far = bench.pair()
    sent = received = 0
    while received < 200:
        while sent < 200 and bench.vtable.send_frame(near, header(4096, sent), [FRAME.payload], 0):
            sent += 1
        bench.flush(near)
        [frame] = bench.receive(far, 1, near)
        check(frame.header == header(4096, received), f"instead of frame {received} came another")
        received += 1
    check(drained(bench, far) == 0, "more frames arrived than were sent")


@case("3.16", one_sided=True)
def has_no_way_to_wait(bench: Bench) -> None:
    """No function of a transport is async: whoever ingests from a medium takes, refuses or drops, and never waits."""
    functions = {name: getattr(bench.vtable, name) for name in bench.vtable.__annotations__}
    waiting = [name for name, function in functions.items() if inspect.iscoroutinefunction(function)]
    check(not waiting, f"these functions would have to be awaited: {', '.join(waiting)}")
