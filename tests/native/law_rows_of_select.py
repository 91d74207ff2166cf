# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of select for tasks on a scheduler, in the language of law_scripts.py; see law_rows.py."""

from __future__ import annotations

from typing import Any

from kcoro_core.semantics import BUFFERED, RENDEZVOUS, UNLIMITED, ClosedRule, Direction
from kcoro_core.testing.laws.shapes import shape

from .law_rows import Told, row

PLAIN = shape(RENDEZVOUS)


@row("SE1.takes-what-is-ready")
def ready(made: Any) -> Told:
    waits = "s done, " if made.kind is RENDEZVOUS else ""
    return (
        (made, made),
        f"""
        s: send b 1 -> {"" if waits else "s done"}
        one: select recv a, recv b -> {waits}one 1 got 1
        taker: recv a
        two: select recv b, send a 2 -> two 1 done, taker got 2; a.handoffs=1
    """,
    )


@row("SE1.waits-for-the-first-to-become-ready")
def first(made: Any) -> Told:
    return (
        (made,) * 4,
        """
        one: select recv a, recv b, recv c, recv d -> ; a.waiting_receivers=1 d.waiting_receivers=1
        send c 1 -> one 2 got 1; a.waiting_receivers=0 b.waiting_receivers=0 d.waiting_receivers=0
    """,
    )


@row("SE1.send-clauses-wait-too")
def sends(_: Any) -> Told:
    return (
        (PLAIN, PLAIN),
        """
        one: select send a 1, send b 2 -> ; a.waiting_senders=1 b.waiting_senders=1
        r: recv b -> r got 2, one 1 done; a.waiting_senders=0 a.sent=0 b.sent=1
        t: recv a try -> t would block
    """,
    )


@row("SE1.two-selects-meet")
def meet(_: Any) -> Told:
    return (
        (PLAIN,) * 4,
        """
        r: select recv a, recv b
        s: select send b 2, send a 1 -> s 0 done, r 1 got 2; a.sent=0 b.sent=1 a.waiting_receivers=0
        t: select send d 4, send c 3
        q: select recv c, recv d -> t 1 done, q 0 got 3; d.waiting_senders=0
        u: select recv a, recv b & v: select send b 2, send a 1 -> u 1 got 2, v 0 done | u 0 got 1, v 1 done
    """,
    )


@row("SE6.never-matches-itself")
def not_itself(made: Any) -> Told:
    if made.kind is not RENDEZVOUS:
        return (
            (made,),
            """
            one: select recv a, send a 1 try -> one 1 done; a.length=1
            r: recv a -> r got 1
            two: select send a 2, recv a try -> two 0 done; a.length=1
        """,
        )
    return (
        (made,),
        """
        one: select recv a, send a 1 -> ; a.waiting_senders=1 a.waiting_receivers=1
        s: send a 2 -> s done, one 0 got 2; a.waiting_senders=0
        two: select send a 3, recv a
        r: recv a -> r got 3, two 0 done; a.waiting_receivers=0 a.sent=2
    """,
    )


@row("SE6.two-mixed-selects-meet-each-other")
def mixed(_: Any) -> Told:
    return (
        (PLAIN, PLAIN),
        """
        one: select recv a, send a 1
        two: select recv a, send a 2 -> one 1 done, two 0 got 1; a.sent=1 a.waiting_senders=0 a.waiting_receivers=0
        u: select recv b, send b 3 & v: select recv b, send b 4 -> u 1 done, v 0 got 3 | v 1 done, u 0 got 4
    """,
    )


@row("SE6.same-clause-twice")
def thrice(_: Any) -> Told:
    return (
        (PLAIN,),
        """
        one: select recv a, recv a, recv a -> ; a.waiting_receivers=3
        send a 1 -> one 0 got 1; a.waiting_receivers=0
    """,
    )


@row("SE4.endings-have-no-index", "SE4.a-host-cancel-leaves-no-waiter")
def endings(_: Any) -> Told:
    return (
        (PLAIN,) * 3,
        """
        one: select recv a, send b 1, recv c try -> one would block
        two: select recv a, send b 1, recv c late -> two late; a.waiting_receivers=0
        three: select recv a, send b 1, recv c
        stop three -> three cancelled; a.waiting_receivers=0 b.waiting_senders=0 c.waiting_receivers=0
        t: send a 2 try -> t would block
        r: recv b try -> r would block
        four: select recv a, send b 1, recv c by t2
        trigger t1 -> four cancelled; a.waiting_receivers=0 b.waiting_senders=0 c.waiting_receivers=0
    """,
    )


@row("SE4.try-select")
def tries(_: Any) -> Told:
    made = shape(BUFFERED)
    return (
        (made, made),
        """
        one: select recv a, recv b try -> one would block
        send b 1
        two: select recv a, recv b try -> two 1 got 1
        three: select send a 2 try -> three 0 done; a.length=1
    """,
    )


@row("SE4.deadline-and-partner-in-one-tick", "SE1.cancelled-selects-take-nothing")
def both_or_neither(_: Any) -> Told:
    return (
        (PLAIN, PLAIN),
        """
        one: select recv a, recv b
        s: send b 1 try & stop one -> s done, one 1 got 1 | s would block, one cancelled; b.sent=0
        two: select send a 2, send b 3
        r: recv a try & stop two -> r got 2, two 0 done | r would block, two cancelled; a.sent=0
    """,
    )


