# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How faults are planted: one function of a transport that works is changed, and the kit has to notice (row T4).

``GOOD`` is the in-process transport, ``SOCKETS`` one over stream sockets, whose bytes the kit can get at,
``SIMULATED`` the one that carries datagrams beside its frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs

from kcoro_core import plugins
from kcoro_core.transport import PollSpec, RawFrame, Vtable
from kcoro_core.transports.mem import Connection, Listener

GOOD = plugins.transport("mem")
SOCKETS = plugins.transport("tcp")
SIMULATED = plugins.transport("sim")

Change = dict[str, Any]
Fault = tuple[str, Change]

leaked: list[int] = []
"""Descriptors that faults have opened."""
accepted: list[Any] = []
"""Every connection that a fault has seen being accepted, in order."""
limited: Change = {"info": attrs.evolve(GOOD.info, max_frame=1000)}


def over_sockets(change: Change) -> Change:
    """The same change, to the transport over sockets."""
    return {"base": SOCKETS, **change}


def planted(change: Change) -> tuple[Vtable, str]:
    """The transport with the fault, and its scheme."""
    functions = dict(change)
    base = functions.pop("base", GOOD)
    return attrs.evolve(base, **functions), base.info.schemes[0]


def forget() -> None:
    """Give back what faults have opened, and forget what they have seen."""
    while leaked:
        os.close(leaked.pop())
    accepted.clear()


def sending(spoil: Callable[[RawFrame, int], list[RawFrame]]) -> Change:
    """Send something else than what was given; ``spoil`` sees the frame and its number."""
    sent = 0

    def send_frame(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
        nonlocal sent
        frames = spoil(RawFrame(header, b"".join(parts)), sent)
        taken = [GOOD.send_frame(conn, frame.header, [frame.payload], lane) for frame in frames]
        sent += all(taken)
        return all(taken)

    return {"send_frame": send_frame}


def sent_through(spoil: Callable[[Connection, RawFrame], bool]) -> Change:
    """``spoil`` sends, or does not."""
    return {"send_frame": lambda conn, header, parts, lane: spoil(conn, RawFrame(header, b"".join(parts)))}


def sent(conn: Connection, frame: RawFrame) -> bool:
    """Send as it should be."""
    return GOOD.send_frame(conn, frame.header, [frame.payload], 0)


def polling(spoil: Callable[[Any, PollSpec], PollSpec], base: Vtable = GOOD) -> Change:
    """Say something else; ``spoil`` sees the endpoint and what would be true."""
    return {"poll_handle": lambda endpoint: spoil(endpoint, base.poll_handle(endpoint))}


def accepting(react: Callable[[Any], Any], base: Vtable = GOOD) -> Change:
    """Do something with each connection that is accepted; what comes of it is given to the caller."""

    def accept(listener: Any) -> Any:
        conn = base.accept(listener)
        if conn is not None:
            accepted.append(conn)
            return react(conn)
        return conn

    return {"accept": accept}


def kept(conn: Any) -> Any:
    """The connection itself: it was only to be seen."""
    return conn


def pumping(before: Callable[[Any, float], object]) -> Change:
    """Do something before each pump."""

    def pump(endpoint: Any, now: float, ready: int) -> None:
        before(endpoint, now)
        GOOD.pump(endpoint, now, ready)

    return {"pump": pump}


def is_listener(endpoint: Any) -> bool:
    """Whether it is a listener of the in-process transport."""
    return isinstance(endpoint, Listener)


def silent(*_: Any) -> None:
    """Do nothing at all."""


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that raises."""

    def call(*_: Any) -> Any:
        raise error

    return call
