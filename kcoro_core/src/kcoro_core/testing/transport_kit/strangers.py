# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 10: bytes that no transport has made. A stranger writes to the medium; the worst that may come is the end.

They apply where the kit gets at the medium: see ``medium.py``. ``frames`` are written where frames lie on the medium as
they are, garbage anywhere.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tracemalloc
from typing import Any, Final

from ...errors import ProtocolError, TransportError
from ...transport import READ, RawFrame
from .bench import LIMIT, Bench, check, error_of, header, numbered, poll
from .case import case
from .medium import carries_frames, has_a_door, is_open_to_strangers, stranger, tap

DESCRIPTORS: Final = "/proc/self/fd"
GLANCE_SECONDS: Final = 0.002
"""How long it may take on one machine until written bytes can be read."""
MOST_BYTES: Final = 8 << 20
"""What a connection may need for a stranger's announcement; far less than was announced."""


def hear(bench: Bench, conn: Any) -> list[RawFrame]:
    """Take what has come of what a stranger wrote, by waiting for what is announced, until nothing is."""
    frames: list[RawFrame] = []
    for _ in range(2000):
        spec = bench.vtable.poll_handle(conn)
        ready = poll([spec], 0.0 if spec.ready_now else GLANCE_SECONDS)
        if not ready and not spec.ready_now:
            return frames
        bench.vtable.pump(conn, bench.clock.now(), READ)
        while (frame := bench.vtable.recv_frame(conn, LIMIT)) is not None:
            check(len(frame.payload) <= LIMIT, f"a frame of {len(frame.payload)} bytes came out")
            frames.append(frame)
    check(False, "something is announced for ever: whoever drives this would spin")
    return frames


@case("10.1", over=carries_frames)
def puts_torn_frames_together(bench: Bench) -> None:
    """A frame that arrives byte by byte comes out whole, once, and only with its last byte."""
    near, far = bench.pair()
    [frame] = numbered(1, 30)
    with tap(bench, near) as sock:
        for byte in frame.header + frame.payload[:-1]:
            sock.sendall(bytes([byte]))
            check(hear(bench, far) == [], "half a frame came out")
        sock.sendall(frame.payload[-1:])
    check(bench.receive(far, 1) == [frame], "a torn frame came out changed")


@case("10.2", over=carries_frames)
def splits_joined_frames(bench: Bench) -> None:
    """Frames that arrive in one piece come out one by one."""
    near, far = bench.pair()
    frames = numbered(100, 40)
    with tap(bench, near) as sock:
        sock.sendall(b"".join(frame.header + frame.payload for frame in frames))
    check(bench.receive(far, 100) == frames, "frames that arrived in one piece were not told apart")


@case("10.3", over=carries_frames)
def refuses_before_reading(bench: Bench) -> None:
    """A header that announces too much is refused by itself, without a byte of its payload."""
    for length in (LIMIT + 1, 1 << 24, (1 << 32) - 1):
        near, far = bench.pair()
        with tap(bench, near) as sock:
            sock.sendall(header(length))
            error = error_of(lambda far=far: bench.receive(far, 1))  # type: ignore[misc]
            check(isinstance(error, ProtocolError), f"{length} bytes were announced: {error!r}")


@case("10.4", over=carries_frames)
def believes_no_length(bench: Bench) -> None:
    """What is announced is not allocated: memory grows with what has come."""
    near, far = bench.pair()
    tracemalloc.start()
    try:
        with tap(bench, near) as sock:
            sock.sendall(header((1 << 32) - 1) + bytes(100))
            with contextlib.suppress(ProtocolError, TransportError):
                hear(bench, far)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check(peak < MOST_BYTES, f"{peak} bytes were taken for a frame of which 120 had come")


@case("10.5", over=carries_frames)
def tells_torn_ends(bench: Bench) -> None:
    """An end inside a frame is a TransportError, and what there is of the frame never comes out."""
    [frame] = numbered(1, 100)
    whole = frame.header + frame.payload
    for length in (1, 4, 19, 20, 21, 119):
        near, far = bench.pair()
        with tap(bench, near) as sock:
            sock.sendall(whole + whole[:length])
            sock.shutdown(socket.SHUT_WR)
        check(bench.receive(far, 1) == [frame], "a whole frame before a torn one was lost")
        check(isinstance(bench.end_of(far), TransportError), f"the end behind {length} bytes is no TransportError")


