# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 2: frames arrive whole, unchanged, once, in order, and never larger than is acceptable."""

from __future__ import annotations

from ...errors import ProtocolError
from ...transport import Capability, RawFrame
from .bench import HEADER_BYTES, LIMIT, Bench, check, header, numbered
from .case import case

SIZES = (0, 1, 44, 4095, 4096, 65515, 65516, LIMIT)


@case("2.1", Capability.RELIABLE)
def keeps_bytes(bench: Bench) -> None:
    """Frames of every size from nothing to the limit arrive unchanged, in both directions."""
    near, far = bench.pair()
    for sender, receiver in ((near, far), (far, near)):
        for size in SIZES:
            payload = bytes(i * 7 % 256 for i in range(size))
            bench.send_all(sender, [RawFrame(header(size, size), payload)], receiver)
            [frame] = bench.receive(receiver, 1, sender)
            check(frame.header == header(size, size), f"the header changed on its way with {size} bytes")
            check(frame.payload == payload, f"a payload of {size} bytes changed on its way")


@case("2.2", Capability.RELIABLE)
def joins_parts(bench: Bench) -> None:
    """A payload given in parts, empty ones and views among them, arrives as if it were one, in bytes."""
    near, far = bench.pair()
    parts = [b"", b"a", b"", b"bc" * 1000, *[bytes([i]) for i in range(200)], b""]
    whole = b"".join(parts)
    check(bench.vtable.send_frame(near, header(len(whole)), parts, 0), "an idle connection had no room")
    bench.flush(near)
    [frame] = bench.receive(far, 1, near)
    check(frame.payload == whole, "the parts of a payload do not arrive as one")
    view: bytes = memoryview(whole)[100:1500]  # type: ignore[assignment]  # what a link sends of a long message
    for parts in ([view], [b"a", view, b"b"]):
        whole = b"".join(parts)
        check(bench.vtable.send_frame(near, header(len(whole)), parts, 0), "an idle connection had no room for a view")
        bench.flush(near)
        [frame] = bench.receive(far, 1, near)
        check(frame.payload == whole, "a part that is a view of bytes does not arrive as they do")
        check(isinstance(frame.payload, bytes), f"a payload arrives as {type(frame.payload).__name__}, not as bytes")


@case("2.3", Capability.ORDERED | Capability.RELIABLE)
def keeps_order(bench: Bench) -> None:
    """Two thousand frames arrive once each and in the order in which they were sent."""
    near, far = bench.pair()
    frames = numbered(2000, 64)
    got: list[RawFrame] = []
    for start in range(0, len(frames), 100):
        bench.send_all(near, frames[start : start + 100], far)
        got += bench.receive(far, 100, near)
    check(got == frames, "frames were lost, doubled or mixed up")


@case("2.4", Capability.RELIABLE)
def accepts_the_limit(bench: Bench) -> None:
    """A payload of exactly the limit is accepted, whatever the limit is."""
    near, far = bench.pair()
    for limit in (0, 1, 1000):
        bench.send_all(near, numbered(1, limit), far)
        [frame] = bench.receive(far, 1, near, limit=limit)
        check(len(frame.payload) == limit, f"a payload of {limit} bytes came as {len(frame.payload)}")


@case("2.5", Capability.RELIABLE)
def refuses_above_the_limit(bench: Bench) -> None:
    """A frame above the limit is a ProtocolError each time it is asked for, and a farewell can still be sent."""
    near, far = bench.pair()
    bench.send_all(near, numbered(1, 1001), far)
    for _ in range(2):
        try:
            bench.receive(far, 1, near, limit=1000)
        except ProtocolError:
            continue
        check(False, "a frame above the limit was handed out")
    bench.send_all(far, [RawFrame(header(7), b"goodbye")], near)
    [frame] = bench.receive(near, 1, far)
    check(frame.payload == b"goodbye", "the farewell did not arrive")


@case("2.6", Capability.RELIABLE)
def crosses(bench: Bench) -> None:
    """Both sides may send at the same time, more than the medium holds, without blocking each other."""
    near, far = bench.pair()
    frames = numbered(400, 8192)
    sent = {id(near): 0, id(far): 0}
    got: dict[int, list[RawFrame]] = {id(near): [], id(far): []}

    def exchanged() -> bool:
        for conn in (near, far):
            while sent[id(conn)] < len(frames) and bench.send(conn, frames[sent[id(conn)]]):
                sent[id(conn)] += 1
            bench.flush(conn)
        for conn in (near, far):
            while (frame := bench.vtable.recv_frame(conn, LIMIT)) is not None:
                got[id(conn)].append(frame)
        return all(len(taken) == len(frames) for taken in got.values())

    bench.until(exchanged, near, far, what="both directions to finish")
    check(all(taken == frames for taken in got.values()), "frames were lost, doubled or mixed up")


@case("2.7", applies=lambda info: info.max_frame is not None)
def keeps_its_word(bench: Bench) -> None:
    """The largest frame that the transport admits to can be sent, header included."""
    most = bench.vtable.info.max_frame or 0
    near, far = bench.pair()
    check(most > HEADER_BYTES, f"max_frame={most} has no room for a header")
    bench.send_all(near, numbered(1, most - HEADER_BYTES), far)
    [frame] = bench.receive(far, 1, near, limit=most)
    check(len(frame.payload) == most - HEADER_BYTES, "the largest frame did not arrive whole")
