# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A link: one connection to one peer, with the channels of both sides on it.

Both sides are equal once they have shaken hands: each may open what the other exports. ``Link`` joins the protocol
(``wire``), the pump that drives it, the home of our own channels and the handles on the peer's.

Rule 1: every request that a task waits for ends: by its answer, by the grace, or by the end of the link.
Rule 2: the end of a link is told once to everybody who is concerned, each with what is known of his own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal, cast, overload

from ..cancel import CancelToken
from ..claiming import RemoteSelect
from ..config import Settings
from ..errors import AccessDenied, KcoroError, LinkLost
from ..hosts.port import Host, current_host
from ..parking import HomeBound
from ..semantics import Kind, Overflow, Undelivered
from ..transport import Capability, Identity, Vtable
from ..wire import events
from ..wire.codes import WireCode, error_of
from ..wire.commands import Command, is_call
from ..wire.connection import Connection, ConnectionConfig, Side
from ..wire.hello import NODE_ID_SIZE, NONCE_SIZE
from ..wire.messages import MAX_WEIGHT, Listed, OpenFlag, OpenRequest
from ..wire.states import State
from .answering import Answering
from .arguments import check_count, check_hook, check_name
from .asking import UndeliveredHook
from .bound import Redelivered
from .calls import CallFuture, Calling, send_call
from .draining import DRAINING, Drain, DrainReport, drain
from .ending import LEFT, LEFT_HERE, Ending, left_error
from .home import Home
from .identity import same_user
from .made import Made
from .making import ask, make, names
from .offer import Offer, limits_of, shares_of
from .pending import Pending
from .prefetch import Prefetch
from .pump import Pump
from .remote import RemoteChannel
from .report import LinkReport, LinkSnapshot, Peer
from .selecting import Followed
from .sending import Payload

__all__ = ["Link"]

