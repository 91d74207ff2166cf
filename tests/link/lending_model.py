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
from typing import Any

from attrs import define, field

from kcoro_core import BUFFERED, RENDEZVOUS, UNLIMITED, channel
from kcoro_core.engine import CLOSED, OK, WOULD_BLOCK
from kcoro_core.semantics import TIMED_OUT
from kcoro_core.wire.connection import Connection

from .lending_line import OVER, Broken, Caller, Choice, Line
from .programs import HOME, LINKS, Outcome, Program
from .world import queued

__all__ = ["Broken", "Found", "explore", "go"]


class World:
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
            place: Line(self, place, lend and place == LINKS[0], prefetch * (place == LINKS[0]), slow)
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
        caller = Caller(number, step)
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

    def end(self, caller: Caller, result: object) -> None:
        """A step of a task is over."""
        self.waits.discard(caller.number)
        self.results[caller.number].append(result)

    # -- what a task does at home, as ``Channel`` does

    def send(self, caller: Caller, patient: bool) -> object:
        answer = self.core.send_now(b"%d" % caller.step.what)
        if answer is OK or answer is CLOSED:
            return "sent" if answer is OK else "closed"
        return self._wait(caller, patient, b"%d" % caller.step.what)

    def recv(self, caller: Caller, patient: bool) -> object:
        value = self.core.recv_now()
        if value is CLOSED:
            return "closed"
        return int(value) if value is not WOULD_BLOCK else self._wait(caller, patient, None)

    def _wait(self, caller: Caller, patient: bool, value: bytes | None) -> object:
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

    def __init__(self, world: World, caller: Caller) -> None:
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


def _line_mark(line: Line) -> object:
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
    went: Callable[[World], object] = lambda world: None,
) -> Found:
    """Follow every order of everything; ``went`` is told where each way ends, or meets another one.

    Raises Broken for what no local channel allows, or beyond ``most`` states.
    """

    def reach(way: tuple[Choice, ...]) -> World:
        world = World(program, lend, prefetch, slow)
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


def _judge(world: World, allowed: Callable[[Outcome], bool], found: Found) -> None:
    outcome = world.outcome()
    if any(step.verb == "cut" for task in world.program.tasks for step in task.steps):
        world.check_books()
    elif outcome not in found.ends and not allowed(outcome):
        raise Broken(f"{outcome} is no outcome of a local channel", world.way)
    found.ends.add(outcome)


def go(program: Program, lend: bool, prefetch: int, slow: bool, way: Iterable[Choice]) -> object:
    """Go one way that an exploration went, on the engine in use; what is to be seen then, where it can be gone."""
    world = World(program, lend, prefetch, slow)
    for choice in way:
        if choice not in world.choices():
            return f"{choice} cannot happen after {world.way}"
        world.take(choice)
    return world.seen()
