# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Other processes of a benchmark: scripts beside this one that say when they are ready, and end with their input."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["command", "resident", "running"]


def command(script: str, *arguments: object) -> list[str]:
    """What starts a script of this directory."""
    return [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]


@contextmanager
def running(script: str, *arguments: object) -> Iterator[None]:
    """Start it, wait until it says ``ready``, and end it. RuntimeError: it says something else."""
    with subprocess.Popen(command(script, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("the other process did not start; see above")
            yield
        finally:
            process.stdin.close()
            process.wait(10)


def resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
