# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""libkcoro against the reference engine: random programs leave the same trace on both. Rows: CH1."""

from __future__ import annotations

import ctypes
from collections import Counter

import pytest

from kcoro_core.reference.channel import Channel
from kcoro_core.reference.waiter import Operation

from . import programs
from .on_reference import on_reference
from .programs import Program

PROGRAMS = 4000
ROOM = 1 << 16


def numbers(values: list[int]) -> ctypes.Array[ctypes.c_int32]:
    return (ctypes.c_int32 * len(values))(*values)


def on_native(harness: ctypes.CDLL, program: Program) -> list[int]:
    """The trace of a program on libkcoro."""
    run = harness.run_program
    run.restype = ctypes.c_size_t
    steps = numbers([word for step in program.steps for word in step])
    trace = (ctypes.c_int32 * ROOM)()
    length = run(numbers(program.head), steps, ctypes.c_size_t(len(program.steps)), trace, ctypes.c_size_t(ROOM))
    assert length <= ROOM
    return trace[:length]


def shortened(harness: ctypes.CDLL, program: Program) -> Program:
    """A program that still fails, without steps that it does not need for that."""
    for at in reversed(range(len(program.steps))):
        shorter = Program(program.head, program.steps[:at] + program.steps[at + 1 :])
        if shorter.steps and on_native(harness, shorter) != on_reference(shorter):
            program = shorter
    return program


def compare(harness: ctypes.CDLL, seeds: range, length: int = 60) -> None:
    """Run the programs of these seeds on both engines; one that tells them apart is shown as short as it can be."""
    for seed in seeds:
        program = Program.random(seed, length)
        if on_native(harness, program) != on_reference(program):
            program = shortened(harness, program)
            assert (on_native(harness, program), program) == (on_reference(program), program)


@pytest.mark.parametrize("block", range(4))
def test_random_programs_leave_the_same_trace_on_both_engines(harness: ctypes.CDLL, block: int) -> None:
    """Results, wake-ups, reports and counters, in the same order.

    Rows: CH1, CH2, CH3, CH4, CH5, CH11, CH12, M1, N4, SE1, SE2, SE6, X20.
    """
    share = PROGRAMS // 4
    compare(harness, range(block * share, (block + 1) * share))


@pytest.mark.long
def test_many_long_programs_leave_the_same_trace_on_both_engines(harness: ctypes.CDLL) -> None:
    """The same for a minute or two. Rows: CH11, SE1."""
    compare(harness, range(10**6, 10**6 + 20_000), length=150)


def test_the_programs_reach_what_they_are_about() -> None:
    """Wake-ups, losses and every answer occur, or equal traces would prove little."""
    seen: Counter[int] = Counter()
    for seed in range(300):
        seen.update(on_reference(Program.random(seed)))
    assert min(seen[word] for word in (programs.WOKEN, programs.LOST, programs.STATE, programs.TOLD)) > 100


def test_the_ends_of_links_are_told_everything() -> None:
    """Recalls, questions, free slots, elements that came and the end of a channel occur in the programs. Row: N4."""
    told: Counter[int] = Counter()
    for seed in range(1000):
        trace = on_reference(Program.random(seed))
        told.update(trace[at + 2] for at, word in enumerate(trace) if word == programs.TOLD)
    assert set(told) == set(range(6))
    assert min(told.values()) > 5


def test_a_difference_is_found_and_shortened(harness: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference that serves the newest receiver instead of the oldest is told from the twin."""
    honest = Channel.enqueue

    def at_the_front(self: Channel, w: Operation) -> None:
        honest(self, w)
        (self.senders if w.sending else self.receivers).move_to_end(w, last=False)

    monkeypatch.setattr(Channel, "enqueue", at_the_front)
    different = [p for seed in range(200) if on_native(harness, p := Program.random(seed)) != on_reference(p)]
    assert len(different) > 10
    assert len(shortened(harness, different[0]).steps) < 10
