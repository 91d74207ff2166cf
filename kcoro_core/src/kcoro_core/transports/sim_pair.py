# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Simulated connections: two ends, and the two lines between them.

Rule 1: the clock of a pair is the latest time that either end was pumped with; it never goes back.
Rule 2: an end is woken when what ``poll`` would say has changed for it: something arrived, is coming, or left room.
Rule 3: ``end`` is set once, when news of it has arrived at this side; what arrived before can still be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from ..errors import MessageTooLong, ProtocolError, TransportError
from ..transport import PollSpec, RawFrame
from ..wire.frame import HEADER_SIZE, FrameDecoder
from .faults import TO_DIALER, TO_LISTENER, Direction
from .impairments import Draws
from .sim_line import EVER, Flying, Line, Mark

if TYPE_CHECKING:
    from .sim_network import Listener, Network

__all__ = ["Connection", "Pair"]

IDLE: Final = PollSpec()
READY: Final = PollSpec(ready_now=True)


class Pair:
    """One connection: two ends and two lines. ``listener`` is None where nobody listens at ``address``."""

    def __init__(
        self, network: Network, listener: Listener | None, address: str, max_datagram: int | None, beside: int = 0
    ) -> None:
        self.network = network
        self.listener = listener
        self.address = address
        self.max_datagram = max_datagram
        self.beside = beside
        self.opened = False
        self.now = 0.0
        number, network.connections = network.connections, network.connections + 1
        out, back = (self._line(direction, number, max_datagram is None) for direction in (TO_LISTENER, TO_DIALER))
        forth, home = (self._line_beside(direction, number) for direction in (TO_LISTENER, TO_DIALER))
        self.dialer = Connection(self, out, back, forth, home)
        self.accepted = Connection(self, back, out, home, forth)
        out.put_mark(Mark.OPEN)
        network.pairs.append(self)
        self.interrupt(network.interrupted)

    def _line(self, direction: Direction, number: int, ordered: bool) -> Line:
        network = self.network
        draws = Draws(network.impairments.seed, number, direction, network.counts)
        return Line(draws, lambda: network.impairments, lambda kind, now: self._calamity(kind, now, direction), ordered)

    def _line_beside(self, direction: Direction, number: int) -> Line:
        """For datagrams: it suffers from what happens to the whole connection, and causes nothing of that."""
        network = self.network
        draws = Draws(network.impairments.seed, number, f"{direction} beside", network.counts)
        return Line(draws, lambda: evolve(network.impairments, partition=0, half_open=0, cut=0), _nothing, False)

    def other(self, end: Connection) -> Connection:
        """The end that is not ``end``."""
        return self.accepted if end is self.dialer else self.dialer

    # -- time

    def work(self, now: float) -> None:
        """Send what can leave, and let arrive what is due, in both directions."""
        self.now = max(self.now, now)
        for end in (self.dialer, self.accepted):
            line, far = end.tx, self.other(end)
            expected = line.land_at
            line.launch(self.now)
            end.look_for_room()
            before = len(line.arrived)
            for news in line.land(self.now):
                self._hear(far, news)
            if far.closed:
                line.discard_arrived()
            if len(line.arrived) != before or line.land_at != expected:
                far.wake()
            self._work_beside(end.beside_tx, far)

    def _work_beside(self, line: Line, far: Connection) -> None:
        """The same for datagrams."""
        expected, before = line.land_at, len(line.arrived)
        line.launch(self.now)
        line.land(self.now)
        if far.closed:
            line.discard_arrived()
        if len(line.arrived) != before or line.land_at != expected:
            far.wake()

    def _hear(self, end: Connection, news: Flying) -> None:
        if news.mark is Mark.OPEN:
            self.opened = True
            if self.listener is None:
                end.abort(f"nobody listens at {self.address}; call serve first")
            elif not self.listener.admit(end):
                end.abort(f"{self.address} refused the connection")
        elif news.mark is Mark.CLOSE:
            end.finish("the other side closed the connection")
        else:
            end.finish(news.data.decode())

    # -- what happens to all of it

    def _calamity(self, kind: str, now: float, direction: Direction) -> None:
        if kind == "partition":
            length = self.dialer.tx.draws.share("partition by") * self.network.impairments.partition_for
            for line in self._lines():
                line.interrupted_until = max(line.interrupted_until, now + length)
        elif kind == "half_open":
            self.fall_silent()
        else:
            sender = self.dialer if direction == TO_LISTENER else self.accepted
            for line in (sender.rx, sender.beside_rx, sender.beside_tx):
                line.fall_silent()
            sender.finish("the connection was cut")
            sender.tx.overtake(Mark.RESET, now, "the connection was cut")

    def interrupt(self, directions: set[Direction]) -> None:
        """Let nothing pass in these directions until ``heal``."""
        for end, direction in ((self.dialer, TO_LISTENER), (self.accepted, TO_DIALER)):
            if direction in directions:
                end.tx.interrupted_until = end.beside_tx.interrupted_until = EVER

    def heal(self) -> None:
        """Interruptions are over."""
        for line in self._lines():
            line.interrupted_until = 0.0
        for end in (self.dialer, self.accepted):
            end.wake()
        self.work(self.now)

    def fall_silent(self) -> None:
        """Nothing passes any more."""
        for line in self._lines():
            line.fall_silent()

    def _lines(self) -> tuple[Line, ...]:
        return (self.dialer.tx, self.accepted.tx, self.dialer.beside_tx, self.accepted.beside_tx)

    def reset(self, reason: str) -> None:
        """Break it for both ends at once."""
        self.fall_silent()
        for end in (self.dialer, self.accepted):
            end.finish(reason)

    def forget(self) -> None:
        """Forget a connection that both ends have given up: nobody has to heal it any more."""
        nobody_comes = not self.opened and not (self.dialer.tx.queue or self.dialer.tx.flying)
        over = self.dialer.closed and (self.accepted.closed or nobody_comes)
        if over and self in self.network.pairs:
            self.network.pairs.remove(self)
            self.fall_silent()  # whoever keeps an end must not keep what was on its way to nobody


