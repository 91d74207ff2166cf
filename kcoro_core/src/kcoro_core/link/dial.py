# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Dialling: a link to whoever listens at an address, for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from .. import plugins
from ..config import settings
from ..errors import KcoroError, LinkLost, TransportError
from ..hosts.port import Host, current_host
from ..run import sleep
from ..wire.connection import Side
from .answering import Handlers, check_handlers
from .arguments import address_of, check_address, check_authorize, check_medium, check_patience
from .backoff import Backoff
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
    patience: float = 0.0,
    **options: Any,
) -> AsyncIterator[Link]:
    """Connect to ``uri`` and shake hands; the link lives as long as the block.

    ``export`` is what the other side may open here: names with a Channel, a Sender (it may send) or a Receiver (it may
    receive). ``authorize(identity, name, operation)`` decides who may do that; without it, and where the medium tells
    who is there, only a process of the same user is talked to. ``handlers`` maps commands, 64 to 127, to functions
    ``(call) -> bytes``, plain or async, for the calls of the other side. ``redelivery`` says what becomes of an
    element that was handed to the other side and not confirmed when the link is lost: ``"drop"`` reports it once,
    ``"requeue"`` puts it back as Redelivered; or a mapping of names to these. ``options`` are those of the transport.

    With ``patience`` above 0, TransportError and LinkLost are answered by another attempt, until so many seconds are
    over, when it is the last. Each looks names up anew; the pauses between them double from 50 ms to a tenth of the
    patience, to 10 s at most, and are partly by chance. What no waiting mends is raised at once: any other error, and a
    TransportError that its transport calls ``permanent``, as a certificate that was refused.

    At the end of the block the link is closed in good order, which takes at most two ``cancel_grace``; waits of other
    tasks on it end with ChannelClosed.

    :raises TransportError: nobody listens there, or the medium failed. LinkLost: no answer within ``hello_timeout``. Of
        several attempts it is the last one's.
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

    def begin() -> Link:
        conn = vtable.connect(address_of(uri), options)
        return Link(host, vtable, conn, Side.CONNECTING, address_of(uri), offer, config)

    link = await _reached(begin, host, check_patience(patience))
    try:
        yield link
    finally:
        await link.aclose()


async def _reached(begin: Callable[[], Link], host: Host, patience: float) -> Link:
    """A link that has shaken hands, of as many as there is patience for."""
    until, backoff = host.now() + patience, Backoff(host.random, patience)
    while True:
        link = begin()
        link.lifecycle.start()
        reached = False
        try:
            await link.lifecycle.shake_hands()
            reached = True
            return link
        except (TransportError, LinkLost) as error:
            if is_permanent(error) or (left := until - host.now()) <= 0:
                raise
        finally:
            if not reached:
                await (link.aclose() if link.lifecycle.established else link.lifecycle.abandon())
        await sleep(min(backoff.pause(), left))


def is_permanent(error: KcoroError) -> bool:
    """Whether its transport has said that no waiting mends it."""
    return isinstance(error, TransportError) and error.permanent
