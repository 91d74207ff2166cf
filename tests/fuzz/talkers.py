# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Somebody who owns a connection and does with it what bytes decide, and the books that he keeps of it.

The books are the law: whatever the peer sends, each request of ours ends exactly once, each request of the peer is
answered or named in the report, and each element that was pushed is confirmed, back, or named in the report.

What he can do stands in STEPS, what he does about an event in REACTIONS: new commands and events come in there, each
under a number of its own, so that kept inputs mean the same when steps are added.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kcoro_core.errors import KcoroError, ProtocolError
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.wire import events as ev
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, ConnectionConfig, Side
from kcoro_core.wire.frame import Frame, FrameDecoder
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Attributes, ChannelInfo, Closing, Listed, OpenFlag, OpenRequest, Reason, Rights
from kcoro_core.wire.remote_select import Readiness
from kcoro_core.wire.states import State

from .choices import Choices

LIMITS = Limits(max_frame=4096, max_message=20_000, max_channels=3, max_inflight_requests=6, receive_budget=50_000)
"""Small, so that each of them is met soon."""
MOST_DATA = 4 * (LIMITS.max_channels + 1) * 64
MOST_FRAMES = 4 * LIMITS.max_inflight_requests + 3 * LIMITS.max_channels + 5 + MOST_DATA
"""Queued at most: a request, its CANCEL, an answer and a call without one for each in flight; OPEN, DETACH and CLOSE of
each channel; PING, PONG, BYE; what goes against slots."""

ATTRIBUTES = [
    Attributes(Kind.BUFFERED, Overflow.SUSPEND, 4, Rights(7), 1 << 20),
    Attributes(Kind.RENDEZVOUS, Overflow.SUSPEND, 0, Rights(7), 16),
    Attributes(Kind.UNLIMITED, Overflow.SUSPEND, None, Rights.SEND, 64),
    Attributes(Kind.CONFLATED, Overflow.SUSPEND, 1, Rights.RECV, 64),
]
INFO = ChannelInfo(Kind.BUFFERED, Overflow.SUSPEND, False, 4, 0, 1, 0, 0, 1, 2, 0)
LISTED = [Listed(f"jobs-{number:04}", Kind.BUFFERED, Rights(7)) for number in range(300)]
"""More than one page."""
REFUSALS = [code for code in WireCode if code]


