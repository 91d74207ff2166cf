# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who follows the frames of a coroutine upwards stops at its entry: gdb, and perf by frame pointers. Row: C4."""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

import pytest

from .library import CORE, CSRC, HERE, NATIVE, PORT, PORT_FLAGS, build, compiler, run
from .test_coroutines import FOREIGN, MACHINES

FRAMES = ["-g", "-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", *PORT_FLAGS]
BESIDE = [f"-I{NATIVE / 'ctests'}", f"-I{CSRC}"]
# What coroutines are made of; the rest of libkcoro would take longer to compile than all that is done here.
PARTS = re.compile("coro|dying|here|memory|near|pages|slabs|stacks|switch|watched")
COROUTINES = [path for path in [*CORE, *PORT] if PARTS.search(path.stem)]
HERE_TOO = [platform.machine()] if platform.machine() in MACHINES else []
pytestmark = pytest.mark.long


def frames(target: Path, machine: str) -> Path:
    """The program of frames.c for a machine: this one, or one that is emulated."""
    foreign = machine not in HERE_TOO
    flags = [*FRAMES, *BESIDE, *(["-static"] if foreign else [])]
    by = f"{machine}-linux-gnu-gcc" if foreign else compiler()
    return build(target, [HERE / "frames.c", *COROUTINES], *flags, by=by)


@pytest.mark.parametrize("machine", [*HERE_TOO, *FOREIGN])
def test_frame_pointers_end_at_the_entry(machine: str, build_dir: Path, tmp_path: Path) -> None:
    """The last one is 0, whatever the stack was full of; so perf goes no further. Row: C4."""
    program = frames(tmp_path / "frames", machine)
    done = run(program) if machine in HERE_TOO else run(f"qemu-{machine}", program)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(not HERE_TOO, reason="there is no switcher in assembly for this machine")
@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
def test_a_debugger_stops_at_the_entry(build_dir: Path, tmp_path: Path) -> None:
    """A backtrace of gdb has each function up to libkcoro's entry and nothing above; in a switch, the one who goes on.

    Row: C4.
    """
    program = frames(tmp_path / "frames", HERE_TOO[0])
    words = ["set debuginfod enabled off", "break look", "break suspend", "run", *["bt", "continue"] * 6]
    done = run("gdb", "-nx", "-batch", *[part for word in words for part in ("-ex", word)], program)
    stops = re.split(r"^Breakpoint \d+, ", done.stdout, flags=re.MULTILINE)[1:]
    traces = [re.findall(r"^#\d+ +(?:0x\w+ in )?(\S+) \(", stop, re.MULTILINE) for stop in stops]
    shallow, deep = (["look", *["deeper"] * calls, "body", "kci_begin", "begin"] for calls in (1, 4))
    assert "stopped" not in done.stdout + done.stderr
    assert [traces[stop] for stop in (0, 2, 3, 5)] == [shallow, shallow, deep, deep], done.stdout + done.stderr
    for trace in (traces[1], traces[4]):
        assert (trace[:2], trace[-1], "begin" in trace) == (["suspend", "kci_switch"], "main", False)
