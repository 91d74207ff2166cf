# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into the queues and the scheduler of libkcoro are found by their C tests."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from .library import CORE, CSRC, NATIVE, PORT, PORT_FLAGS, build, ends_well

pytestmark = pytest.mark.long

LONGEST = 20  # seconds: whoever takes longer never ends
TRIED_SECONDS = 60.0  # some show only if two threads come at once, for which a busy machine has seldom two processors
# Where a fault shows only if two threads come at once, what is between them is made slow as well.
SLOWLY = "    for (volatile int i = 0; i < 50000; i++)\n        ;\n"
STOPPED = (
    "    if (kc_atomic_swap_if(&task->word, KCI_GOES_ON, KCI_WAITS))\n"
    "        return; /* from here on it may be anywhere, and gone */\n"
)
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
    "who is woken before it has stopped is forgotten": (
        "test_scheduler",
        "worker.c",
        STOPPED + "    kc_atomic_store(&task->word, KCI_GOES_ON);\n    kci_task_ready(task, false);",
        SLOWLY + STOPPED + "    kc_atomic_store(&task->word, KCI_GOES_ON);",
    ),
    "an unpark before a park is forgotten": ("test_scheduler", "task.c", "task->may_go_on = true;", ";"),
    "a shutdown wakes nobody": (
        "test_scheduler",
        "scheduler.c",
        "kc_op_revoke(kc_atomic_load_ptr_sc(&task->op));",
        ";",
    ),
    "who waits after a shutdown waits": (
        "test_scheduler",
        "work.h",
        "kc_atomic_load_sc(&task->sched->is_stopping) != 0 || ",
        "",
    ),
    "what never began begins after a shutdown": (
        "test_scheduler",
        "scheduler.c",
        "    for (kc_task_t *task; (task = kci_inject_pull(s)) != NULL;)\n        kci_task_finish(task, -ECANCELED);",
        "    for (kc_task_t *task; (task = kci_inject_pull(s)) != NULL;)\n        kci_task_finish(task, 0);",
    ),
    "a stack is not given back": (
        "test_scheduler",
        "task.c",
        "    kc_coro_destroy(task->co);\n    task->co = NULL;",
        "",
    ),
    "a timer is started by nobody": (
        "test_scheduler",
        "wait.c",
        "        if (timeout_ns >= 0)\n            start",
        "if (0) start",
    ),
    "sleepers are not told of an earlier time": (
        "test_scheduler",
        "idle.c",
        "if (is_earlier && keeper != NULL)",
        "if (0 && is_earlier && keeper != NULL)",
    ),
    "new work wakes nobody": ("test_scheduler", "idle.c", "pthread_cond_signal(&chosen->bell);", ";"),
    "who goes to sleep does not look once more": (
        "test_scheduler",
        "idle.c",
        "        lie_down(self);\n        if (sees_work(self)) {",
        SLOWLY + "        lie_down(self);\n        if (0) {",
    ),
    "a searcher wakes another for nothing": (
        "test_scheduler_counts",
        "idle.c",
        " && found && sees_work(self)",
        " && found",
    ),
    "a worker asks one too many": (
        "test_scheduler_counts",
        "worker.c",
        "probes < s->options.steal_scan",
        "probes <= s->options.steal_scan",
    ),
    "the slot is never given up": (
        "test_scheduler_turns",
        "worker.c",
        "self->in_a_row >= self",
        "0 && self->in_a_row >= self",
    ),
    "the slot is always used": (
        "test_scheduler_counts",
        "worker.c",
        " && self->sched->options.resume == KC_RESUME_INLINE",
        "",
    ),
    "a yield goes to the slot": (
        "test_scheduler_turns",
        "worker.c",
        "        kc_atomic_count_add(&self->counts.yields, 1);\n        queue(self, task);",
        "        kc_atomic_count_add(&self->counts.yields, 1);\n        self->slot = task;",
    ),
    "a busy worker does not look outside": (
        "test_scheduler_turns",
        "worker.c",
        "if (++self->ticks % s->options.inject_every == 0)",
        "if (0)",
    ),
    "there is always room": ("test_scheduler_turns", "inject.c", ">= s->options.inject_room", ">= SIZE_MAX"),
    "room that was made is told to nobody": (
        "test_scheduler_turns",
        "inject.c",
        "pthread_cond_signal(&q->has_room);",
        "",
    ),
    "the workers are told of a task once it may be gone": (
        "test_scheduler",
        "inject.c",
        "    kci_notify(s);\n    pthread_mutex_unlock(&s->inject.lock);\n}",
        "    pthread_mutex_unlock(&s->inject.lock);\n    kci_notify(s);\n}",
    ),
    "a handle does not keep the lock of its calls": (
        "test_scheduler",
        "task.c",
        "    kc_atomic_add_sc(&shard->references, 1);\n",
        "",
        "    kci_shard_release(task->sched, task->shard);\n",
        "",
    ),
    "nobody steals": ("test_scheduler_turns", "worker.c", "if (s->options.workers == 1)", "if (1)"),
    "the oldest half is donated in reverse": (
        "test_scheduler_counts",
        "worker.c",
        "count <= KC_SCHED_DEQUE_ROOM / 2",
        "count <= KC_SCHED_DEQUE_ROOM",
    ),
    "somebody comes between the poll and the wait of a select": (
        "test_shared_scheduler",
        "shared_select.c",
        "        return wait(&held, timeout_ns, token);\n    leave",
        "    {\n        leave_all(&held);\n" + SLOWLY + "        lock_all(&held);\n"
        "        return wait(&held, timeout_ns, token);\n    }\n    leave",
    ),
    "who gave up stays in its queue": ("test_shared_scheduler", "shared.c", "    kc_waiter_leave(&call.waiter);\n", ""),
    "what is dropped is told with the lock": (
        "test_shared_scheduler",
        "shared.c",
        "    kci_leave(&ch->lock);\n    kci_share_tell(ch, &dropped);",
        "    kci_share_tell(ch, &dropped);\n    kci_leave(&ch->lock);",
    ),
    "what was dropped by a select is forgotten": (
        "test_shared_scheduler",
        "shared_select.c",
        "        kci_share_tell(by, &dropped);",
        ";",
    ),
    "a task that need not wait goes on for ever": (
        "test_shared_scheduler",
        "shared.c",
        ">= KC_SCHED_BUDGET",
        ">= SIZE_MAX",
    ),
    "a failure is in no book": (
        "test_shared_scheduler",
        "shared.c",
        "    book(ch, rc);\n    kci_share_leave(ch);",
        "    kci_share_leave(ch);",
    ),
    "a cancel ends one wait only": (
        "test_scheduler",
        "work.h",
        " || kc_atomic_load_sc(&task->is_cancelled) != 0",
        "",
    ),
    "a cancel ends later waits only": (
        "test_scheduler",
        "task.c",
        "    kc_op_revoke(kc_atomic_load_ptr_sc(&task->op));\n",
        "",
    ),
}