class Talker:
    """One end of a connection. ``honest``: its books are checked after every frame that it hears."""

    def __init__(self, side: Side, choices: Choices, honest: bool) -> None:
        which = side is Side.ACCEPTING
        self.choices = choices
        self.honest = honest
        self.now = 0.0
        self.wire = Connection(side, b"ab"[which : which + 1] * 16, b"ab"[which : which + 1] * 8, LIMITS, CONFIG)
        self.decoder = FrameDecoder()
        self.deaf = False
        self.handles: list[int] = []  # ours, open
        self.leaving: set[int] = set()  # ours, given up and not yet gone
        self.theirs: list[int] = []
        self.asked: dict[int, int] = {}  # requests of ours whose outcome is not told
        self.given_up: set[int] = set()  # requests of ours that ended without an answer
        self.arrived: set[int] = set()  # receives of ours whose element is here
        self.waiting: dict[int, int] = {}  # requests of the peer that are not answered
        self.wants: dict[int, int] = {}  # OPENs of the peer that ask for slots, and their channels
        self.unconfirmed = 0  # elements of ours that went against slots
        self.in_doubt = 0  # of these, those of handles that are gone
        self.ahead: dict[int, int] = {}  # receives of ours that nobody waited for, and their channels
        self.channels: dict[int, int] = {}  # of each receive of the peer
        self.held_back: set[int] = set()  # channels of the peer where what is ahead was recalled
        self.pushed: set[int] = set()  # requests of the peer whose element is not settled
        self.told: set[int] = set()  # registrations of the peer that were told
        self.ended: ev.LossReport | None = None
        self.wire.start(0.0)

    # -- what is heard

    def hear(self, data: bytes) -> None:
        """Bytes come in, however they are cut."""
        if self.deaf or not data:
            return
        self.decoder.feed(data)
        while not self.deaf:
            try:
                raw = self.decoder.next_raw(self.wire.frame_limit)
            except ProtocolError as error:
                self.deaf = True
                self.react(self.wire.breach(error, self.now))
                return
            if raw is None:
                return
            self.react(self.wire.receive(raw, self.now))

    def react(self, events: list[ev.Event]) -> None:
        """Book what happened, then do something about it, or nothing."""
        for number, event in enumerate(events):
            book = BOOKING.get(type(event))
            if book is not None:
                book(self, event)
            if isinstance(event, ev.ConnectionEnded):
                assert number == len(events) - 1, "something happened behind the end"
        self.check()
        for event in events:
            answer = REACTIONS.get(type(event))
            if answer is not None and self.ended is None:
                answer(self, event)
        self.check()

    def check(self) -> None:
        """What holds at every moment."""
        if not self.honest:
            return
        assert self.wire.stats().queued_frames <= MOST_FRAMES, "the queue has no bound"
        assert (self.wire.report is not None) == (self.ended is not None), "an end that nobody was told of"
        if self.ended is None and self.wire.state is State.OPEN:
            assert {one for one in self.waiting if self.wire.is_waiting(one)} == set(self.waiting), "an answer is owed"
            assert all(self.wire.in_flight(one) for one in (*self.asked, *self.arrived)), "a request is forgotten"

    # -- what is done

    def command(self, ask: Callable[[], int], command: int) -> None:
        """A request of ours; what raises has changed nothing."""
        try:
            number = ask()
        except KcoroError:
            return
        except ValueError:
            assert self.wire.state is not State.OPEN or self.handles == [] or command is Command.OPEN
            return
        assert number not in self.asked, "an id is used twice"
        self.asked[number] = command

    def handle(self) -> int:
        """A handle of ours, or 0."""
        return self.choices.one_of(self.handles) if self.handles else 0

    def element(self) -> bytes:
        """Something to send: mostly short, sometimes so long that it travels in pieces."""
        size = self.choices.below(80)
        return bytes(size if size < 72 else size * 240)

    def open(self) -> None:
        """Ask for a channel."""
        self.command(lambda: self.wire.open(OpenRequest("jobs")), Command.OPEN)

    def list(self) -> None:
        """Ask what may be opened."""
        self.command(lambda: self.wire.ask_names(self.choices.one_of(["", "jobs"])), Command.LIST)

    def open_lent(self) -> None:
        """Ask for a channel and for slots."""
        self.command(lambda: self.wire.open(OpenRequest("jobs", OpenFlag.LEND)), Command.OPEN)

    def send_data(self) -> None:
        """Send against a slot, if there is one."""
        channel, element = self.handle(), self.element()
        if channel and self.wire.state is State.OPEN:
            with suppress(KcoroError):
                sent = self.wire.send_data(channel, element)
                self.unconfirmed += sent.done and sent.replaced is None

    def lend(self) -> None:
        """Lend more, ask about what is lent, or want it back."""
        channel = self.choices.one_of(self.theirs) if self.theirs else 0
        act = self.choices.one_of([self.wire.lend, self.wire.ask, self.wire.recall])
        with suppress(ValueError):  # nothing is lent there, or not any more
            if act == self.wire.lend:
                self.wire.lend(channel, self.choices.below(5))
            elif self.wire.state is State.OPEN:
                act(channel)  # type: ignore[call-arg]

    def send(self) -> None:
        """Send an element."""
        if channel := self.handle():
            element, hint = self.element(), self.choices.one_of([0, 500, 0xFFFF_FFFF])
            self.command(lambda: self.wire.send(channel, element, hint), Command.SEND)

    def recv(self) -> None:
        """Ask for an element."""
        if channel := self.handle():
            self.command(lambda: self.wire.recv(channel, self.choices.one_of([0xFFFF_FFFF, 0])), Command.RECV)

    def recv_ahead(self) -> None:
        """Ask for an element that nobody waits for yet."""
        if channel := self.handle():
            with suppress(KcoroError, ValueError):  # it was recalled, or may not be
                number = self.wire.recv(channel, ahead=True)
                self.asked[number] = Command.RECV
                self.ahead[number] = channel

    def recall_ahead(self) -> None:
        """Want back what the peer has ahead; until it is back nothing more is pushed there."""
        if self.theirs and self.wire.state is State.OPEN:
            channel = self.choices.one_of(self.theirs)
            with suppress(ValueError):  # nothing is ahead there, or not any more
                self.wire.recall_ahead(channel)
                self.held_back.add(channel)

    def drain(self) -> None:
        """Announce the end."""
        if self.wire.state is State.OPEN and self.choices.sometimes(4):
            with suppress(ValueError):  # it was announced
                self.wire.drain(500)

    def info(self) -> None:
        """Ask for counters."""
        if channel := self.handle():
            self.command(lambda: self.wire.info(channel), Command.INFO)

    def call(self) -> None:
        """Call something, on a handle or on the connection."""
        channel, command, payload = self.handle(), 64 + self.choices.below(64), self.element()
        self.command(lambda: self.wire.call(channel, command, payload), command)

    def tell(self) -> None:
        """Call without an answer."""
        channel, payload = self.handle(), self.element()
        with suppress(KcoroError):
            if self.wire.state is State.OPEN:
                self.wire.tell(channel, 64, payload)

    def close(self) -> None:
        """Close a channel, or cancel it."""
        if channel := self.handle():
            closing = Closing(Reason.TEXT, "enough", self.choices.sometimes(2))
            self.command(lambda: self.wire.close(channel, closing), Command.CLOSE)

    def cancel(self) -> None:
        """Give a request up."""
        if self.asked:
            number = self.choices.one_of(list(self.asked))
            if self.wire.report is None and self.wire.cancel(number, self.now):
                del self.asked[number]

    def detach(self) -> None:
        """Give a handle up."""
        if self.handles and self.wire.state is State.OPEN:
            channel = self.choices.one_of(self.handles)
            self.handles.remove(channel)
            self.leaving.add(channel)
            for number in self.wire.detach(channel):
                assert self.asked.pop(number, None) or number in self.arrived, "a receive ends that nobody asked"
                self.arrived.discard(number)
                self.given_up.add(number)

    def register(self) -> None:
        """Have a clause of a select stand."""
        if channel := self.handle():
            serial, mask = self.choices.below(4), Readiness(1 + self.choices.below(7))
            self.command(lambda: self.wire.register(channel, serial, mask), Command.SELECT_REGISTER)

    def standing(self) -> int:
        """A registration of ours, or 0."""
        ours = [number for number, command in self.asked.items() if command is Command.SELECT_REGISTER]
        return self.choices.one_of(ours) if ours and self.wire.report is None else 0

    def unregister(self) -> None:
        """Take a clause back."""
        if number := self.standing():
            self.wire.unregister(number)
            del self.asked[number]
            self.given_up.add(number)

    def claim(self) -> None:
        """Claim, told or not."""
        if number := self.standing():
            gives = self.choices.sometimes(2)
            event, element = (Readiness.SEND_READY, bytes(9)) if gives else (Readiness.RECV_READY, None)
            self.command(lambda: self.wire.claim(number, 1, event, element), Command.SELECT_CLAIM)

    def notify(self) -> None:
        """Tell a registration of the peer, once."""
        for number, command in self.waiting.items():
            if command is Command.SELECT_REGISTER and number not in self.told:
                self.told.add(number)
                self.wire.notify(number, Readiness(1 + self.choices.below(7)), self.choices.below(3))
                return

    def settle(self) -> None:
        """Take an element that is here, or give it back."""
        if self.arrived and self.ended is None:
            number = self.choices.one_of(sorted(self.arrived))
            self.arrived.discard(number)
            if self.choices.sometimes(2):
                self.given_up.add(number)  # it may have to wait for its neighbours, at the home
                self.wire.putback(number)
            else:
                self.wire.taken(number)

    def answer(self) -> None:
        """Answer a request of the peer that waits."""
        if self.waiting and self.wire.state is State.OPEN:
            number = self.choices.one_of(list(self.waiting))
            self.answer_one(number, self.waiting[number])

    def answer_one(self, number: int, command: int) -> None:
        """Give the answer that the bytes decide."""
        if self.wire.state is not State.OPEN or not self.wire.is_waiting(number):
            return
        if command == Command.RECV and self.channels.get(number) in self.held_back:
            return
        del self.waiting[number]
        if self.choices.sometimes(4):
            self.wire.refuse(number, self.choices.one_of(REFUSALS), "no")
        else:
            ANSWERS.get(command, _result)(self, number)

    def tell_closed(self) -> None:
        """Tell the peer that a channel of its was closed."""
        if self.theirs and self.wire.state is State.OPEN:
            self.wire.tell_closed(self.choices.one_of(self.theirs), Closing(Reason.TEXT, "over"))

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self.wire.state is State.OPEN:
            self.wire.ping(self.now)

    def wait(self) -> None:
        """Time passes: sometimes longer than a grace, seldom longer than a silence that is borne."""
        self.now += self.choices.one_of([0.1, 0.6, 1.1, 0.6, 0.1, 40.0])
        self.react(self.wire.handle_timeout(self.now))

    def bye(self) -> None:
        """Leave in good order."""
        if self.wire.state is State.OPEN and self.choices.sometimes(3):
            self.wire.bye(self.now)

    def write(self) -> list[Frame]:
        """Write some of what waits, or all."""
        most = self.choices.one_of([99, 1, 2, 3])
        frames = []
        while len(frames) < most and (frame := self.wire.poll_transmit(not self.choices.sometimes(4))) is not None:
            self.wire.mark_written()
            frames.append(frame)
        return frames

    # -- the end

    def lose(self) -> None:
        """The medium ends; the report must name everything that the books have left."""
        self.react(self.wire.lose(ProtocolError("cut")))
        if not self.honest:
            return
        report = self.ended
        assert report is not None, "an end without a report"
        assert {one.request_id for one in report.requests} == {*self.asked, *self.arrived}, "requests in the report"
        assert {one.request_id for one in report.parked} == set(self.waiting), "parked requests in the report"
        assert {one.request_id for one in report.elements} == self.pushed, "elements in the report"
        assert len(report.elements) == len(self.pushed), "an element is named twice"
        assert self.in_doubt + len(report.data) <= self.unconfirmed, "more is in doubt than was sent"


