# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What ``kcoro send`` and ``kcoro recv`` have in common: options, signals, patience, and errors as outcomes.

Rule 1: a signal cancels the work, which then ends in good order: the other side is told why, the address is freed.
Rule 2: nothing that the other side or the medium does leaves here as an exception.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import frozen

from ..clauses import Signal
from ..demo.state import Show, State
from ..errors import (
    AccessDenied,
    AlreadyExists,
    ChannelClosed,
    LinkLost,
    MessageTooLong,
    NotFound,
    ProtocolError,
    TransportError,
)
from ..hosts.port import current_host
from ..link.dial import dial
from ..link.link import Link
from ..select import select
from .files import OutputError
from .formats import LINES, Format, InputError
from .outcome import Cause, Outcome, Tally

__all__ = ["DEFAULT_NAME", "Broken", "Plan", "Teller", "attend", "reach"]

DEFAULT_NAME: Final = "stream"
"""The channel of an address without ``#name``."""


class Broken(Exception):
    """What a channel is closed with when this side stops before its end; the text travels."""

    def __repr__(self) -> str:
        return str(self)  # what stands for an exception on its way over a link


@frozen
class Plan:
    """What is asked for on the command line."""

    uri: str
    listen: bool = False
    format: Format = LINES
    capacity: int = 64
    patience: float = 5.0
    files: tuple[str, ...] = ("-",)
    """What to send, or the one file to write."""
    leave_open: bool = False
    receivers: int = 1
    """How many have to come before a sender that listens begins."""

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.uri.partition("#")[2] or DEFAULT_NAME


class Teller:
    """Tells whoever shows it how far it is."""

    def __init__(self, plan: Plan, tally: Tally, show: Show, doing: str, total_size: int | None = None) -> None:
        self._unit = plan.format.unit
        self._tally = tally
        self._show = show
        self._doing = doing
        self._total = total_size
        self._began = current_host().now()

    def tell(self) -> None:
        """Something has gone through."""
        seconds = current_host().now() - self._began
        rate = self._tally.size / 1e6 / seconds if seconds > 0 else 0.0
        details = f"{self._tally.passed:,} {self._unit}s, {rate:.1f} MB/s"
        self._show(State(self._doing, self._tally.size, self._total, details))


async def attend(work: Callable[[], Awaitable[Outcome]], told: Callable[[str], object]) -> Outcome:
    """Do the work until it is done or a signal comes; ``told`` hears why, before the work is cancelled."""
    outcome: Outcome | Exception | None = None
    signum = 0
    with Signal(*_signals()) as stop:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def listen() -> None:
                nonlocal signum
                signum = (await select(stop)).value
                told(f"ended by {signal.Signals(signum).name}")
                scope.cancel()

            nursery.start_soon(listen)
            with scope:
                outcome = await _judged(work)
            nursery.cancel_scope.cancel()
    if outcome is None:
        return Outcome(Cause.INTERRUPTED, f"ended by {signal.Signals(signum).name}", signum)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _signals() -> list[int]:
    """Those that end the work; what whoever started us wants ignored (nohup) stays ignored."""
    wanted = (signal.SIGINT, signal.SIGHUP)
    return [signal.SIGTERM, *(number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN)]


async def _judged(work: Callable[[], Awaitable[Outcome]]) -> Outcome | Exception:
    """How the work ended; what is nobody's outcome is given back, because a nursery would wrap it into a group."""
    try:
        return await work()
    except (InputError, MessageTooLong, Broken) as error:
        return Outcome(Cause.DATA, str(error))
    except OutputError as error:
        if error.closed:
            return Outcome(Cause.INTERRUPTED, str(error), signal.SIGPIPE)
        return Outcome(Cause.DATA, str(error))
    except ChannelClosed as error:
        why = f": {error.reason}" if error.reason else ""
        return Outcome(Cause.LEFT, f"the other side has ended first{why}")
    except LinkLost as error:
        return Outcome(Cause.LOST, str(error))
    except (AccessDenied, AlreadyExists, NotFound, ProtocolError, TransportError) as error:
        return Outcome(Cause.REFUSED, str(error))
    except Exception as error:  # noqa: BLE001 - raised again behind the nursery
        return error


@asynccontextmanager
async def reach(plan: Plan) -> AsyncIterator[Link]:
    """A link to whoever listens there; while nobody does, try again for as long as the plan has patience.

    Raises what ``dial`` raises.
    """
    async with dial(plan.uri, patience=plan.patience) as link:
        yield link
