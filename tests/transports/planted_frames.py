# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults in what frames become on their way, and in back-pressure: cases 2.8 to 2.19 and 3.6 to 3.15."""

from __future__ import annotations

import time
from typing import Any

from kcoro_core.transport import RawFrame
from kcoro_core.transports.mem import Connection

from .planted_basics import only_frames
from .planting import GOOD, Change, Fault, limited, polling, sending, sent, sent_through, silent


def receiving(spoil: Any) -> Change:
    """Hand out something else; ``spoil`` sees the connection and the frame."""

    def recv_frame(conn: Connection, limit: int) -> Any:
        frame = GOOD.recv_frame(conn, limit)
        return frame if frame is None else spoil(conn, frame)

    return {"recv_frame": recv_frame}


def forgives(conn: Connection, limit: int) -> Any:
    conn.unreadable = None
    return GOOD.recv_frame(conn, limit)


def first_limit_for_ever() -> Change:
    limits: dict[int, int] = {}
    return {"recv_frame": lambda conn, limit: GOOD.recv_frame(conn, limits.setdefault(id(conn), limit))}


def one_frame_object() -> Change:
    one = RawFrame(b"", b"")

    def spoil(_: Connection, frame: RawFrame) -> RawFrame:
        one.header, one.payload = frame.header, frame.payload
        return one

    return receiving(spoil)


def small_ones_overtake(conn: Connection, frame: RawFrame) -> bool:
    if not sent(conn, frame):
        return False
    arrived = conn.tx.arrived
    if len(arrived) > 1 and len(arrived[-1].payload) < len(arrived[-2].payload):
        arrived[-1], arrived[-2] = arrived[-2], arrived[-1]
    return True


def one_behind() -> Change:
    held: list[RawFrame] = []

    def spoil(frame: RawFrame, _: int) -> list[RawFrame]:
        held.append(frame)
        return [held.pop(0)] if len(held) > 1 else []

    return sending(spoil)


def raises_when_empty(conn: Connection, limit: int) -> Any:
    frame = GOOD.recv_frame(conn, limit)
    if frame is None and conn.rx.passed_frames:
        raise BlockingIOError
    return frame


def counts_refusals() -> Change:
    refused = 0

    def send(conn: Connection, frame: RawFrame) -> bool:
        nonlocal refused
        taken = sent(conn, frame)
        refused += not taken
        return taken

    return {**sent_through(send), "tx_backlog": lambda conn: GOOD.tx_backlog(conn) + refused}


def sleeps_when_full(conn: Connection, frame: RawFrame) -> bool:
    return sent(conn, frame) or bool(time.sleep(0.01))


def one_way_at_a_time(conn: Connection, frame: RawFrame) -> bool:
    return conn.rx.size_bytes < 30_000 and sent(conn, frame)


def shrinks(conn: Connection, frame: RawFrame) -> RawFrame:
    conn.rx.room_bytes = max(8192, conn.rx.room_bytes - 1000)
    return frame


def put_past_the_bound(conn: Connection, frame: RawFrame) -> bool:
    conn.tx.put(frame)
    conn.pair.other(conn).wake()
    return True


def headers_are_free(conn: Connection, frame: RawFrame) -> bool:
    return sent(conn, frame) if frame.payload else put_past_the_bound(conn, frame)


def always_takes_large(conn: Connection, frame: RawFrame) -> bool:
    return put_past_the_bound(conn, frame) if len(frame.payload) > 1_000_000 else sent(conn, frame)


def has_much_room(conn: Connection, frame: RawFrame) -> bool:
    conn.tx.room_bytes = 1 << 20
    return sent(conn, frame)


async def send_and_wait(conn: Connection, header: bytes, parts: Any, lane: int) -> bool:
    return GOOD.send_frame(conn, header, parts, lane)


def zeroes(frame: RawFrame, _: int) -> list[RawFrame]:
    return [RawFrame(frame.header[:8] + bytes(4) + frame.header[12:], frame.payload)]


FAULTS: dict[str, list[Fault]] = {
    "2.8": [("one byte more is let in", {"recv_frame": lambda conn, limit: GOOD.recv_frame(conn, limit + 1)})],
    "2.9": [("a higher limit is another try", {"recv_frame": forgives})],
    "2.10": [("the first limit is the last", first_limit_for_ever())],
    "2.11": [("empty frames are swallowed", sending(lambda f, n: [f] if f.payload else []))],
    "2.12": [("some bytes of a header are zeroed", sending(zeroes))],
    "2.13": [
        ("headers can be changed", receiving(lambda c, f: RawFrame(bytearray(f.header), f.payload))),
        ("payloads can be changed", receiving(lambda c, f: RawFrame(f.header, bytearray(f.payload)))),
    ],
    "2.14": [("one object is handed out again and again", one_frame_object())],
    "2.15": [("1024 parts are sent", {"send_frame": lambda c, h, p, n: GOOD.send_frame(c, h, p[:1024], n)})],
    "2.16": [("small frames overtake large ones", sent_through(small_ones_overtake))],
    "2.17": [("a frame waits for the next", one_behind())],
    "2.18": [("nothing there is an error", {"recv_frame": raises_when_empty})],
    "2.19": [("max_frame is only said", limited)],
    "3.6": [("refused frames stand in the backlog", counts_refusals())],
    "3.7": [("a refusal takes a while", sent_through(sleeps_when_full))],
    "3.8": [("one direction at a time", sent_through(one_way_at_a_time))],
    "3.9": [("room is lost with each frame", receiving(shrinks))],
    "3.10": [("there is always a backlog", {"tx_backlog": lambda conn: GOOD.tx_backlog(conn) + 20})],
    "3.11": [("headers need no room", sent_through(headers_are_free))],
    "3.12": [("large frames are always taken", sent_through(always_takes_large))],
    "3.13": [("the fall is not told", {**sent_through(has_much_room), **polling(only_frames), "set_waker": silent})],
    "3.14": [("the backlog is three times itself", {"tx_backlog": lambda conn: 3 * GOOD.tx_backlog(conn)})],
    "3.15": [("frame 150 is lost", sending(lambda f, n: [] if n == 150 else [f]))],
    "3.16": [("sending is awaited", {"send_frame": send_and_wait})],
}  # fmt: skip