def spoilt(folder: Path, file: str, *changes: str) -> Path:
    """A copy of the library with something else in one file: each time what was there, and what is there now."""
    copy = folder / "kcoro_native"
    for part in ("csrc", "ctests"):
        for path in (NATIVE / part).rglob("*.[chS]"):
            target = copy / path.relative_to(NATIVE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    text = (CSRC / file).read_text()
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    (copy / "csrc" / file).write_text(text)
    return copy


def fails(copy: Path, who: str, seconds: float = 0.0, longest: int = LONGEST) -> bool:
    """Whether a test says so, dies, or does not end: in one try, or in one of as many as begin in so many seconds."""
    sources = [copy / path.relative_to(NATIVE) for path in [*CORE, *PORT]]
    flags = ["-w", "-O1", *PORT_FLAGS, f"-I{copy / 'csrc'}", f"-I{copy / 'ctests'}"]
    program = build(copy / who, [copy / "ctests" / f"{who}.c", *sources], *flags)
    over = time.monotonic() + seconds
    while ends_well(program, longest):
        if time.monotonic() >= over:
            return False
    return True


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, build_dir: Path, tmp_path: Path) -> None:
    """By the test that is there to find it."""
    who, *change = FAULTS[fault]
    assert fails(spoilt(tmp_path, *change), who, TRIED_SECONDS)


@pytest.mark.parametrize("who", sorted({fault[0] for fault in FAULTS.values()}))
def test_nothing_is_found_where_nothing_is_wrong(who: str, build_dir: Path, tmp_path: Path) -> None:
    """Or what was found above is something else."""
    assert not fails(spoilt(tmp_path, "deque.h", "SPDX", "SPDX"), who, longest=3 * LONGEST)
