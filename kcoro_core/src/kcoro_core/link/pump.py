# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The pump of one connection: moves frames between the medium and the protocol, waits exactly for what both announce.

    fd ready, deadline, waker --------> pump(): read, hand events on, write, arm
    a task with something to write ---> flush(): write
    the end of a turn of the loop ----> write the rest: what came later in the turn, acknowledgements that are alone

Rule 1: neither suspends, so any task may call them, and a cancelled task never tears a frame.
Rule 2: ``flush`` hands no event to anybody, so it may be called from the middle of a channel operation.
Rule 3: reading never waits for writing; what comes in is bounded by what the protocol allows the peer.
Rule 4: writing stops when the medium is full, or holds COMMIT_BYTES; then either it makes room while it is pumped,
which is seen at once, or it has said that it will wake us. It never stops for a reason that nobody announces.
Rule 5: the first write in a turn of the loop goes out at once, the others of that turn together at its end.
Rule 6: after ``finish`` nothing is left: no descriptor, no timer, no watch, no task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..cancel import CancelToken
from ..errors import LinkLost, ProtocolError, TransportError
from ..hosts.port import AGAIN, Handle, Host
from ..reference.waiter import Operation
from ..transport import COMMIT_BYTES, READ, WRITE, PollSpec, Vtable
from ..unraisable import report_unraisable
from ..wire.commands import Command
from ..wire.connection import Connection
from ..wire.events import Event
from ..wire.states import State

__all__ = ["Pump"]

FRAMES_AT_ONCE: Final = 256
"""Frames that are read before the other tasks get a turn."""

PASSES: Final = 8
"""How often it is filled, when it passes everything on at once, before the other tasks get a turn."""

_BYE: Final = int(Command.BYE).to_bytes(2, "big")


