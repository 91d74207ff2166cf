# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The lending model, over the production state machines: every order of frames and steps.

One home with the reference channel, the production ends of up to two links (``wire`` and the home's rim), and tasks
that use them as ``RemoteChannel`` does. A medium per link and direction holds what was written. Each step lets a task
go on, delivers one frame, or ends a turn of an end, which then writes what found no frame to ride on: so
acknowledgements and grants come at any time. A slow medium takes what goes to the home one frame at a time, each in a
step of its own, so that what was asked for may be withdrawn before it is written. Two ways that lead to the same state
are followed once. A program may cut a link, at any time, and lose what was on its way: then no local channel says what
may come of it, and the books of all sides have to balance.

Production objects have no undo, so each state is reached by playing its way again from the start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import define, field

from kcoro_core import BUFFERED, RENDEZVOUS, UNLIMITED, LinkLost, channel
from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.link.exports import ALL_RIGHTS, Export
from kcoro_core.link.home import Home
from kcoro_core.link.prefetch import Prefetch
from kcoro_core.semantics import TIMED_OUT, Kind, Overflow
from kcoro_core.wire import events
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import OpenFlag, OpenRequest

from .programs import HOME, LINKS, Outcome, Program, Step
from .world import queued

__all__ = ["Broken", "Found", "explore", "go"]

Choice = tuple[str, Any]
OVER: Final = object()


class Broken(AssertionError):
    """A state or an outcome that no channel may have; ``way`` leads there."""

    def __init__(self, what: str, way: Iterable[Choice]) -> None:
        super().__init__(f"{what}; the way there: {' '.join(f'{kind}:{which}' for kind, which in way)}")


class _Clock:
    """Stands for a host where no time passes."""

    @staticmethod
    def now() -> float:
        return 0.0

    @staticmethod
    def call_at(when: float, fn: Callable[[], object]) -> None:
        raise AssertionError(f"{fn} is to be called at {when}, and no time passes")


@define(eq=False)
class _Caller:
    """A task at an end of a link that waits for the answer to a request, or at home for its operation."""

    number: int
    step: Step
    cancelled: bool = False  # the home was asked to


class _Line:
    """A link between one place and the home: two connections, and what is on its way in each direction."""

    def __init__(self, world: _World, place: str, lend: bool, prefetch: int, slow: bool) -> None:
        self.world = world
        self.slow = False  # not while the channel is opened
        self.wire = Connection(Side.CONNECTING, place.encode().ljust(16), b"connect.")
        self.far = Connection(Side.ACCEPTING, b"home".ljust(16), place.encode()[-8:].ljust(8))
        self.home = Home(
            _Clock(),  # type: ignore[arg-type]
            self.far,
            {"ch": Export("ch", world.channel, ALL_RIGHTS)},
            lambda *_: True,
            1 << 24,
            world.flush,
            world.flush,
        )
        self.to_home: deque[Frame] = deque()
        self.to_place: deque[Frame] = deque()
        self.callers: dict[int, _Caller] = {}
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
    def _link(self) -> _Line:
        return self

    @property
    def pump(self) -> _Line:
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

    def _answered_ahead(self, news: events.ReplyReceived, caller: _Caller) -> bool:
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

    def send(self, caller: _Caller, patient: bool) -> object:
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

    def recv(self, caller: _Caller, patient: bool) -> object:
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


class _World:
    """One run of a program, step by step."""

    def __init__(self, program: Program, lend: bool, prefetch: int, slow: bool) -> None:
        self.program = program
        self.way: list[Choice] = []
        self.reported: list[int] = []  # at home
        self.doubtful: list[int] = []  # at the ends of links, where their sends had completed
        kind = UNLIMITED if program.capacity is None else BUFFERED if program.capacity else RENDEZVOUS
        self.channel: Any = channel(kind, program.capacity or None, on_undelivered=self._undelivered)
        self.core = self.channel._core
        self.results: list[list[object]] = [[] for _ in program.tasks]
        self.waits: set[int] = set()
        self.words: set[int] = set()
        places = {task.place for task in program.tasks}
        # One link is lent to and has elements ahead, whoever asks; so the second one need not ask.
        self.lines = {
            place: _Line(self, place, lend and place == LINKS[0], prefetch * (place == LINKS[0]), slow)
            for place in LINKS
            if place in places
        }
        self.flush()

    def _undelivered(self, value: bytes, why: object, of: object) -> None:
        self.reported.append(int(value))

    def flush(self) -> None:
        """Whatever somebody has to write goes onto its line; called in the middle of steps, too."""
        for line in getattr(self, "lines", {}).values():
            if line.lives:
                line.write()

    # -- steps

    def choices(self) -> list[Choice]:
        """Everything that can happen next."""
        found: list[Choice] = []
        for number, task in enumerate(self.program.tasks):
            taken = len(self.results[number])
            if number in self.waits or taken == len(task.steps):
                continue
            step = task.steps[taken]
            if step.verb != "hear" or step.what in self.words:
                found.append(("task", number))
        for place, line in self.lines.items():
            if not line.lives:
                continue
            found += [("to home", place)] * bool(line.to_home) + [("from home", place)] * bool(line.to_place)
            found += [("write" if line.slow else "turn", place)] * line.wire.has_frames()
            found += [("turn at home", place)] * line.far.has_frames()
        return found

    def take(self, choice: Choice) -> None:
        """Let it happen."""
        self.way.append(choice)
        kind, which = choice
        if kind == "task":
            self._go_on(which)
        elif kind == "write":
            self.lines[which].write_one()
        elif kind.startswith("turn"):
            self.lines[which].turn(at_home=kind == "turn at home")
        else:
            self.lines[which].deliver(at_home=kind == "to home")
        self.flush()
        self._check()

    def _go_on(self, number: int) -> None:
        task = self.program.tasks[number]
        step = task.steps[len(self.results[number])]
        caller = _Caller(number, step)
        if step.verb in ("tell", "hear"):
            self.words |= {step.what} if step.verb == "tell" else set()
            result: object = "told" if step.verb == "tell" else "heard"
        elif step.verb == "close":
            self.channel.close()
            result = "closed it"
        elif step.verb == "discard":
            self.channel.cancel()
            result = "discarded it"
        elif step.verb == "cut":
            self.lines[task.place].lose()
            result = "cut it"
        elif step.verb == "detach":
            self.lines[task.place].detach()
            result = "detached it"
        elif step.verb == "cancel":
            place = self.program.tasks[step.what].place
            assert place in self.lines, "only tasks at links are cancelled"
            self.lines[place].cancel(step.what)
            result = "cancelled it"
        else:
            patient = not step.verb.startswith("try")
            sends = step.verb.endswith("send")
            end: Any = self if task.place == HOME else self.lines[task.place]
            self.waits.add(number)
            result = end.send(caller, patient) if sends else end.recv(caller, patient)
        if result is not OVER:
            self.end(caller, result)

    def end(self, caller: _Caller, result: object) -> None:
        """A step of a task is over."""
        self.waits.discard(caller.number)
        self.results[caller.number].append(result)

    # -- what a task does at home, as ``Channel`` does

    def send(self, caller: _Caller, patient: bool) -> object:
        answer = self.core.send_now(b"%d" % caller.step.what)
        if answer is OK or answer is CLOSED:
            return "sent" if answer is OK else "closed"
        return self._wait(caller, patient, b"%d" % caller.step.what)

    def recv(self, caller: _Caller, patient: bool) -> object:
        value = self.core.recv_now()
        if value is CLOSED:
            return "closed"
        return int(value) if value is not WOULD_BLOCK else self._wait(caller, patient, None)

    def _wait(self, caller: _Caller, patient: bool, value: bytes | None) -> object:
        op = self.channel._engine.select.operation(_Waker(self, caller), value is not None, value)
        if patient:
            self.core.enqueue(op)
        elif not self.core.ask(op):
            return "block"
        return OVER

    # -- what must hold, and what is known

    def _check(self) -> None:
        core, limit = self.core, self.program.capacity
        if limit is not None and len(core) + core.kept + core.lent > limit:
            raise Broken(f"{len(core)} queued, {core.kept} kept and {core.lent} lent of {limit}", self.way)

    def check_books(self) -> None:
        """A link was cut, and all is over: nothing is lost without a word or doubled, and nobody waits in vain."""
        there = [int(value) for value in queued(self.channel)]
        for results, task in zip(self.results, self.program.tasks, strict=True):
            there += [
                result
                for result, step in zip(results, task.steps, strict=False)
                if step.verb.endswith("recv") and isinstance(result, int)
            ]
        for name, books in (("there", there), ("reported", self.reported), ("in doubt", self.doubtful)):
            if len(books) != len(set(books)):
                raise Broken(f"{name} twice: {books}", self.way)
        for number, (results, task) in enumerate(zip(self.results, self.program.tasks, strict=True)):
            for result, step in zip(results, task.steps, strict=False):
                known = step.what in (*there, *self.reported, *self.doubtful)
                if step.verb.endswith("send") and not {"sent": known, "in doubt": True}.get(str(result), not known):
                    raise Broken(f"element {step.what}, {result}: {self.outcome()}, {self.doubtful}", self.way)
            if number in self.waits:
                sends = task.steps[len(results)].verb == "send"
                room = (self.program.capacity or 0) > len(queued(self.channel))
                if self.core.closed or (room if sends else queued(self.channel)):
                    raise Broken(f"task {number} waits in vain: {self.outcome()}", self.way)

    def fingerprint(self) -> object:
        """Two states with the same one go on in the same way."""
        core = self.core
        return (
            tuple(map(tuple, self.results)),
            frozenset(self.words),
            (tuple(self.reported), tuple(self.doubtful)),
            tuple(queued(self.channel)),
            tuple(_mark(op) for op in core.senders),
            tuple(_mark(op) for op in core.receivers),
            (core.closed, core.lent, core.kept, core.recalled, core.borrower is None, core.keeper is None),
            (core.travelling, tuple(core.tries.values()), len(core.questions)),
            tuple(_line_mark(line) for line in self.lines.values()),
        )

    def seen(self) -> object:
        """What any engine shows: what the tasks got, what can happen next, and how the channel stands."""
        core = self.core
        waiting = [tuple(_mark(op) for op in core.waiting(sending)) for sending in (True, False)]
        shares = (core.lent, core.kept, core.travelling, core.is_shared(True), core.is_shared(False))
        return (
            tuple(map(tuple, self.results)),
            self.choices(),
            queued(self.channel),
            waiting,
            shares,
            self.channel.snapshot(),
        )

    def outcome(self) -> Outcome:
        """Nothing can happen any more: what came of it."""
        left = self.reported + [int(value) for value in queued(self.channel)]
        for line in self.lines.values():
            if line.ahead is not None:  # at most one has any, and they are older
                left = [int(element) for _, element in line.ahead._ready] + left
        return Outcome(tuple(map(tuple, self.results)), tuple(left))


class _Waker:
    """The parker of an operation of a task at home."""

    def __init__(self, world: _World, caller: _Caller) -> None:
        self._world = world
        self.caller = caller

    def unpark(self, op: Any) -> None:
        """The operation is decided."""
        if op.error is not None:
            result: object = "closed"
        elif op.claim == TIMED_OUT:
            result = "block"
        else:
            result = "sent" if op.sending else int(op.value)
        self._world.end(self.caller, result)


def _mark(op: Any) -> object:
    parker = op.parker
    who = parker.caller.number if isinstance(parker, _Waker) else (id(parker.bound.channel), parker.request_id)
    return who if isinstance(who, int) else (parker.bound.wire.peer.node_id, parker.request_id)


def _line_mark(line: _Line) -> object:
    mine, theirs = line.wire._handles.find(1), line.far._handles.find(1)
    if mine is None or theirs is None or not line.lives:
        frames = (*line.to_home, 0, *line.to_place) if line.lives else ()
        return (line.lives, mine is None, theirs is None, tuple(one and one.encode() for one in frames))
    window, slots = mine.window, theirs.lent
    ahead = line.ahead
    return (
        tuple(frame.encode() for frame in line.to_home),
        tuple(frame.encode() for frame in line.to_place),
        tuple(_unwritten(line.wire)) if line.slow else (),
        tuple((number, caller.number, caller.cancelled) for number, caller in line.callers.items()),
        None if window is None else (window.state, window.msg_limit, window._written, window.confirmed),
        None if slots is None else (slots.state, slots.heard, slots.msg_limit, slots.questions),
        (mine.ahead, theirs.ahead, mine.closing is None),
        None if ahead is None else (tuple(ahead._ready), tuple(ahead._standing), ahead._over),
        tuple(line.home._parked),
        (tuple(mine.acks), tuple(line.far._lender.grants.owing)),
    )


def _unwritten(wire: Connection) -> Iterable[object]:
    """Everything that waits for the medium, in the order in which that gets it."""
    box = wire._outbox
    lanes = [entry for lane in box._lanes.values() for entry in lane.entries]
    for entry in (*box._control, *([] if box.lone is None else [box.lone]), *lanes):
        yield (entry.command, entry.request_id, entry.flags, entry.parts)


@define
class Found:
    """What an exploration has seen."""

    states: int = 0
    ends: set[Outcome] = field(factory=set)


def explore(
    program: Program,
    allowed: Callable[[Outcome], bool],
    lend: bool,
    prefetch: int,
    slow: bool = False,
    most: int = 1_000_000,
    went: Callable[[_World], object] = lambda world: None,
) -> Found:
    """Follow every order of everything; ``went`` is told where each way ends, or meets another one.

    Raises Broken for what no local channel allows, or beyond ``most`` states.
    """

    def reach(way: tuple[Choice, ...]) -> _World:
        world = _World(program, lend, prefetch, slow)
        for choice in way:
            world.take(choice)
        return world

    found = Found()
    seen = set[object]()
    todo: deque[tuple[Choice, ...]] = deque([()])
    while todo:
        world = reach(todo.popleft())
        while (mark := world.fingerprint()) not in seen:
            seen.add(mark)
            found.states += 1
            if found.states > most:
                raise Broken(f"more than {most} states", ())
            choices = world.choices()
            if not choices:
                _judge(world, allowed, found)
                break
            first, *others = choices
            todo.extend((*world.way, choice) for choice in others)
            world.take(first)  # the world at hand goes on; the other ways are played again from the start
        went(world)
    return found


def _judge(world: _World, allowed: Callable[[Outcome], bool], found: Found) -> None:
    outcome = world.outcome()
    if any(step.verb == "cut" for task in world.program.tasks for step in task.steps):
        world.check_books()
    elif outcome not in found.ends and not allowed(outcome):
        raise Broken(f"{outcome} is no outcome of a local channel", world.way)
    found.ends.add(outcome)


def go(program: Program, lend: bool, prefetch: int, slow: bool, way: Iterable[Choice]) -> object:
    """Go one way that an exploration went, on the engine in use; what is to be seen then, where it can be gone."""
    world = _World(program, lend, prefetch, slow)
    for choice in way:
        if choice not in world.choices():
            return f"{choice} cannot happen after {world.way}"
        world.take(choice)
    return world.seen()
