# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A real link, its channels and its host, and a peer that is a script of bytes at the other end of its transport.

The peer is a connection whose frames are dropped, doubled, held back, changed and forged on their way. Without a lie
both agree to the end; with lies the link may be lost, and its program, and other peers, go on.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

from attrs import evolve

from kcoro_core import UNLIMITED, CancelToken, channel, config, dial, plugins, serve
from kcoro_core.errors import KcoroError, ProtocolError, TransportError
from kcoro_core.hosts.port import current_host
from kcoro_core.hosts.script import ScriptHost
from kcoro_core.link.answering import Call
from kcoro_core.run import sleep
from kcoro_core.transport import READ, WRITE, RawFrame
from kcoro_core.wire.connection import Side
from kcoro_core.wire.frame import FrameDecoder

from .bodies import BODIES
from .choices import Choices
from .lies import Mangler, forged
from .owners import ACTS, Owner
from .talkers import STEPS, Talker

URI = "mem:fuzzed"
MOST_STEPS = 100
MAX_SCRIPT_STEPS = 100_000
LARGEST = 1 << 24
LIMIT = 1 << 17
SMALL = {
    "max_frame": 4096,
    "max_message": 20_000,
    "max_channels": 3,
    "max_requests": 6,
    "receive_budget": 50_000,
}
"""Settings, small so that each of them is met soon."""


def fuzz_link(data: bytes) -> None:
    """The first bytes say which side the link is, and how its tasks take turns; then as for two connections."""
    choices = Choices(data)
    served, seed = choices.below(2) == 0, choices.below(8)
    with small_settings(), nothing_logged() as found:
        ScriptHost(seed=seed, max_steps=MAX_SCRIPT_STEPS).run(conversation, choices, served)
    assert not found, found


@contextlib.contextmanager
def small_settings() -> Iterator[None]:
    """SMALL in force for what is made in the block; reading the environment anew would take longer than the rest."""
    before = config.settings()
    config._current = evolve(before, **SMALL)
    try:
        yield
    finally:
        config._current = before


@contextlib.contextmanager
def nothing_logged() -> Iterator[list[str]]:
    """What is logged as an error, or raised where nobody can hear it, is a finding."""
    found: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    before, sys.unraisablehook = sys.unraisablehook, lambda record: found.append(repr(record.exc_value))
    logging.getLogger("kcoro").addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger("kcoro").removeHandler(handler)
        sys.unraisablehook = before


async def answer(call: Call) -> bytes:
    """The payload again, after a while for some."""
    if len(call.payload) % 2:
        await sleep(0.05)
    return call.payload


class Peer:
    """The other end: a talker that nobody trusts, behind a transport of frames."""

    def __init__(self, choices: Choices, side: Side) -> None:
        self.talker = Talker(side, choices, False)
        self.mangler = Mangler(choices)
        self.over = False
        self._vtable = plugins.transport(URI)
        self._conn: Any = None
        self._listener: Any = None
        self._decoder = FrameDecoder()  # what a stream makes of bytes
        self._unsent: deque[RawFrame] = deque()

    def listen(self) -> None:
        """Wait for the link."""
        self._listener = self._vtable.listen(URI, {})

    def connect(self) -> None:
        """Dial, or take who has dialled."""
        accepting = self._listener is not None
        self._conn = self._vtable.accept(self._listener) if accepting else self._vtable.connect(URI, {})

    async def cross(self, plain: bool = False) -> None:
        """What both have to write reaches the other."""
        await sleep(0.001)
        self._hear()
        frames = self.talker.write()
        self.say(self.mangler.plain(frames) if plain else self.mangler.passed(frames))
        await sleep(0.001)

    def say(self, data: bytes) -> None:
        """Write bytes: cut into frames, as a stream cuts them; what is no frame ends it, as it ends a stream."""
        if self.over:
            return
        self._decoder.feed(data)
        try:
            while (raw := self._decoder.next_raw(LIMIT)) is not None:
                self._unsent.append(raw)
            self._flush()
        except ProtocolError:
            self._leave()

    def _flush(self) -> None:
        try:
            while self._unsent and not self.over:
                raw = self._unsent[0]
                if not self._vtable.send_frame(self._conn, raw.header, (raw.payload,), 0):
                    return
                self._unsent.popleft()
        except TransportError:
            self.over = True

    def _hear(self) -> None:
        try:
            self._vtable.pump(self._conn, current_host().now(), READ | WRITE)
            while not self.over and (raw := self._vtable.recv_frame(self._conn, LARGEST)) is not None:
                self.talker.hear(raw.header + raw.payload)
        except TransportError:
            self.over = True
        self._flush()

    async def aclose(self) -> None:
        """Hang up, and give the other end the time to notice."""
        self._leave()
        await sleep(0.01)

    def _leave(self) -> None:
        self.over = True
        if self._conn is not None:
            self._vtable.abort(self._conn)
        if self._listener is not None:
            self._vtable.close(self._listener)


