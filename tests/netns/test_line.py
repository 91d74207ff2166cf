# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The line between two machines, with sockets in place of their devices: what it loses, keeps in order and counts."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .ground import Line, Weather

PACKETS = 300
IPV4, IPV6 = b"\x45", b"\x60"


@contextmanager
def line(weather: Weather, seed: int = 1) -> Iterator[tuple[Line, socket.socket, socket.socket]]:
    """A line, and what the kernels of both machines would hold."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for ours, _ in pairs:
        ours.setblocking(False)
    made = Line((pairs[0][0].detach(), pairs[1][0].detach()), weather, seed)
    made.start()
    with pairs[0][1] as near, pairs[1][1] as far:
        yield made, near, far
        made.stop()


def gather(made: Line, far: socket.socket, sent: int) -> list[bytes]:
    """What arrives, until something has become of each packet."""
    got: list[bytes] = []
    far.settimeout(0.01)
    while sum(made.counts(0)[fate] for fate in ("lost", "no room")) + len(got) < sent:
        try:
            got.append(far.recv(1000))
        except TimeoutError:
            continue
    return got


def arrived(weather: Weather, seed: int = 1) -> list[int]:
    """Which of many packets get through."""
    got: list[bytes] = []
    with line(weather, seed) as (made, near, far):
        for i in range(PACKETS):
            near.send(IPV4 + i.to_bytes(2, "big"))
            got += gather(made, far, i + 1 - len(got))
    assert made.counts(0)["passed"] == len(got)
    return [int.from_bytes(packet[1:], "big") for packet in got]


def test_a_seed_decides_which_packets_are_lost() -> None:
    """And what comes is in order. Row: N7."""
    got = arrived(Weather(loss=0.1))
    assert got == sorted(set(got)) == arrived(Weather(loss=0.1))
    assert PACKETS * 0.8 < len(got) < PACKETS * 0.97
    assert got != arrived(Weather(loss=0.1), seed=2)


def test_small_packets_can_be_spared() -> None:
    """So that what is lost is of one traffic and not of another. Row: N7."""
    with line(Weather(loss=1, spared=100)) as (made, near, far):
        near.send(IPV4 + bytes(100))
        near.send(IPV4 + bytes(99))
        assert len(far.recv(200)) == 100
    assert made.lost(0) == 1


def test_a_packet_takes_its_time_and_overtakes_none() -> None:
    """Delay is one way, and jitter holds up what comes behind. Row: N7."""
    with line(Weather(delay=0.05, jitter=0.02)) as (_, near, far):
        began = time.monotonic()
        for i in range(20):
            near.send(IPV4 + bytes([i]))
        assert [far.recv(10)[1] for _ in range(20)] == list(range(20))
        assert time.monotonic() - began >= 0.05


def test_a_narrow_line_drops_what_would_wait_for_too_long() -> None:
    """Nothing is lost unseen: each packet has passed or had no room. Row: N7."""
    with line(Weather(rate=10_000, queue=0.05)) as (made, near, far):
        began = time.monotonic()
        for _ in range(40):
            near.send(IPV4 + bytes(99))
        got = gather(made, far, 40)
        seconds = time.monotonic() - began
    assert made.counts(0)["no room"] == 40 - len(got) > 0
    assert 100 * len(got) / seconds < 10_000 * 1.2


def test_what_a_kernel_says_of_itself_is_no_packet_and_takes_no_draw() -> None:
    """Row: N7."""
    with line(Weather()) as (made, near, far):
        near.send(IPV6 + b"who is there?")
        near.send(IPV4 + b"hello")
        assert far.recv(100) == IPV4 + b"hello"
    assert made.counts(0)["bytes"] == 6


def test_a_line_leaves_nothing_behind() -> None:
    """Neither a thread nor a descriptor."""
    before = set(os.listdir("/proc/self/fd"))
    with line(Weather(delay=9)) as (_, near, _far):
        near.send(IPV4)
    assert set(os.listdir("/proc/self/fd")) <= before  # what earlier tests have left may go meanwhile


def test_pieces_into_which_a_kernel_has_cut_something_are_counted() -> None:
    """The first of them says that more follow, the last that it is not the first. Row: N7."""
    whole, first, last = (IPV4 + bytes(6 - len(IPV4)) + flags for flags in (b"\x40\x00", b"\x20\x00", b"\x00\xb9"))
    with line(Weather()) as (made, near, far):
        for packet in (whole, first, last):
            near.send(packet + bytes(20))
            far.recv(100)
    assert (made.counts(0)["passed"], made.counts(0)["fragments"]) == (3, 2)
