# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A link of the lending model: the production ends of it, what is on its way between them, and who waits at it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from kcoro_core import LinkLost
from kcoro_core.link.exports import ALL_RIGHTS, Export
from kcoro_core.link.home import Home
from kcoro_core.link.prefetch import Prefetch
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.wire import events
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import OpenFlag, OpenRequest

from .programs import Step

if TYPE_CHECKING:
    from .lending_model import World

__all__ = ["OVER", "Broken", "Caller", "Choice", "Line"]

Choice = tuple[str, Any]
OVER: Final = object()


class Broken(AssertionError):
    """A state or an outcome that no channel may have; ``way`` leads there."""

    def __init__(self, what: str, way: Iterable[Choice]) -> None:
        super().__init__(f"{what}; the way there: {' '.join(f'{kind}:{which}' for kind, which in way)}")


class Clock:
    """Stands for a host where no time passes."""

    @staticmethod
    def now() -> float:
        return 0.0

    @staticmethod
    def call_at(when: float, fn: Callable[[], object]) -> None:
        raise AssertionError(f"{fn} is to be called at {when}, and no time passes")


@define(eq=False)
class Caller:
    """A task at an end of a link that waits for the answer to a request, or at home for its operation."""

    number: int
    step: Step
    cancelled: bool = False  # the home was asked to


