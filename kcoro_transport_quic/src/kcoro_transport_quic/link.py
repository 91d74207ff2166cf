# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over QUIC: frames go through the engine of a library, and its datagrams over the endpoint's socket.

    looking up --> handshake --> open --close--> closing --> closed
        |              |           |                           ^
        +--------------+-----------+----- refused, cut, abort -+

Rule 1: no frame is given to the engine before the handshake is over, the protocol within is ours, and the server's
certificate is verified.
Rule 2: an end without a goodbye, which says how many frames there were, is a broken connection.
Rule 3: a closed connection is kept until the other side has said that it has everything, or a while.
Rule 4: ``end`` is set once; every data call raises that object from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field

from kcoro_core.errors import ProtocolError, TransportError
from kcoro_core.transport import COMMIT_BYTES, READ, WRITE, Identity, PollSpec, RawFrame
from kcoro_core.transports.host_port import UDP, Address, Target, targets
from kcoro_core.transports.lookup import Lookup, Unknown

from .beside import Beside
from .endpoint import Endpoint
from .library import Engine
from .quic import ALPN, QuicOptions, client_settings, explained, is_permanent
from .streams import Incoming, Outgoing, stream_of

__all__ = ["BACKLOG_BYTES", "Connection", "dial"]

BACKLOG_BYTES: Final = 2 * COMMIT_BYTES
"""How much may wait for the network; then ``send_frame`` answers False. A single frame may be larger."""
LANE_BYTES: Final = 65_536
"""How much may wait of a stream all the same, when others have filled that; there are 64 at most."""
UNREAD_BYTES: Final = 4 << 20
"""How much may have come in whole frames that nobody takes."""
LINGER_SECONDS: Final = 1.0
"""How long a closed connection waits for the other side to say that it has everything."""
BATCH: Final = 64
"""How many datagrams are put together before the socket gets them."""
AHEAD_SECONDS: Final = 0.01
"""How soon is now for packets that an engine holds back only so that they leave one by one: a loop cannot wake up every
few microseconds. It is far below what an engine allows the other side for an answer (25 ms)."""
FAR_SECONDS: Final = 1e8
"""A time of the engine that is further away than this is none."""
GIVEN_UP: Final = 1
"""The number with which QUIC is told that a side has given the connection up; 0 is an orderly end."""
NOBODY: Final = Identity("none")


