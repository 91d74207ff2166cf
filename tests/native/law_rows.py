# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of channels for tasks on a scheduler: each over the cases that it has in ``kcoro_core.testing.laws``.

A row tells a case of a law in the language of law_scripts.py, most of them by a story. Rows whose cases are tables
themselves (the outcome table, what beats what, who survives, who meets) take the answers from there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from kcoro_core.errors import ChannelClosed, DeadlineExceeded, WouldBlock
from kcoro_core.semantics import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    DROPS,
    RENDEZVOUS,
    UNLIMITED,
    WAITS,
    Direction,
    Situation,
    WaitForm,
    outcome,
)
from kcoro_core.testing.laws import LAWS
from kcoro_core.testing.laws.shapes import FULL_WAITS, Shape, shape

from .law_scripts import Script, parse
from .law_stories import Story

__all__ = ["CASES", "ROWS", "row", "scripts"]

Told = tuple[tuple[Shape, ...], str] | Story | None
CASES = {law.id: law.cases for law in LAWS}
ROWS: dict[str, Callable[[Any], Told]] = {}
"""How each law is told: a function from a case to channels and lines; None where a case needs what is not here."""
FORMS = {WaitForm.TRY: "try", WaitForm.TIMED: "late", WaitForm.FOREVER: ""}
WORDS: dict[Any, str] = {WouldBlock: "would block", DeadlineExceeded: "late", ChannelClosed: "closed"}


def row(*laws: str) -> Callable[[Callable[[Any], Told]], Callable[[Any], Told]]:
    """Tell the laws of these ids so."""

    def register(tell: Callable[[Any], Told]) -> Callable[[Any], Told]:
        ROWS.update(dict.fromkeys(laws, tell))
        return tell

    return register


def scripts() -> Iterator[tuple[str, Script]]:
    """Every row with the name of its law and case."""
    for law, tell in ROWS.items():
        for label, case in CASES[law].items():
            told = tell(case)
            if isinstance(told, Story):
                told = (told.made,), str(told)
            if told is not None:
                yield f"{law}[{label}]" if label else law, parse(*told)


def filled(made: Shape) -> Story:
    """A story of a channel that is full; its elements count from 101."""
    story = Story(made)
    for i in range(int(made.limit)):
        story.send(101 + i)
    return story


# -- tables


def situated(case: Any, made: Shape) -> tuple[list[str], int, str]:
    """How a channel comes into a situation; what is received there; and what becomes of the partner who waits."""
    sending = case.operation is Direction.SEND
    match case.situation:
        case Situation.PARTNER if sending:
            return ["partner: recv a"], 0, ", partner got 1"
        case Situation.PARTNER:
            return [*filled(made).lines, "partner: send a 9"], 101 if made.limit else 9, ", partner done"
        case Situation.READY if not sending:
            return ["send a 7"], 7, ""
        case Situation.FULL_OR_EMPTY if sending:
            return filled(made).lines, 0, ""
        case Situation.CLOSED_WITH_DATA:
            return ["send a 7", "close a"], 7, ""
        case Situation.CLOSED_DRAINED:
            return ["close a"], 0, ""
    return [], 0, ""


@row("E1.outcome-table")
def answered(case: Any) -> Told:
    made, sending = shape(case.kind, case.overflow), case.operation is Direction.SEND
    lines, there, partner = situated(case, made)
    brought = ""
    if case.answer in ("done", DROPS):
        brought = ("call done" if sending else f"call got {there}") + partner
    elif case.answer != WAITS:
        brought = f"call {WORDS[case.answer]}"
    if case.answer == DROPS:
        why = "conflated" if made.kind is CONFLATED else "overflow"
        brought += f", lost a {1 if made.overflow is DROP_LATEST else 101} {why}; a.dropped=1"
    lines.append(f"call: {case.operation.value} a{' 1' * sending} {FORMS[case.form]} -> {brought}")
    return (made,), "\n".join(lines)


