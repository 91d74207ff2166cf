# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Coroutines in C, in each build: switchers, tools that are told of switches, other machines. Rows: C1, C4, C5, Q5."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from .library import CORE, CSRC, CTESTS, HERE, NATIVE, PORT, PORT_FLAGS, build, parts, run

OF_COROUTINES = [path for path in CTESTS if re.search(r"coroutine|registers|stacks", path.stem)]
RACED = ["-g", "-O1", "-fsanitize=thread", *PORT_FLAGS]
SWITCHERS = {"assembly": [], "ucontext": ["-DKC_USE_UCONTEXT"]}
MACHINES = {"x86_64": "x86-64", "aarch64": "aarch64", "arm64": "aarch64", "riscv64": "riscv64"}
pytestmark = pytest.mark.long
BESIDE = f"-I{NATIVE / 'ctests'}"


@pytest.fixture(scope="module", params=SWITCHERS)
def plain(request: pytest.FixtureRequest, build_dir: Path) -> tuple[str, Path, list[str]]:
    """The whole library as it is shipped, with what csrc/port has: one object for each switcher."""
    flags = ["-O2", *PORT_FLAGS, *SWITCHERS[request.param]]
    target = build_dir / f"plain-{request.param}.o"
    return request.param, build(target, [*CORE, *PORT], *flags, f"-I{CSRC}", "-r", "-nostdlib"), flags


@pytest.mark.parametrize("source", OF_COROUTINES, ids=lambda path: path.stem)
def test_a_c_test_passes_on_each_switcher(source: Path, plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """Rows: C1, C2, C3, C4, C5, C6, DG1."""
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


def test_a_hundred_thousand_are_parked_at_once(plain: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    """More than a system has guard pages for; each costs a page or two. Rows: C2, C10."""
    _, library, flags = plain
    done = run(build(tmp_path / "many", [HERE / "many.c", library], *flags))
    assert (done.returncode, done.stderr) == (0, "")
    said = re.fullmatch(r"100000 parked: (\d+) bytes each, (\d+) of their stacks with a guard page\n", done.stdout)
    assert said is not None
    assert int(said[1]) <= 8192
    assert 1000 < int(said[2]) < 33000


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


@pytest.mark.parametrize("name", ["test_coroutine", "test_coroutine_threads"])
def test_a_c_test_passes_under_the_thread_sanitizer(name: str, raced: Path, tmp_path: Path) -> None:
    """It is told of each switch, and then sees no race. Row: Q5."""
    done = run(build(tmp_path / name, [NATIVE / "ctests" / f"{name}.c", raced], *RACED, BESIDE))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
