# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Dialling: a link to whoever listens at an address, for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from .. import plugins
from ..config import settings
from ..hosts.port import current_host
from ..wire.connection import Side
from .answering import Handlers, check_handlers
from .arguments import address_of, check_address, check_authorize, check_medium
from .exports import exports_of
from .identity import Authorize
from .link import Link
from .offer import Offer

__all__ = ["dial"]

NOTHING: Mapping[str, object] = {}
NO_HANDLERS: Handlers = {}


@asynccontextmanager
async def dial(
    uri: str,
    export: Mapping[str, object] = NOTHING,
    authorize: Authorize | None = None,
    *,
    handlers: Handlers = NO_HANDLERS,
    redelivery: str | Mapping[str, str] = "drop",
    **options: Any,
) -> AsyncIterator[Link]:
    """Connect to ``uri`` and shake hands; the link lives as long as the block.

    ``export`` is what the other side may open here: names with a Channel, a Sender (it may send) or a Receiver (it may
    receive). ``authorize(identity, name, operation)`` decides who may do that; without it, and where the medium tells
    who is there, only a process of the same user is talked to. ``handlers`` maps commands, 64 to 127, to functions
    ``(call) -> bytes``, plain or async, for the calls of the other side. ``redelivery`` says what becomes of an
    element that was handed to the other side and not confirmed when the link is lost: ``"drop"`` reports it once,
    ``"requeue"`` puts it back as Redelivered; or a mapping of names to these. ``options`` are those of the transport.

    At the end of the block the link is closed in good order, which takes at most two ``cancel_grace``; waits of other
    tasks on it end with ChannelClosed.

    :raises TransportError: nobody listens there, or the medium failed. LinkLost: no answer within ``hello_timeout``.
    :raises NotSupported: no plugin serves the scheme, it loses or mixes up frames, or the peer speaks another version.
    :raises AccessDenied: one side does not talk to the other's user.
    :raises ProtocolError: the other side does not speak this protocol.
    :raises ValueError: the address, an option, an export or a handler makes no sense; nothing was started.
    """
    check_address(uri)
    check_authorize(authorize)
    host = current_host()
    vtable = plugins.transport(uri)
    check_medium(vtable.info)
    offer = Offer(exports_of(export, host, redelivery), authorize, check_handlers(handlers))
    config = settings()
    await host.cancel_point()
    conn = vtable.connect(address_of(uri), options)
    link = Link(host, vtable, conn, Side.CONNECTING, address_of(uri), offer, config)
    link.lifecycle.start()
    try:
        await link.lifecycle.shake_hands()
        yield link
    finally:
        await (link.aclose() if link.lifecycle.established else link.lifecycle.abandon())