@define(eq=False, repr=False)
class Connection:
    """One end of a connection. ``name`` is the other end in errors; ``place`` None: the socket is connected to it."""

    name: str
    endpoint: Endpoint | None = None
    engine: Engine | None = None
    place: Any = None
    patience: float = 10.0
    end: TransportError | None = field(default=None, init=False)
    now: float = field(default=0.0, init=False)
    clock: float = field(default=0.0, init=False)
    connecting: bool = field(default=True, init=False)
    give_up_at: float | None = field(default=None, init=False)
    outgoing: Outgoing = field(factory=Outgoing, init=False)
    incoming: Incoming = field(factory=Incoming, init=False)
    beside: Beside = field(factory=Beside, init=False)
    unreadable: ProtocolError | None = field(default=None, init=False)
    streams: dict[int, int] = field(factory=dict, init=False)
    unsent: deque[bytes] = field(factory=deque, init=False)
    closing: bool = field(default=False, init=False)
    closed: bool = field(default=False, init=False)
    terminated: bool = field(default=False, init=False)
    end_was_told: bool = field(default=False, init=False)
    linger_until: float | None = field(default=None, init=False)
    said: PollSpec = field(factory=PollSpec, init=False)
    waker: Callable[[], object] | None = field(default=None, init=False)
    # Who dials: where to, and what is still to be done about it.
    address: Address | None = field(default=None, init=False)
    options: QuicOptions = field(factory=QuicOptions, init=False)
    lookup: Lookup | None = field(default=None, init=False)
    untried: deque[Target] = field(factory=deque, init=False)
    failure: str = field(default="no address", init=False)
    next_at: float | None = field(default=None, init=False)

    # -- sending

    def send_frame(self, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
        """Accept a frame whole, or answer False; it goes out with the next pump."""
        if self.end is not None:
            raise self.told(self.end)
        if self.connecting:
            return False
        if not self._has_room(len(header) + sum(map(len, parts)), lane):
            return False
        self.outgoing.put(header, parts, lane)
        return True

    def _has_room(self, size: int, lane: int) -> bool:
        """Whether so much more may wait: in all, or in a lane that holds little, since a full one stops no other."""
        backlog = self.backlog
        if not backlog or backlog + size <= BACKLOG_BYTES:
            return True
        stream = stream_of(lane)
        number = self.streams.get(stream)
        held = sum(map(len, self.outgoing.waiting.get(stream, ())))
        if number is not None and self.engine is not None:
            held += self.engine.unsent(number)
        return held + size <= LANE_BYTES

    def send_datagram(self, header: bytes, parts: Sequence[bytes]) -> bool:
        """Accept a datagram, or answer False; it goes out with the next pump, and may get lost."""
        if self.end is not None:
            raise self.told(self.end)
        return not self.connecting and self.beside.put(b"".join((header, *parts)), self.datagram_limit())

    def recv_datagram(self) -> RawFrame | None:
        """Take the oldest datagram; None: there is none."""
        return self.beside.take()

    def datagram_limit(self) -> int:
        """Bytes of the largest datagram that can be sent now."""
        if self.engine is None or self.connecting or self.closed:
            return 0
        return self.beside.limit(self.engine)

    @property
    def backlog(self) -> int:
        """Bytes that were accepted and are not in the network."""
        if self.closed or self.engine is None:
            return 0
        return self.outgoing.size + self.engine.unsent() + sum(map(len, self.unsent))

    def write(self) -> None:
        """Give the engine what waits, and the socket what the engine wants to send now."""
        engine = self.engine
        if engine is None or self.endpoint is None:
            return
        if not self.connecting:
            for stream, data in self.outgoing.take():
                if stream not in self.streams:
                    self.streams[stream] = engine.new_stream()
                engine.send(self.streams[stream], data, end=self.closing and not stream)
        going = True
        while going:
            if len(self.unsent) < BATCH:
                self.beside.give(engine)
                self.unsent.extend(engine.datagrams(self.clock))
                going = self._runs_ahead(engine)
            if self.unsent and (not going or len(self.unsent) >= BATCH):
                self.endpoint.send(self.unsent, self.place)
                going = going and not self.unsent

    def _runs_ahead(self, engine: Engine) -> bool:
        """If the engine only waits for a packet's own moment, which is near, let it go on now; whether that was so."""
        at = engine.pacing(self.clock)
        if at is None or at <= self.clock or (self.options.pacing and at > self.now + AHEAD_SECONDS):
            return False
        self.clock = at
        return True

    # -- receiving

    def receive(self, datagrams: Sequence[bytes], place: Any) -> None:
        """Take what has come from the socket; what it means is seen by ``look``.

        Whoever is pumped reads for all. What nobody takes here is dropped in the end, as a full socket would do, and
        the other side sends it again, later and slower.
        """
        if self.incoming.size > UNREAD_BYTES and self.incoming.fresh:
            return
        if self.engine is not None and not self.closed:
            self.engine.receive(datagrams, place, self.clock)

    def recv_frame(self, limit: int) -> RawFrame | None:
        """Take the next frame; None: none is whole yet."""
        if self.closing and self.end is not None:
            raise self.end.with_traceback(None)
        if self.unreadable is not None:
            raise self.unreadable.with_traceback(None)
        try:
            frame = self.incoming.next(limit)
        except ProtocolError as error:
            self.unreadable = error
            self.incoming.clear()
            raise
        if frame is None:
            self._see_end()
            if self.end is not None:
                raise self.told(self.end)
        return frame

    def look(self) -> None:
        """See what the engine has to say."""
        if self.engine is None:
            return
        for kind, event in self.engine.events():
            if kind == "StreamDataReceived":
                self._feed(event)
            elif kind == "DatagramFrameReceived":
                self.beside.feed(event.data)
            elif kind == "HandshakeCompleted":
                self._shaken(event.alpn_protocol)
            elif kind == "ConnectionTerminated":
                self._terminated(event.error_code, event.reason_phrase)
            elif kind in ("StreamReset", "StopSendingReceived"):
                self.give_up("the connection broke: the other side has given up a stream")
            elif kind in ("ConnectionIdIssued", "ConnectionIdRetired") and self.endpoint is not None:
                self.endpoint.route(self)
        if self.engine.failure:
            self.terminated = True
            self.give_up(self.engine.failure)

    def _feed(self, event: Any) -> None:
        if self.closing or self.unreadable is not None or self.end is not None:
            return
        try:
            self.incoming.feed(event.stream_id, event.data, event.end_stream)
        except ProtocolError as error:
            self.give_up(f"the connection broke: {error}")

    def _shaken(self, protocol: str | None) -> None:
        if protocol != ALPN:
            reason = f"the other side does not name {ALPN} within TLS (ALPN); is it a kcoro program?"
            self.give_up(reason, permanent=True)
            return
        self.connecting = False

    def _terminated(self, code: int, reason: str) -> None:
        if self.terminated:
            return
        self.terminated = True
        if code:
            self.finish(explained(code, reason), is_permanent(code))
        elif self.incoming.has_all:
            self.finish("the other side closed the connection")
        else:
            self.finish("the connection broke: it ended without a goodbye, so that something may be missing")

    def _see_end(self) -> None:
        """If the other side has ended and everything was handed out: tell it so, and end."""
        if self.incoming.is_complete and self.end is None and not self.terminated:
            self.finish("the other side closed the connection")
            self._say_end(0)
            self.free()

    # -- driving

    def tell_time(self, now: float) -> None:
        """What time it is; the engine's clock may be a little ahead, and never runs back."""
        self.now = max(self.now, now)
        self.clock = max(self.clock, now)

    def pump(self, now: float, ready: int) -> None:
        """Connect, read, write, do what is due; tell an end that was not our doing when no frame is left."""
        self.tell_time(now)
        if self.connecting and self.end is None:
            self.connect_on()
        if self.endpoint is not None and ready & READ:
            self.endpoint.receive(self.now)
        self.go_on()
        if self.closing:
            self.close_on()
            return
        if self.end is not None and not self.incoming.fresh:
            raise self.told(self.end)

    def go_on(self) -> None:
        """Do what is due, see what has come, and write; called for whoever has got datagrams, too."""
        engine = self.engine
        if engine is None or self.closed:
            return
        timer = engine.timer()
        if timer is not None and timer <= self.clock:
            engine.handle_timer(self.clock)
        self.look()
        self.write()

    def wake(self) -> None:
        """Something has come while somebody else was pumped."""
        if self.waker is not None:
            self.waker()

    def poll(self) -> PollSpec:
        """What to wait for; the same object says that nothing has changed."""
        spec = self._poll()
        if spec != self.said:
            self.said = spec
        return self.said

    def _poll(self) -> PollSpec:
        if self.closed:
            return PollSpec(ready_now=self.end is not None and not self.closing and not self.end_was_told)
        if self.end is not None and not self.closing:
            return PollSpec(ready_now=not self.end_was_told or bool(self.incoming.fresh))
        if self.lookup is not None:
            at = self.give_up_at
            return PollSpec(fd=self.lookup.sock.fileno(), want=READ, deadline=at, ready_now=at is None)
        fd = None if self.endpoint is None else self.endpoint.fd
        want = READ | (WRITE if self.unsent or self._has_something_to_give() else 0)
        shared = self.place is not None
        return PollSpec(fd=fd, want=want, deadline=self._deadline(), ready_now=self._is_ready(), shared=shared)

    def _has_something_to_give(self) -> bool:
        """Whether the engine can be given something, which a pump does."""
        if self.connecting or self.engine is None:
            return False
        return bool(self.outgoing.waiting) or self.beside.may_go(self.engine)

    def _is_ready(self) -> bool:
        if self.closing:
            return self.linger_until is None
        fresh = bool(self.incoming.fresh) and self.unreadable is None
        return fresh or bool(self.beside.arrived) or (self.connecting and self.engine is None)

    def _deadline(self) -> float | None:
        timer = None if self.engine is None else self.engine.timer()
        if timer is not None and timer - self.now > FAR_SECONDS:
            timer = None
        more = self.linger_until if self.closing else (self.next_at if self.connecting else None)
        return min((time for time in (timer, more) if time is not None), default=None)

    # -- connecting, for whoever dials

    def begin(self, address: Address, options: QuicOptions) -> None:
        """Begin to connect: to the first address, or by looking them up."""
        self.address, self.options = address, options
        self.patience = options.connect_timeout
        self.untried.extend(targets(address, UDP))
        if not self.untried:
            self.lookup = Lookup(address, UDP, self.patience, options.resolver)

    def connect_on(self) -> None:
        """Take the answer of a look-up, begin with the first address, go on to the next when one has failed."""
        if self.address is None:
            return
        if self.give_up_at is None:
            self.give_up_at = self.now + self.patience
        if self.lookup is not None:
            self._take_answer(self.lookup)
        elif self.endpoint is None:
            self._try_next()
        elif self.endpoint.udp.refused:
            self._failed(self.endpoint.udp.refused)
        elif self.next_at is not None and self.now >= self.next_at:
            self._failed(f"no answer within {self.patience:g} s")
        if self.connecting and self.end is None and self.now >= self.give_up_at:
            what = "the name is still being looked up" if self.lookup is not None else "nobody has answered"
            self.give_up(f"{what} after {self.patience:g} s; is the server running?")

    def _take_answer(self, lookup: Lookup) -> None:
        answer = lookup.answer
        if answer is None:
            return
        self.lookup = None
        lookup.sock.close()
        if isinstance(answer, Unknown):
            self.give_up(f"the name cannot be looked up: {answer.reason}", answer.permanent)
            return
        self.untried.extend(answer)
        self._try_next()

    def _try_next(self) -> None:
        """Begin with the next address for which there is a socket."""
        while self.untried and self.address is not None and self.give_up_at is not None:
            target = self.untried.popleft()
            self._leave()
            try:
                self.endpoint = Endpoint.to(target)
            except OSError as error:  # no such family here, no way there, or no descriptor
                self.failure = f"{target}: {error.strerror}"
                continue
            self.endpoint.join(self)
            self.failure = str(target)
            self.next_at = self.now + (self.give_up_at - self.now) / (1 + len(self.untried))
            settings = client_settings(self.options, self.address.certified)
            self.engine = Engine.client(self.options.library, settings, target.place, self.clock)
            self.look()
            self.write()
            return
        self.give_up(f"nobody can be reached: {self.failure}; is the server running?")

    def _failed(self, why: str) -> None:
        self.failure = f"{self.failure}: {why}"
        self._try_next()

    def _leave(self) -> None:
        if self.endpoint is not None:
            self.endpoint.leave(self)
        self.endpoint = self.engine = None
        self.said = PollSpec()  # another descriptor may have the same number
        self.unsent.clear()

    # -- ending

    def close(self) -> None:
        """End in good order: what was accepted goes out, and the other side says that it has it."""
        if self.closing:
            return
        reached = self.end is None and not self.connecting
        self.finish("the connection was closed by this side")
        self.closing = True
        self.incoming.clear()
        self.beside.clear()
        if not reached:
            self.abort()
            return
        self.outgoing.put_last()
        self.write()

    def close_on(self) -> None:
        """Go on closing: give the socket back when the other side has everything, or has had time enough."""
        if self.closed:
            return
        if self.linger_until is None or self.backlog:
            self.linger_until = self.now + LINGER_SECONDS
        if self.terminated or self.now >= self.linger_until:
            self._say_end(0)
            self.free()

    def abort(self) -> None:
        """End now."""
        self.finish("the connection was given up by this side")
        self.closing = True
        if not self.closed:
            self._say_end(GIVEN_UP)
        self.free()

    def _say_end(self, code: int) -> None:
        if self.engine is not None and not self.terminated:
            self.outgoing.take()  # behind the end nothing is sent
            self.engine.close(code, "")
            self.write()

    def free(self) -> None:
        """Give everything back; nothing is sent or received any more."""
        if self.lookup is not None:
            self.lookup.sock.close()
            self.lookup = None
        self._leave()
        self.closed = True
        if self.closing:
            self.incoming.clear()
            self.beside.clear()

    def give_up(self, reason: str, permanent: bool = False) -> None:
        """End by ourselves; ``reason`` says why, to the other side only that it is so."""
        self.finish(reason, permanent)
        if not self.closing:
            self._say_end(GIVEN_UP)
            self.free()

    def finish(self, reason: str, permanent: bool = False) -> None:
        """Set the end, unless it has come; ``reason`` says what happened, ``permanent`` that it stays so."""
        self.connecting = False
        if self.end is None:
            self.end = TransportError(f"{self.name}: {reason}", permanent=permanent)

    def told(self, end: TransportError) -> TransportError:
        """The end is about to be raised; from now on nobody needs to be woken for it."""
        self.end_was_told = True
        return end.with_traceback(None)  # which would grow each time, and keep what callers had


def dial(address: Address, options: QuicOptions) -> Connection:
    """A connection that has begun.

    :raises ValueError: there is no port, or a file is none.
    """
    if not address.port and not address.service:
        raise ValueError(f"{address}: whoever connects has to name the port of a server, as in quic:127.0.0.1:7000")
    client_settings(options, address.certified)  # which says what is wrong with the files before anything is opened
    conn = Connection(str(address))
    conn.begin(address, options)
    return conn
