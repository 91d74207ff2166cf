# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro send`` and ``kcoro recv`` as a shell starts them: processes with pipes, in a folder of their own."""

from __future__ import annotations

import os
import select
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
KCORO = [sys.executable, "-m", "kcoro_core"]


@frozen
class Ended:
    """How a command ended."""

    code: int
    out: bytes
    err: str


class Place:
    """An address for one test, and the processes that were started there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"uds:{folder}/s"
        self.running: list[subprocess.Popen[bytes]] = []

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KCORO_")}
        return kept | {"TERM": "xterm", "COLUMNS": "100"} | more

    def start(
        self,
        command: str,
        *args: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        pipesize: int = -1,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """Start ``send`` or ``recv``; ``-`` as address means the one of this place."""
        process = subprocess.Popen(
            [*KCORO, command, *args],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pipesize=pipesize,
            env=self.environment(**environment),
            cwd=self.folder,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def send(self, *args: str, **options: object) -> subprocess.Popen[bytes]:
        return self.start("send", *args, **{"stdin": subprocess.PIPE, **options})  # type: ignore[arg-type]

    def recv(self, *args: str, **options: object) -> subprocess.Popen[bytes]:
        return self.start("recv", *args, **options)  # type: ignore[arg-type]

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()


@contextmanager
def place() -> Iterator[Place]:
    """A short path, because sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="kc-", dir="/tmp"))
    here = Place(folder)
    try:
        yield here
        assert not (folder / "s").exists(), "a socket was left behind"
    finally:
        here.end()
        shutil.rmtree(folder, ignore_errors=True)


def end(process: subprocess.Popen[bytes], given: bytes | None = None) -> Ended:
    """Give it this on its standard input, if it has a pipe there, and wait for its end."""
    out, err = process.communicate(given, timeout=PATIENCE_SECONDS)
    return Ended(process.returncode, out, err.decode())


def until_at_rest(process: subprocess.Popen[bytes]) -> None:
    """Wait until no thread of a process has anything to do: what it printed last was not all that it had to do."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    before, now = None, sleeps(process.pid)
    while now is None or now != before:
        assert time.monotonic() < give_up, "it never comes to rest"
        time.sleep(0.02)
        before, now = now, sleeps(process.pid)


def sleeps(pid: int) -> list[str] | None:
    """How often each thread of a process has gone to sleep; None while one of them runs, or waits for a processor."""
    found = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    if not all("\nState:\tS" in text for text in found):
        return None
    return [line for text in found for line in text.splitlines() if line.startswith("voluntary_ctxt_switches")]


def until(fd: int, event: int) -> None:
    """Wait until the kernel says this of a descriptor."""
    poll = select.poll()
    poll.register(fd, event)
    assert poll.poll(PATIENCE_SECONDS * 1000), "this did not come in time"
