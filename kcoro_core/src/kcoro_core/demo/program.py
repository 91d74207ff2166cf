# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The demo from its options to its outcome: find the files, count them with workers, prove the count, clean up.

Rule 1: from the first line on, SIGINT, SIGTERM and SIGHUP are clauses of selects and never exceptions out of nowhere.
Rule 2: however it ends, no process, no socket and no folder is left, for it was all made inside ``with`` blocks.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from attrs import define, frozen

from .. import plugins
from ..channel import channel
from ..clauses import Signal
from ..errors import WouldBlock
from ..hosts.port import current_host
from ..link.serve import serve
from ..run import sleep
from ..select import try_select
from ..semantics import BUFFERED, CONFLATED, RENDEZVOUS
from .chaos import Chaos
from .coordinator import Coordinator, Lines, WorkersFailed
from .crew import processes
from .files import Skipped, Source, batches, discover
from .jobs import Ledger
from .messages import Order, decode_as
from .proof import Difference, Proof, compare
from .rule import papers_for, rule_of
from .state import Show, State
from .tally import Tally

__all__ = ["Interrupted", "NoFiles", "Options", "Outcome", "demo"]

T = TypeVar("T")

BATCHES_PER_WORKER: Final = 24
SMALLEST_BATCH_BYTES: Final = 64 * 1024
LARGEST_BATCH_BYTES: Final = 1024 * 1024
ISSUES_OF_ONE_JOB: Final = 8
LOOK_UP_EVERY: Final = 8
LONGEST_TEMP_FOLDER: Final = 60
"""A Unix socket's path has at most 107 bytes, and some of them are ours."""

ADDRESSES: Final[Mapping[str, Callable[[Path], str]]] = {"uds": lambda folder: f"uds:{folder}/demo.sock"}
"""Where the coordinator listens, for transports that do better than to choose a fresh address themselves."""


@frozen
class Options:
    """What is asked for on the command line."""

    paths: tuple[str, ...] = ()
    """Files and folders; none means the sources of the standard library."""
    workers: int = 2
    transport: str = "uds"
    chaos: bool = False
    seed: int = 0
    host: str = "trio"
    """What runs the coordinator and its workers."""


@define(eq=False)
class Outcome:
    """What came of it; ``tally`` holds the count, ``difference`` is empty when the proof agrees."""

    options: Options
    tally: Tally
    chaos: Chaos | None
    seconds: float
    proof_seconds: float
    difference: Difference
    changed: tuple[str, ...]
    """Files that changed while they were counted: the likely cause of a difference."""


class NoFiles(ValueError):
    """There is nothing to count: no file was found."""


