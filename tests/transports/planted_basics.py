# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults for the cases that everything else builds on: 1.1 to 6.3."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs

from kcoro_core.errors import AlreadyExists, TransportError
from kcoro_core.transport import Capability, Identity, PollSpec, RawFrame
from kcoro_core.transports import mem
from kcoro_core.transports.mem import Connection, Listener

from .planting import GOOD, Change, leaked, limited, polling, raising, sending, silent

seen: list[Connection] = []
refused: list[Connection] = []


def hands_views_on(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    return conn.send(RawFrame(header, parts[0] if len(parts) == 1 else b"".join(parts)))


def connect_refuses_at_once(uri: str, config: Any) -> Any:
    conn = GOOD.connect(uri, config)
    if conn.end is not None:
        raise OSError("nobody there")
    return conn


def accept_twice(listener: Listener) -> Any:
    conn = GOOD.accept(listener)
    if conn is not None and conn not in seen:
        seen.append(conn)
        listener.pending.append(conn)
    return conn


def listen_at_one_address(uri: str, config: Any) -> Any:
    return GOOD.listen(uri if uri != "mem:" else "mem:always", config)


def listen_over_another(uri: str, config: Any) -> Any:
    try:
        return GOOD.listen(uri, config)
    except AlreadyExists:
        return GOOD.listen("mem:", config)


def close_keeps_the_address(endpoint: Any) -> None:
    if isinstance(endpoint, Listener):
        endpoint.pending.clear()
    else:
        GOOD.close(endpoint)


def close_forgets_who_waits(endpoint: Any) -> None:
    if isinstance(endpoint, Listener):
        endpoint.pending.clear()
    GOOD.close(endpoint)


def close_drops_what_was_sent(endpoint: Any) -> None:
    if isinstance(endpoint, Connection) and not endpoint.closed:
        endpoint.tx.arrived.clear()
    GOOD.close(endpoint)


def receive_without_limit(conn: Any, limit: int) -> Any:
    return GOOD.recv_frame(conn, 1 << 30)


def receive_refuses_once(conn: Any, limit: int) -> Any:
    """After the refusal the frame is handed out."""
    if conn in refused:
        conn.unreadable = None
        return GOOD.recv_frame(conn, 1 << 30)
    try:
        return GOOD.recv_frame(conn, limit)
    except mem.ProtocolError:
        refused.append(conn)
        raise


def receive_below_the_limit(conn: Any, limit: int) -> Any:
    return GOOD.recv_frame(conn, limit - 1)


def send_without_bound(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    conn.tx.room_bytes = 1 << 40
    return GOOD.send_frame(conn, header, parts, lane)


def send_never_large(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    return sum(map(len, parts)) <= 1 << 20 and GOOD.send_frame(conn, header, parts, lane)


def refused_frames_arrive_too(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    if GOOD.send_frame(conn, header, parts, lane):
        return True
    conn.tx.arrived.append(RawFrame(header, b"".join(parts)))
    return False


def a_new_error_each_time(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except TransportError as error:
            raise TransportError(str(error)) from None

    return call


def end_before_the_rest(conn: Connection, limit: int) -> Any:
    if conn.end is not None:
        raise conn.end
    return GOOD.recv_frame(conn, limit)


def connect_leaks(uri: str, config: Any) -> Any:
    leaked.append(os.dup(0))
    return GOOD.connect(uri, config)


def quietly(endpoint: Any, spec: PollSpec) -> PollSpec:
    """Frames are announced only together with something else."""
    return PollSpec() if isinstance(endpoint, Connection) and endpoint.end is None else spec


def keeps_half(frame: RawFrame, number: int) -> list[RawFrame]:
    return [RawFrame(frame.header, frame.payload[: len(frame.payload) // 2])]


def only_frames(endpoint: Any, spec: PollSpec) -> PollSpec:
    """Room to send is not announced."""
    if isinstance(endpoint, Listener) or endpoint.end is not None:
        return spec
    return PollSpec(ready_now=bool(endpoint.rx.arrived))


# case -> what is planted, and the functions that are changed
FAULTS: dict[str, list[tuple[str, Change]]] = {
    "1.1": [("one connection is accepted twice", {"accept": accept_twice})],
    "1.2": [
        ("the refusal comes from connect", {"connect": connect_refuses_at_once}),
        ("the refusal is kept for itself", {"pump": silent}),
    ],
    "1.3": [("there is one fresh address for all", {"listen": listen_at_one_address})],
    "1.4": [("a second listener gets another address", {"listen": listen_over_another})],
    "1.5": [("a closed listener keeps its address", {"close": close_keeps_the_address})],
    "1.6": [("options are not looked at", {"listen": lambda uri, config: GOOD.listen(uri, {})})],
    "2.1": [
        ("payloads are cut in half", sending(keeps_half)),
        ("headers are rewritten", sending(lambda f, n: [RawFrame(bytes(20), f.payload)])),
    ],
    "2.2": [
        ("only the first part is sent", {"send_frame": lambda c, h, p, n: GOOD.send_frame(c, h, p[:1], n)}),
        ("a view is handed on", {"send_frame": hands_views_on}),
    ],
    "2.3": [
        ("the seventh frame is lost", sending(lambda f, n: [] if n == 7 else [f])),
        ("the seventh frame is doubled", sending(lambda f, n: [f, f] if n == 7 else [f])),
    ],
    "2.4": [("the limit itself is refused", {"recv_frame": receive_below_the_limit})],
    "2.5": [
        ("there is no limit", {"recv_frame": receive_without_limit}),
        ("the limit is forgotten after the first refusal", {"recv_frame": receive_refuses_once}),
    ],
    "2.6": [("the 300th frame is lost", sending(lambda f, n: [] if n == 300 else [f]))],
    "2.7": [("the largest frame is cut in half", {**limited, **sending(keeps_half)})],
    "3.1": [("there is no bound", {"send_frame": send_without_bound})],
    "3.2": [("a refused frame arrives all the same", {"send_frame": refused_frames_arrive_too})],
    "3.3": [("room is not announced", polling(only_frames))],
    "3.4": [("the backlog never shrinks", {"tx_backlog": lambda conn: 5})],
    "3.5": [("no frame above 1 MiB is taken", {"send_frame": send_never_large})],
    "4.1": [
        ("idle connections are ready", polling(lambda e, s: attrs.evolve(s, ready_now=True))),
        ("idle connections want to write", polling(lambda e, s: attrs.evolve(s, fd=1, want=2))),
    ],
    "4.2": [
        ("the waker is never called", {"set_waker": silent}),
        ("ready_now stays false", polling(quietly)),
    ],
    "4.3": [("frames are not announced", polling(quietly))],
    "4.4": [("a wrong hint is an error", {"pump": lambda e, now, ready: raising(ValueError())() if ready else None})],
    "4.5": [("the tenth frame is doubled", sending(lambda f, n: [f, f] if n == 9 else [f]))],
    "4.6": [("an end is announced for ever", polling(lambda e, s: attrs.evolve(s, ready_now=True)))],
    "5.1": [("a close drops what was sent", {"close": close_drops_what_was_sent})],
    "5.2": [
        ("recv_frame raises a new error each time", {"recv_frame": a_new_error_each_time(GOOD.recv_frame)}),
        ("send_frame raises an error of its own", {"send_frame": a_new_error_each_time(GOOD.send_frame)}),
    ],
    "5.3": [("a second abort is an error", {"abort": lambda c: raising(OSError())() if c.closed else GOOD.abort(c)})],
    "5.4": [
        ("a closed end still waits", polling(lambda e, s: attrs.evolve(s, deadline=1.0) if s == PollSpec() else s)),
        ("a closed end has a backlog", {"tx_backlog": lambda conn: int(conn.closed)}),
    ],
    "5.5": [("a close drops what was sent", {"close": close_drops_what_was_sent})],
    "5.6": [("whoever was not accepted waits for ever", {"close": close_forgets_who_waits})],
    "5.7": [("each connection leaks a descriptor", {"connect": connect_leaks})],
    "6.1": [("the API is another", {"info": attrs.evolve(GOOD.info, api=7)})],
    "6.2": [
        ("the peer is not verified", {"peer": lambda conn: Identity("process", uid=os.getuid())}),
        ("the peer is somebody else", {"peer": lambda conn: Identity("uid", verified=True, uid=4242)}),
    ],
    "6.3": [
        (
            "an identity is called verified that cannot be",
            {"info": attrs.evolve(GOOD.info, capabilities=GOOD.info.capabilities & ~Capability.PEER_IDENTITY)},
        )
    ],
}  # fmt: skip
