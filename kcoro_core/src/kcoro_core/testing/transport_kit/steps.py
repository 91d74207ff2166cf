# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 9: an end at every step of a connection's life, from either side, in good order or not.

The life is a list of steps; a case goes so many steps, ends, and looks: the other side hears of it, nothing is left to
be waited for, no descriptor stays open, and the listener takes the next guest.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import TransportError
from ...transport import Capability, RawFrame
from .bench import LIMIT, Bench, check, header, numbered
from .case import case
from .clock import JumpingClock

[FRAME] = numbered(1, 3000)
LARGE = RawFrame(header(300_000), bytes(300_000))
LARGE_LIMIT = len(LARGE.payload)
DESCRIPTORS = "/proc/self/fd"

End = Callable[[Any], None]


def life(bench: Bench, ends: list[Any], listener: Any) -> Iterator[None]:
    """One step after the other of a connection whose ends appear in ``ends``: who dialled, who accepted."""
    near = bench.dial(bench.vtable.local_uri(listener))
    ends.append(near)
    yield
    bench.vtable.pump(near, bench.clock.now(), 3)
    yield
    far = bench.accept(listener, near)
    ends.append(far)
    yield
    bench.until(lambda: bench.send(near, FRAME), near, far, what="room to send")
    yield
    bench.flush(near)
    yield
    bench.receive(far, 1, near)
    yield
    bench.send(far, FRAME)
    bench.flush(far)
    yield
    if bench.vtable.info.max_frame is None:
        bench.send(near, LARGE)
        yield
        bench.flush(near)
        yield
        bench.vtable.pump(far, bench.clock.now(), 3)
        yield
    bench.fill(far, FRAME)
    yield


def count_of_steps(bench: Bench) -> int:
    """How many steps the life of a connection has over this medium."""
    ends: list[Any] = []
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    steps = sum(1 for _ in life(bench, ends, listener))
    for conn in ends:
        bench.vtable.abort(conn)
    bench.vtable.close(listener)
    return steps


def after_each_step(bench: Bench, end: Callable[[list[Any], Any], None]) -> None:
    """Go one step, two steps, and so on; each time let ``end(ends, listener)`` do what a case is about."""
    for steps in range(1, count_of_steps(bench) + 1):
        ends: list[Any] = []
        listener = bench.listen(bench.uri.partition(":")[0] + ":")
        lived = life(bench, ends, listener)
        for _ in range(steps):
            next(lived)
        end(ends, listener)
        bench.vtable.close(listener)


def hears(bench: Bench, conn: Any, *others: Any) -> None:
    """The other side hears of an end, whatever had arrived for it before."""

    def ended() -> bool:
        try:
            while bench.vtable.recv_frame(conn, LARGE_LIMIT) is not None:
                pass
        except TransportError:
            return True
        return False

    bench.until(ended, conn, *others, what="the end of the connection")


def next_guest_is_welcome(bench: Bench, listener: Any) -> None:
    """Somebody else can connect and talk, whoever else had come before."""
    near = bench.dial(bench.vtable.local_uri(listener))
    for _ in range(3):
        far = bench.accept(listener, near)
        with contextlib.suppress(TransportError):
            bench.until(lambda: bench.send(near, FRAME), near, far, what="room to send")
            bench.flush(near)
            got: list[RawFrame] = []

            def heard(far: Any = far, got: list[RawFrame] = got) -> bool:
                if (frame := bench.vtable.recv_frame(far, LIMIT)) is not None:
                    got.append(frame)
                return bool(got)

            bench.until(heard, far, near, what="frame of the next guest")
            return
    check(False, "the next guest was not accepted")


@case("9.1", Capability.RELIABLE)
def aborts_of_the_dialler(bench: Bench) -> None:
    """Whoever dialled may abort at every step: the other side hears of it, and the next guest is welcome."""

    def end(ends: list[Any], listener: Any) -> None:
        bench.vtable.abort(ends[0])
        bench.rest(ends[0])
        for far in ends[1:]:
            hears(bench, far)
        next_guest_is_welcome(bench, listener)

    after_each_step(bench, end)


@case("9.2", Capability.RELIABLE)
def aborts_of_the_acceptor(bench: Bench) -> None:
    """Whoever accepted may abort at every step: the dialler hears of it, and the next guest is welcome."""

    def end(ends: list[Any], listener: Any) -> None:
        if len(ends) == 1:
            return
        bench.vtable.abort(ends[1])
        bench.rest(ends[1])
        hears(bench, ends[0])
        next_guest_is_welcome(bench, listener)

    after_each_step(bench, end)


@case("9.3", Capability.RELIABLE)
def closes_of_the_dialler(bench: Bench) -> None:
    """Whoever dialled may close at every step: the other side gets what was sent, then the end."""

    def end(ends: list[Any], listener: Any) -> None:
        bench.vtable.close(ends[0])
        for far in ends[1:]:
            hears(bench, far, ends[0])
            bench.vtable.close(far)
        bench.rest(*ends)
        next_guest_is_welcome(bench, listener)

    bench.clock = JumpingClock(0.0)  # a closed end may wait a while for the other, which takes no time here
    after_each_step(bench, end)


@case("9.4", Capability.RELIABLE)
def closes_of_the_acceptor(bench: Bench) -> None:
    """Whoever accepted may close at every step: the dialler gets what was sent, then the end."""

    def end(ends: list[Any], listener: Any) -> None:
        for far in ends[1:]:
            bench.vtable.close(far)
            hears(bench, ends[0], far)
        bench.vtable.close(ends[0])
        bench.rest(*ends)

    bench.clock = JumpingClock(0.0)  # a closed end may wait a while for the other, which takes no time here
    after_each_step(bench, end)


@case("9.5", Capability.RELIABLE)
def closes_of_the_listener(bench: Bench) -> None:
    """A listener may close at every step: who was accepted goes on, who was not hears of it."""

    def end(ends: list[Any], listener: Any) -> None:
        bench.vtable.close(listener)
        if len(ends) == 1:
            hears(bench, ends[0])
            return
        bench.vtable.abort(ends[0])
        hears(bench, ends[1])

    after_each_step(bench, end)


@case("9.6", Capability.RELIABLE, applies=lambda info: os.path.isdir(DESCRIPTORS))
def leaves_no_descriptor_at_any_step(bench: Bench) -> None:
    """Ended at any step, by either side or both, a connection leaves no descriptor open."""
    for order in ((0, 1), (1, 0)):
        for use in (bench.vtable.abort, bench.vtable.close):

            def end(ends: list[Any], listener: Any, order: tuple[int, ...] = order, use: End = use) -> None:
                for i in order:
                    if i < len(ends):
                        use(ends[i])
                for conn in ends:
                    bench.vtable.abort(conn)
                bench.vtable.close(listener)

            count_of_steps(bench)
            before = len(os.listdir(DESCRIPTORS))
            after_each_step(bench, end)
            left = len(os.listdir(DESCRIPTORS)) - before
            check(left <= 0, f"{left} descriptors stayed open")
