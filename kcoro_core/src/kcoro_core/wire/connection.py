# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection, sans-IO: frames and time come in, events and frames go out; it knows no channel, no loop, no socket.

How it is driven, by whoever owns the medium (all from one thread; no call suspends or calls back):

1. ``start(now)`` when the medium is up; then write what ``poll_transmit`` gives.
2. For each frame that was read: ``events = receive(raw, now)``; handle them in order, then write.
3. Commands (``open`` to ``bye``) and answers (``accept`` to ``tell_closed``) at any time; then write.
4. Write: ``while (frame := poll_transmit(flush)): hand it to the medium; mark_written()``, until the medium is full.
   ``flush=False`` holds acknowledgements back that no frame carries yet; call with True within one loop turn.
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

import enum
from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from ..errors import CreditOverrun, KcoroError, LinkLost, NotSupported, ProtocolError
from ..transport import RawFrame
from .ahead import Ahead
from .borrower import Borrower, Sent
from .calls import Calls
from .codes import WireCode, code_of, error_of
from .commands import WAITING_ONLY, Command, Flag, command_name
from .draining import Draining
from .events import ConnectionEnded, Established, Event, LossReport, PeerBye, PongReceived
from .fields import Fields
from .frame import HEADER_SIZE, Frame, frame_from_raw
from .handles import HandleTable
from .handshake import Handshake
from .hello import Agreement, Hello, Limits
from .home import Home
from .lender import Lender
from .life import Life
from .listing import Listing, page_of
from .liveness import Liveness
from .messages import (
    FOREVER_MS,
    Attributes,
    ChannelInfo,
    Closing,
    Listed,
    OpenRequest,
    decode_bye,
    encode_bye,
)
from .opener import Opener
from .order import Order
from .outbox import Entry, Outbox
from .pieces import Pieces
from .remote_select import HomeSelects, OpenerSelects, Readiness
from .riders import Rider
from .routes import Routes
from .slots import Slots
from .states import HandleState, State, Step
from .writer import Writer

__all__ = ["Connection", "ConnectionConfig", "ConnectionStats", "Side"]

_PING_SIZE: Final = 8


class Side(enum.Enum):
    """Which end of a connection this is: decides the parity of channel ids and whose HELLO is hashed first."""

    CONNECTING = "connecting"
    """Dialled; opens channels with odd ids."""
    ACCEPTING = "accepting"
    """Listened; opens channels with even ids."""


@frozen
class ConnectionConfig:
    """What one end decides alone, in seconds of the clock that is passed in.

    ``hello_limit``   how long the handshake may take
    ``cancel_grace``  how long a cancelled request waits for its answer before it is in doubt
    ``bye_limit``     how long our BYE waits for room and for the peer's
    ``lending_budget``  bytes, by ``charge``, that either side may send without asking, on all channels together
    ``software``      what HELLO tells people, at most 64 bytes
    """

    hello_limit: float = 5.0
    cancel_grace: float = 1.0
    bye_limit: float = 5.0
    lending_budget: int = 8 << 20
    software: str = ""


_DEFAULTS: Final = ConnectionConfig()
_ALL_LIMITS: Final = Limits()


@frozen
class ConnectionStats:
    """Counters of one connection at one instant; frames and bytes include headers and control frames."""

    frames_written: int
    frames_read: int
    bytes_written: int
    bytes_read: int
    requests_in_flight: int
    queued_frames: int
    late_replies: int
    ignored_cancels: int


