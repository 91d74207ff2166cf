# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls of the peer: who handles which command, from the request to its one answer.

Rule 1: the rule of the program is asked for each call, before anybody looks whether there is a handler.
Rule 2: whatever a handler does, its call has exactly one answer, and the link goes on.
Rule 3: calls under way are bounded by max_inflight_requests, their payloads by receive_budget; while answers of that
size wait to be written, further calls wait in front of their handlers. A call that wants no answer is then dropped.
Rule 4: CANCEL cancels the task of a handler; so does the end of the link, and nobody hears its answer.
"""

from __future__ import annotations

import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field, frozen

from ..hosts.port import Handle, Host
from ..transport import Identity
from ..wire import events
from ..wire.codes import WireCode, code_of
from ..wire.commands import FIRST_CALL, LAST_CALL, is_call
from ..wire.connection import Connection
from ..wire.hello import charge
from .identity import Authorize, may

__all__ = ["Answering", "Call", "Handler", "Handlers", "check_handlers"]

log = logging.getLogger("kcoro.link")

FAILURES = (Exception, SystemExit, KeyboardInterrupt)
"""What a handler may raise without being more than a handler that failed; a host's cancellation is none of these."""


@frozen
class Call:
    """What a handler is given: who calls, which command, on which channel (its name, or None), and the payload."""

    identity: Identity
    command: int
    channel: str | None
    payload: bytes = field(repr=False)


Handler = Callable[[Call], Any]
"""``handler(call) -> bytes``, plain or async; None stands for an empty result."""

Handlers = Mapping[int, Handler]
"""Handlers by the number of their command, 64 to 127."""


def check_handlers(handlers: object) -> Handlers:
    """A mapping of commands to functions, copied.

    :raises ValueError: it is no mapping, a number is not one of a call, or a value cannot be called.
    """
    if not isinstance(handlers, Mapping):
        raise ValueError(f"handlers= maps commands to functions, as in {{64: fn}}; {handlers!r} is no mapping")
    for command, fn in handlers.items():
        if not isinstance(command, int) or isinstance(command, bool) or not is_call(command):
            raise ValueError(f"calls are the commands {FIRST_CALL} to {LAST_CALL}, not {command!r}")
        if not callable(fn):
            raise ValueError(f"the handler of command {command} is a function (call) -> bytes, not {fn!r}")
    return dict(handlers)


