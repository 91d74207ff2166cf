# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The demo as a user starts it: a process in a pipe or on a terminal, in a place that is empty afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

PATIENCE_SECONDS = 30.0
COMMAND = [sys.executable, "-m", "kcoro_core", "demo"]
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; from kcoro_core.cli import main; sys.exit(main())"

ON_THIS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Place:
    """A folder for everything temporary of one test; short, because sockets lie in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("KCORO_")}
        return kept | {"TMPDIR": str(self.path), "TERM": "xterm", "COLUMNS": "100"} | more

    def processes(self) -> list[int]:
        """Every process that was told of this place: the workers."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and str(self.path).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended while we looked
        return found

    def wait_for_workers(self, number: int) -> None:
        """Until so many workers live."""
        within(lambda: len(self.processes()) >= number)

    def check_empty(self) -> None:
        """No process, no socket, no folder."""
        assert self.processes() == []
        assert sorted(self.path.rglob("*")) == []


def within(condition: object, seconds: float = PATIENCE_SECONDS) -> None:
    """Poll the outside world, which has no virtual clock."""
    deadline = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < deadline, "this did not come in time"
        time.sleep(0.005)


@contextmanager
def place() -> Iterator[Place]:
    """A place that must be empty at the end."""
    path = tempfile.mkdtemp(prefix="kd-", dir="/tmp")
    try:
        here = Place(Path(path))
        yield here
        here.check_empty()
    finally:
        shutil.rmtree(path, ignore_errors=True)


def start(place: Place, *args: str | Path, **environment: str) -> subprocess.Popen[str]:
    """The demo in a session of its own, with pipes."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=place.environment(**environment),
        start_new_session=True,
    )


@frozen
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str


def demo(place: Place, *args: str | Path, **environment: str) -> Ended:
    """Run the demo to its end, in a pipe."""
    process = start(place, *args, **environment)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Ended(process.returncode, out, err)


class Terminal:
    """The demo on a terminal: what it draws, and what is typed."""

    def __init__(self, place: Place, *args: str | Path, rich: bool = False) -> None:
        command = COMMAND if rich else [sys.executable, "-c", WITHOUT_RICH, "demo"]
        self.drawn = b""
        self._fd, theirs = os.openpty()
        # Not pty.fork(): a process with threads, as this one may be, should not fork without executing.
        self._process = subprocess.Popen(
            [sys.executable, "-c", ON_THIS_TERMINAL, *command, *map(str, args)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=place.environment(),
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, text: bytes) -> None:
        """Until this was drawn."""
        while text not in self.drawn:
            assert self._read(), f"{text!r} was never drawn, but {self.drawn!r}"

    def type(self, keys: bytes) -> None:
        """As a person would."""
        os.write(self._fd, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return self._process.wait(PATIENCE_SECONDS)

    def _read(self) -> bytes:
        try:
            drawn = os.read(self._fd, 65536)
        except OSError:  # the terminal of a process that has ended
            drawn = b""
        self.drawn += drawn
        return drawn
