# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection, sans-IO: frames and time come in, events and frames go out; it knows no channel, no loop, no socket.

How it is driven, by whoever owns the medium (all from one thread; no call suspends or calls back):

1. ``start(now)`` when the medium is up; then write what ``poll_transmit`` gives.
2. For each frame that was read: ``events = receive(raw, now)``; handle them in order, then write.
   A datagram beside the frames: ``receive_datagram``, likewise.
3. Commands (``asking.py``, ``ping``, ``drain``, ``bye``) and answers (``answering.py``) at any time; then write.
4. Write: ``while (frame := poll_transmit(flush)): hand it to the medium; mark_written()``, until the medium is full;
   or, at once and for less, ``writer.write``.
   ``flush=False`` holds acknowledgements back that no frame carries yet; call with True within one loop turn.
   Then ``while (frame := lossy.poll()): hand it over as a datagram; lossy.wrote()``, until that is full.
5. ``handle_timeout(now)`` at ``next_deadline()``, which changes with every call.
6. ``lose(cause)`` when the medium ends. When ``state`` is DEAD and ``poll_transmit`` gives None, close the medium.

Rule 1: a breach by the peer never raises here: it ends the connection, as an event, with a BYE that says why.
Rule 2: misuse by the owner is ValueError, and a command that can do nothing raises its error; both change nothing.
Rule 3: ConnectionEnded comes exactly once and last, and its report is complete: nothing is left in doubt unsaid.
Rule 4: reading never waits for writing. Every queue has a bound of its own instead; two peers that both stopped reading
because their answers pile up would wait for each other for ever.

Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from ..errors import CreditOverrun, KcoroError, LinkLost, NotSupported, ProtocolError, TransportError
from ..transport import RawFrame
from .admission import Admission
from .ahead import Ahead
from .answering import Answering
from .asking import Asking
from .borrower import Borrower
from .calls import Calls
from .codes import WireCode, code_of, error_of
from .commands import WAITING_ONLY, Command, Flag, command_name
from .draining import Draining
from .events import ConnectionEnded, Established, Event, LossReport, PeerBye, PongReceived
from .fences import Fences
from .fields import Fields
from .frame import HEADER_SIZE, Frame, frame_from_raw, pack_header
from .handles import HandleTable
from .handshake import Handshake
from .hello import Agreement, Feature, Hello, Limits
from .home import Home
from .lender import Lender
from .life import Life
from .listing import Listing
from .liveness import Liveness
from .lossy import Lossy
from .messages import (
    FOREVER_MS,
    Attributes,
    decode_bye,
    encode_bye,
)
from .opener import Opener
from .order import Order
from .outbox import Entry, Outbox
from .parameters import ConnectionConfig, ConnectionStats, Side
from .pieces import Pieces
from .prediction import Prediction
from .remote_select import HomeSelects, OpenerSelects
from .riders import Rider
from .routes import Routes
from .states import HandleState, State, Step
from .writer import Writer

__all__ = ["Connection", "ConnectionConfig", "ConnectionStats", "Side"]

_PING_SIZE: Final = 8
_MASK: Final = 0xFFFF_FFFF
_DEFAULTS: Final = ConnectionConfig()
_ALL_LIMITS: Final = Limits()


