# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The C tests, each a process of its own, under address and undefined-behaviour sanitizers."""

from __future__ import annotations

import errno
from array import array
from pathlib import Path

import pytest

from .library import CTESTS, HARNESS, HERE, NATIVE, SANITIZED, build, parts, run
from .programs import CHANNELS, Program
from .times import timer_steps, token_steps

STRICTEST = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


@pytest.mark.parametrize("source", CTESTS, ids=lambda path: path.stem)
def test_a_c_test_passes_under_sanitizers(source: Path, sanitized: Path, tmp_path: Path) -> None:
    """No leak, no access out of bounds or after free, no undefined behaviour.

    Rows: CH6, CH9, C1, C2, C3, C5, C6, C8, DG1, Q5, SC1, SC2, SC3, SC4, SC6, SC7, SC11, SC12.
    """
    program = build(tmp_path / source.stem, [*parts(source), sanitized], *SANITIZED, f"-I{NATIVE / 'ctests'}")
    done = run(program, env=STRICTEST)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    "name",
    [
        "test_poller",
        "test_memory",
        "test_waiter",
        "test_coroutine",
        "test_coroutine_threads",
        "test_stacks",
        "test_deque",
        "test_scheduler",
        "test_shared_scheduler",
        "test_scheduler_select",
        "test_scheduler_tokens",
        "test_scheduler_half",
    ],
)
def test_a_build_with_ports_and_without_c11_atomics_passes_too(name: str, ported: Path, tmp_path: Path) -> None:
    """What csrc/port adds means the same as poll(2), and a mutex the same as the atomics of the compiler."""
    flags = (*SANITIZED, "-DKC_NO_C11_ATOMICS", f"-I{NATIVE / 'ctests'}")
    done = run(build(tmp_path / name, [NATIVE / "ctests" / f"{name}.c", ported], *flags), env=STRICTEST)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def replayed(kind: int, head: list[int], steps: list[list[int]]) -> array[int]:
    """A program as ``replay.c`` reads it."""
    words = [kind, len(steps), *head, *[0] * (2 + 3 * CHANNELS - len(head))]
    return array("i", words + [word for step in steps for word in step])


def test_random_programs_pass_under_sanitizers(sanitized: Path, tmp_path: Path) -> None:
    """Those of the model test, for what equal traces do not show: memory that is read too late. Rows: CH6, SE1."""
    programs = tmp_path / "programs"
    with programs.open("wb") as file:
        for seed in range(1000):
            program = Program.random(seed, 100)
            replayed(0, program.head, program.steps).tofile(file)
            replayed(1, [], timer_steps(seed)).tofile(file)
            replayed(2, [], token_steps(seed)).tofile(file)
    replay = build(tmp_path / "replay", [HERE / "replay.c", *HARNESS, sanitized], *SANITIZED)
    done = run(replay, programs, env=STRICTEST)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("CHECK(1 + 1, ==, 3);", "expected 1 + 1 == 3, but 1 + 1 is 2"),
        ("void *v; CHECK(kc_chan_recv_now(ch, &v), ==, 0);", f"is -{errno.EAGAIN}"),
        ("kc_chan_release(ch); kc_chan_length(ch);", "heap-use-after-free"),
        ("kc_chan_retain(ch);", "LeakSanitizer"),
        ("volatile int big = INT32_MAX; big += failures + 1;", "signed integer overflow"),
    ],
)
def test_a_c_test_can_fail(wrong: str, words: str, sanitized: Path, tmp_path: Path) -> None:
    """A planted mistake of each kind ends the process with another code than 0, and is named."""
    source = tmp_path / "planted.c"
    source.write_text(
        f'#include "kcoro/kcoro.h"\n#include "check.h"\nTEST(planted) {{ kc_chan_t *ch; '
        f"kc_chan_make(&ch, KC_RENDEZVOUS, 0, KC_SUSPEND, NULL); {wrong}\n "
        f"{'' if 'release' in wrong else 'kc_chan_release(ch);'} }}\nint main(void) {{ RUN(planted); return DONE; }}\n"
    )
    done = run(build(tmp_path / "planted", [source, sanitized], *SANITIZED, f"-I{NATIVE / 'ctests'}"), env=STRICTEST)
    assert done.returncode != 0
    assert words in done.stderr
