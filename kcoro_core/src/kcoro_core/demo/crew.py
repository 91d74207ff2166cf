# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The worker processes: started, watched, killed, and none left behind.

Rule 1: a worker is in a session of its own, so that Ctrl-C in a terminal reaches the coordinator alone.
Rule 2: leaving the block waits until every process is gone: it asks, then terminates, then kills.
Rule 3: what a worker writes goes to a file; its last line is told with its end, and never mixes with the report.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from ..channel import Channel, channel
from ..hosts.port import current_host
from ..scope import Scope, open_scope
from ..semantics import BUFFERED
from .child import Child

__all__ = ["Crew", "Exit", "Processes", "processes"]

GRACE_SECONDS: Final = 3.0
"""How long a worker that was asked to leave may take."""
TERMINATE_SECONDS: Final = 1.0
LAST_WORDS_BYTES: Final = 2048
NOTHING_MORE: Final[Mapping[str, str]] = {}


@frozen
class Exit:
    """A worker has ended: its exit code (a signal is negative), and the last line it wrote."""

    worker: int
    code: int
    last_words: str = ""

    def __str__(self) -> str:
        how = f"was killed by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with code {self.code}"
        return f"worker {self.worker} {how}{f': {self.last_words}' if self.last_words else ''}"


class Crew(Protocol):
    """What the coordinator needs of its workers, wherever they run."""

    exits: Channel[Exit]

    async def start(self) -> tuple[int, int]:
        """Start one more worker; returns its number, which is never used again, and its process id."""
        ...

    def kill(self, worker: int) -> None:
        """End this worker at once; its exit is told as any other. Harmless when it has ended."""
        ...

    @property
    def alive(self) -> Sequence[int]:
        """The numbers of those that have not ended, as far as is known."""
        ...


class Processes:
    """A crew of processes; made by ``processes``."""

    def __init__(self, uri: str, folder: Path, host: str, environment: Mapping[str, str], scope: Scope) -> None:
        self.exits: Channel[Exit] = channel(BUFFERED, capacity=64, name="exits")
        self.grace = GRACE_SECONDS
        self._uri = uri
        self._folder = folder
        self._host = host
        self._environment = environment
        self._scope = scope
        self._running: dict[int, Child] = {}
        self._started = 0

    @property
    def alive(self) -> list[int]:
        """The numbers of those that have not ended, as far as is known."""
        return sorted(self._running)

    async def start(self) -> tuple[int, int]:
        """Start one more worker; returns its number and its process id."""
        self._started += 1
        number = self._started
        # Should this process be killed, the workers remove the folder.
        heritage = ["--coordinator", str(os.getpid()), "--folder", str(self._folder)]
        command = [sys.executable, "-m", "kcoro_core.demo.worker", self._uri, str(number), "--host", self._host]
        with self._log(number).open("wb") as log:
            process = Child([*command, *heritage], log, self._environment)
        await current_host().checkpoint()
        self._running[number] = process
        self._scope.launch(self._watch, number, process)
        return number, process.pid

    def kill(self, worker: int) -> None:
        """SIGKILL: the worker has no chance to say anything."""
        if process := self._running.get(worker):
            process.send_signal(signal.SIGKILL)

    async def _watch(self, number: int, process: Child) -> None:
        code = await process.wait()
        del self._running[number]
        await self.exits.send(Exit(number, code, self._last_words(number)))

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def _last_words(self, number: int) -> str:
        with self._log(number).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    async def end(self) -> None:
        """Wait until every process is gone; those that do not go by themselves are made to."""
        for seconds, number in ((self.grace, signal.SIGTERM), (TERMINATE_SECONDS, signal.SIGKILL)):
            if await self._all_gone_within(seconds):
                return
            for process in self._running.values():
                process.send_signal(number)
        await self._all_gone()

    async def _all_gone_within(self, seconds: float) -> bool:
        host = current_host()
        scope = host.open_cancel_scope()
        alarm = host.call_at(host.now() + seconds, scope.cancel)
        try:
            with scope:
                await self._all_gone()
        finally:
            alarm.cancel()
        return not scope.cancelled_caught

    async def _all_gone(self) -> None:
        for process in tuple(self._running.values()):
            await process.wait()


@asynccontextmanager
async def processes(
    uri: str, folder: Path, host: str = "trio", environment: Mapping[str, str] = NOTHING_MORE
) -> AsyncIterator[Processes]:
    """A crew of processes on ``host`` that dial ``uri`` and log into ``folder``; none is left when the block is.

    ``environment`` is what they have beside what this process has.
    """
    crew: Processes | None = None
    try:
        async with open_scope() as scope:
            crew = Processes(uri, folder, host, environment, scope)
            yield crew
            scope.cancel()
    finally:
        if crew is not None:
            with current_host().open_cancel_scope(shield=True):
                await crew.end()
