# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Coroutines in C, in each build: switchers, tools that are told of switches, other machines. Rows: C1, C4, C5, Q5."""

from __future__ import annotations

import ctypes
import errno
import mmap
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from .library import CORE, CSRC, CTESTS, HERE, NATIVE, PORT, PORT_FLAGS, build, parts, run

OF_COROUTINES = [
    path for path in CTESTS if re.search(r"coroutine|registers|stacks|unwinding|deque|scheduler", path.stem)
]
OF_THREADS = [
    "test_coroutine",
    "test_coroutine_threads",
    *(path.stem for path in CTESTS if re.search("deque|scheduler", path.stem)),
]
RACED = ["-g", "-O1", "-fsanitize=thread", *PORT_FLAGS]
# Valgrind runs one thread at a time: it looks at each access, and more rounds would show it the same ones.
WATCHED = ["-g", "-O1", "-DKC_HAVE_VALGRIND", "-DROUNDS=2000", *PORT_FLAGS]
EMULATED = ["-O1", "-funwind-tables", *PORT_FLAGS]
SWITCHERS = {"assembly": [], "ucontext": ["-DKC_USE_UCONTEXT"]}
MACHINES = {"x86_64": "x86-64", "aarch64": "aarch64", "arm64": "aarch64", "riscv64": "riscv64"}


def abroad(machine: str) -> Any:
    """A machine that is emulated, where there is a compiler for it; continuous integration installs both."""
    lacking = [tool for tool in (f"{machine}-linux-gnu-gcc", f"qemu-{machine}") if not shutil.which(tool)]
    reason = f"there is no {' and no '.join(lacking)}"
    return pytest.param(machine, marks=pytest.mark.skipif(bool(lacking), reason=reason))


FOREIGN = [abroad("aarch64"), abroad("riscv64")]
# Children that die do so in Valgrind too; it knows neither traps of floating point nor all ways of rounding.
UNDER_VALGRIND = [
    path for path in OF_COROUTINES if shutil.which("valgrind") and not re.search("dying|registers", path.stem)
]
pytestmark = pytest.mark.long
BESIDE = f"-I{NATIVE / 'ctests'}"


@pytest.fixture(scope="module", params=SWITCHERS)
def plain(request: pytest.FixtureRequest, build_dir: Path) -> tuple[str, Path, list[str]]:
    """The whole library as it is shipped, with what csrc/port has: one object for each switcher."""
    flags = ["-O2", *PORT_FLAGS, *SWITCHERS[request.param]]
    target = build_dir / f"plain-{request.param}.o"
    return request.param, build(target, [*CORE, *PORT], *flags, f"-I{CSRC}", "-r", "-nostdlib"), flags


