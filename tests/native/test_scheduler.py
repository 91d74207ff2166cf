# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The scheduler of libkcoro: its tunables, and what its C tests do for longer than they do by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from .library import CORE, CSRC, HERE, NATIVE, PORT, PORT_FLAGS, build, run

DEFAULTS = {"steal_scan": 4, "deque_room": 2 * 129, "inject_room": 4096, "inject_every": 61, "inline_most": 3}
DEFAULTS["budget"] = 1000 // 7  # a thousand sends, and a yield after each 128
DEFAULTS["first_room"] = 16
# Another default of a macro, and what the program says then.
OVERRIDES = {
    "KC_SCHED_STEAL_SCAN_MAX=2": {"steal_scan": 2},
    "KC_SCHED_DEQUE_ROOM=512": {"deque_room": 0},
    "KC_SCHED_INJECT_ROOM=10": {"inject_room": 10},
    "KC_SCHED_INJECT_EVERY=7": {"inject_every": 7},
    "KC_SCHED_INLINE_MAX=9": {"inline_most": 9},
    "KC_SCHED_BUDGET=10": {"budget": 10},
    "KC_RING_FIRST_ROOM=2": {"first_room": 2},
}


def numbers(folder: Path, *flags: str) -> dict[str, int]:
    """What ``tunables.c`` says in a build with these flags."""
    sources = [HERE / "tunables.c", *CORE, *PORT]
    done = run(build(folder / "tunables", sources, "-O1", *PORT_FLAGS, *flags, f"-I{CSRC}"))
    assert (done.returncode, done.stderr) == (0, "")
    return {name: int(number) for name, number in (word.split("=") for word in done.stdout.split())}


def test_the_defaults_of_the_scheduler_are_those_of_the_manual(build_dir: Path, tmp_path: Path) -> None:
    """Each tunable is seen by what it changes. Row: CF4."""
    assert numbers(tmp_path) == DEFAULTS


@pytest.mark.long
@pytest.mark.parametrize("flag", OVERRIDES)
def test_a_build_may_have_other_defaults(flag: str, build_dir: Path, tmp_path: Path) -> None:
    """One macro changes what it is for, and nothing else. Row: CF4."""
    assert numbers(tmp_path, f"-D{flag}") == DEFAULTS | OVERRIDES[flag]


# What is done for longer: a flag, and the test that it is for.
LONGER = {
    "test_scheduler_turns": "-DCHAIN=100000",
    "test_scheduler": "-DROUNDS=300000",
    "test_shared_scheduler": "-DROUNDS=100000",
    "test_scheduler_select": "-DROUNDS=20000",
    "test_scheduler_tokens": "-DROUNDS=20000",
    "test_scheduler_half": "-DROUNDS=50000",
    "test_deque": "-DROUNDS=20000000",
}


@pytest.mark.long
@pytest.mark.parametrize("name", LONGER)
def test_a_c_test_passes_for_longer(name: str, build_dir: Path, tmp_path: Path) -> None:
    """A chain of a hundred thousand tasks, each woken by the one before it; and soaks. Rows: SC1, SC2, SC3, SC4."""
    sources = [NATIVE / "ctests" / f"{name}.c", *CORE, *PORT]
    flags = ["-O2", *PORT_FLAGS, LONGER[name], f"-I{CSRC}", f"-I{NATIVE / 'ctests'}"]
    done = run(build(tmp_path / name, sources, *flags))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
