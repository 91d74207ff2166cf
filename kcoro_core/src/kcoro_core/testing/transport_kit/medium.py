# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Strangers at the medium of a transport: who writes bytes to it that no transport has made.

The descriptor that ``poll_handle`` names tells what there is to know: where it is a connected stream socket, a copy of
it can be written to, and another can be connected to where it leads. No author has to help, and no medium is named.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from ...errors import KcoroError
from ...transport import RawFrame, Vtable
from .bench import Bench, KitFailure, header

__all__ = [
    "NOTHING_KNOWN",
    "Medium",
    "carries_frames",
    "has_a_door",
    "is_network",
    "is_open_to_strangers",
    "look",
    "stranger",
    "tap",
]

PATIENCE_SECONDS: Final = 5.0
GREETING: Final = RawFrame(header(5, 77), b"hello")


@frozen
class Medium:
    """What a look at one connection has shown.

    ``stream`` says that a stranger can write bytes to it, ``frames`` that what they write is read as frames,
    ``network`` that the bytes travel where others might read them, ``door`` that a stranger can connect, too.
    """

    stream: bool = False
    frames: bool = False
    network: bool = False
    door: bool = False


NOTHING_KNOWN: Final = Medium()
"""What is assumed where nobody has looked: no stranger gets at it."""


def is_open_to_strangers(medium: Medium) -> bool:
    """Whether bytes that anybody writes get into it."""
    return medium.stream


def carries_frames(medium: Medium) -> bool:
    """Frames lie on the medium as they are: header, then payload."""
    return medium.frames


def is_network(medium: Medium) -> bool:
    """The bytes may leave the machine."""
    return medium.network


def has_a_door(medium: Medium) -> bool:
    """Whether anybody can connect to where connections of the transport lead."""
    return medium.door


def look(vtable: Vtable, uri: str, config: Mapping[str, Any]) -> Medium:
    """Make one connection and see what its medium is like; nothing is known where that fails."""
    try:
        with Bench(vtable, uri, config) as bench:
            bench.patience = PATIENCE_SECONDS
            near, far = bench.pair()
            with tap(bench, near) as sock:
                network = sock.family in (socket.AF_INET, socket.AF_INET6)
                sock.sendall(GREETING.header + GREETING.payload)
                return Medium(True, _arrives(bench, far), network, _lets_in(bench, bench.pair()[0]))
    except (KcoroError, KitFailure, OSError, ValueError):
        return NOTHING_KNOWN


def _arrives(bench: Bench, far: Any) -> bool:
    try:
        return bench.receive(far, 1) == [GREETING]
    except (KcoroError, KitFailure):
        return False


def _lets_in(bench: Bench, dialled: Any) -> bool:
    try:
        stranger(bench, dialled).close()
    except OSError:
        return False
    return True


def tap(bench: Bench, conn: Any) -> socket.socket:
    """A copy of the stream socket of ``conn``, which the transport knows nothing about; to be closed by the caller.

    :raises OSError: it has none.
    """
    spec = bench.vtable.poll_handle(conn)
    if spec.fd is None or spec.shared or not stat.S_ISSOCK(os.fstat(spec.fd).st_mode):
        raise OSError("there is no stream socket that is this connection's alone")
    sock = socket.socket(fileno=os.dup(spec.fd))
    sock.settimeout(5.0)  # which leaves it non-blocking for the transport
    if sock.type != socket.SOCK_STREAM:
        sock.close()
        raise OSError("the socket is no stream")
    return sock


def stranger(bench: Bench, dialled: Any) -> socket.socket:
    """A socket of our own, connected to where ``dialled`` leads; to be closed by the caller."""
    with tap(bench, dialled) as sock:
        place, family = sock.getpeername(), sock.family
    if not place:
        raise OSError("it leads to no place with a name")
    own = socket.socket(family, socket.SOCK_STREAM)
    own.settimeout(5.0)
    try:
        own.connect(place)
    except OSError:
        own.close()
        raise
    return own