CONFIG = ConnectionConfig(cancel_grace=1.0)

STEPS: dict[int, Callable[[Talker], Any]] = {
    0: Talker.open,
    1: Talker.send,
    2: Talker.recv,
    3: Talker.info,
    4: Talker.close,
    5: Talker.cancel,
    6: Talker.detach,
    7: Talker.settle,
    8: Talker.answer,
    9: Talker.tell_closed,
    10: Talker.ping,
    11: Talker.wait,
    12: Talker.bye,
    13: Talker.recv,
    14: Talker.answer,
    15: Talker.settle,
    16: Talker.call,
    17: Talker.tell,
    18: Talker.open_lent,
    19: Talker.send_data,
    20: Talker.lend,
    21: Talker.send_data,
    22: Talker.recv_ahead,
    23: Talker.recall_ahead,
    24: Talker.drain,
    25: Talker.recv_ahead,
    26: Talker.register,
    27: Talker.claim,
    28: Talker.notify,
    29: Talker.unregister,
    30: Talker.list,
}
"""What a talker can do, by number; numbers up to 31 are free for what comes."""


def _push(talker: Talker, number: int) -> None:
    if talker.wire.push(number, talker.element(), talker.choices.sometimes(4)):
        assert number not in talker.pushed, "two elements travel under one id"
        talker.pushed.add(number)


