# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into libkcoro are found by the comparison with the reference: equal traces mean something."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from .library import CSRC, HERE, build
from .programs import Program, on_reference
from .test_model import on_native

FAULTS = {
    "a waiter wins twice": ("claim.h", "kc_atomic_swap_if(&op->claim, KC_WAITING, to)", "(op->claim = to, true)"),
    "the newest waiter is served": (
        "claim.h",
        "w = list->first; w != NULL; w = w->next",
        "w = list->last; w; w = w->prev",
    ),
    "a timeout beats a cancel": ("waiter.c", "op->late != KC_CANCELLED", "op->late != KC_TIMED_OUT"),
    "a dead clause counts twice": ("waiter.c", "if (!w->dead) {", "if (true) {"),
    "a slot is not refilled": ("channel.c", "if (ch->senders.length != 0 && !ch->closed)", "if (false)"),
    "a closed channel forgets its receivers": (
        "channel.c",
        "== 0)\n        shut(ch, &ch->receivers);\n}\n\nint kc_chan_recv",
        "== 0) {}\n}\n\nint kc_chan_recv",
    ),
    "the wrong element is dropped": ("channel.c", "ch->overflow != KC_DROP_LATEST", "ch->overflow == KC_DROP_LATEST"),
    "capacity is one more": ("channel_life.c", "return capacity;", "return capacity + 1;"),
    "a hand-off is not counted": ("channel.c", "ch->handoffs++;\n        kci_finish(w, NULL)", "kci_finish(w, NULL)"),
    "a select meets itself": ("clauses.c", "if (kc_op_begin_claim(op, self->arm.index) != 1)", "if (0)"),
    "round robin starts at the winner": (
        "select.c",
        "(size_t)(last + 1) % count",
        "(size_t)(last < 0 ? 0 : last) % count",
    ),
    "losers stay in line": ("clauses.c", "    kc_waiter_leave(&self->arm);", "    (void)self;"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_changes_a_trace(fault: str, build_dir: Path, tmp_path: Path) -> None:
    """Or the programs do not reach what it breaks."""
    name, old, new = FAULTS[fault]
    sources = shutil.copytree(CSRC, tmp_path / "csrc")
    text = (sources / name).read_text()
    assert old in text
    (sources / name).write_text(text.replace(old, new))
    files = [*sources.glob("*.c"), HERE / "harness.c"]
    broken = ctypes.CDLL(str(build(tmp_path / "broken.so", files, "-O0", "-w", "-shared", "-fPIC", f"-I{sources}")))
    assert any(on_native(broken, p := Program.random(seed)) != on_reference(p) for seed in range(2000))
