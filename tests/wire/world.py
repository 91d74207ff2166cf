# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A small world for interleaving tests: an opener, a home with naive buffered channels, and two pipes of frames.

Every step is one thing that could happen next: a command, a cancel, a frame written, a frame delivered, time passing.
The home is the simplest one that keeps the rules: a list per channel, a capacity, waiters in order of arrival.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from attrs import define, field

from kcoro_core.errors import LinkLost, NoBuffers
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.events import (
    CancelRequested,
    ConnectionEnded,
    Detached,
    ElementReceived,
    ElementsReturned,
    ElementTaken,
    Event,
    Fate,
    LossReport,
    OpenRequested,
    RecvRequested,
    ReplyReceived,
    RequestInDoubt,
    SendRequested,
)
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Attributes
from kcoro_core.wire.states import State

from .pair import EVERY_RIGHT, Pair, deliver


@define(eq=False)
class NaiveChannel:
    """A buffered channel at the home: what is queued, what is under way, who waits."""

    capacity: int
    queue: list[bytes] = field(factory=list)
    under_way: dict[int, bytes] = field(factory=dict)
    senders: dict[int, bytes] = field(factory=dict)
    receivers: list[int] = field(factory=list)
    accepted: list[bytes] = field(factory=list)
    confirmed: list[bytes] = field(factory=list)

    @property
    def filled(self) -> int:
        """Slots that are not free."""
        return len(self.queue) + len(self.under_way)