def _accept(talker: Talker, number: int) -> None:
    attributes = talker.choices.one_of(ATTRIBUTES)
    talker.wire.accept(number, attributes)
    channel = talker.wants.pop(number, 0)
    if channel and not talker.choices.sometimes(4):
        window = 2 if attributes.kind is Kind.CONFLATED else 4
        if talker.wire.start_lending(channel, window, attributes.kind is Kind.UNLIMITED):
            talker.wire.lend(channel, window)


def _close(talker: Talker, number: int) -> None:
    talker.wire.done(number)


def _result(talker: Talker, number: int) -> None:
    talker.wire.answer(number, talker.element())


ANSWERS: dict[int, Callable[[Talker, int], object]] = {
    Command.OPEN: _accept,
    Command.SEND: _close,
    Command.RECV: _push,
    Command.INFO: lambda talker, number: talker.wire.inform(number, INFO),
    Command.LIST: lambda talker, number: talker.wire.names(number, LISTED[: talker.choices.one_of([300, 0, 1])]),
    Command.CLOSE: _close,
    Command.SELECT_CLAIM: _close,  # one that takes is booked as a receive
    Command.SELECT_REGISTER: lambda talker, number: talker.wire.refuse(number, WireCode.ECANCELED),
}
"""How each request of the peer is granted; anything else is a call."""


def _heard(command: int) -> Callable[[Talker, Any], None]:
    def book(talker: Talker, event: Any) -> None:
        assert event.request_id not in talker.waiting, "a request is heard twice"
        talker.waiting[event.request_id] = command
        if command is Command.OPEN:
            talker.theirs.append(event.channel_id)
            if event.wanted.flags & OpenFlag.LEND:
                talker.wants[event.request_id] = event.channel_id
        if command is Command.RECV:
            talker.channels[event.request_id] = event.channel_id

    return book


def _called(talker: Talker, event: ev.CallRequested) -> None:
    if event.request_id:  # else it wants no answer
        _heard(event.command)(talker, event)


def _in_doubt_at_the_end_of_a_handle(talker: Talker, event: ev.DataInDoubt) -> None:
    talker.in_doubt += len(event.elements)


def _claimed(talker: Talker, event: ev.ClaimRequested) -> None:
    _heard(Command.RECV if event.element is None else Command.SELECT_CLAIM)(talker, event)


