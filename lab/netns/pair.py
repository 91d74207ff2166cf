# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two machines with a program each, and the line between them.

Rule 1: a machine is the namespace of its program: when that ends, its network is gone, and nothing is left behind.
Rule 2: the line forwards only once there are two machines; what is sent before waits.

Needs Linux, ``/dev/net/tun`` and ``unshare`` of util-linux; root, or a kernel that lets users make namespaces.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .line import Line, Weather

__all__ = ["ADDRESSES", "Machines", "machines", "why_not"]

ADDRESSES = ("10.77.0.1", "10.77.0.2")
DEVICE = Path(__file__).with_name("device.py")
PATIENCE_SECONDS = 20


def unshared(*command: str) -> list[str]:
    """A command in a network namespace of its own; whoever is not root becomes it there."""
    rootless = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *rootless, "--net", "--", *command]


def why_not() -> str | None:
    """Why this system cannot have them, or None."""
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    if shutil.which("unshare") is None:
        return "unshare (of util-linux) is not installed"
    try:
        process, end = started(0, 1280, "true")
    except RuntimeError as error:
        return str(error)
    _end(process)
    os.close(end)
    return None


def started(machine: int, mtu: int, *command: str) -> tuple[subprocess.Popen[str], int]:
    """A program on one machine, and that machine's end of the line. RuntimeError: the kernel does not want that."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(PATIENCE_SECONDS)
        device = [sys.executable, str(DEVICE), str(theirs.fileno()), ADDRESSES[machine], str(mtu)]
        process = subprocess.Popen(
            unshared(*device, *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        data, ends, _, _ = socket.recv_fds(ours, 16, 1)
    if not data:
        _end(process)
        raise RuntimeError(
            f"no network namespace with a device of its own can be made here (exit {process.returncode})"
        )
    return process, ends[0]


class Machines:
    """``start`` a program on machine 0 and one on machine 1; ``line`` is there from the second one on."""

    def __init__(self, weather: Weather, seed: int, mtu: int) -> None:
        self.line: Line
        self._weather, self._seed, self._mtu = weather, seed, mtu
        self._ends: dict[int, int] = {}
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, machine: int, *command: str) -> subprocess.Popen[str]:
        """A program on a machine that has none yet; its input and output are pipes of text."""
        process, self._ends[machine] = started(machine, self._mtu, *command)
        self._processes.append(process)
        if len(self._ends) == 2:
            self.line = Line((self._ends[0], self._ends[1]), self._weather, self._seed)
            self.line.start()
        return process

    def end(self) -> None:
        """End what still runs, and take the line down."""
        for process in self._processes:
            _end(process)
        if len(self._ends) == 2:
            self.line.stop()
        else:
            for fd in self._ends.values():
                os.close(fd)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@contextmanager
def machines(weather: Weather, seed: int = 1, mtu: int = 1400) -> Iterator[Machines]:
    """Two machines for the length of the block; what still runs at its end is killed."""
    made = Machines(weather, seed, mtu)
    try:
        yield made
    finally:
        made.end()