@case("10.6", over=carries_frames)
def waits_quietly_for_the_rest(bench: Bench) -> None:
    """With half a frame a connection waits for the other half, and for nothing else: it does not spin."""
    near, far = bench.pair()
    [frame] = numbered(1, 5000)
    whole = frame.header + frame.payload
    with tap(bench, near) as sock:
        for length in (10, 20, 3000):
            sock.sendall(whole[:length])
            whole = whole[length:]
            check(hear(bench, far) == [], "half a frame came out")
            spec = bench.vtable.poll_handle(far)
            check(not spec.ready_now and not poll([spec], 0.0), f"with half a frame a connection says {spec}")
        sock.sendall(whole)
    check(bench.receive(far, 1) == [frame], "a frame that came in four pieces was changed")


@case("10.7", over=is_open_to_strangers)
def bears_garbage(bench: Bench) -> None:
    """Any bytes at all end in frames of at most the limit, a ProtocolError or a TransportError, and nothing else."""
    dice = random.Random(107)
    for _ in range(60):
        near, far = bench.pair()
        with tap(bench, near) as sock:
            blob = dice.randbytes(dice.choice((1, 5, 20, 33, 400)))
            blob = dice.choice((blob, b"\0" * 3 + blob, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + blob))
            with contextlib.suppress(OSError):
                sock.sendall(blob)
        bench.vtable.abort(near)
        with contextlib.suppress(ProtocolError, TransportError):
            hear(bench, far)
        bench.vtable.abort(far)


@case("10.8", over=is_open_to_strangers)
def keeps_others_out_of_it(bench: Bench) -> None:
    """Garbage on one connection is the end of no other, and the next guest is welcome."""
    near, far = bench.pair()
    bad, victim = bench.pair()
    with tap(bench, bad) as sock:
        sock.sendall(b"\xff" * 200)
    with contextlib.suppress(ProtocolError, TransportError):
        hear(bench, victim)
    bench.talk(near, far)
    bench.talk(*bench.pair())


@case("10.9", over=has_a_door)
def lets_nobody_wait_for_the_silent(bench: Bench) -> None:
    """Strangers who connect and say nothing hold up nobody who comes after them."""
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    first = bench.dial(bench.vtable.local_uri(listener))
    bench.accept(listener, first)
    silent = [stranger(bench, first) for _ in range(3)]
    try:
        near = bench.dial(bench.vtable.local_uri(listener))
        _until_one_talks(bench, listener, near)
    finally:
        for sock in silent:
            sock.close()


def _until_one_talks(bench: Bench, listener: Any, near: Any) -> None:
    """Accept whoever there is until one of them has sent our frame."""
    [frame] = numbered(1, 64)
    guests: list[Any] = []
    sent = False

    def heard() -> bool:
        nonlocal sent
        if (guest := bench.try_accept(listener)) is not None:
            guests.append(guest)
        if not sent and (sent := bench.send(near, frame)):
            bench.flush(near)
        for guest in guests:
            with contextlib.suppress(TransportError, ProtocolError):
                bench.vtable.pump(guest, bench.clock.now(), READ)
                if bench.vtable.recv_frame(guest, LIMIT) == frame:
                    return True
        return False

    bench.until(heard, listener, near, what="a guest behind the silent ones")


@case("10.10", over=has_a_door)
def accepts_behind_those_who_left(bench: Bench) -> None:
    """Strangers who connect and leave at once hold up nobody, and are no error of accept."""
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    first = bench.dial(bench.vtable.local_uri(listener))
    bench.accept(listener, first)
    for _ in range(5):
        stranger(bench, first).close()
    near = bench.dial(bench.vtable.local_uri(listener))
    _until_one_talks(bench, listener, near)


@case("10.11", over=has_a_door, applies=lambda info: os.path.isdir(DESCRIPTORS))
def keeps_nothing_of_strangers(bench: Bench) -> None:
    """Strangers leave no descriptor behind: those who left at once, and those who wrote garbage."""
    listener = bench.listen(bench.uri.partition(":")[0] + ":")
    first = bench.dial(bench.vtable.local_uri(listener))
    bench.accept(listener, first)
    before = len(os.listdir(DESCRIPTORS))
    for i in range(30):
        sock = stranger(bench, first)
        with contextlib.suppress(OSError):
            sock.sendall(b"\xff" * 40 * (i % 2))
        sock.close()
        bench.vtable.pump(listener, bench.clock.now(), READ)
        while (guest := bench.vtable.accept(listener)) is not None:
            with contextlib.suppress(ProtocolError, TransportError):
                hear(bench, guest)
            bench.vtable.abort(guest)
    spec = bench.vtable.poll_handle(listener)
    bench.vtable.pump(listener, spec.deadline or bench.clock.now(), READ)
    left = len(os.listdir(DESCRIPTORS)) - before
    check(left <= 0, f"{left} descriptors of strangers stayed open")
