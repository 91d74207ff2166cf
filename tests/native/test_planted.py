# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into libkcoro are found by the comparison with the reference: equal traces mean something."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from .library import CORE, CSRC, HARNESS, build
from .on_reference import on_reference
from .programs import Program
from .test_model import on_native
from .test_times import on_native as times_on_native
from .times import timer_steps, timers_on_reference, token_steps, tokens_on_reference

FAULTS = {
    "a waiter wins twice": ("claim.h", "kc_atomic_swap_if(&op->claim, KC_WAITING, to)", "(op->claim = to, true)"),
    "the newest waiter is served": (
        "claim.h",
        "w = list->first; w != NULL; w = w->next",
        "w = list->last; w; w = w->prev",
    ),
    "the newest waiter of a channel is served": (
        "chan.h",
        "w = list->first; w != NULL; w = w->next",
        "w = list->last; w; w = w->prev",
    ),
    "a timeout beats a cancel": ("waiter.c", "op->late != KC_CANCELLED", "op->late != KC_TIMED_OUT"),
    "a dead clause counts twice": ("waiter.c", "if (!w->dead) {", "if (true) {"),
    "a slot is not refilled": ("channel.c", "if (ch->senders.length != 0)\n            refill(ch);", ""),
    "a closed channel forgets its receivers": ("lending.c", "    kci_chan_shut(ch, &ch->receivers);\n", ""),
    "the wrong element is dropped": ("channel.c", "ch->overflow != KC_DROP_LATEST", "ch->overflow == KC_DROP_LATEST"),
    "capacity is one more": ("channel_life.c", "return capacity;", "return capacity + 1;"),
    "a hand-off is not counted": ("channel.c", "ch->handoffs++;\n        kci_finish(w, NULL)", "kci_finish(w, NULL)"),
    "a select meets itself": ("clauses.c", "if (kc_op_begin_claim(op, self->arm.index) != 1)", "if (0)"),
    "round robin starts at the winner": (
        "select.c",
        "(size_t)(last + 1) % count",
        "(size_t)(last < 0 ? 0 : last) % count",
    ),
    "who is not the borrower overtakes it": (
        "lending.c",
        "if (ch->borrower == NULL)\n        return accept",
        "return accept",
    ),
    "slots are asked for twice": ("lending.c", "    if (ch->recalled)\n        return;\n", ""),
    "lent slots take no room": ("chan.h", " + (ch->suspends ? ch->lent : 0) < ", " < "),
    "senders move in during a recall": ("lending.c", "!ch->closed && !ch->recalled && ", "!ch->closed && "),
    "drained while slots are lent": ("chan.h", "ch->travelling == 0 && ch->borrower == NULL", "ch->travelling == 0"),
    "drained while an element travels": ("chan.h", "ch->travelling == 0 && ch->borrower", "ch->borrower"),
    "a filled slot is still lent": ("lending.c", "    ch->lent--;\n", ""),
    "more is lent than is free": ("lending.c", "count > kc_chan_lendable(ch) || ", ""),
    "what fills a slot after a cancel is queued": (
        "lending.c",
        "if (ch->given_up) {\n        ch->accepted",
        "if (0) {\n        ch->accepted",
    ),
    "a channel stays held back": ("lending.c", "        ch->limit = SIZE_MAX;\n    kci", "    kci"),
    "free slots are not told": ("lending.c", "if (ch->borrower != NULL && !ch->recalled)", "if (0)"),
    "what comes back stands in reverse": ("keeping.c", "elements[i - 1]", "elements[count - i]"),
    "what comes back passes the keeper": ("keeping.c", "i < count && ch->keeper == NULL && ", "i < count && "),
    "who keeps is not told of what comes back": (
        "keeping.c",
        "if (ch->ring.length != 0 && ch->keeper != NULL)\n            ch",
        "if (0)\n            ch",
    ),
    "what comes back after a cancel is lost": ("keeping.c", "        report_all(ch, put_back, back);\n", ""),
    "a kept element gives its slot away": ("chan.h", "ch->ring.length + ch->kept + ", "ch->ring.length + "),
    "the keeper is not told of elements": ("lending.c", "if (rc == 0 && ch->keeper != NULL)", "if (0)"),
    "nobody moves in when a keeper has gone": ("keeping.c", "    kci_chan_after_take(ch);\n", ""),
    "a try ends before its answer": ("tries.c", "ch->recalled || t->question > ch->answered", "ch->recalled"),
    "a try outlasts its answer": ("tries.c", "t->question > ch->answered", "true"),
    "the question of another borrower is open": ("lending.c", "    ch->answered = ch->asked;\n", ""),
    "a try to send does not wait for the slots": (
        "tries.c",
        "return ch->borrower != NULL;\n    if",
        "return false;\n    if",
    ),
    "equal deadlines in any order": ("timer.c", "a->serial < b->serial", "a->serial > b->serial"),
    "a late timer is early": ("timer.c", "timer->deadline > now || ", ""),
    "the next deadline is forgotten": ("timer.c", "timers->knows_next = false;\n    return 1", "return 1"),
    "a slot is left behind": ("timer.c", "if (begin >= until)", "if (begin + 1 >= until)"),
    "callbacks run while the tree is half set": ("cancel.c", "        append(pending, s);", "        s->fn(s);"),
    "what is under way is taken back": ("cancel.c", "s != NULL && s->token != NULL && ", ""),
    "a late child starts unset": ("cancel.c", "if (parent->is_set)", "if (0)"),
    "losers stay in line": ("clauses.c", "    kc_waiter_leave(&self->arm);", "    (void)self;"),
}


@pytest.fixture(scope="module")
def objects(build_dir: Path) -> Path:
    """The sound files, each compiled on its own."""
    folder = build_dir / "objects"
    folder.mkdir()
    for source in [*CORE, *HARNESS]:
        build(folder / f"{source.name}.o", [source], "-w", "-c", "-fPIC", f"-I{CSRC}")
    return folder


def others(objects: Path, name: str) -> list[Path]:
    """All of them but that of one source."""
    return [path for path in objects.iterdir() if path.name != f"{name}.o"]


def differs(broken: ctypes.CDLL, name: str, seed: int) -> bool:
    """Whether the programs of this seed, about what the file holds, tell the engines apart."""
    if name == "timer.c":
        steps = timer_steps(seed)
        return times_on_native(broken, "run_timers", steps) != timers_on_reference(steps)
    if name == "cancel.c":
        steps = token_steps(seed)
        return times_on_native(broken, "run_tokens", steps) != tokens_on_reference(steps)
    program = Program.random(seed)
    return on_native(broken, program) != on_reference(program)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_changes_a_trace(fault: str, objects: Path, tmp_path: Path) -> None:
    """Or the programs do not reach what it breaks."""
    name, old, new = FAULTS[fault]
    sources = shutil.copytree(CSRC, tmp_path / "csrc")
    text = (sources / name).read_text()
    assert old in text
    (sources / name).write_text(text.replace(old, new))
    # A file of its own is compiled anew, a header that all include with all of them.
    files = [*sources.glob("*.[cS]"), *HARNESS] if name.endswith(".h") else [sources / name, *others(objects, name)]
    broken = ctypes.CDLL(str(build(tmp_path / "broken.so", files, "-w", "-shared", "-fPIC", f"-I{sources}")))
    assert any(differs(broken, name, seed) for seed in range(4000))