@pytest.mark.parametrize("source", CTESTS, ids=lambda path: path.stem)
def test_a_c_test_passes_on_each_switcher(source: Path, plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """Every one, also of what knows nothing of coroutines. Rows: C1, C2, C3, C4, C5, C6, DG1."""
    _, library, flags = plain
    done = run(build(tmp_path / source.stem, [*parts(source), library], *flags, BESIDE))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_build_says_how_it_switches(plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """Row: C4."""
    name, library, flags = plain
    source = tmp_path / "says.c"
    source.write_text(
        '#include "kcoro/kcoro.h"\n#include <stdio.h>\nint main(void) { return !puts(kc_coro_switcher()); }\n'
    )
    said = run(build(tmp_path / "says", [source, library], *flags)).stdout.strip()
    assert said == ("ucontext" if name == "ucontext" else MACHINES[platform.machine()])


def test_a_build_without_a_switcher_has_no_coroutines(build_dir: Path, tmp_path: Path) -> None:
    """It says so, and everything else is as ever. Row: C4."""
    source = tmp_path / "asks.c"
    source.write_text(
        '#include "kcoro/kcoro.h"\n#include <string.h>\nstatic int idles(void *arg) { (void)arg; return 0; }\n'
        "int main(void) {\n    kc_coro_t *co;\n    return kc_coro_create(&co, idles, 0, 0) != -ENOTSUP ||\n"
        '        strcmp(kc_coro_switcher(), "none") != 0 || kc_coro_yield() != -EINVAL;\n}\n'
    )
    assert run(build(tmp_path / "asks", [source, *CORE], "-O1", "-DKC_NO_SWITCHER", f"-I{CSRC}")).returncode == 0


def test_a_hundred_thousand_are_parked_at_once(plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """More than a system has guard pages for; each costs a page or two. Rows: C2, C10."""
    _, library, flags = plain
    done = run(build(tmp_path / "many", [HERE / "many.c", library], *flags))
    assert (done.returncode, done.stderr) == (0, "")
    said = re.fullmatch(r"100000 parked: (\d+) bytes each, (\d+) of their stacks with a guard page\n", done.stdout)
    assert said is not None
    assert int(said[1]) <= 8192
    assert 1000 < int(said[2]) < 33000


SAYS_MAPPINGS = """
#include "kcoro/kcoro.h"
#include "kcoro/stack.h"
#include <stdio.h>
#include <string.h>
static int idles(void *arg) { (void)arg; return 0; }
static int lines(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    int count = 0;
    for (int byte; (byte = fgetc(file)) != EOF;)
        count += byte == '\\n';
    fclose(file);
    return count;
}
int main(void) {
    kc_coro_t *all[64];
    kc_stack_counts_t now;
    kc_coro_create(&all[0], idles, 0, 0);
    kc_coro_destroy(all[0]);
    kc_stacks_trim();
    int before = lines();
    for (int i = 0; i < 64; i++)
        kc_coro_create(&all[i], idles, 0, 0);
    kc_stacks_count(&now);
    printf("%zu guards, %d mappings", now.guarded, lines() - before);
    return 0;
}
"""


def marks_guards() -> bool:
    """Whether pages of this system can be marked as guards (Linux 6.13): then reading them ahead is a fault."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    page = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    install, populate = 102, 22
    marked = libc.madvise(page, mmap.PAGESIZE, install) == 0
    return marked and libc.madvise(page, mmap.PAGESIZE, populate) != 0 and ctypes.get_errno() == errno.EFAULT


def test_a_guard_costs_no_mapping_where_pages_can_be_marked(plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """Elsewhere it costs two, the page and what lies behind it. Row: C2."""
    _, library, flags = plain
    source = tmp_path / "mappings.c"
    source.write_text(SAYS_MAPPINGS)
    said = re.fullmatch(
        r"64 guards, (\d+) mappings", run(build(tmp_path / "mappings", [source, library], *flags)).stdout
    )
    assert said is not None
    if marks_guards():
        assert int(said[1]) <= 2
    else:
        assert int(said[1]) >= 2 * 64


def test_creating_is_cheap_while_stacks_are_kept(plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """Row: C7."""
    _, library, flags = plain
    said = re.match(
        r"(\d+) times as fast warm", run(build(tmp_path / "warm", [HERE / "warm.c", library], *flags)).stdout
    )
    assert said is not None
    assert int(said[1]) >= 2


def test_a_build_without_checks_says_so_and_has_none(build_dir: Path, tmp_path: Path) -> None:
    """Row: C3."""
    flags = ["-O1", "-DKCORO_CTX_DIAGNOSTICS=0"]
    source = tmp_path / "spoils.c"
    source.write_text(
        '#include "coro.h"\nstatic int idles(void *arg) { (void)arg; return kc_coro_yield(); }\n'
        "int main(void) {\n    kc_coro_t *co;\n    kc_coro_create(&co, idles, 0, 0);\n    kc_coro_resume(co);\n"
        "    co->stack->canary[0] = 1;\n    return kc_coro_checks() != -ENOTSUP || kc_coro_resume(co) != 0;\n}\n"
    )
    program = build(tmp_path / "spoils", [source, *CORE], *flags, f"-I{CSRC}")
    done = run(program, env={"KCORO_DEBUG_CTX_CHECK": "1"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def raced(build_dir: Path) -> Path:
    """The library under the thread sanitizer."""
    return build(build_dir / "raced.o", [*CORE, *PORT], *RACED, f"-I{CSRC}", "-r", "-nostdlib")


@pytest.mark.parametrize("name", OF_THREADS)
def test_a_c_test_passes_under_the_thread_sanitizer(name: str, raced: Path, tmp_path: Path) -> None:
    """It is told of each switch, and then sees no race. Row: Q5."""
    done = run(build(tmp_path / name, [NATIVE / "ctests" / f"{name}.c", raced], *RACED, BESIDE))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# ---------------------------------------------------------------------------------------------------------------------
# Valgrind, and other machines
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(build_dir: Path) -> Path:
    """The library as a build with KC_VALGRIND has it."""
    return build(build_dir / "watched.o", [*CORE, *PORT], *WATCHED, f"-I{CSRC}", "-r", "-nostdlib")


@pytest.mark.parametrize("source", UNDER_VALGRIND, ids=lambda path: path.stem)
def test_a_c_test_passes_under_valgrind(source: Path, watched: Path, tmp_path: Path) -> None:
    """It knows where each stack is, and sees no access to what is not there. Row: Q5."""
    program = build(tmp_path / source.stem, [source, watched], *WATCHED, BESIDE)
    done = run("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", program)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.fixture(scope="module", params=FOREIGN)
def emulated(request: pytest.FixtureRequest, build_dir: Path) -> tuple[str, Path]:
    """The whole library for another machine."""
    target = build_dir / f"{request.param}.o"
    flags = [*EMULATED, f"-I{CSRC}", "-r", "-nostdlib"]
    return request.param, build(target, [*CORE, *PORT], *flags, by=f"{request.param}-linux-gnu-gcc")


@pytest.mark.parametrize("source", CTESTS, ids=lambda path: path.stem)
def test_a_c_test_passes_on_another_machine(source: Path, emulated: tuple[str, Path], tmp_path: Path) -> None:
    """Emulated by qemu, which shows that the code is right, and nothing of how memory is ordered. Row: C4."""
    machine, library = emulated
    flags = [*EMULATED, "-static", BESIDE]
    program = build(tmp_path / source.stem, [*parts(source), library], *flags, by=f"{machine}-linux-gnu-gcc")
    done = run(f"qemu-{machine}", program)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("machine", FOREIGN)
def test_the_library_may_be_part_of_a_shared_object_on_another_machine(machine: str, tmp_path: Path) -> None:
    """In one a name that is visible may be somebody else's: a jump to it is refused, or takes a detour. Row: C4."""
    flags = [*EMULATED, f"-I{CSRC}", "-fPIC", "-shared"]
    target = build(tmp_path / "libkcoro.so", [*CORE, *PORT], *flags, by=f"{machine}-linux-gnu-gcc")
    code = run(f"{machine}-linux-gnu-objdump", "-d", target).stdout
    function = re.search(r"<kci_switch_back>:(.*?)\n\n", code, re.DOTALL)
    assert function is not None
    assert "plt" not in function[1]


def test_every_object_says_that_its_stack_is_not_executed(plain: tuple[str, Path, list[str]]) -> None:
    """One file in assembly that did not say so would make the stack of the whole program executable. Row: C4."""
    done = run("readelf", "-SW", plain[1])
    flags = re.search(r"\.note\.GNU-stack .* 00 (.*) 0 +0 +1$", done.stdout, re.MULTILINE)
    assert flags is not None
    assert "X" not in flags[1]


@pytest.mark.parametrize("machine", FOREIGN[:1])
def test_marked_branch_targets_stay_marked(machine: str, tmp_path: Path) -> None:
    """What is compiled with BTI and PAC has both in the end: a linker drops them if one file does not. Row: C4."""
    flags = ["-mbranch-protection=standard", f"-I{CSRC}", "-r", "-nostdlib"]
    library = build(tmp_path / "marked.o", CORE, *flags, by=f"{machine}-linux-gnu-gcc")
    assert "BTI, PAC" in run(f"{machine}-linux-gnu-readelf", "-nW", library).stdout
