# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a channel holds, whom it serves, and what comes of acts at once."""

from __future__ import annotations

import random
from typing import Any

from kcoro_core.semantics import BUFFERED, CONFLATED, DROP_OLDEST, RENDEZVOUS, UNLIMITED
from kcoro_core.testing.laws.shapes import FULL_WAITS, shape

from .law_rows import Told, filled, row
from .law_stories import Story

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
        u: recv a by t1
        x: send a 1 try & trigger t0 -> x done, u got 1 | x would block, u cancelled
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