@row("CH8.at-the-instant-of-a-call")
def at_once(case: Any) -> Told:
    if case.cancelled:
        return None
    sending = case.direction is Direction.SEND
    lines = ["send a 1"] if case.ready is not sending else []
    lines += ["drain: recv a try -> *"] if case.closed and not sending else []
    lines += ["close a"] if case.closed else []
    decided = outcome(cancelled=False, closed=case.closed, ready=case.ready, expired=case.expired)
    answer = ("done" if sending else "got 1") if case.ready else "late"
    if decided is not None:
        answer = WORDS[WouldBlock if decided is DeadlineExceeded else decided]
    lines.append(f"call: {case.direction.value} a{' 2' * sending} {'try' if case.expired else 'late'} -> call {answer}")
    return (shape(BUFFERED, capacity=1),), "\n".join(lines)


@row("CH5.exact-survivors", "CH5.try-send-follows-the-policy")
def survived(case: Any) -> Told:
    story, letters = Story(case.made), "_abcde"
    for value in range(1, 6):
        story.try_send(value)
    assert "".join(letters[value] for value in story.model.lost) == case.lost
    assert "".join(letters[value] for value in story.model.elements) == case.left
    assert story.model.failed_would_block == len(case.refused)
    story.close()
    for _ in range(len(case.left) + 1):
        story.recv()
    return story


@row("M3.each-failure-counts-one")
def failed(case: Any) -> Told:
    sending = case.direction is Direction.SEND
    story = filled(case.made) if sending and case.made in FULL_WAITS.values() else Story(case.made)
    if case.how == "cancelled":
        if sending and case.made not in FULL_WAITS.values():
            return None
        story.stop(story.send(1) if sending else story.recv())
    elif case.how == "deadline":
        story.late_send(1) if sending else story.late_recv()
    else:
        if case.how == "closed":
            story.close()
        story.try_send(1) if sending else story.try_recv()
    return story


@row("CH1.overlapping-waits-meet")
def met(case: Any) -> Told:
    if case.cancellable:
        return None
    far = {WaitForm.TRY: "try", WaitForm.TIMED: "far", WaitForm.FOREVER: ""}
    calls = {Direction.SEND: ("s: send a 1", "s done"), Direction.RECV: ("r: recv a", "r got 1")}
    (first, done), (second, too) = calls.pop(case.first), *calls.values()
    a, b = case.forms
    if a is not WaitForm.TRY:
        return (shape(RENDEZVOUS),), f"{first} {far[a]}\n{second} {FORMS[b]} -> {done}, {too}"
    lonely = {WaitForm.TRY: f"{second[0]} would block", WaitForm.TIMED: f"{second[0]} late", WaitForm.FOREVER: ""}
    return (shape(RENDEZVOUS),), f"{first} try -> {first[0]} would block\n{second} {FORMS[b]} -> {lonely[b]}"


# -- what a channel holds


@row("CH2.capacity-is-exact")
def held(capacity: Any) -> Told:
    story = filled(shape(BUFFERED, capacity=capacity))
    story.try_send(999)
    story.recv()
    story.send(capacity + 1)
    story.try_send(999)
    for _ in range(capacity):
        story.recv()
    story.try_recv()
    return story


@row("CH2.first-in-first-out", "CH11.senders-in-order")
def in_order(made: Any) -> Told:
    story = filled(made) if made.limit < 99 else Story(made)
    for i in range(12):
        story.send(1 + i, "far" * (i % 2))
    for _ in range(len(story.model.elements) + len(story.senders)):
        story.recv()
    story.try_recv()
    return story


@row("CH3.keeps-the-newest")
def newest(_: Any) -> Told:
    return (
        (shape(CONFLATED),),
        """
        send a 1
        send a 2 -> lost a 1 conflated
        send a 3 -> lost a 2 conflated; a.dropped=2 a.length=1
        r: recv a -> r got 3
        t: recv a try -> t would block; a.dropped=2
    """,
    )


@row("CH3.last-value-survives-close")
def last_value(_: Any) -> Told:
    return (
        (shape(CONFLATED),),
        """
        send a 1
        send a 2 -> lost a 1 conflated
        close a
        r: recv a -> r got 2
        e: recv a -> e closed
    """,
    )


