# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults in how connections end: cases 5.8 to 5.17 and 9."""

from __future__ import annotations

import os
from typing import Any

import attrs

from kcoro_core.errors import TransportError
from kcoro_core.transport import PollSpec, RawFrame
from kcoro_core.transports import mem
from kcoro_core.transports.mem import Connection

from .planted_basics import close_forgets_who_waits
from .planting import (
    GOOD,
    Change,
    Fault,
    accepted,
    accepting,
    is_listener,
    kept,
    leaked,
    polling,
    pumping,
    sent,
    sent_through,
)


def leaves_without_a_word(conn: Connection) -> None:
    conn.closed = True
    conn.finish("given up")


def ends_without_a_text(conn: Connection) -> None:
    conn.pair.other(conn).finish("")
    GOOD.abort(conn)


def sends_into_the_void(conn: Connection, frame: RawFrame) -> bool:
    return conn.end is not None or sent(conn, frame)


def failure_takes_all(conn: Connection, frame: RawFrame) -> bool:
    try:
        return sent(conn, frame)
    except TransportError:
        conn.rx.arrived.clear()
        raise


def raises_early(endpoint: Any, now: float) -> None:
    if not is_listener(endpoint) and endpoint.end is not None and not endpoint.closed:
        raise endpoint.end


def raises_our_own(endpoint: Any, now: float) -> None:
    if not is_listener(endpoint) and endpoint.closed:
        raise endpoint.end


def waits_when_both_have_closed(endpoint: Any, spec: PollSpec) -> PollSpec:
    both = not is_listener(endpoint) and endpoint.closed and endpoint.pair.other(endpoint).closed
    return attrs.evolve(spec, deadline=5.0) if both else spec


def waits_when_told(endpoint: Any, spec: PollSpec) -> PollSpec:
    told = not is_listener(endpoint) and endpoint.closed and endpoint.end_was_told
    return attrs.evolve(spec, ready_now=True) if told else spec


def abort_of_all(conn: Connection) -> None:
    for other in accepted:
        other.pair.cut("somebody has given up")
    GOOD.abort(conn)


def nobody_after_the_end(conn: Connection) -> Any:
    if conn.end is not None:
        raise OSError("not connected")
    return GOOD.peer(conn)


def keeps_while_sent(conn: Connection) -> None:
    if not conn.tx.arrived or conn is not conn.pair.dialer:
        GOOD.abort(conn)


def keeps_while_unread(conn: Connection) -> None:
    if not conn.rx.arrived or conn is not conn.pair.accepted:
        GOOD.abort(conn)


def closes_the_listener_too(endpoint: Any) -> None:
    if not is_listener(endpoint) and not endpoint.tx.passed_frames and endpoint is endpoint.pair.dialer:
        for listener in tuple(mem._listeners.values()):
            listener.close()
    GOOD.close(endpoint)


def forgets_to_say_so(endpoint: Any) -> None:
    if not is_listener(endpoint) and endpoint.rx.arrived:
        leaves_without_a_word(endpoint)
    else:
        GOOD.close(endpoint)


def leaks_what_is_unread(conn: Connection) -> None:
    if conn.rx.arrived:
        leaked.append(os.dup(0))
    GOOD.abort(conn)


aborting: Change = {**accepting(kept), "abort": abort_of_all}

FAULTS: dict[str, list[Fault]] = {
    "5.8": [
        ("an abort is a secret", {"abort": leaves_without_a_word}),
        ("the end has no text", {"abort": ends_without_a_text}),
    ],
    "5.9": [("what nobody reads is taken", sent_through(sends_into_the_void))],
    "5.10": [("a failed send takes what had arrived", sent_through(failure_takes_all))],
    "5.11": [("the end comes before the rest", pumping(raises_early))],
    "5.12": [("our own end is raised", pumping(raises_our_own))],
    "5.13": [
        ("after an abort there is a backlog", {"tx_backlog": lambda conn: conn.tx.size_bytes}),
        ("after an abort there is a wait", polling(lambda e, s: PollSpec(deadline=9.0) if s == PollSpec() else s)),
    ],
    "5.14": [("who closes at the same time waits for ever", polling(waits_when_both_have_closed))],
    "5.15": [("who closes behind an end waits for ever", polling(waits_when_told))],
    "5.16": [("one end is the end of all", aborting)],
    "5.17": [("after the end nothing can be asked", {"peer": nobody_after_the_end})],
    "9.1": [("an abort is ignored while frames are on their way", {"abort": keeps_while_sent})],
    "9.2": [("an abort is ignored while frames are unread", {"abort": keeps_while_unread})],
    "9.3": [("who never spoke closes the listener", {"close": closes_the_listener_too})],
    "9.4": [("a close with unread frames is a secret", {"close": forgets_to_say_so})],
    "9.5": [("whoever was not accepted waits for ever", {"close": close_forgets_who_waits})],
    "9.6": [("unread frames cost a descriptor", {"abort": leaks_what_is_unread})],
}  # fmt: skip
