# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Serving: listening at an address, with a link for each peer that comes.

Rule 1: whatever a peer does, and whatever accepting it fails with, the server goes on.
Rule 2: links are bounded, half-made ones included; who comes then waits in the listener's bounded queue, until a link
has ended, or a half-made one has been silent for so long that it makes room.
Rule 3: who may connect is decided before anything of a peer is read, who may open what, name by name.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from .. import plugins
from ..channel import channel
from ..config import Settings, settings
from ..errors import LinkLost, NotSupported
from ..halves import Receiver
from ..hosts.port import READ, WRITE, Handle, Host, current_host, find_host
from ..parking import HomeBound
from ..semantics import BUFFERED, DROP_OLDEST
from ..transport import Capability, Vtable
from ..wire.codes import WireCode
from ..wire.connection import Side
from .answering import Handlers, check_handlers
from .arguments import address_of, check_address, check_authorize, check_count, check_medium, check_name
from .dial import NO_HANDLERS, NOTHING
from .exports import exports_of
from .identity import Authorize
from .link import Link
from .offer import Offer, limits_of
from .report import Joined, Lost

__all__ = ["Server", "serve"]

MAX_EVENTS: Final = 1024
"""How much news a server keeps for a program that does not read it; the oldest goes first."""
PATIENCE: Final = 0.1
"""The part of hello_timeout that a half-made link has for itself; then it makes room, if the server is full."""
RETRY_SECONDS: Final = 0.1
"""How long accepting pauses after a failure such as a shortage of descriptors."""

log = logging.getLogger("kcoro.link")


class Server(HomeBound):
    """A listener and the links that came through it; ``serve`` gives it.

    ``uri`` is the address that others can dial. ``events`` receives Joined and Lost, at most 1,024 unread ones. From
    another run or thread each method raises WrongLoop, and changes nothing.
    """

    def __init__(
        self,
        host: Host,
        vtable: Vtable,
        listener: Any,
        offer: Offer,
        config: Settings,
        max_links: int,
    ) -> None:
        super().__init__()
        self.uri: str = vtable.local_uri(listener)
        self._home = self._host = host
        self._vtable = vtable
        self._listener = listener
        self._offer = offer
        self._settings = config
        self._max_links = max_links
        self._links: dict[Link, float] = {}  # and when each was accepted
        self._news = channel(BUFFERED, MAX_EVENTS, DROP_OLDEST, name=f"events of {self.uri}")
        self._news._home = host
        self.events: Receiver[Joined | Lost] = self._news.receiver()
        self._watch: Handle | None = None
        self._watched = -1
        self._timer: Handle | None = None
        self._due: Handle | None = None  # when the medium has something to do, whoever comes
        self._posted: Handle | None = None
        self._open = True

    def __repr__(self) -> str:
        return f"<Server {self.uri}, {len(self._links)} links>"

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that have shaken hands and not ended, oldest first."""
        return tuple(link for link in self._links if link.lifecycle.established and not link.closed)

    def export(self, name: str, end: object, redelivery: str = "drop") -> None:
        """Let peers open one more name, from now on; what had that name before stays open to those who have it.

        :raises ValueError: the name, the end or the policy makes no sense.
        :raises WrongLoop: the channel belongs to another run.
        """
        self._enter(find_host())
        self._offer.exports.update(exports_of({check_name(name): end}, self._host, redelivery))

    def withdraw(self, name: str) -> None:
        """Let nobody open that name any more; handles that are open stay so. Harmless for a name that is not there."""
        self._enter(find_host())
        self._offer.exports.pop(name, None)

    # -- accepting

    def start(self) -> None:
        """Begin to accept."""
        self._vtable.set_waker(self._listener, self._soon)
        self._accept()

    def _soon(self) -> None:
        """Accept in a later step: the waker may be called from the middle of anything."""
        if self._posted is None and self._open:
            self._posted = self._host.call_at(self._host.now(), self._posted_accept)

    def _posted_accept(self) -> None:
        self._posted = None
        self._accept()

    def _accept(self) -> None:
        if not self._open:
            return
        try:
            self._vtable.pump(self._listener, self._host.now(), READ | WRITE)
            while self._has_room() and (conn := self._vtable.accept(self._listener)) is not None:
                if len(self._links) >= self._max_links:
                    self._evict()
                self._admit(conn)
        except Exception as error:  # noqa: BLE001 - out of descriptors, a plugin's defect: the server goes on
            log.warning("%s could not accept a connection: %s", self.uri, error)
            self._pause()
        else:
            self._arm()

    def _admit(self, conn: Any) -> None:
        link = Link(
            self._host,
            self._vtable,
            conn,
            Side.ACCEPTING,
            self.uri,
            self._offer,
            self._settings,
            self._on_news,
        )
        self._links[link] = self._host.now()
        link.pump.gone.on_trigger(lambda: self._forget(link))
        link.lifecycle.start()

    def _has_room(self) -> bool:
        """Whether one more can be accepted; then it waits for nobody, and nothing else does."""
        return len(self._links) < self._max_links or self._room_at() <= self._host.now()

    def _room_at(self) -> float:
        """When the oldest half-made link has to make room; never, if all have shaken hands."""
        half_made = self._oldest_half_made()
        if half_made is None:
            return math.inf
        return self._links[half_made] + PATIENCE * self._settings.hello_timeout

    def _oldest_half_made(self) -> Link | None:
        return next((link for link in self._links if not link.lifecycle.established), None)

    def _evict(self) -> None:
        """Full of links of which some never say a word: the one that has been silent for longest goes."""
        link = self._oldest_half_made()
        if link is not None:
            del self._links[link]
            link.lifecycle.say_goodbye(WireCode.ENOBUFS, "the server is full, and the handshake took too long")
            link.pump.abort(LinkLost("made room for another peer before its handshake was over"))

    def _pause(self) -> None:
        """Try again later, without watching: a level-triggered descriptor would spin."""
        if self._timer is None:
            self._timer = self._host.call_at(self._host.now() + RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._accept()

    def _arm(self) -> None:
        if not self._has_room():
            self._wait_for_room()  # or until a link has ended
            return
        spec = self._vtable.poll_handle(self._listener)
        if spec.ready_now:
            self._soon()
        if self._due is not None:
            self._due.cancel()
        self._due = None if spec.deadline is None else self._host.call_at(spec.deadline, self._time_has_come)
        if spec.fd is not None and self._watch is None:
            self._watch = self._host.wait_fd(spec.fd, READ, self._fd_is_ready)

    def _time_has_come(self) -> None:
        self._due = None
        self._accept()

    def _wait_for_room(self) -> None:
        """Nobody is watched for; look again when a half-made link has had its time."""
        at = self._room_at()
        if at != math.inf and self._timer is None:
            self._timer = self._host.call_at(at, self._retry)

    def _fd_is_ready(self) -> None:
        self._watch = None
        self._accept()

    # -- links

    def _on_news(self, link: Link) -> None:
        """A link was established, or has ended; what never shook hands is nobody's news."""
        if self._news.closed:  # the program has closed its receiver: it wants no news
            return
        if link.report is None:
            self._news.try_send(Joined(link))
        elif link.lifecycle.established:
            self._news.try_send(Lost(link, link.report))

    def _forget(self, link: Link) -> None:
        self._links.pop(link, None)
        if self._open:
            self._soon()

    # -- the end

    def stop_listening(self) -> None:
        """Free the address; links go on."""
        self._enter(find_host())
        if not self._open:
            return
        self._open = False
        for handle in (self._watch, self._timer, self._due, self._posted):
            if handle is not None:
                handle.cancel()
        self._vtable.set_waker(self._listener, None)
        self._vtable.close(self._listener)

    async def aclose(self) -> None:
        """Stop listening and end every link in good order; takes at most two graces for all of them together."""
        self._enter(current_host())
        self.stop_listening()
        links = list(self._links)
        for link in links:
            link.lifecycle.say_goodbye()
        for link in links:
            await link.aclose()
        self._news.close()