class World:
    """One run: the steps are chosen by ``seed``, and everything that happened is on record."""

    def __init__(self, seed: int, capacities: tuple[int, ...] = (1, 3), in_flight: int = 6) -> None:
        self.choose = random.Random(seed)
        self.pair = Pair(Limits(max_frame=4096, max_inflight_requests=in_flight))
        self.pair.start()
        self.to_home: list[Frame] = []
        self.to_opener: list[Frame] = []
        self.channels: dict[int, NaiveChannel] = {}
        self.capacities = capacities
        self.serial = 0
        self.sends: dict[int, bytes] = {}  # requests of the opener that are not over
        self.recvs: set[int] = set()
        self.cancelled: set[int] = set()
        self.outcome: dict[bytes, str] = {}  # of each element, at the sending end
        self.received: dict[int, list[bytes]] = {}
        self.returns = 0
        self.reports: dict[str, LossReport] = {}
        self.said_bye = False
        for capacity in capacities:
            attributes = Attributes(Kind.BUFFERED, Overflow.SUSPEND, capacity, EVERY_RIGHT, 20_000)
            channel = self.pair.open(attributes)
            self.channels[channel] = NaiveChannel(capacity)
            self.received[channel] = []
        self.live = list(self.channels)

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One thing happens."""
        steps: list[tuple[Callable[[], None], int]] = [
            (self.send, 4),
            (self.recv, 4),
            (self.cancel, 2),
            (self.write_a, 6),
            (self.write_b, 6),
            (self.deliver_b, 6),
            (self.deliver_a, 6),
            (self.wait, 1),
        ]
        act = self.choose.choices([one for one, _ in steps], [weight for _, weight in steps])[0]
        act()
        self.check()

    def send(self) -> None:
        """The opener sends a new element."""
        if self.live:
            # One in four takes several frames, so that cancels and cuts find it in the middle.
            element = (b"%d " % self.serial).ljust(self.choose.choice((0, 0, 0, 9000)), b".")
            self.serial += 1
            try:
                request = self.pair.a.send(self.choose.choice(self.live), element, self.choose.choice((0, 500)))
            except NoBuffers:
                return
            self.sends[request] = element

    def recv(self) -> None:
        """The opener asks for an element."""
        if self.live:
            try:
                request = self.pair.a.recv(self.choose.choice(self.live))
            except NoBuffers:
                return
            self.recvs.add(request)

    def cancel(self) -> None:
        """The opener gives up one of its requests."""
        waiting = [one for one in (*self.sends, *self.recvs) if one not in self.cancelled]
        if not waiting:
            return
        request = self.choose.choice(sorted(waiting))
        if self.pair.a.cancel(request, self.pair.now):
            if request in self.sends:
                self.outcome[self.sends.pop(request)] = "not done"
            self.recvs.discard(request)
        else:
            self.cancelled.add(request)

    def detach(self, channel: int) -> None:
        """The opener gives up a handle."""
        if channel in self.live:
            self.live.remove(channel)
            self.recvs -= set(self.pair.a.detach(channel))

    def write_a(self) -> None:
        """The opener's medium has room for one frame."""
        frame = self.pair.a.poll_transmit(self.choose.random() < 0.3)
        if frame is not None:
            self.pair.a.mark_written()
            self.to_home.append(frame)

    def write_b(self) -> None:
        """The home's medium has room for one frame."""
        frame = self.pair.b.poll_transmit()
        if frame is not None:
            self.pair.b.mark_written()
            self.to_opener.append(frame)

    def deliver_b(self) -> None:
        """One frame reaches the home."""
        if self.to_home:
            self.at_home(deliver(self.pair.b, [self.to_home.pop(0)], self.pair.now))

    def deliver_a(self) -> None:
        """One frame reaches the opener."""
        if self.to_opener:
            self.at_opener(deliver(self.pair.a, [self.to_opener.pop(0)], self.pair.now))

    def wait(self) -> None:
        """Time passes: sometimes longer than the grace of a cancel."""
        self.pair.now += self.choose.choice((0.1, 0.6))
        self.at_opener(self.pair.a.handle_timeout(self.pair.now))
        self.at_home(self.pair.b.handle_timeout(self.pair.now))

    def settle(self) -> None:
        """Everything that is under way arrives, and nobody asks for more."""
        while self.to_home or self.to_opener or self.pair.a.has_frames() or self.pair.b.has_frames():
            for act in (self.write_a, self.deliver_b, self.write_b, self.deliver_a):
                act()
                self.check()

    def cut(self) -> None:
        """The medium ends at both sides; frames under way are gone."""
        self.at_opener(self.pair.a.lose(LinkLost("cut")))
        self.at_home(self.pair.b.lose(LinkLost("cut")))

    # --- the opener --------------------------------------------------------------------------------------------------

    def at_opener(self, events: list[Event]) -> None:
        """What the opener's owner does with its news."""
        for event in events:
            match event:
                case ReplyReceived(request_id=request, command=Command.SEND):
                    self.outcome[self.sends.pop(request)] = "not done" if event.code else "done"
                case ReplyReceived(request_id=request, command=Command.RECV):
                    self.recvs.discard(request)
                case ElementReceived(request_id=request, channel_id=channel):
                    self.recvs.remove(request)
                    if self.choose.random() < 0.9:
                        self.received[channel].append(event.element)
                        self.pair.a.taken(request)
                    else:
                        self.returns += 1
                        self.pair.a.putback(request)
                case RequestInDoubt(request_id=request):
                    if request in self.sends:
                        self.outcome[self.sends.pop(request)] = "in doubt"
                    elif request in self.recvs:  # its element, if one comes, goes back
                        self.returns += 1
                        self.recvs.remove(request)
                case ConnectionEnded():
                    self.ended_at_opener(event.report)

    def ended_at_opener(self, report: LossReport) -> None:
        """Every request that was not over is named, once."""
        self.reports["opener"] = report
        named = {lost.request_id: lost for lost in report.requests}
        assert set(named) == set(self.sends) | self.recvs
        for request, element in self.sends.items():
            self.outcome[element] = {Fate.NOT_DONE: "not done", Fate.IN_DOUBT: "in doubt"}[named[request].fate]

    # --- the home ----------------------------------------------------------------------------------------------------

    def at_home(self, events: list[Event]) -> None:
        """What the home's owner does with its news."""
        for event in events:
            match event:
                case SendRequested(request_id=request, channel_id=channel):
                    self.channels[channel].senders[request] = event.element
                    self.serve(channel)
                    if event.timeout_ms == 0 and request in self.channels[channel].senders:
                        del self.channels[channel].senders[request]
                        self.pair.b.refuse(request, WireCode.EAGAIN)
                case RecvRequested(request_id=request, channel_id=channel):
                    self.channels[channel].receivers.append(request)
                    self.serve(channel)
                case CancelRequested(request_id=request, channel_id=channel):
                    self.channels[channel].senders.pop(request, None)
                    if request in self.channels[channel].receivers:
                        self.channels[channel].receivers.remove(request)
                    if self.pair.b.is_waiting(request):  # an earlier event of this list may have answered it
                        self.pair.b.refuse(request, WireCode.ECANCELED)
                case ElementTaken(request_id=request, channel_id=channel):
                    self.channels[channel].confirmed.append(self.channels[channel].under_way.pop(request))
                    self.serve(channel)
                case ElementsReturned(channel_id=channel, request_ids=requests):
                    self.returns += 1
                    here = self.channels[channel]
                    here.queue[:0] = [here.under_way.pop(request) for request in requests]
                    self.serve(channel)
                case ConnectionEnded():
                    self.ended_at_home(event.report)
                case OpenRequested() | Detached():
                    pass

    def serve(self, channel: int) -> None:
        """Hand elements to receivers and room to senders, oldest first."""
        here = self.channels[channel]
        progress = True
        while progress:
            progress = False
            if here.receivers and here.queue:
                request = here.receivers.pop(0)
                element = here.queue.pop(0)
                if self.pair.b.push(request, element):
                    here.under_way[request] = element
                else:
                    here.queue.insert(0, element)
                progress = True
            elif here.senders and here.filled < here.capacity:
                request = next(iter(here.senders))
                element = here.senders.pop(request)
                here.queue.append(element)
                here.accepted.append(element)
                self.pair.b.done(request)
                progress = True

    def ended_at_home(self, report: LossReport) -> None:
        """Every waiting request and every element under way is named, once, in order."""
        self.reports["home"] = report
        for channel, here in self.channels.items():
            waiting = {parked.request_id for parked in report.parked if parked.channel_id == channel}
            assert waiting >= {*here.senders, *here.receivers}
            # Behind our own BYE answers went nowhere: such a request was still waiting, as far as the wire knows.
            assert waiting == {*here.senders, *here.receivers} or self.said_bye
            named = [lost.request_id for lost in report.elements if lost.channel_id == channel]
            assert named == list(here.under_way)

    # --- what must hold ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """The invariants of every instant."""
        for channel, here in self.channels.items():
            assert here.filled <= here.capacity, "more than the capacity"
            if self.pair.b.state is State.OPEN and channel in self.live:
                assert self.pair.b.unsettled(channel) == len(here.under_way)
        assert self.pair.a.state is self.pair.b.state, "a connection ended by itself"

    def check_ledgers(self) -> None:
        """What both ends say of every element fits together."""
        accepted = {element for here in self.channels.values() for element in here.accepted}
        done = {element for element, word in self.outcome.items() if word == "done"}
        not_done = {element for element, word in self.outcome.items() if word == "not done"}
        in_doubt = {element for element, word in self.outcome.items() if word == "in doubt"}
        assert done <= accepted, "told as done, but the home has it not"
        assert not not_done & accepted, "told as not done, but the home has it"
        assert accepted <= done | in_doubt | set(self.sends.values())
        for channel, here in self.channels.items():
            self._check_elements(here, self.received[channel])

    def _check_elements(self, here: NaiveChannel, received: list[bytes]) -> None:
        under_way = list(here.under_way.values())
        assert Counter(here.accepted) == Counter(here.confirmed + here.queue + under_way), "lost or doubled at home"
        assert max(Counter(received).values(), default=1) == 1, "received twice"
        assert set(here.confirmed) <= set(received), "confirmed, but nobody has it"
        assert set(received) <= set(here.confirmed) | set(under_way), "received, but still free at the home"
        if not self.returns:
            assert received == here.accepted[: len(received)], "order changed although nothing came back"
        if report := self.reports.get("home"):
            surely = {lost.request_id for lost in report.elements if lost.fate is Fate.NOT_DONE}
            assert not {here.under_way[one] for one in surely if one in here.under_way} & set(received)
