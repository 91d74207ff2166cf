# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into the coroutines of libkcoro are found by the model or by a C test. Rows: C1, C2, C3, C4, C5."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import platform
import signal
from pathlib import Path

import pytest

from .library import CORE, CSRC, HERE, NATIVE, build, ends_well, parts
from .test_coroutine_model import differing

pytestmark = pytest.mark.long

MODEL = "the model"
# What is changed, and who has to see it.
FAULTS = {
    "one that runs is destroyed": (MODEL, "coroutine.c", " || kc_atomic_load(&co->state) == KC_CORO_RUNNING", ""),
    "one that runs is resumed": (
        MODEL,
        "coroutine.c",
        "#define MAY_RUN (",
        "#define MAY_RUN (1U << KC_CORO_RUNNING | ",
    ),
    "one that has finished is resumed": (
        MODEL,
        "coroutine.c",
        "#define MAY_RUN (",
        "#define MAY_RUN (1U << KC_CORO_FINISHED | ",
    ),
    "one that is parked is resumed": (
        MODEL,
        "coroutine.c",
        "#define MAY_RUN (",
        "#define MAY_RUN (1U << KC_CORO_PARKED | ",
    ),
    "one that is parked is called finished": (MODEL, "coroutine.c", "? -EAGAIN : -EINVAL", "? -EINVAL : -EINVAL"),
    "who is yielded to forgets whose turn it was": (
        MODEL,
        "coroutine.c",
        "co->resumer = self->resumer",
        "co->resumer = &here->main",
    ),
    "whoever resumes is not the one to go back to": (
        MODEL,
        "coroutine.c",
        "co->resumer = here->current",
        "co->resumer = &here->main",
    ),
    "a park does not look for a permit": (
        MODEL,
        "coroutine.c",
        "if (kc_atomic_load(&self->permit) == KCI_PERMIT && ",
        "if (0 && ",
    ),
    "a permit is good for ever": (
        MODEL,
        "coroutine.c",
        "&self->permit, KCI_PERMIT, KCI_NONE",
        "&self->permit, KCI_PERMIT, KCI_PERMIT",
    ),
    "an unpark is forgotten": (MODEL, "coroutine.c", "permit == KCI_PARKED ? KCI_NONE : KCI_PERMIT", "KCI_NONE"),
    "two coroutines share a stack": (MODEL, "slabs.c", "slab->fresh++", "slab->fresh"),
    "the result is lost": (MODEL, "coroutine.c", "self->result = self->fn", "self->fn"),
    "a stack has the size of another": (
        "test_stacks",
        "coroutine.c",
        "kci_near_take(here, size)",
        "kci_near_take(here, USUAL)",
    ),
    "a thread keeps its stacks for ever": ("test_stacks", "here.c", "kci_near_leave(self);", ""),
    "the mark is not looked at": ("test_stacks", "stacks.c", "if (pool->free <= rules.high_water)", "if (1)"),
    "guards are not counted": ("test_stacks", "stacks.c", "counts.guarded += slab->guarded", "counts.guarded += 0"),
    "a refused allocation is not seen": (
        "test_stacks",
        "slabs.c",
        "if (slab == NULL)\n        return NULL;\n    memset",
        "memset",
    ),
    "there is no guard": (
        "test_coroutine_dying",
        "pages.c",
        "return mprotect(at, length, PROT_NONE) == 0",
        "return at != NULL && length",
    ),
    "the canary is not looked at": ("test_coroutine_dying", "watched.c", "!kci_canary_holds(co->stack)", "0"),
    "the stack pointer is not looked at": (
        "test_coroutine_dying",
        "watched.c",
        "sp < co->stack->low || sp >= co->stack->top",
        "0",
    ),
    "stacks without a guard are not checked": (
        "test_coroutine_dying",
        "watched.c",
        "!co->stack->has_guard || kci",
        "kci",
    ),
    "stacks without a guard are not watched": (
        "test_coroutine_dying",
        "near.c",
        " || (KCORO_CTX_DIAGNOSTICS && !stack->has_guard)",
        "",
    ),
    "stacks are not watched when asked": ("test_coroutine_dying", "here.c", "KCI_FIBERS || checks_all", "KCI_FIBERS"),
    "stacks are checked unasked": (
        "test_coroutine_dying",
        "here.c",
        "checks_all = KCORO_CTX_DIAGNOSTICS && ",
        "checks_all = 1 || ",
    ),
    "who leaves is not looked at": ("test_coroutine_dying", "watched.c", "    check(left);\n", ""),
    "an end is no end": ("test_coroutine_dying", "dying.c", "    abort();\n", ""),
    "any fault is called an overflow": (
        "test_coroutine_dying",
        "dying.c",
        " && is_overflow(thread->current, info->si_addr)",
        "",
    ),
    "a fault is swallowed": (
        "test_coroutine_dying",
        "dying.c",
        "sigaction(number, &before[number == SIGBUS], NULL);",
        "_exit(0);",
    ),
    "it may be resumed before it has left": (
        "test_coroutine_threads",
        "coroutine.c",
        "    here->current = to;\n    return kci_switch(",
        "    here->current = to;\n    if (then == park)\n        park(from);\n    return kci_switch(",
    ),
    "of two that resume none is refused": (
        "test_coroutine_threads",
        "coroutine.c",
        "return kc_atomic_swap_if(&co->state, state, KC_CORO_RUNNING) ? 0 : -EINVAL",
        "sched_yield();\n    kc_atomic_store(&co->state, KC_CORO_RUNNING);\n    return 0",
    ),
    "numbers are given twice": ("test_coroutine_threads", "here.c", "    ids += IDS;\n", ""),
}
X86_64 = {
    "r15 is not kept": ("test_registers", "    movq 8(%rsp), %r15\n", ""),
    "rbx is not kept": ("test_registers", "    movq 40(%rsp), %rbx\n", ""),
    "rbp is not kept": ("test_registers", "    movq 48(%rsp), %rbp\n", ""),
    "MXCSR is not kept": ("test_registers", "    ldmxcsr (%rsp)\n1:", "1:"),
    "MXCSR is not kept where it is compared": ("test_registers", "andl $0xffc0, %eax", "xorl %eax, %eax"),
    "only how MXCSR rounds is kept": ("test_registers", "andl $0xffc0, %eax", "andl $0x6000, %eax"),
    "a switch that returns is unbalanced": ("test_registers", "1:  addq $8, %rsp", "1:  addq $16, %rsp"),
    "MXCSR is forgotten by the last switch": ("test_registers", "    je keep\n    stmxcsr (%rsp)\n", ""),
    "the control word of x87 is not kept": ("test_registers", "jne 5f", "nop"),
    "where MXCSR differs, x87 is forgotten": (
        "test_registers",
        "    ldmxcsr (%rsp)\n    jmp 1b\n",
        "    ldmxcsr (%rsp)\n    jmp 2b\n",
    ),
    "a new one rounds as ever": ("test_registers", "stmxcsr (%rax)", "movl $0x1f80, (%rax)"),
    "frames go on above the entry": (
        "test_unwinding",
        "    .cfi_undefined rip /* the outermost frame */\n    endbr64",
        "    endbr64\n    leaq begin + 12(%rip), %r13\n    movq %r13, (%rsp)",
    ),
}
FAULTS |= {name: (who, "switch_x86_64.S", *change) for name, (who, *change) in X86_64.items()}
FOUND_HERE = [name for name, fault in FAULTS.items() if fault[1][-1] != "S" or platform.machine() == "x86_64"]
LONGEST = 20  # seconds: whoever takes longer never ends
# A test of threads then has time for two races, also where others want the processors.
SHORT = ("-DROUNDS=20000", "-DENOUGH_SECONDS=4", f"-I{NATIVE / 'ctests'}")


