# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is fuzzed, under which name, and with which inputs it begins."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from kcoro_core.wire.commands import Command
from kcoro_core.wire.fields import encode_tlvs
from kcoro_core.wire.hello import Hello, encode_hello

from ..wire.transcripts import TRANSCRIPTS
from .datagrams import LEAPS, fuzz_datagrams
from .decoders import NUMBERS, fuzz_frames, fuzz_handshake, fuzz_payloads
from .lies import LIES, TRUTH
from .links import fuzz_link
from .lossy import fuzz_lossy
from .stories import first_stories
from .talk import fuzz_connection

__all__ = ["TARGETS", "Target"]


@frozen
class Target:
    """``run`` takes any input; what it lets escape is a defect. ``seeds``: inputs that are worth changing."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    max_len: int = 256  # longer ones are seldom worth their time
    merge: tuple[str, ...] = ()  # how libFuzzer chooses what is kept


def _recorded_streams() -> list[bytes]:
    """A stream of each side of each transcript, behind the size of its pieces."""
    streams = {transcript.stream(side) for transcript in TRANSCRIPTS.values() for side in transcript.steps}
    return [b"\x07" + stream for stream in sorted(streams)]


def _recorded_hellos() -> list[bytes]:
    frames = (frame for one in TRANSCRIPTS.values() for frame in one.frames())
    said = {bytes(frame.payload) for frame in frames if frame.command == Command.HELLO}
    named = encode_hello(Hello(b"n" * 16, b"c" * 8, software="somebody"))
    with_mask = [encode_hello(Hello(b"n" * 16, b"c" * 8)) + encode_tlvs({1: b"\1" * size}) for size in (4, 3, 5)]
    return [*sorted(said), named, named[:-1] + b"\xff", *with_mask]


def _recorded_payloads() -> list[bytes]:
    """Every payload, given to every decoder: what is not meant for it is a good beginning, too."""
    payloads = {bytes(frame.payload) for one in TRANSCRIPTS.values() for frame in one.frames()}
    return [bytes([number]) + payload for number in sorted(NUMBERS) for payload in sorted(payloads)]


def _first_steps() -> list[bytes]:
    """Open, answer, send, receive, settle, with crossings between."""
    lives = [[0, 200, 72, 8, 200, 129], [32, 200, 8, 200, 1, 2, 200], [0, 32, 200, 8, 72, 200, 1, 34, 2, 5, 200, 7]]
    lives.append([0, 200, 72, 8, 200, 26, 200, 28, 92, 200, 27, 200, 8, 72, 200, 29, 200])
    return [bytes([side, *life * times]) for side in (0, 1) for life in lives for times in (1, 3)] + first_stories()


def _first_acts() -> list[bytes]:
    """The program opens, sends, receives, selects; the peer does the same; crossings between, without a lie."""
    cross = [200, *[31] * 9]  # 31 is nothing where a step is read, and true and not at once elsewhere
    answer = [72, 0, 1]
    opened, lent = [*cross, *answer, 0, *cross], [*cross, *answer, 0, 1, *cross]
    element, done = [*cross, *answer, 9, 1, *cross], [*cross, *answer, *cross]
    peer_opens, peer_is_lent = [64, *cross, *cross], [82, *cross, *cross]
    lives = [
        [0, 0, *opened, 1, 0, 0, 0, *done, 2, 0, 0, *element],
        [0, 0, *opened, 4, 0, 9, 1, *cross, 10, 9, *cross],
        [0, 0, *opened, 2, 0, 0, *cross, 9, 0, *cross, *cross, 15, 2, *cross],
        [0, 1, *lent, 1, 0, 9, 0, 1, 0, 9, 0, *cross, *cross],
        [0, 2, *cross, *answer, 0, *element, 2, 0, 0, *cross],
        [0, 0, *opened, 6, 0, *done, 7, 0, *cross, *cross],
        [*peer_opens, 65, 0, 9, 0, *cross, 11, 0, *cross, *cross],
        [*peer_opens, 10, 9, 10, 9, 66, 0, 0, *cross, *cross, 71, 0, 1, *cross],
        [*peer_opens, 66, 0, 0, *cross, 10, 9, *cross, *cross, 70, 0, *cross, *cross],
        [*peer_opens, 86, 0, 10, 9, *cross, *cross, 12, 1, *cross, 71, 0, 0, *cross],
        [*peer_is_lent, 83, 0, 9, 83, 0, 9, *cross, 11, 0, *cross, 10, 9, *cross],
        [*peer_opens, 90, 0, 0, 1, *cross, 10, 9, *cross, 91, 0, 1, *cross, 71, 0, 1, *cross],
        [5, 0, 7, *cross, 72, 0, 1, 9, *cross, 80, 0, 0, 5, *cross, *cross],
    ]
    return [bytes([side, 0, shape, *life]) for side in (0, 1) for shape in range(5) for life in lives]


def _leaps() -> list[bytes]:
    """Each leap behind a few plain steps, for each kind; nothing untrue."""
    steps = [b"\0\0\0" * 3 + bytes([leap, 0, 0]) * times for leap in range(len(LEAPS)) for times in (1, 2)]
    return [bytes([kind, first]) + step for kind in range(3) for first in (0, 2) for step in steps]


def _leaps_beside() -> list[bytes]:
    """Each leap behind a plain step, as a datagram and as a frame; then each lie."""
    ways = (bytes([1, 2, 65, 66, 0]), bytes([0, 2, 65, 66]))
    leaps = [bytes([leap]) + way for leap in range(len(LEAPS)) for way in ways]
    lies = [b"\0\1\1\101" + bytes([TRUTH + lie, 5, 3, 9]) for lie in sorted(LIES)]
    return [b"\0\1\1\101\0" * 3 + one for one in (*leaps, *lies)]


TARGETS = {
    target.name: target
    for target in (
        Target("frames", fuzz_frames, _recorded_streams, max_len=512),
        Target("handshake", fuzz_handshake, _recorded_hellos),
        Target("payloads", fuzz_payloads, _recorded_payloads),
        Target("datagrams", fuzz_datagrams, _leaps),
        Target("lossy", fuzz_lossy, _leaps_beside),
        Target("connection", fuzz_connection, _first_steps),
        Target("link", fuzz_link, _first_acts, merge=("-use_counters=0",)),  # else a thousand slow ones
    )
}
"""By name."""