class Connection:
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
        self._hello = Hello(node_id, nonce, limits, software=config.software)
        self._handshake = Handshake(side is Side.CONNECTING, self._hello)
        self._life = Life()
        self._deadline: float | None = None  # of the handshake, or of the farewell
        self._liveness: Liveness | None = None
        self._report: LossReport | None = None
        self._bye_written = False
        self._order = Order()  # of channel 0
        self._outbox = Outbox()
        self._handles = HandleTable(side is Side.CONNECTING, self._outbox.forget)
        self._ahead = Ahead(self._outbox, self._handles)
        self._borrower = Borrower(self._outbox, self._handles, self._ahead, config.lending_budget)
        self._lender = Lender(self._outbox, self._handles, self._order, self._ahead, config.lending_budget)
        self._opener = Opener(self._outbox, self._handles, self._borrower, self._ahead, config.cancel_grace)
        self._home = Home(self._outbox, self._handles, self._lender, self._ahead)
        self._draining = Draining(self._outbox, self._home)
        self._calls = Calls(self._life, self._outbox, self._handles, self._opener, self._home)
        self._pieces = Pieces(self._home.takes)
        self._selects = OpenerSelects(self._opener)
        self._hints = HomeSelects(self._home)
        self._listing = Listing(self._life, self._calls, self._opener, self._home)
        riders: list[Rider] = [self._lender.grants, self._opener.acks]
        self._writer = Writer(self._outbox, self._handles, self._order, riders)
        self._routes = self._make_routes()
        self._read = self._bytes_read = 0

    def _make_routes(self) -> Routes:
        """Each part says what it takes; a new part of the protocol is a line here and a file of its own."""
        routes = Routes(self._life, self._order, self._handles, self._home, self._pieces)
        routes.from_opener.update({**self._home.handlers(), **self._lender.handlers(), **self._hints.handlers()})
        routes.from_home.update({**self._opener.handlers(), **self._borrower.handlers(), **self._selects.handlers()})
        routes.control.update(
            {
                Command.PING: self._heard_ping,
                Command.PONG: self._heard_pong,
                Command.BYE: self._heard_bye,
                Command.CREDIT: self._borrower.on_credit,
            }
        )
        self._calls.fill(routes)
        self._draining.fill(routes)
        self._listing.fill(routes)
        routes.extensions.append((int(Flag.GRANT), self._borrower.read_grant))
        routes.extensions.append((int(Flag.FIRST), self._pieces.read_total))
        routes.extensions.append((int(Flag.TAKEN), self._home.read_taken))
        return routes

    # --- getters -----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the connection is in its life."""
        return self._life.state

    @property
    def side(self) -> Side:
        """Which end this is."""
        return self._side

    @property
    def peer(self) -> Hello | None:
        """What the peer said of itself, once it was heard."""
        return self._handshake.peer

    @property
    def agreement(self) -> Agreement | None:
        """What both sides hold to, from Established on."""
        return None if self._liveness is None else self._handshake.agreement

    @property
    def frame_limit(self) -> int:
        """Payload bytes of the largest frame that may come now: pass it to the medium's recv_frame."""
        return self._handshake.frame_limit

    @property
    def report(self) -> LossReport | None:
        """What the end left behind; the same that ConnectionEnded told."""
        return self._report

    def is_waiting(self, request_id: int) -> bool:
        """Whether an answer to this request of the peer is still owed."""
        return self._home.is_waiting(request_id)

    def in_flight(self, request_id: int) -> bool:
        """Whether this request of ours is not over: unanswered, given up without an answer, or not settled."""
        return self._opener.requests.is_open(request_id)

    def attributes(self, channel_id: int) -> Attributes | None:
        """What a handle of either side truly is, or None when it is not open."""
        handle = self._handles.find(channel_id)
        return None if handle is None or handle.state is HandleState.ASKED else handle.attributes

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
        return self._home.answer_bytes

    @property
    def unanswered(self) -> int:
        """Requests of ours that wait for an answer, without those that only wait for an element, or for a turn."""
        return sum(request.command not in WAITING_ONLY for request in self._opener.requests)

    @property
    def refused_late(self) -> int:
        """Requests of the peer that were refused because they came behind the last one of a drain."""
        return self._home.refused_late

    def has_frames(self) -> bool:
        """Whether something waits to be written, acknowledgements included."""
        return self._writer.has_frames()

    def stats(self) -> ConnectionStats:
        """The counters, in constant time."""
        return ConnectionStats(
            self._writer.frames,
            self._read,
            self._writer.bytes,
            self._bytes_read,
            len(self._opener.requests),
            len(self._outbox),
            self._opener.requests.late_replies,
            self._home.ignored_cancels,
        )

    # --- what the owner handles ---------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The medium is up: queue our HELLO, and give the peer ``hello_limit`` seconds for its own."""
        self._life.step(Step.START)
        self._deadline = now + self._config.hello_limit
        self._control(Command.HELLO, self._handshake.hello)

    def receive(self, raw: RawFrame, now: float) -> list[Event]:
        """Take one frame as a transport delivered it. Returns what happened; never raises because of the peer."""
        self._life.check_started()
        try:
            frame = frame_from_raw(raw, self._handshake.frame_limit)
        except ProtocolError as error:
            return self.breach(error, now)
        return self._receive(frame, len(raw.payload), now)

    def receive_frame(self, frame: Frame, now: float) -> list[Event]:
        """Take one frame whose header was checked. Returns what happened; never raises because of the peer."""
        self._life.check_started()
        return self._receive(frame, frame.length, now)

    def _receive(self, frame: Frame, length: int, now: float) -> list[Event]:
        if self._report is not None:
            return []
        self._read += 1
        self._bytes_read += HEADER_SIZE + length
        events: list[Event] = []
        try:
            if self._liveness is None:
                self._take_handshake(frame, now, events)
            else:
                self._liveness.heard(now)
                self._routes.take(frame, now, events)
        except (ProtocolError, NotSupported, CreditOverrun) as error:
            events += self.breach(error, now)
        return events

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
            what = "the handshake" if self._life.state is State.HELLO else "the farewell"
            events += self.lose(LinkLost(f"the peer did not finish {what} in time"))
        elif self._report is None and self._liveness is not None:
            self._opener.expire(now, events)
            if self._liveness.dead(now):
                events += self.lose(LinkLost("the peer has been silent for too long"))
            elif (payload := self._liveness.due(now)) is not None and self._life.state is State.OPEN:
                self._control(Command.PING, payload)
        return events

    def lose(self, cause: Exception) -> list[Event]:
        """The medium ended. Returns ConnectionEnded, or nothing when that was told before."""
        if self._life.state is State.DEAD:
            return []
        self._life.step(Step.LOSE)
        self._outbox.clear()
        self._deadline = None
        return self._finish_report(cause, orderly=False)

    def breach(self, error: KcoroError, now: float) -> list[Event]:
        """The peer broke the protocol (a transport may notice first): end the connection, with a BYE that says why.

        Returns ConnectionEnded, or nothing when that was told before.
        """
        if self._report is not None or self._life.state is State.CONNECTING:
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

    # --- what is written ----------------------------------------------------------------------------------------------

    def poll_transmit(self, flush: bool = True) -> Frame | None:
        """The frame to write next, or None. It stays queued until mark_written; ask again as often as you like.

        Write ``frame.header`` and ``frame.parts`` whole or not at all. With ``flush`` False an acknowledgement that no
        queued frame can carry waits; it must be flushed within one loop turn, since a slot is held for it.
        """
        if self._life.state is State.DEAD:
            self._writer.drop()
            return None
        return self._writer.poll(flush and not self._bye_written)

    def mark_written(self) -> None:
        """The frame that poll_transmit gave last was taken by the medium, whole. Raises ValueError without one."""
        self._writer.mark_written()

    # --- commands of the opener ---------------------------------------------------------------------------------------

    def open(self, wanted: OpenRequest) -> int:
        """Ask for a channel by name; ends with Opened or ReplyReceived. Returns the request id.

        Raises NoBuffers at max_channels or max_inflight_requests, ValueError for a name or codec that is too long,
        LinkLost once the connection ends. Like all commands: what raises has changed nothing.
        """
        self._life.check_open()
        return self._opener.open(wanted)

    def send(self, channel_id: int, element: bytes, timeout_ms: int = FOREVER_MS) -> int:
        """Ask the home to accept an element; ends with ReplyReceived. ``timeout_ms`` 0 is the exact try.

        Raises ChannelClosed when the close was heard, AccessDenied without the right, MessageTooLong, NoBuffers when
        too many requests or bytes wait, LinkLost; ValueError for what is no open handle of ours.
        """
        self._life.check_open()
        return self._opener.send(channel_id, element, timeout_ms)

    def send_data(self, channel_id: int, element: bytes) -> Sent:
        """Send an element against a lent slot; its send is done with that. Without a slot nothing happens: use send.

        On a CONFLATED channel it may replace an older one that waits here, which nobody will receive. Raises like send.
        """
        self._life.check_open()
        return self._opener.data(channel_id, element)

    def slots(self, channel_id: int) -> int:
        """How many elements of this handle of ours may be sent now without asking, as far as slots go."""
        handle = self._handles.find(channel_id)
        return 0 if handle is None or handle.window is None else handle.window.slots

    def recv(self, channel_id: int, timeout_ms: int = FOREVER_MS, ahead: bool = False) -> int:
        """Ask the home for an element; ends with ElementReceived or ReplyReceived. Raises like send.

        ``ahead``: nobody waits for it yet; leave its element unsettled until somebody does. Raises ValueError once that
        was recalled.
        """
        self._life.check_open()
        return self._opener.recv(channel_id, timeout_ms, ahead)

    def give_back_ahead(self, channel_id: int) -> None:
        """Answer AheadRecalled: what nobody took was put back, what nobody waits for was cancelled."""
        if self._report is None:
            self._ahead.give_back(channel_id)

    def info(self, channel_id: int) -> int:
        """Ask for state and counters of a channel; ends with InfoReceived or ReplyReceived."""
        self._life.check_open()
        return self._opener.info(channel_id)

    def ask_names(self, after: str = "") -> int:
        """Ask which names may be opened at the peer, behind this one; ends with NamesReceived or ReplyReceived."""
        self._life.check_open()
        return self._listing.ask(after)

    def close(self, channel_id: int, closing: Closing) -> int:
        """Ask the home to close (or, ``closing.cancel``, to cancel) the channel; ends with ReplyReceived."""
        self._life.check_open()
        return self._opener.close(channel_id, closing)

    def call(self, channel_id: int, command: int, payload: bytes) -> int:
        """Call ``command`` (64 to 127) at the home of a handle, or with 0 at the peer; ends with CallAnswered.

        Or with ReplyReceived. Raises ValueError for what is no call or no open handle, and as send does.
        """
        self._life.check_open()
        return self._calls.call(channel_id, command, payload)

    def tell(self, channel_id: int, command: int, payload: bytes) -> None:
        """Call without an answer: the peer may drop it. Raises as call does; NoBuffers when many wait unwritten."""
        self._life.check_open()
        self._calls.tell(channel_id, command, payload)

    def register(self, channel_id: int, serial: int, mask: Readiness) -> int:
        """Have a clause of a select stand at the home; Notified may follow. Returns the id of the registration.

        ``serial`` orders the selects of this node. Ends with unregister, or with ReplyReceived, which is no success.
        Raises like send.
        """
        self._life.check_open()
        return self._selects.register(channel_id, serial, mask)

    def unregister(self, registration: int) -> None:
        """The select is over: no news of this registration follows. Harmless when it has ended by itself."""
        if self._report is None:
            self._selects.unregister(registration)

    def claim(self, registration: int, token: int, event: Readiness, element: bytes | None = None) -> int:
        """Claim what Notified told of, with the element if the clause sends; the home may hold the claim for a while.

        Ends like send or recv: granted by ReplyReceived with code 0 or ElementReceived, denied with EAGAIN.
        """
        self._life.check_open()
        return self._selects.claim(registration, token, event, element)

    def cancel(self, request_id: int, now: float) -> bool:
        """Give a request of ours up. True: it was not written, is gone, known not done, and no event follows.

        False: its answer decides, whatever it is, or RequestInDoubt after ``cancel_grace``. Repeating is harmless.
        Raises ValueError when the request is over, or its element is here and waits to be settled.
        """
        return self._opener.cancel(request_id, now)

    def taken(self, request_id: int) -> None:
        """Settle ElementReceived: somebody has it. The acknowledgement goes with the next frame of that channel.

        Raises ValueError when there is nothing to settle, as after detach, which gave the element back.
        """
        if self._report is None:
            self._opener.taken(request_id)

    def putback(self, request_id: int) -> None:
        """Settle ElementReceived: nobody can have it any more; it goes back to the head. Raises like taken."""
        if self._report is None:
            self._opener.putback(request_id)

    def detach(self, channel_id: int) -> tuple[int, ...]:
        """Give a handle up; Detached follows when the home has answered everything.

        Returns the receives that end by it: nothing was taken for them, and no event follows. Elements that were not
        settled go back. Other requests of the handle are cancelled by the home, and still end with their answer.
        """
        self._life.check_open()
        return self._opener.detach(channel_id)

    # --- answers of the home ------------------------------------------------------------------------------------------
    # Each returns False, without effect, when nobody is left to hear: the connection ended, or (push) the receiver
    # detached. Each raises ValueError for a request that waits for no answer, or for another one.

    def accept(self, request_id: int, attributes: Attributes) -> bool:
        """Answer OpenRequested. ``max_message`` is lowered to what this link carries."""
        return self._life.answering and self._home.accept(request_id, attributes)

    def done(self, request_id: int) -> bool:
        """Answer SendRequested (the element is accepted) or CloseRequested."""
        return self._life.answering and self._home.done(request_id)

    def push(self, request_id: int, element: bytes, redelivered: bool = False) -> bool:
        """Answer RecvRequested with an element: its slot is held until ElementTaken or ElementsReturned.

        False: the receiver is gone, nothing was queued, and the element is still yours.
        """
        return self._life.answering and self._home.push(request_id, element, redelivered)

    def names(self, request_id: int, names: Sequence[Listed]) -> bool:
        """Answer ListRequested with all names behind the one it told, in the order of their bytes; a page goes out."""
        return self._life.answering and self._home.names(request_id, *page_of([*names]))

    def inform(self, request_id: int, info: ChannelInfo) -> bool:
        """Answer InfoRequested."""
        return self._life.answering and self._home.inform(request_id, info)

    def answer(self, request_id: int, result: bytes) -> bool:
        """Answer CallRequested, if its id is not 0, with the result."""
        return self._life.answering and self._home.answer(request_id, result)

    def refuse(self, request_id: int, code: WireCode, text: str = "") -> bool:
        """Answer any request with an error; the text is for people, and cut to 256 bytes."""
        return self._life.answering and self._home.refuse(request_id, code, text)

    def notify(self, registration: int, events: Readiness, token: int) -> bool:
        """Tell a registration of the peer that it has the turn, or (CLOSED) will have none any more."""
        return self._life.answering and self._hints.notify(registration, events, token)

    def tell_closed(self, channel_id: int, closing: Closing) -> bool:
        """Tell the opener of a handle that its channel was closed; False also when it was told, or has detached."""
        return self._life.answering and self._home.tell_closed(channel_id, closing)

    # --- the home lends -----------------------------------------------------------------------------------------------
    # All raise ValueError for what is no open handle of the peer, or not in the state that ``states.py`` demands.

    def start_lending(self, channel_id: int, window: int, consumes: bool = False) -> bool:
        """Begin to lend at most ``window`` slots at a time, right behind accept; False where that cannot be.

        ``consumes``: bytes are granted again when ``note_held`` says that elements have been taken.
        """
        return self._life.answering and self._lender.start(channel_id, window, consumes)

    def lend(self, channel_id: int, free: float) -> int:
        """Lend of ``free`` slots as many as are worth telling, and grant bytes again; returns how many slots."""
        return self._lender.lend(channel_id, free) if self._life.answering else 0

    def lent(self, channel_id: int) -> Slots:
        """What is lent to a handle of the peer, to look at; ValueError where lending was not started."""
        return self._lender.slots(channel_id)

    def note_held(self, channel_id: int, held: int) -> None:
        """Elements of this handle hold so many bytes, by ``charge``, in a channel that has no bound of its own."""
        self._lender.hold(channel_id, held)

    @property
    def lending_window(self) -> int:
        """Bytes, by ``charge``, that one handle of the peer is granted at most."""
        return self._lender.budget.window

    def recall(self, channel_id: int) -> bool:
        """Ask for the slots back; SlotsReturned follows. False: the connection is ending, they are lost with it."""
        return self._life.answering and self._lender.recall(channel_id)

    def recall_ahead(self, channel_id: int) -> bool:
        """Ask for elements that the peer has ahead, and push nothing more before AheadReturned. False as for recall."""
        return self._life.answering and self._ahead.recall(channel_id)

    def ask(self, channel_id: int) -> bool:
        """Ask for an answer behind all data; SlotsReturned with ``keep`` follows. False as for recall."""
        return self._life.answering and self._lender.ask(channel_id)

    # --- both sides ---------------------------------------------------------------------------------------------------

    def ping(self, now: float) -> bool:
        """Ask for a sign of life; PongReceived follows. False while an earlier PING is unanswered."""
        self._life.check_open()
        payload = None if self._liveness is None else self._liveness.ping(now)
        if payload is not None:
            self._control(Command.PING, payload)
        return payload is not None

    def drain(self, deadline_ms: int = FOREVER_MS) -> None:
        """Announce an orderly end: requests of the peer that were not heard yet are refused from now on, with EPIPE.

        What was heard goes on; the owner says ``bye`` when it is done, or the time is over. Raises LinkLost once the
        connection ends, ValueError the second time.
        """
        self._life.check_open()
        self._draining.tell(deadline_ms)

    def bye(self, now: float, code: WireCode = WireCode.OK, text: str = "") -> None:
        """End the connection behind everything that is queued; ConnectionEnded follows with the peer's BYE.

        Answers to what was asked before are still heard; nothing new is asked or answered. Raises ValueError unless
        the connection is open or shaking hands.
        """
        self._life.step(Step.FAREWELL)
        self._deadline = now + self._config.bye_limit
        self._queue_bye(code, text)

    # --- inside: what comes in ----------------------------------------------------------------------------------------

    def _take_handshake(self, frame: Frame, now: float, events: list[Event]) -> None:
        self._order.read(frame.seq)
        if frame.command == Command.BYE and self._handshake.peer is not None:
            self._heard_bye(frame, now, events)
            return
        self._handshake.check(frame)
        if frame.command == Command.CONFIRM:
            self._agree(*self._handshake.hear_confirm(frame), now, events)
            return
        confirm = self._handshake.hear_hello(frame)
        if self._life.state is State.HELLO:
            self._control(Command.CONFIRM, confirm)

    def _agree(self, agreement: Agreement, peer: Hello, now: float, events: list[Event]) -> None:
        limits = agreement.limits
        # Spread by the nonce, +-20 %, so that many connections made at once do not all ask at the same second.
        spread = 0.8 + 0.4 * int.from_bytes(self._hello.nonce[-2:], "big") / 0xFFFF
        self._liveness = Liveness(limits.keepalive_ms / 1000 * spread, limits.idle_ms / 1000, now)
        self._opener.agree(agreement)
        self._home.agree(limits)
        self._calls.agree(limits, agreement.peer_budget)
        self._pieces.agree(limits)
        self._outbox.agree(limits.max_frame, agreement.peer_budget)
        self._handles.limit = limits.max_channels
        if self._life.state is State.HELLO:  # else we have said goodbye meanwhile
            self._life.step(Step.AGREE)
            self._deadline = None
            events.append(Established(agreement, peer))

    def _heard_ping(self, frame: Frame, _now: float, _events: list[Event]) -> None:
        _check_bare(frame, _PING_SIZE)
        if self._life.state is State.OPEN:
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
        self._opener.acks.clear()
        self._lender.grants.clear()
        if self._life.state is not State.CLOSING:
            self.bye(now, code, text)
        elif not self._bye_written:
            self._queue_bye(code, text)

    def _queue_bye(self, code: WireCode, text: str) -> None:
        self._outbox.seal(Entry(Command.BYE, parts=(encode_bye(code, text),), on_written=self._bye_was_written))

    def _bye_was_written(self) -> None:
        self._bye_written = True
        if self._report is not None:
            self._finish()

    def _finish(self) -> None:
        self._life.step(Step.FINISH)
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
            self._home.parked(),
            self._opener.acks.unpaid(),
            accepted,
            tuple(lost for handle in self._handles if handle.mine for lost in self._borrower.gone(handle)),
        )
        self._opener.acks.clear()
        self._lender.grants.clear()
        self._handles.clear()
        self._pieces.clear()
        if self._life.state is State.CLOSING and self._bye_written:
            self._finish()
        return [ConnectionEnded(self._report)]


def _check_bare(frame: Frame, size: int | None = None) -> None:
    name = command_name(frame.command)
    if frame.flags or frame.request_id:
        raise ProtocolError(f"{name} takes neither flags nor a request id")
    if size is not None and frame.length != size:
        raise ProtocolError(f"{name} has {frame.length} bytes, not {size}")
