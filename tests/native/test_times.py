# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Timers and tokens of libkcoro against the reference engine: random programs leave the same trace on both."""

from __future__ import annotations

import ctypes
from collections import Counter

import pytest

from .times import Steps, timer_steps, timers_on_reference, token_steps, tokens_on_reference

PROGRAMS = 2000
ROOM = 1 << 15


def on_native(harness: ctypes.CDLL, name: str, steps: Steps) -> list[int]:
    """The trace of a program on libkcoro; numbers come in two halves."""
    run = getattr(harness, name)
    run.restype = ctypes.c_size_t
    words = [word for step in steps for word in step]
    trace = (ctypes.c_int32 * ROOM)()
    length = run((ctypes.c_int32 * len(words))(*words), ctypes.c_size_t(len(steps)), trace, ctypes.c_size_t(ROOM))
    assert length <= ROOM
    return [(high << 31) + low for high, low in zip(trace[0:length:2], trace[1:length:2], strict=True)]


@pytest.mark.parametrize("block", range(2))
def test_timers_fire_in_the_same_order_on_both_engines(harness: ctypes.CDLL, block: int) -> None:
    """And cancels, counts and next deadlines agree, over spans from nothing to years. Rows: SC5."""
    for seed in range(block * PROGRAMS, (block + 1) * PROGRAMS):
        steps = timer_steps(seed)
        assert (on_native(harness, "run_timers", steps), seed) == (timers_on_reference(steps), seed)


def test_tokens_are_set_and_told_in_the_same_order_on_both_engines(harness: ctypes.CDLL) -> None:
    """Also while callbacks take others back, set other tokens and make children. Rows: K1, K2."""
    for seed in range(PROGRAMS):
        steps = token_steps(seed)
        assert (on_native(harness, "run_tokens", steps), seed) == (tokens_on_reference(steps), seed)


def test_the_programs_reach_what_they_are_about() -> None:
    """Timers fire and tokens tell, or equal traces would prove little."""
    fired: Counter[int] = Counter()
    for seed in range(200):
        fired.update(timers_on_reference(timer_steps(seed)))
    told = Counter(word for seed in range(200) for word in tokens_on_reference(token_steps(seed)))
    assert min(fired[1000], told[1000]) > 50