@row("CH4.never-full")
def never_full(_: Any) -> Told:
    story = Story(shape(UNLIMITED))
    for i in range(100):
        story.try_send(1 + i)
    for _ in range(101):
        story.try_recv()
    return story


@row("CH5.lossy-sends-never-wait", "CH13.length")
def any_number(made: Any) -> Told:
    story = Story(made)
    for i in range(6):
        story.send(1 + i) if made not in FULL_WAITS.values() else story.try_send(1 + i)
    return story


@row("CH3.conflated-is-buffered-one-drop-oldest")
def equal(_: Any) -> Told:
    lines: list[str] = []
    histories = [Story(shape(CONFLATED), "a"), Story(shape(BUFFERED, DROP_OLDEST, 1), "b")]
    for story in histories:
        story.model.made = shape(CONFLATED) if story.ch == "a" else story.made
        for value, step in enumerate("srssrrsrssscrrs", start=1):
            {"s": lambda v=value: story.try_send(v), "r": story.try_recv, "c": story.close}[step]()  # noqa: B023
        lines += story.lines
    plain = [line.replace("b", "a").replace("overflow", "conflated") for line in histories[1].lines]
    assert plain == [line.replace("b", "a") for line in histories[0].lines]
    return tuple(story.made for story in histories), "\n".join(lines)


@row("CH13.iteration-ends-at-close")
def ends(made: Any) -> Told:
    story = Story(made)
    story.recv()
    for i in range(3):
        story.send(1 + i)
        story.recv()
    story.close()
    story.recv()
    return story


# -- the end


@row("CH9.drains-in-order", "CH9.closed-beats-full")
def drained(made: Any) -> Told:
    story = Story(made)
    for i in range(5):
        story.try_send(1 + i)
    story.close()
    story.send(9)
    story.try_send(9)
    while story.model.elements:
        story.recv()
    for recv in (story.recv, story.try_recv):
        recv()
    return story


@row("CH9.wakes-every-receiver")
def receivers_told(made: Any) -> Told:
    story = Story(made)
    for i in range(100):
        story.recv("far" * (i % 2))
    story.close()
    return story


@row("CH9.wakes-every-sender")
def senders_told(made: Any) -> Told:
    story = filled(made)
    for i in range(100):
        story.send(1 + i, "far" * (i % 2))
    story.close()
    for _ in range(int(made.limit) + 1):
        story.recv()
    return story


@row("CH9.twice-is-harmless")
def twice(made: Any) -> Told:
    return (made,), "close a\nclose a\ncancel a -> ; a.closed=1\nr: recv a -> r closed"


@row("CH9.cancel-gives-up-what-is-queued", "CH6.cancel-reports-the-queue")
def given_up(made: Any) -> Told:
    story = Story(made)
    for i in range(int(min(made.limit, 3))):
        story.send(1 + i)
    story.cancel()
    story.recv()
    story.send(9)
    waits = Story(made, "b")
    for _ in range(3):
        waits.recv()
    waits.cancel()
    return (made, made), f"{story}\n{waits}"


# -- counters


@row("M3.parked-failures-count-one")
def parked(made: Any) -> Told:
    story = Story(made)
    story.stop(story.recv())
    story.late_recv()
    story.recv()
    story.close()
    return story


@row("M1.counters-equal-a-model", "CH6.every-value-is-accounted-for")
def counted(made: Any) -> Told:
    story, chance = Story(made), random.Random(str(made))
    for step in range(120):
        match chance.choice("ssssrrrrSRRw" if step < 110 else "srsrc"):
            case "s":
                story.try_send(step)
            case "r":
                story.try_recv()
            case "S":
                story.send(step, "far" * (step % 2))
            case "R":
                story.recv("far" * (step % 2))
            case "c":
                story.close()
            case "w" if story.receivers or story.senders:
                story.stop(chance.choice([*(name for name, _ in story.receivers), *story.senders]))
    story.close()
    story.release()
    return story


