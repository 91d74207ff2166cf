# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What can be set about stacks of the native engine: a process takes it when it needs its first one. Row: CF4."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEGIN = """
import resource
from pathlib import Path
from kcoro_core import Coroutine, run
from kcoro_native import _native

def mapped():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() >> 20

def parks():
    Coroutine.park()
"""
COROUTINE = """
co = Coroutine(parks)
before = mapped()
co.resume()
print(mapped() - before)
"""
STACKFUL = """
from kcoro_native.stackful import stackful
async def main():
    before = mapped()
    print(await stackful(mapped)() - before)
run(main, host="native")
"""
KEPT = """
many = [Coroutine(parks) for _ in range(104)]
for co in many:
    co.resume()
used = _native._count_stacks()["used"]
for co in many:
    co.destroy()
counts = _native._count_stacks()
print(used, counts["used"], counts["dropped"])
"""


def said(program: str, **environ: str) -> list[int]:
    """The numbers that a process of its own prints, with these settings."""
    environment = {**os.environ, "KCORO_ENGINE": "native", **environ}
    command = [sys.executable, "-c", BEGIN + program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("program", [COROUTINE, STACKFUL], ids=["coroutine", "stackful"])
def test_a_stack_is_as_large_as_it_is_set(program: str) -> None:
    """The largest one alone is more address space than a slab of small ones. Row: CF4."""
    (usual,) = said(program)
    (large,) = said(program, KCORO_STACK_SIZE=str(512 << 20))
    assert usual < 256
    assert 512 <= large < 768


@pytest.mark.parametrize(("kept", "near", "dropped"), [("0", 0, 104), ("10", 10, 94), ("70", 64, 34)])
def test_so_many_free_stacks_keep_their_memory(kept: str, near: int, dropped: int) -> None:
    """The others lose it when they are given back; those that a thread keeps count as used. Row: CF4."""
    # 104 of 8 MiB fill thirteen slabs, so that none is free that was never used.
    assert said(KEPT, KCORO_KEPT_STACKS=kept) == [104, near, dropped]
