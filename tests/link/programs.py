# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Small programs over one channel, and every outcome that a local channel allows them.

A program is a capacity and a few tasks, each a place (the home, or one of two links) and a list of steps. A step is a
send, a receive, a try of either (``timeout=0``), a close, word to and from another task that goes past the channel, or
the cancellation of another task, which ends what that one waits for, or the call that it is about to make. Of a channel
that is cancelled (``discard``) what was queued is left, for that is what gets reported. To give a handle up
(``detach``) changes nothing; what a ``cut`` of a link may leave is not known here.
The outcome is what each step of each task gave, what nobody took, and who waits for ever.

``outcomes`` explores all orders of all steps over a channel that is nothing but tuples; ``allows`` only those that can
still lead to one given outcome, which is all that a campaign has to know.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

__all__ = ["HOME", "LINKS", "Outcome", "Program", "Step", "Task", "allows", "outcomes", "random_program"]

HOME: Final = "home"
LINKS: Final = ("link 1", "link 2")


class Step(NamedTuple):
    """One call: its verb, and the element that is sent, the number of the word, or that of the task to be cancelled."""

    verb: str  # send, try send, recv, try recv, close, tell, hear, cancel, discard, detach, cut
    what: int = 0


class Task(NamedTuple):
    """Where a task runs, and what it does."""

    place: str
    steps: tuple[Step, ...]


class Program(NamedTuple):
    """A channel and its tasks; capacity 0 is RENDEZVOUS, None UNLIMITED."""

    capacity: int | None
    tasks: tuple[Task, ...]


class Outcome(NamedTuple):
    """For each task the results of its steps so far (a task that waits has fewer), and the elements that are left."""

    results: tuple[tuple[object, ...], ...]
    left: tuple[int, ...]


class _State(NamedTuple):
    queue: tuple[int, ...]
    senders: tuple[int, ...]  # tasks that wait, in their order
    receivers: tuple[int, ...]
    closed: bool
    words: frozenset[int]
    results: tuple[tuple[object, ...], ...]
    parked: frozenset[int]
    reported: tuple[int, ...] = ()


def outcomes(program: Program) -> frozenset[Outcome]:
    """Every outcome that some order of the steps has on a local channel."""
    return frozenset(_explore(program, lambda state: True))


def allows(program: Program, outcome: Outcome) -> bool:
    """Whether some order of the steps has this outcome on a local channel."""
    stays = set(outcome.left)

    def may_lead_there(state: _State) -> bool:
        for got, wanted in zip(state.results, outcome.results, strict=True):
            if got != wanted[: len(got)]:
                return False
        staying = (*state.reported, *(value for value in state.queue if value in stays))
        return staying == outcome.left[: len(staying)]

    return any(found == outcome for found in _explore(program, may_lead_there))


def _explore(program: Program, worth_it: Callable[[_State], bool]) -> Iterator[Outcome]:
    """Every outcome, perhaps several times; states that are not worth it are left out."""
    nobody = tuple[tuple[object, ...], ...](() for _ in program.tasks)
    start = _State((), (), (), False, frozenset(), nobody, frozenset())
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        later = [after for task in range(len(program.tasks)) if (after := _step(program, state, task)) is not None]
        later += _cancelled_as_they_begin(program, state)
        if not later:
            yield Outcome(state.results, state.reported + state.queue)
        for after in later:
            if after not in seen and worth_it(after):
                seen.add(after)
                todo.append(after)


def _step(program: Program, state: _State, task: int) -> _State | None:
    """The state behind the next step of a task; None when it has none, or waits."""
    steps = program.tasks[task].steps
    if task in state.parked or len(state.results[task]) == len(steps):
        return None
    step = steps[len(state.results[task])]
    if step.verb == "tell":
        return _done(state._replace(words=state.words | {step.what}), task, "told")
    if step.verb == "hear":
        return _done(state, task, "heard") if step.what in state.words else None
    if step.verb == "close":
        return _done(_close(state), task, "closed it")
    if step.verb == "detach":
        return _done(state, task, "detached it")
    if step.verb == "discard":
        return _done(_close(state._replace(queue=(), reported=state.queue)), task, "discarded it")
    if step.verb == "cancel":
        return _done(_cancel(state, step.what), task, "cancelled it")
    if step.verb.endswith("send"):
        return _send(program, state, task, step)
    return _recv(program, state, task, step)


