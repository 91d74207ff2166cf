# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Laws over media that carry bytes while nobody here works: through a process in between, or another machine.

Both ends of a link are in this process, and its time is virtual, but that of the medium is real. So the clock jumps
only when all tasks have been blocked for a while, and that while depends on whether something is under way: connections
that have been begun, and frames that one end has sent and the other has not received. Both are counted where they pass
between a link and its medium.

Rule 1: with nothing under way the clock waits for ``QUIET_SECONDS``, in which ends of connections arrive.
Rule 2: with something under way it waits for up to ``LOST_SECONDS`` from the last sign of life; only then is that taken
for lost, as it is where an end has gone. So a slow machine makes laws slow, and does not break them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final

import attrs
import trio

from ... import plugins, run
from ...transport import RawFrame, Vtable
from .links import TrioLinkHarness

__all__ = ["LOST_SECONDS", "QUIET_SECONDS", "CrossingClock", "CrossingLinkHarness", "Traffic"]

QUIET_SECONDS: Final = 0.002
"""For how long nobody must have had anything to do before the clock jumps; of real time."""
LOST_SECONDS: Final = 10.0
"""The same while frames are under way: more than a loaded machine holds up a process that has bytes to pass on."""


class Traffic:
    """What is under way over all connections of one law: frames, and connections on which none was sent yet."""

    def __init__(self) -> None:
        self._frames = 0
        self._begun: dict[int, Any] = {}  # by identity, for connections need not be hashable

    @property
    def under_way(self) -> bool:
        """Whether something may still arrive."""
        return self._frames > 0 or bool(self._begun)

    def forget(self) -> None:
        """What has not arrived by now is lost."""
        self._frames = 0
        self._begun.clear()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the frames of every connection that is made in the block, over whichever transport."""
        real = plugins.transport
        plugins.transport = lambda uri: self._counting(real(uri))
        try:
            yield
        finally:
            plugins.transport = real

    def _counting(self, vtable: Vtable) -> Vtable:
        def connect(uri: str, config: Mapping[str, Any]) -> Any:
            conn = vtable.connect(uri, config)
            self._begun[id(conn)] = conn
            return conn

        def send_frame(conn: Any, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
            taken = vtable.send_frame(conn, header, parts, lane)
            if taken:
                self._frames += 1
                self._begun.pop(id(conn), None)
            return taken

        def recv_frame(conn: Any, limit: int) -> RawFrame | None:
            frame = vtable.recv_frame(conn, limit)
            if frame is not None:
                self._frames -= 1
            return frame

        return attrs.evolve(vtable, connect=connect, send_frame=send_frame, recv_frame=recv_frame)


class CrossingClock(trio.abc.Clock, trio.abc.Instrument):
    """A virtual clock for one run of trio, which it also watches: any step of a task is a sign of life."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._now = 0.0
        self._blocked_since: float | None = None  # in real time; None: somebody has had something to do since

    def start_clock(self) -> None:
        """Watch the run from its beginning."""
        trio.lowlevel.add_instrument(self)

    def current_time(self) -> float:
        """The virtual time."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long the run may wait for others before it looks again; 0: the time has come, by jumping if need be.

        The run asks only when all tasks are blocked.
        """
        if deadline <= self._now:
            return 0.0
        real = perf_counter()
        if self._blocked_since is None:
            self._blocked_since = real
        left = self._blocked_since + (LOST_SECONDS if self._traffic.under_way else QUIET_SECONDS) - real
        if left > 0 or deadline == float("inf"):
            return max(left, QUIET_SECONDS)
        self._now, self._blocked_since = deadline, None
        self._traffic.forget()
        return 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Somebody has something to do."""
        self._blocked_since = None


class CrossingLinkHarness(TrioLinkHarness):
    """A link over such a medium, on trio; the laws are the same as over any other."""

    def __init__(self, scheme: str, *, strict: bool = False, mixed: bool = False) -> None:
        super().__init__(scheme, strict=strict, mixed=mixed)
        self.name = self.name.replace("-trio-", "-crossing-")  # type: ignore[misc]

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run on trio, with a clock that knows what is under way."""
        traffic = Traffic()
        clock = CrossingClock(traffic)
        with traffic.counted():
            if self.strict:
                trio.run(main, clock=clock)
            else:
                run(main, clock=clock)
