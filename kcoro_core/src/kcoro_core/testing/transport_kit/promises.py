# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 11: capabilities are promises. They are kept when the medium is at its worst, and none is claimed in vain.

Where the medium is a socket, its buffers are made as small as the kernel allows, so that every write is torn.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from ...transport import READ, Capability, RawFrame
from .bench import LIMIT, Bench, check, header, numbered
from .case import case
from .medium import is_network, tap


def narrow(bench: Bench, *conns: Any) -> None:
    """Leave as little room in the medium as there can be."""
    for conn in conns:
        with contextlib.suppress(OSError), tap(bench, conn) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            if sock.family == socket.AF_UNIX:  # a network with so small a window would rather wait than send
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)


def push(bench: Bench, near: Any, far: Any, frames: list[RawFrame]) -> list[RawFrame]:
    """Send everything as fast as it is taken, reading one frame at a time; what has arrived."""
    got: list[RawFrame] = []
    waiting = list(reversed(frames))

    def done() -> bool:
        while waiting and bench.send(near, waiting[-1]):
            waiting.pop()
        bench.flush(near)
        if (frame := bench.vtable.recv_frame(far, LIMIT)) is not None:
            got.append(frame)
        return len(got) >= len(frames)

    bench.until(done, near, far, what="all frames")
    return got


@case("11.1", Capability.ORDERED | Capability.RELIABLE)
def is_ordered_when_narrow(bench: Bench) -> None:
    """ORDERED: through the narrowest medium frames arrive in the order in which they were sent."""
    near, far = bench.pair()
    narrow(bench, near, far)
    frames = [RawFrame(header(size, i), bytes([i]) * size) for i, size in enumerate((9000, 1, 0, 20_000, 500) * 12)]
    check(push(bench, near, far, frames) == frames, "frames were mixed up, changed or lost")


@case("11.2", Capability.RELIABLE)
def is_reliable_when_narrow(bench: Bench) -> None:
    """RELIABLE: what was accepted by a connection that is full all the time arrives, once, in both directions."""
    near, far = bench.pair()
    narrow(bench, near, far)
    frames = numbered(60, 7000)
    for sender, receiver in ((near, far), (far, near)):
        got = push(bench, sender, receiver, frames)
        check(sorted(frame.header for frame in got) == [frame.header for frame in frames], "frames lost or doubled")


@case("11.3", applies=lambda info: Capability.RELIABLE not in info.capabilities)
def invents_nothing(bench: Bench) -> None:
    """Without RELIABLE frames may be lost; what arrives is still what was sent, whole and unchanged."""
    near, far = bench.pair()
    frames = {frame.header: frame for frame in numbered(200, 300)}
    arrived = 0
    for frame in frames.values():
        bench.send(near, frame)
        bench.flush(near)
        bench.vtable.pump(far, bench.clock.now(), READ)
        while (got := bench.vtable.recv_frame(far, LIMIT)) is not None:
            check(frames.get(got.header) == got, "a frame arrived that nobody sent")
            arrived += 1
    check(arrived, "of 200 frames none has arrived")


@case("11.4", applies=lambda info: Capability.STREAMS not in info.capabilities)
def has_one_order_for_all_lanes(bench: Bench) -> None:
    """Without STREAMS the lane of a frame means nothing: all lanes are one stream, in one order."""
    near, far = bench.pair()
    frames = numbered(30, 100)
    for i, frame in enumerate(frames):
        check(bench.vtable.send_frame(near, frame.header, [frame.payload], i % 7), "an idle connection had no room")
    bench.flush(near)
    if Capability.RELIABLE | Capability.ORDERED in bench.vtable.info.capabilities:
        check(bench.receive(far, 30, near) == frames, "frames of different lanes were mixed up or lost")


@case("11.5", Capability.STREAMS)
def has_lanes_of_their_own(bench: Bench) -> None:
    """STREAMS: frames of one lane keep their order, and a full lane does not stop the others."""
    near, far = bench.pair()
    [frame] = numbered(1, 4096)
    while bench.vtable.send_frame(near, frame.header, [frame.payload], 4):
        bench.flush(near)
    [_, other] = numbered(2, 4096)
    bench.until(lambda: bench.vtable.send_frame(near, other.header, [other.payload], 8), near, what="room in a lane")
    bench.flush(near)
    bench.until(lambda: bench.vtable.recv_frame(far, LIMIT) == other, far, near, what="frame of the other lane")


@case("11.6", Capability.CONFIDENTIAL, over=is_network)
def hides_what_it_sends(bench: Bench) -> None:
    """CONFIDENTIAL: what lies on the network is not what was sent."""
    near, far = bench.pair()
    secret = b"nobody but the peer can read this" * 20
    bench.talk(near, far)
    bench.send_all(near, [RawFrame(header(len(secret)), secret)])
    with tap(bench, far) as sock:
        on_the_way = sock.recv(LIMIT, socket.MSG_PEEK)
    check(on_the_way and secret[:33] not in on_the_way, "what was sent can be read on the network")
    bench.receive(far, 1, near)


@case("11.7", Capability.POINT_TO_POINT)
def has_one_peer(bench: Bench) -> None:
    """POINT_TO_POINT: another connection to the same listener gets nothing of what is sent on the first."""
    near, far = bench.pair()
    third, fourth = bench.pair()
    bench.send_all(near, numbered(5, 100), far)
    bench.receive(far, 5, near)
    for other in (third, fourth):
        bench.vtable.pump(other, bench.clock.now(), READ)
        check(bench.vtable.recv_frame(other, LIMIT) is None, "a frame came out at somebody else")