def _stands(talker: Talker, event: ev.RegisterRequested) -> None:
    _heard(Command.SELECT_REGISTER)(talker, event)
    talker.told.discard(event.request_id)


def _notified(talker: Talker, event: ev.Notified) -> None:
    if talker.honest:
        assert talker.asked.get(event.request_id) is Command.SELECT_REGISTER, "news of what does not stand"


def _is_over(talker: Talker, event: Any) -> None:
    if talker.honest:
        assert event.request_id in talker.asked, "an outcome of what nobody asked, or a second one"
    talker.asked.pop(event.request_id, None)


def _in_doubt(talker: Talker, event: ev.RequestInDoubt) -> None:
    _is_over(talker, event)
    talker.given_up.add(event.request_id)


def _opened(talker: Talker, event: ev.Opened) -> None:
    _is_over(talker, event)
    talker.handles.append(event.channel_id)


def _element(talker: Talker, event: ev.ElementReceived) -> None:
    _is_over(talker, event)
    talker.arrived.add(event.request_id)


def _taken(talker: Talker, event: ev.ElementTaken) -> None:
    talker.pushed.remove(event.request_id)


def _returned(talker: Talker, event: ev.ElementsReturned) -> None:
    for number in event.request_ids:
        talker.pushed.remove(number)


def _gone(talker: Talker, event: ev.Detached) -> None:
    talker.held_back.discard(event.channel_id)
    talker.leaving.discard(event.channel_id)
    for handles in (talker.theirs, talker.handles):
        if event.channel_id in handles:
            handles.remove(event.channel_id)


def _ended(talker: Talker, event: ev.ConnectionEnded) -> None:
    assert talker.ended is None, "the end is told twice"
    talker.ended = event.report
    talker.handles.clear()


BOOKING: dict[type[ev.Event], Callable[[Talker, Any], None]] = {
    ev.OpenRequested: _heard(Command.OPEN),
    ev.SendRequested: _heard(Command.SEND),
    ev.RecvRequested: _heard(Command.RECV),
    ev.InfoRequested: _heard(Command.INFO),
    ev.ListRequested: _heard(Command.LIST),
    ev.CloseRequested: _heard(Command.CLOSE),
    ev.ElementTaken: _taken,
    ev.ElementsReturned: _returned,
    ev.Opened: _opened,
    ev.ReplyReceived: _is_over,
    ev.InfoReceived: _is_over,
    ev.NamesReceived: _is_over,
    ev.AheadReturned: lambda talker, event: talker.held_back.discard(event.channel_id),
    ev.DataInDoubt: _in_doubt_at_the_end_of_a_handle,
    ev.RegisterRequested: _stands,
    ev.ClaimRequested: _claimed,
    ev.Notified: _notified,
    ev.CallRequested: _called,
    ev.CallAnswered: _is_over,
    ev.RequestInDoubt: _in_doubt,
    ev.ElementReceived: _element,
    ev.Detached: _gone,
    ev.ConnectionEnded: _ended,
}
"""What the books say of each event."""


def _maybe_answer(talker: Talker, event: Any) -> None:
    if event.request_id in talker.waiting and talker.choices.sometimes(2):
        talker.answer_one(event.request_id, talker.waiting[event.request_id])


def _give_up(talker: Talker, event: ev.CancelRequested) -> None:
    if talker.wire.state is State.OPEN and talker.wire.is_waiting(event.request_id):
        talker.waiting.pop(event.request_id, None)  # it may be one that no talker asks, and none books
        talker.wire.refuse(event.request_id, WireCode.ECANCELED)


def _give_back_ahead(talker: Talker, event: ev.AheadRecalled) -> None:
    if event.channel_id not in talker.handles:
        return  # given up meanwhile, which gives everything back
    for number in [number for number, channel in talker.ahead.items() if channel == event.channel_id]:
        if number in talker.arrived:
            talker.arrived.discard(number)
            talker.given_up.add(number)
            talker.wire.putback(number)
        elif number in talker.asked and talker.wire.cancel(number, talker.now):
            del talker.asked[number]
    talker.wire.give_back_ahead(event.channel_id)


REACTIONS: dict[type[ev.Event], Callable[[Talker, Any], None]] = {
    **dict.fromkeys(
        (
            ev.OpenRequested,
            ev.SendRequested,
            ev.RecvRequested,
            ev.InfoRequested,
            ev.ListRequested,
            ev.CloseRequested,
            ev.CallRequested,
            ev.ClaimRequested,
        ),
        _maybe_answer,
    ),
    ev.CancelRequested: _give_up,
    ev.AheadRecalled: _give_back_ahead,
}
"""What is done at once about an event; everything else waits for a step."""
