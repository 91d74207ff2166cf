# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of channels and of select that are not told as acts of tasks on a scheduler, each with its reason."""

from __future__ import annotations

__all__ = ["ELSEWHERE"]

_FACE = "it is about what Python's channels show of themselves"
_CLOCK = "it needs a clock that jumps; the scheduler's is the real one"
_SELECTOR = "a shared select is one kc_select_t, and what makes its order is told in test_model.py"
_HOOK = "what a hook does, or when it fails, is told in kcoro_native/ctests"
_CROWD = "many calls at once have an order: test_histories.py, and the soaks of test_scheduler.py"

ELSEWHERE = {
    "CH4.a-hundred-thousand": "an act for each of them takes too long; CH4.never-full is told",
    "CH13.attributes": _FACE,
    "CH13.context-manager-closes": _FACE,
    "CH10.exception-as-reason-ends-iteration-with-it": _FACE,
    "M2.snapshot-is-constant": _FACE,
    "M2.rates": _FACE,
    "M2.rates-of-one-instant": _FACE,
    "CH11.many-to-many": _CROWD,
    "CH8.cancel-beats-timeout-in-one-tick": _CLOCK,
    "CH8.failures-are-booked-as-raised": _CLOCK,
    "CH7.deadlines-are-exact": _CLOCK,
    "CH7.for-ever-is-for-ever": _CLOCK,
    "CH6.the-books-are-right-inside-the-hook": _HOOK,
    "CH6.a-hook-that-raises-changes-nothing": _FACE,
    "CH6.a-hook-may-use-its-channel": _HOOK,
    "CH6.the-hook-gets-its-channel": _FACE,
    "CH6.a-hook-keeps-no-channel-alive": _FACE,
    "CH6.overflow-during-a-storm-of-cancels": _CROWD,
    "SE1.many-selects-many-channels": _CROWD,
    "SE3.unbiased-is-fair": _SELECTOR,
    "SE3.contending-selects-are-fair": _SELECTOR,
    "SE3.round-robin-bounds-runs": _SELECTOR,
    "SE8.reuse-does-not-grow": _SELECTOR,
    "SE8.add-replace-reset": _SELECTOR,
    "SE8.one-task-at-a-time": _SELECTOR,
    "SE3.round-robin-needs-a-selector": _SELECTOR,
}
"""What is left out; a new law has to be told or stand here."""
