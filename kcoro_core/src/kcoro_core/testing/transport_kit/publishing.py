# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 14: publishing, for transports that do not claim POINT_TO_POINT. Many listen, and nobody answers."""

from __future__ import annotations

from typing import Any

from ...errors import NotSupported
from ...transport import READ, Capability, RawFrame, TransportInfo
from .bench import LIMIT, Bench, check, error_of, numbered
from .case import case

PACKET = 500


def publishes(info: TransportInfo) -> bool:
    """Whether a transport has many peers, or none."""
    return Capability.POINT_TO_POINT not in info.capabilities


def heard(bench: Bench, listener: Any, sender: Any, frames: list[RawFrame]) -> tuple[Any, list[RawFrame]]:
    """Publish until ``listener`` has heard something; its end of that, and what it heard."""
    conns: list[Any] = []
    got: list[RawFrame] = []

    def something() -> bool:
        for frame in frames:
            bench.send(sender, frame)
        bench.flush(sender)
        bench.vtable.pump(listener, bench.clock.now(), READ)
        if (conn := bench.try_accept(listener)) is not None:
            conns.append(conn)
        for conn in conns:
            while (frame_heard := bench.vtable.recv_frame(conn, LIMIT)) is not None:
                got.append(frame_heard)
        return bool(got)

    bench.until(something, listener, sender, what="packet that was published")
    return conns[0], got


@case("14.1", applies=publishes, one_sided=True)
def is_heard_by_all(bench: Bench) -> None:
    """Whoever listens hears what is published, each for himself, unchanged."""
    first, second = bench.listen(), bench.listen()
    sender = bench.dial(bench.vtable.local_uri(first))
    frames = numbered(10, PACKET)
    for listener in (first, second):
        _, got = heard(bench, listener, sender, frames)
        check(all(frame in frames for frame in got), "a packet was heard that nobody has published")


@case("14.2", applies=publishes, one_sided=True)
def needs_no_listener(bench: Bench) -> None:
    """Publishing needs nobody who listens, is no error without one, and leaves nothing to be waited for."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    bench.vtable.close(listener)
    sender = bench.dial(uri)
    for frame in numbered(10, PACKET):
        check(bench.send(sender, frame), "a packet found no room although nothing is under way")
    bench.flush(sender)
    check(bench.vtable.recv_frame(sender, LIMIT) is None, "something came back")
    check(not bench.vtable.poll_handle(sender).ready_now, "a sender that has nothing to do asks for attention")
    check(bench.vtable.tx_backlog(sender) == 0, "a packet is held back")


@case("14.3", applies=publishes, one_sided=True)
def refuses_answers(bench: Bench) -> None:
    """Whoever listens cannot answer, and is told so by NotSupported; what was heard is not lost by that."""
    listener = bench.listen()
    sender = bench.dial(bench.vtable.local_uri(listener))
    frames = numbered(5, PACKET)
    conn, _ = heard(bench, listener, sender, frames)
    error = error_of(lambda: bench.send(conn, frames[0]))
    check(isinstance(error, NotSupported), f"an answer to everybody: {error!r}")
    bench.vtable.recv_frame(conn, LIMIT)
