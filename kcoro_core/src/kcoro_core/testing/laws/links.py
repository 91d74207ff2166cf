# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The harnesses of links: the channel lives behind a server, and laws reach it through a handle on the dialling side.

Both ends run in one process and one run, so that time is virtual where the host's is, over any transport. Links carry
bytes, and laws send texts, numbers and tuples of them; so each value travels as JSON, and its lists are tuples again.

A mixed harness gives out channels of this process and handles over two links in turn: for select, whose clauses may be
anywhere (rows N5, X1).
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import attrs
import trio
import trio.testing

from ... import config, plugins, run
from ...channel import Channel, channel
from ...engine import ChannelSnapshot
from ...hosts import script
from ...link.dial import dial
from ...link.identity import Authorize
from ...link.link import Link
from ...link.remote import RemoteChannel
from ...link.selecting import End
from ...link.serve import Server, serve
from ...transport import Capability, Certificates
from .harness import Harness
from .registry import Need
from .shapes import Shape

QUIET_SECONDS: Final = 500_000

__all__ = ["LinkHarness", "ScriptLinkHarness", "TrioLinkHarness"]


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def _decode(data: Any) -> Any:
    return _tuples(json.loads(bytes(data)))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _decoding(hook: Callable[..., object] | None) -> Callable[..., object] | None:
    return None if hook is None else lambda data, why, of: hook(_decode(data), why, of)


@contextmanager
def using_setting(name: str, value: str) -> Iterator[None]:
    """Have a setting in force for the block, as its variable in the environment would."""
    variable = f"KCORO_{name.upper()}"
    before = os.environ.get(variable)
    os.environ[variable] = value
    config.reload()
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
        config.reload()


def _rule(scheme: str) -> Authorize | None:
    """The default one where the medium names users, else whatever peer there is; a law is about something else."""
    info = plugins.transport(scheme).info
    names_users = Capability.PEER_IDENTITY in info.capabilities and info.certificates is Certificates.NONE
    return None if names_users else lambda *_: True


class Handle:
    """A remote handle with a codec in front, so that laws may send what they send locally."""

    def __init__(self, remote: RemoteChannel, home: Channel[bytes]) -> None:
        self.remote = remote
        self.home = Home(home, remote)
        remote._core = CodecEnd(remote)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.remote, name)

    def __bool__(self) -> bool:
        return bool(self.remote)

    def __len__(self) -> int:
        return len(self.remote)

    async def send(self, value: Any, *args: Any, **kwargs: Any) -> None:
        """Send a literal."""
        await self.remote.send(_encode(value), *args, **kwargs)

    async def recv(self, *args: Any, **kwargs: Any) -> Any:
        """Receive a literal."""
        return _decode(await self.remote.recv(*args, **kwargs))

    def __aiter__(self) -> Handle:
        return self

    async def __anext__(self) -> Any:
        return _decode(await anext(self.remote))


class CodecEnd(End):
    """What a clause has of such a handle: its values are literals as well."""

    __slots__ = ()

    def outgoing(self, value: Any) -> bytes:
        """A literal as bytes."""
        return _encode(value)

    def incoming(self, element: bytes) -> Any:
        """The literal again."""
        return _decode(element)


class Home:
    """The channel at its home; its counters of failures also count the calls that failed without asking it."""

    def __init__(self, home: Channel[bytes], remote: RemoteChannel) -> None:
        self._channel = home
        self._remote = remote

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def __len__(self) -> int:
        return len(self._channel)

    def snapshot(self) -> ChannelSnapshot:
        """The snapshot of the home, and what never reached it."""
        state = self._channel.snapshot()
        would_block, deadline, cancelled, closed = self._remote._unasked
        return attrs.evolve(
            state,
            failed_would_block=state.failed_would_block + would_block,
            failed_deadline=state.failed_deadline + deadline,
            failed_cancelled=state.failed_cancelled + cancelled,
            failed_closed=state.failed_closed + closed,
        )


class LinkHarness(Harness):
    """A server and a link to it over ``scheme``, around each law; the address may say more behind its scheme."""

    remote: ClassVar[bool] = True

    def __init__(self, scheme: str, address: str = "", *, mixed: bool = False) -> None:
        self.scheme = scheme
        self.address = address
        self.mixed = mixed
        self._names = itertools.count()
        self._server: Server | None = None
        self._places: Iterator[Link | None] = iter(())  # where the next channel is; None is here

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run ``main`` on a new run of the host."""
        raise NotImplementedError

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        async def linked() -> None:
            async with (
                serve(f"{self.scheme}:{self.address}", authorize=_rule(self.scheme)) as self._server,
                dial(self._server.uri) as first,
                dial(self._server.uri) as second,
            ):
                self._places = itertools.cycle((first, None, second) if self.mixed else (first,))
                await main()
            self._server, self._places = None, iter(())

        # Some laws wait for weeks of virtual time; signs of life every 30 seconds would fill them.
        with using_setting("keepalive", str(QUIET_SECONDS)):
            self.run(linked)

    async def channel(self, shape: Shape, on_undelivered: Callable[..., object] | None = None) -> Any:
        assert self._server is not None
        place = next(self._places)
        if place is None:
            return channel(shape.kind, shape.capacity, shape.overflow, on_undelivered)
        home = channel(shape.kind, shape.capacity, shape.overflow, _decoding(on_undelivered))
        name = f"law {next(self._names)}"
        self._server.export(name, home)
        return Handle(await place.open(name), home)

    def home(self, ch: Any) -> Any:
        return ch.home if isinstance(ch, Handle) else super().home(ch)

    def put(self, ch: Any, value: Any) -> None:
        super().put(ch, _encode(value) if isinstance(ch, Handle) else value)

    def take(self, ch: Any) -> Any:
        value = super().take(ch)
        return _decode(value) if isinstance(ch, Handle) else value


class TrioLinkHarness(LinkHarness):
    """Trio under a mock clock: both ends are in one process, so the clock jumps only when nothing is under way.

    Where something else carries the bytes, such as a process in between, that is not so: see ``crossing``.
    """

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME, Need.TRIO, Need.DESCRIPTORS, Need.SIGNALS})

    def __init__(self, scheme: str, *, strict: bool, mixed: bool = False) -> None:
        super().__init__(scheme, mixed=mixed)
        self.strict = strict
        self.name = f"{scheme}-trio-{'strict' if strict else 'budgeted'}{'-mixed' * mixed}"  # type: ignore[misc]

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        if self.strict:
            trio.run(main, clock=clock)
        else:
            run(main, clock=clock)


class ScriptLinkHarness(LinkHarness):
    """The script host, for transports that need no descriptor."""

    offers: ClassVar = frozenset({Need.VIRTUAL_TIME})

    def __init__(self, scheme: str, seed: int = 0, address: str = "", *, mixed: bool = False) -> None:
        super().__init__(scheme, address, mixed=mixed)
        self.seed = seed
        self.name = f"{scheme}-script-{seed}{'-mixed' * mixed}"  # type: ignore[misc]

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        script.run(main, seed=self.seed)
