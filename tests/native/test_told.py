# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Sanitizers and Valgrind are told of stacks and switches, and without that go wrong where tests see it. Row: Q5."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .library import CSRC, HERE, PORT_FLAGS, SANITIZED, build, run
from .test_coroutines import RACED, WATCHED
from .test_unwinding import COROUTINES

FLAGS = {"asan": [*SANITIZED, *PORT_FLAGS], "tsan": RACED, "valgrind": WATCHED}
VALGRIND = CSRC / "port" / "valgrind.c"  # never part of the library here: its functions may be replaced
# Where locals of functions are: on the stack, or in memory of the sanitizer while they are left.
KEPT = ["on the stack", "elsewhere"]
# What each story of told.c is about, and what the tool has to say of it; nothing at all where no words stand.
STORIES = {
    "overflows": (
        "asan",
        ["stack-buffer-overflow", r"'numbers' \(line \d+\) <== Memory access at offset 88 overflows"],
    ),
    "jumps": ("asan", []),
    "keeps": ("asan", []),
    "destroys": ("asan", []),
    "races": ("tsan", [r"data race", r"#0 count [^#]*#1 counts [^#]*#2 kci_begin [^#]*(#3 begin [^#]*)?\n\n"]),
    "neighbours": ("valgrind", []),
}
SWITCHES = ["__sanitizer_start_switch_fiber", "__sanitizer_finish_switch_fiber"]
# What is not told; in which story that shows; and what the tool says then.
FAULTS = {
    "whose stack it is": (SWITCHES, "overflows", "stack-buffer-overflow"),
    "which stack a jump leaves": (SWITCHES, "jumps", "ignoring requested __asan_handle_no_return"),
    "that a switch begins": (SWITCHES[:1], "jumps", "finishing a fiber switch that has not started"),
    "that a switch has ended": (SWITCHES[1:], "jumps", "starting fiber switch while in fiber switch"),
    "that frames are gone": (["__asan_unpoison_memory_region"], "destroys", "stack-buffer-underflow"),
    "where pointers are kept": (["__lsan_register_root_region"], "keeps", "detected memory leaks"),
    "whose calls they are": (["__tsan_switch_to_fiber"], "races", r"#1 counts (.+\n)*? +#\d+ main .*\n\n"),
    "where stacks are": (["kci_valgrind_begin", "kci_valgrind_end"], "neighbours", "Invalid"),
}
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def libraries(build_dir: Path, sanitizers: None) -> dict[str, Path]:
    """What coroutines are made of, once for each tool."""
    sources = [path for path in COROUTINES if path != VALGRIND]
    return {
        tool: build(build_dir / f"told-{tool}.o", sources, *flags, f"-I{CSRC}", "-r", "-nostdlib")
        for tool, flags in FLAGS.items()
    }


def told(story: str, libraries: dict[str, Path], folder: Path, untold: list[str], kept: str) -> tuple[bool, str]:
    """Whether the tool says what it should, and all that it says; where the linker leaves out what it is not told."""
    tool, words = STORIES[story]
    if tool == "valgrind" and shutil.which(tool) is None:
        pytest.skip("valgrind is not installed")
    wrapped = [f"-Wl,--wrap={name}" for name in untold]
    program = build(folder / "told", [HERE / "told.c", VALGRIND, libraries[tool]], *FLAGS[tool], f"-I{CSRC}", *wrapped)
    before = ["valgrind", "-q", "--error-exitcode=9"] if tool == "valgrind" else []
    options = f"detect_leaks=1:detect_stack_use_after_return={KEPT.index(kept)}"
    done = run(*before, program, story, env={"ASAN_OPTIONS": options})
    said = done.stdout + done.stderr
    if words:
        return done.returncode not in (0, 2) and all(re.search(word, said) for word in words), said
    return (done.returncode, said) == (0, ""), said


@pytest.mark.parametrize(
    ("story", "kept"), [(story, kept) for story in STORIES for kept in KEPT[: 2 if STORIES[story][0] == "asan" else 1]]
)
def test_a_tool_that_is_told_is_right(story: str, kept: str, libraries: dict[str, Path], tmp_path: Path) -> None:
    """It names what overflows, and the calls of a coroutine that races; and has no false alarm. Row: Q5."""
    well, said = told(story, libraries, tmp_path, [], kept)
    assert well, said


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tool_that_is_not_told_is_wrong(fault: str, libraries: dict[str, Path], tmp_path: Path) -> None:
    """Each of these has to be told. Row: Q5."""
    untold, story, words = FAULTS[fault]
    well, said = told(story, libraries, tmp_path, untold, KEPT[0])
    assert not well
    assert re.search(words, said), said
