# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 15: datagrams beside the frames, for transports that claim DATAGRAMS. Any may be lost; the rest is promised."""

from __future__ import annotations

from typing import Any, Final

from ...errors import MessageTooLong, TransportError
from ...transport import READ, WRITE, Capability, RawFrame
from .bench import HEADER_BYTES, Bench, check, error_of, header, numbered
from .case import case

MOST: Final = 10_000
"""Datagrams after which a connection that nobody pumps has to be full."""
UNTAKEN_BYTES: Final = 1 << 20
"""What may wait for somebody who never takes it."""


def sized(bench: Bench, conn: Any, mark: int = 0) -> RawFrame:
    """The largest datagram that there can be now."""
    size = largest(bench, conn)
    return RawFrame(header(size, mark), bytes([mark % 251]) * size)


def largest(bench: Bench, conn: Any) -> int:
    """Bytes of the largest payload."""
    limit = bench.vtable.datagram_limit
    size = 0 if limit is None else limit(conn) - HEADER_BYTES
    check(size > 0, "a connection that is open carries no datagrams, although its transport claims DATAGRAMS")
    return size


def send(bench: Bench, conn: Any, datagram: RawFrame) -> bool:
    """Send one; whether it was taken."""
    return bench.vtable.send_datagram(conn, datagram.header, [datagram.payload])  # type: ignore[misc]


def take(bench: Bench, conn: Any) -> list[RawFrame]:
    """All that have come."""
    got = []
    while (one := bench.vtable.recv_datagram(conn)) is not None:  # type: ignore[misc]
        got.append(one)
    return got


def carry(bench: Bench, near: Any, far: Any, *sent: RawFrame) -> None:
    """Send the last of these until it comes; others may still come, those that were sent before, and nothing else."""

    def came() -> bool:
        if send(bench, near, sent[-1]):
            bench.vtable.pump(near, bench.clock.now(), READ | WRITE)
        got = take(bench, far)
        check(all(one in sent for one in got), "a datagram has changed on its way, or nobody has sent it")
        return sent[-1] in got

    bench.until(came, near, far, what="datagram")


@case("15.1", Capability.DATAGRAMS)
def carries_any_length(bench: Bench) -> None:
    """A datagram of any length up to the limit arrives as it was sent, in both directions, or not at all."""
    near, far = bench.pair()
    bench.talk(near, far)
    for sender, receiver in ((near, far), (far, near)):
        most = largest(bench, sender)
        sent: list[RawFrame] = []
        for mark, size in enumerate((0, 1, most // 2, most - 1, most)):
            sent.append(RawFrame(header(size, mark), bytes([mark]) * size))
            carry(bench, sender, receiver, *sent)


@case("15.2", Capability.DATAGRAMS)
def refuses_what_is_too_long(bench: Bench) -> None:
    """A datagram above the limit is refused by MessageTooLong, and the connection goes on as before."""
    near, far = bench.pair()
    bench.talk(near, far)
    size = largest(bench, near) + 1
    error = error_of(lambda: send(bench, near, RawFrame(header(size), bytes(size))))
    check(isinstance(error, MessageTooLong), f"a datagram that is too long: {error!r}")
    bench.talk(near, far)
    carry(bench, near, far, sized(bench, near))


@case("15.3", Capability.DATAGRAMS)
def is_full_sometime_and_has_room_again(bench: Bench) -> None:
    """Where nobody pumps, a connection takes a bounded number; poll_handle announces when there is room again."""
    near, far = bench.pair()
    bench.talk(near, far)
    datagram = sized(bench, near)
    check(any(not send(bench, near, datagram) for _ in range(MOST)), f"{MOST} datagrams were taken, and none was sent")
    bench.until(lambda: send(bench, near, datagram), near, far, what="room for a datagram")


@case("15.4", Capability.DATAGRAMS | Capability.RELIABLE | Capability.ORDERED)
def leaves_frames_alone(bench: Bench) -> None:
    """Frames arrive all and in order, whatever datagrams are sent between them, and are told apart from those."""
    near, far = bench.pair()
    bench.talk(near, far)
    frames = numbered(50, 300)
    for i, frame in enumerate(frames):
        send(bench, near, sized(bench, near, 1000 + i))
        bench.send_all(near, [frame], far)
    got = bench.receive(far, len(frames), near)
    check(got == frames, "frames were lost, mixed up, or handed out with datagrams among them")
    check(not [one for one in take(bench, far) if one in frames], "a frame was handed out as a datagram")


@case("15.5", Capability.DATAGRAMS)
def bounds_what_nobody_takes(bench: Bench) -> None:
    """Datagrams that nobody takes cost a bounded amount, and hold up no frame."""
    near, far = bench.pair()
    bench.talk(near, far)
    datagram, sent = sized(bench, near), 0

    def all_sent() -> bool:
        nonlocal sent
        while sent < 2 * UNTAKEN_BYTES and send(bench, near, datagram):
            sent += len(datagram.payload)
        return sent >= 2 * UNTAKEN_BYTES

    bench.until(all_sent, near, far, what="room for a datagram")
    bench.send_all(near, numbered(1, 100), far)
    bench.receive(far, 1, near)
    kept = sum(len(one.payload) for one in take(bench, far))
    check(kept <= UNTAKEN_BYTES, f"{kept} bytes of datagrams were kept for somebody who did not take them")


@case("15.6", Capability.DATAGRAMS)
def ends_with_the_connection(bench: Bench) -> None:
    """Behind the end no datagram is taken, by the same error as for frames, and none is handed out."""
    near, far = bench.pair()
    bench.talk(near, far)
    datagram = sized(bench, near)
    carry(bench, near, far, datagram)
    bench.vtable.abort(near)
    error = error_of(lambda: send(bench, near, datagram))
    same = error_of(lambda: bench.send(near, numbered(1, 1)[0]))
    check(isinstance(error, TransportError) and error is same, f"behind the end: {error!r}, and of a frame {same!r}")
    check(not take(bench, near), "a datagram was handed out behind the end")
