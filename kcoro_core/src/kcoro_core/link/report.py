# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a program is told of its links: snapshots while they live, reports when they end, news of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..transport import Identity

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Joined", "LinkReport", "LinkSnapshot", "Lost", "Peer", "snapshot_of"]


@frozen
class Peer:
    """Who is at the other end: what the medium has verified, and what the peer says of itself."""

    identity: Identity
    node_id: str = ""
    software: str = ""


@frozen
class LinkSnapshot:
    """State and counters of one link at one instant.

    ``opened`` counts handles of this side, ``exported`` those of the peer on channels of this side, ``waiting_here``
    requests of the peer that wait in them. Frames and bytes include headers and control frames. ``late_replies`` are
    answers that came after the grace, or for a call whose future nobody holds; ``tx_backlog_bytes`` is what the
    transport has accepted and not yet written. ``calls_here`` counts calls of the peer that are handled or wait for
    room, ``dropped_calls`` those without an answer that were not handled. ``datagrams_written`` went out with a value
    of a lossy channel, ``datagrams_read`` came with a new one, ``datagrams_ignored`` came and could not be used:
    doubles, what was overtaken, what belongs to nothing here. ``values_lost`` are known not to have come.
    """

    state: str
    opened: int
    exported: int
    requests_in_flight: int
    waiting_here: int
    queued_frames: int
    tx_backlog_bytes: int
    frames_written: int
    frames_read: int
    bytes_written: int
    bytes_read: int
    late_replies: int
    ignored_cancels: int
    calls_here: int
    dropped_calls: int
    datagrams_written: int = 0
    datagrams_read: int = 0
    datagrams_ignored: int = 0
    values_lost: int = 0


@frozen
class LinkReport:
    """How a link ended, and what is known of everything that was under way.

    ``orderly``: a side said goodbye. ``acked`` counts, by channel name, the sends that the other side accepted,
    ``in_doubt`` those that it may have accepted. ``undelivered_in_doubt`` counts elements of our own channels that had
    been handed to the peer and were not confirmed; each went to ``on_undelivered``, but for those ``requeued``, which
    are back at the head, with the redelivered mark. ``put_back`` had not been written, and are there as well.
    ``reason`` is what the other side said with its goodbye, if it said anything.
    """

    cause: Exception
    orderly: bool
    acked: Mapping[str, int] = field(factory=dict)
    in_doubt: Mapping[str, int] = field(factory=dict)
    undelivered_in_doubt: int = 0
    put_back: int = 0
    reason: str = ""
    requeued: int = 0


@frozen
class Joined:
    """A peer has connected and shaken hands; ``link`` can open what the peer exports."""

    link: Link


@frozen
class Lost:
    """A link of this server has ended, in whatever way."""

    link: Link
    report: LinkReport


def snapshot_of(link: Link) -> LinkSnapshot:
    """Do what ``link.snapshot`` says: ask each part of the link for its counters."""
    stats = link.wire.stats()
    return LinkSnapshot(
        state=link.wire.state.value,
        opened=link.opener.open_channels,
        exported=link._exporting.open_channels,
        requests_in_flight=stats.requests_in_flight,
        waiting_here=link._exporting.waiting,
        queued_frames=stats.queued_frames,
        tx_backlog_bytes=link._vtable.tx_backlog(link._conn),
        frames_written=stats.frames_written,
        frames_read=stats.frames_read,
        bytes_written=stats.bytes_written,
        bytes_read=stats.bytes_read,
        late_replies=stats.late_replies + link.calling.dropped_answers,
        ignored_cancels=stats.ignored_cancels,
        calls_here=link._answering.running,
        dropped_calls=link._answering.dropped_calls,
        datagrams_written=stats.datagrams_written,
        datagrams_read=stats.datagrams_read,
        datagrams_ignored=stats.datagrams_ignored,
        values_lost=stats.elements_missing,
    )