FEW: Final = 4
"""With so many requests in flight each is written at once; with more, those of one turn are written together."""

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
        self.grace = settings.cancel_grace
        self.report: LinkReport | None = None
        self.established = False
        self._vtable = vtable
        self._conn = conn
        self._offer = offer
        self._on_news = on_news
        self._identity = Identity("none")
        self._channels: dict[int, RemoteChannel] = {}
        self._requests: dict[int, Pending | Followed] = {}
        self.expectant: dict[RemoteSelect, None] = {}  # selects with turns that came with what is being heard
        self._ending: Ending | None = None
        self._refusal: AccessDenied | None = None
        self._leaving = False
        self._peer_left = False
        self._decided = CancelToken()  # set when the handshake is over, however
        grace, for_grants = settings.cancel_grace, shares_of(settings)[1]
        config = ConnectionConfig(settings.hello_timeout, grace, grace, for_grants, "kcoro_core")
        self.node = NODE_ID
        self.wire = Connection(side, self.node, host.random.randbytes(NONCE_SIZE), limits_of(settings), config)
        self.pump = Pump(host, vtable, conn, self.wire, settings.cancel_grace)
        self._exporting = Home(
            host,
            self.wire,
            offer.exports,
            offer.rule,
            settings.receive_budget,
            self.pump.flush,
            self.pump.owe,
        )
        self._exporting.made = Made(host, offer.exports, offer.rule, offer.allow_make, settings.receive_budget)
        self.calling = Calling()
        self._answering = Answering(
            host,
            self.wire,
            offer.handlers,
            offer.rule,
            settings.receive_budget,
            self.pump.flush,
            self._exporting.name_of,
        )
        self.draining: Drain | None = None
        self._peer_drains = False
        self._farewell = ""
        self.pump.after_turn = self._answering.resume
        self.pump.handlers = {
            **self._exporting.handlers,
            events.CallRequested: self._answering.on_call,
            events.CancelRequested: self._on_cancel_requested,
            events.CallAnswered: self.calling.on_answer,
            events.Established: self._on_established,
            events.Opened: self._on_opened,
            events.ReplyReceived: self._on_reply,
            events.ElementReceived: self._on_element,
            events.InfoReceived: self._on_info,
            events.Notified: self._on_notified,
            events.NamesReceived: self._on_names,
            events.ChannelCloseHeard: self._on_close_heard,
            events.RequestInDoubt: self._on_in_doubt,
            events.DataInDoubt: self._on_data_in_doubt,
            events.AheadRecalled: self._on_ahead_recalled,
            events.Detached: self._on_detached,
            events.DrainHeard: self._on_drain_heard,
            events.PeerBye: self._on_peer_bye,
            events.ConnectionEnded: self._on_ended,
        }

    def __repr__(self) -> str:
        return f"<Link {self.uri} {self.wire.state.value}>"

    # -- for users

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        hello = self.wire.peer
        if hello is None:
            return Peer(self._identity)
        return Peer(self._identity, hello.node_id.hex(), hello.software)

    @property
    def closed(self) -> bool:
        """Whether the link has ended or is about to: nothing can be asked any more."""
        return self.wire.state in (State.CLOSING, State.DEAD)

    async def open(
        self,
        name: str,
        prefetch: int = 0,
        lend: bool = False,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        on_undelivered: UndeliveredHook | None = None,
        weight: int = 1,
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

        :raises NotFound: the peer exports nothing of that name.
        :raises AccessDenied: you may not use it.
        :raises NoBuffers: as many channels are open on this link as both sides agreed to.
        :raises ChannelClosed: the link was closed. LinkLost: it was lost.
        :raises DeadlineExceeded: no answer came in time. OperationCancelled: ``cancel`` is set.
        """
        check_name(name)
        check_count(prefetch, 0, "prefetch, in elements")
        check_hook(on_undelivered)
        if check_count(weight, 1, "weight, in shares") > MAX_WEIGHT:
            raise ValueError(f"weight, in shares: at most {MAX_WEIGHT}, not {weight}")
        wanted = OpenRequest(name, OpenFlag.LEND if lend else OpenFlag(0), weight=weight)
        channel: RemoteChannel = await ask(
            self, lambda: self.wire.open(wanted), name, f"open {name!r} over {self.uri}", timeout, cancel
        )
        channel._on_undelivered = on_undelivered
        channel._lends = lend
        if prefetch:
            channel._prefetch = Prefetch(channel, prefetch)
            channel._prefetch.top_up()
        return channel

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

        :raises AlreadyExists: the name is taken. AccessDenied: you may not make it.
        :raises NoBuffers: you have made as many as you may, or its capacity is too much.
        :raises ValueError: kind, capacity and overflow do not fit each other, or what is there.
        """
        return cast(RemoteChannel, await make(self, (name, kind, capacity, overflow), exist_ok, timeout, cancel))

    async def list(self, timeout: float | None = None, cancel: CancelToken | None = None) -> Sequence[Listed]:
        """The names that you may open at the other side, sorted, with the kind and your rights; one request a page.

        Names that you may not use are not told.
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
        stats = self.wire.stats()
        return LinkSnapshot(
            state=self.wire.state.value,
            opened=len(self._channels),
            exported=self._exporting.open_channels,
            requests_in_flight=stats.requests_in_flight,
            waiting_here=self._exporting.waiting,
            queued_frames=stats.queued_frames,
            tx_backlog_bytes=self._vtable.tx_backlog(self._conn),
            frames_written=stats.frames_written,
            frames_read=stats.frames_read,
            bytes_written=stats.bytes_written,
            bytes_read=stats.bytes_read,
            late_replies=stats.late_replies + self.calling.dropped_answers,
            ignored_cancels=stats.ignored_cancels,
            calls_here=self._answering.running,
            dropped_calls=self._answering.dropped_calls,
        )

    # -- for dial and serve

    def start(self) -> None:
        """Begin to shake hands; whoever comes as a stranger hears HELLO and goodbye, and never that he is in."""
        self.pump.start()
        if self.wire.side is Side.ACCEPTING and self.is_stranger():
            self.turn_away()
        else:
            self.pump.pump()

    async def shake_hands(self) -> None:
        """Wait until the link can be used.

        :raises TransportError: nobody listens there, or the medium failed.
        :raises AccessDenied: one side does not want to talk to the other.
        :raises NotSupported: the versions do not fit. ProtocolError: the other side does not speak this protocol.
        :raises LinkLost: the other side did not answer in time.
        """
        await self._decided.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._ending is not None:
            raise self._ending.loss.cause

    def turn_away(self) -> None:
        """Refuse a peer of another user, with a farewell that says so."""
        text = "it talks to processes of its own user only"
        self._refusal = AccessDenied(f"{self.uri} is served by {self._identity}, not by this user; pass authorize=")
        self.say_goodbye(WireCode.EACCES, text)

    def say_goodbye(self, code: WireCode = WireCode.OK, text: str = "") -> None:
        """Begin an orderly end: what waits here for the peer is refused, then BYE; harmless when it has begun."""
        if self.wire.state not in (State.HELLO, State.OPEN):
            return
        self._leaving = True
        self._answering.leave(LEFT)
        self._exporting.leave(LEFT)
        self.wire.bye(self.host.now(), code, text)
        self.pump.pump()

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
            self.say_goodbye(text=reason)
            await self.pump.gone.wait()
            await host.pause()

    async def abandon(self) -> None:
        """End a link that has not been established; the peer sees the connection end."""
        with self.host.open_cancel_scope(shield=True):
            if self._refusal is None and self._ending is None:
                self.pump.abort(LinkLost("given up before the handshake was over"))
            await self.pump.gone.wait()
            await self.host.pause()

    # -- for handles and calls

    def handle_of(self, channel: int | RemoteChannel) -> RemoteChannel | None:
        """The handle of this link that a call names; None for 0, the link itself. Raises ValueError for any other."""
        handle = channel if isinstance(channel, RemoteChannel) else self._channels.get(channel)
        if handle is not None and handle._link is self:
            handle._check_attached()
            return handle
        if channel == 0:
            return None
        raise ValueError(f"{channel!r} is no open handle of {self!r}; 0 calls without a channel")

    def request(self, number: int, sending: bool, about: object, channel_id: int = 0) -> Pending:
        """A task is going to wait for the answer to this request, which was just queued."""
        op = self._requests[number] = Pending(self, self.host, number, sending, about, channel_id)
        self.pump.flush(crowded=len(self._requests) > FEW)
        return op

    def follow(self, number: int, op: Followed) -> None:
        """Tell ``op`` what becomes of this request of a select, which was just queued."""
        self._requests[number] = op

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._requests.pop(number, None)

    def withdraw(self, number: int) -> bool:
        """Give a request up; True when it was not written, and is gone."""
        if not self.wire.in_flight(number):
            return False
        gone = self.wire.cancel(number, self.host.now())
        if gone:
            self.forget(number)  # decided: the end of the link, should it come before its task runs, is not its end
        else:
            self.pump.flush()
            self.pump.set_timer()  # for the end of the grace
        return gone

    def detach(self, channel: RemoteChannel) -> None:
        """Give a handle up; receives end at once, the other requests with the home's answer."""
        if self.wire.state is not State.OPEN:
            return
        for number in self.wire.detach(channel._id):
            if (op := self._requests.pop(number, None)) is not None:
                op.refuse(channel.detached_error())
        channel._core.lost(channel.detached_error)
        self.pump.flush()

    def check_usable(self, about: object, channel_id: int = 0) -> None:
        """Raise what ended the link, if it has ended or is ending; ``about`` is who wants to know."""
        if self._ending is not None:
            raise self._ending.error(about, channel_id)
        if self.wire.life.state is not State.OPEN:
            raise left_error(about, LEFT_HERE)
        if self.draining is not None or self._peer_drains:
            raise left_error(about, DRAINING)

    # -- events

    def _on_established(self, news: events.Established) -> None:
        self._identity = self._vtable.peer(self._conn)
        if self.is_stranger():
            self.turn_away()
            return
        self.established = True
        limits = news.agreement.limits
        self._exporting.agree(self._identity, limits.max_message)
        self._answering.agree(self._identity, limits.max_inflight_requests, limits.max_message)
        self._decided.trigger()
        self._on_news(self)

    def is_stranger(self) -> bool:
        """Whether the default rule forbids to talk to this peer at all; a rule of the program decides name by name."""
        told = Capability.PEER_IDENTITY in self._vtable.info.capabilities
        return self._offer.authorize is None and told and not same_user(self._vtable.peer(self._conn))

    def _on_opened(self, news: events.Opened) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is None:
            if self.wire.state is State.OPEN:  # else the farewell gives up all handles
                self.wire.detach(news.channel_id)
            return
        channel = RemoteChannel(self, str(op.about), news.channel_id, news.attributes)
        self._channels[news.channel_id] = channel
        op.succeed(channel)

    def _on_cancel_requested(self, news: events.CancelRequested) -> None:
        if is_call(news.command):
            self._answering.cancel(news.request_id)
        else:
            self._exporting.cancel(news)

    def _on_reply(self, news: events.ReplyReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is None:
            if is_call(news.command):
                channel = self._channels.get(news.channel_id)
                self.calling.on_reply(news, detached=channel is not None and channel._detached)
            elif news.command is Command.RECV and (ahead := self._ahead_of(news.channel_id)) is not None:
                ahead.refused(news)
            return
        if not news.code:
            op.succeed()
        elif news.code == WireCode.ECANCELED and op.asked_to_cancel:
            op.not_done()
        elif news.command is Command.RECV and self._answered_ahead(news, op):
            pass
        else:
            op.refuse(self._error_of(news))

    def _error_of(self, news: events.ReplyReceived) -> Exception:
        channel = self._channels.get(news.channel_id)
        if channel is None:
            return error_of(news.code, news.text)
        if news.code == WireCode.EPIPE:
            return channel.closed_error(news.text)
        if news.code == WireCode.ECANCELED and channel._detached:
            return channel.detached_error()
        return error_of(news.code, f"{news.text or 'refused'}: {channel!r}")

    def _on_element(self, news: events.ElementReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        ahead = self._ahead_of(news.channel_id)
        element = Redelivered(news.element) if news.redelivered else news.element
        if op is None:
            if ahead is None or not ahead.arrived(news.request_id, element):
                self.wire.putback(news.request_id)
            return
        if ahead is not None:
            op.succeed(ahead.exchange(news.request_id, element))
            return
        self.wire.taken(news.request_id)
        op.succeed(element)

    def _on_info(self, news: events.InfoReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is not None:
            op.succeed(news.info)

    def _answered_ahead(self, news: events.ReplyReceived, op: Pending | Followed) -> bool:
        """A receive was refused where elements come ahead; whether that is not its answer."""
        ahead = self._ahead_of(news.channel_id)
        if ahead is None or news.command != Command.RECV:
            return False
        if news.code == WireCode.EAGAIN and (element := ahead.take()) is not None:
            op.succeed(element)  # it came in front of the answer to a try
            return True
        if news.code != WireCode.ENOTSUP:
            return False
        ahead.stop()  # the home sends nothing ahead: the task that took this receive over waits by a plain one
        if op.asked_to_cancel:
            op.not_done()
        else:
            try:
                self.check_usable(op.about, news.channel_id)
                op.number = self.wire.recv(news.channel_id)
            except KcoroError as error:  # the link is ending, or has no room for one more request: nothing was taken
                op.refuse(error)
            else:
                self._requests[op.number] = op
                self.pump.flush()
        return True

    def _ahead_of(self, channel_id: int) -> Prefetch | None:
        channel = self._channels.get(channel_id)
        return None if channel is None else channel._prefetch

    def _on_ahead_recalled(self, news: events.AheadRecalled) -> None:
        if (ahead := self._ahead_of(news.channel_id)) is not None:
            ahead.recalled()

    def _on_notified(self, news: events.Notified) -> None:
        op = self._requests.get(news.request_id)
        if op is not None:
            op.notified(news.events, news.token)

    def expect(self, select: RemoteSelect) -> None:
        """Have a select look once all that has arrived was heard."""
        self.expectant[select] = None
        self.pump.on_heard = self.on_heard

    def on_heard(self) -> None:
        """All that had arrived was heard: selects that have turns choose now."""
        self.pump.on_heard = None
        while self.expectant:
            select = next(iter(self.expectant))
            del self.expectant[select]
            select.look()

    def _on_names(self, news: events.NamesReceived) -> None:
        op = self._requests.pop(news.request_id, None)
        if op is not None:
            op.succeed(news)

    def _on_in_doubt(self, news: events.RequestInDoubt) -> None:
        channel = self._channels.get(news.channel_id)
        if channel is not None and news.sends:
            channel._doubtful += 1
        op = self._requests.pop(news.request_id, None)
        if op is not None:
            op.doubt()
        elif is_call(news.command):
            self.calling.on_in_doubt(news.request_id)

    def _on_close_heard(self, news: events.ChannelCloseHeard) -> None:
        channel = self._channels.get(news.channel_id)
        if channel is not None:
            channel._heard(news.closing)

    def _on_data_in_doubt(self, news: events.DataInDoubt) -> None:
        channel = self._channels[news.channel_id]
        for element in news.elements:
            channel.undelivered(element, Undelivered.IN_DOUBT)

    def _on_detached(self, news: events.Detached) -> None:
        self._exporting.detached(news.channel_id)
        self._channels.pop(news.channel_id, None)

    # -- the end

    def begin_drain(self, draining: Drain) -> None:
        """From now on see after each turn whether what is drained is finished."""
        self.draining = draining
        look, resume = draining.look, self._answering.resume

        def after_turn() -> None:
            resume()
            look()

        self.pump.after_turn = after_turn

    def _on_drain_heard(self, _news: events.DrainHeard) -> None:
        self._peer_drains = True

    def _on_peer_bye(self, news: events.PeerBye) -> None:
        self._farewell = news.text
        self._peer_left = not news.code and not self._leaving

    def _on_ended(self, news: events.ConnectionEnded) -> None:
        for channel in self._channels.values():
            if channel._prefetch is not None:
                channel._prefetch.end()
        for lost in news.report.data:
            self._channels[lost.channel_id]._doubtful += 1
        handles = {channel_id: (one.name, one._doubtful) for channel_id, one in self._channels.items()}
        ending = Ending.of(news.report, handles, left_here=self._leaving, peer_left=self._peer_left)
        self._ending = ending
        if self.draining is not None:
            self.draining.lost(news.report, ending)
        self._answering.lost()
        requeued = self._exporting.lost(news.report)
        self.report = ending.report(self._farewell, requeued)
        requests, self._requests = self._requests, {}
        for number, op in requests.items():
            op.lose(ending.error(op.about, op.channel_id), ending.is_in_doubt(number))
        for channel in self._channels.values():
            channel._core.lost(partial(ending.error, channel, channel.id))
        self.calling.lost(ending)
        for lost in news.report.data:
            self._channels[lost.channel_id].undelivered(lost.element, Undelivered.IN_DOUBT)
        # News of a server may lie unread, and this link with it: of what the peer had under way nothing is kept.
        self._ending = ending.without_cases()
        self.wire.forget()
        self._decided.trigger()
        self._on_news(self)