class Pump:
    """Drives one connection of a transport; ``handlers`` hear its events.

    ``on_heard`` is called when all was heard that had come at once, ``after_turn`` when what could be written was.
    """

    def __init__(
        self,
        host: Host,
        vtable: Vtable,
        conn: Any,
        wire: Connection,
        linger: float,
    ) -> None:
        self.gone = CancelToken()
        self.after_turn: Callable[[], object] = lambda: None
        self.on_heard: Callable[[], object] | None = None
        self._host = host
        self._vtable = vtable
        self._conn = conn
        self._wire = wire
        self._writer = wire.writer
        self._lossy = wire.lossy
        self._life = wire.life
        self._linger = linger
        self.handlers: dict[type[Event], Callable[[Any], None]] = {}
        self._armed: PollSpec | None = None  # what the watches are for
        self._watches: dict[int, tuple[int, Handle]] = {}
        self.reader: Handle | None = None  # the watch that waits for frames
        self._when_ready = {side: partial(self.pump, side) for side in (READ, WRITE)}
        self._timer: Handle | None = None
        self._timer_at = 0.0
        self._due: Handle | None = None  # of the medium, which moves its own back and forth
        self._due_at = 0.0
        self._idle: Operation | None = None
        self._poked = False  # pump is due
        self._owing = False  # the end of this turn has something to write
        self._written = False  # a task has written in this turn; what others ask waits for its end
        self._pumping = False
        self._full = False  # the medium refused a frame, and will say when it is worth another try
        self._backlog = 0  # what the medium held behind our last frame; what it adds itself it watches for itself
        self._deaf = False  # the stream is unreadable: nothing more is read
        self._broken: TransportError | None = None  # writing failed; told to the protocol by the next pump
        self._close_by: float | None = None  # the medium is being closed
        self._finished = False

    def start(self) -> None:
        """Begin the handshake, with the next ``pump``; from now on everything happens by itself."""
        self._vtable.set_waker(self._conn, self.poke)
        self._wire.start(self._host.now())
        self._task = self._host.spawn(self._take_turns, name="kcoro link")
        self.poke()

    # -- who calls whom

    def poke(self) -> None:
        """Have ``pump`` called soon, but not by the caller; may be repeated."""
        self._poked = True
        self._wake()

    def owe(self) -> None:
        """Have what is queued, and what rides along, written at the end of this turn."""
        self._owing = True
        self._wake()

    def _wake(self) -> None:
        if self._idle is not None:
            self._idle.complete()

    async def _take_turns(self) -> None:
        try:
            while not self._finished:
                if not self._poked and not self._owing:
                    self._idle = Operation(self._host)
                    await self._host.park(self._idle)
                    self._idle = None
                # Those who were woken in this turn go first: what they ask may carry an acknowledgement along.
                await self._host.pause()
                self._end_turn()
        finally:
            self._idle = None
            self.abort(LinkLost("the run ended while the link was open"))
            self.gone.trigger()

    def _end_turn(self) -> None:
        self._owing = self._written = False
        if self._poked:
            self._poked = False
            self.pump()
        elif not self._finished:
            self._write(acknowledge=True)
            self.arm()
            self.after_turn()

    def flush(self, crowded: bool = True) -> None:
        """Write what is queued, or leave it to the end of the turn if this turn has written before.

        ``crowded`` False says that others are not likely to write in this turn, so that nothing has to be batched.
        """
        if self._pumping or self._finished or self._written:
            return
        if crowded:
            self._written = True
            self.owe()
        self._write(acknowledge=False)
        if self._full or self._backlog:
            self.arm()

    def pump(self, ready: int = READ | WRITE) -> object:
        """Do everything that can be done now; ``ready`` is what the medium may try.

        Called back by the host for one side of a descriptor it returns whether that is waited for again.
        """
        if self._pumping or self._finished:
            return None
        self._pumping = True
        try:
            self._step(self._host.now(), ready)
        except Exception as error:  # noqa: BLE001 - a defect of ours or of a plugin: this link ends, nothing else
            report_unraisable(error, "the pump of a link, which is lost by it")
            self._hand_on(self._wire.lose(LinkLost(f"the link failed on this side: {error!r}")))
            self._finish()
        finally:
            self._pumping = False
        self.arm()
        self.after_turn()
        return AGAIN if ready in self._watches else None

    def abort(self, cause: Exception) -> None:
        """End at once, without a word to the peer; harmless when it has ended."""
        if not self._finished:
            self._hand_on(self._wire.lose(cause))
            self._finish()

    # -- one step

    def _step(self, now: float, ready: int) -> None:
        if self._close_by is not None:
            self._close(now)
            return
        try:
            self._vtable.pump(self._conn, now, ready)
            if ready & READ or self._broken is not None:
                taken = self._take_frames(now)
                self._take_datagrams(now)
                if self._broken is not None:
                    if not taken:
                        raise self._broken
                    self.poke()  # the end of the medium comes behind the last frame
        except TransportError as error:
            self._hand_on(self._wire.lose(error))
        if self.on_heard is not None:
            self.on_heard()
        if self._timer is None:  # it has come, or there was none
            self._hand_on(self._wire.handle_timeout(now))
        if self._writer.has_frames() or self._lossy.waiting:
            self._write(acknowledge=self._life.state is not State.OPEN)
            if self._life.state is State.HELLO and self._writer.frames:
                self._wire.connected(now)
            if self._writer.has_frames() and not self._full:
                self.owe()  # acknowledgements, which the next frame of their channel may carry
        if self._life.state is State.DEAD:
            self._begin_close(now)

    def _take_frames(self, now: float) -> int:
        """Take what has arrived whole; how many."""
        wire, conn, handlers, recv_frame = self._wire, self._conn, self.handlers, self._vtable.recv_frame
        agreed = wire.handshake  # whose limit grows once, between two frames
        for taken in range(0 if self._deaf else FRAMES_AT_ONCE):
            try:
                raw = recv_frame(conn, agreed.frame_limit)
            except ProtocolError as error:
                self._deaf, self._armed = True, None
                # Without its traceback, which would keep the buffers of the medium as long as the report is kept.
                self._hand_on(wire.breach(error.with_traceback(None), now))
                return taken
            if raw is None:
                return taken
            if raw.header[4:6] == _BYE:
                # Whoever says goodbye still hears what was taken; behind our answer to it nothing is heard.
                self._write(acknowledge=True)
            for event in wire.receive(raw, now):
                if (handler := handlers.get(type(event))) is not None:
                    handler(event)
        return FRAMES_AT_ONCE

    def _take_datagrams(self, now: float) -> None:
        """Take what has arrived beside the frames, and behind them: their channels may have been opened by those."""
        recv_datagram = self._vtable.recv_datagram
        if recv_datagram is None:
            return
        for _ in range(FRAMES_AT_ONCE):
            if (raw := recv_datagram(self._conn)) is None:
                return
            self._hand_on(self._wire.receive_datagram(raw, now))

    def _hand_on(self, events: list[Event]) -> None:
        for event in events:
            if (handler := self.handlers.get(type(event))) is not None:
                handler(event)

    def _write(self, acknowledge: bool) -> None:
        """Write until nothing is left or the medium is full, and then be sure that it will say when there is room.

        It gets up to COMMIT_BYTES that it has not passed on. Another try is worth it when it has passed something on
        meanwhile: what it does while it is pumped it announces to nobody.
        """
        vtable, conn = self._vtable, self._conn
        self._full = False
        try:
            beside = bool(self._lossy.waiting) and self._write_datagrams()
            for _ in range(PASSES):
                if self._broken is not None:
                    return
                committed = vtable.tx_backlog(conn) if self._backlog else 0
                taken, full = self._writer.write(vtable.send_frame, conn, COMMIT_BYTES - committed, acknowledge)
                committed += taken
                if committed >= COMMIT_BYTES:
                    full = self._writer.has_frames()
                if taken or full or beside:
                    beside = False
                    vtable.pump(conn, self._host.now(), WRITE)
                    self._backlog = vtable.tx_backlog(conn)
                self._full = full and self._backlog >= committed
                if self._full or not full:
                    return
            self.owe()  # the medium takes all of it: the other tasks come first
        except TransportError as error:
            # What the peer said before it left may still be unread: the next pump reads it, then tells the end.
            self._broken = error
            self.poke()

    def _write_datagrams(self) -> bool:
        """Write those that wait until the medium is full, which wakes us then; whether it has taken any."""
        send_datagram, taken = self._vtable.send_datagram, False
        while send_datagram is not None and (frame := self._lossy.poll()) is not None:
            if not send_datagram(self._conn, frame.header, frame.parts):
                break
            self._lossy.wrote()
            taken = True
        return taken

    def datagram_limit(self) -> int:
        """Bytes of the largest datagram that the medium takes now, header included; 0 where it takes none."""
        limit = self._vtable.datagram_limit
        return 0 if limit is None else limit(self._conn)

    # -- waiting

    def arm(self) -> None:
        """Wait for what the medium and the protocol announce, and for nothing else."""
        if self._finished:
            return
        spec = self._vtable.poll_handle(self._conn)
        if spec is not self._armed:  # mostly it is: a medium that waits for the same has no reason to make another
            self._watch_for(spec)
        if spec.ready_now and not self._deaf:
            self.poke()
        if spec.deadline is not None:
            self._wait_for_medium(spec.deadline)
        if self._timer is None or self._life.state is not State.OPEN:
            self.set_timer()

    def _watch_for(self, spec: PollSpec) -> None:
        self._armed = spec
        want = 0 if spec.fd is None else spec.want & ~(READ if self._deaf else 0)
        for side in (READ, WRITE):
            if want & side or side in self._watches:
                self._watch(side, spec.fd if want & side else None)

    def _watch(self, side: int, fd: int | None) -> None:
        watched = self._watches.get(side)
        if watched is not None and watched[0] != fd:
            del self._watches[side]
            watched[1].cancel()
            watched = None
        if fd is not None and watched is None:
            watched = self._watches[side] = (fd, self._host.wait_fd(fd, side, self._when_ready[side]))
        if side == READ:
            self.reader = None if watched is None else watched[1]

    def set_timer(self) -> None:
        """Wake up at the next deadline of the protocol.

        Deadlines mostly move away, so a timer that is early stays: it finds nothing to do and is set anew. Whoever has
        caused an earlier one calls this.
        """
        times = (self._wire.next_deadline(), self._close_by)
        deadline = min((time for time in times if time is not None), default=None)
        if self._timer is not None and (deadline is None or deadline < self._timer_at):
            self._timer.cancel()
            self._timer = None
        if deadline is not None and self._timer is None:
            self._timer_at = deadline
            self._timer = self._host.call_at(deadline, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer = None
        self.pump()

    def _wait_for_medium(self, deadline: float) -> None:
        """Wake up at a deadline of the medium; an earlier one stays, as above."""
        if self._due is not None and deadline < self._due_at:
            self._due.cancel()
            self._due = None
        if self._due is None:
            self._due_at = deadline
            self._due = self._host.call_at(deadline, self._medium_is_due)

    def _medium_is_due(self) -> None:
        self._due = None
        self.pump()

    # -- the end

    def _begin_close(self, now: float) -> None:
        """The protocol has nothing more to say: let the medium write what it holds, for a while."""
        self._close_by = now + self._linger
        if self._broken is None:
            self._vtable.close(self._conn)
        self._close(now)

    def _close(self, now: float) -> None:
        spec = self._vtable.poll_handle(self._conn)
        if self._broken is None and self._close_by is not None and now < self._close_by:
            try:
                self._vtable.pump(self._conn, now, READ | WRITE)
                spec = self._vtable.poll_handle(self._conn)
            except TransportError:
                spec = self._vtable.poll_handle(self._conn)
            if spec.fd is not None or spec.deadline is not None or spec.ready_now:
                return
        self._finish()

    def _finish(self) -> None:
        """Give back every resource."""
        if self._finished:
            return
        self._finished = True
        for _, watch in self._watches.values():
            watch.cancel()
        self._watches.clear()
        self.reader = None
        self.handlers = {}  # whoever keeps a link that is over keeps little
        for timer in (self._timer, self._due):
            if timer is not None:
                timer.cancel()
        self._vtable.set_waker(self._conn, None)
        self._vtable.abort(self._conn)
        self.poke()
