# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A link: one connection to one peer, with the channels of both sides on it.

Both sides are equal once they have shaken hands: each may open what the other exports. ``Link`` is what users call; it
joins the parts, each of which has one end of what goes on:

    lifecycle.py   handshake, farewell, drain, the end
    opener.py      what this side has opened and asked; calls.py: what it has called
    home.py        what the other side asks of channels here; answering.py: what it calls here
    wire           the protocol, which makes events of frames; pump.py drives it and hands each event to its part

Rule: every request that a task waits for ends: by its answer, by the grace, or by the end of the link.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, overload

from ..cancel import CancelToken
from ..config import Settings
from ..hosts.port import Host, current_host
from ..parking import HomeBound
from ..semantics import Kind, Overflow
from ..transport import Vtable
from ..wire import events
from ..wire.commands import is_call
from ..wire.connection import Connection, Side
from ..wire.hello import NODE_ID_SIZE, NONCE_SIZE
from ..wire.messages import Listed
from ..wire.states import State
from .answering import Answering
from .asking import UndeliveredHook
from .calls import CallFuture, Calling, send_call
from .draining import DrainReport, drain
from .home import Home
from .lifecycle import Lifecycle
from .made import Made
from .making import Options, make, names, open_channel
from .offer import Offer, config_of, limits_of
from .opener import Opener
from .pump import Pump
from .remote import RemoteChannel
from .report import LinkReport, LinkSnapshot, Peer, snapshot_of
from .sending import Payload

__all__ = ["Link"]

NODE_ID: Final = secrets.token_bytes(NODE_ID_SIZE)
"""Names this process in all its links, and orders its selects among those of others."""


