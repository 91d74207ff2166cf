# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 5: how a connection ends. One error, always the same, and only after everything that had arrived."""

from __future__ import annotations

import os
from typing import Any

from ...errors import KcoroError, TransportError
from ...transport import Capability, PollSpec
from .bench import LIMIT, Bench, check, numbered
from .case import case

DESCRIPTORS = "/proc/self/fd"  # without it there is nothing to count by


@case("5.1", Capability.RELIABLE)
def delivers_before_the_end(bench: Bench) -> None:
    """What was sent before an orderly close arrives, and then the end is told as TransportError."""
    near, far = bench.pair()
    frames = numbered(20, 1000)
    bench.send_all(near, frames, far)
    bench.vtable.close(near)
    check(bench.receive(far, 20, near) == frames, "frames sent before the close were lost")
    error = bench.end_of(far, near)
    check(isinstance(error, TransportError), f"the end came as {error!r}")


@case("5.2")
def ends_once(bench: Bench) -> None:
    """After the end every data call raises one and the same TransportError."""
    near, far = bench.pair()
    bench.vtable.abort(near)
    first = bench.end_of(far)
    for _ in range(2):
        check(_error_of(lambda: bench.vtable.recv_frame(far, LIMIT)) is first, "recv_frame raised another error")
        check(_error_of(lambda: bench.send(far, numbered(1, 0)[0])) is first, "send_frame raised another error")


@case("5.3")
def ends_repeatedly(bench: Bench) -> None:
    """close and abort may be repeated, in any order, on connections and listeners."""
    near, far = bench.pair()
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    for _ in range(2):
        bench.vtable.close(near)
        bench.vtable.abort(near)
        bench.vtable.abort(far)
        bench.vtable.close(far)
        bench.vtable.close(listener)


@case("5.4")
def refuses_after_close(bench: Bench) -> None:
    """After our own close nothing can be sent or received, and poll_handle comes to name nothing."""
    near, far = bench.pair()
    bench.vtable.close(near)
    check(isinstance(_error_of(lambda: bench.send(near, numbered(1, 5)[0])), TransportError), "a closed end sends")
    check(isinstance(_error_of(lambda: bench.vtable.recv_frame(near, LIMIT)), TransportError), "a closed end receives")
    bench.end_of(far, near)
    bench.vtable.close(far)
    _until_at_rest(bench, near)
    check(bench.vtable.tx_backlog(near) == 0, "a closed connection has a backlog")


@case("5.5", Capability.RELIABLE)
def flushes_when_closing(bench: Bench) -> None:
    """What was accepted before an orderly close still goes out, by pumping, even from a full connection."""
    near, far = bench.pair()
    [frame] = numbered(1, 4096)
    taken = bench.fill(near, frame)
    bench.vtable.close(near)
    got = bench.receive(far, taken, near)
    check(got == [frame] * taken, "frames accepted before the close were lost")
    bench.end_of(far, near)


@case("5.6")
def drops_the_unaccepted(bench: Bench) -> None:
    """A listener that closes ends the connections that nobody accepted."""
    listener = bench.listen()
    conn = bench.dial(bench.vtable.local_uri(listener))
    bench.vtable.close(listener)
    check(isinstance(bench.end_of(conn), TransportError), "the end came as another error")
    check(isinstance(_error_of(lambda: bench.vtable.accept(listener)), TransportError), "a closed listener accepts")


@case("5.7", applies=lambda info: os.path.isdir(DESCRIPTORS))
def gives_back_descriptors(bench: Bench) -> None:
    """Fifty connections, refused and broken ones among them, leave no descriptor open."""
    before = len(os.listdir(DESCRIPTORS))
    for i in range(50):
        _come_and_go(bench, i)
    left = len(os.listdir(DESCRIPTORS)) - before
    check(left <= 0, f"{left} descriptors stayed open")


def _come_and_go(bench: Bench, i: int) -> None:
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    near = bench.dial(bench.vtable.local_uri(listener))
    if i % 3:
        far = bench.accept(listener, near)
        (bench.vtable.abort if i % 3 == 1 else bench.vtable.close)(far)
        bench.end_of(near, far)
        bench.vtable.close(near)
        _until_at_rest(bench, far)
    bench.vtable.close(listener)
    bench.vtable.close(near)
    _until_at_rest(bench, near)


def _until_at_rest(bench: Bench, closed: Any) -> None:
    """A connection that was closed may wait for the other side's end, and for nothing else."""
    at_rest = PollSpec()
    bench.until(lambda: bench.vtable.poll_handle(closed) == at_rest, closed, what="rest after a close")


def _error_of(call: Any) -> BaseException | None:
    try:
        call()
    except KcoroError as error:
        return error
    return None
