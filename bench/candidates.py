# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The candidates of the native rows: processes that run one program after another and say what it took."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, frozen
from processes import command

__all__ = ["Candidate", "Taken", "Unequal", "opened"]


class Unequal(Exception):
    """Two candidates did not do the same work, so that their times say nothing."""


@frozen
class Taken:
    """What one program did, and what it took: seconds by the clock and of the processor, bytes of memory.

    ``late`` is by how many seconds 95 in a hundred of its timers were late at most, ``laps`` are the seconds
    of its batches.
    """

    count: int
    total: int
    seconds: float
    processor: float
    memory: int
    late: float = 0.0
    laps: Sequence[float] = ()


@define
class Candidate:
    """A process that waits for programs; ``installed`` is false where there is nothing to run."""

    name: str
    process: subprocess.Popen[str] | None
    installed: bool

    def take(self, program: str, elements: int, width: int) -> Taken:
        """Run a program there. RuntimeError: the process has ended; what it said stands above."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{program} {elements} {width}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} did not finish {program!r}; see above")
        return Taken(**json.loads(line))


@contextmanager
def opened(name: str, worker: str = "native_worker.py") -> Iterator[Candidate]:
    """Start the process of a candidate, and end it."""
    arguments = _go() if name == "go" else command(worker, name)
    if arguments is None:
        yield Candidate(name, None, installed=False)
        return
    engine = next((engine for engine in ("native", "reference") if engine in name), "auto")
    environment = os.environ | {"GOMAXPROCS": "1", "KCORO_ENGINE": engine}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, text=True, env=environment, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            if said not in ("ready\n", "missing\n"):
                raise RuntimeError(f"the process of {name} did not start; see above")
            yield Candidate(name, process, installed=said == "ready\n")
        finally:
            process.stdin.close()
            process.wait(30)


@functools.cache
def _built() -> tempfile.TemporaryDirectory[str] | None:
    """Compile the programs in Go, once; None: there is no compiler, on the PATH or where ``GO`` says."""
    compiler = shutil.which("go") or shutil.which(os.environ.get("GO", "go"))
    if compiler is None:
        return None
    directory = tempfile.TemporaryDirectory(prefix="kcoro-bench-")
    cache = {} if "HOME" in os.environ else {"GOCACHE": f"{directory.name}/cache"}
    source = Path(__file__).with_name("go")
    subprocess.run(
        [compiler, "build", "-o", f"{directory.name}/go", "."], cwd=source, env=os.environ | cache, check=True
    )
    return directory


def _go() -> list[str] | None:
    directory = _built()
    return None if directory is None else [f"{directory.name}/go"]
