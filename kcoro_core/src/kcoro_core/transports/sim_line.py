# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One direction of a simulated connection: what waits to be sent, what is on its way, what has arrived.

    put ---> queue --launch(now)--> flying --land(now)--> arrived ---> read

Rule 1: time is what ``launch`` and ``land`` are told; nothing happens by itself, and ``launch_at`` and ``land_at`` say
when it is worth calling.
Rule 2: a stream delivers every byte once and in order, or nothing more; what would be lost there is late.
Rule 3: the queue is bounded by ``buffer``, what is flying and arrived by ``window``; one frame or packet more at most.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from attrs import define, field

from .impairments import Draws, Impairments

__all__ = ["Flying", "Line", "Mark"]

EVER: Final = float("inf")


class Mark(enum.Enum):
    """What a packet is: a part of the data, or news of the connection itself, which is never lost but with the line."""

    DATA = "data"
    """A frame, or a part of one."""
    OPEN = "open"
    """Somebody asks the listener for a connection."""
    CLOSE = "close"
    """This end has left in good order; it comes behind all data."""
    RESET = "reset"
    """The connection is over, for the reason in its data; what was not yet sent never comes."""


class Flying(NamedTuple):
    """One packet on its way; ordered by arrival, and by number where that is equal."""

    at: float
    number: int
    mark: Mark
    data: bytes


@define(eq=False)
class Waiting:
    """One packet that waits to be sent; its fate is drawn once, when it comes to the front."""

    mark: Mark
    data: bytes
    drawn: bool = False
    late: float = 0.0
    copies: int = 1


