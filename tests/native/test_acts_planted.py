# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into channels, waits and the scheduler of libkcoro are found by the acts of tasks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .act_programs import differing
from .library import CORE, CSRC, HERE, PORT, PORT_FLAGS, build
from .test_acts import wrong

pytestmark = pytest.mark.long

LONGEST = 10  # seconds: whoever waits longer was left waiting
PATIENT = 120  # seconds, where nobody is: for a machine that is as busy as any
FAULTS = {
    "the newest waiter is served": (
        "chan.h",
        "w = list->first; w != NULL; w = w->next",
        "w = list->last; w != NULL; w = w->prev",
    ),
    "a close forgets those who send": (
        "channel.c",
        "    kci_chan_shut(ch, &ch->senders);\n",
        "",
    ),
    "a close forgets those who receive": ("lending.c", "    kci_chan_shut(ch, &ch->receivers);\n", ""),
    "the old element stays in a conflated channel": (
        "channel.c",
        "ch->overflow != KC_DROP_LATEST",
        "ch->overflow != KC_DROP_LATEST && ch->kind != KC_CONFLATED",
    ),
    "a select takes from two": (
        "select.c",
        "if (rc > 0 || kci_claim(&s->op) != KC_WAITING)\n            return settle(s);",
        "(void)0;",
    ),
    "a select stands in its first line only": (
        "select.c",
        "        s->clauses[i].is_enlisted = true;\n",
        "        s->clauses[i].is_enlisted = true;\n        break;\n",
    ),
    "a waiter wins twice": ("claim.h", "kc_atomic_swap_if(&op->claim, KC_WAITING, to)", "(op->claim = to, true)"),
    "of all that are decided one is woken": (
        "wait.c",
        "    while (wait != NULL) {\n        kci_wait_t *next",
        "    if (wait != NULL) {\n        kci_wait_t *next",
    ),
    "who gave up stays in line": ("shared.c", "    kc_waiter_leave(&call.waiter);\n", ""),
    "a try waits": ("shared.c", "rc == -EAGAIN && timeout_ns != 0", "rc == -EAGAIN"),
    "a try of a select waits": ("shared_select.c", "rc == -EAGAIN && timeout_ns != 0", "rc == -EAGAIN"),
    "a wait without a deadline has one": (
        "wait.c",
        "if (timeout_ns >= 0)\n            start",
        "if (timeout_ns = timeout_ns < 0 ? 1 : timeout_ns, true)\n            start",
    ),
    "what was dropped is not told": (
        "shared.c",
        "    kci_leave(&ch->lock);\n    kci_share_tell(ch, &dropped);",
        "    kci_leave(&ch->lock);",
    ),
    "what a cancel gives up is told in one piece": (
        "shared.c",
        "    while (report_one(ch, why))\n        ;",
        "    report_one(ch, why);",
    ),
    "clauses that were skipped stay in a channel that is cancelled": (
        "shared.c",
        "    kc_chan_cancel(ch->ch, reason, why);",
        "",
    ),
    "a cancel is booked as late": (
        "shared.c",
        "kc_chan_count_failure(ch->ch, KC_CANCELLED)",
        "kc_chan_count_failure(ch->ch, KC_TIMED_OUT)",
    ),
    "a task that is cancelled waits on": ("task.c", "    kc_op_revoke(kc_atomic_load_ptr_sc(&task->op));\n", ""),
    "a token that is set already ends nothing": (
        "shared_token.c",
        "if (token == NULL || kc_atomic_load(&token->is_set) == 0)",
        "if (true)",
    ),
    "those below are not set": ("shared_token.c", "t != NULL; t = t->found", "t != NULL; t = NULL"),
    "the last receiver only closes": (
        "shared_half.c",
        "kc_shared_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED)",
        "kc_shared_close(ch, NULL)",
    ),
    "the first of two senders closes": (
        "shared_half.c",
        "if (kc_atomic_add_sc(&ch->open_senders, -1) == 0)",
        "kc_atomic_add_sc(&ch->open_senders, -1);",
    ),
    "one too many is let in": (
        "channel.c",
        "ch->ring.length < ch->limit)\n        return kci",
        "ch->ring.length <= ch->limit)\n        return kci",
    ),
}


@pytest.fixture(scope="module")
def objects(build_dir: Path) -> Path:
    """The sound files, each compiled on its own."""
    folder = build_dir / "sound acts"
    folder.mkdir()
    for source in [*CORE, *PORT, HERE / "acts.c"]:
        build(folder / f"{source.name}.o", [source], "-w", "-O1", *PORT_FLAGS, "-c", f"-I{CSRC}")
    return folder


def is_found(runner: Path) -> bool:
    """Whether rows or programs say so, or the runner dies or hangs."""
    try:
        return bool(wrong(runner, 2, longest=LONGEST)) or bool(differing(runner, range(200), 2, longest=LONGEST))
    except (AssertionError, subprocess.TimeoutExpired):
        return True


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, objects: Path, tmp_path: Path) -> None:
    """Or no act reaches what it breaks."""
    name, old, new = FAULTS[fault]
    sources = shutil.copytree(CSRC, tmp_path / "csrc")
    text = (sources / name).read_text()
    assert old in text
    (sources / name).write_text(text.replace(old, new))
    others = [path for path in objects.iterdir() if path.name != f"{name}.o"]
    files = [*sources.glob("*.[cS]"), HERE / "acts.c", *(sources / "port").glob("*.c")]
    files = files if name.endswith(".h") else [sources / name, *others]
    assert is_found(build(tmp_path / "acts", files, "-w", "-O1", *PORT_FLAGS, f"-I{sources}"))


def test_nothing_is_found_where_nothing_is_wrong(objects: Path, tmp_path: Path) -> None:
    """Or what was found above is something else."""
    runner = build(tmp_path / "acts", objects.iterdir(), "-w")
    assert not (found := wrong(runner, 2, longest=PATIENT)), found
    assert not (found := differing(runner, range(200), 2, longest=PATIENT)), found
