# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The life of a link: shaking hands, in use, leaving or being drained, over; and what may still be asked meanwhile.

``dial`` and ``serve`` call what begins and ends it, the peer and the medium are heard as events, and every request asks
``check_usable`` first.

Rule 1: a peer that the default rule forbids to talk to is turned away before it hears that it is in.
Rule 2: the end is told once to everybody who is concerned, each with what is known of his own; then nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..cancel import CancelToken
from ..errors import AccessDenied, LinkLost
from ..transport import Capability, Identity
from ..wire import events
from ..wire.codes import WireCode
from ..wire.connection import Side
from ..wire.states import State
from .draining import DRAINING, Drain
from .ending import LEFT, LEFT_HERE, Ending, left_error
from .identity import same_user
from .offer import Offer
from .report import LinkReport

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Lifecycle"]


class Lifecycle:
    """How far one link has come; ``handlers`` hear what moves it on.

    ``established``: both sides have shaken hands, however long ago. ``identity``: who is there, as the medium knows
    it. ``draining``: this side drains it. ``report``: how it ended, None before.
    """

    def __init__(self, link: Link, offer: Offer, on_news: Callable[[Link], object]) -> None:
        """``on_news`` is called with the link when it is established, and when it has ended."""
        self.established = False
        self.identity = Identity("none")
        self.draining: Drain | None = None
        self.report: LinkReport | None = None
        self._link = link
        self._pump = link.pump
        self._wire = link.wire
        self._wire_life = link.wire.life
        self._offer = offer
        self._on_news = on_news
        self._decided = CancelToken()  # set when the handshake is over, however
        self._refusal: AccessDenied | None = None
        self._leaving = False
        self._peer_left = False
        self._peer_drains = False
        self._farewell = ""  # what the peer said when it left
        self._ending: Ending | None = None
        self.handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.Established: self._on_established,
            events.DrainHeard: self._on_drain_heard,
            events.PeerBye: self._on_peer_bye,
            events.ConnectionEnded: self._on_ended,
        }

    def check_usable(self, about: object, channel_id: int = 0) -> None:
        """Raise what ended the link, if it has ended or is ending; ``about`` is who wants to know."""
        if self._ending is not None:
            raise self._ending.error(about, channel_id)
        if self._wire_life.state is not State.OPEN:
            raise left_error(about, LEFT_HERE)
        if self.draining is not None or self._peer_drains:
            raise left_error(about, DRAINING)

    # -- shaking hands

    def start(self) -> None:
        """Begin to shake hands; whoever comes as a stranger hears HELLO and goodbye, and never that he is in."""
        self._pump.start()
        if self._wire.side is Side.ACCEPTING and self._is_stranger():
            self.turn_away()
        else:
            self._pump.pump()

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

    def _on_established(self, news: events.Established) -> None:
        link = self._link
        self.identity = link._vtable.peer(link._conn)
        if self._is_stranger():
            self.turn_away()
            return
        self.established = True
        limits = news.agreement.limits
        link._exporting.agree(self.identity, limits.max_message)
        link._answering.agree(self.identity, limits.max_inflight_requests, limits.max_message)
        self._pump.set_timer()  # the first sign of life may be due before the handshake had to be over
        self._decided.trigger()
        self._on_news(link)

    def _is_stranger(self) -> bool:
        """Whether the default rule forbids to talk to this peer at all; a rule of the program decides name by name."""
        vtable = self._link._vtable
        if self._offer.authorize is not None or Capability.PEER_IDENTITY not in vtable.info.capabilities:
            return False
        peer = vtable.peer(self._link._conn)
        # Whoever dials has named the server, and its certificate was verified for that name. Whoever serves has named
        # nobody: that an authority vouches for a peer does not say what he may do here.
        meant = self._wire.side is Side.CONNECTING and peer.verified and peer.kind == "certificate"
        return not meant and not same_user(peer)

    def turn_away(self) -> None:
        """Refuse a peer of another user, with a farewell that says so."""
        text = "it talks to processes of its own user only"
        refusal = f"{self._link.uri} is served by {self.identity}, not by this user; pass authorize="
        self._refusal = AccessDenied(refusal)
        self.say_goodbye(WireCode.EACCES, text)

    # -- leaving

    def say_goodbye(self, code: WireCode = WireCode.OK, text: str = "") -> None:
        """Begin an orderly end: what waits here for the peer is refused, then BYE; harmless when it has begun."""
        if self._wire.state not in (State.HELLO, State.OPEN):
            return
        self._leaving = True
        self._link._answering.leave(LEFT)
        self._link._exporting.leave(LEFT)
        self._wire.bye(self._link.host.now(), code, text)
        self._pump.pump()

    def begin_drain(self, draining: Drain) -> None:
        """From now on nothing new is asked, and after each turn it looks whether what is under way is finished."""
        self.draining = draining
        look, resume = draining.look, self._link._answering.resume

        def after_turn() -> None:
            resume()
            look()

        self._pump.after_turn = after_turn

    async def abandon(self) -> None:
        """End a link that has not been established; the peer sees the connection end."""
        host = self._link.host
        with host.open_cancel_scope(shield=True):
            if self._refusal is None and self._ending is None:
                self._pump.abort(LinkLost("given up before the handshake was over"))
            await self._pump.gone.wait()
            await host.pause()

    def _on_drain_heard(self, _news: events.DrainHeard) -> None:
        self._peer_drains = True

    def _on_peer_bye(self, news: events.PeerBye) -> None:
        self._farewell = news.text
        self._peer_left = not news.code and not self._leaving

    # -- the end

    def _on_ended(self, news: events.ConnectionEnded) -> None:
        link, loss = self._link, news.report
        handles = link.opener.count(loss)
        ending = self._ending = Ending.of(loss, handles, left_here=self._leaving, peer_left=self._peer_left)
        if self.draining is not None:
            self.draining.lost(loss, ending)
        link._answering.lost()
        requeued = link._exporting.lost(loss)
        self.report = ending.report(self._farewell, requeued)
        link.opener.lost(ending)
        # News of a server may lie unread, and this link with it: of what the peer had under way nothing is kept.
        self._ending = ending.without_cases()
        self._wire.forget()
        for part in (self._pump, link._exporting, link.opener, self):
            part.handlers.clear()  # this was the last event
        self._decided.trigger()
        self._on_news(link)
