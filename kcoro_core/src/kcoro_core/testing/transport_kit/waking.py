# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 4, continued: answers of poll_handle are true at any moment, and the waker is called for the right one."""

from __future__ import annotations

import os
import threading
from typing import Any

from ...transport import READ, WRITE, Capability, PollSpec
from .bench import LIMIT, Bench, check, numbered, poll
from .case import case


@case("4.7")
def waits_in_silence(bench: Bench) -> None:
    """While nothing happens, nothing that an idle connection waits for is ready."""
    for conn in bench.pair():
        bench.vtable.recv_frame(conn, LIMIT)
        bench.vtable.pump(conn, bench.clock.now(), READ)
        bench.vtable.recv_frame(conn, LIMIT)
        spec = bench.vtable.poll_handle(conn)
        check(not poll([spec], 0.0), "the descriptor of an idle connection is ready: whoever drives it would spin")


@case("4.8", Capability.RELIABLE)
def answers_without_effect(bench: Bench) -> None:
    """Asking again changes nothing: poll_handle says the same until something has happened."""
    near, far = bench.pair()
    bench.send_all(near, numbered(3, 100), far)
    bench.until(lambda: _announces(bench, far), far, near, what="announcement of a frame")
    for conn in (near, far):
        first = bench.vtable.poll_handle(conn)
        check(
            all(bench.vtable.poll_handle(conn) == first for _ in range(3)), "poll_handle says something else each time"
        )
    bench.receive(far, 3, near)


def _announces(bench: Bench, conn: Any) -> bool:
    spec = bench.vtable.poll_handle(conn)
    return spec.ready_now or bool(poll([spec], 0.0))


@case("4.9", Capability.RELIABLE)
def asks_to_be_flushed(bench: Bench) -> None:
    """What was accepted goes out by what poll_handle announces alone, without anybody calling for it."""
    near, far = bench.pair()
    for frame in numbered(3, 2000):
        check(bench.send(near, frame), "an idle connection had no room")
    check(bench.receive(far, 3, near) == numbered(3, 2000), "frames that nobody flushed arrived changed")


@case("4.10", Capability.RELIABLE)
def knows_of_late_frames(bench: Bench) -> None:
    """A frame that arrives between the last None and the wait is announced all the same, without a pump."""
    near, far = bench.pair()
    bench.vtable.poll_handle(far)
    check(bench.vtable.recv_frame(far, LIMIT) is None, "a frame came out that nobody sent")
    bench.send_all(near, numbered(1, 100))
    spec = bench.vtable.poll_handle(far)
    told = spec.ready_now or spec.deadline is not None or (spec.fd is not None and poll([spec], 5.0))
    check(told, "a frame that came just before the wait is not announced")
    bench.receive(far, 1, near)


@case("4.11", Capability.RELIABLE)
def forgets_the_waker(bench: Bench) -> None:
    """A waker that was taken back is never called again."""
    near, far = bench.pair()
    called: list[bool] = []
    for conn in (near, far):
        bench.vtable.set_waker(conn, lambda: called.append(True))
        bench.vtable.set_waker(conn, None)
    bench.talk(near, far)
    bench.vtable.close(near)
    bench.end_of(far, near)
    check(not called, "a waker was called that had been taken back")


@case("4.12", Capability.RELIABLE)
def replaces_the_waker(bench: Bench) -> None:
    """A new waker takes the place of the old one, which is never called again."""
    near, far = bench.pair()
    old: list[bool] = []
    new: list[bool] = []
    bench.vtable.recv_frame(far, LIMIT)
    bench.vtable.set_waker(far, lambda: old.append(True))
    bench.vtable.set_waker(far, lambda: new.append(True))
    before = bench.vtable.poll_handle(far)
    bench.send_all(near, numbered(1, 100), far)
    check(not old, "the waker was called in whose place there is another")
    check(new or (before.fd is not None and poll([before], 5.0)), "neither the new waker nor the descriptor told")
    bench.receive(far, 1, near)


@case("4.13", Capability.RELIABLE)
def wakes_in_its_thread(bench: Bench) -> None:
    """The waker is called in the thread that calls the transport, and no other."""
    near, far = bench.pair()
    threads: set[int] = set()
    for conn in (near, far):
        bench.vtable.set_waker(conn, lambda: threads.add(threading.get_ident()))
    for _ in range(3):
        bench.talk(near, far)
    bench.vtable.close(near)
    bench.end_of(far, near)
    check(threads <= {threading.get_ident()}, "a waker was called from another thread")


@case("4.14")
def announces_the_end(bench: Bench) -> None:
    """The end is announced to whoever waits already: readable descriptor, waker, or a time."""
    near, far = bench.pair()
    bench.vtable.recv_frame(far, LIMIT)
    called: list[bool] = []
    bench.vtable.set_waker(far, lambda: called.append(True))
    before = bench.vtable.poll_handle(far)
    bench.vtable.close(near)
    if before.fd is None:
        bench.until(lambda: bool(called), near, far, what="call of the waker at the end")
    else:
        bench.until_ready(before, near, what="end on the descriptor")
    bench.vtable.set_waker(far, None)
    bench.end_of(far, near)


@case("4.15")
def names_what_there_is(bench: Bench) -> None:
    """A descriptor that poll_handle names is open, is waited for in known directions, and times are finite."""
    listener = bench.listen()
    near = bench.dial(bench.vtable.local_uri(listener))
    far = bench.accept(listener, near)
    for endpoint in (listener, near, far):
        spec = bench.vtable.poll_handle(endpoint)
        check(isinstance(spec, PollSpec), f"poll_handle answers with a {type(spec).__name__}")
        check(spec.want & ~(READ | WRITE) == 0, f"want={spec.want} has a bit that nobody knows")
        if spec.fd is not None:
            os.fstat(spec.fd)
        check(spec.deadline is None or abs(spec.deadline) < 1e12, f"a deadline of {spec.deadline}")


@case("4.16")
def has_its_own_descriptor(bench: Bench) -> None:
    """Two connections name one descriptor only if both say that it is shared."""
    first, second = bench.pair(), bench.pair()
    owners: dict[int, PollSpec] = {}
    for conn in (*first, *second):
        spec = bench.vtable.poll_handle(conn)
        if spec.fd is None:
            continue
        other = owners.setdefault(spec.fd, spec)
        check(other is spec or (spec.shared and other.shared), f"descriptor {spec.fd} belongs to two connections")


@case("4.17", level="should")
def says_the_same_by_the_same(bench: Bench) -> None:
    """An idle connection answers with one and the same PollSpec, so that nobody has to compare it."""
    near, far = bench.pair()
    bench.talk(near, far)
    for conn in (near, far):
        bench.vtable.recv_frame(conn, LIMIT)
        first = bench.vtable.poll_handle(conn)
        bench.vtable.pump(conn, bench.clock.now(), READ)
        bench.vtable.recv_frame(conn, LIMIT)
        again = bench.vtable.poll_handle(conn)  # which may well name a later deadline
        check(again is first or again != first, "nothing has changed, and poll_handle made another PollSpec")