@define(eq=False, repr=False)
class Connection:
    """One end of a pair. ``end`` is set once, when the connection has ended for this side, and never changes.

    ``beside_tx`` and ``beside_rx`` are the lines of datagrams beside a stream; nothing is on them elsewhere.
    """

    pair: Pair
    tx: Line
    rx: Line
    beside_tx: Line
    beside_rx: Line
    waker: Callable[[], object] | None = None
    end: TransportError | None = None
    closed: bool = False
    attached: bool = False  # somebody drives this end
    end_was_told: bool = False
    unreadable: ProtocolError | None = None  # a frame was too large; a stream ends there
    # The size of a frame that was refused; when there is room for it, this side is told once, by ``has_news``.
    wants_room: int = 0
    wants_room_beside: int = 0
    has_news: bool = False
    may_hold_frame: bool = False
    _decoder: FrameDecoder = field(factory=FrameDecoder)

    def wake(self) -> None:
        """Tell whoever waits for this end that ``poll`` has changed."""
        if self.waker is not None:
            self.waker()

    def finish(self, reason: str) -> None:
        """End this side; what has arrived stays for ``receive`` unless this side closed."""
        if self.end is None:
            self.end = TransportError(reason)
            self.tx.drop_queue()
            self.beside_tx.drop_queue()
            self.wake()
        elif self.closed:
            self.tx.drop_queue()  # the other side has gone as well: nobody is left to flush for

    def send(self, header: bytes, parts: Sequence[bytes]) -> bool:
        """Queue a frame, or refuse it for lack of room: False, and the waker tells when there is some.

        :raises MessageTooLong: it does not fit into a datagram. TransportError: the connection has ended.
        """
        if self.end is not None:
            raise self._told(self.end)
        data = b"".join((header, *parts))
        most = self.pair.max_datagram
        if most is not None and len(data) > most:
            raise MessageTooLong(
                f"a datagram of {self.pair.address} holds {most} bytes, and this frame has {len(data)}"
            )
        if not self.tx.has_room(len(data)):
            self.wants_room = len(data)
            return False
        self.tx.put(data)
        return True

    def look_for_room(self) -> None:
        """Announce room if a send was refused before."""
        if self.end is not None:
            return
        if self.wants_room and self.tx.has_room(self.wants_room):
            self.wants_room = 0
            self._announce()
        if self.wants_room_beside and self.beside_tx.has_room(self.wants_room_beside):
            self.wants_room_beside = 0
            self._announce()

    def _announce(self) -> None:
        self.has_news = True
        self.wake()

    def send_beside(self, header: bytes, parts: Sequence[bytes]) -> bool:
        """Queue a datagram, or refuse it for lack of room, as ``send`` does. Raises alike."""
        if self.end is not None:
            raise self._told(self.end)
        data = b"".join((header, *parts))
        if len(data) > self.pair.beside:
            raise MessageTooLong(f"{self.pair.address} takes datagrams of {self.pair.beside} bytes, not {len(data)}")
        if not self.beside_tx.has_room(len(data)):
            self.wants_room_beside = len(data)
            return False
        self.beside_tx.put(data)
        return True

    def receive_beside(self) -> RawFrame | None:
        """Take the oldest datagram that has arrived; None after the end, too."""
        if self.closed or not self.beside_rx.arrived:
            return None
        data = self.beside_rx.read()
        return RawFrame(data[:HEADER_SIZE], data[HEADER_SIZE:])

    def receive(self, limit: int) -> RawFrame | None:
        """Take the oldest frame that has arrived whole."""
        if not self.closed:
            frame = self._next(limit) if self.rx.ordered else self._next_datagram(limit)
            if frame is not None:
                return frame
        if self.end is not None and (self.closed or not self.rx.arrived):
            raise self._told(self.end)
        return None

    def _next(self, limit: int) -> RawFrame | None:
        if self.unreadable is not None:
            raise self.unreadable.with_traceback(None)
        try:
            return self._next_of_stream(limit)
        except ProtocolError as error:
            self.unreadable = error
            raise

    def _next_of_stream(self, limit: int) -> RawFrame | None:
        while True:
            raw = self._decoder.next_raw(limit)
            self.may_hold_frame = raw is not None
            if raw is not None or not self.rx.arrived:
                return raw
            packets = len(self.rx.arrived)
            self._decoder.feed(self._read())
            if len(self.rx.arrived) == packets:  # a short read: the rest is left to the next call
                raw = self._decoder.next_raw(limit)
                self.may_hold_frame = raw is not None
                return raw

    def _next_datagram(self, limit: int) -> RawFrame | None:
        if not self.rx.arrived:
            return None
        size = len(self.rx.arrived[0]) - HEADER_SIZE
        if size > limit:
            raise ProtocolError(f"a datagram of sim: has a payload of {size} bytes, and {limit} are acceptable")
        data = self._read()
        return RawFrame(data[:HEADER_SIZE], data[HEADER_SIZE:])

    def _read(self) -> bytes:
        data = self.rx.read()
        if self.rx.window_was_full:
            self.pair.other(self).wake()
        return data

    def pump(self, now: float) -> None:
        """Let the simulation catch up with the time; the end is told when nothing is left to be received."""
        self.has_news = False
        self.attached = True
        self.pair.work(now)
        if self.end is not None and not self.closed and not self.rx.arrived and not self.may_hold_frame:
            raise self._told(self.end)

    def _told(self, end: TransportError) -> TransportError:
        """The end is about to be raised; from now on nobody needs to be woken for it."""
        self.end_was_told = True
        return end.with_traceback(None)  # which would grow each time, and keep what callers had

    def poll(self) -> PollSpec:
        """What is there now, and when the simulation goes on for this end."""
        times = [self.tx.launch_at(), self.beside_tx.launch_at()]
        if not self.closed:
            times += [self.rx.land_at, self.beside_rx.land_at]
        if not self.pair.accepted.attached and self is self.pair.dialer and not (self.closed and self.pair.opened):
            times.append(self.tx.land_at)  # nobody else looks after the request for a connection
        due = min((time for time in times if time is not None), default=None)
        if due is not None and due > self.pair.now:
            return PollSpec(deadline=due, ready_now=self._has_work())
        return READY if due is not None or self._has_work() else IDLE

    def _has_work(self) -> bool:
        if self.closed:
            return False
        end_is_news = self.end is not None and not self.end_was_told
        arrived = bool(self.rx.arrived) or bool(self.beside_rx.arrived)
        return arrived or self.may_hold_frame or self.has_news or end_is_news

    # -- the end

    def close(self) -> None:
        """End this side in good order: what was sent still leaves, then the other side hears of it."""
        if self.closed:
            return
        nothing_sent = not (self.tx.queue_bytes or self.tx.flying_bytes)
        if not self.pair.opened and self is self.pair.dialer and nothing_sent:
            self.abort()
            return
        alive = self.end is None
        self._leave()
        if alive:
            self.tx.put_mark(Mark.CLOSE)
            self.pair.work(self.pair.now)

    def abort(self, reason: str = "the other side gave the connection up") -> None:
        """End this side at once; what has not left yet is lost."""
        if self.closed and not self.tx.queue:
            return
        alive = self.end is None or bool(self.tx.queue)
        if not self.closed:
            self._leave()
        if not self.pair.opened and self is self.pair.dialer:
            self.tx.fall_silent()  # it never was
            self.pair.forget()
        elif alive:
            self.tx.overtake(Mark.RESET, self.pair.now, reason)
            self.pair.work(self.pair.now)
            self.pair.other(self).wake()

    def _leave(self) -> None:
        self.closed = True
        if self.end is None:
            self.end = TransportError("the connection was closed by this side")
            self.wake()
        self.rx.discard_arrived()
        self.beside_rx.discard_arrived()
        self.beside_tx.drop_queue()
        self._decoder = FrameDecoder()  # half a frame may be large
        self.pair.forget()


def _nothing(kind: str, now: float) -> None:
    """Datagrams cause nothing that happens to a whole connection."""