async def conversation(choices: Choices, served: bool) -> None:
    """From the handshake to the end of everything."""
    peer = Peer(choices, Side.CONNECTING if served else Side.ACCEPTING)
    async with current_host().open_nursery() as nursery:
        owner = Owner(choices, nursery)
        async with contextlib.aclosing(peer), linked(owner, peer, served):
            for _ in range(MOST_STEPS):
                if not choices or peer.over:
                    break
                await step(choices, owner, peer)
            if not peer.mangler.lies:
                await agree(owner, peer)
            await peer.aclose()
            owner.check_lost()
            if served:
                await another_peer_is_served()
        owner.jobs.close()
        await sleep(1)
        for token in list(owner.tokens):
            token.trigger()  # selects over a handle and a channel here
    owner.check_books()


@contextlib.asynccontextmanager
async def linked(owner: Owner, peer: Peer, served: bool) -> AsyncIterator[None]:
    """The link of the owner, as a server has it or as a dialler; the peer shakes hands without a lie."""
    offer: dict[str, Any] = {"export": {"jobs": owner.jobs}, "handlers": {64: answer, 65: lambda call: b""}}
    if served:
        offer["export"]["fine"] = channel(UNLIMITED)
        async with serve(URI, allow_make=1, **offer) as server:
            peer.connect()
            await shaken(peer)
            [owner.link] = server.links
            yield
    else:
        peer.listen()
        over = CancelToken()

        async def live() -> None:
            async with dial(URI, **offer) as owner.link:
                await over.wait()

        owner.nursery.start_soon(live)
        await sleep(0.001)
        peer.connect()
        await shaken(peer)
        yield
        over.trigger()


async def shaken(peer: Peer) -> None:
    """The handshake is over; no byte was used up for it."""
    choices, peer.talker.choices = peer.talker.choices, Choices(b"")
    for _ in range(3):
        await peer.cross(plain=True)
    peer.talker.choices = choices


async def step(choices: Choices, owner: Owner, peer: Peer) -> None:
    """One thing happens."""
    choice = choices.below(256)
    if choice < 64:
        if (done := ACTS.get(choice % 32, Owner.nothing)(owner)) is not None:
            await done
        return
    if choice < 128 and (does := STEPS.get(choice % 32)) is not None and peer.talker.ended is None:
        does(peer.talker)
        return
    if choice >= 240:
        peer.say(peer.mangler.forge(forged(choices, BODIES)))
    await peer.cross()


async def agree(owner: Owner, peer: Peer) -> None:
    """Neither has lied: neither may have broken the protocol."""
    for _ in range(5):
        if not peer.over:
            await peer.cross(plain=True)
    assert owner.link is not None
    for end in (owner.link.report, peer.talker.ended):
        assert end is None or not isinstance(end.cause, ProtocolError), f"ended: {end.cause}"


async def another_peer_is_served() -> None:
    """As if nothing had happened."""
    try:
        async with dial(URI) as link:
            fine = await link.open("fine")
            await fine.send(b"fine")
            assert await fine.recv() == b"fine"
    except KcoroError as error:
        raise AssertionError(f"another peer is not served: {error!r}") from error