class Line:
    """A link between one place and the home: two connections, and what is on its way in each direction."""

    def __init__(self, world: World, place: str, lend: bool, prefetch: int, slow: bool) -> None:
        self.world = world
        self.slow = False  # not while the channel is opened
        self.wire = Connection(Side.CONNECTING, place.encode().ljust(16), b"connect.")
        self.far = Connection(Side.ACCEPTING, b"home".ljust(16), place.encode()[-8:].ljust(8))
        self.home = Home(
            Clock(),  # type: ignore[arg-type]
            self.far,
            {"ch": Export("ch", world.channel, ALL_RIGHTS)},
            lambda *_: True,
            1 << 24,
            world.flush,
            world.flush,
        )
        self.to_home: deque[Frame] = deque()
        self.to_place: deque[Frame] = deque()
        self.callers: dict[int, Caller] = {}
        self.closed = False
        self.lives = True
        self.ahead: Prefetch | None = None
        self._open(lend, prefetch)
        self.slow = slow

    # -- what Prefetch sees of a handle and of a link

    can_recv = True
    id = 1

    @property
    def kind(self) -> Kind:
        return self.world.channel.kind

    @property
    def overflow(self) -> Overflow:
        return self.world.channel.overflow

    @property
    def _link(self) -> Line:
        return self

    @property
    def pump(self) -> Line:
        return self

    def owe(self) -> None:
        """Everything is written at the end of each step."""

    def ahead_has_news(self, over: bool) -> None:
        """No select waits here."""

    def withdraw(self, number: int) -> None:
        self.wire.cancel(number, 0.0)

    # -- frames

    def _open(self, lend: bool, prefetch: int) -> None:
        self.wire.start(0.0)
        self.far.start(0.0)
        self._settle()
        self.wire.open(OpenRequest("ch", OpenFlag.LEND if lend else OpenFlag(0)))
        self._settle()
        if prefetch:
            self.ahead = Prefetch(self, prefetch)  # type: ignore[arg-type]
            self.ahead.top_up()

    def _settle(self) -> None:
        self.write()
        while self.to_home or self.to_place:
            for at_home in (True, False):
                if self.to_home if at_home else self.to_place:
                    self.deliver(at_home)
                self.write()

    def write(self) -> None:
        """What the ends have to write goes onto the line, but for what may still ride along."""
        self.turn(at_home=True, flush=False)
        if not self.slow:
            self.turn(at_home=False, flush=False)

    def turn(self, at_home: bool, flush: bool = True) -> None:
        """A turn of one end is over: it writes everything."""
        wire, line = (self.far, self.to_place) if at_home else (self.wire, self.to_home)
        while (frame := wire.poll_transmit(flush)) is not None:
            wire.mark_written()
            line.append(frame)

    def write_one(self) -> None:
        """A slow medium takes one frame."""
        frame = self.wire.poll_transmit(True)
        assert frame is not None
        self.wire.mark_written()
        self.to_home.append(frame)

    def lose(self) -> None:
        """The medium ends, with all that was on its way; both sides settle what they know."""
        self.lives = False
        self.to_home.clear()
        self.to_place.clear()
        for event in self.far.lose(LinkLost("cut")):
            assert isinstance(event, events.ConnectionEnded)
            self.home.lost(event.report)
        for event in self.wire.lose(LinkLost("cut")):
            assert isinstance(event, events.ConnectionEnded)
            for request in event.report.requests:
                if (caller := self.callers.pop(request.request_id, None)) is not None:
                    doubt = request.sends and request.fate is events.Fate.IN_DOUBT
                    self.world.end(caller, "in doubt" if doubt else "lost")
            self.world.doubtful += [int(lost.element) for lost in event.report.data]
        assert not self.callers, "a request that the report of the loss does not name"
        if self.ahead is not None:
            self.ahead.end()

    def detach(self) -> None:
        """The handle is given up; nobody waits for anything of it."""
        assert not self.callers
        if self.ahead is not None:
            self.ahead.end()
        self.wire.detach(1)

    def deliver(self, at_home: bool) -> None:
        """One frame comes to its end."""
        if at_home:
            for event in self.far.receive_frame(self.to_home.popleft(), 0.0):
                self._at_home(event)
        else:
            for event in self.wire.receive_frame(self.to_place.popleft(), 0.0):
                self._at_place(event)

    def _at_home(self, event: events.Event) -> None:
        if isinstance(event, events.Established):
            self.home.agree(None, event.agreement.limits.max_message)  # type: ignore[arg-type]
        elif isinstance(event, events.CancelRequested):
            self.home.cancel(event)
        elif isinstance(event, events.Detached):
            self.home.detached(event.channel_id)
        elif (handler := self.home.handlers.get(type(event))) is not None:
            handler(event)
        elif isinstance(event, events.ConnectionEnded):
            raise Broken(f"the home ended the connection: {event.report.cause}", self.world.way)

    def _at_place(self, event: events.Event) -> None:
        match event:
            case events.ElementReceived():
                self._element(event.request_id, event.element)
            case events.ReplyReceived(command=Command.SEND | Command.RECV):
                self._reply(event)
            case events.ChannelCloseHeard():
                self.closed = True
            case events.AheadRecalled() if self.ahead is not None:
                self.ahead.recalled()
            case events.ConnectionEnded():
                raise Broken(f"the opener ended the connection: {event.report.cause}", self.world.way)

    def _element(self, number: int, element: bytes) -> None:
        caller = self.callers.pop(number, None)
        if caller is None:
            if self.ahead is None or not self.ahead.arrived(number, element):
                self.wire.putback(number)
            return
        if self.ahead is not None:
            element = self.ahead.exchange(number, element)
        else:
            self.wire.taken(number)
        self.world.end(caller, int(element))

    def _reply(self, news: events.ReplyReceived) -> None:
        caller = self.callers.pop(news.request_id, None)
        if caller is None:
            if self.ahead is not None:
                self.ahead.refused(news)
        elif not news.code:
            self.world.end(caller, "sent")
        elif news.code == WireCode.EPIPE:
            self.world.end(caller, "cancelled" if caller.cancelled else "closed")
        elif news.command is Command.RECV and self.ahead is not None and self._answered_ahead(news, caller):
            pass
        else:
            self.world.end(caller, "cancelled" if caller.cancelled else "block")

    def _answered_ahead(self, news: events.ReplyReceived, caller: Caller) -> bool:
        assert self.ahead is not None
        if news.code == WireCode.EAGAIN and (element := self.ahead.take()) is not None:
            self.world.end(caller, int(element))
            return True
        if news.code == WireCode.ENOTSUP:
            self.ahead.stop()
            if caller.cancelled:
                return False
            self.callers[self.wire.recv(1)] = caller
            return True
        return False

    # -- what a task does here

    def send(self, caller: Caller, patient: bool) -> object:
        """As ``RemoteChannel.send``."""
        element = b"%d" % caller.step.what
        if not self.lives:
            return "lost"
        if self.closed:
            return "closed"
        if self.wire.send_data(1, element).done:
            return "sent"
        self.callers[self.wire.send(1, element, 0xFFFF_FFFF if patient else 0)] = caller
        return OVER

    def recv(self, caller: Caller, patient: bool) -> object:
        """As ``RemoteChannel.recv``."""
        if not self.lives:
            return "lost"
        if self.ahead is not None:
            if (element := self.ahead.take()) is not None:
                return int(element)
            if patient and (number := self.ahead.adopt()):
                self.callers[number] = caller
                return OVER
        self.callers[self.wire.recv(1, 0xFFFF_FFFF if patient else 0)] = caller
        return OVER

    def cancel(self, number: int) -> None:
        """A task is cancelled while it waits, as ``Pending`` does it: the home is asked, and success wins."""
        for request_id, caller in self.callers.items():
            if caller.number == number and not caller.cancelled:
                caller.cancelled = True
                if self.wire.cancel(request_id, 0.0):  # it was not written
                    del self.callers[request_id]
                    self.world.end(caller, "cancelled")
                return

    _drained = False