@asynccontextmanager
async def serve(
    uri: str,
    export: Mapping[str, object] = NOTHING,
    authorize: Authorize | None = None,
    allow_make: int = 0,
    *,
    handlers: Handlers = NO_HANDLERS,
    redelivery: str | Mapping[str, str] = "drop",
    max_links: int = 256,
    **options: Any,
) -> AsyncIterator[Server]:
    """Listen at ``uri`` for the length of the block, and let peers open what ``export`` names.

    ``export`` maps names to a Channel (peers may send, receive and close), a Sender (they may send) or a Receiver (they
    may receive). ``handlers`` maps commands, 64 to 127, to functions ``(call) -> bytes``, plain or async, for the calls
    of peers. ``authorize(identity, name, operation)`` decides who may do what; without it only processes of the same
    user may connect. ``redelivery`` says what becomes of an element that was handed to a peer and not confirmed when
    the link is lost: ``"drop"`` reports it, ``"requeue"`` puts it back as Redelivered; or a mapping of names to these.
    ``allow_make`` is how many channels each peer may have made by ``link.make``; they end with its link.
    ``max_links`` bounds the connections at one time; ``options`` are those of the transport.

    At the end of the block the address is freed and every link is closed in good order.

    :raises NotSupported: no plugin serves the scheme, it loses or mixes up frames, or it cannot tell who connects and
        there is no ``authorize``.
    :raises AlreadyExists: somebody listens there. AccessDenied: the place cannot be made safe.
    :raises ValueError: the address, an option, an export or a handler makes no sense; nothing was started.
    """
    check_count(allow_make, 0, "allow_make, channels that a peer may make")
    check_count(max_links, 1, "max_links, connections at one time")
    check_address(uri)
    check_authorize(authorize)
    host = current_host()
    vtable = plugins.transport(uri)
    check_medium(vtable.info)
    if authorize is None and Capability.PEER_IDENTITY not in vtable.info.capabilities:
        raise NotSupported(
            f"{vtable.info.name}: cannot tell who connects, so a server over it needs authorize=; "
            "pass a function (identity, name, operation) -> bool"
        )
    offer = Offer(exports_of(export, host, redelivery), authorize, check_handlers(handlers), allow_make)
    await host.cancel_point()
    config = settings()
    limits_of(config)  # a setting that no link could offer is told now, and not to each peer
    listener = vtable.listen(address_of(uri), {"backlog": config.backlog, **options})
    server = Server(host, vtable, listener, offer, config, max_links)
    try:
        server.start()
        yield server
    finally:
        await server.aclose()
