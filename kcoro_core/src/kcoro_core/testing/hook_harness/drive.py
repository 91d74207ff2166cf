# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A connection or a listener of any transport, driven by trio: one task waits for what is announced, and pumps.

    poll_handle --> fd readable | fd writable | deadline | waker | ready_now --> pump --> look again

Rule 1: nothing but the announcement is waited for, and nothing is tried in between.
Rule 2: an end that pump raises is kept; whoever waits for something is woken and finds out by asking.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import trio

from ...errors import TransportError
from ...transport import READ, WRITE, PollSpec, Vtable

__all__ = ["AT_REST", "Driver"]

T = TypeVar("T")

AT_REST: Final = PollSpec()
"""What poll_handle says for whoever waits for nothing any more."""
WAITS: Final[dict[int, Callable[[int], Awaitable[None]]]] = {
    READ: trio.lowlevel.wait_readable,
    WRITE: trio.lowlevel.wait_writable,
}


class Driver:
    """What drives one endpoint; ``turns`` counts its wake-ups."""

    def __init__(self, vtable: Vtable, endpoint: Any) -> None:
        self.vtable = vtable
        self.endpoint = endpoint
        self.turns = 0
        self._woken = trio.Event()
        self._pumped = trio.Event()
        self._failure: Exception | None = None

    def wake(self) -> None:
        """Have poll_handle asked again: the waker, and whoever has called a function of the endpoint."""
        self._woken.set()

    async def until(self, ask: Callable[[], T | None]) -> T:
        """The first answer that is neither None nor False; asked now, and again behind each pump."""
        while True:
            if self._failure is not None:
                raise self._failure
            answer = ask()
            if answer is not None and answer is not False:
                return answer
            pumped = self._pumped
            self.wake()
            await pumped.wait()

    async def run(self) -> None:
        """Drive until cancelled, or until a function raises what it should not; ``until`` raises that then."""
        self.vtable.set_waker(self.endpoint, self.wake)
        try:
            while True:
                await self._turn()
        except Exception as error:  # noqa: BLE001 - whoever asks next is told; nobody else stops for it
            self._failure = error
            self._pumped.set()
        finally:
            self.vtable.set_waker(self.endpoint, None)

    async def _turn(self) -> None:
        ready = await self._announced()
        self.turns += 1
        try:
            self.vtable.pump(self.endpoint, trio.current_time(), ready)
        except TransportError:
            pass  # every data call raises it as well
        self._pumped.set()
        self._pumped = trio.Event()

    async def _announced(self) -> int:
        """Wait until something that poll_handle names has come; which sides of the descriptor are ready."""
        while True:
            self._woken = trio.Event()
            spec = self.vtable.poll_handle(self.endpoint)
            if spec.ready_now:
                await trio.lowlevel.checkpoint()
                return READ | WRITE
            ready = await self._waited(spec)
            if ready or (spec.deadline is not None and spec.deadline <= trio.current_time()):
                return ready

    async def _waited(self, spec: PollSpec) -> int:
        """Wait for the descriptor, the deadline or the waker; which sides of the descriptor are ready."""
        ready = 0
        with trio.move_on_at(float("inf") if spec.deadline is None else spec.deadline):
            async with trio.open_nursery() as nursery:

                async def side(bit: int, fd: int) -> None:
                    nonlocal ready
                    try:
                        await _side(bit, fd)
                        ready |= bit
                    except OSError:
                        if self.vtable.poll_handle(self.endpoint).fd == fd:
                            raise
                        # Else it was closed before this task began to wait, and is named no more.
                    nursery.cancel_scope.cancel()

                for bit in WAITS:
                    if spec.fd is not None and spec.want & bit:
                        nursery.start_soon(side, bit, spec.fd)
                await self._woken.wait()
                nursery.cancel_scope.cancel()
        return ready


async def _side(bit: int, fd: int) -> None:
    """Wait for one side of a descriptor, by a copy: trio lets one task wait for each, and some are shared; and one that
    is closed meanwhile may be another's soon, of whom trio would think that it is waited for already."""
    own = os.dup(fd)
    try:
        await WAITS[bit](own)
    finally:
        os.close(own)
