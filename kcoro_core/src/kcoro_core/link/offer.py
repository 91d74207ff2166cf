# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What one side offers its peers: the limits of its HELLO, names to open, commands to call, and who may use them."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from ..config import Settings
from ..transport import Capability, TransportInfo
from ..wire.hello import FRAME_ROOM, Limits
from ..wire.parameters import ConnectionConfig, Side
from ..wire.slots import split_budget
from .answering import Handlers
from .exports import Exports
from .identity import Authorize, same_user

__all__ = ["Offer", "config_of", "limits_of", "shares_of"]

MAX_MS: Final = (1 << 31) - 1


@frozen
class Offer:
    """All that peers may use, checked when it was made. ``exports`` may change while links live."""

    exports: Exports
    authorize: Authorize | None = None
    handlers: Handlers = field(factory=dict)
    allow_make: int = 0

    @property
    def rule(self) -> Authorize:
        """Who may do what: the program's rule, or the default."""
        return same_user if self.authorize is None else self.authorize


def shares_of(settings: Settings) -> tuple[int, int]:
    """How ``receive_budget`` is shared: for requests that wait here, and for what a peer may send without asking."""
    return split_budget(settings.receive_budget, min(settings.max_message, settings.max_frame - FRAME_ROOM))


def config_of(settings: Settings, medium: TransportInfo, side: Side) -> ConnectionConfig:
    """What this side decides alone: how long it waits for a peer, and what may be sent without asking."""
    return ConnectionConfig(
        connect_limit=settings.connect_timeout if side is Side.CONNECTING else None,
        hello_limit=settings.hello_timeout,
        cancel_grace=settings.cancel_grace,
        bye_limit=settings.cancel_grace,
        lending_budget=shares_of(settings)[1],
        datagrams=Capability.DATAGRAMS in medium.capabilities,
        streams=Capability.STREAMS in medium.capabilities,
        software="kcoro_core",
    )


def limits_of(settings: Settings) -> Limits:
    """What this side offers in its HELLO.

    :raises ValueError: the configuration asks for something that the protocol cannot express.
    """
    return Limits(
        max_frame=settings.max_frame,
        max_message=settings.max_message,
        max_channels=settings.max_channels,
        max_inflight_requests=settings.max_requests,
        receive_budget=shares_of(settings)[0],
        keepalive_ms=int(settings.keepalive * 1000),
        idle_ms=min(int(settings.keepalive * 3000), MAX_MS),
    )