class Interrupted(Exception):
    """A signal such as Ctrl-C ended the run."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by {signal.Signals(signum).name}; no process and no socket is left")
        self.signum = signum


async def demo(options: Options, show: Show) -> Outcome:
    """Count and prove; ``show`` is told how far it is.

    :raises NoFiles: there is none, or none can be counted.
    :raises ValueError: an option makes no sense.
    :raises NotSupported: the transport is not installed.
    :raises WorkersFailed: the workers cannot do it.
    :raises Interrupted: by a signal.
    """
    _check(options)
    with Signal(*_signals()) as stop:
        sources, skipped = await _find(options.paths, stop)
        began = current_host().now()
        tally, chaos = await _count(options, sources, stop, show)
        counted = current_host().now()
        tally.skipped[:0] = skipped
        if not tally.files:
            raise _no_files(options.paths, tally.skipped)
        proof = await _prove(sources, stop, show)
        difference = compare(tally.words, {s.path for s in tally.skipped} - {s.path for s in skipped}, proof)
        return Outcome(
            options, tally, chaos, counted - began, current_host().now() - counted, difference, _changed(sources)
        )


def _check(options: Options) -> None:
    if options.workers < 1:
        raise ValueError(f"at least one worker is needed, not {options.workers}")
    if plugins.transport(options.transport).distribution == "kcoro-core":
        raise ValueError(f"{options.transport}: joins tasks of one process, and the workers are others; take uds")


def _signals() -> list[int]:
    """Those that end the run; what whoever started us wants ignored (nohup) stays ignored."""
    wanted = (signal.SIGINT, signal.SIGHUP)
    return [signal.SIGTERM, *(number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN)]


async def _drive(items: Iterable[T], stop: Signal) -> list[T]:
    """All items, with a look at the signals every now and then.

    :raises Interrupted: one has come.
    """
    taken: list[T] = []
    for item in items:
        taken.append(item)
        if len(taken) % LOOK_UP_EVERY == 0:
            await _look_up(stop)
    await _look_up(stop)
    return taken


async def _look_up(stop: Signal) -> None:
    await sleep(0)
    try:
        won = try_select(stop)
    except WouldBlock:
        return
    raise Interrupted(won.value)


async def _find(paths: tuple[str, ...], stop: Signal) -> tuple[list[Source], list[Skipped]]:
    found = await _drive(discover(paths), stop)
    sources = [item for item in found if isinstance(item, Source)]
    skipped = [item for item in found if isinstance(item, Skipped)]
    if not sources:
        raise _no_files(paths, skipped)
    return sources, skipped


def _no_files(paths: tuple[str, ...], skipped: list[Skipped]) -> NoFiles:
    where = ", ".join(paths) if paths else "the standard library"
    why = f": {skipped[0].path}: {skipped[0].reason}" if skipped else ""
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return NoFiles(f"no files to count in {where}{why}{more}; name text files, or folders that hold some")


async def _count(options: Options, sources: list[Source], stop: Signal, show: Show) -> tuple[Tally, Chaos | None]:
    kills = options.workers + 2 if options.chaos else 0
    ledger = Ledger(batches(sources, _batch_bytes(options, sources)), most_issues=ISSUES_OF_ONE_JOB + kills)
    chaos = Chaos(options.seed, kills, messages=2 * len(ledger.jobs)) if options.chaos else None
    tally = Tally(ledger)
    lines = Lines(
        channel(RENDEZVOUS, on_undelivered=lambda raw, *_: ledger.give_back(decode_as(raw, Order).issue), name="jobs"),
        channel(BUFFERED, capacity=2 * options.workers, name="results"),
        channel(CONFLATED, name="progress"),
    )
    # Inside the blocks nothing is raised: their nurseries would wrap it into a group.
    signum: int | None = None
    failure: WorkersFailed | None = None
    with _private_folder() as folder:
        make = ADDRESSES.get(options.transport)
        uri = f"{options.transport}:" if make is None else make(folder)
        exported = {
            "jobs": lines.jobs.receiver(),
            "results": lines.results.sender(),
            "progress": lines.progress.sender(),
        }
        papers = papers_for(options.transport, folder)
        async with (
            serve(uri, export=exported, authorize=rule_of(uri), **papers.options) as server,
            processes(server.uri, folder, options.host, papers.environment) as crew,
        ):
            try:
                signum = await Coordinator(tally, lines, crew, options.workers, show, chaos).run(stop)
            except WorkersFailed as error:
                failure = error
            lines.close()
            if signum is not None or failure is not None:
                crew.grace = 0
    if failure is not None:
        raise failure
    if signum is not None:
        raise Interrupted(signum)
    return tally, chaos


def _batch_bytes(options: Options, sources: list[Source]) -> int:
    share = sum(source.size for source in sources) // (options.workers * BATCHES_PER_WORKER)
    return min(max(share, SMALLEST_BATCH_BYTES), LARGEST_BATCH_BYTES)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this user can enter, gone at the end."""
    base = tempfile.gettempdir()
    path = tempfile.mkdtemp(prefix="kcoro-demo-", dir="/tmp" if len(base) > LONGEST_TEMP_FOLDER else base)  # noqa: S108
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def _prove(sources: list[Source], stop: Signal, show: Show) -> Proof:
    proof = Proof()
    total = sum(source.size for source in sources)

    def steps() -> Iterator[None]:
        for done in proof.steps(sources):
            show(State("proving", done, total, "1 process"))
            yield

    await _drive(steps(), stop)
    return proof


def _changed(sources: list[Source]) -> tuple[str, ...]:
    return tuple(source.path for source in sources if not _is_as_found(source))


def _is_as_found(source: Source) -> bool:
    try:
        status = os.stat(source.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (source.size, source.mtime_ns)
