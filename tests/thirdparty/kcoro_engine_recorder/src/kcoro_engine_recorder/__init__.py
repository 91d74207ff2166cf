# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""An engine that wraps the reference engine and records each transition of its channels (row H1).

Rule 1: nothing is decided here; an answer that is recorded is the answer that is given.
Rule 2: the trace is bounded; the oldest transitions go first.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any, Final, cast

from attrs import frozen

from kcoro_core import plugins
from kcoro_core.engine import (
    CLOSED,
    ENGINE_API,
    WOULD_BLOCK,
    ChannelCore,
    ChannelFactory,
    CoroutineFactory,
    OnUndelivered,
    SchedulerFactory,
    SelectFactory,
)
from kcoro_core.hookspecs import hookimpl
from kcoro_core.semantics import Kind, Overflow, Undelivered

NAME: Final = "recorder"
KEPT: Final = 10_000


@frozen
class Transition:
    """One step of one channel: what was called, what it answered in a word, and how long the queue was then."""

    channel: int
    step: str
    answer: str
    length: int


trace: deque[Transition] = deque(maxlen=KEPT)
_numbers = itertools.count(1)


def _word(answer: object) -> str:
    """An element is recorded as "element": values are the users', and stay out of traces."""
    if answer is WOULD_BLOCK or answer is CLOSED or answer is None or isinstance(answer, bool):
        return repr(answer)
    return "element"


class RecordingChannel:
    """A channel of the reference engine, with its steps recorded; everything else is passed through."""

    def __init__(self, inner: ChannelCore) -> None:
        self._inner = inner
        self._number = next(_numbers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __len__(self) -> int:
        return len(self._inner)

    def _step(self, name: str, *args: Any, **options: Any) -> Any:
        answer = getattr(self._inner, name)(*args, **options)
        trace.append(Transition(self._number, name, _word(answer), len(self._inner)))
        return answer

    def send_now(self, value: Any, /) -> Any:
        return self._step("send_now", value)

    def recv_now(self) -> Any:
        return self._step("recv_now")

    def enqueue(self, w: Any, /) -> None:
        self._step("enqueue", w)

    def withdraw(self, w: Any, /) -> bool:
        return bool(self._step("withdraw", w))

    def close(self, reason: object = None) -> None:
        self._step("close", reason)

    def cancel(self, reason: object = None, why: Undelivered = Undelivered.CANCELLED) -> None:
        self._step("cancel", reason, why)


class _Channels:
    """Makes recording channels."""

    engine = NAME
    api = ENGINE_API

    def __call__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None
    ) -> Any:
        return RecordingChannel(plugins.engine("reference").channel(kind, capacity, overflow, on_undelivered))


class _Same:
    """A part of the reference engine, under this engine's name."""

    engine = NAME
    api = ENGINE_API

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(plugins.engine("reference"), self._part), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return getattr(plugins.engine("reference"), self._part)(*args, **options)


_select: Final = cast(SelectFactory, _Same("select"))
_scheduler: Final = cast(SchedulerFactory, _Same("scheduler"))
_coroutine: Final = cast(CoroutineFactory, _Same("coroutine"))


@hookimpl
def kcoro_channel(engine: str) -> ChannelFactory | None:
    """Recording channels."""
    return _Channels() if engine == NAME else None


@hookimpl
def kcoro_select(engine: str) -> SelectFactory | None:
    """The reference engine's operations."""
    return _select if engine == NAME else None


@hookimpl
def kcoro_scheduler(engine: str) -> SchedulerFactory | None:
    """The reference engine's schedulers."""
    return _scheduler if engine == NAME else None


@hookimpl
def kcoro_coroutine(engine: str) -> CoroutineFactory | None:
    """The reference engine's coroutines."""
    return _coroutine if engine == NAME else None
