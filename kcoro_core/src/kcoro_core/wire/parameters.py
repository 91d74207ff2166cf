# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What one end of a connection is told when it is made, and what it counts while it lives."""

from __future__ import annotations

import enum

from attrs import frozen

__all__ = ["ConnectionConfig", "ConnectionStats", "Side"]


class Side(enum.Enum):
    """Which end of a connection this is: decides the parity of channel ids and whose HELLO is hashed first."""

    CONNECTING = "connecting"
    """Dialled; opens channels with odd ids."""
    ACCEPTING = "accepting"
    """Listened; opens channels with even ids."""


@frozen
class ConnectionConfig:
    """What one end decides alone, in seconds of the clock that is passed in.

    ``connect_limit``  how long the medium may take to connect, which is when it takes our HELLO; None: it has connected
    ``hello_limit``   how long the handshake may take from then on
    ``cancel_grace``  how long a cancelled request waits for its answer before it is in doubt
    ``bye_limit``     how long our BYE waits for room and for the peer's
    ``lending_budget``  bytes, by ``charge``, that either side may send without asking, on all channels together
    ``datagrams``     whether the medium carries datagrams beside its frames (DATAGRAMS)
    ``streams``       whether frames of different channels may overtake each other on the medium (STREAMS)
    ``software``      what HELLO tells people, at most 64 bytes
    """

    connect_limit: float | None = None
    hello_limit: float = 5.0
    cancel_grace: float = 1.0
    bye_limit: float = 5.0
    lending_budget: int = 8 << 20
    datagrams: bool = False
    streams: bool = False
    software: str = ""


@frozen
class ConnectionStats:
    """Counters of one connection at one instant; frames and bytes include headers and control frames.

    Datagrams are counted by themselves: those that brought an element that was new, those that could not be used, and
    how many elements are known to be missing.
    """

    frames_written: int
    frames_read: int
    bytes_written: int
    bytes_read: int
    requests_in_flight: int
    queued_frames: int
    late_replies: int
    ignored_cancels: int
    datagrams_written: int = 0
    datagrams_read: int = 0
    datagrams_ignored: int = 0
    elements_missing: int = 0
