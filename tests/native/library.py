# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Builds libkcoro with the system's C compiler, for tests; the project itself needs none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NATIVE = ROOT / "kcoro_native"
CSRC = NATIVE / "csrc"
INCLUDE = CSRC / "include"
HEADERS = sorted((INCLUDE / "kcoro").glob("*.h"))
CORE = sorted(CSRC.glob("*.[cS]"))
PORT = sorted((CSRC / "port").glob("*.c"))
# What a build with the ports of this system defines.
PORT_FLAGS = ["-DKC_HAVE_EPOLL", "-DKC_HAVE_MAP_ANONYMOUS"] if sys.platform.startswith("linux") else []
HARNESS = sorted(HERE.glob("harness*.c"))
CTESTS = sorted((NATIVE / "ctests").glob("test_*.c"))

# How many states of each model of spin were explored in this run; for its summary.
STATES: dict[str, int] = {}

STRICT = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L", f"-I{INCLUDE}"]
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
SANITIZING = "libasan" in os.environ.get("LD_PRELOAD", "")
"""Whether all of this runs under the address sanitizer (.ci/under-sanitizers)."""

LOOK_SECONDS, LOOKS = 0.25, 16
"""A program whose threads are found asleep, and as often as before, that many times in a row waits for ever."""


def parts(ctest: Path) -> list[Path]:
    """What one C test is made of: some have a part in assembly."""
    return [ctest, *ctest.parent.glob(f"{ctest.stem.removeprefix('test_')}.S")]


def compiler() -> str | None:
    """The C compiler: what CC names, else cc; None where there is none."""
    return shutil.which(os.environ.get("CC") or "cc")


def run(*command: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its output is kept."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)


def build(target: Path, sources: Iterable[Path], *flags: str | Path, by: str | None = None) -> Path:
    """Compile sources into ``target``, by the compiler of this machine or another; a warning is an error.

    :raises AssertionError: with the compiler's words.
    """
    found = by or compiler()
    assert found is not None
    done = run(found, *STRICT, *sources, *flags, "-o", target, "-lpthread")
    assert done.returncode == 0, done.stderr
    return target


def ends_well(program: Path, longest: float) -> bool:
    """Whether it ends with 0. If not, it says so, dies, takes longer than so many seconds, or waits for ever."""
    over, before, looks = time.monotonic() + longest, None, 0
    with subprocess.Popen([program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while looks < LOOKS and time.monotonic() < over:
            try:
                return process.wait(LOOK_SECONDS) == 0
            except subprocess.TimeoutExpired:
                now = slept(process.pid)
            looks = looks + 1 if now is not None and now == before else 0
            before = now
        process.kill()
    return False


def slept(pid: int) -> int | None:
    """How often the threads of a process have gone to sleep; None while one of them runs, or waits for a processor."""
    count = 0
    try:
        for path in Path(f"/proc/{pid}/task").glob("*/status"):
            found = re.search(r"\nState:\tS[^~]*\nvoluntary_ctxt_switches:\t(\d+)", path.read_text())
            if found is None:
                return None
            count += int(found[1])
    except OSError:  # one has ended meanwhile
        return None
    return count or None
