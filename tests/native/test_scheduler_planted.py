# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into the queues and the scheduler of libkcoro are found by their C tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .library import CORE, CSRC, NATIVE, PORT, PORT_FLAGS, build

pytestmark = pytest.mark.long

LONGEST = 20  # seconds: whoever waits longer was left waiting
# Which test has to see it, and what is changed.
FAULTS = {
    "the last item is popped without a swap": (
        "test_deque",
        "deque.h",
        "left == 0 && !kc_atomic_swap_if_sc(&q->top, t, kci_deque_step(t, 1))",
        "0",
    ),
    "a thief does not swap": (
        "test_deque",
        "deque.h",
        "    if (kc_atomic_swap_if_sc(&q->top, t, kci_deque_step(t, 1)))\n        return item;",
        "    kc_atomic_store(&q->top, kci_deque_step(t, 1));\n    return item;",
    ),
    "one too many is let in": ("test_deque", "deque.h", ">= KC_SCHED_DEQUE_ROOM", "> KC_SCHED_DEQUE_ROOM"),
    "the counts may not wrap around": (
        "test_deque",
        "deque.h",
        "    return (int)((unsigned)b - (unsigned)t);",
        "    return b < t ? -1 : (int)((unsigned)b - (unsigned)t);",
    ),
}


def spoilt(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the library with one change in it."""
    copy = folder / "kcoro_native"
    for part in ("csrc", "ctests"):
        for path in (NATIVE / part).rglob("*.[chS]"):
            target = copy / path.relative_to(NATIVE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    text = (CSRC / file).read_text()
    assert old in text
    (copy / "csrc" / file).write_text(text.replace(old, new))
    return copy


def fails(copy: Path, who: str) -> bool:
    """Whether a test says so, dies, or does not end."""
    sources = [copy / path.relative_to(NATIVE) for path in [*CORE, *PORT]]
    flags = ["-w", "-O1", *PORT_FLAGS, f"-I{copy / 'csrc'}", f"-I{copy / 'ctests'}"]
    program = build(copy / who, [copy / "ctests" / f"{who}.c", *sources], *flags)
    try:
        return subprocess.run([program], capture_output=True, timeout=LONGEST).returncode != 0
    except subprocess.TimeoutExpired:
        return True


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, build_dir: Path, tmp_path: Path) -> None:
    """By the test that is there to find it."""
    who, *change = FAULTS[fault]
    assert fails(spoilt(tmp_path, *change), who)


@pytest.mark.parametrize("who", sorted({fault[0] for fault in FAULTS.values()}))
def test_nothing_is_found_where_nothing_is_wrong(who: str, build_dir: Path, tmp_path: Path) -> None:
    """Or what was found above is something else."""
    assert not fails(spoilt(tmp_path, "deque.h", "SPDX", "SPDX"), who)
