# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults in datagrams beside the frames: cases 15."""

from __future__ import annotations

from typing import Any

from kcoro_core.errors import TransportError
from kcoro_core.transport import RawFrame
from kcoro_core.transports.sim_pair import Connection

from .planting import SIMULATED, Change, Fault

HEADER_BYTES = 20


def over_sim(**functions: Any) -> Change:
    return {"base": SIMULATED, **functions}


def shortens(conn: Connection) -> RawFrame | None:
    one = conn.receive_beside()
    return one and RawFrame(one.header, one.payload[:-1])


def cuts_off(conn: Connection, header: bytes, parts: Any) -> bool:
    data = b"".join(parts)[: conn.pair.beside - HEADER_BYTES]
    return conn.send_beside(header, [data])


def swallows(conn: Connection, header: bytes, parts: Any) -> bool:
    return conn.send_beside(header, parts) or True


def is_full_for_ever(conn: Connection, header: bytes, parts: Any) -> bool:
    taken = conn.send_beside(header, parts)
    if not taken:
        conn.pair.beside_is_full = True  # type: ignore[attr-defined]
    return taken and not getattr(conn.pair, "beside_is_full", False)


def as_a_frame(conn: Connection, header: bytes, parts: Any) -> bool:
    return conn.send(header, parts)


kept: list[RawFrame] = []


def keeps_all(endpoint: Any, now: float, ready: int) -> None:
    SIMULATED.pump(endpoint, now, ready)
    while isinstance(endpoint, Connection) and (one := endpoint.receive_beside()) is not None:
        kept.append(one)


def from_kept(conn: Connection) -> RawFrame | None:
    return kept.pop() if kept else None


def another_error(conn: Connection, header: bytes, parts: Any) -> bool:
    try:
        return conn.send_beside(header, parts)
    except TransportError as error:
        raise TransportError(str(error)) from None


FAULTS: dict[str, list[Fault]] = {
    "15.1": [
        ("the last byte is lost", over_sim(recv_datagram=shortens)),
        ("none is carried", over_sim(datagram_limit=lambda conn: 0)),
    ],
    "15.2": [("too long ones are cut off", over_sim(send_datagram=cuts_off))],
    "15.3": [
        ("it takes any number", over_sim(send_datagram=swallows)),
        ("it never has room again", over_sim(send_datagram=is_full_for_ever)),
    ],
    "15.4": [("datagrams go as frames", over_sim(send_datagram=as_a_frame))],
    "15.5": [("all are kept", over_sim(pump=keeps_all, recv_datagram=from_kept))],
    "15.6": [("another error", over_sim(send_datagram=another_error))],
}
