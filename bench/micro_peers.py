# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who the micro-benchmarks are of: either engine of kcoro, and trio's memory channels beside them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Protocol

from native_peers import MINUTE, Kcoro, Peer, Trio

__all__ = ["PEERS", "Micro"]

Ask = Callable[[bytes], Awaitable[bytes]]
COMMAND = 64


class Micro(Peer, Protocol):
    """What the micro-benchmarks want of a library besides."""

    def coroutine(self) -> Any:
        """Its class of plain functions with stacks of their own."""

    def brief(self) -> Callable[[], object]:
        """What sets a timer and takes it back."""

    def linked(self) -> AbstractAsyncContextManager[Ask]:
        """A link whose other end answers bytes with the same bytes."""


class Ours(Kcoro):
    """An engine of kcoro, on a host."""

    _numbers = itertools.count()

    def coroutine(self) -> Any:
        """Coroutines of the engine. RuntimeError: they are another one's."""
        coroutine = self.kcoro.Coroutine
        if ("Native" in type(coroutine(int)).__name__) != (self.engine == "native"):
            raise RuntimeError(f"these are no coroutines of the {self.engine} engine")
        return coroutine

    def brief(self) -> Callable[[], object]:
        """A timer of the host."""
        now, call_at = self.timers()

        def set_and_take_back() -> None:
            call_at(now() + MINUTE, _never).cancel()

        return set_and_take_back

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[Ask]:
        """Over ``mem:``, with both ends in this process."""
        where = f"mem:micro-{next(self._numbers)}"
        async with self.kcoro.serve(where, handlers={COMMAND: _echo}), self.kcoro.dial(where) as link:
            yield lambda payload: link.rpc_send(COMMAND, 0, payload).wait()


class MicroTrio(Trio):
    """Trio, which has no coroutines with stacks and no links."""

    def coroutine(self) -> Any:
        """There are none."""
        raise NotImplementedError

    def brief(self) -> Callable[[], object]:
        """A cancel scope with a deadline is entered and left."""
        move_on_after = self.trio.move_on_after

        def set_and_take_back() -> None:
            with move_on_after(MINUTE):
                pass

        return set_and_take_back

    def linked(self) -> AbstractAsyncContextManager[Ask]:
        """There are none."""
        raise NotImplementedError


def _never() -> None:
    raise RuntimeError("no timer of this program is ever due")


def _echo(request: Any) -> bytes:
    return bytes(request.payload)


PEERS: dict[str, Callable[[], Peer]] = {
    "reference": partial(Ours, "trio", "reference"),
    "native": partial(Ours, "native"),
    "trio": MicroTrio,
}
"""How to make each; ImportError: it is not installed."""
