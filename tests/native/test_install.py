# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What ``cmake --install`` and ``make install`` put into an empty folder is the checked-in list.

And a program can be built on it; where the C tests are built, ``ctest`` runs them all.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .library import CTESTS, NATIVE, compiler, run

MANIFEST = NATIVE / "install-manifest.txt"
PROGRAM = """
#include <kcoro/kcoro.h>
int main(void) {
    kc_chan_t *ch;
    return kc_check_abi(KC_ABI) || kc_chan_make(&ch, KC_RENDEZVOUS, 0, KC_SUSPEND, 0) || kc_chan_destroy(ch);
}
"""

ASKS = """
#include <kcoro/kcoro.h>
#include <stdio.h>
int main(void) {
    return !printf("%s, %s, %s", kc_coro_switcher(), kc_poller_known(0), kc_poller_known(1) ? "more" : "no more");
}
"""


def listed() -> list[str]:
    """The lines of the list that are no comments."""
    return [line for line in MANIFEST.read_text().splitlines() if line and not line.startswith("#")]


def tool(name: str) -> str:
    """Where a program is that builds and installs."""
    if (found := shutil.which(name)) is None:
        pytest.skip(f"there is no {name} to install with")
    return found


def do(name: str, *arguments: str | Path) -> str:
    """Run it to its end, which has to be a good one; what it said."""
    done = run(tool(name), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def by_cmake(build_dir: Path) -> Path:
    """An empty folder into which ``cmake --install`` has put everything."""
    made, prefix = build_dir / "cmake", build_dir / "prefix"
    do(
        "cmake",
        "-S",
        NATIVE,
        "-B",
        made,
        "-DCMAKE_INSTALL_LIBDIR=lib",
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=Debug",
    )
    do("cmake", "--build", made)
    do("cmake", "--install", made, "--prefix", prefix)
    return prefix


@pytest.fixture(scope="module")
def made(build_dir: Path) -> Path:
    """A build by make, with the C tests, and with each option that chooses what this machine would not."""
    folder = build_dir / "make"
    tool("make")
    chosen = ["-DKC_UCONTEXT=ON", "-DKC_PORT=OFF", f"-DKC_VALGRIND={'ON' if shutil.which('valgrind') else 'OFF'}"]
    where = ["-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_INSTALL_PREFIX=/usr"]
    do("cmake", "-G", "Unix Makefiles", "-S", NATIVE, "-B", folder, *where, *chosen)
    do("make", "-C", folder, "-j2")
    return folder


@pytest.fixture(scope="module")
def by_make(made: Path) -> Path:
    """An empty folder into which ``make install`` has put everything, as for a package of a system."""
    do("make", "-C", made, "install", f"DESTDIR={made / 'root'}")
    return made / "root" / "usr"


@pytest.fixture(scope="module", params=["by_cmake", pytest.param("by_make", marks=pytest.mark.long)])
def installed(request: pytest.FixtureRequest) -> Path:
    """The folder, by each of the two."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


def test_what_is_installed_is_the_checked_in_list(installed: Path) -> None:
    """No tests, no internal header, none of csrc/port. Row: Q3."""
    found = [path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()]
    assert sorted(found) == listed()


def test_the_list_is_sorted_and_has_every_public_header() -> None:
    """Row: Q3."""
    headers = {f"include/kcoro/{path.name}" for path in (NATIVE / "csrc" / "include" / "kcoro").iterdir()}
    assert listed() == sorted(listed())
    assert headers == {name for name in listed() if name.startswith("include/")}


def built(source: Path, installed: Path, program: Path) -> Path:
    """A program of somebody who has nothing but what was installed."""
    found = compiler()
    assert found is not None
    strict = ("-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror")
    command = (found, *strict, f"-I{installed / 'include'}", source, installed / "lib" / "libkcoro.a", "-lpthread")
    done = run(*command, "-o", program)
    assert done.returncode == 0, done.stderr
    return program


def test_a_program_can_be_built_on_what_is_installed(installed: Path, tmp_path: Path) -> None:
    """And it runs on the library that its headers belong to. Row: Q11."""
    source = tmp_path / "program.c"
    source.write_text(PROGRAM)
    assert run(built(source, installed, tmp_path / "program")).returncode == 0


@pytest.mark.parametrize("orders", [0, 1, 5000])
def test_the_example_serves_every_order_once(installed: Path, tmp_path: Path, orders: int) -> None:
    """Tasks on two workers, a pipeline, a select and sleeps, from installed headers alone. Rows: Q3, SC2, SC5."""
    done = run(built(NATIVE / "examples" / "kitchen.c", installed, tmp_path / "kitchen"), str(orders))
    expected = f"{orders} orders, {orders} served, sum {orders * (orders + 1)}\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


@pytest.mark.long
def test_ctest_passes_where_everything_was_chosen_otherwise(made: Path) -> None:
    """Without csrc/port and by ucontext; it leaves no C test out. Rows: C4, Q3."""
    said = do("ctest", "--test-dir", made, "-j2", "--output-on-failure")
    # Each has a line of its own; the words of the last line are others in each version of CMake.
    assert len(re.findall(r"^ *\d+/\d+ Test +#\d+: \w+ \.* +Passed ", said, re.MULTILINE)) == len(CTESTS), said


@pytest.mark.long
def test_what_was_chosen_is_in_the_library(by_make: Path, tmp_path: Path) -> None:
    """Row: C4."""
    source = tmp_path / "asks.c"
    source.write_text(ASKS)
    assert run(built(source, by_make, tmp_path / "asks")).stdout == "ucontext, poll, no more"
