# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults that leave something behind: cases 13."""

from __future__ import annotations

import os
import threading
from typing import Any

from kcoro_core.errors import AlreadyExists
from kcoro_core.transport import RawFrame
from kcoro_core.transports.mem import Connection, Listener

from .planting import GOOD, Change, Fault, leaked, sending


def refusal_leaks(uri: str, config: Any) -> Connection:
    conn: Connection = GOOD.connect(uri, config)
    if conn.end is not None:
        leaked.append(os.dup(0))
    return conn


def address_in_use_leaks(uri: str, config: Any) -> Listener:
    try:
        return GOOD.listen(uri, config)
    except AlreadyExists:
        leaked.append(os.dup(0))
        raise


def listener_leaks(uri: str, config: Any) -> Listener:
    leaked.append(os.dup(0))
    return GOOD.listen(uri, config)


def keeps_all() -> Change:
    frames: list[bytes] = []

    def spoil(frame: RawFrame, _: int) -> list[RawFrame]:
        frames.append(bytes(bytearray(frame.payload)))
        return [frame]

    return sending(spoil)


def starts_a_thread(uri: str, config: Any) -> Connection:
    threading.Thread(target=threading.Event().wait, args=(2.0,), name="planted", daemon=True).start()
    return GOOD.connect(uri, config)


def keeps_wakers() -> Change:
    wakers: list[Any] = []

    def set_waker(endpoint: Any, callback: Any) -> None:
        wakers.append(callback)
        GOOD.set_waker(endpoint, callback)

    return {"set_waker": set_waker}


def drags_the_stack_along(conn: Connection, limit: int) -> Any:
    if conn.end is not None:
        raise conn.end
    return GOOD.recv_frame(conn, limit)


FAULTS: dict[str, list[Fault]] = {
    "13.1": [("a refused connection leaks a descriptor", {"connect": refusal_leaks})],
    "13.2": [("a refused listener leaks a descriptor", {"listen": address_in_use_leaks})],
    "13.3": [("a listener leaks a descriptor", {"listen": listener_leaks})],
    "13.4": [("what was sent is kept", keeps_all())],
    "13.5": [("what was sent is kept", keeps_all())],
    "13.6": [("a thread stays", {"connect": starts_a_thread})],
    "13.7": [("wakers are kept", keeps_wakers())],
    "13.8": [("each raise makes the error longer", {"recv_frame": drags_the_stack_along})],
}  # fmt: skip
