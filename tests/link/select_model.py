# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The model of remote select, over the production state machines: every order of frames and steps, in full.

Nodes with channels and links between them, all as programs use it (``Link``, ``Home``, ``Desk``, ``RemoteSelect``,
``wire``, channels of the engine in use), but for the medium and the loop: each direction of a link holds the frames
that were written, and each step lets an actor begin, delivers one frame, has a turn lapse, lets a deadline pass, or
cuts a link. Two ways that lead to the same state are followed once.

Production objects have no undo, so each state is reached by playing its way again from the start.
"""

from __future__ import annotations

import gc
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import define, field, frozen

from kcoro_core import BUFFERED, RENDEZVOUS, ChannelClosed, LinkLost, Outcome, Recv, Selector, Send, channel, claiming
from kcoro_core.config import Settings
from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.hosts.port import Host, here
from kcoro_core.link import desk
from kcoro_core.link import link as links
from kcoro_core.link.exports import ALL_RIGHTS, Export
from kcoro_core.link.link import Link
from kcoro_core.link.offer import Offer
from kcoro_core.semantics import CLAIMING, TIMED_OUT, WAITING
from kcoro_core.transport import Identity
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Side
from kcoro_core.wire.events import Event
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import OpenRequest
from kcoro_core.wire.requests import RequestState
from kcoro_core.wire.states import State

from .world import queued

__all__ = ["Actor", "Broken", "Found", "Program", "explore"]

Choice = tuple[str, Any]
SETTINGS: Final = Settings()
ENDLESS: Final = 120
"""Steps after which a way is taken to go in a circle: no program has so many without one."""


class Broken(AssertionError):
    """A state that must not be; ``way`` leads there."""

    def __init__(self, what: str, way: Iterable[Choice]) -> None:
        super().__init__(f"{what}; the way there: {' '.join(f'{kind}:{which}' for kind, which in way)}")


@frozen
class Actor:
    """What one task does, once: a select over ``clauses``, or a plain send or receive at home (``plain``).

    A clause is ``"+ch"`` to send on a channel and ``"-ch"`` to receive from it. ``times_out``: its deadline may pass.
    """

    node: str
    clauses: tuple[str, ...]
    plain: bool = False
    times_out: bool = False


@frozen
class Program:
    """Channels by name, each with its node and its capacity; what the actors do; what else may happen."""

    channels: dict[str, tuple[str, int]]
    actors: tuple[Actor, ...]
    lapses: int = 0
    cuts: int = 0
    late: bool = False  # whether anything may happen between the decision of a wait and the task that goes on
    deaf: str = ""  # a node that may hear what comes, and need not


class _World(Host):
    """One run of a program, step by step; the host of everything in it."""

    def __init__(self, program: Program) -> None:
        super().__init__(seed=0)
        self.program = program
        self.way: list[Choice] = []
        self.timers: dict[int, _Timer] = {}
        self.lapsed = self.cut = 0
        self.left = False
        self.reports: Counter[bytes] = Counter()
        self._numbers = itertools.count()
        self.channels = {
            name: (node, channel(BUFFERED if size else RENDEZVOUS, size or None, on_undelivered=self._undelivered))
            for name, (node, size) in program.channels.items()
        }
        self.lines: dict[tuple[str, str], _Line] = {}
        self.handles: dict[tuple[str, str], Any] = {}
        for actor in program.actors:
            for clause in actor.clauses:
                self._reach(actor.node, clause[1:])
        self.tasks = [_Task(self, number, actor) for number, actor in enumerate(program.actors)]

    def _undelivered(self, value: bytes, why: object, of: object) -> None:
        self.reports[value] += 1

    def _reach(self, node: str, name: str) -> None:
        home, ch = self.channels[name]
        if node == home or (node, name) in self.handles:
            self.handles.setdefault((node, name), ch)
            return
        pair = (min(node, home), max(node, home))
        if pair not in self.lines:
            self.lines[pair] = _Line(self, *pair)
        self.handles[node, name] = self.lines[pair].open(node, name)

    # -- a host, as far as anybody asks

    def now(self) -> float:
        return 0.0

    def call_at(self, deadline: float, fn: Callable[[], object]) -> Any:
        number = next(self._numbers)
        timer = self.timers[number] = _Timer(self, number, fn)
        return timer

    def unpark(self, op: Any) -> None:
        if not self.left:  # else its channels are being destroyed
            op.task.woken()

    # -- steps

    def choices(self) -> list[Choice]:
        """Everything that has to happen, in some order."""
        found: list[Choice] = [("begin", task.number) for task in self.tasks if not task.begun]
        found += [("wake", task.number) for task in self.tasks if task.runnable]
        for pair, line in self.lines.items():
            found += [("to", (pair, node)) for node in pair if line.frames[node] and node != self.program.deaf]
        return found

    def accidents(self) -> list[Choice]:
        """What may happen, and need not."""
        found: list[Choice] = []
        if self.lapsed < self.program.lapses:
            found += [("lapse", number) for number in self.timers]
        for pair, line in self.lines.items():
            found += [("to", (pair, node)) for node in pair if line.frames[node] and node == self.program.deaf]
        found += [("deadline", task.number) for task in self.tasks if task.may_expire]
        if self.cut < self.program.cuts:
            found += [("cut", pair) for pair, line in self.lines.items() if line.lives]
        return found

    def take(self, choice: Choice) -> None:
        """Let it happen."""
        self.way.append(choice)
        kind, which = choice
        if kind == "begin":
            self.tasks[which].begin()
        elif kind == "wake":
            self.tasks[which].resume()
        elif kind == "to":
            pair, node = which
            self.lines[pair].deliver(node)
        elif kind == "lapse":
            self.lapsed += 1
            self.timers.pop(which).fn()
        elif kind == "deadline":
            self.tasks[which].expire()
        else:
            self.cut += 1
            self.lines[which].lose()
        while self._take_what_changes_nothing():
            pass
        if len(self.way) > ENDLESS:
            raise Broken("it goes on for ever", self.way)

    def _take_what_changes_nothing(self) -> bool:
        """Steps that commute with all others need no order: one of them, at once."""
        if not self.program.late:
            for task in self.tasks:
                if task.runnable:
                    task.resume()
                    return True
        for line in self.lines.values():
            for node in line.frames:
                if line.is_idle(node):
                    line.deliver(node)
                    return True
        return False

    # -- what must hold

    def fingerprint(self) -> object:
        """Two states with the same one go on in the same way."""
        return (
            tuple(task.mark() for task in self.tasks),
            tuple(_channel_mark(ch) for _, ch in self.channels.values()),
            tuple(line.mark() for line in self.lines.values()),
            tuple(timer.mark() for timer in self.timers.values()),
            tuple(sorted(self.reports.items())),
            (self.lapsed, self.cut),
        )

    def check_quiet(self) -> None:
        """Nothing is on its way and everybody has begun: whoever can meet has met, and nothing is left behind."""
        if self.program.deaf and self.timers:  # who has the turn may be deaf; it goes on when that lapses
            return
        self._check_values()
        hearing = [task for task in self.tasks if task.actor.node != self.program.deaf]
        for task in hearing:
            if task.op is not None and task.op.claim <= CLAIMING:
                raise Broken(f"actor {task.number} waits for an answer that does not come", self.way)
        for one, other in itertools.permutations([task for task in hearing if task.waits], 2):
            if {clause[1:] for clause in one.open_clauses("+")} & {clause[1:] for clause in other.open_clauses("-")}:
                raise Broken(f"actors {one.number} and {other.number} could meet", self.way)
        for task in hearing:
            if task.waits and len(task.open_clauses("-+")) < len(task.actor.clauses):
                raise Broken(f"actor {task.number} has not heard of the end of a link", self.way)
            for clause in task.open_clauses("-+") if task.waits else ():
                self._check_channel(task, clause)
        if not self.program.deaf:
            self._check_traces()

    def _check_channel(self, task: _Task, clause: str) -> None:
        _, ch = self.channels[clause[1:]]
        there = len(ch) if clause[0] == "-" else (ch.capacity or 0) - len(ch)
        if there > 0:
            raise Broken(f"actor {task.number} waits for {clause}, and there is something", self.way)

    def _check_values(self) -> None:
        held: Counter[bytes] = Counter()
        sent: Counter[bytes] = Counter()
        doubt: set[bytes] = set()
        for _, ch in self.channels.values():
            held.update(queued(ch))
        for task in self.tasks:
            for value in task.sent:
                sent[value] += 1
            held.update(task.received)
            doubt |= task.doubtful
        for line in self.lines.values():  # granted, and not heard of
            for link in line.ends.values():
                for bound in link._exporting._bound.values():
                    held.update(value for value in bound.travelling.values() if not held[value])
        for value, reported in self.reports.items():  # in doubt at home: the other end may have it
            if not self.cut or reported > 1:
                raise Broken(f"{value!r} was reported {reported} times", self.way)
            held[value] = held[value] or 1
        for value in sent.keys() | held.keys():
            if held[value] > 1 or (held[value] != sent[value] and value not in doubt):
                raise Broken(f"{value!r} was sent {sent[value]} times and is there {held[value]} times", self.way)

    def _check_traces(self) -> None:
        standing = sum(len(task.open_clauses("-+")) for task in self.tasks if task.waits and task.is_remote)
        there = sum(len(link._exporting._hints) for line in self.lines.values() for link in line.ends.values())
        if there > standing:
            raise Broken(f"{there} clauses stand for {standing} that wait", self.way)
        if not standing:
            for line in self.lines.values():
                for link in line.ends.values():
                    if line.lives and link.wire.stats().requests_in_flight:
                        raise Broken("a request is left behind", self.way)
            for name, (_, ch) in self.channels.items():
                if hasattr(ch._core, "core"):
                    raise Broken(f"a desk is left at {name}", self.way)


class _Timer:
    """A turn that may lapse."""

    def __init__(self, world: _World, number: int, fn: Callable[[], object]) -> None:
        self._world = world
        self._number = number
        self.fn = fn

    def cancel(self) -> bool:
        return self._world.timers.pop(self._number, None) is not None

    def mark(self) -> object:
        hint: Any = self.fn.__self__  # type: ignore[attr-defined]
        return (hint.ticket, hint.sending, hint.token)


def _hand_on(link: Link, event: Event) -> None:
    handler = link.pump.handlers.get(type(event))
    if handler is not None:
        handler(event)


class _Pump:
    """In place of the pump of a link: whatever there is to write is on the line at once."""

    def __init__(self, host: _World, vtable: object, conn: Any, wire: Any, *_: object) -> None:
        self.after_turn = None
        self._wire = wire
        self._frames: deque[Frame] = conn

    def datagram_limit(self) -> int:
        return 0

    def flush(self, crowded: bool = True) -> None:
        while (frame := self._wire.poll_transmit(True)) is not None:
            self._wire.mark_written()
            self._frames.append(frame)

    owe = pump = flush

    def set_timer(self) -> None:
        """No time passes."""


class _Vtable:
    """As much of a transport as a link asks for."""

    class info:  # noqa: N801
        capabilities = frozenset[object]()

    @staticmethod
    def peer(conn: object) -> Identity:
        return Identity("none")


class _Line:
    """A link between two nodes; ``frames[node]`` are on their way to that node."""

    def __init__(self, world: _World, one: str, other: str) -> None:
        self.world = world
        self.lives = True
        self.frames: dict[str, deque[Frame]] = {one: deque(), other: deque()}
        self.ends = {
            node: self._end(node, to, side)
            for node, to, side in ((one, other, Side.CONNECTING), (other, one, Side.ACCEPTING))
        }
        for link in self.ends.values():
            link.wire.start(0.0)
            link.pump.flush()
        self._settle()

    def _end(self, node: str, to: str, side: Side) -> Link:
        exports = {
            name: Export(name, ch, ALL_RIGHTS) for name, (home, ch) in self.world.channels.items() if home == node
        }
        links.NODE_ID = node.encode().ljust(16)  # type: ignore[misc]
        offer = Offer(exports, authorize=lambda *_: True)
        return Link(self.world, _Vtable, self.frames[to], side, f"{node}-{to}", offer, SETTINGS)  # type: ignore[arg-type]

    def _settle(self) -> None:
        while any(self.frames.values()):
            for node in self.frames:
                if self.frames[node]:
                    self.deliver(node)

    def open(self, node: str, name: str) -> Any:
        """A handle, as ``Link.open`` gives it."""
        link = self.ends[node]
        opened: list[Any] = []
        number = link.wire.open(OpenRequest(name))
        link.opener._requests[number] = _Opening(name, opened)  # type: ignore[assignment]
        link.pump.flush()
        self._settle()
        return opened[0]

    def is_idle(self, node: str) -> bool:
        """Whether the next frame to this node only ends something that is over for everybody."""
        if not self.frames[node]:
            return False
        frame, link = self.frames[node][0], self.ends[node]
        request = link.wire._opener.requests.find(frame.request_id)
        if frame.command in (Command.REPLY, Command.SELECT_NOTIFY):
            return request is not None and request.state is RequestState.ABANDONED
        if frame.command == Command.SELECT_CANCEL:
            standing = link._exporting._hints._registered.get(frame.request_id)
            return standing is not None and standing.over and not self.world.program.cuts
        return frame.command == Command.TAKEN and not self.world.program.cuts

    def deliver(self, node: str) -> None:
        """One frame comes."""
        link = self.ends[node]
        for event in link.wire.receive_frame(self.frames[node].popleft(), 0.0):
            _hand_on(link, event)
        link.opener._on_heard()
        link.pump.flush()
        if link.wire.report is not None and self.lives:
            raise Broken(f"a link ended by itself: {link.wire.report.cause}", self.world.way)

    def lose(self) -> None:
        """The medium ends, with all that was on its way."""
        self.lives = False
        for node, link in self.ends.items():
            self.frames[node].clear()
            for event in link.wire.lose(LinkLost("cut")):
                _hand_on(link, event)
            link.opener._on_heard()
        for node in self.ends:
            self.frames[node].clear()

    def mark(self) -> object:
        frames = tuple(tuple(frame.encode() for frame in line) for line in self.frames.values())
        return (self.lives, frames, tuple(_link_mark(link) for link in self.ends.values()))


class _Opening:
    """Waits for a handle while a world is made."""

    def __init__(self, name: str, opened: list[Any]) -> None:
        self.about = name
        self.succeed = opened.append


class _Task:
    """An actor at work; as ``Selector.wait`` and ``Channel.send`` do it, but for the coroutine."""

    def __init__(self, world: _World, number: int, actor: Actor) -> None:
        self.world = world
        self.number = number
        self.actor = actor
        self.begun = self.ended = self.runnable = False
        self.expired = False
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.doubtful: set[bytes] = set()
        self.op: Any = None
        self.select: Any = None
        self._over: Callable[[], None] = lambda: None
        self.parker: Any = None  # as the host parks: ``op.task`` is this one
        self.task = self

    @property
    def waits(self) -> bool:
        """Whether it has begun and is not over."""
        return self.begun and not self.ended

    @property
    def may_expire(self) -> bool:
        return self.actor.times_out and self.waits and not self.expired and not self.runnable

    @property
    def is_remote(self) -> bool:
        return any(self.world.channels[clause[1:]][0] != self.actor.node for clause in self.actor.clauses)

    def open_clauses(self, directions: str) -> list[str]:
        """Clauses of these directions whose link lives."""
        found = []
        for clause in self.actor.clauses:
            home = self.world.channels[clause[1:]][0]
            pair = (min(home, self.actor.node), max(home, self.actor.node))
            if clause[0] in directions and (home == self.actor.node or self.world.lines[pair].lives):
                found.append(clause)
        return found

    def value(self, index: int) -> bytes:
        """What a clause that sends would send."""
        return b"%d.%d" % (self.number, index)

    # -- the steps

    def begin(self) -> None:
        self.begun = True
        if self.actor.plain:
            self._begin_plain()
            return
        clauses: list[Any] = []
        for index, clause in enumerate(self.actor.clauses):
            end = self.world.handles[self.actor.node, clause[1:]]
            clauses.append(Send(end, self.value(index)) if clause[0] == "+" else Recv(end))
        selector = Selector(*clauses)
        selector._begin()
        op, arms, order = selector._poll(self.world)
        self.op = op
        if op.claim != WAITING:
            self._decided()
        elif selector._remote:
            self.select = claiming.RemoteSelect(self.world, op, clauses, arms, order, selector.closed)
            self._over = self.select.withdraw
            self.select.task = self
            self.select.begin()
            self._go_to_sleep(self.select)
        else:
            self._over = lambda: [clause.withdraw(arm) for clause, arm in zip(clauses, arms, strict=True)]  # type: ignore[assignment]
            op.task = self
            for clause, arm in zip(clauses, arms, strict=True):
                clause.register(arm)
            self._go_to_sleep(op)

    def _go_to_sleep(self, op: Any) -> None:
        if self.op.claim == WAITING or self.op.claim <= CLAIMING:
            op.parker = self.world
        else:
            self._decided()

    def _begin_plain(self) -> None:
        (clause,) = self.actor.clauses
        ch = self.world.handles[self.actor.node, clause[1:]]
        sending = clause[0] == "+"
        answer = ch._core.send_now(self.value(0)) if sending else ch._core.recv_now()
        self.op = ch._engine.select.operation(self.world, sending, self.value(0) if sending else None)
        self.op.task = self
        if answer is WOULD_BLOCK:
            self._over = lambda: ch._core.withdraw(self.op)
            ch._core.enqueue(self.op)
        elif answer is not CLOSED:
            self.op.win()
            self.op.value = None if answer is OK else answer
            self._decided()

    def expire(self) -> None:
        """The deadline passes."""
        self.expired = True
        (self.select or self.op).expire()

    def woken(self) -> None:
        """The host is told that it was decided; it goes on later."""
        if self.runnable or self.ended:
            raise Broken(f"actor {self.number} was resumed twice", self.world.way)
        self.runnable = True

    def resume(self) -> None:
        """It goes on."""
        self.runnable = False
        self._decided()

    def _decided(self) -> None:
        self.ended = True
        self._over()
        op = self.op
        if op.claim < 0:
            if op.claim != TIMED_OUT:
                raise Broken(f"actor {self.number} ended with {op.claim}", self.world.way)
            if self.select is not None and self.select.in_doubt:
                self.doubtful |= {self.value(index) for index in range(len(self.actor.clauses))}
            return
        sending = self.actor.clauses[op.claim][0] == "+"
        if op.error is not None:
            if not isinstance(op.error, (LinkLost, ChannelClosed)) or not self.world.cut:
                raise Broken(f"actor {self.number} failed: {op.error!r}", self.world.way)
            if op.error.outcome is Outcome.IN_DOUBT:
                self.doubtful.add(self.value(op.claim))
        elif sending:
            self.sent.append(self.value(op.claim))
        else:
            self.received.append(op.value)

    def mark(self) -> object:
        select = self.select
        turns = None if select is None else (tuple(select._turns.items()), tuple(select._ended), select._claim is None)
        late = getattr(self.op, "late", None) if self.op is not None else None
        claim = None if self.op is None else self.op.claim
        ends = (tuple(self.sent), tuple(self.received), tuple(sorted(self.doubtful)))
        return (self.begun, self.ended, self.runnable, self.expired, claim, late, turns, ends)


def _owner(w: Any) -> object:
    op = getattr(w, "op", w)
    parker = op.parker
    ticket = getattr(parker, "ticket", None)
    if ticket is None:
        return ("plain", op.task.number, op.claim)
    if hasattr(parker, "passes"):
        told = (parker.token, parker.lapsed, parker.passes, parker.keeps, parker.held)
        return ("hint", ticket, w.sending, op.claim, told)
    return ("select", ticket, w.sending, op.claim)


def _channel_mark(ch: Any) -> object:
    core = getattr(ch._core, "core", ch._core)
    waiting = tuple(tuple(_owner(w) for w in core.waiting(sending)) for sending in (False, True))
    return (tuple(queued(ch)), waiting, core.travelling, core.closed)


def _link_mark(link: Link) -> object:
    if link.wire.state is not State.OPEN:
        return link.wire.state
    requests = tuple((one.request_id, one.command, one.state) for one in link.wire._opener.requests)
    asked = tuple((one.request_id, one.wants, one.stage) for one in link.wire._admission.asked.values())
    return (requests, asked, tuple(link.opener._requests), tuple(link._exporting._hints._registered))


# ---------------------------------------------------------------------------------------------------------------------
# The exploration
# ---------------------------------------------------------------------------------------------------------------------


@define
class Found:
    """What an exploration has seen; ``ends``: how often each pair of outcomes, in words."""

    states: int = 0
    quiet: int = 0
    ends: set[object] = field(factory=set)


@contextmanager
def _model() -> Iterator[None]:
    """The links of the block have no pumps and the host is the world; everything is as before behind it."""
    pump, node, host, passes = links.Pump, links.NODE_ID, here.host, desk.PASSES
    links.Pump = _Pump  # type: ignore[assignment,misc]
    desk.PASSES = 1  # type: ignore[misc]  # to be passed over three times takes more steps, and shows the same
    try:
        yield
    finally:
        links.Pump, links.NODE_ID, here.host, desk.PASSES = pump, node, host, passes  # type: ignore[misc]


def _reach(program: Program, way: Iterable[Choice]) -> _World:
    claiming._serials = itertools.count(1)  # type: ignore[misc]
    world = _World.__new__(_World)
    here.host = world
    world.__init__(program)  # type: ignore[misc]
    for choice in way:
        world.take(choice)
    return world


def explore(program: Program, most: int = 1_000_000) -> Found:
    """Follow every order of everything. Raises Broken for what must not be, or beyond ``most`` states."""
    with _model():
        gc.disable()
        try:
            return _explore(program, most)
        finally:
            gc.enable()


def _explore(program: Program, most: int) -> Found:
    found = Found()
    seen = set[object]()
    todo: deque[tuple[Choice, ...]] = deque([()])
    for round_ in itertools.count():
        if not todo:
            break
        if not round_ % 500:
            gc.collect()  # worlds are full of cycles
        world = _reach(program, todo.popleft())
        while (mark := world.fingerprint()) not in seen:
            seen.add(mark)
            found.states += 1
            if found.states > most:
                raise Broken(f"more than {most} states", ())
            musts, choices = world.choices(), world.accidents()
            if not musts:
                world.check_quiet()
                found.quiet += 1
                found.ends.add(tuple(task.mark() for task in world.tasks))
            choices = musts + choices
            if not choices:
                break
            first, *others = choices
            todo.extend((*world.way, choice) for choice in others)
            world.take(first)  # the world at hand goes on; the other ways are played again from the start
        world.left = True
    return found
