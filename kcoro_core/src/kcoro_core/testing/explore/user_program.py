# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A user's program under the explorer: loaded anew for each schedule, run under one seed, and judged at its end.

Found are: deadlocks, with who waits on what; elements that were sent and never received; errors that nobody handled;
runs without an end (more than 100,000 steps). Seen are kcoro's own operations only: what a program does through
sockets, threads or another loop's functions is neither scheduled nor watched. Links over ``sim:`` and ``mem:`` are
part of it, if both ends are in the program; an address without a seed draws its faults from the schedule's.
"""

from __future__ import annotations

import contextlib
import functools
import shlex
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import attrs

from ... import plugins
from ...engine import ChannelCore, ChannelFactory, OnUndelivered
from ...hosts.script import Deadlock, ScriptHost, StepLimit
from ...hosts.stacks import caller_place, made_by_kcoro
from ...semantics import Kind, Overflow
from ...transports.impairments import default_seed
from ..laws.links import QUIET_SECONDS, using_setting
from .explorer import Finding, Result, Schedule, raise_interrupt

__all__ = ["LIMIT", "UserProgram"]

LIMIT = "explored are operations of kcoro only: sockets, threads and other loops' functions are not scheduled"
"""What an exploration of a program cannot see, in one sentence."""

# A run that takes more steps than this is taken for one without an end.
_MAX_STEPS = 100_000
# A program that does nothing for so many virtual seconds is taken for deadlocked, although its links are kept alive.
_PATIENCE = 20.0 * QUIET_SECONDS
# How long a turn may be: from a full checkpoint at every operation to the default budget.
_QUANTA = (0, 0, 1, 3, 64)


class UserProgram:
    """An async function in a file, ``prog.py::main`` (``main`` when left out), which takes no arguments."""

    def __init__(self, target: str, hurry: float = 0.0) -> None:
        path, _, name = target.partition("::")
        self.target = target
        self.path = Path(path)
        self.name = name or "main"
        self.hurry = hurry
        self._code = self._compile()
        self.load()

    def _compile(self) -> CodeType:
        try:
            return compile(self.path.read_bytes(), str(self.path), "exec")
        except SyntaxError as error:
            raise ValueError(f"{self.path}:{error.lineno}: {error.msg}") from error

    def load(self) -> Callable[[], Awaitable[Any]]:
        """The function, from a fresh copy of its module, so that no schedule inherits what another has left.

        :raises ValueError: the file has no such function, or raised an error itself.
        """
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        # Classes look their module up by name while they are made.
        sys.modules[module.__name__] = module
        folder = str(self.path.resolve().parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            exec(self._code, module.__dict__)  # noqa: S102 - it is the program that the user asked to run
        except Exception as error:
            raise ValueError(f"{self.path} could not be loaded: {type(error).__name__}: {error}") from error
        main = getattr(module, self.name, None)
        if not callable(main):
            raise ValueError(f"{self.path} has no function {self.name!r}; name it as in {self.path}::main")
        return main  # type: ignore[no-any-return]

    def schedule(self, seed: int) -> Schedule:
        """The schedule of that seed."""
        hurry = f" --hurry {self.hurry}" if self.hurry else ""
        engine = f"KCORO_ENGINE={plugins.choice().name}"
        command = f"{engine} kcoro explore {shlex.quote(self.target)} --seed {seed} --schedules 1{hurry}"
        return Schedule(command, functools.partial(self.run, seed))

    def run(self, seed: int) -> Result:
        """Run it under one seed."""
        found: list[Finding] = []
        quiet = using_setting("keepalive", str(QUIET_SECONDS))
        with _watched() as channels, _unraisable(found), default_seed(seed), quiet:
            host = ScriptHost(
                seed=seed,
                quantum=_QUANTA[seed % len(_QUANTA)],
                hurry=self.hurry,
                max_steps=_MAX_STEPS,
                patience=_PATIENCE,
            )
            try:
                host.run(self.load())
            except Deadlock as deadlock:
                found.append(Finding("deadlock", _described(deadlock)))
            except StepLimit as limit:
                found.append(Finding("limit", str(limit)))
            except BaseException as error:  # noqa: BLE001 - this is what is looked for
                raise_interrupt(error)
                found.append(Finding("error", "".join(traceback.format_exception(error))))
            found += [finding for core, place in channels for finding in _judge(core, place)]
        return Result(host.trace_hash(), tuple(found))


def _described(deadlock: Deadlock) -> str:
    return "\n".join([str(deadlock), *getattr(deadlock, "__notes__", ())])


def _judge(core: ChannelCore, place: str) -> Iterator[Finding]:
    """What the end of the run says about one channel."""
    books = core.snapshot()
    name = f"the {books.kind.name} channel made {place}"
    if books.length:
        yield Finding("lost", f"{books.length} elements were sent to {name} and never received")
    if behind := books.waiting_senders + books.waiting_receivers:
        yield Finding("broken", f"{behind} operations have ended and were left behind in the queues of {name}")
    if books.sent != books.received + books.dropped + books.length:
        yield Finding("broken", f"the counters of {name} do not add up: {books}")


class _WatchingFactory:
    """The channels of an engine, each remembered together with the line that made it."""

    def __init__(self, factory: ChannelFactory) -> None:
        self.engine = factory.engine
        self.api = factory.api
        self.made: list[tuple[ChannelCore, str]] = []
        self._factory = factory

    def __call__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None
    ) -> ChannelCore:
        core = self._factory(kind, capacity, overflow, on_undelivered)
        if not made_by_kcoro():
            self.made.append((core, caller_place()))
        return core


@contextlib.contextmanager
def _watched() -> Iterator[list[tuple[ChannelCore, str]]]:
    """Have every channel that is made in the block remembered."""
    choose = plugins.engine
    chosen = choose()
    factory = _WatchingFactory(chosen.channel)
    watched = attrs.evolve(chosen, channel=factory)
    plugins.engine = lambda name=None: watched if name in (None, chosen.name) else choose(name)
    try:
        yield factory.made
    finally:
        plugins.engine = choose


@contextlib.contextmanager
def _unraisable(found: list[Finding]) -> Iterator[None]:
    """Have errors that nobody could receive, as from ``on_undelivered`` hooks, counted as findings."""
    before = sys.unraisablehook

    def remember(record: Any) -> None:
        found.append(Finding("error", "".join(traceback.format_exception(record.exc_value))))

    sys.unraisablehook = remember
    try:
        yield
    finally:
        sys.unraisablehook = before