def _send(program: Program, state: _State, task: int, step: Step) -> _State:
    if state.closed:
        return _done(state, task, "closed")
    if state.receivers:
        first, *others = state.receivers
        state = state._replace(receivers=tuple(others), parked=state.parked - {first})
        return _done(_done(state, first, step.what), task, "sent")
    if program.capacity is None or len(state.queue) < program.capacity:
        return _done(state._replace(queue=(*state.queue, step.what)), task, "sent")
    if step.verb == "try send":
        return _done(state, task, "block")
    return state._replace(senders=(*state.senders, task), parked=state.parked | {task})


def _recv(program: Program, state: _State, task: int, step: Step) -> _State:
    if state.queue:
        value, *rest = state.queue
        state = state._replace(queue=tuple(rest))
        if state.senders:
            state, sent = _next_sender(program, state)
            state = state._replace(queue=(*state.queue, sent))
        return _done(state, task, value)
    if state.senders:
        state, sent = _next_sender(program, state)
        return _done(state, task, sent)
    if state.closed:
        return _done(state, task, "closed")
    if step.verb == "try recv":
        return _done(state, task, "block")
    return state._replace(receivers=(*state.receivers, task), parked=state.parked | {task})


def _next_sender(program: Program, state: _State) -> tuple[_State, int]:
    first, *others = state.senders
    value = program.tasks[first].steps[len(state.results[first])].what
    state = state._replace(senders=tuple(others), parked=state.parked - {first})
    return _done(state, first, "sent"), value


def _cancelled_as_they_begin(program: Program, state: _State) -> Iterator[_State]:
    """A cancellation may come when a call has begun, and has done nothing yet."""
    for canceller, task in enumerate(program.tasks):
        for step in task.steps[len(state.results[canceller]) :][:1]:
            if step.verb == "cancel" and step.what not in state.parked:
                steps = program.tasks[step.what].steps[len(state.results[step.what]) :]
                if steps and steps[0].verb in ("send", "recv"):
                    yield _done(_done(state, step.what, "cancelled"), canceller, "cancelled it")


def _cancel(state: _State, task: int) -> _State:
    if task not in state.parked:
        return state
    senders, receivers = (tuple(one for one in queue if one != task) for queue in (state.senders, state.receivers))
    return _done(state._replace(senders=senders, receivers=receivers, parked=state.parked - {task}), task, "cancelled")


def _close(state: _State) -> _State:
    leaving = state.senders if state.queue else (*state.senders, *state.receivers)
    for task in leaving:
        state = _done(state, task, "closed")
    kept = state.receivers if state.queue else ()
    return state._replace(closed=True, senders=(), receivers=kept, parked=state.parked - set(leaving))


def _done(state: _State, task: int, result: object) -> _State:
    results = list(state.results)
    results[task] = (*results[task], result)
    return state._replace(results=tuple(results))


def random_program(seed: int) -> Program:
    """A program of two to four tasks; words are told forward only, so that nobody waits for a word of its own."""
    chance = random.Random(f"program {seed}")
    capacity = chance.choice((0, 1, 1, 2, 3, None))
    tasks, element, words, closed = [], 0, 0, False
    for _ in range(chance.randint(2, 4)):
        place = chance.choice((HOME, *LINKS, LINKS[0]))
        sends = chance.random() < 0.5
        steps: list[Step] = []
        for _ in range(chance.randint(1, 4)):
            kind = chance.random()
            if kind < 0.12 and words:
                steps.append(Step("hear", chance.randrange(words)))
            elif kind < 0.15 and place == HOME and not closed:
                closed = True
                steps.append(Step("close"))
                break  # word of a close may overtake the close itself: that is D4
            elif sends or kind > 0.9:
                steps.append(Step(chance.choice(("send", "send", "send", "try send")), element))
                element += 1
            else:
                steps.append(Step(chance.choice(("recv", "recv", "recv", "try recv"))))
            if chance.random() < 0.2 and steps[-1].verb not in ("hear", "close"):
                steps.append(Step("tell", words))
                words += 1
        tasks.append(Task(place, tuple(steps)))
    return Program(capacity, tuple(tasks))
