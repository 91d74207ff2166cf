# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 5, continued: ends that come at bad moments, from both sides, and in the middle of something."""

from __future__ import annotations

import contextlib

from ...errors import KcoroError, TransportError
from ...transport import READ, Capability
from .bench import AT_REST, LIMIT, Bench, check, error_of, numbered
from .case import case


@case("5.8")
def hears_of_an_abort(bench: Bench) -> None:
    """The other side of an abort hears the end as TransportError, with a text."""
    for i in (0, 1):
        ends = bench.pair()
        bench.vtable.abort(ends[i])
        error = bench.end_of(ends[1 - i])
        check(isinstance(error, TransportError), f"the end came as {error!r}")
        check(Exception.__str__(error).strip(), "the end does not say what has happened")


@case("5.9")
def notices_that_nobody_reads(bench: Bench) -> None:
    """Whoever goes on sending to a side that has ended is told soon, and not only by what it receives."""
    near, far = bench.pair()
    bench.vtable.abort(near)
    [frame] = numbered(1, 4096)
    errors: list[BaseException] = []

    def told() -> bool:
        for _ in range(50):
            try:
                if not bench.send(far, frame):
                    break
                with contextlib.suppress(TransportError):
                    bench.flush(far)
            except TransportError as error:
                errors.append(error)
                break
        return bool(errors)

    bench.until(told, far, what="end of sending")


@case("5.10", Capability.RELIABLE)
def keeps_what_arrived(bench: Bench) -> None:
    """A failed send takes nothing away: what had arrived before the other side left is still handed out."""
    near, far = bench.pair()
    frames = numbered(10, 500)
    bench.send_all(near, frames, far)
    bench.vtable.close(near)
    for frame in numbered(3, 10):
        with contextlib.suppress(TransportError):
            bench.send(far, frame)
            bench.flush(far)
    check(bench.receive(far, 10, near) == frames, "frames that had arrived were lost by a send that failed")
    bench.end_of(far, near)


@case("5.11", Capability.RELIABLE)
def tells_the_end_last(bench: Bench) -> None:
    """As long as a frame is left, pump does not raise the end; then it does."""
    near, far = bench.pair()
    bench.send_all(near, numbered(3, 100), far)
    bench.vtable.close(near)
    bench.until(lambda: bench.vtable.poll_handle(far).ready_now, far, near, what="frames to be handed out")
    for left in (3, 2, 1):
        error = error_of(lambda: bench.vtable.pump(far, bench.clock.now(), READ))
        check(error is None, f"pump raised the end with {left} frames left: {error!r}")
        bench.receive(far, 1, near)
    ended: list[BaseException] = []

    def raised() -> bool:
        try:
            bench.vtable.pump(far, bench.clock.now(), READ)
            check(bench.vtable.recv_frame(far, LIMIT) is None, "a frame came out that nobody sent")
        except TransportError as error:
            ended.append(error)
        return bool(ended)

    bench.until(raised, near, far, what="end behind the last frame")


@case("5.12")
def raises_no_end_of_ours(bench: Bench) -> None:
    """An end that we have made ourselves is not raised by pump."""
    for end in (bench.vtable.close, bench.vtable.abort):
        near, far = bench.pair()
        end(near)
        for _ in range(3):
            error = error_of(lambda near=near: bench.vtable.pump(near, bench.clock.now(), READ))  # type: ignore[misc]
            check(error is None, f"pump raised the end that we made: {error!r}")
        bench.hears_end(far, near)


@case("5.13", Capability.RELIABLE)
def gives_up_at_once(bench: Bench) -> None:
    """After an abort there is nothing to wait for, even with a full connection and a peer that does not read."""
    near, _ = bench.pair()
    bench.fill(near, numbered(1, 4096)[0])
    bench.vtable.abort(near)
    check(bench.vtable.poll_handle(near) == AT_REST, "after an abort there is something to wait for")
    check(bench.vtable.tx_backlog(near) == 0, "after an abort there is a backlog")


@case("5.14")
def parts_in_agreement(bench: Bench) -> None:
    """When both sides close at the same time, both come to rest."""
    near, far = bench.pair()
    for conn in (near, far):
        bench.send(conn, numbered(1, 50)[0])
        bench.flush(conn)
    bench.vtable.close(near)
    bench.vtable.close(far)
    bench.rest(near, far)


@case("5.15", Capability.RELIABLE)
def closes_behind_an_end(bench: Bench) -> None:
    """A side that hears the end and closes then comes to rest, and so does who closed first."""
    near, far = bench.pair()
    bench.send_all(far, numbered(5, 100), near)
    bench.vtable.close(near)
    bench.hears_end(far, near)
    bench.vtable.close(far)
    bench.rest(near, far)


@case("5.16", Capability.RELIABLE)
def lets_one_of_many_go(bench: Bench) -> None:
    """The end of one connection is the end of no other."""
    pairs = [bench.pair() for _ in range(3)]
    bench.vtable.abort(pairs[0][0])
    bench.end_of(pairs[0][1])
    for near, far in pairs[1:]:
        bench.talk(near, far)


@case("5.17")
def leaves_views_of_the_end(bench: Bench) -> None:
    """Questions are answered after the end as well: who was there, and that nothing is held back."""
    near, far = bench.pair()
    bench.vtable.close(near)
    bench.end_of(far, near)
    for conn in (near, far):
        with contextlib.suppress(KcoroError):
            bench.vtable.recv_frame(conn, LIMIT)
        check(bench.vtable.tx_backlog(conn) == 0, "a connection has a backlog after its end")
        bench.vtable.peer(conn)
        bench.vtable.set_waker(conn, None)