@define(eq=False)
class _Running:
    """An async handler at work; ``request_id`` 0 wants no answer. ``cost`` is what its payload is charged."""

    request_id: int
    command: int
    work: Awaitable[Any]
    cost: int
    task: Handle | None = None
    started: bool = False
    cancelled: bool = False

    def cancel(self) -> None:
        """End it at its next checkpoint, or before its first step."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()
        if not self.started:
            getattr(self.work, "close", int)()  # a coroutine would complain that nobody awaited it


class Answering:
    """Calls of one peer to the handlers of this side."""

    def __init__(
        self,
        host: Host,
        wire: Connection,
        handlers: Handlers,
        authorize: Authorize,
        budget: int,
        flush: Callable[[], None],
        name_of: Callable[[int], str | None],
    ) -> None:
        self.dropped_calls = 0
        self._host = host
        self._wire = wire
        self._handlers = handlers
        self._authorize = authorize
        self._budget = budget
        self._flush = flush
        self._name_of = name_of
        self._identity = Identity("none")
        self._most = 0
        self._result_limit = 0
        self._over = False
        self._closed = False
        self._running: dict[_Running, None] = {}
        self._answerable: dict[int, _Running] = {}
        self._held: OrderedDict[int, events.CallRequested] = OrderedDict()
        self._silent_bytes = 0

    @property
    def running(self) -> int:
        """How many handlers of this peer's calls are at work, or will be when there is room for their answers."""
        return len(self._running) + len(self._held)

    def agree(self, identity: Identity, most: int, result_limit: int) -> None:
        """The handshake is over: who calls, how many calls may be under way, how large a result may be."""
        self._identity = identity
        self._most = most
        self._result_limit = result_limit

    # -- calls

    def on_call(self, asked: events.CallRequested) -> None:
        """The peer calls."""
        full = self._wire.answer_bytes >= self._budget or bool(self._held)
        if asked.request_id and full:
            self._held[asked.request_id] = asked
        elif not asked.request_id and (full or self._has_enough()):
            self._drop(asked, "too many calls are under way, or the link is being drained")
        else:
            self._start(asked)

    def _has_enough(self) -> bool:
        return self._closed or self._silent_bytes >= self._budget or len(self._running) >= self._most

    def take_no_more(self) -> None:
        """The link is being drained: calls that want no answer are dropped; the protocol refuses the others."""
        self._closed = True

    def resume(self) -> None:
        """Answers were written: start what was held back for them."""
        while self._held and self._wire.answer_bytes < self._budget:
            self._start(self._held.popitem(last=False)[1])
            self._flush()

    def cancel(self, request_id: int) -> None:
        """The peer gives a call up."""
        if self._held.pop(request_id, None) is not None:
            self._wire.refuse(request_id, WireCode.ECANCELED)
        elif (running := self._answerable.get(request_id)) is not None:
            running.cancel()
            if not running.started:
                self._end(running)
                self._wire.refuse(request_id, WireCode.ECANCELED)

    def leave(self, text: str) -> None:
        """This side says goodbye: tell each call that it will not be answered, and end its handler."""
        for request_id in (*self._held, *self._answerable):
            self._wire.refuse(request_id, WireCode.EPIPE, text)
        self.lost()

    def lost(self) -> None:
        """The connection is over: end every handler."""
        self._over = True
        self._held.clear()
        self._answerable.clear()
        for running in list(self._running):
            running.cancel()
        self._running.clear()

    # -- one call

    def _start(self, asked: events.CallRequested) -> None:
        fn = self._handlers.get(asked.command)
        if not may(self._authorize, self._identity, str(asked.command), "call"):
            self._refuse(asked, WireCode.EACCES, f"you may not call command {asked.command}")
        elif fn is None:
            self._refuse(asked, WireCode.ENOTSUP, f"nobody handles command {asked.command}")
        else:
            self._run(fn, asked)

    def _run(self, fn: Handler, asked: events.CallRequested) -> None:
        call = Call(self._identity, asked.command, self._name_of(asked.channel_id), asked.payload)
        try:
            value = fn(call)
        except FAILURES as error:
            self._failed(asked.request_id, asked.command, error)
            return
        if not isinstance(value, bytes) and inspect.isawaitable(value):
            self._spawn(asked, value)
        else:
            self._answer(asked.request_id, asked.command, value)

    def _spawn(self, asked: events.CallRequested, work: Awaitable[Any]) -> None:
        running = _Running(asked.request_id, asked.command, work, charge(len(asked.payload)))
        self._running[running] = None
        if asked.request_id:
            self._answerable[asked.request_id] = running
        else:
            self._silent_bytes += running.cost
        running.task = self._host.spawn(self._work, running, name=f"kcoro call {asked.command}")

    async def _work(self, running: _Running) -> None:
        if running.cancelled:
            return  # before its first step: the handler is closed, and the caller has been told
        running.started = True
        try:
            value = await running.work
        except FAILURES as error:
            self._ended(running, error=error)
        except BaseException:  # the host's cancellation
            self._ended(running, cancelled=True)
            raise
        else:
            self._ended(running, value)

    def _ended(
        self, running: _Running, value: object = None, error: BaseException | None = None, cancelled: bool = False
    ) -> None:
        request_id = running.request_id if running.request_id in self._answerable else 0
        self._end(running)
        if cancelled:
            if request_id:
                self._wire.refuse(request_id, WireCode.ECANCELED)
        elif error is not None:
            self._failed(request_id, running.command, error)
        else:
            self._answer(request_id, running.command, value)
        if not self._over:
            self._flush()

    def _end(self, running: _Running) -> None:
        self._running.pop(running, None)
        self._answerable.pop(running.request_id, None)
        if not running.request_id:
            self._silent_bytes -= running.cost

    # -- answers

    def _answer(self, request_id: int, command: int, value: object) -> None:
        if value is not None and not isinstance(value, (bytes, bytearray, memoryview)):
            self._failed(
                request_id, command, TypeError(f"it returned {type(value).__name__}, and a link carries bytes")
            )
            return
        if not request_id:
            return
        result = value if isinstance(value, bytes) else b"" if value is None else bytes(value)
        if len(result) > self._result_limit:
            text = f"the result has {len(result)} bytes, and this link carries {self._result_limit}"
            self._wire.refuse(request_id, WireCode.EMSGSIZE, text)
        else:
            self._wire.answer(request_id, result)

    def _failed(self, request_id: int, command: int, error: BaseException) -> None:
        code = code_of(error)
        if code is WireCode.EFAULT:
            log.error("the handler of command %d failed", command, exc_info=error)
        if request_id:
            told = error.args[0] if code is not WireCode.EFAULT and error.args else f"{type(error).__name__}: {error}"
            self._wire.refuse(request_id, code, str(told))

    def _refuse(self, asked: events.CallRequested, code: WireCode, text: str) -> None:
        if asked.request_id:
            self._wire.refuse(asked.request_id, code, text)
        else:
            self._drop(asked, text)

    def _drop(self, asked: events.CallRequested, why: str) -> None:
        self.dropped_calls += 1
        log.debug("a call of command %d that wants no answer was dropped: %s", asked.command, why)