class Connection(Asking, Answering):
    """The protocol of one connection, from HELLO to BYE; see the module for how it is driven."""

    def __init__(
        self,
        side: Side,
        node_id: bytes,
        nonce: bytes,
        limits: Limits = _ALL_LIMITS,
        config: ConnectionConfig = _DEFAULTS,
    ) -> None:
        """Make one end. ``node_id`` (16 bytes) is the same for all connections of a node, ``nonce`` (8) never twice."""
        self._side = side
        self._config = config
        features = Feature.DATAGRAMS if config.datagrams else Feature(0)
        self._hello = Hello(node_id, nonce, limits, capabilities=features, software=config.software)
        self.handshake = Handshake(side is Side.CONNECTING, self._hello)
        self.life = Life()
        self._deadline: float | None = None  # of the handshake, or of the farewell
        self._connecting = False  # our HELLO waits for the medium
        self._liveness: Liveness | None = None
        self._report: LossReport | None = None
        self._bye_written = False
        self._order = Order()  # of channel 0
        self._outbox = Outbox()
        self._next = Prediction()
        self._handles = HandleTable(side is Side.CONNECTING, self._gone)
        self._ahead = Ahead(self._outbox, self._handles)
        self._borrower = Borrower(self._outbox, self._handles, self._ahead, config.lending_budget)
        on_channels = self._handles if config.streams else None
        self._lender = Lender(self._outbox, self._handles, self._order, self._ahead, config.lending_budget, on_channels)
        self.lossy = Lossy(self._outbox, self._handles)
        more = (self._ahead, self.lossy, self._next)
        self._opener = Opener(self._outbox, self._handles, self._borrower, *more, config.cancel_grace)
        self._admission = Admission(self._outbox, self._handles, self._lender)
        self._home = Home(self._outbox, self._handles, self._lender, *more[:2], self._admission, self._next)
        self._draining = Draining(self._outbox, self._admission)
        self._calls = Calls(self.life, self._outbox, self._handles, self._opener, self._home)
        self._pieces = Pieces(self._home.takes)
        self._selects = OpenerSelects(self._opener)
        self._hints = HomeSelects(self._outbox, self._admission)
        self._listing = Listing(self.life, self._calls, self._opener, self._home)
        riders: list[Rider] = [self._lender.grants, self._opener.acks]
        fences = Fences(self._outbox, self._handles, self._opener) if config.streams else None
        self.writer = Writer(self._outbox, self._handles, self._order, riders, fences)
        self._routes = self._make_routes()
        self._read = self._bytes_read = 0

    def _make_routes(self) -> Routes:
        """Each part says what it takes; a new part of the protocol is a line here and a file of its own."""
        routes = Routes(self.life, self._order, self._handles, self._home, self._admission, self._pieces)
        routes.from_opener.update({**self._home.handlers(), **self._lender.handlers(), **self._hints.handlers()})
        routes.from_home.update({**self._opener.handlers(), **self._borrower.handlers(), **self._selects.handlers()})
        routes.from_home.update(self.lossy.handlers())
        routes.control.update(
            {
                Command.PING: self._heard_ping,
                Command.PONG: self._heard_pong,
                Command.BYE: self._heard_bye,
                Command.CREDIT: self._borrower.on_credit,
            }
        )
        if self._config.streams:
            routes.from_home[Command.CREDIT] = self._borrower.on_own_credit
        self._calls.fill(routes)
        self._draining.fill(routes)
        self._listing.fill(routes)
        routes.extensions.append((int(Flag.GRANT), self._borrower.read_grant))
        routes.extensions.append((int(Flag.FIRST), self._pieces.read_total))
        routes.extensions.append((int(Flag.TAKEN), self._home.read_taken))
        return routes

    def _gone(self, channel_id: int) -> None:
        """A handle was removed."""
        self._outbox.forget(channel_id)
        self.lossy.forget(channel_id)
        self._next.forget(channel_id)

    # --- getters -----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the connection is in its life."""
        return self.life.state

    @property
    def side(self) -> Side:
        """Which end this is."""
        return self._side

    @property
    def peer(self) -> Hello | None:
        """What the peer said of itself, once it was heard."""
        return self.handshake.peer

    @property
    def agreement(self) -> Agreement | None:
        """What both sides hold to, from Established on."""
        return None if self._liveness is None else self.handshake.agreement

    @property
    def frame_limit(self) -> int:
        """Payload bytes of the largest frame that may come now: pass it to the medium's recv_frame."""
        return self.handshake.frame_limit

    @property
    def report(self) -> LossReport | None:
        """What the end left behind; the same that ConnectionEnded told."""
        return self._report

    def is_waiting(self, request_id: int) -> bool:
        """Whether an answer to this request of the peer is still owed."""
        return self._admission.is_waiting(request_id)

    def in_flight(self, request_id: int) -> bool:
        """Whether this request of ours is not over: unanswered, given up without an answer, or not settled."""
        return self._opener.requests.is_open(request_id)

    def attributes(self, channel_id: int) -> Attributes | None:
        """What a handle of either side truly is, or None when it is not open."""
        handle = self._handles.find(channel_id)
        return None if handle is None or handle.state is HandleState.ASKED else handle.attributes

    def order(self, channel_id: int) -> Order | None:
        """The counts of a handle, to be read only, or None when it is gone; whoever has them keeps the last ones."""
        handle = self._handles.find(channel_id)
        return None if handle is None else handle.order

    def accepted(self, channel_id: int) -> int:
        """How many sends on this handle of ours the home has accepted; 0 when it is gone."""
        handle = self._handles.find(channel_id)
        return 0 if handle is None else handle.accepted

    def unsettled(self, channel_id: int) -> int:
        """At the home: elements that were pushed and are neither confirmed nor returned; a close waits for 0."""
        handle = self._handles.find(channel_id)
        return 0 if handle is None else handle.ledger.unsettled

    @property
    def answer_bytes(self) -> int:
        """By ``charge``, the results of the peer's calls that are not written."""
        return self._admission.answer_bytes

    @property
    def unanswered(self) -> int:
        """Requests of ours that wait for an answer, without those that only wait for an element, or for a turn."""
        return sum(request.command not in WAITING_ONLY for request in self._opener.requests)

    @property
    def refused_late(self) -> int:
        """Requests of the peer that were refused because they came behind the last one of a drain."""
        return self._admission.refused_late

    def has_frames(self) -> bool:
        """Whether something waits to be written, acknowledgements included."""
        return self.writer.has_frames()

    def stats(self) -> ConnectionStats:
        """The counters, in constant time."""
        return ConnectionStats(
            self.writer.frames,
            self._read,
            self.writer.bytes,
            self._bytes_read,
            len(self._opener.requests),
            len(self._outbox),
            self._opener.requests.late_replies,
            self._admission.ignored_cancels,
            self.lossy.written,
            self.lossy.read,
            self.lossy.ignored,
            self.lossy.missing,
        )

    # --- what the owner handles ---------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Queue our HELLO, which the medium takes when it is up: within ``connect_limit``, if it is not up by now."""
        self.life.step(Step.START)
        limit = self._config.connect_limit
        self._connecting = limit is not None
        self._deadline = now + (self._config.hello_limit if limit is None else limit)
        self._control(Command.HELLO, self.handshake.hello)

    def connected(self, now: float) -> None:
        """The medium has taken our HELLO: from now on the peer has ``hello_limit`` seconds; harmless when it is known.

        Until then the peer could not have answered, so the time that a slow look-up of its name took is not its own.
        """
        if self._connecting:
            self._connecting = False
            if self.life.state is State.HELLO:
                self._deadline = now + self._config.hello_limit

    def receive(self, raw: RawFrame, now: float) -> list[Event]:
        """Take one frame as a transport delivered it. Returns what happened; never raises because of the peer."""
        if self._report is not None:
            return []
        liveness = self._liveness
        events: list[Event] = []
        if liveness is None:
            self.life.check_started()
        try:
            if self._next.handle is not None and self._take_predicted(raw, now, events):
                return events
            frame = frame_from_raw(raw, self.handshake.frame_limit)
            self._read += 1
            self._bytes_read += HEADER_SIZE + frame.length
            if liveness is None:
                self._take_handshake(frame, now, events)
            else:
                liveness.heard_at, liveness.unheard = now, 0  # Liveness.heard, in line: this runs for each frame
                self._routes.take(frame, now, events)
        except (ProtocolError, NotSupported, CreditOverrun) as error:
            events += self.breach(error, now)
        return events

    def _take_predicted(self, raw: RawFrame, now: float, events: list[Event]) -> bool:
        """Take a frame if it is the one that was expected; False, without effect, if it is not."""
        expected, payload = self._next, raw.payload
        handle, request_id, size = expected.handle, expected.request_id, len(payload)
        if handle is None:
            return False
        order = handle.order
        seq = order.expected
        if (
            raw.header != pack_header(size, expected.command, 0, handle.id, request_id, seq)
            or size > self.handshake.frame_limit
            or self._pieces.begun
            or self.life.state is not State.OPEN
            or not expected.hear(handle, request_id, payload, events)
        ):
            return False
        order.expected = (seq + 1) & _MASK
        expected.request_id = (request_id + 1) & _MASK
        self._read += 1
        self._bytes_read += HEADER_SIZE + size
        if (liveness := self._liveness) is not None:
            liveness.heard_at, liveness.unheard = now, 0
        return True

    def receive_datagram(self, raw: RawFrame, now: float) -> list[Event]:
        """Take one datagram as a transport delivered it. Returns what happened; it never ends the connection."""
        events: list[Event] = []
        if self._liveness is None or self.life.state is not State.OPEN:
            self.lossy.ignored += 1
        else:
            self._liveness.heard(now)
            self.lossy.hear(raw, self.handshake.frame_limit, events)
        return events

    def receive_frame(self, frame: Frame, now: float) -> list[Event]:
        """Take one frame that was made here, and not by a medium. Returns what happened, as ``receive`` does."""
        return self.receive(RawFrame(frame.header, frame.payload), now)

    def note_alive(self, now: float) -> None:
        """Bytes of an unfinished frame came: proof of life."""
        if self._liveness is not None:
            self._liveness.heard(now)

    def next_deadline(self) -> float | None:
        """When handle_timeout has something to do; None when nothing is awaited."""
        times = [self._deadline]
        if self._report is None:
            times.append(self._opener.next_deadline())
            times.append(None if self._liveness is None else self._liveness.next_deadline())
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self, now: float) -> list[Event]:
        """Do what is due: end a handshake or a silent peer, ask for a sign of life, give up cancelled requests."""
        events: list[Event] = []
        if self._deadline is not None and now >= self._deadline:
            events += self.lose(self._overdue())
        elif self._report is None and self._liveness is not None:
            self._opener.expire(now, events)
            if self._liveness.dead(now):
                events += self.lose(LinkLost("the peer has been silent for too long"))
            elif (payload := self._liveness.due(now)) is not None and self.life.state is State.OPEN:
                self._control(Command.PING, payload)
        return events

    def _overdue(self) -> KcoroError:
        """Who took too long, and for what."""
        if self.life.state is not State.HELLO:
            return LinkLost("the peer did not finish the farewell in time")
        if self._connecting:
            return TransportError(f"the medium did not connect within {self._config.connect_limit:g} s")
        return LinkLost("the peer did not finish the handshake in time")

    def lose(self, cause: Exception) -> list[Event]:
        """The medium ended. Returns ConnectionEnded, or nothing when that was told before."""
        if self.life.state is State.DEAD:
            return []
        self.life.step(Step.LOSE)
        self._outbox.clear()
        self.lossy.waiting.clear()
        self.writer.end()
        self._deadline = None
        return self._finish_report(cause, orderly=False)

    def breach(self, error: KcoroError, now: float) -> list[Event]:
        """The peer broke the protocol (a transport may notice first): end the connection, with a BYE that says why.

        Returns ConnectionEnded, or nothing when that was told before.
        """
        if self._report is not None or self.life.state is State.CONNECTING:
            return self.lose(error) if self._report is None else []
        self._farewell(code_of(error), str(error.args[0]) if error.args else "", now)
        return self._finish_report(error, orderly=False)

    def forget(self) -> None:
        """The owner has settled what ConnectionEnded told: keep how it ended, and of single cases nothing.

        Whoever keeps a connection that is over keeps little then, whatever its peer had left under way.
        """
        if self._report is not None:
            self._report = evolve(self._report, requests=(), elements=(), parked=(), unacknowledged=(), data=())
            self._routes.clear()
            self._next.handle = None

    # --- what is written ----------------------------------------------------------------------------------------------

    def poll_transmit(self, flush: bool = True) -> Frame | None:
        """The frame to write next, or None. It stays queued until mark_written; ask again as often as you like.

        Write ``frame.header`` and ``frame.parts`` whole or not at all. With ``flush`` False an acknowledgement that no
        queued frame can carry waits; it must be flushed within one loop turn, since a slot is held for it.
        """
        return self.writer.poll(flush)

    def mark_written(self) -> None:
        """The frame that poll_transmit gave last was taken by the medium, whole. Raises ValueError without one."""
        self.writer.mark_written()

    # --- both sides ---------------------------------------------------------------------------------------------------

    def ping(self, now: float) -> bool:
        """Ask for a sign of life; PongReceived follows. False while an earlier PING is unanswered."""
        self.life.check_open()
        payload = None if self._liveness is None else self._liveness.ping(now)
        if payload is not None:
            self._control(Command.PING, payload)
        return payload is not None

    def drain(self, deadline_ms: int = FOREVER_MS) -> None:
        """Announce an orderly end: requests of the peer that were not heard yet are refused from now on, with EPIPE.

        What was heard goes on; the owner says ``bye`` when it is done, or the time is over. Raises LinkLost once the
        connection ends, ValueError the second time.
        """
        self.life.check_open()
        self._draining.tell(deadline_ms)

    def bye(self, now: float, code: WireCode = WireCode.OK, text: str = "") -> None:
        """End the connection behind everything that is queued; ConnectionEnded follows with the peer's BYE.

        Answers to what was asked before are still heard; nothing new is asked or answered. Raises ValueError unless
        the connection is open or shaking hands.
        """
        self.life.step(Step.FAREWELL)
        self._deadline = now + self._config.bye_limit
        self._queue_bye(code, text)

    # --- inside: what comes in ----------------------------------------------------------------------------------------

    def _take_handshake(self, frame: Frame, now: float, events: list[Event]) -> None:
        self._order.read(frame.seq)
        if frame.command == Command.BYE and self.handshake.peer is not None:
            self._heard_bye(frame, now, events)
            return
        self.handshake.check(frame)
        if frame.command == Command.CONFIRM:
            self._agree(*self.handshake.hear_confirm(frame), now, events)
            return
        confirm = self.handshake.hear_hello(frame)
        if self.life.state is State.HELLO:
            self._control(Command.CONFIRM, confirm)

    def _agree(self, agreement: Agreement, peer: Hello, now: float, events: list[Event]) -> None:
        limits = agreement.limits
        # Spread by the nonce, +-20 %, so that many connections made at once do not all ask at the same second.
        spread = 0.8 + 0.4 * int.from_bytes(self._hello.nonce[-2:], "big") / 0xFFFF
        self._liveness = Liveness(limits.keepalive_ms / 1000 * spread, limits.idle_ms / 1000, now)
        self._opener.agree(agreement)
        self._home.agree(limits)
        self._admission.agree(limits)
        self._calls.agree(limits, agreement.peer_budget)
        self._pieces.agree(limits)
        self._outbox.agree(limits.max_frame, agreement.peer_budget)
        self._handles.limit = limits.max_channels
        self.lossy.agreed = Feature.DATAGRAMS in agreement.features
        if self.life.state is State.HELLO:  # else we have said goodbye meanwhile
            self.life.step(Step.AGREE)
            self._deadline = None
            events.append(Established(agreement, peer))

    def _heard_ping(self, frame: Frame, _now: float, _events: list[Event]) -> None:
        _check_bare(frame, _PING_SIZE)
        if self.life.state is State.OPEN:
            self._control(Command.PONG, frame.payload)

    def _heard_pong(self, frame: Frame, now: float, events: list[Event]) -> None:
        _check_bare(frame, _PING_SIZE)
        if self._liveness is not None and (seconds := self._liveness.pong(frame.payload, now)) is not None:
            events.append(PongReceived(seconds))

    def _heard_bye(self, frame: Frame, now: float, events: list[Event]) -> None:
        _check_bare(frame)
        code, text = decode_bye(Fields(frame.payload, "BYE"))
        events.append(PeerBye(code, text))
        said = f": {text}" if text else ""
        cause: Exception = LinkLost(f"the peer said goodbye{said}") if not code else error_of(code, text)
        self._farewell(WireCode.OK, "", now)
        events += self._finish_report(cause, orderly=not code)

    # --- inside: what goes out ----------------------------------------------------------------------------------------

    def _control(self, command: Command, payload: bytes) -> None:
        self._outbox.put_control(Entry(command, parts=(payload,)))

    # --- inside: the end ----------------------------------------------------------------------------------------------

    def _farewell(self, code: WireCode, text: str, now: float) -> None:
        """Drop what is queued, and queue a BYE unless one was written; nothing that comes back matters any more."""
        self._outbox.clear()
        self.lossy.waiting.clear()
        self._opener.acks.clear()
        self._lender.grants.clear()
        if self.life.state is not State.CLOSING:
            self.bye(now, code, text)
        elif not self._bye_written:
            self._queue_bye(code, text)

    def _queue_bye(self, code: WireCode, text: str) -> None:
        self._outbox.seal(Entry(Command.BYE, parts=(encode_bye(code, text),), on_written=self._bye_was_written))

    def _bye_was_written(self, _entry: Entry) -> None:
        self._bye_written = True
        self.writer.said_bye()
        if self._report is not None:
            self._finish()

    def _finish(self) -> None:
        self.life.step(Step.FINISH)
        self.writer.end()
        self._deadline = None

    def _finish_report(self, cause: Exception, orderly: bool) -> list[Event]:
        if self._report is not None:
            return []
        accepted = {handle.id: handle.accepted for handle in self._handles if handle.mine}
        self._report = LossReport(
            cause,
            orderly,
            self._opener.lost(),
            self._home.lost_elements(),
            self._admission.parked(),
            self._opener.acks.unpaid(),
            accepted,
            tuple(lost for handle in self._handles if handle.mine for lost in self._borrower.gone(handle)),
        )
        self._opener.acks.clear()
        self._lender.grants.clear()
        self._handles.clear()
        self._pieces.clear()
        if self.life.state is State.CLOSING and self._bye_written:
            self._finish()
        return [ConnectionEnded(self._report)]


def _check_bare(frame: Frame, size: int | None = None) -> None:
    name = command_name(frame.command)
    if frame.flags or frame.request_id:
        raise ProtocolError(f"{name} takes neither flags nor a request id")
    if size is not None and frame.length != size:
        raise ProtocolError(f"{name} has {frame.length} bytes, not {size}")
