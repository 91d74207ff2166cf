# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A line between two kernels: reads packets from one device and writes them to the other, late, or never.

Rule 1: of one direction, packets keep their order; jitter delays one and all behind it.
Rule 2: a seed decides which packets are lost: one draw for each packet, from a random stream for each direction.
Rule 3: everything that does not arrive is counted, with its reason.

Units: seconds, bytes, bytes per second. Only IPv4 counts: what a kernel says of itself over IPv6 takes no draw.
"""

from __future__ import annotations

import os
import random
import select
import threading
import time
from collections import Counter, deque

from attrs import define, field, frozen

__all__ = ["Line", "Weather"]

PACKET_BYTES = 65536
BATCH = 64
"""How many packets are read before those that are due are written."""


@frozen
class Weather:
    """What happens to each packet of either direction."""

    loss: float = 0.0
    """The chance that it is lost; 1 is a line that is cut."""
    spared: int = 0
    """Packets of at most so many bytes are not lost."""
    delay: float = 0.0
    """How long it takes, one way."""
    jitter: float = 0.0
    """Up to so much more, evenly drawn."""
    rate: float | None = None
    """How many bytes a second fit through one direction; None is as many as come."""
    queue: float = 0.1
    """How long a packet may wait for its turn with ``rate``; one that had to wait longer is dropped."""


def is_fragment(packet: bytes) -> bool:
    """Whether a kernel has cut something that did not fit (RFC 791: more fragments follow, or it is not the first)."""
    return bool(int.from_bytes(packet[6:8], "big") & 0x3FFF)


@define(eq=False)
class Direction:
    """Packets on their way from one device to the other."""

    source: int
    target: int
    chance: random.Random
    waiting: deque[tuple[float, bytes]] = field(factory=deque)
    free_at: float = 0.0
    due: float = 0.0
    counts: Counter[str] = field(factory=Counter)

    def take(self, packet: bytes, now: float, weather: Weather) -> None:
        """Decide about one packet."""
        lot, more = self.chance.random(), self.chance.random()
        if lot < weather.loss and len(packet) > weather.spared:
            self.counts["lost"] += 1
            return
        if weather.rate:
            if self.free_at - now > weather.queue:
                self.counts["no room"] += 1
                return
            now = self.free_at = max(self.free_at, now) + len(packet) / weather.rate
        self.due = max(self.due, now + weather.delay + more * weather.jitter)
        self.waiting.append((self.due, packet))

    def deliver(self, now: float) -> None:
        """Write what is due."""
        while self.waiting and self.waiting[0][0] <= now:
            packet = self.waiting.popleft()[1]
            try:
                os.write(self.target, packet)
            except OSError:
                self.counts["nobody there"] += 1  # the machine is gone, or takes nothing more
            else:
                self.counts["passed"] += 1
                self.counts["bytes"] += len(packet)
                self.counts["fragments"] += is_fragment(packet)


class Line:
    """Forwards in a thread of its own, from ``start`` to ``stop``; ``weather`` may be replaced at any time.

    ``lost(i)`` and ``counts(i)`` tell of packets that machine ``i`` (0 or 1) sent.
    """

    def __init__(self, ends: tuple[int, int], weather: Weather, seed: int) -> None:
        self.weather = weather
        one, two = ends
        self._ways = [
            Direction(source, target, random.Random(f"{seed} from {i}"))
            for i, (source, target) in enumerate([(one, two), (two, one)])
        ]
        self._ends = ends
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def start(self) -> None:
        """Begin to forward."""
        self._thread.start()

    def stop(self) -> None:
        """Cease, and give the devices back; they vanish with that."""
        os.write(self._stop, b"x")
        self._thread.join()
        for fd in (*self._ends, self._stopped, self._stop):
            os.close(fd)

    def counts(self, machine: int) -> Counter[str]:
        """What became of its packets: ``passed``, ``lost``, ``no room``, ``nobody there``; and bytes and fragments."""
        return self._ways[machine].counts

    def lost(self, machine: int) -> int:
        """How many of its packets the weather took."""
        return self.counts(machine)["lost"]

    def _run(self) -> None:
        open_ways = {way.source: way for way in self._ways}
        while True:
            for fd in self._readable([self._stopped, *open_ways]):
                if fd == self._stopped:
                    return
                if not self._read(open_ways[fd]):
                    del open_ways[fd]
            for way in self._ways:
                way.deliver(time.monotonic())

    def _readable(self, fds: list[int]) -> list[int]:
        """Wait for packets, or until the next one is due. ``select`` knows microseconds, ``poll`` only milliseconds."""
        due = [way.waiting[0][0] for way in self._ways if way.waiting]
        patience = max(0.0, min(due) - time.monotonic()) if due else None
        return select.select(fds, [], [], patience)[0]

    def _read(self, way: Direction) -> bool:
        """Take what is there; False when its machine has ended."""
        for _ in range(BATCH):
            try:
                packet = os.read(way.source, PACKET_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if packet[0] >> 4 == 4:
                way.take(packet, time.monotonic(), self.weather)
        return True