@define(eq=False)
class Line:
    """One direction of one connection. ``weather()`` gives the impairments in force, ``calamity`` does the big ones."""

    draws: Draws
    weather: Callable[[], Impairments]
    calamity: Callable[[str, float], object]
    ordered: bool
    queue: deque[Waiting] = field(factory=deque)
    queue_bytes: int = 0
    flying: list[Flying] = field(factory=list)
    arrived: deque[bytes] = field(factory=deque)
    flying_bytes: int = 0
    arrived_bytes: int = 0
    # Interrupted until then: a number, or for ever until somebody says otherwise.
    interrupted_until: float = 0.0
    silent: bool = False  # half-open: nothing passes any more
    window_was_full: bool = False
    _free_at: float = 0.0
    _last_at: float = 0.0
    _number: int = 0

    # -- the sending end

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may be put in; into an empty queue always."""
        return not self.queue_bytes or self.queue_bytes + size <= self.weather().buffer

    def put(self, data: bytes) -> None:
        """Queue one frame."""
        self.queue_bytes += len(data)
        most = self.weather().packet if self.ordered else max(1, len(data))
        for start in range(0, len(data), most):
            self.queue.append(Waiting(Mark.DATA, data[start : start + most]))

    def put_mark(self, mark: Mark) -> None:
        """Queue news of the connection, behind all data."""
        self.queue.append(Waiting(mark, b""))

    def overtake(self, mark: Mark, now: float, text: str) -> None:
        """Send news of the connection at once; what is still queued never leaves, what is flying arrives before it."""
        self.drop_queue()
        if self.interrupted_until == EVER:
            self.queue.append(Waiting(mark, text.encode()))
        elif not self.silent:
            self._fly(mark, text.encode(), max(now, self.interrupted_until) + self.weather().latency)

    def drop_queue(self) -> None:
        """Nothing that has not left yet leaves any more."""
        self.queue.clear()
        self.queue_bytes = 0

    def fall_silent(self) -> None:
        """Nothing arrives any more, not even what is on its way; what has arrived stays."""
        self.silent = True
        self.drop_queue()
        self.flying.clear()
        self.flying_bytes = 0

    def launch_at(self) -> float | None:
        """When the next packet can leave; None while that is no matter of time."""
        if not self.queue or self.silent:
            return None
        at = self._free_at if not self.ordered else max(self._free_at, self.interrupted_until)
        if at == EVER:
            return None
        under_way = self.flying_bytes + self.arrived_bytes if self.ordered else 0
        self.window_was_full = under_way > 0 and under_way + len(self.queue[0].data) > self.weather().window
        return None if self.window_was_full else at

    def launch(self, now: float) -> None:
        """Send what can leave now; stops behind a short write."""
        while (at := self.launch_at()) is not None and at <= now:
            packet, weather = self.queue[0], self.weather()
            if packet.mark is not Mark.DATA:
                self.queue.popleft()
                self._fly(packet.mark, packet.data, now + weather.latency)
                continue
            if not packet.drawn:
                packet.drawn = True
                if self._draw(packet, now):
                    continue  # something has happened to the whole line: look again
            if self._launch_data(packet, now):
                return

    def _launch_data(self, packet: Waiting, now: float) -> bool:
        """Send a packet, or the beginning of it: then True."""
        weather, data = self.weather(), packet.data
        short = self.ordered and len(data) > 1 and self.draws.happens("short_writes", weather.short_writes)
        if short:
            data = data[: 1 + int(self.draws.share("short_writes by") * (len(data) - 1))]
            packet.data = packet.data[len(data) :]
        else:
            self.queue.popleft()
        self.queue_bytes -= len(data)
        if weather.bandwidth:
            self.draws.counts["bandwidth"] += 1
            self._free_at = now + len(data) * max(1, packet.copies) / weather.bandwidth
        if self.ordered or now >= self.interrupted_until:
            leaves = max(now, self._free_at)
            for copy in range(1 if self.ordered else packet.copies):
                again = self.draws.share("duplicate by") * weather.reorder_by if copy else 0.0
                self._fly(Mark.DATA, data, leaves + weather.latency + packet.late + again)
        return short

    def _draw(self, packet: Waiting, now: float) -> bool:
        """Decide what happens to a packet; True when it happens to the whole line instead."""
        weather, happens, draws = self.weather(), self.draws.happens, self.draws
        if weather.jitter:
            draws.counts["jitter"] += 1
            packet.late += draws.share("jitter") * weather.jitter
        if happens("reorder", weather.reorder):
            packet.late += weather.reorder_by
        if happens("duplicate", weather.duplicate):
            packet.copies = 2
        if happens("loss", weather.loss):
            packet.late += weather.retransmit
            while self.ordered and draws.share("loss") < min(weather.loss, 0.9):
                packet.late += weather.retransmit
            packet.copies = packet.copies if self.ordered else packet.copies - 1
        great = False
        for kind in ("partition", "half_open", "cut"):
            if happens(kind, getattr(weather, kind)):
                self.calamity(kind, now)
                great = True
        return great

    def _fly(self, mark: Mark, data: bytes, at: float) -> None:
        at = max(at, self._last_at)
        if not self.ordered and mark is not Mark.DATA:  # the end of a connection comes behind all that was sent before
            at = max([at, *(packet.at for packet in self.flying)])
        if self.ordered or mark is not Mark.DATA:
            self._last_at = at
        self._number += 1
        self.flying_bytes += len(data)
        heapq.heappush(self.flying, Flying(at, self._number, mark, data))

    # -- the receiving end

    @property
    def land_at(self) -> float | None:
        """When the next packet arrives."""
        return self.flying[0].at if self.flying else None

    def land(self, now: float) -> list[Flying]:
        """Let arrive what is due; the news of the connection among it."""
        news = []
        while self.flying and self.flying[0].at <= now:
            packet = heapq.heappop(self.flying)
            self.flying_bytes -= len(packet.data)
            if packet.mark is not Mark.DATA:
                news.append(packet)
            elif self.ordered or not self.arrived or self.arrived_bytes + len(packet.data) <= self.weather().window:
                self.draws.counts["latency"] += self.weather().latency > 0
                self.arrived_bytes += len(packet.data)
                self.arrived.append(packet.data)
            else:
                self.draws.counts["overflow"] += 1
        return news

    def read(self) -> bytes:
        """Take some of what has arrived: the oldest packet, or by chance only the beginning of it."""
        data = self.arrived.popleft()
        if self.ordered and len(data) > 1 and self.draws.happens("short_reads", self.weather().short_reads):
            part = 1 + int(self.draws.share("short_reads by") * (len(data) - 1))
            self.arrived.appendleft(data[part:])
            data = data[:part]
        self.arrived_bytes -= len(data)
        return data

    def discard_arrived(self) -> None:
        """Nobody will read what has arrived."""
        self.arrived.clear()
        self.arrived_bytes = 0
