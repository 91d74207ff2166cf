# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults in how connections and listeners come to be: cases 1.7 to 1.16, and 7."""

from __future__ import annotations

import itertools
from typing import Any

import attrs

from kcoro_core.errors import AlreadyExists, TransportError
from kcoro_core.transport import PollSpec, RawFrame
from kcoro_core.transports import mem
from kcoro_core.transports.mem import Connection, Listener

from .planting import GOOD, Change, Fault, accepted, accepting, is_listener, kept, polling, raising, sent, silent

READY = PollSpec(ready_now=True)
names: set[str] = set()
dialled: list[Connection] = []


def waits_its_turn(uri: str, config: Any) -> Connection:
    if any(listener.pending for listener in mem._listeners.values()):
        raise TransportError("somebody else is waiting to be accepted")
    return GOOD.connect(uri, config)


def dials(uri: str, config: Any) -> Connection:
    dialled.append(GOOD.connect(uri, config))
    return dialled[-1]


def the_first_gets_all(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    mine = [other for other in dialled if other.end is None] if conn in dialled else [conn]
    return sent(mine[0], RawFrame(header, b"".join(parts)))


def accept_the_newest(listener: Listener) -> Any:
    return listener.pending.pop() if listener.pending else None


def forgets_what_came_early(conn: Connection) -> Connection:
    conn.rx.arrived.clear()
    return conn


def raises_while_connecting(conn: Connection, limit: int) -> Any:
    if any(conn.pair.accepted in listener.pending for listener in mem._listeners.values()):
        raise BlockingIOError
    return GOOD.recv_frame(conn, limit)


def close_takes_all_along(endpoint: Any) -> None:
    if is_listener(endpoint):
        for conn in accepted:
            conn.pair.cut("the listener was closed")
    GOOD.close(endpoint)


def is_shocked_by_who_left(conn: Connection) -> Connection:
    if conn.end is not None:
        raise ConnectionAbortedError
    return conn


def never_to_be_tried_again(uri: str, config: Any) -> Connection:
    conn = GOOD.connect(uri, config)
    if conn.end is not None:
        conn.end.permanent = True
    return conn


def announces_guests_once() -> Change:
    known: dict[int, int] = {}

    def spoil(endpoint: Any, spec: PollSpec) -> PollSpec:
        if not is_listener(endpoint):
            return spec
        before, known[id(endpoint)] = known.get(id(endpoint), 0), len(endpoint.pending)
        return PollSpec(ready_now=len(endpoint.pending) > before)

    return polling(spoil)


def tells_another_address() -> Change:
    asked = itertools.count()
    return {"local_uri": lambda listener: GOOD.local_uri(listener) + "." * next(asked)}


def accepts_for_everybody(listener: Listener) -> Any:
    GOOD.accept(listener) if listener.closed else None
    waiting = [other for other in mem._listeners.values() if other.pending]
    return waiting[0].pending.popleft() if waiting else None


def knows_no_backlog(uri: str, config: Any) -> Listener:
    return GOOD.listen(uri, config) if "backlog" not in config else raising(ValueError("no such option: backlog"))()


def refusal_drops_guests(uri: str, config: Any) -> Listener:
    try:
        return GOOD.listen(uri, config)
    except AlreadyExists:
        mem._listeners[uri.partition(":")[2]].pending.clear()
        raise


def accepts_only_those_who_stay(listener: Listener) -> Any:
    while (conn := GOOD.accept(listener)) is not None and conn.end is not None:
        pass
    return conn


def takes_a_name_once(uri: str, config: Any) -> Listener:
    if uri in names:
        raise AlreadyExists(uri)
    listener = GOOD.listen(uri, config)
    names.add(f"mem:{listener.name}")
    return listener


def wakes_nobody_who_listens(endpoint: Any, callback: Any) -> None:
    if not is_listener(endpoint):
        GOOD.set_waker(endpoint, callback)


FAULTS: dict[str, list[Fault]] = {
    "1.7": [("one has to wait for another", {"connect": waits_its_turn})],
    "1.8": [("the first connection gets everything", {"connect": dials, "send_frame": the_first_gets_all})],
    "1.9": [("who came last is accepted first", {"accept": accept_the_newest})],
    "1.10": [("what was sent early is forgotten", accepting(forgets_what_came_early))],
    "1.11": [("nothing can be asked while connecting", {"recv_frame": raises_while_connecting})],
    "1.12": [("options of dialling are not looked at", {"connect": lambda uri, config: GOOD.connect(uri, {})})],
    "1.13": [("an empty address is one like others", {"connect": lambda uri, config: GOOD.connect(uri + "x", config)})],
    "1.14": [("a listener takes its guests along", {**accepting(kept), "close": close_takes_all_along})],
    "1.15": [("who has left is an error of accept", accepting(is_shocked_by_who_left))],
    "1.16": [("nobody listens, and nobody ever will", {"connect": never_to_be_tried_again})],
    "7.1": [("a listener is always ready", polling(lambda e, s: READY if is_listener(e) else s))],
    "7.2": [
        ("nobody is woken for a guest", {"set_waker": wakes_nobody_who_listens}),
        ("guests are not announced", polling(lambda e, s: PollSpec() if is_listener(e) else s)),
    ],
    "7.3": [("several guests are announced once", announces_guests_once())],
    "7.4": [
        ("the address is another each time", tells_another_address()),
        ("the address names a channel", {"local_uri": lambda listener: GOOD.local_uri(listener) + "#jobs"}),
    ],
    "7.5": [
        ("a closed listener waits", polling(lambda e, s: attrs.evolve(s, deadline=5.0) if is_listener(e) else s)),
        ("a closed listener goes on", {"close": silent}),
    ],
    "7.6": [("guests go to any listener", {"accept": accepts_for_everybody})],
    "7.7": [("backlog is no option", {"listen": knows_no_backlog})],
    "7.8": [("a refusal drops guests", {"listen": refusal_drops_guests})],
    "7.9": [("who has left is not accepted", {"accept": accepts_only_those_who_stay})],
    "7.10": [("an address can be used once", {"listen": takes_a_name_once})],
}  # fmt: skip
