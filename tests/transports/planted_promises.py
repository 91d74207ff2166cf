# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults in capabilities, identities, and among many connections: cases 6.4 to 6.7, 11 and 12."""

from __future__ import annotations

import functools
import itertools
import os
from typing import Any

import attrs

from kcoro_core.transport import Capability, Certificates, Identity, PollSpec, RawFrame
from kcoro_core.transports.mem import Connection

from .planting import (
    GOOD,
    SOCKETS,
    Change,
    Fault,
    accepted,
    accepting,
    is_listener,
    kept,
    over_sockets,
    polling,
    sending,
    sent,
    sent_through,
)

ME = Identity("process", verified=True, uid=os.getuid(), gid=os.getgid(), pid=os.getpid())
PUBLISHING = GOOD.info.capabilities & ~Capability.POINT_TO_POINT
CERTIFIED = Identity("certificate", verified=True, subject="CN=worker")
WITH_CERTIFICATES = attrs.evolve(GOOD.info, certificates=Certificates.BOTH)
UNRELIABLE = GOOD.info.capabilities & ~(Capability.RELIABLE | Capability.ORDERED)


def claiming(capabilities: Capability, base: Any = GOOD) -> Change:
    return {"info": attrs.evolve(base.info, capabilities=capabilities)}


def forgetting_files(*names: str) -> Change:
    """Functions that look at no file; the others refuse each that is not there."""

    def looks(name: str, uri: str, config: Any) -> Any:
        files = {option: path for option, path in config.items() if option in ("certfile", "cafile")}
        if files and name not in names:
            raise ValueError(f"these cannot be read: {files}")
        return getattr(GOOD, name)(uri, {option: value for option, value in config.items() if option not in files})

    return {name: functools.partial(looks, name) for name in ("listen", "connect")}


def somebody_else_each_time() -> Change:
    pids = itertools.count(2)
    return {"peer": lambda conn: attrs.evolve(ME, pid=next(pids))}


def learns_later(conn: Connection) -> Identity:
    return ME if conn.rx.passed_frames else Identity("none")


def swaps_under_pressure(conn: Connection, frame: RawFrame) -> bool:
    taken = sent(conn, frame)
    arrived = conn.tx.arrived
    if taken and len(arrived) > 4:
        arrived[-1], arrived[-2] = arrived[-2], arrived[-1]
    return taken


def drops_behind_a_refusal() -> Change:
    refused: set[int] = set()

    def send(conn: Connection, frame: RawFrame) -> bool:
        if sent(conn, frame):
            if id(conn) in refused:
                refused.discard(id(conn))
                conn.tx.arrived.pop()
            return True
        refused.add(id(conn))
        return False

    return sent_through(send)


def third_lane_overtakes(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    taken = GOOD.send_frame(conn, header, parts, lane)
    if lane == 3:
        conn.tx.arrived.rotate(1)
    return taken


def everybody_hears(conn: Connection, frame: RawFrame) -> bool:
    for other in accepted:
        if other is not conn and other.rx is not conn.tx:
            other.rx.arrived.append(frame)
    return sent(conn, frame)


def the_twentieth_goes_astray(conn: Connection, frame: RawFrame) -> bool:
    astray = len(accepted) > 20 and conn is accepted[19].pair.dialer
    return sent(accepted[18].pair.dialer if astray else conn, frame)


def one_room_for_all(conn: Connection, frame: RawFrame) -> bool:
    return sum(other.rx.size_bytes for other in accepted) < 60_000 and sent(conn, frame)


def fifty_are_enough(conn: Connection) -> Connection:
    if len(accepted) > 50:
        accepted[0].pair.cut("there are too many")
    return conn


def all_are_woken(endpoint: Any, spec: PollSpec) -> PollSpec:
    busy = not is_listener(endpoint) and any(other.rx.arrived for other in accepted)
    return PollSpec(ready_now=True) if busy else spec


def takes_from_the_neighbour(conn: Connection, limit: int) -> Any:
    frame = GOOD.recv_frame(conn, limit)
    others = [other for other in accepted if other.rx.arrived and other is not conn]
    if frame is not None and others:
        others[0].rx.arrived.popleft()
    return frame


def corrupt(frame: RawFrame, _: int) -> list[RawFrame]:
    return [RawFrame(frame.header, b"y" * len(frame.payload))]


def with_guests(change: Change) -> Change:
    """The change sees who was accepted."""
    return {**accepting(kept), **change}


FAULTS: dict[str, list[Fault]] = {
    "6.4": [("somebody is there in any case", {"peer": lambda conn: ME})],
    "6.5": [("it is somebody else each time", somebody_else_each_time())],
    "6.6": [
        ("the kind is unheard of", {"peer": lambda conn: Identity("friend", verified=True)}),
        ("a user without a number", {"peer": lambda conn: Identity("uid", verified=True)}),
        ("nobody is verified", {"peer": lambda conn: Identity("none", verified=True)}),
        ("a certificate of which nobody speaks", {"peer": lambda conn: CERTIFIED}),
    ],
    "6.7": [("who is there shows later", {"peer": learns_later})],
    "6.8": [
        ("certificates have other options", {"info": WITH_CERTIFICATES}),
        ("any file will do", {"info": WITH_CERTIFICATES, **forgetting_files("listen", "connect")}),
        ("whom to trust does not matter", {"info": WITH_CERTIFICATES, **forgetting_files("connect")}),
    ],
    "11.1": [("frames are swapped under pressure", sent_through(swaps_under_pressure))],
    "11.2": [("a frame is lost behind a refusal", drops_behind_a_refusal())],
    "11.3": [("what arrives is something else", {**claiming(UNRELIABLE), **sending(corrupt)})],
    "11.4": [("one lane overtakes", {"send_frame": third_lane_overtakes})],
    "11.5": [("lanes are claimed, and there is one", claiming(GOOD.info.capabilities | Capability.STREAMS))],
    "11.6": [
        (
            "clear text is called confidential",
            over_sockets(claiming(SOCKETS.info.capabilities | Capability.CONFIDENTIAL, SOCKETS)),
        )
    ],
    "11.7": [("everybody hears", with_guests(sent_through(everybody_hears)))],
    "14.1": [("one peer is called many", claiming(PUBLISHING))],
    "14.2": [("publishing needs a listener", claiming(PUBLISHING))],
    "14.3": [("an answer is taken", claiming(PUBLISHING))],
    "12.1": [("one of many goes astray", with_guests(sent_through(the_twentieth_goes_astray)))],
    "12.2": [("all share one room", with_guests(sent_through(one_room_for_all)))],
    "12.3": [("the fifty-first is the end of the first", accepting(fifty_are_enough))],
    "12.4": [("all are woken for one", with_guests(polling(all_are_woken)))],
    "12.5": [("a frame is taken from the neighbour", with_guests({"recv_frame": takes_from_the_neighbour}))],
}  # fmt: skip
