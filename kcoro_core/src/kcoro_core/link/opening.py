# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which channels one peer gets: what it opens by name, what it makes, and the names that it is told.

Rule 1: a peer learns nothing of a name that it may not use, but that it may not.
Rule 2: what it gets has the rights that the rule grants to it, and is what it has asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from ..channel import Channel
from ..semantics import Kind, limit_of
from ..transport import Identity
from ..wire import events
from ..wire.codes import WireCode
from ..wire.connection import Connection
from ..wire.messages import Attributes, Listed, OpenFlag, OpenRequest, Rights
from .bound import Bound
from .exports import Export, Exports
from .identity import Authorize, allowed
from .lent import lend
from .made import Made

__all__ = ["Opening", "room_of"]

MOST_NAMES: Final = 1000
"""More than fit into one page: what the rule need not be asked about for this answer."""


class Opening:
    """Answers OPEN and LIST of one peer."""

    def __init__(
        self,
        wire: Connection,
        exports: Exports,
        authorize: Authorize,
        made: Made | None,
        pump: tuple[Callable[[], None], Callable[[], None]],
    ) -> None:
        """``made``: what the peer may make. ``pump``: ``owe`` and ``flush`` of the link."""
        self._wire = wire
        self._exports = exports
        self._authorize = authorize
        self._made = made
        self._pump = pump
        self._identity = Identity("none")
        self._max_message = 0

    def agree(self, identity: Identity, max_message: int) -> None:
        """The handshake is over: who the peer is, and how many bytes an element may have."""
        self._identity = identity
        self._max_message = max_message

    def open(self, asked: events.OpenRequested) -> Bound | None:
        """The new handle of the peer, which has been told; None when it was refused."""
        export = self._exports.get(asked.wanted.name)
        if export is None and asked.wanted.flags & OpenFlag.CREATE and self._made is not None:
            made = self._made.make(self._identity, asked.wanted)
            if isinstance(made, Export):
                return self._bind(asked, made, made.rights)
            self._wire.refuse(asked.request_id, *made)
            return None
        if export is None:
            self._wire.refuse(asked.request_id, WireCode.ENOENT, f"nothing is exported as {asked.wanted.name!r}")
            return None
        rights = allowed(self._authorize, self._identity, export.name, export.rights)
        if not rights:
            self._wire.refuse(asked.request_id, WireCode.EACCES, f"you may not use {export.name!r}")
        elif (
            misfit := _misfit(asked.wanted, export.channel) or _cannot_lose(asked.wanted, export, rights)
        ) is not None:
            self._wire.refuse(asked.request_id, *misfit)
        else:
            return self._bind(asked, export, rights)
        return None

    def _bind(self, asked: events.OpenRequested, export: Export, rights: Rights) -> Bound | None:
        channel, size = export.channel, min(self._max_message, export.max_message)
        attributes = Attributes(channel.kind, channel.overflow, room_of(channel), rights, size)
        if not self._wire.accept(asked.request_id, attributes):
            return None
        bound = Bound(asked.channel_id, export.name, channel, size, export.requeues, self._wire)
        if asked.wanted.flags & OpenFlag.LEND:
            bound.lent = lend(asked.channel_id, channel, self._wire, room_of(channel), self._pump)
        bound.watch_close(self._pump[1])
        return bound

    def list(self, asked: events.ListRequested) -> None:
        """Tell the peer a page of the names that it may use."""
        after = asked.after.encode()
        behind = sorted(name.encode() for name in self._exports if name.encode() > after)
        exports = (self._exports[name.decode()] for name in behind)
        offered = ((one, allowed(self._authorize, self._identity, one.name, one.rights)) for one in exports)
        page = islice((Listed(one.name, one.channel.kind, rights) for one, rights in offered if rights), MOST_NAMES)
        self._wire.names(asked.request_id, [*page])

    def lost(self) -> None:
        """The link is over: what the peer has made ends."""
        if self._made is not None:
            self._made.end()


def room_of(channel: Channel[Any]) -> int | None:
    """How many elements the channel holds at most, as the wire tells it: None is no bound."""
    limit = limit_of(channel.kind, channel.capacity)
    return None if limit == math.inf else int(limit)


def _misfit(wanted: OpenRequest, channel: Channel[Any]) -> tuple[WireCode, str] | None:
    """Why what a peer wants is not what there is."""
    if wanted.flags & OpenFlag.CREATE and wanted.flags & OpenFlag.EXCL:
        return WireCode.EEXIST, f"{wanted.name!r} exists"
    if wanted.codec:
        return WireCode.ENOTSUP, f"elements are plain bytes here, not {wanted.codec!r}"
    there = {"kind": channel.kind, "overflow": channel.overflow, "capacity": room_of(channel)}
    for name, is_there in there.items():
        asked = getattr(wanted, name)
        if asked is not None and asked != is_there:
            return WireCode.EINVAL, f"{wanted.name!r} has {name} {is_there}, not {asked}"
    return None


def _cannot_lose(wanted: OpenRequest, export: Export, rights: Rights) -> tuple[WireCode, str] | None:
    """Why values cannot be sent so that some of them are lost, where a peer wants that."""
    if not wanted.flags & OpenFlag.LOSSY:
        return None
    if export.channel.kind is not Kind.CONFLATED:
        return WireCode.ENOTSUP, f"{wanted.name!r} is {export.channel.kind.name}; only CONFLATED values may be lost"
    return None if rights & Rights.RECV else (WireCode.EACCES, f"you may not receive from {wanted.name!r}")