class Link(HomeBound):
    """One connection to one peer; ``dial`` gives it, and a server tells of each in ``Joined``."""

    def __init__(
        self,
        host: Host,
        vtable: Vtable,
        conn: Any,
        side: Side,
        uri: str,
        offer: Offer,
        settings: Settings,
        on_news: Callable[[Link], object] = lambda link: None,
    ) -> None:
        super().__init__()
        self._home = self.host = host
        self.uri = uri
        self.grace, budget = settings.cancel_grace, settings.receive_budget
        self.node = NODE_ID
        self._vtable, self._conn = vtable, conn
        nonce = host.random.randbytes(NONCE_SIZE)
        self.wire = Connection(side, self.node, nonce, limits_of(settings), config_of(settings, vtable.info, side))
        self.pump = Pump(host, vtable, conn, self.wire, self.grace)
        flush, owe = self.pump.flush, self.pump.owe
        made = Made(host, offer.exports, offer.rule, offer.allow_make, budget)
        limit = self.pump.datagram_limit
        self._exporting = Home(host, self.wire, offer.exports, offer.rule, budget, flush, owe, made, limit)
        name_of = self._exporting.name_of
        self._answering = Answering(host, self.wire, offer.handlers, offer.rule, budget, flush, name_of)
        self.calling = Calling()
        self.opener = Opener(self, self.calling)
        self.lifecycle = Lifecycle(self, offer, on_news)
        self.pump.after_turn = self._answering.resume
        self.pump.handlers = self._handlers()
        # Each message passes here: bound once, they cost no call more than where they are defined.
        self.check_usable = self.lifecycle.check_usable
        self.request, self.forget, self.withdraw = self.opener.request, self.opener.forget, self.opener.withdraw
        self.reader = self.opener.reader

    def _handlers(self) -> dict[type[events.Event], Callable[[Any], None]]:
        """Who hears which event: its part, or both of two."""
        exporting, answering, opener = self._exporting, self._answering, self.opener

        def on_cancel_requested(news: events.CancelRequested) -> None:
            if is_call(news.command):
                answering.cancel(news.request_id)
            else:
                exporting.cancel(news)

        def on_detached(news: events.Detached) -> None:
            exporting.detached(news.channel_id)
            opener.detached(news.channel_id)

        return {
            **exporting.handlers,
            **opener.handlers,
            **self.lifecycle.handlers,
            events.CallRequested: answering.on_call,
            events.CancelRequested: on_cancel_requested,
            events.Detached: on_detached,
        }

    def __repr__(self) -> str:
        return f"<Link {self.uri} {self.wire.state.value}>"

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        hello = self.wire.peer
        if hello is None:
            return Peer(self.lifecycle.identity)
        return Peer(self.lifecycle.identity, hello.node_id.hex(), hello.software)

    @property
    def closed(self) -> bool:
        """Whether the link has ended or is about to: nothing can be asked any more."""
        return self.wire.state in (State.CLOSING, State.DEAD)

    @property
    def report(self) -> LinkReport | None:
        """How it ended; None before."""
        return self.lifecycle.report

    async def open(
        self,
        name: str,
        prefetch: int = 0,
        lend: bool = False,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        on_undelivered: UndeliveredHook | None = None,
        weight: int = 1,
        lossy: bool = False,
    ) -> RemoteChannel:
        """Open what the peer exports under ``name``; the result has the methods of a channel.

        ``lend`` asks the home for slots, so that sends need not wait for its answer; it may decline, and takes them
        back for good when somebody else sends. ``prefetch`` permits it to send that many elements ahead. Without them
        the channel works the same, with one round trip for each operation.

        ``on_undelivered(element, reason, handle)`` is called once for each element whose send over a lent slot has
        completed and that was lost with the link before the home confirmed it (IN_DOUBT), or that a newer one replaced
        at this side of a CONFLATED channel.

        ``weight``, 1 to 16, is how many shares of the line the channel gets, in each direction, while other channels
        have something to send, too.

        ``lossy`` has the values of a CONFLATED channel come unasked, as datagrams where they fit: some are lost, and
        counted in ``snapshot().lost``, and none holds up another. The newest lies here until it is received or
        replaced; ``on_undelivered`` is told of what is replaced, too. It excludes ``prefetch`` and ``lend``.

        ``timeout`` is in seconds, None waits for ever.

        :raises NotSupported: ``lossy``, and the channel is of another kind, or the link carries no datagrams.
        :raises NotFound: the peer exports nothing of that name.
        :raises AccessDenied: you may not use it.
        :raises NoBuffers: as many channels are open on this link as both sides agreed to.
        :raises ChannelClosed: the link was closed. LinkLost: it was lost.
        :raises DeadlineExceeded: no answer came in time. OperationCancelled: ``cancel`` is set.
        """
        options = Options(prefetch, lend, on_undelivered, weight, lossy)
        return await open_channel(self, name, options, timeout, cancel)

    async def make(
        self,
        name: str,
        kind: Kind,
        capacity: int | None = None,
        overflow: Overflow | None = None,
        exist_ok: bool = False,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> RemoteChannel:
        """Make a channel at the other side, and open it, with every right; needs its ``allow_make``.

        Other peers find it under ``name``, as far as the other side lets them. It ends with this link, or when it is
        closed or destroyed. The other side bounds it: it takes no UNLIMITED, and ``max_message`` of the handle may be
        less than what the link carries. ``exist_ok`` opens what is there, if it is the same.
        ``timeout`` is in seconds.

        :raises AlreadyExists: the name is taken. AccessDenied: you may not make it.
        :raises NoBuffers: you have made as many as you may, or its capacity is too much.
        :raises ValueError: kind, capacity and overflow do not fit each other, or what is there.
        """
        return await make(self, (name, kind, capacity, overflow), exist_ok, timeout, cancel)

    async def list(self, timeout: float | None = None, cancel: CancelToken | None = None) -> Sequence[Listed]:
        """The names that you may open at the other side, sorted, with the kind and your rights; one request a page.

        Names that you may not use are not told. ``timeout``, in seconds, is for all pages together.
        """
        return await names(self, timeout, cancel)

    @overload
    def rpc_send(
        self, command: int, channel_id: int | RemoteChannel = 0, payload: Payload = b"", *, reply: Literal[True] = True
    ) -> CallFuture: ...
    @overload
    def rpc_send(
        self, command: int, channel_id: int | RemoteChannel = 0, payload: Payload = b"", *, reply: Literal[False]
    ) -> None: ...
    def rpc_send(
        self, command: int, channel_id: int | RemoteChannel = 0, payload: Payload = b"", *, reply: bool = True
    ) -> CallFuture | None:
        """Call what the other side handles as ``command``, 64 to 127; returns at once, with a future for the result.

        ``channel_id`` is 0, or a handle of this link (or its ``id``), whose name the handler is then told. With
        ``reply=False`` there is no answer and no future: such a call may be dropped by the other side, and is never
        heard of again.

        :raises ValueError: the command is no call, or the handle is none of this link, or was detached.
        :raises TypeError: the payload is not bytes, bytearray or memoryview. MessageTooLong: it exceeds what fits.
        :raises NoBuffers: too many requests, or bytes, of this link are under way.
        :raises ChannelClosed: a side left the link. LinkLost: it was lost. Nothing was sent in all these cases.
        """
        return send_call(self, command, channel_id, payload, reply)

    def snapshot(self) -> LinkSnapshot:
        """State and counters, in constant time."""
        return snapshot_of(self)

    async def drain(self, timeout: float | None = None) -> DrainReport:
        """Take up nothing new, finish what is under way for at most ``timeout`` seconds, and end in good order.

        From now on requests of either side end with ChannelClosed, and those of the other side that were not heard
        yet are known not done; so are its receives that wait here. Sends that wait for room, calls that are handled,
        and elements that are not confirmed have until the deadline. None waits for ever; 0 ends at once.

        :raises ChannelClosed: the link was closed. LinkLost: it was lost. Nothing was announced.
        :raises WrongLoop: it belongs to another run or thread; the link goes on.
        """
        return await drain(self, timeout)

    async def aclose(self, reason: str = "") -> None:
        """End in good order, however the task was cancelled; takes at most two graces.

        ``reason`` is told to the other side, which finds it in the report of its link; 256 bytes of it travel.

        :raises WrongLoop: it belongs to another run or thread; the link goes on.
        """
        host = current_host()
        self._enter(host)
        with host.open_cancel_scope(shield=True):
            self.lifecycle.say_goodbye(text=reason)
            await self.pump.gone.wait()
            await host.pause()
