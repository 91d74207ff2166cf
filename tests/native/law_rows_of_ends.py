# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Rows about how channels end, what reaches nobody, and what tokens end."""

from __future__ import annotations

from typing import Any

from kcoro_core.semantics import BUFFERED, RENDEZVOUS, UNLIMITED
from kcoro_core.testing.laws.shapes import FULL_WAITS, Shape, shape

from .law_rows import Told, filled, row
from .law_stories import Story

CROWD = ("", "far", "by t0", "by t0 far")  # how those wait of whom many are told


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
        story.recv(CROWD[i % 4])
    story.close()
    return story


@row("CH9.wakes-every-sender")
def senders_told(made: Any) -> Told:
    story = filled(made)
    for i in range(100):
        story.send(1 + i, CROWD[i % 4])
    story.close()
    for _ in range(int(made.limit) + 1):
        story.recv()
    return story


@row("CH9.twice-is-harmless")
def twice(made: Shape) -> Told:
    return (
        (made,),
        """
        close a 1
        close a 2
        cancel a 3 -> ; a.closed=1 a.reason=1
        r: recv a -> r closed
    """,
    )


@row("CH10.reason-is-reachable")
def reason(_: Any) -> Told:
    return (
        (shape(RENDEZVOUS),),
        """
        one: recv a
        two: recv a far
        close a 7 -> one closed, two closed; a.reason=7
        s: send a 1 -> s closed; a.reason=7
    """,
    )


# -- halves


@row("CH13.last-sender-out-closes")
def last_sender(made: Shape) -> Told:
    return (
        (made,),
        """
        open sender a
        open sender a
        open sender a
        r: recv a
        shut 0
        shut 0
        shut 1 -> ; a.closed=0
        shut 2 -> r closed; a.closed=1 a.reason=0
    """,
    )


@row("CH13.last-receiver-out-cancels")
def last_receiver(made: Shape) -> Told:
    story = Story(made)
    for i in range(5):
        story.try_send(1 + i)
    lines = ["open receiver a", "open receiver a", *story.lines, "shut 0 -> ; a.closed=0"]
    lines += ["w: send a 9"] if made in FULL_WAITS.values() else []
    lost = [f"lost a {value} cancelled" for value in story.model.elements]
    lost += ["w closed"] if made in FULL_WAITS.values() else []
    return (made,), "\n".join([*lines, f"shut 1 -> {', '.join(lost)}; a.closed=1 a.length=0"])


@row("CH13.halves-carry-elements")
def carried(made: Shape) -> Told:
    return (
        (made,),
        """
        open receiver a
        open receiver a
        r: recv a
        q: recv a
        open sender a
        open sender a
        s: send a 1 -> s done, r got 1
        shut 2
        t: send a 2 -> t done, q got 2
        e: recv a
        shut 3 -> e closed
        shut 1
        shut 0
    """,
    )


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


# -- tokens


@row("CH8.a-set-token-takes-nothing")
def set_already(made: Shape) -> Told:
    return (
        (made,),
        """
        trigger t0
        partner: recv a
        call: send a 1 by t1 -> call cancelled; a.waiting_receivers=1 a.sent=0 a.failed_cancelled=1
    """,
    )


@row("K3.cancel-is-prompt", "K3.wakes-at-once")
def prompt(made: Shape | None) -> Told:
    lines = [f"r{i}: recv a by t{i % 3} {'far' * (i % 2)}" for i in range(20)]
    ended = ", ".join(f"r{i} cancelled" for i in range(20))
    lines += ["other: recv a by t3", f"trigger t0 -> {ended}; a.waiting_receivers=1 a.failed_cancelled=20"]
    return (made or shape(RENDEZVOUS),), "\n".join(lines)


@row("K1.trigger-once", "K1.wait")
def token_waits(_: Any) -> Told:
    return (
        (),
        """
        one: wait t3
        two: wait t3
        trigger t3 -> one done, two done
        trigger t3
        late: wait t3 -> late done
        three: wait t0
        stop three -> three cancelled
    """,
    )


@row("K2.reaches-all-below", "K2.never-upwards")
def tree(_: Any) -> Told:
    return (
        (),
        """
        root: wait t0
        child: wait t1
        below: wait t2
        other: wait t3
        trigger t1 -> child done, below done
        trigger t2
        trigger t0 -> root done
    """,
    )
