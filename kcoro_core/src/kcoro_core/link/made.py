# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Channels that a peer has made here, by OPEN with CREATE: named like exports, bounded, and gone with their maker.

Rule 1: nobody makes a channel unless ``allow_make`` says how many, and the rule allows ``"make"`` for that name.
Rule 2: what is made has a bound: an unlimited one is refused, and its elements are so short that a full channel holds
no more than ``receive_budget``. So a link costs its makers' count times that, and no more.
Rule 3: it ends with the link of its maker, who is the only one with every right to it: nobody is left to end it else.
Other peers that have it open receive what is queued, and then hear of the close. A closed one frees its name.
"""

from __future__ import annotations

from typing import Any, Final

from ..channel import Channel, channel
from ..hosts.port import Host
from ..semantics import SUSPEND, UNLIMITED, Kind
from ..transport import Identity
from ..wire.codes import WireCode
from ..wire.hello import charge
from ..wire.messages import OpenRequest
from .exports import ALL_RIGHTS, Export, Exports
from .identity import Authorize, may

__all__ = ["MAKER_LEFT", "Made"]

MAKER_LEFT: Final = "the peer that made it has left"
"""The reason with which a channel closes whose maker's link has ended."""
SMALLEST: Final = 64
"""Bytes of the largest element below which a capacity is too much: shorter ones are charged as much as these."""


class Made:
    """The channels that one peer has made, at most ``most`` at a time."""

    def __init__(self, host: Host, exports: Exports, authorize: Authorize, most: int, budget: int) -> None:
        self._host = host
        self._exports = exports
        self._authorize = authorize
        self._most = most
        self._budget = budget
        self._made: dict[str, Export] = {}

    def __len__(self) -> int:
        return len(self._made)

    def make(self, identity: Identity, wanted: OpenRequest) -> Export | tuple[WireCode, str]:
        """A channel under a name that is free, or why there will be none."""
        refusal = self._refusal(identity, wanted)
        if refusal is not None:
            return refusal
        try:
            new = _channel(wanted)
        except ValueError as error:
            return WireCode.EINVAL, str(error)
        size = self._budget // max(1, wanted.capacity or 0) - (charge(SMALLEST) - SMALLEST)
        if size < SMALLEST:
            return WireCode.ENOBUFS, f"a capacity of {wanted.capacity} holds more than the {self._budget} bytes allowed"
        new._home = self._host
        export = Export(wanted.name, new, ALL_RIGHTS, max_message=size)
        self._made[wanted.name] = self._exports[wanted.name] = export
        new._on_close(lambda: self._closed(export))
        return export

    def end(self) -> None:
        """The link of the maker has ended."""
        for export in list(self._made.values()):
            export.channel.close(MAKER_LEFT)

    def _refusal(self, identity: Identity, wanted: OpenRequest) -> tuple[WireCode, str] | None:
        if not self._most:
            return WireCode.EACCES, "peers may not make channels here"
        if not may(self._authorize, identity, wanted.name, "make"):
            return WireCode.EACCES, f"you may not make {wanted.name!r}"
        if len(self._made) >= self._most:
            return WireCode.ENOBUFS, f"you have made {self._most} channels on this link; close some"
        if wanted.codec:
            return WireCode.ENOTSUP, f"elements are plain bytes here, not {wanted.codec!r}"
        if wanted.kind is None:
            return WireCode.EINVAL, "whoever makes a channel says of which kind"
        if wanted.kind is UNLIMITED:
            return WireCode.EACCES, "peers may not make channels without a bound"
        return None

    def _closed(self, export: Export) -> None:
        self._made.pop(export.name, None)
        if self._exports.get(export.name) is export:  # else the program has exported something under that name
            del self._exports[export.name]


def _channel(wanted: OpenRequest) -> Channel[Any]:
    kind = wanted.kind if wanted.kind is not None else Kind.RENDEZVOUS
    overflow = SUSPEND if wanted.overflow is None else wanted.overflow
    return channel(kind, wanted.capacity, overflow, name=wanted.name)