@row("CH15.waiters-and-peak", "CH12.direct-hand-off")
def handed(made: Any) -> Told:
    story = Story(made)
    for _ in range(4):
        story.recv()
    for i in range(4):
        story.send(1 + i)
    for i in range(5):
        story.try_send(10 + i)
    while story.model.elements:
        story.recv()
    return story


# -- who is served


@row("CH1.holds-nothing")
def holds_nothing(_: Any) -> Told:
    story = Story(shape(RENDEZVOUS))
    for i in range(3):
        story.send(1 + i)
    for _ in range(3):
        story.recv()
    return story


@row("CH11.receivers-in-order", "CH7.a-deadline-never-hides-a-partner")
def receivers_in_order(made: Any) -> Told:
    story = Story(made or shape(RENDEZVOUS))
    for i in range(12):
        story.recv("far" * (i % 2))
    for i in range(12):
        story.send(1 + i)
    return story


@row("CH11.those-who-leave-change-no-order")
def leave(made: Any) -> Told:
    story = Story(made)
    calls = [story.recv() for _ in range(9)]
    for call in calls[1::3]:
        story.stop(call)
    for i in range(6):
        story.send(1 + i)
    return story


@row("CH11.no-barging-for-elements")
def no_barging(made: Any) -> Told:
    return (
        (made,),
        """
        w: recv a
        s: send a 1 & late: recv a try -> s done, w got 1, late would block
    """,
    )


@row("CH11.no-barging-for-room")
def no_barging_for_room(_: Any) -> Told:
    return (
        (shape(BUFFERED, capacity=1),),
        """
        send a 1
        w: send a 2
        r: recv a & late: send a 3 try -> r got 1, w done, late would block
        q: recv a -> q got 2
    """,
    )


# -- what comes at once


@row("CH11.a-value-given-is-a-value-got")
def given_and_got(_: Any) -> Told:
    return (
        (shape(RENDEZVOUS),),
        """
        w: recv a
        s: send a 1 try & stop w -> s done, w got 1 | s would block, w cancelled; a.failed_cancelled=1
    """,
    )


@row("CH8.first-decision-stands")
def first_stands(_: Any) -> Told:
    return (
        (shape(RENDEZVOUS), shape(RENDEZVOUS)),
        """
        w: recv a
        v: recv b
        s: send a 1 try & stop w -> s done, w got 1 | s would block, w cancelled
        close b & stop v -> v closed; b.failed_closed=1 | v cancelled; b.failed_cancelled=1
    """,
    )


@row("CH6.cancelled-or-sent")
def cancelled_or_sent(_: Any) -> Told:
    return (
        (shape(RENDEZVOUS),),
        """
        s: send a 1
        r: recv a try & stop s -> s done, r got 1; a.sent=1 | s cancelled, r would block; a.sent=0
    """,
    )


# -- what reaches nobody


@row("CH6.a-send-that-raised-is-not-reported")
def kept(made: Any) -> Told:
    story = filled(made)
    story.try_send(1)
    story.late_send(2)
    story.stop(story.send(3))
    story.send(4)
    story.close()
    for _ in range(int(made.limit) + 1):
        story.recv()
    story.release()
    return story


@row("CH6.a-host-cancel-takes-nothing")
def takes_nothing(made: Any) -> Told:
    story = Story(made)
    story.stop(story.recv())
    story.send(1)
    story.recv()
    return story


@row("CH6.destroy-reports-the-queue")
def destroyed(made: Any) -> Told:
    story = Story(made)
    for i in range(2):
        story.try_send(1 + i)
    story.release()
    return story


@row("CH6.destroy-after-cancel-reports-nothing-twice")
def destroyed_once(_: Any) -> Told:
    story = Story(shape(UNLIMITED))
    story.send(1)
    story.cancel()
    story.release()
    return story


@row("CH6.a-value-moved-to-a-slot-is-not-reported")
def moved(_: Any) -> Told:
    story = Story(shape(BUFFERED, capacity=1))
    story.send(1)
    story.send(2)
    story.recv()
    story.close()
    story.recv()
    story.release()
    return story
