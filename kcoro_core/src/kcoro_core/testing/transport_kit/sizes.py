# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 2, continued: frames of every size and shape, up to the limit and one byte more."""

from __future__ import annotations

import random

from ...errors import ProtocolError
from ...transport import Capability, RawFrame
from .bench import HEADER_BYTES, LIMIT, Bench, check, error_of, header, numbered
from .case import case


@case("2.8", Capability.RELIABLE)
def refuses_one_byte_too_many(bench: Bench) -> None:
    """One byte above the limit is a ProtocolError, whatever the limit is, and nothing is handed out."""
    for limit in (0, 1, 1000, LIMIT - HEADER_BYTES):
        near, far = bench.pair()
        bench.send_all(near, numbered(1, limit + 1), far)
        error = error_of(lambda far=far, near=near, limit=limit: bench.receive(far, 1, near, limit=limit))  # type: ignore[misc]
        check(isinstance(error, ProtocolError), f"{limit + 1} bytes with a limit of {limit}: {error!r}")


@case("2.9", Capability.RELIABLE)
def stays_unreadable(bench: Bench) -> None:
    """After a frame above the limit nothing is received any more, not even with a higher limit."""
    near, far = bench.pair()
    bench.send_all(near, numbered(2, 1001), far)
    error_of(lambda: bench.receive(far, 1, near, limit=1000))
    error = error_of(lambda: bench.vtable.recv_frame(far, LIMIT))
    check(isinstance(error, ProtocolError), f"a connection that had become unreadable gave {error!r}")


@case("2.10", Capability.RELIABLE)
def lets_the_limit_grow(bench: Bench) -> None:
    """The limit may be higher with each call: a small one for the greeting, a large one for what follows."""
    near, far = bench.pair()
    for size in (10, 1000, LIMIT):
        bench.send_all(near, numbered(1, size), far)
        check(bench.receive(far, 1, near, limit=size) == numbered(1, size), f"{size} bytes did not arrive")


@case("2.11", Capability.RELIABLE)
def counts_empty_frames(bench: Bench) -> None:
    """Frames without a payload arrive one by one, each with its header."""
    near, far = bench.pair()
    frames = numbered(100, 0)
    bench.send_all(near, frames, far)
    check(bench.receive(far, 100, near) == frames, "empty frames were lost, or run together")


@case("2.12", Capability.RELIABLE)
def keeps_every_bit_of_headers(bench: Bench) -> None:
    """Behind its length a header holds any 16 bytes, and all of them arrive."""
    near, far = bench.pair()
    for filling in (bytes(16), b"\xff" * 16, bytes(range(16)), b"\r\n\0\r\n\x1a\x04\x03" * 2):
        frame = RawFrame(header(3)[:4] + filling, b"abc")
        bench.send_all(near, [frame], far)
        check(bench.receive(far, 1, near) == [frame], f"a header with {filling.hex()} changed on its way")


@case("2.13", Capability.RELIABLE)
def hands_out_plain_bytes(bench: Bench) -> None:
    """Header and payload are bytes, which nobody can change, and exactly as long as they should be."""
    near, far = bench.pair()
    for size in (0, 5, 3000):
        bench.send_all(near, numbered(1, size), far)
        [frame] = bench.receive(far, 1, near)
        kinds = f"{type(frame.header).__name__} and {type(frame.payload).__name__}"
        check(type(frame.header) is bytes and type(frame.payload) is bytes, f"a frame is made of {kinds}")
        check(len(frame.header) == HEADER_BYTES and len(frame.payload) == size, "a frame is of another length")


@case("2.14", Capability.RELIABLE)
def leaves_frames_alone(bench: Bench) -> None:
    """A frame that was handed out stays what it is, whatever arrives later."""
    near, far = bench.pair()
    frames = numbered(40, 700)
    kept = []
    for frame in frames:
        bench.send_all(near, [frame], far)
        kept += bench.receive(far, 1, near)
    check(kept == frames, "a frame changed after it had been handed out")


@case("2.15", Capability.RELIABLE)
def joins_very_many_parts(bench: Bench) -> None:
    """A payload may come in more parts than a system call takes buffers."""
    near, far = bench.pair()
    parts = [bytes([i % 256]) * 3 for i in range(5000)]
    whole = b"".join(parts)
    check(bench.vtable.send_frame(near, header(len(whole)), parts, 0), "an idle connection had no room")
    bench.flush(near)
    [frame] = bench.receive(far, 1, near)
    check(frame.payload == whole, "of very many parts not all arrive, or not in order")


@case("2.16", Capability.ORDERED | Capability.RELIABLE)
def mixes_sizes(bench: Bench) -> None:
    """Large and small frames in any mixture arrive in the order in which they were sent."""
    near, far = bench.pair()
    dice = random.Random(16)
    sizes = [dice.choice((0, 1, 19, 20, 21, 2047, 2048, 2049, 30_000, LIMIT)) for _ in range(60)]
    frames = [RawFrame(header(size, i), bytes([i]) * size) for i, size in enumerate(sizes)]
    got: list[RawFrame] = []
    for start in range(0, len(frames), 10):
        for frame in frames[start : start + 10]:
            while not bench.send(near, frame):
                got += bench.receive(far, 1, near)
        bench.flush(near)
    got += bench.receive(far, len(frames) - len(got), near)
    check(got == frames, "frames of different sizes were mixed up, torn or lost")


@case("2.17", Capability.RELIABLE)
def answers_at_once(bench: Bench) -> None:
    """A frame arrives without another one behind it: question and answer go on and on."""
    near, far = bench.pair()
    for frame in numbered(50, 200):
        for sender, receiver in ((near, far), (far, near)):
            bench.send_all(sender, [frame], receiver)
            check(bench.receive(receiver, 1, sender) == [frame], "a frame was held back until the next one")


@case("2.18", Capability.RELIABLE)
def says_none_when_empty(bench: Bench) -> None:
    """When all has been taken recv_frame answers None, as often as it is asked, and raises nothing."""
    near, far = bench.pair()
    for _ in range(3):
        bench.send_all(near, numbered(2, 90), far)
        bench.receive(far, 2, near)
        for _ in range(3):
            check(bench.vtable.recv_frame(far, LIMIT) is None, "a frame came out that nobody sent")


@case("2.19", applies=lambda info: info.max_frame is not None)
def refuses_what_it_cannot_carry(bench: Bench) -> None:
    """A frame above max_frame is an error of its sender, told at once; the connection goes on."""
    most = bench.vtable.info.max_frame or 0
    near, far = bench.pair()
    [frame] = numbered(1, most - HEADER_BYTES + 1)
    check(error_of(lambda: bench.send(near, frame)) is not None, f"{most + 1} bytes were taken with max_frame={most}")
    bench.talk(near, far)
