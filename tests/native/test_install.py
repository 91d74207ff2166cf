# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What ``cmake --install`` puts into an empty folder is the checked-in list, and a program can be built on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .library import NATIVE, compiler, run

MANIFEST = NATIVE / "install-manifest.txt"
PROGRAM = """
#include <kcoro/kcoro.h>
int main(void) {
    kc_chan_t *ch;
    return kc_check_abi(KC_ABI) || kc_chan_make(&ch, KC_RENDEZVOUS, 0, KC_SUSPEND, 0) || kc_chan_destroy(ch);
}
"""


def listed() -> list[str]:
    """The lines of the list that are no comments."""
    return [line for line in MANIFEST.read_text().splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def installed(build_dir: Path) -> Path:
    """An empty folder into which everything was installed."""
    if (cmake := shutil.which("cmake")) is None:
        pytest.skip("there is no cmake to install with")
    made, prefix = build_dir / "cmake", build_dir / "prefix"
    options = ["-DCMAKE_INSTALL_LIBDIR=lib", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Debug"]
    for command in (
        ["-S", NATIVE, "-B", made, *options],
        ["--build", made],
        ["--install", made, "--prefix", prefix],
    ):
        done = run(cmake, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    return prefix


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