@row("SE1.a-snapshot-of-all-clauses")
def snapshot(_: Any) -> Told:
    made = shape(BUFFERED, capacity=1)
    return (
        (made, made),
        """
        send a 1
        one: select recv a, recv b try & send b 2 -> one 0 got 1
        two: select recv a, recv b try & three: select recv b, recv a try -> two 1 got 2, three would block \
            | three 0 got 2, two would block
    """.replace("\\\n", ""),
    )


@row("SE2.lowest-ready-index", "SE2.biased-has-no-memory")
def lowest(_: Any) -> Told:
    return (
        (shape(UNLIMITED),) * 4,
        """
        send b 1
        send c 2
        send d 3
        send b 4
        one: select recv a, recv b, recv c, recv d -> one 1 got 1
        two: select recv a, recv b, recv c, recv d -> two 1 got 4
        three: select recv a, recv b, recv c, recv d try -> three 2 got 2
        four: select recv d, recv c, recv b, recv a -> four 0 got 3
    """,
    )


# -- closed clauses


@row("SE5.closed-clause-wins-and-raises")
def closed_wins(made: Any) -> Told:
    return (
        (made,) * 3,
        """
        close b
        one: select recv a, recv b, recv c -> one 1 closed
        two: select recv a, send b 1, recv c -> two 1 closed; a.waiting_receivers=0 c.waiting_receivers=0
    """,
    )


@row("SE5.lowest-closed-index")
def lowest_closed(_: Any) -> Told:
    return (PLAIN, PLAIN), "close b\nclose a\none: select recv a, recv b -> one 0 closed"


@row("SE5.a-close-wakes-a-select")
def woken(direction: Any) -> Told:
    clauses = "recv a, recv b" if direction is Direction.RECV else "send a 1, send b 2"
    lines = [f"s{i}: select {clauses}" for i in range(100)]
    ended = ", ".join(f"s{i} 1 closed" for i in range(100))
    return (PLAIN, PLAIN), "\n".join([*lines, f"close b -> {ended}; a.waiting_senders=0 a.waiting_receivers=0"])


@row("SE5.drains-before-closed")
def drains(_: Any) -> Told:
    return (
        (shape(UNLIMITED),) * 2,
        """
        send b 1
        send b 2
        close b
        one: select recv a, recv b -> one 1 got 1
        two: select recv a, recv b -> two 1 got 2
        three: select recv a, recv b -> three 1 closed
    """,
    )


@row("SE5.return-gives-the-error")
def returned(_: Any) -> Told:
    return (
        (PLAIN, PLAIN),
        """
        one: select recv a, recv b return
        close b -> one 1 closed; a.waiting_receivers=0
        two: select recv a, recv b return try -> two 1 closed
        three: select recv a, send b 1 return try -> three 1 closed
    """,
    )


@row("SE5.an-open-clause-is-as-good-under-any-rule")
def any_rule(rule: Any) -> Told:
    words = "" if rule is ClosedRule.RAISE else rule.name.lower()
    return (PLAIN, PLAIN), f"one: select recv a, recv b {words}\nsend b 1 -> one 1 got 1; a.waiting_receivers=0"


@row("SE5.skip-ignores-until-all-are-closed")
def skipped(_: Any) -> Told:
    return (
        (PLAIN,) * 4,
        """
        close a
        one: select recv a, recv b skip -> ; b.waiting_receivers=1
        send b 1 -> one 1 got 1
        last: select recv a, send a 2, recv b skip
        close b -> last closed; a.waiting_senders=0 a.waiting_receivers=0 b.waiting_receivers=0
        late: select recv a, recv b skip -> late closed
        late2: select recv a, recv b skip try -> late2 closed
        four: select recv a, recv c skip
        cancel a -> ; a.waiting_receivers=0
        send c 3 -> four 1 got 3
        both: select recv c, recv d skip
        close c & close d -> both closed
    """,
    )


@row("SE5.a-skipped-clause-takes-nothing")
def takes_nothing(_: Any) -> Told:
    made = shape(BUFFERED, capacity=1)
    return (
        (made, made),
        """
        send a 1
        close a
        one: select send a 2, recv b skip -> ; b.waiting_receivers=1
        r: recv a -> r got 1
        e: recv a -> e closed
        send b 3 -> one 1 got 3; a.sent=1
    """,
    )


@row("SE5.skip-waits-for-other-clauses")
def other_clauses(_: Any) -> Told:
    return (
        (PLAIN,),
        """
        close a
        one: select recv a, triggered t3 skip
        two: select recv a, after skip -> two 1 done
        three: select triggered t0, recv a skip
        trigger t3 -> one 1 done
        trigger t0 -> three 0 done
    """,
    )


@row("SE4.a-set-token-beats-a-ready-clause")
def set_already(_: Any) -> Told:
    return (
        (shape(BUFFERED),),
        """
        send a 1
        trigger t0
        one: select recv a by t1 -> one cancelled; a.length=1
        two: select recv a try -> two 0 got 1
    """,
    )