@pytest.fixture(scope="module")
def objects(build_dir: Path) -> Path:
    """The sound files, each compiled on its own."""
    folder = build_dir / "sound"
    folder.mkdir()
    for source in [*CORE, HERE / "coroutines.c"]:
        build(folder / f"{source.name}.o", [source], "-w", "-c", "-fPIC", f"-I{CSRC}")
    return folder


def differs(broken: Path, longest: int) -> bool:
    """Whether programs do something else than the model says, or end the process: it is a child."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        signal.alarm(longest)
        library = ctypes.CDLL(str(broken))
        os._exit(any(differing(library, range(seed, seed + 1)) for seed in range(500)))
    return os.waitpid(child, 0)[1] != 0


def is_seen(who: str, files: list[Path], folder: Path, longest: int = LONGEST) -> bool:
    """Whether the model or a C test sees the fault."""
    if who == MODEL:
        return differs(build(folder / "broken.so", files, "-w", "-shared", "-fPIC", f"-I{CSRC}"), longest)
    sources = [*parts(NATIVE / "ctests" / f"{who}.c"), *files]
    return not ends_well(build(folder / who, sources, "-w", "-O1", *SHORT), longest)


def with_fault(name: str, objects: Path, folder: Path) -> list[Path]:
    """All files, one of them spoilt; or none."""
    _, file, old, new = FAULTS[name]
    text = (CSRC / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return [folder / file, *(path for path in objects.iterdir() if path.name not in (f"{file}.o", "coroutines.c.o"))]


@pytest.mark.parametrize("fault", FOUND_HERE)
def test_a_planted_fault_is_found(fault: str, objects: Path, tmp_path: Path) -> None:
    """By whoever is there to find it."""
    who = FAULTS[fault][0]
    files = with_fault(fault, objects, tmp_path)
    driver = [objects / "coroutines.c.o"] if who == MODEL else []
    spoilt = build(tmp_path / "spoilt.o", files[:1], "-w", "-c", "-fPIC", f"-I{CSRC}")
    assert is_seen(who, [spoilt, *files[1:], *driver], tmp_path)


@pytest.mark.parametrize("who", sorted({fault[0] for fault in FAULTS.values()}))
def test_nothing_is_found_where_nothing_is_wrong(who: str, objects: Path, tmp_path: Path) -> None:
    """Or what was found above is something else."""
    driver = [] if who == MODEL else ["coroutines.c.o"]
    sound = [path for path in objects.iterdir() if path.name not in driver]
    assert not is_seen(who, sound, tmp_path, longest=3 * LONGEST)
